"""Configurations (frozen dataclasses, NamedTuples) as plain data and back, and overrides by dotted path.

A field whose type is a union of dataclasses is stored with the class's name under "kind". Nothing is imported or
executed on the way: only classes named in the type annotations can come out.

Written here and not with cattrs, which turns "3" into 3 and "no" into True: with strict hooks, unions by "kind" and
errors that name the field it would be no shorter than this.
"""

import dataclasses
import json
import reprlib
import sys
import types
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from dagan.errors import UserError

T = TypeVar("T")
hints_of = cache(get_type_hints)
shown = reprlib.Repr()  # of a value in a message: however long or deeply nested, one short line
shown.maxstring = shown.maxother = shown.maxlong = 80


def to_plain(value: Any) -> Any:
    """A config as dicts, lists, strings and numbers, fit for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], plain: Any, path: str = "config") -> T:
    """The config of type `kind` from plain data. Raises UserError naming the field that does not fit."""
    value: T = _parse(kind, plain, path)
    return value


def one_of(kinds: Any, plain: Any, path: str = "config") -> Any:
    """As `from_plain`, of the class in a union of dataclasses that "kind" names."""
    return _parse(kinds, plain, path)


def _parse(kind: Any, plain: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _parse_union(get_args(kind), plain, path)
    if origin is Literal:
        known = any(type(plain) is type(value) and plain == value for value in get_args(kind))
        return _checked(known, plain, path, f"one of {', '.join(map(str, get_args(kind)))}")
    if origin is tuple:
        return _parse_tuple(get_args(kind), plain, path)
    if origin is dict:
        return _parse_dict(get_args(kind)[1], plain, path)
    if _is_record(kind):
        return _parse_record(kind, plain, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = [member.value for member in kind]
        return kind(_checked(plain in names, plain, path, f"one of {', '.join(map(str, names))}"))
    if kind is float:
        number = isinstance(plain, int | float) and not isinstance(plain, bool) and abs(plain) <= sys.float_info.max
        return float(_checked(number, plain, path, "a number"))
    fits = isinstance(plain, kind) and (kind is bool or not isinstance(plain, bool))
    return _checked(fits, plain, path, kind.__name__)


def _is_record(kind: Any) -> bool:
    """Whether a type is a dataclass or a NamedTuple."""
    return dataclasses.is_dataclass(kind) or (isinstance(kind, type) and hasattr(kind, "_fields"))


def _parse_union(members: tuple[Any, ...], plain: Any, path: str) -> Any:
    if plain is None:
        return _checked(type(None) in members, plain, path, "a value")
    members = tuple(member for member in members if member is not type(None))
    if isinstance(plain, dict):
        named: dict[str, Any] = {str(member.__name__): member for member in members if isinstance(member, type)}
        named = {name: member for name, member in named.items() if _is_record(member)}
        kind = plain.get("kind")
        if len(named) == 1 and kind is None:
            kind = next(iter(named))
        _checked(isinstance(kind, str) and kind in named, kind, f"{path}.kind", f"one of {', '.join(named)}")
        return _parse_record(named[str(kind)], plain, path)
    simple = [member for member in members if not _is_record(member)]
    _checked(bool(simple), plain, path, f"one of {', '.join(member.__name__ for member in members)}")
    return _parse(simple[0], plain, path)


def _parse_tuple(members: tuple[Any, ...], plain: Any, path: str) -> tuple[Any, ...]:
    _checked(isinstance(plain, list | tuple), plain, path, "a list")
    if len(members) == 2 and members[1] is Ellipsis:
        return tuple(_parse(members[0], item, f"{path}[{i}]") for i, item in enumerate(plain))
    _checked(len(plain) == len(members), plain, path, f"{len(members)} values")
    return tuple(_parse(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(members, plain, strict=True)))


def _parse_dict(kind: Any, plain: Any, path: str) -> dict[str, Any]:
    _checked(isinstance(plain, dict), plain, path, "names with values")
    return {str(name): _parse(kind, value, f"{path}.{name}") for name, value in plain.items()}


def _parse_record(kind: Any, plain: Any, path: str) -> Any:
    _checked(isinstance(plain, dict), plain, path, f"the fields of {kind.__name__}")
    hints = hints_of(kind)
    given = {name: value for name, value in plain.items() if name != "kind"}
    unknown = sorted(set(given) - set(hints))
    if unknown:
        raise UserError(f"{path} has no field {shown.repr(unknown[0])}; it has: {', '.join(hints)}")
    values = {name: _parse(hints[name], value, f"{path}.{name}") for name, value in given.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{path}: {error}") from error


def _checked(fits: bool, plain: Any, path: str, expected: str) -> Any:
    if not fits:
        raise UserError(f"{path} is {shown.repr(plain)}; expected {expected}")
    return plain


def override(config: T, path: str, text: str) -> T:
    """The config with the field at a dotted path (`generator.width`) set from text (`64`, `true`, `[1, 2]`, `null`).

    Text that is not JSON is taken as a string. Raises UserError for an unknown field or a value that does not fit.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # also for a number of thousands of digits
        value = text
    plain = to_plain(config)
    at, names = plain, path.split(".")
    for i, name in enumerate(names):
        if not isinstance(at, dict) or name not in at or name == "kind":
            fields = ", ".join(field for field in at if field != "kind") if isinstance(at, dict) else "no fields"
            raise UserError(f"unknown setting {shown.repr(path)}: {'.'.join(names[:i]) or 'the config'} has {fields}")
        if i < len(names) - 1:
            at = at[name]
    at[names[-1]] = value
    return from_plain(type(config), plain)


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """`field: ours != theirs` for every leaf in which two plain configs differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = list(ours) + [name for name in theirs if name not in ours]
        inner = [differences(ours.get(name), theirs.get(name), f"{path}.{name}".lstrip(".")) for name in names]
        return [line for lines in inner for line in lines]
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        inner = [differences(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
        return [line for lines in inner for line in lines]
    return [] if ours == theirs else [f"{path}: {ours!r} != {theirs!r}"]


def with_new_fields(saved: Any, current: Any) -> Any:
    """The plain config of an older run with the fields that its classes have gained since, as they are in `current`.

    Fields are only ever added with a default that keeps what older runs did, so such a run can go on.
    """
    if isinstance(saved, list) and isinstance(current, list) and len(saved) == len(current):
        return [with_new_fields(old, new) for old, new in zip(saved, current, strict=True)]
    if not (isinstance(saved, dict) and isinstance(current, dict)):
        return saved
    filled = {name: with_new_fields(value, current.get(name)) for name, value in saved.items()}
    same_class = "kind" in saved and saved["kind"] == current.get("kind")
    return current | filled if same_class else filled

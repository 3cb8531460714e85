"""Damaged inputs: a valid one with bytes or JSON values changed, and the check that a parser takes or refuses it.

`make test` tries a few examples of each, always the same ones. `DAGAN_FUZZ_EXAMPLES=100000` tries as many new ones.
"""

import copy
import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dagan.errors import UserError

USUAL = 20  # examples of each test in `make test`
EXAMPLES = os.environ.get("DAGAN_FUZZ_EXAMPLES")
SECONDS = 10.0  # of processor time for one example
MEGABYTES = 200.0  # that one example may take
STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
DEEP = 3000  # levels of nesting: more than Python's stack holds

Test = Callable[..., None]


def fuzzed(strategy: st.SearchStrategy[Any], share: float = 1.0) -> Callable[[Test], Test]:
    """Calls a test, as its last argument, with many values of a strategy; `share` of the usual number."""
    number = max(1, round(int(EXAMPLES or USUAL) * share))
    return lambda test: settings(
        max_examples=number,
        deadline=None,
        derandomize=EXAMPLES is None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )(given(strategy)(test))


def takes_or_refuses(parse: Callable[[], object]) -> None:
    """The parser returns, or raises UserError with one line, soon and without much memory."""
    with _bounded():
        try:
            parse()
        except UserError as error:
            said = str(error)
            if len(said.splitlines()) != 1:
                raise AssertionError(f"not one line: {said!r}") from error


@contextmanager
def _bounded() -> Iterator[None]:
    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    faulthandler.dump_traceback_later(12 * SECONDS, exit=True, file=sys.__stderr__)  # waits, or looks at no signal
    start = _peak()
    try:
        yield
    except TookTooLongError as late:
        raise AssertionError(f"took more than {SECONDS} s") from late
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    taken = _peak(reset=False) - start
    assert taken < MEGABYTES, f"took {taken:.0f} MB"


def _peak(reset: bool = True) -> float:
    """The most memory of this process since the last reset, in MB; 0 where the system does not say."""
    if not os.access(REFERENCES, os.W_OK):
        return 0.0
    if reset:
        REFERENCES.write_text("5")
    return next(float(line.split()[1]) / 1e3 for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))


class TookTooLongError(BaseException):
    """Not an `Exception`, so that no parser takes it for a damaged file."""


class Edit(NamedTuple):
    """`put` in the place of `removed` bytes, where `place` of the bytes is 0 to 1."""

    place: float
    removed: int
    put: bytes

    def apply(self, content: bytes) -> bytes:
        start = min(int(self.place * len(content)), len(content))
        return content[:start] + self.put + content[start + self.removed :]


FIELDS = [b"\0" * 8, b"\xff" * 8, b"\xff" * 4, b"\x80" + b"\0" * 6 + b"\x7f", b"99999999", b"-1", b"1e999", b"{", b'"']
PLACES = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.02) | st.floats(0.95, 1, exclude_max=True)
PUTS = st.binary(max_size=4) | st.sampled_from(FIELDS)
_OVERWRITTEN = st.builds(lambda place, put: Edit(place, len(put), put), PLACES, PUTS)
_ANY_EDIT = _OVERWRITTEN | st.builds(Edit, PLACES, st.integers(0, 40), PUTS)
_CUT = st.builds(Edit, PLACES, st.just(1 << 40), st.just(b""))


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Valid bytes after a few edits, most of which keep what follows in its place."""

    def edited(edits: list[Edit]) -> bytes:
        found = content
        for edit in edits:
            found = edit.apply(found)
        return found

    return st.lists(_OVERWRITTEN | _ANY_EDIT, min_size=1, max_size=4).map(edited) | _CUT.map(lambda e: e.apply(content))


def nested(levels: int) -> list[Any]:
    """A list in a list in a list."""
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


ODD = st.one_of(
    st.sampled_from([None, True, False, "", "text", "nan", "-1", "a\nb", "\x00", "../.."]),
    st.sampled_from([[], {}, [None], {"kind": "x"}]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -0.5, 0.0, 5e-324]),
    st.sampled_from([0, -1, 1, 3, 2**31, 2**63, -(2**63) - 1, 10**20, 10**400]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from([50, 200]).map(nested),
)


def changed(plain: Any) -> st.SearchStrategy[Any]:
    """Plain data (as of JSON) with a few of its values replaced, removed, or added to."""
    ways = st.lists(st.integers(0, 40), min_size=1, max_size=6)
    steps = st.lists(st.tuples(ways, st.integers(0, 5), ODD), min_size=1, max_size=3)

    def build(edits: list[tuple[list[int], int, Any]]) -> Any:
        found = copy.deepcopy(plain)
        for way, action, value in edits:
            found = _replaced(found, way, action, copy.deepcopy(value))
        return found

    return steps.map(build)


def _replaced(plain: Any, way: list[int], action: int, value: Any) -> Any:
    if not isinstance(plain, dict | list) or not plain or not way:
        return value
    keys = list(plain) if isinstance(plain, dict) else list(range(len(plain)))
    key = keys[way[0] % len(keys)]
    if len(way) > 1 and isinstance(plain[key], dict | list):
        plain[key] = _replaced(plain[key], way[1:], action, value)
    elif action == 0:
        del plain[key]
    elif action == 1 and isinstance(plain, dict):
        plain[f"{key}_"] = value
    elif action == 1:
        plain.append(value)
    else:
        plain[key] = value
    return plain

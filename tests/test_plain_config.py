"""Configurations as plain data and back, and overrides by dotted path."""

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

import pytest

from dagan.config import differences, from_plain, override, to_plain, with_new_fields
from dagan.errors import UserError
from dagan.models.talking_head import TalkingHeadConfig
from dagan.nn.blocks import FixedSize, ScaleBy
from dagan.presets import DAGAN, LITE, PRESETS
from dagan.training.depth_recipes import DEPTH_RECIPES, DepthRecipe
from dagan.training.recipes import RECIPES, Recipe


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Round:
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    side: int = 2


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One field of every kind that configs may have."""

    name: str = "untitled"
    is_done: bool = False
    count: int = 3
    scale: float = 0.5
    colour: Colour = Colour.RED
    style: Literal["ink", "oil"] = "ink"
    shape: Round | Square = Round()
    frame: Square | None = None
    limit: int | None = None
    sizes: tuple[int, ...] = (1, 2)
    corner: tuple[int, float] = (0, 0.5)
    layers: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count is {self.count}; expected 0 or more")


FULL = Drawing(
    name="1",
    is_done=True,
    colour=Colour.BLUE,
    style="oil",
    shape=Square(side=7),
    frame=Square(),
    limit=4,
    sizes=(),
    layers=(("a", 1.0), ("b", 2.5)),
)


def through_json(config: Any) -> Any:
    return from_plain(type(config), json.loads(json.dumps(to_plain(config))))


@pytest.mark.parametrize("config", [Drawing(), FULL])
def test_every_kind_of_field_survives_json(config: Drawing) -> None:
    assert through_json(config) == config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name: str) -> None:
    assert through_json(PRESETS[name]) == PRESETS[name]


@pytest.mark.parametrize("recipe", [*RECIPES.values(), *DEPTH_RECIPES.values()], ids=lambda recipe: recipe.description)
def test_every_recipe_survives_json(recipe: Recipe | DepthRecipe) -> None:
    assert through_json(recipe) == recipe


def test_whole_numbers_are_taken_for_fractions_and_fields_left_out_have_their_defaults() -> None:
    drawing = from_plain(Drawing, {"scale": 2})
    assert drawing == Drawing(scale=2.0)
    assert isinstance(drawing.scale, float)


@pytest.mark.parametrize(
    ("plain", "complaint"),
    [
        ({"nmae": "x"}, r"^config has no field 'nmae'; it has: name, is_done"),
        ({"frame": {"edge": 1}}, r"^config\.frame has no field 'edge'"),
        ({"count": 1.5}, r"^config\.count is 1\.5; expected int"),
        ({"count": True}, r"^config\.count is True; expected int"),
        ({"count": None}, r"^config\.count is None; expected int"),
        ({"scale": "big"}, r"^config\.scale is 'big'; expected a number"),
        ({"scale": True}, r"^config\.scale is True; expected a number"),
        ({"is_done": 1}, r"^config\.is_done is 1; expected bool"),
        ({"name": 1}, r"^config\.name is 1; expected str"),
        ({"colour": "green"}, r"^config\.colour is 'green'; expected one of red, blue"),
        ({"style": "chalk"}, r"^config\.style is 'chalk'; expected one of ink, oil"),
        ({"shape": {"side": 1}}, r"^config\.shape\.kind is None; expected one of Round, Square"),
        ({"shape": {"kind": "Colour"}}, r"^config\.shape\.kind is 'Colour'"),
        ({"shape": {"kind": "os.system"}}, r"^config\.shape\.kind is 'os\.system'"),
        ({"shape": 3}, r"^config\.shape is 3; expected one of Round, Square"),
        ({"shape": None}, r"^config\.shape is None; expected a value"),
        ({"limit": "4"}, r"^config\.limit is '4'; expected int"),
        ({"sizes": 3}, r"^config\.sizes is 3; expected a list"),
        ({"sizes": [1, "2"]}, r"^config\.sizes\[1\] is '2'; expected int"),
        ({"corner": [1]}, r"^config\.corner is \[1\]; expected 2 values"),
        ({"layers": [["a", 1], ["b"]]}, r"^config\.layers\[1\] is \['b'\]; expected 2 values"),
        ({"count": -1}, r"^config: count is -1; expected 0 or more"),
        ([], r"^config is \[\]; expected the fields of Drawing"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(plain: Any, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as refused:
        from_plain(Drawing, plain)
    assert "\n" not in str(refused.value)


def test_a_missing_field_without_default_is_named() -> None:
    with pytest.raises(UserError, match="'description'"):
        from_plain(Recipe, {"phases": []})


@pytest.mark.parametrize(
    ("path", "text", "changed"),
    [
        ("count", "4", Drawing(count=4)),
        ("scale", "1e-3", Drawing(scale=0.001)),
        ("is_done", "true", Drawing(is_done=True)),
        ("name", "still life", Drawing(name="still life")),
        ("style", "oil", Drawing(style="oil")),
        ("colour", "blue", Drawing(colour=Colour.BLUE)),
        ("limit", "null", Drawing()),
        ("sizes", "[4, 5, 6]", Drawing(sizes=(4, 5, 6))),
        ("shape.radius", "3", Drawing(shape=Round(radius=3.0))),
        ("shape", '{"kind": "Square", "side": 9}', Drawing(shape=Square(side=9))),
        ("frame", '{"side": 1}', Drawing(frame=Square(side=1))),
    ],
)
def test_a_field_is_set_by_its_path(path: str, text: str, changed: Drawing) -> None:
    original = Drawing()
    assert override(original, path, text) == changed
    assert original == Drawing()


def test_fields_of_presets_are_set_by_their_paths() -> None:
    config: TalkingHeadConfig = override(LITE, "generator.width", "32")
    assert config == replace(LITE, generator=replace(LITE.generator, width=32))
    resized = override(DAGAN, "motion.resize", '{"kind": "FixedSize", "side": 32}')
    assert resized.motion.resize == FixedSize(side=32)
    assert DAGAN.motion.resize == ScaleBy(factor=0.25)


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("widht", "1", r"unknown setting 'widht': the config has name, is_done"),
        ("shape.side", "1", r"unknown setting 'shape\.side': shape has radius"),
        ("frame.side", "1", r"unknown setting 'frame\.side': frame has no fields"),
        ("count.more", "1", r"unknown setting 'count\.more': count has no fields"),
        ("shape.kind", "Square", r"unknown setting 'shape\.kind'"),
        ("", "1", r"unknown setting ''"),
        ("count", "many", r"config\.count is 'many'; expected int"),
        ("count", "-1", r"count is -1"),
    ],
)
def test_an_override_that_cannot_be_is_refused_by_its_path(path: str, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        override(Drawing(), path, text)


def test_an_override_that_breaks_a_model_says_why() -> None:
    with pytest.raises(UserError, match="RGB-D keypoints need a depth network"):
        override(DAGAN, "depth", "null")


def test_equal_configs_differ_nowhere_also_after_json() -> None:
    assert differences(to_plain(FULL), json.loads(json.dumps(to_plain(FULL)))) == []
    assert differences({"sizes": (1, 2)}, {"sizes": [1, 2]}) == []


def test_differences_name_every_leaf() -> None:
    ours, theirs = to_plain(Drawing()), to_plain(Drawing(count=4, shape=Round(radius=2.0)))
    assert differences(ours, theirs) == ["count: 3 != 4", "shape.radius: 1.0 != 2.0"]


@pytest.mark.parametrize("pair", [([1], 5), ([1], None), ([], None), ([1], [1, 2]), ({"a": 1}, None), (None, [1])])
def test_values_of_different_kinds_differ(pair: tuple[Any, Any]) -> None:
    assert len(differences({"field": pair[0]}, {"field": pair[1]})) == 1
    assert len(differences({"field": pair[1]}, {"field": pair[0]})) == 1


def test_differences_within_a_list_are_named_by_their_place() -> None:
    ours = {"phases": [{"steps": 3, "name": "a"}, {"steps": 5, "name": "b"}]}
    theirs = {"phases": [{"steps": 3, "name": "a"}, {"steps": 6, "name": "b"}]}
    assert differences(ours, theirs) == ["phases[1].steps: 5 != 6"]


def test_an_older_run_is_read_with_the_fields_gained_since() -> None:
    current = to_plain(Drawing(shape=Square(side=3)))
    older = {name: value for name, value in current.items() if name != "scale"} | {"count": 9}
    assert with_new_fields(older, current) == current | {"count": 9}
    assert with_new_fields({"phases": [older]}, {"phases": [current]}) == {"phases": [current | {"count": 9}]}


def test_a_part_of_another_class_gains_nothing() -> None:
    older = {"shape": {"kind": "Round"}}
    assert with_new_fields(older, {"shape": to_plain(Square())}) == older


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", {"kind": ["Round"]}),
        ("shape", {"kind": {}}),
        ("shape", {"kind": "Round", "radius": 10**400}),
        ("shape", {"kind": "Round", "radius": float("nan")}),
        ("shape", {"kind": "Round", "radius": float("inf")}),
    ],
)
def test_odd_values_of_a_file_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"config\.{field}"):
        from_plain(Drawing, {field: value})

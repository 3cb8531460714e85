"""How much of a driver's motion a portrait takes over, and what is added to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from dagan.errors import UserError
from dagan.face import EXPRESSIONS, IRISES, JAW, LANDMARKS, LIDS

Part = Literal["head", "eyes", "brows", "mouth"]
Translation = Literal["keep", "damp", "none"]
PARTS: tuple[Part, ...] = get_args(Part)
ANGLES = ("yaw", "pitch", "roll")  # degrees: to the viewer's right, down, and clockwise to the viewer
BROWS = tuple(number for number, landmark in enumerate(LANDMARKS) if landmark.name.endswith("brow"))
POINTS: Mapping[str, tuple[int, ...]] = {
    "eyes": (*(lid for lids in LIDS for lid in lids), *IRISES),
    "brows": BROWS,
    "mouth": JAW,
}
COEFFICIENTS: Mapping[str, tuple[int, ...]] = {
    part: tuple(number for number, name in enumerate(EXPRESSIONS) if name.startswith(starts))
    for part, starts in {"eyes": ("eye",), "brows": ("brow",), "mouth": ("mouth", "jaw")}.items()
}
# Names for several coefficients at once: both sides, or all of a kind.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "brows": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "frown": ("browDownLeft", "browDownRight"),
    "jaw": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "lowerLip": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upperLip": ("mouthUpperUpLeft", "mouthUpperUpRight"),
}
REACH = 0.15  # of the picture's side: where `damp` begins to hold a head back
MOST_ANGLE = 60.0  # degrees


@dataclass(frozen=True, kw_only=True)
class FaceEdit:
    """`amount`: the share of the driver's motion since its rest frame, for the `parts` that follow it.

    `expression`: what is added to coefficients (`face.EXPRESSIONS`), which stay in [0, 1]. `turn_by`: degrees added to
    the driver's angles; `turn_to`: the angles themselves, 0 = towards the camera. `translation`: of the head: as the
    driver's, held back softly beyond `REACH`, or none.
    """

    amount: float = 1.0
    parts: frozenset[Part] = frozenset(PARTS)
    expression: Mapping[str, float] = field(default_factory=dict)
    turn_by: Mapping[str, float] = field(default_factory=dict)
    turn_to: Mapping[str, float] = field(default_factory=dict)
    translation: Translation = "damp"

    @property
    def changes_expression(self) -> bool:
        return self.amount != 1 or len(self.parts) < len(PARTS) or any(self.expression.values())

    @property
    def changes_turn(self) -> bool:
        return self.amount != 1 or "head" not in self.parts or bool(self.turn_by or self.turn_to)

    def share_of_head(self) -> float:
        return self.amount if "head" in self.parts else 0.0

    def shares_of_points(self) -> list[float]:
        """Of the driver's expression that each landmark follows."""
        return self._shares(POINTS, len(LANDMARKS))

    def shares_of_coefficients(self) -> list[float]:
        """Of the driver's change that each coefficient follows."""
        return self._shares(COEFFICIENTS, len(EXPRESSIONS))

    def added(self) -> list[float]:
        """To each coefficient."""
        return [self.expression.get(name, 0.0) for name in EXPRESSIONS]

    def _shares(self, places: Mapping[str, tuple[int, ...]], count: int) -> list[float]:
        shares = [self.amount] * count
        for part in set(places) - self.parts:
            for place in places[part]:
                shares[place] = 0.0
        return shares


PLAIN = FaceEdit(translation="keep")  # the driver's motion as it is
DEFAULT = FaceEdit()


def parse_parts(text: str) -> frozenset[Part]:
    """`head,eyes` and so on. Raises UserError for others."""
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise UserError(f"--parts has {unknown[0]!r}; expected some of {', '.join(PARTS)}")
    return frozenset(part for part in PARTS if part in names)


def parse_expression(texts: list[str]) -> dict[str, float]:
    """`NAME=VALUE` of coefficients or groups, a value from -1 to 1. Raises UserError for others."""
    found: dict[str, float] = {}
    for text in texts:
        name, value = _assignment(text, "=", "--expression", "smile=0.5", 1.0)
        names = GROUPS.get(name, (name,))
        if names[0] not in EXPRESSIONS:
            raise UserError(f"--expression has no {name!r}; known are {', '.join((*GROUPS, *EXPRESSIONS))}")
        found |= dict.fromkeys(names, value)
    return found


def parse_turn(texts: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """`yaw=10` adds degrees, `yaw==10` sets them: both, by angle. Raises UserError for others."""
    by: dict[str, float] = {}
    to: dict[str, float] = {}
    for text in texts:
        sign = "==" if "==" in text else "="
        name, value = _assignment(text, sign, "--turn", "yaw=10 or yaw==10", MOST_ANGLE)
        if name not in ANGLES:
            raise UserError(f"--turn has {name!r}; expected {', '.join(ANGLES)}")
        (to if sign == "==" else by)[name] = value
    return by, to


def _assignment(text: str, sign: str, option: str, example: str, most: float) -> tuple[str, float]:
    name, _, number = text.partition(sign)
    try:
        value = float(number)
    except ValueError:
        raise UserError(f"{option} is {text!r}; expected NAME{sign}NUMBER, such as {example}") from None
    if not -most <= value <= most:
        raise UserError(f"{option} {name.strip()} is {number.strip()}; expected a number from {-most:g} to {most:g}")
    return name.strip(), value

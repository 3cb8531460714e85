"""Facial action units (Ekman and Friesen) read from ARKit-style blendshapes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dagan.observers.faces import FaceObserver, ObserverVersion


class UnitRule(NamedTuple):
    """An action unit: its strength is the mean of these blendshapes; it is present above the threshold."""

    name: str
    blendshapes: tuple[str, ...]
    threshold: float


# Blendshapes are strengths in [0, 1] on scales of their own, not probabilities: half of them never pass 0.5. Each
# threshold is about the 80th percentile over 329 frames of 110 clips of ../shared/clips/train, so that every unit is
# present in a fifth of the frames and absent in the rest. Units whose blendshapes hardly move in MediaPipe (5, 6, 9,
# 14, 15, 17, 20, 28: 90th percentile below 0.1) are left out: agreeing on "absent" would raise every system's score.
UNIT_RULES: tuple[UnitRule, ...] = (
    UnitRule("AU1 inner brow raiser", ("browInnerUp",), 0.5),
    UnitRule("AU2 outer brow raiser", ("browOuterUpLeft", "browOuterUpRight"), 0.4),
    UnitRule("AU4 brow lowerer", ("browDownLeft", "browDownRight"), 0.15),
    UnitRule("AU7 lid tightener", ("eyeSquintLeft", "eyeSquintRight"), 0.55),
    UnitRule("AU10 upper lip raiser", ("mouthUpperUpLeft", "mouthUpperUpRight"), 0.1),
    UnitRule("AU12 lip corner puller", ("mouthSmileLeft", "mouthSmileRight"), 0.25),
    UnitRule("AU16 lower lip depressor", ("mouthLowerDownLeft", "mouthLowerDownRight"), 0.15),
    UnitRule("AU18 lip pucker", ("mouthPucker",), 0.1),
    UnitRule("AU24 lip pressor", ("mouthPressLeft", "mouthPressRight"), 0.1),
    UnitRule("AU26 jaw drop", ("jawOpen",), 0.2),
    UnitRule("AU45 blink", ("eyeBlinkLeft", "eyeBlinkRight"), 0.3),
)
EVEN_THRESHOLD = 0.5  # the published script's, for "even": many units are then never present
JAW_DROP, BLINK = "AU26 jaw drop", "AU45 blink"
SMILE, BROW_RAISE = "AU12 lip corner puller", "AU2 outer brow raiser"


class BlendshapeUnits:
    """Action units by `UNIT_RULES`, or with one threshold for all."""

    def __init__(self, face: FaceObserver, threshold: float | None = None) -> None:
        self._face = face
        self.names = tuple(rule.name for rule in UNIT_RULES)
        self.thresholds = np.array(
            [rule.threshold if threshold is None else threshold for rule in UNIT_RULES], np.float32
        )
        kind = "calibrated thresholds" if threshold is None else f"threshold {threshold}"
        self.version: ObserverVersion = face.version._replace(name=f"blendshapes of {face.version.name}, {kind}")

    def action_units(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " u"] | None:
        seen = self._face.observe(image)
        if seen is None:
            return None
        strengths = [np.mean([seen.blendshape(name) for name in rule.blendshapes]) for rule in UNIT_RULES]
        return np.array(strengths, np.float32)

"""PRMSE of Tables 1, 3 and 4: head-pose error. Accumulate with `Mean`: the root is taken per image, then averaged."""

import math
from collections.abc import Sequence

FULL_TURN = 360.0


def head_pose_error(generated: Sequence[float], driving: Sequence[float]) -> float:
    """Root of the mean squared difference of yaw, pitch and roll, in degrees; lower is better.

    Differences are taken the short way round, so 179 and -179 degrees are 2 apart.
    """
    differences = [_turn(a - b) for a, b in zip(generated, driving, strict=True)]
    return math.sqrt(sum(d * d for d in differences) / len(differences))


def _turn(angle: float) -> float:
    return (angle + FULL_TURN / 2) % FULL_TURN - FULL_TURN / 2

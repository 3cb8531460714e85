"""Depth-aware talking heads (DaGAN, CVPR 2022).

The public names; each is imported when it is first used, so that `import dagan` itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagan import presets as presets
    from dagan.depth.estimate import estimate_depth as estimate_depth
    from dagan.inference.animator import Animator as Animator
    from dagan.inference.crop import frame_photo as frame_photo
    from dagan.models.talking_head import TalkingHead as TalkingHead
    from dagan.models.weights import load as load
    from dagan.types import Keypoints as Keypoints
    from dagan.types import Rendering as Rendering
    from dagan.types import View as View

__version__ = "0.1.0"
__all__ = [
    "Animator",
    "Keypoints",
    "Rendering",
    "TalkingHead",
    "View",
    "__version__",
    "estimate_depth",
    "frame_photo",
    "load",
    "presets",
]

_MODULES = {
    "Animator": "dagan.inference.animator",
    "Keypoints": "dagan.types",
    "Rendering": "dagan.types",
    "TalkingHead": "dagan.models.talking_head",
    "View": "dagan.types",
    "estimate_depth": "dagan.depth.estimate",
    "frame_photo": "dagan.inference.crop",
    "load": "dagan.models.weights",
}


def __getattr__(name: str) -> Any:
    if name == "presets":
        return import_module("dagan.presets")
    if name not in _MODULES:
        raise AttributeError(f"module 'dagan' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Published models put together from their files: which file is what, and what belongs together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from dagan.errors import UserError
from dagan.released.checkpoint_file import read_checkpoint

State = Mapping[str, Tensor]

DEPTH = "depth"
SECTIONS = ("generator", "kp_detector", "he_estimator", "discriminator")
X2FACE = "state_dict"  # the section of an X2Face: its file has one state dict
KEYPOINT = ("kp_detector", "kp.weight")
KINDS = {  # kind: sections and names that tell it, most particular first
    "dagan_spade_released": (("generator", "AttnModule.gamma"), ("generator", "decoder.compress.weight"), KEYPOINT),
    "dagan_released": (("generator", "AttnModule.gamma"), ("generator", "bottleneck.r0.conv1.weight"), KEYPOINT),
    "fomm_released": (
        ("generator", "dense_motion_network.mask.weight"),
        ("generator", "bottleneck.r0.conv1.weight"),
        KEYPOINT,
    ),
    "osfv": (("he_estimator", "fc_exp.weight"), ("generator", "dense_motion_network.compress.weight"), KEYPOINT),
    "monkeynet": (
        ("generator", "refinement_module.conv-last.weight"),
        ("kp_detector", "predictor.decoder.conv.weight"),
    ),
    "x2face": (
        (X2FACE, "pix2pixUnwrapped.netG.model.down.0.weight"),
        (X2FACE, "pix2pixSampler.netG.model.down.0.weight"),
    ),
}
TITLES = {
    "dagan_spade_released": "DaGAN with the SPADE decoder",
    "dagan_released": "DaGAN",
    "fomm_released": "FOMM",
    "osfv": "OSFV (face-vid2vid)",
    "monkeynet": "Monkey-Net",
    "x2face": "X2Face",
    DEPTH: "a face depth network",
}
NEED_DEPTH = ("dagan_spade_released", "dagan_released", DEPTH)
KNOWN = (
    "dagan knows the published DaGAN, SPADE-DaGAN, FOMM, OSFV, Monkey-Net, X2Face and face depth (ResNet-18, -50) "
    "checkpoints"
)
DEPTH_FILES = "the published encoder.pth and depth.pth (ResNet-18, or ResNet-50 of the later release)"
DEEPEST_RATIO = {18: 8, 50: 32}  # channels of a ResNet's last layer over those of its first convolution


class Published(NamedTuple):
    """A published model: what it is, and its tensors by section and published name.

    Sections: generator, kp_detector and perhaps discriminator, he_estimator of OSFV; encoder and decoder of the depth
    network; X2Face's state_dict. `path` is the file to name in messages.
    """

    kind: str  # of `KINDS`, or "depth"
    sections: Mapping[str, State]
    path: Path

    @property
    def title(self) -> str:
        return TITLES[self.kind]

    @property
    def num_layers(self) -> int:
        """18 or 50, of the depth network's encoder."""
        return 50 if "encoder.layer1.0.conv3.weight" in self.sections["encoder"] else 18

    def shape(self, section: str, name: str) -> tuple[int, ...]:
        """The shape of a tensor. Raises UserError when the checkpoint lacks it."""
        if name not in self.sections[section]:
            raise UserError(f"{self.path} is not a whole {self.title} checkpoint: {section} lacks {name}")
        return tuple(self.sections[section][name].shape)

    def how_many(self, section: str, pattern: str) -> int:
        """How many of the names that `pattern` gives for 0, 1, ... there are."""
        index = 0
        while pattern.format(index) in self.sections[section]:
            index += 1
        return index


def read_published(paths: list[Path]) -> Published:
    """Reads and joins the files of one published model, in any order.

    Raises:
        UserError: a file is unreadable or of another project, or the files do not belong together.
    """
    sections: dict[str, State] = {}
    for path in dict.fromkeys(paths):
        for name, state in sections_of(read_checkpoint(path), path).items():
            if name in sections:
                raise UserError(f"{path} brings a second {name}; give one checkpoint, with one depth network at most")
            sections[name] = state
    published = Published(_kind(sections, paths[0]), sections, paths[0])
    has_depth = "encoder" in sections or "decoder" in sections
    if published.kind in NEED_DEPTH:
        _check_depth(published)
    elif has_depth:
        raise UserError(f"{published.path} is {published.title}, which has no depth network; leave --depth out")
    return published


def sections_of(content: Mapping[Any, Any], path: Path) -> dict[str, State]:
    """The tensors of a file by section, their names without `module.`. Raises UserError for another project's file."""
    parts = {name: _tensors(content.get(name)) for name in SECTIONS}
    if parts["generator"] and parts["kp_detector"]:
        return {name: state for name, state in parts.items() if state}
    whole = _tensors(content.get(X2FACE))
    if any(name.startswith("pix2pix") for name in whole):
        return {X2FACE: whole}
    flat = _tensors(content)
    marks = {"encoder": "encoder.layer1.0.conv1.weight", "decoder": "decoder.0.conv.conv.weight"}
    found: dict[str, State] = {
        section: {name: value for name, value in flat.items() if name.startswith(f"{section}.")}
        for section, mark in marks.items()
        if mark in flat
    }
    if not found:
        raise UserError(f"{path} is of another project ({_glimpse(content)}); {KNOWN}")
    return found


def _tensors(state: Any) -> dict[str, Tensor]:
    """The tensors of a state dict; plain entries such as `height` in encoder.pth are left out."""
    if not isinstance(state, Mapping):
        return {}
    return {str(name).removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}


def _glimpse(content: Mapping[Any, Any]) -> str:
    names = [str(name)[:40] for name in content]
    return f"it holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else "it holds nothing"


def _kind(sections: Mapping[str, State], path: Path) -> str:
    for kind, marks in KINDS.items():
        if all(name in sections.get(section, {}) for section, name in marks):
            return kind
    model = sections.get("generator", sections.get(X2FACE))
    if model is None:
        return DEPTH
    raise UserError(f"{path} is of another project ({_glimpse(model)}); {KNOWN}")


def _check_depth(published: Published) -> None:
    """Both halves of one depth network are there. Raises UserError that says what is expected."""
    parts = [name for name in ("encoder", "decoder") if name in published.sections]
    if not parts:
        told = f"{published.path} is {published.title}, which needs its depth network"
        raise UserError(f"{told}: add --depth ENCODER.pth DEPTH.pth, {DEPTH_FILES}")
    if len(parts) == 1:
        missing = {"encoder": "depth.pth, its decoder,", "decoder": "encoder.pth"}[parts[0]]
        raise UserError(f"half of a depth network: {missing} is missing; expected {DEPTH_FILES}")
    width = published.shape("encoder", "encoder.conv1.weight")[0]
    taken = published.shape("decoder", "decoder.0.conv.conv.weight")[1]
    if taken != width * DEEPEST_RATIO[published.num_layers]:
        theirs = next(
            (f"ResNet-{n}" for n, ratio in DEEPEST_RATIO.items() if taken == width * ratio), f"{taken} channels"
        )
        ours = f"ResNet-{published.num_layers}"
        raise UserError(
            f"the depth network's halves differ: encoder.pth is {ours}, depth.pth is for {theirs}; expected "
            f"the depth.pth published with the {ours} encoder.pth"
        )

"""Model files: safetensors with the configuration in the metadata, and the bundled default weights."""

import copy
import json
import textwrap
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dagan.config import from_plain, one_of, to_plain
from dagan.data.file_checks import check_finite, mistaken_for_weights
from dagan.data.tensor_files import save_tensors
from dagan.errors import UserError
from dagan.models.bounded import build_bounded, check_sizes
from dagan.models.depth import FaceDepthConfig, FaceDepthNet
from dagan.models.families import CONFIGS, JudgeConfig, ModelConfig
from dagan.models.family import Family
from dagan.models.pose import PoseConfig, PoseNet
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.types import Agreement

MODEL_FORMAT = "dagan-model-1"
FORMATS = {
    **dict.fromkeys(CONFIGS, MODEL_FORMAT),
    FaceDepthConfig: "dagan-depth-1",
    PoseConfig: "dagan-pose-1",
}  # by the kind of configuration
AGREEMENT = "agreement"  # the metadata entry with how near each precision is to float32: JSON {"int8": {"median": ...}}
DISCRIMINATOR = "discriminator"  # its tensors' prefix, and the metadata entry with its configuration
DEFAULT_WEIGHTS = "dagan-lite.safetensors"
MAX_REASON = 300  # characters of an error message


def load(path: str | Path | None = None, device: str | torch.device = "cpu") -> Family:
    """A model in eval mode from a file, or the bundled default weights (float32, whatever the file stores).

    It is a `models.family.Family`: a `TalkingHead` for DaGAN and FOMM, among them the bundled weights.

    Raises:
        UserError: no such file, not a safetensors file, not one of ours, or weights that do not fit its config.
    """
    if path is not None:
        return _read_model(Path(path)).to(device).eval()
    with model_file() as bundled:
        return _read_model(bundled).to(device).eval()


def model_file(path: str | Path | None = None) -> AbstractContextManager[Path]:
    """The file that `load` reads."""
    return as_file(files("dagan") / "assets" / DEFAULT_WEIGHTS) if path is None else nullcontext(Path(path))


def save_model(
    path: str | Path,
    model: nn.Module,
    config: ModelConfig | FaceDepthConfig | PoseConfig,
    *,
    half: bool = False,
    **provenance: str,
) -> None:
    """Write weights and configuration to one file, atomically; `half` stores floats as float16."""
    save_state(path, model.state_dict(), config, provenance, half=half)


def save_state(
    path: str | Path,
    state: Mapping[str, Tensor],
    config: ModelConfig | FaceDepthConfig | PoseConfig,
    provenance: Mapping[str, str],
    *,
    half: bool = False,
) -> None:
    """As `save_model`, of a state dict, in which a discriminator may stand beside the model's tensors."""
    path = Path(path)
    kept = _apart({name: _stored(value, half) for name, value in state.items()})
    metadata = {"format": FORMATS[type(config)], "config": json.dumps(to_plain(config)), **provenance}
    save_tensors(path, kept, metadata)


def _stored(value: Tensor, half: bool) -> Tensor:
    stored = value.detach().cpu()
    return (stored.half() if half and stored.is_floating_point() else stored).contiguous()


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share their memory (tied weights) as copies: safetensors keeps each on its own."""
    apart: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, value in state.items():
        place = value.untyped_storage().data_ptr()
        apart[name] = value.clone() if place in places else value
        places.add(place)
    return apart


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a safetensors file. Raises UserError when it is not one."""
    if not path.is_file():
        raise UserError(f"model file not found: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        if (mistake := mistaken_for_weights(path)) is not None:
            raise UserError(f"{path} {mistake}") from error
        raise UserError(f"not a model file (unreadable as safetensors): {path}: {error}") from error


def store_agreement(path: str | Path, agreement: Mapping[str, Agreement]) -> None:
    """Writes into a model file how near each precision is to float32, which `load` then gives. Its tensors stay."""
    path = Path(path)
    rounded = {
        name: {part: round(value, 1) for part, value in one._asdict().items()} for name, one in agreement.items()
    }
    metadata = {**read_metadata(path), AGREEMENT: json.dumps(rounded)}
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_tensors(path, state, metadata)


def _read_agreement(path: Path) -> dict[str, Agreement]:
    try:
        plain = json.loads(read_metadata(path).get(AGREEMENT, "{}"))
        return {name: Agreement(float(one["median"]), float(one["least"])) for name, one in plain.items()}
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{path} says nothing readable of its precisions; measure them: dagan bench --store") from error


def load_depth(path: str | Path) -> FaceDepthNet:
    """F_d in eval mode from a file that stage 1 wrote. Raises UserError as `load`."""
    plain = _read_config(Path(path), FORMATS[FaceDepthConfig])
    depth = build_bounded(from_plain(FaceDepthConfig, plain), Path(path))
    _fill(depth, Path(path))
    return depth.eval()


def load_pose(path: str | Path) -> PoseNet:
    """F_p in eval mode from a file that stage 1 wrote beside F_d's. Raises UserError as `load`."""
    plain = _read_config(Path(path), FORMATS[PoseConfig])
    pose = build_bounded(from_plain(PoseConfig, plain), Path(path))
    _fill(pose, Path(path))
    return pose.eval()


def load_discriminator(path: str | Path) -> tuple[JudgeConfig, nn.Module] | None:
    """The discriminator that an imported checkpoint brought, to train on with; None when the file has none."""
    path = Path(path)
    text = read_metadata(path).get(DISCRIMINATOR)
    if text is None:
        return None
    config: JudgeConfig = one_of(JudgeConfig, _plain_config(text, path))
    discriminator = build_bounded(config, path)
    _fill(discriminator, path, f"{DISCRIMINATOR}.")
    return config, discriminator


def fill_face_reader(model: Family) -> Family:
    """The model with the bundled weights' face reader, which nobody trains; without one, as it is."""
    if isinstance(model, TalkingHead) and model.face_reader is not None:
        with model_file() as bundled:
            _fill(model.face_reader, bundled, "face_reader.")
    return model


def load_config(path: str | Path | None = None) -> Any:
    """The configuration (`ModelConfig`) in a model file, or of the bundled default weights."""
    if path is not None:
        plain = _with_face(_read_config(Path(path), MODEL_FORMAT))
        try:
            return one_of(ModelConfig, plain)
        except UserError as error:
            raise UserError(f"{path} is of another version of dagan, use that one: {error}") from error
    with model_file() as bundled:
        return load_config(bundled)


def _with_face(plain: Any) -> Any:
    """A stored configuration with `face`, which was five switches in files of version 0.1.0."""
    if not isinstance(plain, dict) or "face" in plain or plain.get("kind") not in (None, TalkingHeadConfig.__name__):
        return plain
    new = copy.deepcopy(plain)
    try:
        has_face = new["keypoints"].pop("has_landmarks", False)
        pair = new["motion"].pop("torso", "found"), new["motion"].pop("face", "parts")
        parts = {"retargeting": new.pop("retargeting", None), "reader": new.pop("face_reader", None)}
    except (AttributeError, KeyError, TypeError):
        return plain  # what is wrong with it is said by `from_plain`
    if pair != (("registered", "whole") if has_face else ("found", "parts")):
        raise UserError(
            f"the model has motion.torso {pair[0]} and motion.face {pair[1]}; of models with landmarks only registered "
            "and whole, of others only found and parts are supported: use dagan 0.1.0 for it"
        )
    return {**new, "face": {"kind": "FaceConfig", **parts} if has_face else None}


def _read_model(path: Path) -> Family:
    model: Family = build_bounded(load_config(path), path)
    _fill(model, path)
    model.agreement = _read_agreement(path)
    return model


def _read_config(path: Path, wanted: str) -> Any:
    metadata = read_metadata(path)
    if metadata.get("format") != wanted:
        given = metadata.get("format", "none")
        if given == FORMATS[FaceDepthConfig]:
            raise UserError(f"{path} is a face depth network alone ({given}), not a talking head; it is for --depth")
        raise UserError(f"{path} is not a {wanted} file (its format: {given}); give a file written by dagan")
    return _plain_config(metadata.get("config", ""), path)


def _plain_config(text: str, path: Path) -> Any:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} holds no readable configuration; was it written by dagan?") from error
    check_sizes(plain, path)
    return plain


def _fill(module: nn.Module, path: Path, prefix: str = "") -> None:
    """The tensors whose names start with the prefix, or those of the model: all but a discriminator's."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if prefix or not name.startswith(f"{DISCRIMINATOR}.")]  # noqa: SIM118
        state = {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    check_finite(floats, path)
    try:
        module.load_state_dict(floats)
    except RuntimeError as error:
        first = str(error).split("\n")[1] if "\n" in str(error) else str(error)
        first = textwrap.shorten(first, MAX_REASON, placeholder=" ...")  # it may name every tensor of the model
        raise UserError(f"the weights in {path} do not fit its configuration: {first}") from error

"""Checkpoints of the families filled by the fixtures' rule, under the published names."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import torch

FAMILIES = {
    "monkeynet": "monkey-net vox",
    "x2face": "x2face_model.pth",
    "osfv": "osfv vox-256 (plain generator)",
    "osfv_spade": "osfv vox-256 (SPADE generator)",
}


def write_family(shared: Path, kind: str, folder: Path) -> Path:
    """The checkpoint of a fixture: weights by `rule_weights.py`, some multiplied so that nothing saturates."""
    spec = importlib.util.spec_from_file_location("rule_weights", shared / "rule_weights.py")
    assert spec is not None
    assert spec.loader is not None
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    keys = json.loads((shared / "checkpoint_keys.json").read_text())
    sections = {**(keys[FAMILIES["osfv"]] if kind == "osfv_spade" else {}), **keys[FAMILIES[kind]]}
    content: dict[str, Any] = {
        section: rule.fill({name: _zeros(name, shape) for name, shape in names.items()})
        for section, names in sections.items()
    }
    SCALED[kind](content)
    path = folder / f"{kind}.pth.tar"
    torch.save({**content, "epoch": 99}, path)
    return path


def _zeros(name: str, shape: list[int]) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.long if name.endswith("num_batches_tracked") else torch.float32)


def _monkeynet(content: dict[str, Any]) -> None:
    content["kp_detector"]["predictor.decoder.conv.weight"] *= 3
    content["generator"]["refinement_module.conv-last.weight"] *= 3
    head = content["generator"]["dense_motion_module.hourglass.decoder.conv.weight"]
    head[:11] *= 4
    head[11:] *= 0.1


def _x2face(content: dict[str, Any]) -> None:
    content["state_dict"]["pix2pixUnwrapped.netG.model.up.2.weight"] *= 0.3


def _osfv(content: dict[str, Any]) -> None:
    content["kp_detector"]["kp.weight"] *= 4
    for name, factor in (("fc_yaw", 4), ("fc_pitch", 4), ("fc_roll", 4), ("fc_t", 0.3), ("fc_exp", 0.15)):
        content["he_estimator"][f"{name}.weight"] *= factor
    for name in ("mask", "occlusion"):
        content["generator"][f"dense_motion_network.{name}.weight"] *= 4


SCALED = {"monkeynet": _monkeynet, "x2face": _x2face, "osfv": _osfv, "osfv_spade": _osfv}

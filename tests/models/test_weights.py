"""Model files: what is written comes back; what is not ours is refused in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import dagan
from dagan.config import to_plain
from dagan.errors import UserError
from dagan.models.depth import FaceDepthConfig
from dagan.models.talking_head import FaceConfig, TalkingHead, TalkingHeadConfig
from dagan.models.weights import (
    DEFAULT_WEIGHTS,
    FORMATS,
    fill_face_reader,
    load,
    load_config,
    load_depth,
    read_metadata,
    save_model,
    save_state,
)
from dagan.presets import LITE

BUNDLED = Path(dagan.__file__).parent / "assets" / DEFAULT_WEIGHTS
TINY_DEPTH = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))


@pytest.fixture
def file(tmp_path: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig) -> Path:
    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config, trained_on="drawings")
    return tmp_path / "model.safetensors"


def test_a_new_model_of_faces_gets_the_bundled_face_reader(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = fill_face_reader(replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None)).build())
    assert model.face_reader is not None
    for name, value in load().face_reader.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(model.face_reader.state_dict()[name], value)
    assert fill_face_reader(tiny_config.build()).face_reader is None


def test_a_model_of_another_version_is_refused_as_one(file: Path) -> None:
    plain = json.loads(read_metadata(file)["config"]) | {"reader_depth": 3}
    save_file(load_file(file), file, {"format": FORMATS[TalkingHeadConfig], "config": json.dumps(plain)})
    assert "of another version of dagan" in refusal(file)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 600
    return str(refused.value)


def test_a_model_comes_back_with_its_configuration_weights_and_outputs(
    file: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig
) -> None:
    model, images = load(file), torch.rand(2, 1, 3, 64, 64)
    assert load_config(file) == tiny_config
    assert not model.training
    assert torch.equal(model(*images).generated, tiny_model(*images).generated)
    assert read_metadata(file)["trained_on"] == "drawings"


def test_half_precision_halves_the_file_and_comes_back_as_float32(
    tmp_path: Path, file: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig
) -> None:
    save_model(tmp_path / "half.safetensors", tiny_model, tiny_config, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.65 * file.stat().st_size
    with safe_open(tmp_path / "half.safetensors", "pt") as stored:
        assert stored.get_tensor("motion.mask.weight").dtype == torch.float16
    model, images = load(tmp_path / "half.safetensors"), torch.rand(2, 1, 3, 64, 64)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32, torch.int64}
    assert torch.allclose(model(*images).generated, tiny_model(*images).generated, atol=0.02)


def test_saving_replaces_the_file_whole_and_leaves_the_model_alone(
    file: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig
) -> None:
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    save_model(file, tiny_model, tiny_config, half=True)
    assert all(torch.equal(before[name], value) for name, value in tiny_model.state_dict().items())
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    file: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    before = file.read_bytes()
    monkeypatch.setattr("dagan.data.tensor_files.save_file", fail)
    with pytest.raises(UserError, match="no space left to write"):
        save_model(file, tiny_model, tiny_config)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_depth_network_has_a_file_of_its_own(tmp_path: Path, file: Path) -> None:
    depth, image = TINY_DEPTH.build().eval(), torch.rand(1, 3, 64, 64)
    save_model(tmp_path / "depth.safetensors", depth, TINY_DEPTH)
    loaded = load_depth(tmp_path / "depth.safetensors")
    assert loaded.config == TINY_DEPTH
    assert torch.equal(loaded(image), depth(image))
    assert "dagan-depth-1" in refusal(tmp_path / "depth.safetensors")
    with pytest.raises(UserError, match="dagan-model-1"):
        load_depth(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "not found" in refusal(tmp_path / "absent.safetensors")
    assert "not found" in refusal(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.safetensors").write_bytes(b"\x89PNG and so on, and on, and on")
    assert "not a model file" in refusal(tmp_path / "photo.safetensors")
    (tmp_path / "empty.safetensors").touch()
    refusal(tmp_path / "empty.safetensors")


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    refusal(file)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors", metadata={"format": "pt"})
    assert "its format: pt" in refusal(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("config", [None, "{", "[]", '"lite"', '{"elephants": 3}', '{"keypoints": {"width": "wide"}}'])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, config: str | None) -> None:
    metadata = {"format": FORMATS[TalkingHeadConfig]} | ({} if config is None else {"config": config})
    save_file({"weight": torch.zeros(2)}, tmp_path / "odd.safetensors", metadata=metadata)
    with pytest.raises(UserError, match=r"config|odd\.safetensors") as refused:
        load(tmp_path / "odd.safetensors")
    assert "\n" not in str(refused.value)


def with_tensors(file: Path, tensors: dict[str, torch.Tensor], tiny_config: TalkingHeadConfig) -> None:
    metadata = {"format": FORMATS[TalkingHeadConfig], "config": json.dumps(to_plain(tiny_config))}
    save_file(tensors, file, metadata=metadata)


def test_weights_that_do_not_fit_the_configuration_are_refused(file: Path, tiny_config: TalkingHeadConfig) -> None:
    tensors = load_file(file)
    with_tensors(file, tensors | {"motion.mask.bias": torch.zeros(99)}, tiny_config)
    assert "motion.mask.bias" in refusal(file)
    with_tensors(file, {n: v for n, v in tensors.items() if n != "motion.mask.bias"}, tiny_config)
    assert "motion.mask.bias" in refusal(file)
    with_tensors(file, {"nothing.of.ours": torch.zeros(1)}, tiny_config)
    assert "do not fit" in refusal(file)


def written_before_face_was_one_value(path: Path, **changes: dict[str, object]) -> Path:
    """The bundled weights' file as version 0.1.0 wrote it: five switches in place of `face`."""
    with safe_open(BUNDLED, framework="pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    plain = json.loads(metadata["config"])
    face = plain.pop("face", None)
    if face is not None:
        plain |= {"retargeting": face["retargeting"], "face_reader": face["reader"]}
        plain["keypoints"]["has_landmarks"] = True
        plain["motion"] |= {"torso": "registered", "face": "whole"}
    for part, values in changes.items():
        plain[part] |= values
    save_file(tensors, path, {**metadata, "config": json.dumps(plain)})
    return path


def test_a_file_of_version_0_1_0_gives_the_same_model(tmp_path: Path) -> None:
    path = written_before_face_was_one_value(tmp_path / "old.safetensors")
    assert load_config(path) == load_config() == LITE
    assert torch.equal(load(path).motion.mask.weight, load().motion.mask.weight)


def test_a_file_of_version_0_1_0_with_a_mixture_that_is_gone_says_so(tmp_path: Path) -> None:
    path = written_before_face_was_one_value(tmp_path / "old.safetensors", motion={"face": "parts"})
    with pytest.raises(UserError, match=r"motion\.face parts"):
        load(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(file: Path, tiny_config: TalkingHeadConfig, value: float) -> None:
    tensors = load_file(file)
    tensors["motion.mask.bias"][1] = value
    with_tensors(file, tensors, tiny_config)
    assert "NaN or infinity (first in motion.mask.bias)" in refusal(file)


def test_large_weights_whose_sum_is_infinite_are_numbers(file: Path, tiny_config: TalkingHeadConfig) -> None:
    tensors = load_file(file)
    tensors["motion.mask.bias"].fill_(3e38)
    with_tensors(file, tensors, tiny_config)
    assert load(file).state_dict()["motion.mask.bias"][0] > 2e38


def test_tied_weights_are_saved_each_on_its_own(
    tmp_path: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig
) -> None:
    state = tiny_model.state_dict()
    state["copy.of.mask"] = state["motion.mask.bias"]
    state["part.of.mask"] = state["motion.mask.bias"][:2]
    save_state(tmp_path / "tied.safetensors", state, tiny_config, {})
    stored = load_file(tmp_path / "tied.safetensors")
    assert torch.equal(stored["copy.of.mask"], stored["motion.mask.bias"])
    assert torch.equal(stored["part.of.mask"], stored["motion.mask.bias"][:2])

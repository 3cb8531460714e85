"""VGG features under torchvision's names, without torchvision."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.nn.vgg import IMAGENET_MEAN, IMAGENET_STD, POOL, VGG, VGG_16, VGG_19, load_vgg

TAPS_16, TAPS_19 = (1, 6, 11, 18, 25), (1, 6, 11, 20, 29)  # relu1_1 ... relu5_1 in torchvision's numbering


def plain_layers(plan: tuple[int, ...]) -> nn.Sequential:
    """The published layout: convolution, ReLU, ..., max pool, one number each."""
    layers, channels = nn.Sequential(), 3
    for out in plan:
        if out == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            layers.append(nn.Conv2d(channels, out, 3, padding=1)).append(nn.ReLU())
            channels = out
    return layers


@pytest.mark.parametrize(("plan", "taps"), [(VGG_16, TAPS_16), (VGG_19, TAPS_19)], ids=["16", "19"])
def test_the_taps_are_what_plain_layers_with_the_same_weights_give(
    plan: tuple[int, ...], taps: tuple[int, ...]
) -> None:
    narrow = tuple(min(width, 8) for width in plan)
    vgg, plain, image = VGG(narrow), plain_layers(narrow), torch.rand(2, 3, 32, 32)
    vgg.features.load_state_dict(plain.state_dict())  # strict: the names are the same
    x = (image - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    expected = []
    for index, layer in enumerate(plain):
        x = layer(x)
        if index in taps:
            expected.append(x)
    got = vgg(image)
    assert len(got) == len(expected) == 5
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(got, expected, strict=True))


def test_tiny_images_keep_a_pixel_at_every_tap() -> None:
    assert [tuple(tap.shape[2:]) for tap in VGG((2, POOL) * 4 + (2,))(torch.rand(1, 3, 5, 5))] == [
        (5, 5),
        (3, 3),
        (2, 2),
        (1, 1),
        (1, 1),
    ]


def test_the_network_is_frozen_but_the_image_gets_its_gradient() -> None:
    vgg, image = VGG((4, POOL, 4)), torch.rand(1, 3, 8, 8, requires_grad=True)
    torch.stack([tap.sum() for tap in vgg(image)]).sum().backward()
    assert not any(parameter.requires_grad for parameter in vgg.parameters())
    assert image.grad is not None
    assert image.grad.abs().min() > 0


def zeros(plan: tuple[int, ...]) -> dict[str, Tensor]:
    """A file's tensors, in the little precision that such files may have."""
    with torch.device("meta"):
        shapes = VGG(plan).state_dict()
    return {name: torch.zeros(value.shape, dtype=torch.float16) for name, value in shapes.items()}


@pytest.mark.parametrize("plan", [VGG_16, VGG_19], ids=["16", "19"])
def test_files_of_both_depths_are_told_apart(tmp_path: Path, plan: tuple[int, ...]) -> None:
    state = zeros(plan)
    state["features.0.bias"] += 0.5
    state["classifier.0.weight"] = torch.zeros(2, 2)  # published files have more than we need
    save_file(state, tmp_path / "vgg.safetensors")
    vgg = load_vgg(tmp_path / "vgg.safetensors")
    assert vgg.state_dict().keys() | {"classifier.0.weight"} == state.keys()
    assert vgg.features["0"].bias.tolist() == [0.5] * 64
    assert all(value.dtype == torch.float32 for value in vgg.state_dict().values())
    assert not vgg.training


def test_a_whole_published_vgg_16_is_not_taken_for_a_19(tmp_path: Path) -> None:
    state = zeros(VGG_16)
    for index in (26, 28):  # conv5_2 and conv5_3
        state[f"features.{index}.weight"] = state["features.24.weight"].clone()
        state[f"features.{index}.bias"] = state["features.24.bias"].clone()
    save_file(state, tmp_path / "vgg.safetensors")
    assert load_vgg(tmp_path / "vgg.safetensors").state_dict().keys() == zeros(VGG_16).keys()


def _missing(path: Path) -> None:
    pass


def _text(path: Path) -> None:
    path.write_text("weights? what weights?")


def _truncated(path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    path.write_bytes(path.read_bytes()[:100])


def _foreign(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(2, 2)}, path)


def _batch_norm(path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.1.running_mean": torch.zeros(64)}, path)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("write", [_missing, _text, _truncated, _foreign, _batch_norm, _folder])
def test_anything_else_is_refused_in_one_line_with_its_name(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "other.bin")
    with pytest.raises(UserError, match=r"other\.bin") as refusal:
        load_vgg(tmp_path / "other.bin")
    assert "\n" not in str(refusal.value)

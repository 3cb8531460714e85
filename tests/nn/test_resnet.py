"""The residual encoder."""

import pytest
import torch

from dagan.nn.resnet import ResNetEncoder


@pytest.mark.parametrize(("num_layers", "channels"), [(18, (8, 8, 16, 32, 64)), (50, (8, 32, 64, 128, 256))])
def test_features_halve_from_a_half_to_a_thirty_second_with_the_announced_widths(
    num_layers: int, channels: tuple[int, ...]
) -> None:
    encoder = ResNetEncoder(num_layers, base_width=8)
    features = encoder(torch.rand(2, 3, 64, 96))
    assert encoder.channels == channels
    assert [tuple(feature.shape) for feature in features] == [
        (2, width, 64 // 2**level, 96 // 2**level) for level, width in enumerate(channels, start=1)
    ]


def test_odd_sizes_round_up() -> None:
    features = ResNetEncoder(18, base_width=4)(torch.rand(1, 3, 37, 33))
    assert [tuple(feature.shape[2:]) for feature in features] == [(19, 17), (10, 9), (5, 5), (3, 3), (2, 2)]


def test_the_paper_sized_encoders_have_the_published_parameter_counts() -> None:
    """11.69 and 25.56 million are published with a classifier of 512 or 2048 x 1000 + 1000, which is not here."""
    assert sum(p.numel() for p in ResNetEncoder(18).parameters()) == 11_689_512 - 513_000
    assert sum(p.numel() for p in ResNetEncoder(50).parameters()) == 25_557_032 - 2_049_000


def test_names_are_the_customary_ones() -> None:
    names = ResNetEncoder(50, base_width=4).state_dict().keys()
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"} <= set(names)
    assert "layer2.0.downsample.1.running_var" in ResNetEncoder(18, base_width=4).state_dict()


def test_gradients_reach_every_parameter() -> None:
    encoder = ResNetEncoder(18, base_width=4, in_channels=6)
    torch.stack([feature.square().mean() for feature in encoder(torch.rand(2, 6, 64, 64))]).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_an_unknown_depth_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no ResNet-34"):
        ResNetEncoder(34)

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dagan.errors import UserError
from dagan.evaluation.metrics.lpips import CONVOLUTIONS, LpipsAlex, load_lpips

SIDE = 31  # the smallest that every layer can look at


def convolve(image: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Loops over output pixels; image c h w."""
    padded = np.pad(image, [(0, 0), (padding, padding), (padding, padding)])
    side = weight.shape[2]
    out = (padded.shape[1] - side) // stride + 1
    result = np.empty((len(weight), out, out))
    for y in range(out):
        for x in range(out):
            patch = padded[:, y * stride : y * stride + side, x * stride : x * stride + side]
            result[:, y, x] = np.tensordot(weight, patch, 3) + bias
    return result


def pool(image: np.ndarray) -> np.ndarray:
    out = (image.shape[1] - 3) // 2 + 1
    rows = [[image[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max((1, 2)) for x in range(out)] for y in range(out)]
    return np.array(rows).transpose(2, 0, 1)


def layers(image: np.ndarray, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    x = (image * 2 - 1 - shift[:, None, None]) / scale[:, None, None]
    found = []
    for index, pooled_first in ((0, False), (3, True), (6, True), (8, False), (10, False)):
        x = pool(x) if pooled_first else x
        _, _, _, _, stride, padding = next(c for c in CONVOLUTIONS if c[0] == index)
        weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        x = np.maximum(convolve(x, weight, bias, stride, padding), 0)
        found.append(x / (np.sqrt((x**2).sum(0)) + 1e-10))
    return found


@pytest.fixture
def lpips():
    module = LpipsAlex()
    for weight in module.channel_weights:
        weight.data.uniform_(0, 1)
    return module.eval()


def test_it_equals_a_slow_independent_implementation(lpips):
    a, b = torch.rand(2, 1, 3, SIDE, SIDE)
    state = {name: value.double().numpy() for name, value in lpips.state_dict().items()}
    expected = sum(
        ((x - y) ** 2 * state[f"channel_weights.{n}"][0]).sum(0).mean()
        for n, (x, y) in enumerate(zip(layers(a[0].numpy(), state), layers(b[0].numpy(), state), strict=True))
    )
    assert lpips(a, b).item() == pytest.approx(expected, rel=1e-4)


def test_it_is_zero_for_equal_images_and_the_same_both_ways(lpips):
    a, b = torch.rand(2, 2, 3, SIDE, SIDE)
    assert lpips(a, a).tolist() == [0, 0]
    torch.testing.assert_close(lpips(a, b), lpips(b, a))


def test_each_image_of_a_batch_is_its_own(lpips):
    a, b = torch.rand(2, 3, 3, SIDE, SIDE)
    single = torch.cat([lpips(a[i : i + 1], b[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(lpips(a, b), single)


def test_weights_are_read_by_their_usual_names(lpips, tmp_path):
    state = lpips.state_dict()
    convolutions = {name: value for name, value in state.items() if name.startswith("features.")}
    linear = {f"lin{n}.model.1.weight": state[f"channel_weights.{n}"].clone() for n in range(5)}
    save_file(convolutions, tmp_path / "alexnet.safetensors")
    save_file(linear, tmp_path / "linear.safetensors")
    a, b = torch.rand(2, 1, 3, SIDE, SIDE)
    loaded = load_lpips(tmp_path / "alexnet.safetensors", tmp_path / "linear.safetensors")
    torch.testing.assert_close(loaded(a, b), lpips(a, b))
    with pytest.raises(UserError, match="not LPIPS with AlexNet"):
        load_lpips(tmp_path / "linear.safetensors", tmp_path / "alexnet.safetensors")


@pytest.mark.data
def test_the_published_weights_rank_as_people_do(full_evaluator):
    """Noise, which nobody sees much of, is nearer than a picture turned upside down, at equal or larger L1."""
    lpips = full_evaluator.lpips
    y, x = torch.meshgrid(torch.linspace(0, 9, 64), torch.linspace(0, 9, 64), indexing="ij")
    picture = torch.stack([x.sin() * y.cos(), (x + y).sin(), y.sin()])[None] / 2 + 0.5
    noisy = (picture + 0.02 * torch.randn_like(picture)).clamp(0, 1)
    assert lpips(noisy, picture).item() < 0.5 * lpips(picture.flip(2), picture).item()
    assert all((weight >= 0).all() for weight in lpips.channel_weights)

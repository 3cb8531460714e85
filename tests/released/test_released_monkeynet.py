"""A published Monkey-Net, imported: every tensor of the reference."""

import pytest
import torch
from checkpoints import write_family
from torch import Tensor

import dagan
from dagan.cli.main import main
from dagan.losses.adversarial import discriminator_adversarial, generator_adversarial
from dagan.models.families.monkeynet import adapted_covariance, difference_maps, heatmaps, level_distances
from dagan.models.weights import load_discriminator
from published import largest_difference

pytestmark = [pytest.mark.data, pytest.mark.slow]
TOLERANCE = 3e-4  # sharp edges of the image under sampling


@pytest.fixture(scope="module")
def arrays(reference) -> dict[str, Tensor]:
    return reference("monkeynet")


@pytest.fixture(scope="module")
def ours(shared_fixtures, images, tmp_path_factory) -> dict[str, Tensor]:
    folder = tmp_path_factory.mktemp("monkeynet")
    checkpoint, file = write_family(shared_fixtures, "monkeynet", folder), folder / "model.safetensors"
    assert main(["import", str(checkpoint), "-o", str(file)]) == 0
    checkpoint.unlink()
    model, found = dagan.load(file), load_discriminator(file)
    assert found is not None
    seen: dict[str, Tensor] = {}
    model.motion.groups.register_forward_hook(lambda _, __, out: seen.update(groups=out))
    model.generator.res.register_forward_pre_hook(lambda _, given: seen.update(decoder=given[0]))
    with torch.inference_mode():
        views = {name: model.view(image) for name, image in images.items()}
        source, driving, initial = (views[name].code for name in ("source", "driving", "driving_initial"))
        rendering = model.render(views["source"], driving)
        results = {f"kp_{name}_mean": view.code.position for name, view in views.items()}
        results |= {f"kp_{name}_var": view.code.covariance for name, view in views.items()}
        grid, small = model.pixels.grid, model.motion.resize(images["source"])
        motion = model.motion(images["source"], source, driving)
        judge = found[1].eval()
        real, fake = judge(images["driving"], driving), judge(rendering.generated, driving)
        results |= {
            "heatmap_driving_stride2": heatmaps(driving, (64, 64), grid)[:, :, ::2, ::2],
            "kp_embedding_stride2": difference_maps(source, driving, (64, 64), grid)[:, :, ::2, ::2],
            "mask_embedding_stride2": model.motion.slots(small, source, driving)[:, :, ::2, ::2],
            "hourglass_input_stride4": seen["groups"][:, :, ::4, ::4],
            "mask": motion.mask,
            "correction": motion.correction,
            "deformation": rendering.flow,
            "decoder_stride4": seen["decoder"][:, :, ::4, ::4],
            "deformed": rendering.warped,
            "prediction": rendering.generated,
            "kp_norm_relative_mult0_mean": model.mover(source, initial)(driving).position,
            "kp_norm_relative_mult1_mean": model.mover(source, initial, adapt_scale=True)(driving).position,
            "kp_norm_relative_adaptvar_var": adapted_covariance(source, initial, driving),
            "prediction_relative": model.render(views["source"], model.mover(source, initial)(driving)).generated,
            "disc_prediction_map_real": real.prediction,
            "disc_prediction_map_generated": fake.prediction,
            "loss_reconstruction_levels": torch.stack(level_distances(real, fake)),
            "loss_generator_gan": generator_adversarial(fake),
            "loss_discriminator_gan": discriminator_adversarial(real, fake),
        }
    return results


def test_every_tensor_is_the_published_one(ours, arrays):
    assert set(ours) == set(arrays)
    apart = {name: largest_difference(ours[name], arrays[name]) for name in arrays}
    assert max(apart.values()) <= TOLERANCE, apart
    exact = {
        name: apart[name] for name in apart if name.startswith("kp_") or name in ("mask", "correction", "deformation")
    }
    assert max(exact.values()) <= 1e-4, exact

"""A published X2Face, imported: every tensor of the reference."""

import pytest
import torch
from checkpoints import write_family
from torch import Tensor

import dagan
from dagan.cli.main import main
from dagan.models.families.x2face import LEAST_CONFIDENCE, moved_grid
from published import largest_difference

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def ours(shared_fixtures, images, tmp_path_factory) -> dict[str, Tensor]:
    folder = tmp_path_factory.mktemp("x2face")
    checkpoint, file = write_family(shared_fixtures, "x2face", folder), folder / "model.safetensors"
    assert main(["import", str(checkpoint), "-o", str(file)]) == 0
    checkpoint.unlink()
    model = dagan.load(file)
    with torch.inference_mode():
        views = {name: model.encode(model.view(image)) for name, image in images.items()}
        source, driving, initial = (views[name] for name in ("source", "driving", "driving_initial"))
        shifts = model.driving.shifts(driving.code.vector[:, :, None, None])
        rendering = model.render(source, driving.code)
        faces = [view.appearance for view in (source, initial)]
        bare = [face.confidence - LEAST_CONFIDENCE for face in faces]  # a helper of the release leaves it out
        joined = sum(weight * face.face for weight, face in zip(bare, faces, strict=True)) / sum(bare)
        return {
            "unwrap_raw_stride2": model.embedding.predict(images["source"])[:, :, ::2, ::2],
            "unwrap_grid_stride2": source.appearance.flow[:, ::2, ::2],
            "embedded_face": source.appearance.face,
            "source_bottleneck": model.embedding.down(images["source"])[-1].relu(),
            "driving_vector": driving.code.vector.relu(),
            "driving_vector_driving_initial": initial.code.vector.relu(),
            "sampler_raw_stride2": shifts[:, :, ::2, ::2],
            "sampler_grid_stride2": moved_grid(shifts)[:, ::2, ::2],
            "prediction": rendering.generated,
            "prediction_driving_initial": model.render(source, initial.code).generated,
            "prediction_two_sources": model.render(model.joined([source, initial]), driving.code).generated,
            "embedded_face_two_sources_stride2": joined[:, :, ::2, ::2],
            "confidence_two_sources_stride4": torch.cat(bare)[:, 0, ::4, ::4],
            "loss_photometric_l1": (rendering.generated - images["driving"]).abs().mean(),
        }


def test_every_tensor_is_the_published_one(ours, reference):
    arrays = reference("x2face")
    assert set(ours) == set(arrays)
    apart = {name: largest_difference(ours[name], arrays[name]) for name in arrays}
    assert max(apart.values()) <= 1e-4, apart

"""The joining of all parts (Fig. 2)."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from dagan.geometry.grid import coordinate_grid
from dagan.models.dense_motion import MotionConfig
from dagan.models.generator import GeneratorConfig
from dagan.models.keypoints import KeypointConfig, Modality
from dagan.models.refine import AttentionConfig
from dagan.models.talking_head import FaceConfig, TalkingHead, TalkingHeadConfig
from dagan.presets import BASELINE, DAGAN
from dagan.transfer.face_transfer import face_transfer
from dagan.transfer.relative import offset_transfer
from dagan.transfer.retargeting import FaceRetargeting
from dagan.types import View
from parts import identity_flow


@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_square_of_a_multiple_of_32_works(tiny_model: TalkingHead, side: int, batch: int) -> None:
    rendering = tiny_model(torch.rand(batch, 3, side, side), torch.rand(batch, 3, side, side))
    assert rendering.generated.shape == (batch, 3, side, side)
    assert rendering.generated.isfinite().all()


def test_a_view_holds_the_image_its_depth_and_its_keypoints(tiny_model: TalkingHead) -> None:
    image = torch.rand(2, 3, 64, 64)
    view = tiny_model.view(image)
    assert tiny_model.depth is not None
    assert view.image is image
    assert view.depth is not None
    assert torch.equal(view.depth, tiny_model.depth(image))
    assert torch.equal(view.keypoints.position, tiny_model.keypoints(image, view.depth).position)
    assert view.appearance is None


def moved_frames() -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth picture, and the same with everything 8 pixels further left."""
    picture = F.interpolate(torch.rand(1, 3, 10, 10), (72, 72), mode="bicubic").clamp(0, 1)
    return picture[..., :64, :64], picture[..., :64, 8:]


def test_forward_renders_the_source_at_the_driving_frames_keypoints_with_its_background_moved(
    tiny_model: TalkingHead,
) -> None:
    source, driving = moved_frames()
    background = tiny_model.background(source, driving)
    assert background is not None
    assert abs(float(background[0, 0, 2]) - 2 * 8 / 64) < 0.02
    rendered = tiny_model.render(tiny_model.view(source), tiny_model.view(driving).keypoints, background=background)
    assert torch.equal(tiny_model(source, driving).generated, rendered.generated)


def test_the_first_motion_is_the_backgrounds(tiny_model: TalkingHead) -> None:
    source, driving = moved_frames()
    views = tiny_model.view(source), tiny_model.view(driving)
    with torch.no_grad():
        tiny_model.motion.mask.bias[0] += 1000  # everything is background
    flow = tiny_model.render(views[0], views[1].keypoints, background=tiny_model.background(source, driving)).flow
    shift = flow - coordinate_grid(*flow.shape[1:3], flow)
    assert torch.allclose(shift[..., 0].mean(), torch.tensor(0.25), atol=0.03)
    still = tiny_model.render(views[0], views[1].keypoints).flow
    assert torch.allclose(still[0], coordinate_grid(*flow.shape[1:3], flow), atol=1e-5)


def test_in_the_papers_models_the_background_stands_still(tiny_config: TalkingHeadConfig) -> None:
    paper = replace(tiny_config, motion=replace(tiny_config.motion, background="still")).build()
    assert paper.background(*moved_frames()) is None
    assert BASELINE.motion.background == DAGAN.motion.background == "still"


def test_free_keypoints_follow_the_torso_between_two_frames_of_one_video(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None, reader=None)).build().eval()
    source, driving = map(model.view, moved_frames())

    followed = model.follow(source, driving)

    moved = source.keypoints.position[:, 17:] - followed.position[:, 17:]
    assert torch.allclose(moved, torch.tensor([2 * 8 / 64, 0.0]).expand(1, 2, 2), atol=0.02)
    assert torch.equal(followed.position[:, :17], driving.keypoints.position[:, :17])


def test_in_the_papers_models_keypoints_are_followed_as_they_are_found(tiny_model: TalkingHead) -> None:
    source, driving = map(tiny_model.view, moved_frames())
    assert tiny_model.follow(source, driving) is driving.keypoints
    assert BASELINE.face is DAGAN.face is None


def test_the_transfer_is_the_one_for_the_kind_of_keypoints(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=17)
    face = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None, reader=None))
    assert face.build().retargeting is face_transfer
    assert tiny_config.build().retargeting is offset_transfer
    learned = replace(face, face=FaceConfig(reader=None)).build()
    assert isinstance(learned.retargeting, FaceRetargeting)
    assert {name.split(".")[0] for name, _ in learned.named_parameters()} >= {"retargeting", "keypoints"}


def test_an_encoded_source_is_not_encoded_again(tiny_model: TalkingHead) -> None:
    calls = []
    tiny_model.generator.encoder.register_forward_hook(lambda *_: calls.append("encoder"))
    tiny_model.generator.depth_encoder.register_forward_hook(lambda *_: calls.append("depth_encoder"))
    source: View = tiny_model.encode(tiny_model.view(torch.rand(1, 3, 64, 64)))
    driving = tiny_model.view(torch.rand(1, 3, 64, 64)).keypoints
    first = tiny_model.render(source, driving)
    again = tiny_model.render(source, driving)
    assert sorted(calls) == ["depth_encoder", "encoder"]
    assert torch.equal(first.generated, again.generated)
    tiny_model.render(source._replace(appearance=None), driving)
    assert len(calls) == 4


def test_an_image_driven_by_itself_does_not_move(tiny_model: TalkingHead) -> None:
    image = torch.rand(2, 3, 64, 64)
    rendering = tiny_model(image, image)
    assert torch.allclose(rendering.flow, identity_flow(2, *rendering.flow.shape[1:3]), atol=1e-5)
    assert torch.allclose(rendering.warped, image, atol=1e-4)


def test_evaluation_is_deterministic_and_an_image_is_the_same_alone_and_in_a_batch(tiny_model: TalkingHead) -> None:
    source, driving = torch.rand(2, 3, 3, 64, 64)
    together = tiny_model(source, driving).generated
    assert torch.equal(together, tiny_model(source, driving).generated)
    assert torch.allclose(together[1:2], tiny_model(source[1:2], driving[1:2]).generated, atol=1e-4)


def test_attention_comes_out_when_asked_for(tiny_model: TalkingHead) -> None:
    source, driving = (tiny_model.view(torch.rand(1, 3, 64, 64)) for _ in range(2))
    rows = tiny_model.render(source, driving.keypoints, with_attention=True).attention
    assert rows is not None
    assert torch.allclose(rows.sum(-1), torch.ones(rows.shape[:2]), atol=1e-5)
    assert tiny_model.render(source, driving.keypoints).attention is None


def test_gradients_of_the_image_reach_every_parameter(tiny_config: TalkingHeadConfig) -> None:
    model = tiny_config.build()
    gate = model.generator.refine.merge.gamma
    torch.nn.init.constant_(gate, 0.5)  # a closed gate lets nothing through
    assert model.depth is not None
    image = model(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).generated
    (image * torch.randn_like(image)).sum().backward()
    untouched = {n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0}
    # softmax over pixels does not see a map's bias, F_d's coarse heads serve stage 1 alone, and before training the
    # frames of both images are the same, so that their bias cancels
    heads = {f"depth.decoder.heads.{scale}.conv.{part}" for scale in (1, 2, 3) for part in ("weight", "bias")}
    assert untouched - {"keypoints.heatmap.bias", "keypoints.jacobian.conv.bias"} == heads


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"keypoints": KeypointConfig(modality=Modality.RGBD)}, "RGB-D keypoints need a depth network"),
        ({"generator": GeneratorConfig(refine=AttentionConfig())}, "cross-modal attention needs a depth network"),
        ({"motion": MotionConfig(local_motion="affine")}, "affine local motion needs jacobians"),
        ({"motion": MotionConfig(pixels="mixed")}, "must have the same pixels"),
        (
            {"keypoints": KeypointConfig(num_keypoints=16), "face": FaceConfig()},
            "face needs 17 keypoints or more",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(TalkingHeadConfig(), **parts)

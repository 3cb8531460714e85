"""Pictures of a run."""

from pathlib import Path

import torch
from PIL import Image

from dagan.models.talking_head import TalkingHead
from dagan.training.panels import PANEL_SIDE, generation_panel, panel_row


def test_a_panel_shows_everything_that_made_the_picture(tiny_model: TalkingHead) -> None:
    source, driving = (tiny_model.view(torch.rand(1, 3, 64, 64)) for _ in range(2))
    rendering = tiny_model.render(source, driving.keypoints, with_attention=True)
    whole = panel_row(source, driving, rendering)
    assert list(whole) == [
        "source",
        "driving",
        "depth",
        "source keypoints",
        "driving keypoints",
        "flow",
        "occlusion",
        "warped",
        "attention at x",
        "generated",
    ]
    flat = panel_row(source._replace(depth=None), driving, rendering._replace(attention=None))
    assert whole.keys() - flat.keys() == {"depth", "attention at x"}


def test_a_panel_of_two_pairs_has_two_rows(tmp_path: Path, tiny_model: TalkingHead) -> None:
    generation_panel(tiny_model, torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), tmp_path / "panel.png")
    width, height = Image.open(tmp_path / "panel.png").size
    assert width >= 10 * PANEL_SIDE
    assert 2 * PANEL_SIDE < height < 3 * PANEL_SIDE

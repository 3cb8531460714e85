"""`dagan bench train` on the smallest step there is."""

import json

import pytest

from dagan.cli.main import main

SMALL = ["bench", "train", "--preset", "lite", "--size", "64", "--batch", "2", "--rounds", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch, tiny_config):
    """The tiny model under lite's name, and a VGG to match."""
    from dagan.nn import vgg
    from dagan.presets import PRESETS

    monkeypatch.setitem(PRESETS, "lite", tiny_config)
    monkeypatch.setattr(vgg, "VGG_19", (4, vgg.POOL, 4))


def test_the_report_has_both_steps_their_ratio_and_the_share_of_each_network(capsys) -> None:
    assert main([*SMALL, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["samples_per_second"] == pytest.approx(2 / report["step_seconds"])
    assert report["ratio"] == pytest.approx(report["straightforward_seconds"] / report["step_seconds"])
    assert {"depth (F_d)", "keypoints (F_kp)", "motion", "decoder", "perceptual loss (VGG)", "optimisers"} <= set(
        report["shares"]
    )
    assert sum(share["share"] for share in report["shares"].values()) == pytest.approx(1)
    assert report["shares"]["depth (F_d)"]["backward_seconds"] == 0  # frozen
    assert min(report["shares"][name]["backward_seconds"] for name in ("keypoints (F_kp)", "motion", "decoder")) > 0
    assert report["peak_memory_bytes"] > 2**20
    assert report["data_wait_seconds"] is None


def test_the_text_says_the_same(capsys) -> None:
    assert main([*SMALL, "--recipe", "paper", "--no-straightforward", "--precision", "fp32"]) == 0
    out = capsys.readouterr().out
    assert "lite, 64 px, batch 2, float32" in out
    assert "samples/s" in out
    assert "discriminator" in out
    assert "ratio" not in out


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--preset", "dagen"], "unknown preset 'dagen'"),
        (["--recipe", "cake"], "unknown recipe 'cake'"),
        (["--size", "100"], "multiple of 32"),
        (["--batch", "0"], "--batch is 0"),
        (["--perceptual", "absent.pth"], "perceptual network not found: absent.pth"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(more, complaint, capsys) -> None:
    assert main([*SMALL, *more]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1

"""`dagan import`: published checkpoints become model files that every command takes, and nothing else happens."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import dagan
import published
from dagan.cli.main import main
from dagan.models.weights import load_config, load_depth, load_discriminator, read_metadata
from dagan.presets import DAGAN_RELEASED

# Means of prediction, background mask, occlusion and warped source, and the prediction's deviation, of narrow
# rule-filled checkpoints, when full-size ones equalled the published results (tests/released/test_released_*.py).
TINY = {
    "dagan": (0.61747, 0.21121, 0.46836, 0.29581, 0.08387),
    "spade": (0.40243, 0.21121, 0.46836, 0.29581, 0.20747),
    "fomm": (0.63003, 0.21274, 0.42905, 0.50098, 0.09058),
}


@pytest.fixture
def imports(tmp_path, capsys):
    """Runs `dagan import` on what the test wrote; gives the model file, or the line that says what is wrong."""

    def run(*words: object) -> Path | str:
        output = tmp_path / "model.safetensors"
        before = sorted(tmp_path.iterdir())
        code = main(["import", *map(str, words), "-o", str(output)])
        printed = capsys.readouterr()
        if code == 0:
            assert printed.err == ""
            assert printed.out.startswith(f"{output}: ")
            return output
        assert code == 2
        assert printed.out == ""
        assert printed.err.startswith("dagan: error: ")
        assert printed.err.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before
        return printed.err

    return run


def files_of(kind: str, folder: Path, **form) -> list[object]:
    path = published.write_published(folder, kind, **form)
    return [path] if kind == "fomm" else [path, "--depth", *published.write_published_depth(folder)]


def pictures() -> torch.Tensor:
    """Source and driving, `1 3 64 64` each: smooth, so that motion shows and rounding does not."""
    y, x = torch.meshgrid(torch.linspace(0, 6.3, 64), torch.linspace(0, 6.3, 64), indexing="ij")
    waves = [torch.stack([(x + phase).sin(), (y - phase).cos(), (x + y + phase).sin()]) for phase in (0.0, 0.4)]
    return (torch.stack(waves)[:, None] + 1) / 2


@pytest.mark.parametrize("kind", ["dagan", "spade", "fomm"])
@pytest.mark.parametrize("form", [{}, {"prefix": "module."}, {"zipped": False}], ids=["plain", "module", "legacy"])
def test_a_checkpoint_in_any_form_becomes_the_same_model(kind, form, tmp_path, imports):
    model = dagan.load(imports(*files_of(kind, tmp_path, **form)))
    source, driving = pictures()
    with torch.inference_mode():
        rendering = model(source, driving)
    whole = rendering.generated, rendering.mask[:, 0], rendering.occlusion, rendering.warped
    found = torch.stack([*(value.mean() for value in whole), rendering.generated.std()])
    torch.testing.assert_close(found, torch.tensor(TINY[kind]), atol=1e-4, rtol=0)


def test_the_interface_that_users_have(tmp_path, imports):
    model = dagan.load(imports(*files_of("dagan", tmp_path)))
    source, driving = pictures()
    with torch.inference_mode():
        s, d = model.view(source), model.view(driving)
        r = model.render(s, d.keypoints, with_attention=True)
        moved = dagan.transfer(s.keypoints, d.keypoints, d.keypoints, relative=True, adapt_scale=True)
        again = model.render(s, s.keypoints)
    assert s.depth.shape == (1, 1, 64, 64)
    assert 0 < s.depth.min() < s.depth.max() < 1
    assert (s.keypoints.position.shape, s.keypoints.jacobian.shape) == ((1, 3, 2), (1, 3, 2, 2))
    assert (r.generated.shape, r.flow.shape) == ((1, 3, 64, 64), (1, 16, 16, 2))
    assert (r.mask.shape, r.occlusion.shape, r.attention.shape) == ((1, 4, 16, 16), (1, 1, 16, 16), (1, 256, 256))
    assert again.attention is None
    torch.testing.assert_close(moved.position, s.keypoints.position)


def test_the_file_says_what_it_is_and_where_it_comes_from(tmp_path, imports):
    words = files_of("dagan", tmp_path)
    metadata = read_metadata(imports(*words))
    assert metadata["published"] == "dagan_released"
    assert metadata["imported_by"] == f"dagan {dagan.__version__}"
    sources = [path for path in words if isinstance(path, Path)]
    assert json.loads(metadata["imported_from"]) == [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in sources
    ]


@pytest.mark.parametrize(("sampling", "pixels"), [(None, "mixed"), ("edges", "mixed"), ("aligned", "corners")])
def test_the_meaning_of_sampling_is_a_value_of_the_model(sampling, pixels, tmp_path, imports):
    path = imports(*files_of("fomm", tmp_path), *(["--sampling", sampling] if sampling else []))
    config = load_config(path)
    assert (config.keypoints.pixels, config.motion.pixels, config.generator.pixels) == (pixels,) * 3
    judge, _ = load_discriminator(path)
    assert judge.pixels == pixels


def test_the_two_samplings_give_different_pictures(tmp_path, imports):
    words, (source, driving) = files_of("fomm", tmp_path), pictures()
    results = []
    for sampling in ("edges", "aligned"):
        model = dagan.load(imports(*words, "--sampling", sampling))
        with torch.inference_mode():
            results.append(model(source, driving).warped)
    assert (results[0] - results[1]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["dagan", "spade", "fomm"])
def test_the_discriminator_stays_in_the_file_and_out_of_the_model(kind, tmp_path, imports):
    path = imports(*files_of(kind, tmp_path))
    assert not [name for name in dagan.load(path).state_dict() if name.startswith("discriminator")]
    config, judge = load_discriminator(path)
    assert (config.num_keypoints, config.spectral) == ((0, True) if kind == "fomm" else (3, False))
    name = "discs.1.down_blocks.2.norm.weight"
    wanted = published.filled(published.shapes_of_kind(kind, published.NARROW)["discriminator"])[name]
    assert torch.equal(judge.blocks[2].norm.weight, wanted)


def test_a_checkpoint_without_discriminator_has_none(tmp_path, imports):
    path, *depth = files_of("dagan", tmp_path)
    content = torch.load(path, weights_only=True)
    torch.save({name: content[name] for name in ("generator", "kp_detector")}, path)
    assert load_discriminator(imports(path, *depth)) is None


@pytest.mark.parametrize("layers", [18, 50])
def test_the_depth_network_alone_is_one_for_training_and_no_talking_head(layers, tmp_path, imports):
    files = published.write_published_depth(tmp_path, layers)
    path = imports("--depth", *files)
    disparity = load_depth(path)(pictures()[0])
    assert disparity.shape == (1, 1, 64, 64)
    with pytest.raises(dagan.errors.UserError, match="depth"):
        dagan.load(path)


def test_an_imported_model_animates(tmp_path, imports, portrait, driving, capsys):
    model = imports(*files_of("dagan", tmp_path))
    words = ["--model", model, "--size", 64, "--crop", "none", "--device", "cpu", "--adapt-scale"]
    assert main(["animate", *map(str, [portrait, driving, "-o", tmp_path / "out.mp4", *words])]) == 0
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_what_is_wrong_is_said_in_one_line_and_leaves_nothing(tmp_path, imports):
    path, *depth = files_of("dagan", tmp_path)
    assert "add --depth ENCODER.pth DEPTH.pth" in imports(path)
    assert "nothing to import" in imports()
    assert "no such file" in imports(tmp_path / "absent.pth.tar")
    _, deep = published.write_published_depth(tmp_path, 50)
    assert "encoder.pth is ResNet-18, depth.pth is for ResNet-50" in imports(path, "--depth", depth[1], deep)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pth")
    assert "of another project" in imports(tmp_path / "other.pth")
    content = torch.load(path, weights_only=True)
    content["kp_detector"]["jacobian.bias"] = torch.zeros(5)
    torch.save(content, path)
    assert "kp_detector jacobian.bias is 5, expected 12" in imports(path, *depth)
    path.write_bytes(path.read_bytes()[:5000])
    assert "truncated" in imports(path, *depth)


def test_code_in_a_checkpoint_is_not_run(tmp_path, imports):
    class Toucher:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'was_run'}",)

    path, *depth = files_of("dagan", tmp_path)
    torch.save(torch.load(path, weights_only=True) | {"epoch": Toucher()}, path)
    assert "would run code" in imports(path, *depth)
    assert not (tmp_path / "was_run").exists()


def test_an_old_model_stays_when_the_import_fails_and_no_input_is_replaced(tmp_path, imports):
    path, *depth = files_of("dagan", tmp_path)
    (tmp_path / "model.safetensors").write_text("old")
    imports(path)
    assert (tmp_path / "model.safetensors").read_text() == "old"
    checkpoint = path.rename(tmp_path / "model.safetensors")
    before = checkpoint.read_bytes()
    assert "would replace" in imports(checkpoint, *depth)
    assert checkpoint.read_bytes() == before


def test_tied_weights_and_numpy_numbers_are_imported(tmp_path, imports):
    path, *depth = files_of("dagan", tmp_path)
    content = torch.load(path, weights_only=True)
    state = content["generator"]
    state["down_blocks.0.norm.bias"] = state["down_blocks.0.norm.weight"]
    torch.save({**content, "best_loss": np.float64(0.25), "epoch": np.int64(99)}, path)
    model = dagan.load(imports(path, *depth))
    norm = model.generator.encoder.down[0].norm
    assert torch.equal(norm.weight, norm.bias)


def test_a_checkpoint_of_a_diverged_training_is_refused(tmp_path, imports):
    path, *depth = files_of("dagan", tmp_path)
    content = torch.load(path, weights_only=True)
    content["generator"]["final.bias"][0] = float("nan")
    torch.save(content, path)
    assert "NaN or infinity" in imports(path, *depth)


@pytest.mark.parametrize("output", ["nowhere/model.safetensors", "folder"])
def test_an_output_that_cannot_be_is_named(output, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert main(["import", str(published.write_published(tmp_path, "fomm")), "-o", str(tmp_path / output)]) == 2
    assert output.split("/")[0] in capsys.readouterr().err


def test_the_full_size_is_the_default_preset(tmp_path, imports):
    config = load_config(imports(*files_of("dagan", tmp_path)))
    assert config.keypoints.resize == DAGAN_RELEASED.keypoints.resize
    assert config.generator.refine == DAGAN_RELEASED.generator.refine

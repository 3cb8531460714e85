from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.model_systems import ModelFile, ModelSystem
from dagan.evaluation.pairs import RELATIVE
from dagan.evaluation.systems import PairImages
from dagan.images import to_pixels, to_tensor
from dagan.inference.animator import Animator

ANN = Clip(Path("ann.mp4"), "ann", "ann")
BOB = Clip(Path("bob.mp4"), "bob", "bob")
SIDE = 64


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def pair(driving: Frame, rest: int | None = None) -> ReenactmentPair:
    return ReenactmentPair("key", Frame(ANN, 0), driving, Frame(driving.clip, rest) if rest is not None else None)


def system(model, motion="absolute", **choices) -> ModelSystem:
    mode, rest = "relative" if motion in RELATIVE else "absolute", "best" if motion == "from best" else "first"
    return ModelSystem(
        Animator(model, **{"runtime": "torch", "precision": "fp32", **choices}, motion=mode, rest=rest), motion
    )


@pytest.fixture
def clip(tmp_path):
    """Bob's clip: a folder of frames, of which one looks like the source."""
    frames = pictures(5, seed=1)
    frames[3] = pictures(1)[0]
    (tmp_path / "bob__c0").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "bob__c0" / f"{number}.png")
    return Clip(tmp_path / "bob__c0", "bob", "bob__c0"), frames


def test_a_talking_head_encodes_a_source_once_and_gives_what_the_model_gives(tiny_model, monkeypatch):
    calls = []
    encode = tiny_model.encode
    monkeypatch.setattr(tiny_model, "encode", lambda view: calls.append(1) or encode(view))
    source, first, second = pictures(3)
    found = system(tiny_model, "registered")
    for driving in (first, second):
        generated = found.generate(pair(Frame(ANN, 1)), PairImages(source, driving))
        with torch.inference_mode():
            expected = to_pixels(tiny_model(to_tensor(source), to_tensor(driving)).generated)
        assert np.array_equal(generated, expected)
    assert len(calls) == 1 + 2  # one of the system, two of the calls above


def test_the_background_is_moved_only_in_registered_motion(tiny_model):
    blobs = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(blobs).resize((72, 72), Image.Resampling.BICUBIC))
    frames = PairImages(wide[:64, :64], wide[:64, 8:])
    source, driving = (to_tensor(frame) for frame in frames[:2])
    with torch.inference_mode():
        followed = to_pixels(tiny_model(source, driving).generated)
        still = to_pixels(tiny_model.render(tiny_model.view(source), tiny_model.view(driving).keypoints).generated)
    assert not np.array_equal(followed, still)
    assert np.array_equal(system(tiny_model, "registered").generate(pair(Frame(ANN, 1)), frames), followed)
    assert np.array_equal(system(tiny_model).generate(pair(Frame(ANN, 1)), frames), still)


def test_relative_motion_is_what_the_animator_makes_of_the_whole_clip(tiny_model, clip):
    driver, frames = clip
    source, found = pictures(1)[0], system(tiny_model, "from best")
    animator = Animator(tiny_model, "torch", "fp32")
    animator.set_source(source)
    expected = list(animator.from_motion(animator.watch(list(frames), Fraction(25))))
    assert found.rest_frame(pair(Frame(driver, 1)), source) == 3
    for number in (1, 4, 3):
        images = PairImages(source, frames[number], frames[3])
        assert np.array_equal(found.generate(pair(Frame(driver, number), rest=3), images), expected[number])


@pytest.mark.parametrize("motion", ["from first", "from source"])
def test_relative_motion_from_a_known_frame_is_a_stream_that_begins_there(tiny_model, clip, motion):
    driver, frames = clip
    source = pictures(1)[0]
    rest = source if motion == "from source" else frames[0]
    animator = Animator(tiny_model, "torch", "fp32")
    animator.set_source(source)
    expected = list(animator.stream([rest, frames[2]]))[1]
    images = PairImages(source, frames[2], rest)
    assert np.array_equal(system(tiny_model, motion).generate(pair(Frame(driver, 2), rest=0), images), expected)


def test_a_driving_clip_is_watched_once_for_all_its_pairs(tiny_model, clip, monkeypatch):
    driver, frames = clip
    watch, calls = Animator.watch, []
    monkeypatch.setattr(Animator, "watch", lambda *given: calls.append(1) or watch(*given))
    found = system(tiny_model, "from best")
    for source in pictures(2):
        found.rest_frame(pair(Frame(driver, 1)), source)
        found.generate(pair(Frame(driver, 1), rest=3), PairImages(source, frames[1], frames[3]))
    assert len(calls) == 1


def test_another_runtime_cannot_move_the_background(tiny_model):
    frames = PairImages(*pictures(2))
    with pytest.raises(UserError, match="--motion registered needs PyTorch in float32"):
        system(tiny_model, "registered", runtime="openvino").generate(pair(Frame(ANN, 1)), frames)


def test_what_computes_is_part_of_a_model_files_name_and_fingerprint():
    plain, fast = ModelFile(), ModelFile(runtime="openvino", precision="int8")
    assert [model.name for model in (plain, fast)] == ["bundled weights", "bundled weights, openvino int8"]
    assert plain.fingerprint() != fast.fingerprint()

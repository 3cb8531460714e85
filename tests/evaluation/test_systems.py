from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.systems import GeneratedFolder, ModelSystem, OtherPerson, PairImages, blurred
from dagan.images import to_pixels, to_tensor
from media import write_video

CLIP = Clip(Path("ann.mp4"), "ann", "ann")
PICTURE = np.zeros((64, 64, 3), np.uint8)
PAIR = PairImages(PICTURE, PICTURE)


def pair(key="000001", driving=0):
    return ReenactmentPair(key, Frame(CLIP, 0), Frame(CLIP, driving))


def flat(value, side=64):
    return np.full((side, side, 3), value, np.uint8)


def test_an_image_of_the_key_is_found_whatever_its_suffix_and_size(tmp_path):
    Image.fromarray(flat(90, side=128)).save(tmp_path / "000001.png")
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    assert np.array_equal(files.generate(pair(), PAIR), flat(90))
    assert files.generate(pair("000002"), PAIR) is None


def test_a_video_gives_the_frame_of_the_driving_frame_and_nothing_past_its_end(tmp_path):
    write_video(tmp_path / "000001.mp4", [flat(40 * n) for n in range(4)])
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    means = [files.generate(pair(driving=n), PAIR).mean() for n in (0, 3, 1)]
    assert means == pytest.approx([0, 120, 40], abs=3)
    assert files.generate(pair(driving=4), PAIR) is None


def test_a_folder_of_frames_does_as_a_video(tmp_path):
    (tmp_path / "000001").mkdir()
    for n in range(3):
        Image.fromarray(flat(n)).save(tmp_path / "000001" / f"{n}.png")
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    assert files.generate(pair(driving=2), PAIR).max() == 2


def test_the_fingerprint_follows_the_files(tmp_path):
    folder = GeneratedFolder(path=str(tmp_path), size=64)
    before = folder.fingerprint()
    Image.fromarray(flat(1)).save(tmp_path / "a.png")
    assert folder.fingerprint() != before


def test_a_missing_folder_is_named():
    with pytest.raises(UserError, match="no such folder of generated images: absent"):
        GeneratedFolder(path="absent", size=64).build()


def test_a_talking_head_encodes_a_source_once_and_gives_what_the_model_gives(tiny_model, monkeypatch):
    calls = []
    encode = tiny_model.encode
    monkeypatch.setattr(tiny_model, "encode", lambda view: calls.append(1) or encode(view))
    source, first, second = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    system = ModelSystem(tiny_model)
    for driving in (first, second):
        generated = system.generate(pair(), PairImages(source, driving))
        with torch.inference_mode():
            expected = to_pixels(tiny_model(to_tensor(source), to_tensor(driving)).generated)
        assert np.array_equal(generated, expected)
    assert len(calls) == 1 + 2  # one of the system, two of the calls above


def test_the_background_is_moved_between_frames_of_one_clip_only_and_only_when_it_may(tiny_model):
    blobs = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(blobs).resize((72, 72), Image.Resampling.BICUBIC))
    frames = PairImages(wide[:64, :64], wide[:64, 8:])
    source, driving = (to_tensor(frame) for frame in frames[:2])
    with torch.inference_mode():
        followed = to_pixels(tiny_model(source, driving).generated)
        still = to_pixels(tiny_model.render(tiny_model.view(source), tiny_model.view(driving).keypoints).generated)
    one_clip = pair()
    other = one_clip.driving._replace(clip=Clip(Path("bob.mp4"), "bob", "bob"))
    two_clips = one_clip._replace(driving=other)

    system = ModelSystem(tiny_model)

    assert not np.array_equal(followed, still)
    assert np.array_equal(system.generate(one_clip, frames), followed)
    assert np.array_equal(system.generate(two_clips, frames), still)
    assert np.array_equal(ModelSystem(tiny_model, still_background=True).generate(one_clip, frames), still)


def test_relative_motion_from_rest_to_rest_leaves_the_source_where_it_is(tiny_model):
    source, driving = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    system = ModelSystem(tiny_model)
    still = system.generate(pair(), PairImages(source, source))
    assert np.array_equal(system.generate(pair(), PairImages(source, driving, rest=driving)), still)
    assert not np.array_equal(system.generate(pair(), PairImages(source, driving)), still)


def test_motion_is_counted_from_the_frame_most_like_the_source(tiny_model):
    source, *others = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    assert ModelSystem(tiny_model).rest(pair(), source, [*others, source]) == 3
    assert ModelSystem(tiny_model).rest(pair(), source, [source, *others]) == 0


def test_relative_motion_is_refused_for_a_model_of_images(tiny_model):
    system = ModelSystem(lambda source, driving: tiny_model(source, driving))
    with pytest.raises(UserError, match="relative motion needs a model with keypoints"):
        system.generate(pair(), PairImages(PICTURE, PICTURE, rest=PICTURE))


def test_another_person_is_neither_of_the_two(tmp_path):
    clips = []
    for number, name in enumerate(("ann__0", "bob__0", "cay__0")):
        (tmp_path / name).mkdir()
        Image.fromarray(flat(number)).save(tmp_path / name / "0.png")
        clips.append(Clip(tmp_path / name, name[:3], name))
    other = OtherPerson(clips, 64)
    frames = [Frame(clip, 0) for clip in clips]
    assert other.generate(ReenactmentPair("x", frames[0], frames[1]), PAIR).max() == 2
    assert other.generate(ReenactmentPair("y", frames[2], frames[2]), PAIR).max() == 0
    with pytest.raises(UserError, match="one person only"):
        OtherPerson(clips[:1], 64).generate(ReenactmentPair("z", frames[0], frames[0]), PAIR)


def test_a_blur_keeps_the_brightness_and_loses_the_edges(portrait):
    soft = blurred(portrait)
    assert soft.mean() == pytest.approx(portrait.mean(), abs=1)
    edges = [np.abs(np.diff(image.astype(int), axis=1)).mean() for image in (soft, portrait)]
    assert edges[0] < 0.5 * edges[1]

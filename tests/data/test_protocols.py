from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import Clip, find_clips
from dagan.data.protocols import (
    ReenactmentPair,
    chosen_frames,
    clip_pairs,
    count_frames,
    cross_identity_pair,
    cross_identity_partners,
)
from dagan.errors import UserError

CLIP = Clip(Path("somebody__c00.mp4"), "somebody", "somebody__c00")


def frame_folder(path: Path, num_frames: int) -> None:
    """A clip as a folder of frames; the brightness of a frame is its index."""
    path.mkdir()
    for index in range(num_frames):
        Image.new("RGB", (16, 16), (index, index, index)).save(path / f"{index:03}.png")


def numbers(pairs: list[ReenactmentPair]) -> list[tuple[int, int]]:
    """The frames' numbers of pairs of one clip."""
    return [(pair.source.number, pair.driving.number) for pair in pairs]


def test_frames_of_a_pair_are_far_enough_apart_and_inside_the_clip():
    for source, driving in numbers(clip_pairs(CLIP, 40, 200, min_gap=15)):
        assert abs(source - driving) >= 15
        assert 0 <= min(source, driving) < max(source, driving) < 40


def test_every_allowed_pair_is_drawn_once_when_all_are_asked_for():
    drawn = numbers(clip_pairs(CLIP, 12, 10_000, min_gap=4))
    assert sorted(drawn) == [(a, b) for a in range(12) for b in range(12) if abs(a - b) >= 4]


def test_no_pair_is_drawn_much_more_often_than_others():
    counts: dict[tuple[int, int], int] = {}
    for seed in range(600):
        for pair in numbers(clip_pairs(CLIP, 6, 1, min_gap=4, seed=seed)):
            counts[pair] = counts.get(pair, 0) + 1
    assert len(counts) == 6  # (0, 4) (0, 5) (1, 5) and their reverses, 100 times each
    assert min(counts.values()) > 60


@pytest.mark.parametrize(("num_frames", "expected"), [(15, 0), (16, 2), (17, 6)])
def test_short_clips_give_what_they_have(num_frames, expected):
    assert len(clip_pairs(CLIP, num_frames, 100, min_gap=15)) == expected


def test_the_list_is_the_same_every_time_and_another_for_another_seed():
    draws = [numbers(clip_pairs(CLIP, 300, 5, seed=seed)) for seed in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]


def test_a_stored_list_stays_what_it_was():
    """Guards published numbers: another list for the same seed would make them incomparable."""
    assert numbers(clip_pairs(CLIP, 100, 3)) == [(82, 99), (4, 72), (91, 36)]


def test_the_frames_read_are_those_asked_for(tmp_path):
    frame_folder(tmp_path / "ann__c0", 20)
    (clip,) = find_clips(tmp_path)
    chosen = dict(chosen_frames(clip, [7, 19, 0]))
    assert count_frames(clip) == 20
    assert {index: int(frame.mean()) for index, frame in chosen.items()} == {0: 0, 7: 7, 19: 19}
    assert all(frame.dtype == np.uint8 for frame in chosen.values())


def test_a_frame_that_is_not_there_is_named(tmp_path):
    frame_folder(tmp_path / "ann__c0", 4)
    (clip,) = find_clips(tmp_path)
    with pytest.raises(UserError, match="no frame 4"):
        dict(chosen_frames(clip, [1, 4]))


def people(*names: str) -> list[Clip]:
    return [Clip(Path(f"{name}.mp4"), name.split("__")[0], name) for name in names]


def test_cross_identity_partners_are_other_people_none_twice():
    clips = people("ann__0", "ann__1", "bob__0", "bob__1", "cay__0")
    partners = cross_identity_partners(clips[0], clips, 3, seed=1)
    assert {partner.identity for partner in partners} == {"bob", "cay"}
    assert len(set(partners)) == 3
    assert len(cross_identity_partners(clips[0], clips, 10)) == 3


def test_a_person_with_many_clips_is_drawn_no_more_than_another():
    clips = people("ann__0", *(f"bob__{n}" for n in range(20)), "cay__0")
    drawn = [cross_identity_partners(clips[0], clips, 1, seed=seed)[0].identity for seed in range(200)]
    assert 70 < drawn.count("cay") < 130


def test_cross_identity_frames_lie_in_their_clips_and_follow_the_seed(tmp_path):
    for name, count in (("ann__c0", 3), ("bob__c0", 9)):
        frame_folder(tmp_path / name, count)
    ann, bob = find_clips(tmp_path)
    pairs = [cross_identity_pair(ann, bob, seed) for seed in range(40)]
    assert {(pair.source.clip, pair.driving.clip) for pair in pairs} == {(ann, bob)}
    drawn = numbers(pairs)
    assert {first for first, _ in drawn} == {0, 1, 2}
    assert max(second for _, second in drawn) > 3
    assert all(second < 9 for _, second in drawn)
    assert pairs == [cross_identity_pair(ann, bob, seed) for seed in range(40)]

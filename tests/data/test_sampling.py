from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dagan.data.clips import Clip, ClipFrames
from dagan.data.sampling import ConsecutiveFrames, SourceDrivingPairs
from dagan.errors import UserError


def _clip(identity, name, num_frames, value):
    """Frame t of a clip is all (value, t, 0), so that a sample shows where it comes from."""
    frames = np.zeros((num_frames, 8, 8, 3), np.uint8)
    frames[..., 0], frames[..., 1] = value, np.arange(num_frames)[:, None, None]
    frames[:, :, :4, 2] = 255  # the left half is blue
    return ClipFrames(frames, Clip(Path(name), identity, name))


@pytest.fixture
def clips():
    return [_clip("ann", "a1", 10, 0), _clip("ann", "a2", 10, 1), _clip("bob", "b", 7, 2), _clip("eve", "e", 2, 3)]


def _same(a, b):
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True))


def test_a_pair_is_two_different_frames_of_one_clip_and_says_which(clips):
    for pair in iter(SourceDrivingPairs(clips, 200, seed=0, augmentation=None)):
        assert pair.source_index != pair.driving_index
        assert not pair.flipped
        for frame, index in ((pair.source, pair.source_index), (pair.driving, pair.driving_index)):
            assert frame.shape == (3, 8, 8)
            assert frame.dtype == torch.float32
            assert (frame[:2, 0, 0] * 255).round().tolist() == [pair.clip_index, index]
            assert frame[2].max() == 1


@pytest.mark.parametrize(("kind", "candidates"), [("expressions", 4), ("turns", 8)])
def test_every_third_pair_takes_the_most_different_of_some_frames(clips, kind, candidates):
    changes = [np.zeros((len(clip), 3), np.float32) for clip in clips]
    changes[2][5] = 1  # bob blinks, or looks away, in one frame of seven
    changes[2][6] = np.nan  # and is not found in another
    plain = [pair for pair in SourceDrivingPairs(clips, 3000, seed=0, augmentation=None) if pair.clip_index == 2]
    pairs = SourceDrivingPairs(clips, 3000, seed=0, augmentation=None, changes={kind: changes})
    lively = [pair for pair in pairs if pair.clip_index == 2]

    def share(found):
        return np.mean([pair.driving_index == 5 for pair in found if pair.source_index != 5])

    assert share(plain) == pytest.approx(1 / 6, abs=0.04)
    assert share(lively) == pytest.approx(2 / 3 / 6 + (1 - (5 / 6) ** candidates) / 3, abs=0.05)
    assert all(pair.source_index != pair.driving_index for pair in lively)


@pytest.mark.parametrize("repeats", [1, 4])
def test_each_epoch_visits_each_person_as_often_as_asked(clips, repeats):
    pairs = SourceDrivingPairs(clips, 10 * repeats * 3, seed=0, augmentation=None, repeats=repeats)
    people = [clips[pair.clip_index].clip.identity for pair in pairs]
    assert pairs.epoch_length == 3 * repeats
    epochs = [people[start : start + 3 * repeats] for start in range(0, len(people), 3 * repeats)]
    assert all(Counter(epoch) == {"ann": repeats, "bob": repeats, "eve": repeats} for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1  # each in an order of its own


def test_a_visit_shows_any_clip_of_the_person(clips):
    pairs = SourceDrivingPairs(clips, 1500, seed=0, augmentation=None)
    counts = Counter(pair.clip_index for pair in pairs)
    assert counts[0] == pytest.approx(250, abs=50)
    assert counts[0] + counts[1] == counts[2] == counts[3] == 500


def test_visits_of_triples_go_to_those_with_enough_frames(clips):
    triples = ConsecutiveFrames(clips, 40, seed=0, augmentation=None, repeats=2)
    people = ["bob" if round(float(triple.frame[0, 0, 0] * 255)) == 2 else "ann" for triple in triples]
    epochs = [people[start : start + 4] for start in range(0, 40, 4)]
    assert all(Counter(epoch) == {"ann": 2, "bob": 2} for epoch in epochs)


def test_no_visits_at_all_are_refused(clips):
    with pytest.raises(UserError, match="1 or more"):
        SourceDrivingPairs(clips, 5, seed=0, repeats=0)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", [SourceDrivingPairs, ConsecutiveFrames])
def test_a_cut_run_with_any_number_of_workers_and_processes_makes_the_same_samples(clips, kind, workers):
    whole = kind(clips, 60, seed=7, repeats=2)
    for world in (1, 2):
        for rank in range(world):
            indices = range(20 + rank, 44, world)  # over the borders of epochs
            loader = DataLoader(kind(clips, 44, seed=7, repeats=2), sampler=indices, batch_size=2, num_workers=workers)
            samples = [tuple(field[k] for field in batch) for batch in loader for k in range(2)]
            for index, sample in zip(indices, samples, strict=True):
                expected = tuple(torch.as_tensor(field) for field in whole[index])
                assert all(torch.equal(got, field) for got, field in zip(sample, expected, strict=True))


@pytest.mark.parametrize("kind", [SourceDrivingPairs, ConsecutiveFrames])
def test_an_item_depends_on_seed_and_index_only(clips, kind):
    first, longer, other = kind(clips, 20, seed=3), kind(clips, 2000, seed=3), kind(clips, 20, seed=4)
    _ = longer[1500], torch.rand(5), np.random.rand(5)  # nothing that was drawn in between matters
    assert all(_same(first[index], longer[index]) for index in range(20))
    assert not all(_same(first[index], other[index]) for index in range(20))
    assert not all(_same(first[0], first[index]) for index in range(1, 20))


def test_augmentation_is_the_same_on_both_frames(clips):
    flat = [_clip("ann", "a", 5, 120)]
    flat[0].frames[..., 1] = 60  # all frames equal: only the augmentation could tell them apart
    flips = set()
    for pair in iter(SourceDrivingPairs(flat, 40, seed=0)):
        assert torch.equal(pair.source, pair.driving)
        blue_is_left = bool(pair.source[2, :, 0].mean() > pair.source[2, :, -1].mean())
        assert blue_is_left != pair.flipped
        flips.add(pair.flipped)
    assert flips == {True, False}


def test_neighbours_lie_one_gap_before_and_after(clips):
    gaps = set()
    for triple in iter(ConsecutiveFrames(clips, 300, seed=0, gaps=(1, 2, 4), augmentation=None)):
        before, middle, after = (
            round(float(x[1, 0, 0] * 255)) for x in (triple.neighbours[0], triple.frame, triple.neighbours[1])
        )
        assert middle - before == after - middle
        gaps.add((round(float(triple.frame[0, 0, 0] * 255)), middle - before))
    assert {gap for clip, gap in gaps if clip == 0} == {1, 2, 4}
    assert {gap for clip, gap in gaps if clip == 2} == {1, 2}  # 7 frames have no room for 4
    assert not [gap for clip, gap in gaps if clip == 3]  # 2 frames have no room at all


def test_clips_that_are_all_too_short_are_refused():
    with pytest.raises(UserError, match="3 frames"):
        ConsecutiveFrames([_clip("eve", "e", 2, 0)], 10, seed=0)


def test_an_index_past_the_end_is_refused(clips):
    with pytest.raises(IndexError):
        SourceDrivingPairs(clips, 5, seed=0)[5]


def test_a_loader_makes_batches_with_their_names(clips):
    batch = next(iter(DataLoader(SourceDrivingPairs(clips, 8, seed=0), batch_size=4)))
    assert batch.source.shape == batch.driving.shape == (4, 3, 8, 8)
    assert batch.clip_index.shape == (4,)
    assert batch.flipped.dtype == torch.bool

"""Pairs of frames with their landmarks, as stage 2 learns from them."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from dagan.data.landmarks import FaceLandmarks, LandmarkTracks
from dagan.data.sampling import SourceDrivingPairs
from dagan.losses.values import PairBatch
from dagan.training.batches import to_device
from dagan.training.pair_dataset import PairDataset
from parts import face_clips

CPU = torch.device("cpu")


def test_pairs_come_with_the_landmarks_of_both_frames_mirrored_like_them(tmp_path: Path) -> None:
    clips = face_clips(1)
    landmarks = np.random.default_rng(0).uniform(-1, 1, (6, 478, 2)).astype(np.float16)
    np.savez(
        tmp_path / f"{clips[0].clip.name}.npz",
        landmarks=landmarks,
        found=np.array([True] * 5 + [False]),
        blendshapes=np.zeros((6, 52)),
    )
    tracks = LandmarkTracks(clips, [tmp_path])
    pairs = SourceDrivingPairs(clips, 20, seed=0)
    samples = PairDataset(pairs, tracks)
    assert {pairs[i].flipped for i in range(20)} == {True, False}
    for i in range(20):
        pair, sample = pairs[i], samples[i]
        assert isinstance(sample, PairBatch)
        assert torch.equal(sample.source, pair.source)
        assert sample.source_landmarks is not None
        assert sample.driving_landmarks is not None
        expected = tracks.at(0, pair.driving_index, pair.flipped)
        assert torch.equal(sample.driving_landmarks.position, expected.position)
        assert bool(sample.source_landmarks.found) is (pair.source_index < 5)


def test_batches_of_pairs_are_pair_batches_with_and_without_landmarks(tmp_path: Path) -> None:
    clips = face_clips(1)
    np.savez(
        tmp_path / f"{clips[0].clip.name}.npz",
        landmarks=np.zeros((6, 478, 2)),
        found=np.ones(6, bool),
        blendshapes=np.zeros((6, 52)),
    )
    pairs = SourceDrivingPairs(clips, 4, seed=0)
    for tracks in (None, LandmarkTracks(clips, [tmp_path])):
        (batch,) = DataLoader(PairDataset(pairs, tracks), batch_size=4)
        moved = PairBatch(*to_device(batch, CPU))
        assert moved.source.shape == moved.driving.shape == (4, 3, 64, 64)
        assert moved.source.is_contiguous(memory_format=torch.channels_last)
        assert (moved.source_landmarks is None) is (tracks is None)
        if tracks is not None:
            assert isinstance(moved.driving_landmarks, FaceLandmarks)
            assert moved.driving_landmarks.position.shape == (4, 17, 2)
            assert moved.driving_landmarks.found.tolist() == [True] * 4

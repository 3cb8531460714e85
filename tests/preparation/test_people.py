import numpy as np
import pytest

from dagan.errors import UserError
from dagan.preparation.people import check_splits, group, name_people, split_people
from dagan.preparation.rows import Row


def _embeddings(people, clips, noise=0.5, seed=0):
    """Unit vectors of 128 numbers: several of each person."""
    numbers = np.random.default_rng(seed)
    centres = numbers.normal(size=(people, 128))
    found = np.repeat(centres, clips, axis=0) + noise * numbers.normal(size=(people * clips, 128))
    order = numbers.permutation(len(found))
    return (found / np.linalg.norm(found, axis=1, keepdims=True))[order], np.repeat(np.arange(people), clips)[order]


def _row(name, source="a.mp4", **more):
    return Row(name=name, source=source, **more)


@pytest.mark.parametrize("noise", [0.2, 0.6, 1.0])
def test_clips_of_one_person_are_grouped_and_those_of_two_are_not(noise):
    embeddings, truth = _embeddings(30, 6, noise)
    labels = np.array(group(embeddings))
    assert np.array_equal(labels[:, None] == labels, truth[:, None] == truth)


def test_two_groups_that_began_apart_are_joined():
    a, b = np.eye(128)[:2]
    chain = [a, b, *[(a + b) / np.sqrt(2)] * 6]
    assert len(set(group(np.array(chain)))) == 1


def test_a_name_on_the_list_wins_and_others_are_named_by_their_first_clip():
    embeddings = dict(zip("abc", _embeddings(1, 3, 0.1)[0], strict=True))
    people = name_people([_row("a"), _row("b"), _row("c", person="id1")], embeddings)
    assert people["c"] == "id1"
    assert people["a"] == people["b"] != "id1"
    assert name_people([_row("a"), _row("z", "z.mp4")], {"a": embeddings["a"]})["a"] == people["a"]


def test_without_faces_each_raw_video_is_one_person():
    people = name_people([_row("a"), _row("b"), _row("c", "c.mp4")], {})
    assert people["a"] == people["b"] != people["c"]


def test_people_who_share_a_video_are_in_one_split():
    names = [f"{number:03d}" for number in range(300)]
    rows = [_row(f"{name}{place}", f"{name}.mp4") for name in names for place in (0, 1)]
    people = {row.name: f"p{row.name}" for row in rows}
    splits = split_people(rows, people, 0.2, 0.1)
    for name in names:
        assert splits[f"p{name}0"] == splits[f"p{name}1"]
    counts = {split: list(splits.values()).count(split) / len(splits) for split in ("train", "validation", "test")}
    assert counts["validation"] == pytest.approx(0.2, abs=0.07)
    assert counts["test"] == pytest.approx(0.1, abs=0.05)


def test_a_list_that_puts_one_person_into_two_splits_is_refused():
    rows = [_row("a", split="train"), _row("b", split="test")]
    with pytest.raises(UserError, match="jane in two splits"):
        split_people(rows, {"a": "jane", "b": "jane"}, 0.1, 0.1)


def test_a_person_in_two_splits_is_noticed():
    rows = [_row("a", person="jane", split="train"), _row("b", person="jane", split="test")]
    with pytest.raises(RuntimeError, match="jane"):
        check_splits(rows)
    check_splits([rows[0], _row("b", person="jane", split="test", reason="duplicate")])

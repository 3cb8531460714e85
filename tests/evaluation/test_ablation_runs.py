"""Which process does which run, and what is kept of an ablation."""

import multiprocessing
from pathlib import Path

import pytest

from dagan.errors import UserError
from dagan.evaluation.ablation import Cell, all_cells, claimed, keep_settings, read_settings


def test_the_first_seed_of_all_comes_before_the_second_of_any():
    cells = all_cells(["a", "b"], 2)
    assert cells == [Cell("a", 0), Cell("b", 0), Cell("a", 1), Cell("b", 1)]


def test_a_run_is_done_when_it_is_trained_and_measured_twice(tmp_path):
    cell = Cell("baseline", 0)
    cell.folder(tmp_path).mkdir(parents=True)
    for name in ("trained.json", "self.json", "cross.json"):
        assert not cell.is_done(tmp_path)
        (cell.folder(tmp_path) / name).touch()
    assert cell.is_done(tmp_path)


def _try_to_claim(folder: Path, answers) -> None:
    with claimed(folder) as is_ours:
        answers.put(is_ours)


def test_what_one_process_works_at_no_other_may_claim(tmp_path):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with claimed(tmp_path) as is_ours:
        assert is_ours
        other = context.Process(target=_try_to_claim, args=(tmp_path, answers))
        other.start()
        assert answers.get(timeout=20) is False
        other.join()
    with claimed(tmp_path) as is_free_again:
        assert is_free_again


def test_settings_are_kept_and_a_change_is_named(tmp_path):
    settings = {"training": {"batch_size": 4, "objective": (("perceptual", 10.0),)}}
    keep_settings(tmp_path, settings)
    keep_settings(tmp_path, settings)
    assert read_settings(tmp_path)["training"]["batch_size"] == 4
    with pytest.raises(UserError, match=r"training\.batch_size: 4 != 8"):
        keep_settings(tmp_path, {"training": {**settings["training"], "batch_size": 8}})


def test_a_folder_without_an_ablation_is_refused(tmp_path):
    with pytest.raises(UserError, match="no ablation in"):
        read_settings(tmp_path)

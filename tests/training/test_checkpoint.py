"""Checkpoints: whole or not at all, and never code."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dagan.errors import UserError
from dagan.training.checkpoint import (
    checkpoint_path,
    load_checkpoint,
    random_state,
    read_checkpoint,
    restore_random_state,
    save_checkpoint,
    seed_everything,
)
from media import disk_full_after


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match="is damaged") as refused:
        read_checkpoint(path)
    assert "\n" not in str(refused.value)
    assert path.name in str(refused.value)
    return str(refused.value)


def save(folder: Path, step: int, **more: Any) -> Path:
    save_checkpoint(folder, step, {"step": step, **more})
    return checkpoint_path(folder, step)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_new_run_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = {"step": 3, "config": "{}", "modules": {"net": {"weight": torch.rand(2, 3)}}, "rates": [0.1, None, True]}
    save_checkpoint(tmp_path, 3, state)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded["modules"]["net"].pop("weight"), state["modules"]["net"].pop("weight"))
    assert loaded == state
    assert names(tmp_path) == ["step_00000003.pt"]


def test_a_failed_save_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(Exception, match="pickle"):
        save(tmp_path, 2, function=lambda: None)
    assert load_checkpoint(tmp_path) == {"step": 1}
    assert names(tmp_path) == ["step_00000001.pt"]


def test_the_newest_are_kept_and_the_best(tmp_path: Path) -> None:
    for step in (1, 5, 20, 100):
        save_checkpoint(tmp_path, step, {"step": step}, keep=2, best_step=5 if step >= 5 else None)
    assert names(tmp_path) == ["step_00000005.pt", "step_00000020.pt", "step_00000100.pt"]
    assert load_checkpoint(tmp_path) == {"step": 100}


def test_a_damaged_newest_falls_back_to_the_one_before_with_a_warning(tmp_path: Path) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2, weights=torch.rand(100))
    whole = bytearray(newest.read_bytes())
    place = whole.find(torch.load(newest, weights_only=True)["weights"].numpy().tobytes())
    whole[place + 5] ^= 1  # one bit of one weight: PyTorch reads it without a word
    newest.write_bytes(bytes(whole))
    assert torch.load(newest, weights_only=True)["step"] == 2
    with pytest.warns(UserWarning, match=r"step_00000002.pt is damaged .*trying the one before"):
        assert load_checkpoint(tmp_path) == {"step": 1}


def test_a_run_without_any_checkpoint_that_can_be_read_is_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step).write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(UserError, match="delete the folder"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    proof, path = tmp_path / "executed", tmp_path / "step_00000001.pt"
    pickle.loads(pickle.dumps(Trap(proof)))
    assert proof.exists()  # the trap works
    proof.unlink()
    for write in (
        lambda: torch.save({"step": 1, "config": Trap(proof)}, path),
        lambda: torch.save({"step": 1, "config": Trap(proof)}, path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(pickle.dumps({"step": Trap(proof)}, protocol=2)),
    ):
        write()
        refusal(path)
        assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00.", bytes(range(256))])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step_00000001.pt"
    path.write_bytes(content)
    refusal(path)


def test_data_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "step_00000001.pt")
    assert "holds no run" in refusal(tmp_path / "step_00000001.pt")


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "step_00000001.pt").mkdir()
    refusal(tmp_path / "step_00000001.pt")


def test_damage_anywhere_is_refused_or_harmless_and_never_another_error(tmp_path: Path) -> None:
    """Damaged bytes came out as KeyError, UnicodeDecodeError and others, with a traceback; or as other weights."""
    path = save(tmp_path, 1, config="{}", weights=torch.arange(3.0))
    whole, refused = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] = random.randrange(256)
        path.write_bytes(bytes(damaged))
        try:
            state = read_checkpoint(path)
        except UserError:
            refused += 1
        else:
            assert state["weights"].tolist() == [0, 1, 2]
    assert refused > 30


def test_random_generators_go_on_where_they_were() -> None:
    seed_everything(3)
    state = random_state()
    draws = [(random.random(), float(np.random.rand()), torch.rand(1).item()) for _ in range(2)]
    seed_everything(4)
    restore_random_state(state)
    assert [(random.random(), float(np.random.rand()), torch.rand(1).item()) for _ in range(2)] == draws


def test_a_stray_file_is_no_checkpoint(tmp_path: Path) -> None:
    stray = save(tmp_path, 3).rename(tmp_path / "checkpoints" / "step_zzz.pt")
    save(tmp_path, 5)
    assert load_checkpoint(tmp_path) == {"step": 5}
    save_checkpoint(tmp_path, 6, {"step": 6}, keep=1)
    assert stray.exists()
    assert load_checkpoint(tmp_path) == {"step": 6}


def test_a_run_that_went_on_from_before_a_damaged_checkpoint_keeps_what_it_saves(tmp_path: Path) -> None:
    save(tmp_path, 10)
    save(tmp_path, 20).write_bytes(b"")
    with pytest.warns(UserWarning, match="trying the one before"):
        assert load_checkpoint(tmp_path) == {"step": 10}
    save_checkpoint(tmp_path, 15, {"step": 15}, keep=1)
    assert names(tmp_path) == ["step_00000015.pt"]
    assert load_checkpoint(tmp_path) == {"step": 15}


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with disk_full_after(1000), pytest.raises(UserError, match=r"cannot write the checkpoint .*make room") as said:
        save(tmp_path, 2, weight=torch.zeros(10_000))
    assert "\n" not in str(said.value)
    assert names(tmp_path) == ["step_00000001.pt"]
    save(tmp_path, 2)

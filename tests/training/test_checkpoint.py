"""Checkpoints: whole or not at all, and never code."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dagan.errors import UserError
from dagan.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


def refusal(folder: Path) -> str:
    with pytest.raises(UserError, match="delete the file") as refused:
        load_checkpoint(folder)
    assert "\n" not in str(refused.value)
    assert CHECKPOINT in str(refused.value)
    return str(refused.value)


def test_a_new_run_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = {"step": 3, "config": "{}", "modules": {"net": {"weight": torch.rand(2, 3)}}, "rates": [0.1, None, True]}
    save_checkpoint(tmp_path, state)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded["modules"]["net"].pop("weight"), state["modules"]["net"].pop("weight"))
    assert loaded == state
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_failed_save_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(tmp_path, {"step": 2, "function": lambda: None})
    assert load_checkpoint(tmp_path) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    pickle.loads(pickle.dumps(Trap(proof)))
    assert proof.exists()  # the trap works
    proof.unlink()
    for write in (
        lambda path: torch.save({"step": 1, "config": Trap(proof)}, path),
        lambda path: torch.save({"step": 1, "config": Trap(proof)}, path, _use_new_zipfile_serialization=False),
        lambda path: path.write_bytes(pickle.dumps({"step": Trap(proof)}, protocol=2)),
    ):
        write(tmp_path / CHECKPOINT)
        refusal(tmp_path)
        assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00.", bytes(range(256))])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    refusal(tmp_path)


def test_data_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / CHECKPOINT)
    assert "no checkpoint" in refusal(tmp_path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).mkdir()
    refusal(tmp_path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"step": 1, "weights": torch.rand(100)})
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for share in (0.05, 0.3, 0.6, 0.95, 0.999):
        (tmp_path / CHECKPOINT).write_bytes(whole[: int(len(whole) * share)])
        refusal(tmp_path)


def test_damage_anywhere_is_refused_or_harmless_and_never_another_error(tmp_path: Path) -> None:
    """Damaged bytes came out as KeyError, UnicodeDecodeError and others, with a traceback."""
    save_checkpoint(tmp_path, {"step": 1, "config": "{}", "weights": torch.rand(3)})
    whole, refused = (tmp_path / CHECKPOINT).read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] = random.randrange(256)
        (tmp_path / CHECKPOINT).write_bytes(bytes(damaged))
        try:
            load_checkpoint(tmp_path)
        except UserError:
            refused += 1
    assert refused > 30

"""Steps that are not finite."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.training.distributed import ALONE
from dagan.training.guard import BATCH_FILE, Guard, RunningState, clip_gradients, step_if

YES, NO = torch.tensor(True), torch.tensor(False)


class Landmarks(NamedTuple):
    position: Tensor


class Batch(NamedTuple):
    source: Tensor
    landmarks: Landmarks | None


def test_buffers_come_back_when_the_step_was_not_finite_and_stay_when_it_was() -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(3))
    before = RunningState(module)
    for buffer in module.buffers():
        buffer.fill_(7)
    before.keep_if(YES)
    assert module[1].running_mean.tolist() == [7, 7, 7]
    module[0].running_mean.fill_(float("nan"))
    before.keep_if(NO)
    assert module[0].running_mean.tolist() == [0, 0]
    assert module[1].running_var.tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_a_fused_optimiser_steps_only_when_told(kind: type[torch.optim.Optimizer]) -> None:
    weight = nn.Parameter(torch.ones(5))
    optimizer = kind([weight], lr=0.1, fused=True)  # type: ignore[call-arg]
    weight.grad = torch.full((5,), float("nan"))
    step_if(NO, optimizer)
    assert weight.tolist() == [1] * 5
    weight.grad = torch.ones(5)
    step_if(YES, optimizer)
    assert weight.tolist() != [1] * 5
    assert optimizer.state[weight]["step"] == 1
    assert optimizer.state[weight]["exp_avg"].isfinite().all()


def test_zero_clips_nothing() -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.full((1, 1), 5000.0)
    assert clip_gradients([layer], 0.0) == 5000
    assert layer.weight.grad.item() == 5000
    assert clip_gradients([layer], 10.0) == 5000
    assert layer.weight.grad.item() == pytest.approx(10, rel=1e-4)


def test_only_a_row_of_steps_ends_the_run_and_the_batch_is_kept_with_its_names(tmp_path: Path) -> None:
    guard = Guard(2, tmp_path, ALONE)
    batch = Batch(torch.full((1, 3, 2, 2), 0.5), Landmarks(torch.ones(1, 2)))
    for finite in (NO, YES, NO, YES):
        guard.see(0, finite, batch)
    assert (guard.skipped, guard.in_a_row) == (2, 0)
    guard.see(7, NO, batch)
    with pytest.raises(UserError, match="2 steps in a row, the last of them step 9") as ended:
        guard.see(8, NO, Batch(batch.source + 1, batch.landmarks))
    assert BATCH_FILE in str(ended.value)
    saved = load_file(tmp_path / BATCH_FILE)
    assert saved.keys() == {"source", "landmarks.position"}
    assert saved["source"].mean() == 1.5


def test_counting_goes_on_after_a_resume(tmp_path: Path) -> None:
    guard = Guard(5, tmp_path, ALONE, skipped=3)
    guard.see(0, NO, torch.zeros(1))
    assert guard.skipped == 4

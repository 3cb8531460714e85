import pytest
import torch
from safetensors.torch import load_file

from dagan.data.tensor_files import save_tensors
from dagan.errors import UserError
from media import disk_full_after


def test_a_full_disk_is_one_line_and_the_file_before_stays(tmp_path):
    path, before = tmp_path / "model.safetensors", {"weight": torch.ones(3)}
    save_tensors(path, before, {})
    with disk_full_after(1000), pytest.raises((UserError, OSError)) as said:
        save_tensors(path, {"weight": torch.zeros(10_000)}, {})
    assert "\n" not in str(said.value)
    assert torch.equal(load_file(path)["weight"], before["weight"])
    assert [one.name for one in tmp_path.iterdir()] == [path.name]

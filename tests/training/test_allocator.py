"""What glibc does with freed memory, each way in a process of its own."""

import platform
import subprocess
import sys

import pytest

from dagan.training import allocator

SCRIPT = """
import resource, torch
from dagan.training.allocator import keep_freed_memory, return_freed_memory
torch.set_num_threads(1)
{setting}
def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.ones(1 << 26, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(16)  # blocks are aligned, so that it takes a few until a free one is large enough
print(faults(8))
"""
PAGES = 8 * (1 << 26) // (1 << 21)  # of the eight blocks, if all were huge ones: the least there can be


def page_faults(setting: str) -> int:
    script = SCRIPT.format(setting=setting)
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_kept_memory_costs_no_page_faults_when_it_is_asked_for_again() -> None:
    assert page_faults("assert keep_freed_memory()") < PAGES // 4
    assert page_faults("") >= PAGES
    assert page_faults("assert return_freed_memory()") >= PAGES


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
    assert not allocator.return_freed_memory()

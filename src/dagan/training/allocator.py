"""Memory that is freed stays with the process, so that the next step's tensors need no new pages.

glibc gives blocks of 32 MiB and more back to the system at once, and a block that comes from the system costs a page
fault every 4 KiB: a ReLU of such a tensor then takes several times its time. A training step frees and asks for the
same sizes over and over. Other C libraries, and GPUs, whose tensors PyTorch keeps by itself, are left alone.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of <malloc.h>
NEVER = -1
LARGEST = 32 << 20  # bytes: up to where glibc by itself raises its threshold for blocks of their own
BLOCKS = 65536  # of their own, glibc's default


def keep_freed_memory() -> bool:
    """From now on; says whether this C library can."""
    return _set((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER))


def return_freed_memory() -> bool:
    """What glibc comes to by itself in a program with large blocks, with nothing kept; says whether it can."""
    known = _set((M_MMAP_MAX, BLOCKS), (M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, 2 * LARGEST))
    if known:
        ctypes.CDLL(None).malloc_trim(0)
    return known


def _set(*settings: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all([mallopt(name, value) == 1 for name, value in settings])

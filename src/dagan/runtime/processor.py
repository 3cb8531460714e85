"""What this machine's processor computes in hardware."""

import torch

from dagan.runtime.engine import Precision


def has_native(precision: Precision) -> bool:
    """Whether the processor computes a precision fast and exactly.

    PyTorch computes bfloat16 anywhere, but slowly. 8-bit products take VNNI or AMX: older processors add two of them
    in 16 bits, which overflow, so that OpenVINO's pictures of the bundled model are at 40 dB in place of 46, and at 29
    where it is worst (drawn heads and the bundled portrait, on an AMD EPYC with AVX2).
    """
    if precision == "bf16":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if precision == "int8":
        return bool(torch.cpu._is_vnni_supported() or torch.cpu._is_amx_tile_supported())
    return True

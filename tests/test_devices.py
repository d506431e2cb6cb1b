"""What devices promise of number types and memory."""

from __future__ import annotations

import ctypes
import resource
import sys

import pytest
import torch

from huggingtweets.devices import choose_device, has_bfloat16, reused_memory

HAS_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def faults_of_a_tensor() -> int:
    """Pages that the system had to hand out for a tensor of 80 MB that is freed again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(20_000_000).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not HAS_GLIBC, reason="another allocator")
def test_memory_is_reused_in_the_context_and_given_back_after_it() -> None:
    faults_of_a_tensor()
    usual = faults_of_a_tensor()
    with reused_memory():
        faults_of_a_tensor()
        assert faults_of_a_tensor() < usual / 10
    assert faults_of_a_tensor() > usual / 2


def test_a_cpu_computes_in_bfloat16_only_with_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, dtype in (
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx2": True}, "float32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert choose_device("cpu", 1).dtype == dtype
        assert has_bfloat16() == (dtype == "bfloat16")

"""What devices promise of number types and memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from huggingtweets.devices import choose_device, has_bfloat16

HAS_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


FAULTS = """
import resource, torch
from huggingtweets.devices import reused_memory

def faults_of_a_tensor():  # pages that the system has to hand out for 80 MB that are freed again
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(20_000_000).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults_of_a_tensor()
usual = faults_of_a_tensor()
with reused_memory():
    for _ in range(8):  # small tensors settle in what was freed; after up to three rounds the large one has its place
        faults_of_a_tensor()
    inside = faults_of_a_tensor()
print(usual, inside, faults_of_a_tensor())
"""


@pytest.mark.skipif(not HAS_GLIBC, reason="another allocator")
def test_memory_is_reused_in_the_context_and_given_back_after_it() -> None:
    """In a process of its own, as a training has: what other tests left of the heap is not the question."""
    out = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    usual, inside, after = map(int, out.split())
    assert inside < usual / 10
    assert after > usual / 2


def test_a_cpu_computes_in_bfloat16_only_with_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, dtype in (
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx2": True}, "float32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert choose_device("cpu", 1).dtype == dtype
        assert has_bfloat16() == (dtype == "bfloat16")

"""Which device, number type and threads to compute with, chosen once and printed.

- CUDA, else Apple's MPS, else the CPU. Weights are float32 everywhere; in training the matrix products run in bfloat16
  on CUDA and on CPUs with instructions for it, which makes a step 1.5 to 1.9 times faster (docs/log.md). On a CPU
  without them that type is 44 times slower and more, so it is never used there.
- Two torch threads beside another busy process can be six times slower than one, so the number is set explicitly.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from huggingtweets.config import check_threads, usable_cores
from huggingtweets.errors import SettingsError

DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Device:
    """Where the work happens."""

    name: str  # "cpu", "cuda", "mps"
    dtype: str  # of the matrix products
    threads: int  # of the CPU

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.name}, {self.dtype}" + (f", {threads}" if self.name == "cpu" else "")

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Matrix products in this device's number type."""
        with torch.autocast(self.name, dtype=torch.bfloat16, enabled=self.dtype == "bfloat16"):
            yield


def choose_device(name: str | None = None, threads: int | None = None) -> Device:
    """The device asked for, or the best there is; sets torch's threads.

    Raises SettingsError when the device asked for is not there.
    """
    check_threads(threads)
    chosen = name or _best_device()
    try:
        if torch.device(chosen).type not in DEVICES:  # "meta" holds no numbers; the others nobody has tried
            raise RuntimeError(f"it is none of {', '.join(DEVICES)}")
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"There is no device {chosen!r} here: {str(error).splitlines()[0]}.", next="leave out --device"
        ) from error
    chosen = torch.device(chosen).type
    count = threads or _usable_cores()
    torch.set_num_threads(count)
    return Device(chosen, "bfloat16" if chosen == "cuda" or (chosen == "cpu" and has_bfloat16()) else "float32", count)


def has_bfloat16() -> bool:
    """Whether this CPU multiplies matrices in bfloat16 by instructions of its own."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _usable_cores() -> int:
    """Cores this process may run on, but not the hyper-threads that torch leaves out by default."""
    return max(1, min(usable_cores(), torch.get_num_threads()))


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST, _USUAL = 2**31 - 1, 128 * 1024  # bytes; the usual ones are glibc's


@contextlib.contextmanager
def reused_memory() -> Iterator[None]:
    """Freed memory is used again instead of given back to the system, until the end of the context.

    By default glibc hands a freed tensor back and asks for the next one anew, and the system clears each of its pages:
    147,000 pages and 15 % of the CPU time of a training step of the 135M base (docs/log.md). Without glibc no change.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        yield
        return
    try:
        for threshold in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(threshold, _LARGEST)
        yield
    finally:
        for threshold in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(threshold, _USUAL)
        ctypes.CDLL(None).malloc_trim(0)


def memory_of(name: str) -> int:
    """Bytes that a device has in all; 0 where there is none."""
    if name != "cuda" or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.get_device_properties(0).total_memory)

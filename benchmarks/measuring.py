"""What is measured of a training, and of the machine it runs on.

- The clock stands still while held-out posts are scored, and so does the watch on memory.
- Scores are taken more and more seldom: a curve is steep at its beginning.
- The machine is described by what decides the numbers, and is not named.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import threading
import time
from collections.abc import Callable
from typing import Any, SupportsInt

import psutil
import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from huggingtweets.devices import Device
from recipes import computes_bfloat16
from tables import Mark

FIRST_MARK_S = 10.0
MARK_GROWTH = 1.15  # the next mark, as a multiple of the training time so far; at least the first mark's distance
MEMORY_EVERY_S = 0.05
FORWARD_AND_BACKWARD = 6  # FLOPs for each weight a token passes through: 2 forward, 4 backward
VERSIONS_OF = ("torch", "transformers", "accelerate", "trl")
CPU_PRODUCT = (1024, 768, 50_257)  # GPT-2's output layer over 1,024 tokens
PRODUCTS = 5  # the best of so many


def now() -> tuple[float, float]:
    """Seconds on the wall, and those of this process's threads."""
    return time.perf_counter(), time.process_time()


class Meter:
    """Times a training, and scores it now and then off the clock."""

    def __init__(
        self,
        score: Callable[[], float],
        first_mark_s: float = FIRST_MARK_S,
        say: Callable[[Mark], None] = lambda mark: None,
        clock: Callable[[], tuple[float, float]] = now,
    ) -> None:
        self.marks: list[Mark] = []
        self.memory = MemoryWatch()
        self._score = score
        self._first_mark_s = self._next_mark_s = first_mark_s
        self._say = say
        self._clock = clock
        self._tokens: SupportsInt = 0
        self._seconds = self._cpu_seconds = 0.0
        self._since = (0.0, 0.0)

    def run(self, train: Callable[[], object]) -> None:
        """Trains from the first mark, the untrained base, to the last, the end."""
        self._mark()
        with self.memory:
            self._resume()
            train()
            self._pause()
        self._mark()

    def step(self, tokens: SupportsInt) -> None:
        """To be called after every step, with the trained tokens so far."""
        self._tokens = tokens
        if self._seconds + self._clock()[0] - self._since[0] < self._next_mark_s:
            return
        self._pause()
        self._mark()
        self._next_mark_s = max(self._seconds + self._first_mark_s, self._seconds * MARK_GROWTH)
        self._resume()

    def _resume(self) -> None:
        self.memory.resume()
        self._since = self._clock()

    def _pause(self) -> None:
        seconds, cpu_seconds = self._clock()
        self._seconds += seconds - self._since[0]
        self._cpu_seconds += cpu_seconds - self._since[1]
        self.memory.pause()

    def _mark(self) -> None:
        mark = Mark(round(self._seconds, 3), round(self._cpu_seconds, 3), int(self._tokens), round(self._score(), 5))
        self.marks.append(mark)
        self._say(mark)


class MemoryWatch:
    """The most memory this process held between `resume` and `pause`; the system's own mark would count scoring too."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._process = psutil.Process()
        self._watching = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def resume(self) -> None:
        self._watching = True

    def pause(self) -> None:
        self._look()
        self._watching = False

    def _watch(self) -> None:
        while not self._over.wait(MEMORY_EVERY_S):
            self._look()

    def _look(self) -> None:
        if self._watching:
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)


def flops_per_token(model: PreTrainedModel) -> int:
    """Of one trained token in a plain step; looking up embeddings costs none, the output layer counts."""
    products = (module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D)))
    return FORWARD_AND_BACKWARD * sum(module.weight.numel() for module in products)


def peak_flops(device: Device, product: tuple[int, int, int] = CPU_PRODUCT) -> dict[str, float]:
    """FLOP/s of one large matrix product, for each number type the hardware has units for."""
    rows, inner, columns = product
    return {
        str(dtype).removeprefix("torch."): 2 * rows * inner * columns / _product_s(product, dtype, device)
        for dtype in ([torch.float32, torch.bfloat16] if computes_bfloat16(device) else [torch.float32])
    }


def _product_s(product: tuple[int, int, int], dtype: torch.dtype, device: Device) -> float:
    """The best of some."""
    rows, inner, columns = product
    left = torch.randn(rows, inner, device=device.name).to(dtype)
    right = torch.randn(inner, columns, device=device.name).to(dtype)
    times = []
    for _ in range(PRODUCTS):
        begun = time.perf_counter()
        torch.mm(left, right)
        wait_for(device)
        times.append(time.perf_counter() - begun)
    return min(times)


def wait_for(device: Device) -> None:
    """A GPU works behind the program's back."""
    if device.name == "cuda":
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """What decides the numbers."""
    cpu = Device("cpu", "float32", 1)
    return {
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": computes_bfloat16(cpu),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in VERSIONS_OF},
    }

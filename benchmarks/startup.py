"""How long it takes until something happens: each command, a bare Python beside it, and the embedded base.

    python benchmarks/startup.py [BOT] [--repeats 10]

- *warm*: the fastest of the repeats, files in the system's cache and bytecode written, as after an installation. What
  disturbs a measurement only ever adds to it.
- *cold*: the same once, with packages and bytecode put out of the system's cache, as after a restart; only where the
  system lets a program do that, and what another program has open stays.
- *loads*: modules that the process has imported when it ends.
- With a BOT (a name or a folder), the commands that read one, too.

A table on stdout, and `benchmarks/results/startup.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from huggingtweets.config import BOTS_DIR

RESULTS = Path(__file__).parent / "results" / "startup.json"
COMMAND = "from huggingtweets.cli import main; main()"
COUNT = "import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); "
COMMANDS = ("--version", "--help", "create --help", "show")
COMMANDS_OF_A_BOT = ("show {}", "show {} --json", "verify {}", "generate {} -n 10 --seed 0")
LIBRARIES = {
    "import huggingtweets": "import huggingtweets",
    "import torch": "import torch",
    "import torch, transformers and a model": "import torch; from transformers import AutoTokenizer, LlamaForCausalLM",
}
LOAD_THE_EMBEDDED_BASE = """
import json, resource, sys, time
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from huggingtweets.bases import find_base, load_base
begin = time.perf_counter()
base = find_base("smollm2")
found = time.perf_counter()
load_base(base)
loaded = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"find_s": found - begin, "load_s": loaded - found, "peak_bytes": peak}))
"""


@dataclass(frozen=True)
class Start:
    """What one thing took."""

    name: str
    warm_s: float
    cold_s: float | None  # None: not to be had here
    modules: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bot", nargs="?", help="a bot's name or folder")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--bots-dir", type=Path, default=BOTS_DIR)
    options = parser.parse_args()
    codes = {"a bare Python": ("pass", ()), **{name: (code, ()) for name, code in LIBRARIES.items()}}
    typed = [*COMMANDS, *(command.format(options.bot) for command in COMMANDS_OF_A_BOT if options.bot)]
    codes |= {f"huggingtweets {command}": (COMMAND, tuple(command.split())) for command in typed}
    with tempfile.TemporaryDirectory() as folder:
        bots_dir = str((options.bots_dir if options.bot else Path(folder)).resolve())
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "HUGGINGTWEETS_BOTS": bots_dir}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        starts = [
            measure(name, [COUNT + code, *arguments], environment, options.repeats)
            for name, (code, arguments) in codes.items()
        ]
        base = embedded_base({**environment, "HUGGINGTWEETS_CACHE": folder})
    show(starts, base)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"starts": [asdict(start) for start in starts], "embedded base": base}, indent=2))


def measure(name: str, code: list[str], environment: dict[str, str], repeats: int) -> Start:
    modules = timed(code, environment)[1]  # writes the bytecode, too
    warm_s = min(timed(code, environment)[0] for _ in range(repeats))
    cold_s = timed(code, environment)[0] if put_out_of_the_cache(environment["PYTHONPYCACHEPREFIX"]) else None
    return Start(name, warm_s, cold_s, modules)


def timed(code: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Seconds until it has ended, and what it says of its modules in its last line."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", *code], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, int(done.stderr.split()[-1])


def put_out_of_the_cache(bytecode: str) -> bool:
    """Asks the system to forget the files of this environment; False where it can't be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.sync()  # what is not on the disk yet is not forgotten
    for folder in (Path(sys.prefix), Path(bytecode)):
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def embedded_base(environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """Its conversion into an empty cache, then its loading out of it; what has to be imported is not counted."""
    runs = ("converted, and loaded once", "loaded")
    return {
        run: json.loads(
            subprocess.run(
                [sys.executable, "-c", LOAD_THE_EMBEDDED_BASE],
                env={**environment, "HF_HUB_OFFLINE": "1"},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for run in runs
    }


def show(starts: list[Start], base: dict[str, dict[str, float]]) -> None:
    console = Console()
    table = Table("", "warm", "× bare Python", "cold", "loads", box=None)
    for start in starts:
        cold = "" if start.cold_s is None else f"{start.cold_s:.2f} s"
        ratio = f"{start.warm_s / starts[0].warm_s:.0f}"
        table.add_row(start.name, f"{start.warm_s:.3f} s", ratio, cold, f"{start.modules} modules")
    console.print(table, "")
    table = Table("smollm2", "finding", "loading", "peak memory", box=None)
    for name, run in base.items():
        table.add_row(name, f"{run['find_s']:.2f} s", f"{run['load_s']:.2f} s", f"{run['peak_bytes'] / 1e6:,.0f} MB")
    console.print(table)


if __name__ == "__main__":
    main()

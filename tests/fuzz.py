"""A coverage-guided fuzzer over every parser of foreign input (atheris): `make fuzz`, or

    python tests/fuzz.py --seconds 60 car zip

Each parser runs in a process of its own. It fails where an input raises anything but our own error, takes longer than
ten seconds or more than a gigabyte; the input is then kept beside the report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SLOWEST_S = 10
LARGEST_MB = 1_024
LONGEST_BYTES = 1 << 16


def run_all(names: list[str], seconds: int, kept: Path) -> int:
    """Returns how many parsers failed."""
    from parsers import parsers

    with tempfile.TemporaryDirectory() as folder:
        known = [parser.name for parser in parsers(Path(folder))]
    failed = 0
    for name in names or known:
        print(f"— {name}: {seconds} s", flush=True)
        command = [sys.executable, __file__, "--one", name, "--seconds", str(seconds), "--kept", str(kept)]
        failed += subprocess.run(command, cwd=Path(__file__).parent).returncode != 0
    print(f"{len(names or known) - failed} parsers held, {failed} failed (inputs in {kept})")
    return failed


def run_one(name: str, seconds: int, kept: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["huggingtweets"]):
        from parsers import parsers, try_on

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (parser,) = (parser for parser in parsers(folder) if parser.name == name)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(parser.seeds):
        (corpus / str(number)).write_bytes(seed)
    kept.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "timeout": SLOWEST_S,
        "rss_limit_mb": LARGEST_MB,
        "max_len": LONGEST_BYTES,
        "artifact_prefix": f"{kept}/{name.replace(' ', '-')}-",
        "verbosity": 0,
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{option}={value}" for option, value in options.items()), str(corpus)],
        lambda data: try_on(parser, data, folder),
    )
    atheris.Fuzz()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*")
    arguments.add_argument("--seconds", type=int, default=60, help="for each parser")
    arguments.add_argument("--kept", type=Path, default=Path("build/fuzz"), help="where failing inputs go")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.one:
        run_one(chosen.one, chosen.seconds, chosen.kept.resolve())
    sys.exit(min(1, run_all(chosen.names, chosen.seconds, chosen.kept.resolve())))


if __name__ == "__main__":
    main()

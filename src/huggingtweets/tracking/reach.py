"""Where a run is recorded: at Weights & Biases as it goes, or here for later, decided within a second.

In: what was asked for, the environment, the user's home. Out: online, offline with the reason, or not at all.

- W&B's own client is not asked: importing it takes longer than the decision may. What it would find is looked up where
  it looks: its environment variables, its settings file, `.netrc`.
- A host that a socket can be opened to counts as answering; whether it takes the login is found out by the recorder,
  which falls back to offline when it doesn't.
"""

from __future__ import annotations

import configparser
import contextlib
import netrc
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingtweets.errors import PublishError, SettingsError

Mode = Literal["auto", "online", "offline", "none"]
Knock = Callable[[str], bool]

HOME = "https://api.forge.coreweave.com"  # where wandb 0.31 sends to; a test compares
ALSO_HOME = "api.wandb.ai"  # the same service's older address, under which a login may be kept
KNOCK_S = 0.8
LOGIN = "wandb login"


@dataclass(frozen=True)
class Reach:
    """The decision; `why` is what keeps a run offline, as a clause."""

    online: bool
    why: str = ""


def wish(mode: Mode, env: Mapping[str, str], home: Path) -> Reach | None:
    """What is asked for, and can be as far as this machine goes; None: nothing is recorded.

    Raises PublishError when online was asked for and nobody is logged in.

    >>> wish("auto", {}, Path("/nowhere"))
    Reach(online=False, why='you are not logged in (wandb login)')
    """
    if mode not in get_args(Mode):
        raise SettingsError(f"--track must be auto, online, offline or none, not {mode}.")
    set_to = env.get("WANDB_MODE") or _settings_file(env, home).get("mode", "")
    if mode == "none" or (mode == "auto" and set_to == "disabled"):
        return None
    if mode == "offline":
        return Reach(False, "you asked for that")
    if mode == "auto" and set_to in ("offline", "dryrun"):
        return Reach(False, "it is set to offline (wandb online)")
    if has_login(env, home):
        return Reach(True)
    if mode == "online":
        raise PublishError("You are not logged in to Weights & Biases.", next=f"{LOGIN}   (or --track offline)")
    return Reach(False, f"you are not logged in ({LOGIN})")


def reached(reach: Reach, url: str, knock: Knock) -> Reach:
    """The wish, if the server answers.

    >>> reached(Reach(True), "https://wandb.example/", lambda url: False)
    Reach(online=False, why='wandb.example does not answer')
    """
    if not reach.online or knock(url):
        return reach
    return Reach(False, f"{urlsplit(url).hostname} does not answer")


def base_url(env: Mapping[str, str], home: Path) -> str:
    """Of W&B's own service, or of one's own server."""
    return (env.get("WANDB_BASE_URL") or _settings_file(env, home).get("base_url") or HOME).rstrip("/")


def has_login(env: Mapping[str, str], home: Path) -> bool:
    """Whether W&B's client would find a key for the server; the key itself is not looked at."""
    if env.get("WANDB_API_KEY") or env.get("WANDB_IDENTITY_TOKEN_FILE") or _settings_file(env, home).get("api_key"):
        return True
    server = urlsplit(base_url(env, home)).netloc
    hosts = {server, ALSO_HOME} if server in (urlsplit(HOME).netloc, ALSO_HOME) else {server}
    files = [Path(env["NETRC"]).expanduser()] if env.get("NETRC") else [home / ".netrc", home / "_netrc"]
    for file in files:
        with contextlib.suppress(OSError, netrc.NetrcParseError, UnicodeError):
            logins = netrc.netrc(file)
            if any(logins.authenticators(host) for host in hosts):
                return True
    return False


def _settings_file(env: Mapping[str, str], home: Path) -> dict[str, str]:
    """What `wandb login` and `wandb offline` keep for the user."""
    folder = env.get("WANDB_CONFIG_DIR")
    file = (Path(folder).expanduser() if folder else home / ".config" / "wandb") / "settings"
    settings = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, configparser.Error, UnicodeError):
        settings.read_string(file.read_text(encoding="utf-8"))
    return dict(settings["default"]) if settings.has_section("default") else {}


def answers(url: str) -> bool:
    """Whether somebody listens there, or at the proxy on the way; never takes longer than `KNOCK_S`."""
    opened: list[bool] = []

    def knock() -> None:
        with contextlib.suppress(OSError, ValueError), socket.create_connection(_first_hop(url), KNOCK_S):
            opened.append(True)

    # In a thread of its own, because looking up a name has no time limit.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(KNOCK_S)
    return bool(opened)


def _first_hop(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

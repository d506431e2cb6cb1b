"""What `huggingtweets serve` was told, frozen, with each default and its reason."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from huggingtweets.config import BOTS_DIR, DEFAULT_BASE
from huggingtweets.errors import SettingsError

HOST, PORT = "127.0.0.1", 7860  # Gradio's port, which people of the field know
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class WebSettings:
    """Everything the web app is run with."""

    bots_dir: Path = BOTS_DIR
    host: str = HOST
    port: int = PORT
    database: str | None = None  # an SQLAlchemy URL; None: SQLite in the state folder
    public_url: str | None = None  # what people type, where a proxy stands before us; links on shared pages begin so
    open: bool = False  # on an address that others reach, without a login
    base: str = DEFAULT_BASE  # of bots made here, unless the visitor chooses another
    minutes: float | None = None  # of training; None: what the device deserves
    bases: tuple[str, ...] = ("gpt2", "smollm2")  # what a visitor may choose from
    trainings_at_once: int = 1
    readings_at_once: int = 1
    drawings_at_once: int = 2
    upload_bytes: int = 2_000 * MEGABYTE  # an X archive with its pictures may have as much
    guest_upload_bytes: int = 200 * MEGABYTE
    bots_a_day: int = 5  # of one user; the owner of the machine has no quota
    drawings_a_minute: int = 30  # of one user or address
    most_posts: int = 20  # predictions of one drawing
    proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise SettingsError(f"--port must be 0 to 65535, not {self.port}.")
        for option, value in (("--trainings", self.trainings_at_once), ("--drawings", self.drawings_at_once)):
            if value < 1:
                raise SettingsError(f"{option} must be at least 1, not {value}.")
        if self.public_url is not None and not self.public_url.startswith(("http://", "https://")):
            raise SettingsError(f"--public-url must begin with http:// or https://, not {self.public_url!r}.")
        object.__setattr__(self, "bases", tuple(dict.fromkeys((self.base, *self.bases))))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it: not through a proxy either, which speaks to us from loopback."""
        named = urlsplit(self.public_url).hostname if self.public_url else self.host
        return not self.proxies and _is_loopback(self.host) and _is_loopback(named or "")

    @property
    def needs_login(self) -> bool:
        return not self.is_loopback and not self.open

    @property
    def state_dir(self) -> Path:
        """Database, uploads, drawn pictures: beside the bots, hidden from `list_bots`."""
        return self.bots_dir / ".web"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{(self.state_dir / 'web.sqlite3').resolve().as_posix()}"

    def over(self, **changes: object) -> WebSettings:
        """With what was given; None leaves a setting as it is."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def _is_loopback(host: str) -> bool:
    """
    >>> _is_loopback("127.0.0.1"), _is_loopback("localhost"), _is_loopback("bots.example.org")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The server on its socket. In: settings. Out: pages, until it is stopped.

- The socket is opened first, so that a port that is taken is said before anything else starts; port 0 takes a free one.
- Ctrl-C and SIGTERM let answers end for a few seconds, put jobs back in line, and close.
- uvicorn's own reading of X-Forwarded-For is off: the guard knows which proxies to believe.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn

from huggingtweets.errors import SettingsError, StorageError
from huggingtweets.web.server import build
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store

GRACE_S = 3  # for answers under way; a stream of a job's changes would never end by itself
BACKLOG = 512
KEEP_ALIVE_S = 75  # as nginx: after uvicorn's five a browser may send a POST on a connection that is just being closed
EVERYWHERE = ("", "0.0.0.0", "::")


def serve(settings: WebSettings, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Runs until a signal. Raises SettingsError and StorageError; `on_ready` is told the address once it answers."""
    store = Store.open(settings.database_url)
    try:
        check_login(settings, store)
        with _listening(settings) as listening:
            config = uvicorn.Config(
                build(settings, store).guarded,
                lifespan="on",
                log_level="warning",
                access_log=False,  # it would hold people's addresses
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
            server = _Server(config, lambda: on_ready(address_of(settings, listening)))
            server.run([listening])
        if not server.started:
            raise StorageError("The server could not start.", why="What kept it from that is said above.")
    finally:
        store.close()


def check_login(settings: WebSettings, store: Store) -> None:
    """Where people log in, somebody must be able to; raises SettingsError."""
    if settings.needs_login and not store.users():
        raise SettingsError(
            "Others can reach this address, and nobody may log in yet.",
            why="With --open everybody may use it, without a login.",
            next="huggingtweets user alice --admin",
        )


def address_of(settings: WebSettings, listening: socket.socket) -> str:
    """What people type."""
    if settings.public_url:
        return settings.public_url
    host = socket.gethostname() if settings.host in EVERYWHERE else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _listening(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    # Connections inherit it. asyncio sets it only where a socket names its protocol, which this one does not, and an
    # answer's body then waits 40 ms for the client to acknowledge its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _cannot_listen(settings: WebSettings, error: OSError) -> SettingsError:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"Port {port} is taken by another program, perhaps another huggingtweets serve.",
            next=f"huggingtweets serve --port {port + 1 if port < 65535 else 0}",
        )
    if error.errno == errno.EACCES:
        return SettingsError(
            f"Port {port} is not for programs of this user.", next="huggingtweets serve --port 7860, behind a proxy"
        )
    return SettingsError(
        f"This machine has no address {host!r} to serve on.", next="huggingtweets serve --host 0.0.0.0"
    )

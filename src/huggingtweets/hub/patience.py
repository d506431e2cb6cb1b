"""How long the Hub is waited for, and how often it is asked again.

- The Hub client waits for an answer without end, sits out any wait that a server names, and says neither. Here an
  answer has a minute at most, a wait a quarter of an hour, and both are told.
- Some of its requests are tried again by the client itself, most are not; around both lies our own loop, which ends
  after five tries or five minutes.
- The client's HTTP session is borrowed: it gets its own settings back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

TRIES = 5
TRIES_UNREACHED = 3  # before the first answer: no network is worth three seconds, not fifteen
LONGEST_TRYING_S = 300.0
LONGEST_PAUSE_S = 30.0  # of our own choosing
LONGEST_WAIT_S = 900.0  # of the server's
ANSWER_S = 60.0  # of an upload: after that, the Hub's own gateway gives up
SHORT_ANSWER_S = 20.0  # of everything else
CONNECT_S = 10.0
FULL = 507
PASSING = frozenset({408, 409, 412, 425, 429})  # 409 and 412: somebody else is committing

_RATE_LIMIT = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})\b")  # of the header `ratelimit`: "api";r=0;t=55
_AGAIN = ("Retrying", "Rate limited")  # how the Hub client's log says that it tries again


class AsksTooMuch(Exception):
    """The server names a wait that nobody would sit through."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"wait {wait_s:.0f} s")
        self.wait_s = wait_s


def patiently(
    call: Callable[[], T],
    *,
    sleep: Callable[[float], None],
    tell: Callable[[str], None],
    answer_s: float = ANSWER_S,
    was_reached: bool = True,
    quiet: bool = True,
) -> T:
    """The call's result, tried again while that may help; raises what the last try raised.

    `quiet`: the Hub client's own log and progress bars are kept from the terminal.
    """
    from tenacity import Retrying, retry_if_exception

    def is_enough(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        most = TRIES if was_reached or not _is_unreached(error) else TRIES_UNREACHED
        return state.attempt_number >= most or (state.seconds_since_start or 0.0) >= LONGEST_TRYING_S

    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        stop=is_enough,
        wait=_pause_s,
        sleep=sleep,
        before_sleep=lambda state: tell("The Hub did not answer as it should; trying again."),
        reraise=True,
    )

    def once() -> T:
        with _borrowed_session(answer_s), _told(tell) if quiet else contextlib.nullcontext():
            return call()

    return retrying(once)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    error = root_of(error)
    if isinstance(error, (OfflineModeIsEnabled, AsksTooMuch)):
        return False
    if (status := status_of(error)) is not None:
        return (status >= 500 and status != FULL) or status in PASSING
    wrong_words = (json.JSONDecodeError, httpx.DecodingError)
    return isinstance(error, (httpx.TransportError, ConnectionError, TimeoutError, *wrong_words))


def root_of(error: BaseException) -> BaseException:
    """What really happened: the Hub client wraps it, in a large file's upload and in a download."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, (RuntimeError, LocalEntryNotFoundError)) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def status_of(error: BaseException) -> int | None:
    found = getattr(getattr(error, "response", None), "status_code", None)
    return found if isinstance(found, int) else None


def _is_unreached(error: BaseException | None) -> bool:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return isinstance(error, (httpx.ConnectError, httpx.TimeoutException))


def _pause_s(state: RetryCallState) -> float:
    """1, 2, 4, ... seconds, a little more each, so that many don't come back at once; or what the server named."""
    from tenacity import wait_exponential_jitter

    error = state.outcome.exception() if state.outcome else None
    headers = getattr(getattr(error, "response", None), "headers", {})
    return max(wait_exponential_jitter(initial=1, max=LONGEST_PAUSE_S)(state), named_wait_s(headers) or 0.0)


def named_wait_s(headers: Mapping[str, str]) -> float | None:
    """What a refusal asks for, by names in lower case.

    >>> named_wait_s({"retry-after": "120"}), named_wait_s({"ratelimit": '"api";r=0;t=55'}), named_wait_s({})
    (120.0, 55.0, None)
    """
    after = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", after):
        return float(after)
    limit = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    return float(limit[1]) if limit else None


@contextlib.contextmanager
def _borrowed_session(answer_s: float) -> Iterator[None]:
    from huggingface_hub.utils import get_session, httpx  # type: ignore[attr-defined]

    session = get_session()
    timeout, hooks = session.timeout, session.event_hooks
    session.timeout = httpx.Timeout(answer_s, connect=min(CONNECT_S, answer_s))
    session.event_hooks = {**hooks, "response": [*hooks.get("response", []), _refuse_long_waits]}
    try:
        yield
    finally:
        session.timeout, session.event_hooks = timeout, hooks


def _refuse_long_waits(response: object) -> None:
    """A hook of the session: the Hub client would sleep for as long as it is told to."""
    if getattr(response, "status_code", 200) < 400:
        return
    wait_s = named_wait_s(getattr(response, "headers", {}))
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        raise AsksTooMuch(wait_s)


@contextlib.contextmanager
def _told(tell: Callable[[str], None]) -> Iterator[None]:
    """The Hub client's log and bars go nowhere, but that it tries again is told."""
    import warnings

    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    log = logging.getLogger("huggingface_hub")
    handlers, log.handlers = log.handlers, [_Teller(tell)]
    bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.handlers = handlers
        if bars:
            enable_progress_bars()


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(_AGAIN):
            self._tell("The Hub did not answer as it should; trying again.")

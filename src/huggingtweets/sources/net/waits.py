"""How long to wait: what a server asks for in its headers, else ever longer.

In: the headers of an answer, and the time here. Out: seconds.

- `Retry-After` comes first (seconds or a date), then a reset: Unix seconds (X, Bluesky), ISO 8601 (Mastodon), or
  seconds from now (the IETF's draft).
- A reset is read by the server's clock, which its `Date` tells, and by ours. One of the two may be hours off: what
  gives a wait that the network's windows allow is believed, and of two such the longer.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import RetryCallState

LONGEST_WAIT_S = 900.0  # X's window, and the others'; whoever asks for more is asked again another day
LONGEST_BACKING_OFF_S = 60.0
TRIES = 6  # a minute of backing off in all
LONGEST_DELTA_S = 10_000_000.0  # a smaller reset is no moment (that would be in 1970) but a time from now

_REMAINING = ("x-rate-limit-remaining", "x-ratelimit-remaining", "ratelimit-remaining")
_RESET = ("x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset")


class Again(Exception):
    """A failure that may pass: why, how long to wait where the server says so, and how often it is worth a try."""

    def __init__(self, why: str, wait_s: float | None = None, tries: int = TRIES) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s
        self.tries = tries


def named_wait_s(headers: Mapping[str, str], now: float) -> float | None:
    """What the server asks for; None where it doesn't say, less than 0 where that has passed.

    >>> named_wait_s({"retry-after": "30"}, now=0), named_wait_s({}, now=0)
    (30.0, None)
    >>> named_wait_s({"x-rate-limit-reset": "1739433600", "date": "Thu, 13 Feb 2025 07:59:30 GMT"}, now=1739000000)
    31.0
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text[:12]), 1e9)
    moment = _http_date(text)
    if moment is None:
        moment = _moment(_header(headers, _RESET), now)
    return None if moment is None else _until(moment, headers, now)


def is_used_up(headers: Mapping[str, str]) -> bool:
    """Whether the server says that it would refuse the next request."""
    return _header(headers, _REMAINING).strip() == "0"


def backing_off_s(state: RetryCallState) -> float:
    """1, 2, 4, ... seconds, a little more each, so that many don't come back at once; more where the server asks."""
    from tenacity import wait_exponential_jitter

    error = state.outcome.exception() if state.outcome else None
    named = error.wait_s if isinstance(error, Again) else None
    # A reset that has passed and a refusal all the same: somebody's clock is wrong, so back off as well.
    return max(named or 0.0, float(wait_exponential_jitter(initial=1, max=LONGEST_BACKING_OFF_S)(state)))


def _until(moment: float, headers: Mapping[str, str], now: float) -> float:
    server_now = _http_date(headers.get("date", ""))
    here = moment - now + 1
    there = here if server_now is None else moment - server_now + 1
    return max((wait_s for wait_s in (here, there) if 0 < wait_s <= LONGEST_WAIT_S), default=there)


def _header(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((headers[name] for name in names if name in headers), "")


def _moment(text: str, now: float) -> float | None:
    """Unix seconds of a reset.

    >>> _moment("1739433600", 0), _moment("2025-02-13T08:00:00.123456Z", 0), _moment("30", 1000), _moment("soon", 0)
    (1739433600.0, 1739433600.123456, 1030.0, None)
    """
    text = text.partition(",")[0].strip()
    if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", text):
        number = float(text)
        return number if number > LONGEST_DELTA_S else now + number
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return _seconds(datetime.fromisoformat(text))
    return None


def _http_date(text: str) -> float | None:
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError, OSError):
        return _seconds(email.utils.parsedate_to_datetime(text))
    return None


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

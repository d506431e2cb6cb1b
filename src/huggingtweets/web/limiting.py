"""How often somebody may do something. In: who, and what they ask. Out: nothing, or a Refusal with when to come back.

- Counted in memory, in a window that moves: each server counts for itself, and a restart forgets.
- Users are counted by name, guests by address, since whoever drops a cookie is a new guest. Of IPv6 the first 64 bits
  count, which one household has to itself.
- The owner of the machine is not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Literal

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from huggingtweets.web.answers import Refusal
from huggingtweets.web.settings import WebSettings

Deed = Literal["draw", "login", "upload", "order", "report"]

LOGINS_A_MINUTE = 10
UPLOADS_AN_HOUR = 20
REPORTS_AN_HOUR = 10
HOUSEHOLD = 4  # several people behind one address; each has a quota of their own besides

TOLD: dict[Deed, str] = {
    "draw": "Those are more posts than one visitor may have written at a time.",
    "login": "Those are too many attempts.",
    "upload": "Those are more uploads than one visitor may send in an hour.",
    "order": "Those are more bots than one address may make in a day.",
    "report": "Those are more reports than one address may send in an hour.",
}


@dataclass(frozen=True)
class Limits:
    """The counters of one server."""

    items: dict[Deed, RateLimitItem]
    counter: MovingWindowRateLimiter

    @classmethod
    def of(cls, settings: WebSettings) -> Limits:
        items: dict[Deed, RateLimitItem] = {
            "draw": RateLimitItemPerMinute(settings.drawings_a_minute),
            "login": RateLimitItemPerMinute(LOGINS_A_MINUTE),
            "upload": RateLimitItemPerHour(UPLOADS_AN_HOUR),
            "order": RateLimitItemPerDay(HOUSEHOLD * settings.bots_a_day),
            "report": RateLimitItemPerHour(REPORTS_AN_HOUR),
        }
        return cls(items, MovingWindowRateLimiter(MemoryStorage()))

    async def count(self, deed: Deed, who: str) -> None:
        """Raises a Refusal when that is once too often."""
        item = self.items[deed]
        if await self.counter.hit(item, deed, who):
            return
        stats = await self.counter.get_window_stats(item, deed, who)
        wait_s = max(1, round(stats.reset_time - time.time() + 0.5))
        raise Refusal("too_many", TOLD[deed], next=f"Try again in {_spoken(wait_s)}.", retry_after_s=wait_s)


def household(address: str) -> str:
    """
    >>> household("2001:db8:1:2:3:4:5:6"), household("203.0.113.9"), household("::ffff:203.0.113.9")
    ('2001:db8:1:2::', '203.0.113.9', '203.0.113.9')
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else str(IPv6Address(int(ip) >> 64 << 64))


def _spoken(wait_s: int) -> str:
    """
    >>> _spoken(1), _spoken(90), _spoken(7000)
    ('a second', '2 minutes', '2 hours')
    """
    if wait_s < 60:
        return "a second" if wait_s == 1 else f"{wait_s} seconds"
    minutes = -(-wait_s // 60)
    if minutes < 60:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    hours = -(-minutes // 60)
    return "an hour" if hours == 1 else f"{hours} hours"

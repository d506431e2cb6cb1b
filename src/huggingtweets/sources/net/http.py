"""The one HTTP client of all networks: user agent, robots.txt, retries, rate limits and patience in one place.

In: an address. Out: an `Answer`, or NetworkTrouble once patience is at its end.

- Time-outs, broken connections, half answers and 5xx are tried again, later each time (tenacity).
- 429 waits as long as the server says; more than 15 minutes, six refusals in a row, or six hours of waiting in all end
  the run. What was downloaded is kept, so the same command goes on later.
- A limit that is used up is waited for before the next request, never after the last.
- Every wait lasts at least a second and is told.
- robots.txt is read once a server (Protego): a rule against us is honoured, and so is the delay it asks for. One that
  can't be had counts as a no, one that isn't there as a yes (RFC 9309). An API whose contract takes its place isn't
  asked for one (`robots=False`).

Not covered: one exchange and its bounds (`net.exchange`), how long a wait is (`net.waits`), which addresses may be
asked (`net.hosts`), what an answer means (each network's module).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import metadata, version
from typing import TYPE_CHECKING

from huggingtweets.errors import ConsentRefused, NetworkTrouble
from huggingtweets.sources.base import Tell, tell_nobody
from huggingtweets.sources.net.exchange import LONGEST_ANSWER_S, TIMEOUT_S, Answer, Exchange
from huggingtweets.sources.net.hosts import is_local, name_of, server_of
from huggingtweets.sources.net.waits import LONGEST_WAIT_S, TRIES, Again, backing_off_s, is_used_up, named_wait_s

if TYPE_CHECKING:
    from protego import Protego
    from tenacity import RetryCallState

__all__ = ["AGENT", "TRIES", "Answer", "Client", "server_url", "user_agent"]

AGENT = "huggingtweets"
MOST_WAITING_S = 6 * 3600.0  # in one run: some 100,000 posts of Mastodon, whose servers make us wait the longest
LONGEST_CRAWL_DELAY_S = 60.0  # who wants to be asked less often than that wants no visits
LARGEST_JSON_BYTES = 1 << 25  # a hundred of X's longest posts: 25,000 characters, each escaped as two \uXXXX
LARGEST_ROBOTS_BYTES = 500 * 1024  # RFC 9309


def _never(answer: Answer) -> bool:
    return False


def _any(answer: Answer) -> None:
    """No check at all."""


def _checked_json(answer: Answer) -> None:
    if answer.value is None and answer.body.strip() != b"null":
        raise Again("answered with something that is not JSON")


@dataclass(frozen=True)
class _Question:
    """What is asked, and which answers are taken."""

    url: str
    params: Mapping[str, str | int] | None
    limit_bytes: int
    pace_s: float = 0.0
    final: Callable[[Answer], bool] = _never
    check: Callable[[Answer], None] = _any
    is_robots: bool = False
    tries: int = TRIES

    @property
    def subject(self) -> str:
        return f"The robots.txt of {name_of(self.url)}" if self.is_robots else name_of(self.url)


@dataclass
class Client:
    """Asks one network; a context manager that closes its connections."""

    home: str  # the first address, which the person or the settings named
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a secret; for `home`'s server only
    robots: bool = True
    tell: Tell = tell_nobody
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    timeout_s: float = TIMEOUT_S
    longest_answer_s: float = LONGEST_ANSWER_S
    _exchange: Exchange = field(init=False, repr=False)
    _robots: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _rules: dict[str, Protego] = field(default_factory=dict, init=False, repr=False)
    _last_asked: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _rests: dict[str, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)  # until when, how long
    _waited_s: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._exchange = Exchange(self.home, self.headers, user_agent(), self.timeout_s, self.longest_answer_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self._exchange.close()

    def get_json(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        pace_s: float = 0.0,
        final: Callable[[Answer], bool] = _never,
        lenient: bool = False,
    ) -> Answer:
        """An answer of 2xx that is JSON (or anything, if `lenient`), or of 4xx other than 429, whatever its body.

        `pace_s` is the least time since this server was last asked. `final` picks out answers of 429 or 5xx which
        more patience would not change; they are returned. Raises NetworkTrouble and ConsentRefused.
        """
        check = _any if lenient else _checked_json
        return self._ask(_Question(url, params, LARGEST_JSON_BYTES, pace_s, final, check))

    def get_bytes(
        self, url: str, params: Mapping[str, str | int] | None = None, *, limit_bytes: int, tries: int = TRIES
    ) -> Answer:
        """As `get_json`, with a body of any kind."""
        return self._ask(_Question(url, params, limit_bytes, tries=tries))

    def may_ask(self, url: str, agent: str = AGENT) -> bool:
        """Whether the server's robots.txt lets us, or another agent; it is asked for once."""
        return bool(self._rules_of(url).can_fetch(url, agent))

    def robots_text(self, url: str) -> str:
        """The server's robots.txt; empty where there is none."""
        server = server_of(url)
        if server not in self._robots:
            asked = _Question(f"{server}/robots.txt", None, LARGEST_ROBOTS_BYTES, is_robots=True)
            answer = self._retried(asked)
            self._robots[server] = answer.body.decode("utf-8-sig", "replace") if answer.ok else ""
        return self._robots[server]

    def _rules_of(self, url: str) -> Protego:
        server = server_of(url)
        if server not in self._rules:
            from protego import Protego

            self._rules[server] = Protego.parse(self.robots_text(url))
        return self._rules[server]

    def _ask(self, asked: _Question) -> Answer:
        if not self.robots:
            return self._retried(asked)
        delay_s = self._rules_of(asked.url).crawl_delay(AGENT) or 0.0
        if not self.may_ask(asked.url) or delay_s > LONGEST_CRAWL_DELAY_S:
            raise ConsentRefused(
                f"{name_of(asked.url)} asks programs like this one to stay away (robots.txt).",
                next="ask the account's owner for the export that the network gives them, and pass that file",
            )
        return self._retried(replace(asked, pace_s=max(asked.pace_s, delay_s)))

    def _retried(self, asked: _Question) -> Answer:
        from tenacity import Retrying, retry_if_exception_type

        def is_enough(state: RetryCallState) -> bool:
            return state.attempt_number >= min(asked.tries, _tries_of(state))

        retrying = Retrying(
            retry=retry_if_exception_type(Again),
            stop=is_enough,
            wait=backing_off_s,
            sleep=self._wait,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        try:
            return retrying(self._once, asked)
        except Again as error:
            raise NetworkTrouble(
                f"{asked.subject} {error.why}, {min(asked.tries, error.tries)} times in a row.",
                why="What was downloaded so far is kept.",
                next="wait a while, then run the same command again: it goes on from there",
            ) from error

    def _tell_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Again) and state.next_action:
            self.tell(f"The server {error.why}; trying again in {state.next_action.sleep:.0f} s.")

    def _once(self, asked: _Question) -> Answer:
        self._rest(asked.url)
        self._keep_pace(asked)
        try:
            answer = self._exchange.ask(asked.url, asked.params, asked.limit_bytes, cut=asked.is_robots)
        finally:
            self._last_asked[server_of(asked.url)] = self.now()
        if answer.status == 429 or answer.status >= 500:
            if asked.final(answer):
                return answer
            limited = answer.status == 429
            why = "says that it is asked too often" if limited else f"answered {answer.status}"
            raise Again(why, self._named_wait_s(answer, asked))
        if 300 <= answer.status < 400:
            raise Again(f"answered {answer.status} and named no address to go on to")
        if answer.ok:
            asked.check(answer)
            self._note_rest(answer, asked)
        return answer

    def _named_wait_s(self, answer: Answer, asked: _Question) -> float | None:
        """Raises NetworkTrouble for a wait that nobody would sit through."""
        wait_s = named_wait_s(answer.headers, self.now())
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            raise NetworkTrouble(
                f"{asked.subject} asks us to wait {_long(wait_s)}.",
                why="What was downloaded so far is kept.",
                next="run the same command again then: it goes on from there",
            )
        return wait_s

    def _note_rest(self, answer: Answer, asked: _Question) -> None:
        """A used-up limit is of this address: others have their own."""
        wait_s = named_wait_s(answer.headers, self.now()) if is_used_up(answer.headers) else None
        if wait_s is not None:
            self._rests[_place(asked.url)] = (self.now() + max(1.0, wait_s), max(1.0, wait_s))

    def _rest(self, url: str) -> None:
        until, whole_s = self._rests.pop(_place(url), (0.0, 0.0))
        wait_s = min(until - self.now(), whole_s)  # the second in case the clock was set back
        if wait_s > LONGEST_WAIT_S:
            self._rests[_place(url)] = (until, whole_s)
            raise NetworkTrouble(
                f"The rate limit of {name_of(url)} is used up for another {_long(wait_s)}.",
                why="What was downloaded so far is kept.",
                next="run the same command again then: it goes on from there",
            )
        if wait_s > 0:
            self.tell(f"The server's rate limit is used up; going on in {wait_s:.0f} s.")
            self._wait(wait_s)

    def _keep_pace(self, asked: _Question) -> None:
        """Not told: it is a few seconds, and part of how fast that server is."""
        last = self._last_asked.get(server_of(asked.url))
        if last is not None and (wait_s := last + asked.pace_s - self.now()) > 0:
            self._wait(min(wait_s, asked.pace_s))

    def _wait(self, seconds: float) -> None:
        self._waited_s += seconds
        if self._waited_s > MOST_WAITING_S:
            raise NetworkTrouble(
                f"{name_of(self.home)} has made us wait {_long(MOST_WAITING_S)} in this run.",
                why="What was downloaded so far is kept.",
                next="run the same command again: it goes on from there",
            )
        self.sleep(seconds)


def _tries_of(state: RetryCallState) -> int:
    error = state.outcome.exception() if state.outcome else None
    return error.tries if isinstance(error, Again) else TRIES


def _place(url: str) -> str:
    return url.partition("?")[0]


def _long(seconds: float) -> str:
    """
    >>> _long(1200.0), _long(7200.0)
    ('20 minutes', '2.0 hours')
    """
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"


def user_agent() -> str:
    """Name, version, and where to learn more: the project's page, or what the project does.

    >>> user_agent().split("/")[0]
    'huggingtweets'
    """
    pages = [entry.rpartition(",")[2].strip() for entry in metadata(AGENT).get_all("Project-URL") or []]
    more = f"+{pages[0]}" if pages else "makes a bot of an account's posts, with its owner's word"
    return f"{AGENT}/{version(AGENT)} ({more})"


def server_url(name: str) -> str:
    """The address of a server that a person named: encrypted, unless it is on this machine.

    >>> server_url("social.example"), server_url("127.0.0.1:8080")
    ('https://social.example', 'http://127.0.0.1:8080')
    """
    scheme = "http" if is_local(f"//{name}") else "https"
    return f"{scheme}://{name}"

"""A fleet from beginning to end. In: orders. Out: bots, and a report of what became of each.

Every bot is opened (what is it called, which networks is it from?), read (download and dataset) and trained (all the
rest), each by whichever process is free. Reading and training are queues of their own:

- Downloads: one at a time for each network, fleet-wide (`work.lanes_of`); files as fast as there are processes.
- Names: in the list's order, whichever was opened first.
- Trainings: as many on a node as its cores, memory and GPUs take (`engine.Needs`).

What goes wrong:

- A node that is gone, or a process that it took down: the bot goes on elsewhere, from its last checkpoint. That is not
  the bot's failure, and neither is one that got farther than any before.
- A process that ends without a word, a bug, a network that does not answer: a failure of the bot. After three it is set
  aside with its reason.
- What no other try would change (no such file, no consent, too little text) is set aside at once.
- A node whose disk is full rests; when all do, the fleet stops and says so.
- A network that does not answer rests, and its next bot asks later.

Not covered: what is finished already. The stages find out themselves, so a fleet that starts again asks them all.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingtweets.botdir import make_folder
from huggingtweets.errors import BotError, NetworkTrouble, StorageError
from huggingtweets.fleet.engine import Engine, Hand, Needs, Node
from huggingtweets.fleet.ledger import MOST_TRIES, Entry, Ledger, file_of
from huggingtweets.fleet.members import Failed, Made, Opened
from huggingtweets.fleet.shared import Storage
from huggingtweets.fleet.staff import REST_S, Rest, Staff
from huggingtweets.hub import Hub
from huggingtweets.reports import FLEET_FILE

TURN_S = 0.2  # how long an answer is waited for before the rest is looked after
LOOK_S = 1.0  # how often processes are asked how far they are
REPORT_S = 1.0  # how often fleet.json is written; behind a URL more seldom
REPORT_URL_S = 30.0
REPORT_SHARE = 0.05  # of the time at most goes into writing it, however many bots there are
LOOK_AHEAD = 200  # bots that are opened before the first of them is read: their networks can be asked side by side
BUSY_S = 5.0  # until a bot that another process works on is asked for again
SILENT_S = 3600.0  # a process that has said nothing for so long hangs; a network may ask for a quarter of an hour

Listen = Callable[[Ledger], None]


class Fleet:
    """The state of one run; `run` is the way in."""

    def __init__(self, ledger: Ledger, staff: Staff, storage: Storage, *, publishes: bool, listen: Listen) -> None:
        self._ledger, self._staff, self._storage = ledger, staff, storage
        self._publishes, self._listen = publishes, listen
        self._names: dict[str, Entry] = {}
        self._to_open = deque(entry for entry in ledger.entries if not entry.is_over)
        self._to_name = deque(ledger.entries)
        self._to_read: dict[frozenset[str], deque[Entry]] = {}  # by network
        self._to_train: deque[Entry] = deque()
        self._to_publish: deque[Entry] = deque()
        self._later: list[tuple[float, int, Entry]] = []  # a heap, by when
        self._counter = itertools.count()
        self._lanes: dict[str, Rest] = defaultdict(Rest)
        self._looked = self._reported = self._report_cost_s = 0.0

    def drive(self) -> None:
        """Until every bot is made or set aside."""
        try:
            while not self._ledger.is_over:
                self._staff.count_nodes()
                self._hire()
                self._give()
                for hand, entry, answer in self._staff.answers(TURN_S):
                    match answer:
                        case Opened():
                            self._opened(entry, answer)
                        case Made():
                            self._made(hand, entry, answer)
                        case Failed():
                            self._failed(hand, entry, answer)
                for entry, lost in self._staff.losses():
                    if lost.cause == "process":
                        self._try_again(entry, Failed("process", lost.text))
                    else:
                        self._again(entry)
                self._wake()
                self._give_names()
                self._look()
                self._report()
        finally:
            self._staff.dismiss_all()
            with contextlib.suppress(StorageError):  # whatever ended the fleet says more
                self._report(at_once=True)

    def _hire(self) -> None:
        to_read = len(self._to_open) + sum(map(len, self._to_read.values())) + len(self._to_publish)
        self._staff.hire({"read": to_read, "train": len(self._to_train)})
        is_more_coming = self._later or self._publishes or any(e.state == "opening" for e in self._staff.work.values())
        if not to_read and not is_more_coming:
            self._staff.let_go("read")

    def _give(self) -> None:
        for hand in self._staff.free("train"):
            if self._to_train:
                self._ledger.note_training()
                self._begin(hand, self._to_train.popleft(), "training", "train")
        for hand in self._staff.free("read"):
            if self._to_open and sum(map(len, self._to_read.values())) < LOOK_AHEAD:
                self._begin(hand, self._to_open.popleft(), "opening", "open")
            elif (entry := self._next_to_read()) is not None:
                self._begin(hand, entry, "reading", "read")
            elif self._to_publish and self._is_free("hub"):
                self._begin(hand, self._to_publish.popleft(), "publishing", "publish")
            elif self._to_open:
                self._begin(hand, self._to_open.popleft(), "opening", "open")

    def _begin(self, hand: Hand, entry: Entry, state: Any, what: Any) -> None:
        entry.state = state
        self._staff.give(hand, entry, what)

    def _next_to_read(self) -> Entry | None:
        """The first whose networks nobody downloads from at the moment; files, which no network slows, come last."""
        for lanes in sorted(self._to_read, key=lambda lanes: not lanes):
            if all(map(self._is_free, lanes)):
                entries = self._to_read[lanes]
                if len(entries) == 1:
                    del self._to_read[lanes]
                return entries.popleft()
        return None

    def _is_free(self, lane: str) -> bool:
        busy = any(lane in _lanes_in_use(entry) for entry in self._staff.work.values())
        return not busy and self._lanes[lane].is_over

    # --- answers ---

    def _opened(self, entry: Entry, opened: Opened) -> None:
        entry.opened, entry.name = opened, opened.name
        entry.state = "opened"

    def _give_names(self) -> None:
        """In the list's order, whichever was opened first: of two that want one name the same has it in every run."""
        while self._to_name and self._to_name[0].state not in ("waiting", "opening"):
            entry = self._to_name.popleft()
            first = self._names.setdefault(entry.name, entry) if entry.name else entry
            if entry.opened is None or entry.is_over:
                continue
            if first is not entry:
                what = f"It would be the same bot as {first.member.where}: {entry.name}."
                self._set_aside(entry, Failed("lasting", what, next="give it a --name of its own"))
            elif entry.opened.is_complete:
                entry.was_there = True
                entry.state = "done"
            else:
                self._put("opened", entry)

    def _made(self, hand: Hand, entry: Entry, made: Made) -> None:
        was = entry.state
        for lane in _lanes_in_use(entry):
            self._lanes[lane].end()
        entry.facts |= made.facts
        entry.failure, entry.tries = None, 0
        if not made.is_finished:
            self._put("read", entry)
            return
        self._staff.disks[hand.node.id].end()
        entry.was_there = entry.was_there or was == "reading"
        if was == "training":
            self._ledger.note_made()
        if self._publishes and was != "publishing":
            self._put("made", entry)
        else:
            entry.state = "done"

    # --- what goes wrong ---

    def _failed(self, hand: Hand, entry: Entry, failed: Failed) -> None:
        match failed.kind:
            case "lasting":
                self._set_aside(entry, failed)
            case "busy":
                self._again(entry, BUSY_S)
            case "network":
                for lane in _lanes_in_use(entry):
                    self._lanes[lane].begin()
                self._try_again(entry, failed, REST_S)
            case "storage":
                self._again(entry)
                if not self._staff.rest_full_disk(hand.node):
                    raise StorageError(failed.what, why=failed.why, next=failed.next)
            case _:
                self._try_again(entry, failed)

    def _try_again(self, entry: Entry, failed: Failed, after_s: float = 0.0) -> None:
        entry.tries, entry.failure = entry.tries + 1, failed
        if entry.tries >= MOST_TRIES:
            self._set_aside(entry, failed)
        else:
            self._again(entry, after_s * entry.tries)

    def _set_aside(self, entry: Entry, failed: Failed) -> None:
        entry.state, entry.failure = "failed", failed

    def _again(self, entry: Entry, after_s: float = 0.0) -> None:
        """From the beginning of what was being done; the folder knows how far that was."""
        back: dict[Any, Any] = {"opening": "waiting", "reading": "opened", "training": "read", "publishing": "made"}
        entry.state = back[entry.state]
        heapq.heappush(self._later, (time.monotonic() + after_s, next(self._counter), entry))

    def _wake(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            entry = heapq.heappop(self._later)[2]
            self._put(entry.state, entry)

    def _put(self, state: Any, entry: Entry) -> None:
        """In line for what comes after this state."""
        entry.state = state
        match state:
            case "waiting":
                self._to_open.appendleft(entry)  # those behind it in the list wait for its name
            case "opened":
                self._to_read.setdefault(entry.lanes, deque()).append(entry)
            case "read":
                self._to_train.append(entry)
            case "made":
                self._to_publish.append(entry)

    # --- what is told ---

    def _look(self) -> None:
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            self._staff.look(SILENT_S)
            self._staff.tell_slow_starts()
            self._listen(self._ledger)

    def _report(self, *, at_once: bool = False) -> None:
        every_s = max(REPORT_URL_S if self._storage.is_url else REPORT_S, self._report_cost_s / REPORT_SHARE)
        begin = time.monotonic()
        if at_once or begin - self._reported >= every_s:
            try:
                self._storage.write(FLEET_FILE, file_of(self._ledger.to_json()))
            except NetworkTrouble as error:  # of a storage behind a URL; the work goes on, and the next time will do
                if str(error) not in self._ledger.notices:
                    self._ledger.notices.append(str(error))
            self._reported = time.monotonic()
            self._report_cost_s = self._reported - begin


def _lanes_in_use(entry: Entry) -> frozenset[str]:
    return {"reading": entry.lanes, "publishing": frozenset({"hub"})}.get(entry.state, frozenset())


@contextlib.contextmanager
def alone(storage: Storage) -> Iterator[None]:
    """One fleet at a time for a folder of bots; raises BotError while another one works there."""
    if storage.is_url:
        yield
        return
    from filelock import FileLock, Timeout

    make_folder(Path(storage.out))
    lock = FileLock(Path(storage.out) / ".fleet.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BotError(
            f"Another fleet is at work in {storage}.", next="watch it, or stop it and run the same command again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _needs(by_base: dict[str, Needs], nodes: list[Node], ledger: Ledger) -> Needs:
    """What every training is given: what the most demanding base needs of those that fit on some node. Bots of others
    are set aside, unless none fits."""
    fits = {base: needs for base, needs in by_base.items() if any(map(needs.room_on, nodes))}
    for entry in ledger.entries:
        base = entry.member.settings.base
        if fits and base not in fits and not entry.is_over:
            entry.refuse(f"No node has room for a training on {base}: it takes {by_base[base]}.")
    return max((fits or by_base).values(), key=lambda needs: (needs.gpus, needs.memory))


def run(
    ledger: Ledger,
    storage: Storage,
    *,
    address: str | None = None,
    threads: int = 1,
    gpus_per_bot: float | None = None,
    publish: bool = False,
    retry: bool = False,
    environment: dict[str, str] | None = None,
    listen: Listen = lambda ledger: None,
) -> Ledger:
    """Makes every bot of the ledger, and returns it with what became of each.

    Safe to repeat, and to kill: what is finished is found, what was interrupted goes on. `retry` tries again what an
    earlier run set aside after three failures. Raises SettingsError where there is no Ray or no node with room,
    StorageError when every disk is full, PublishError without a login, BotError while another fleet works there.
    """
    with alone(storage):
        ledger.remember(storage.read(FLEET_FILE), retry=retry)
        storage.write(FLEET_FILE, file_of(ledger.to_json()))  # before anything else: may we write there?
        if ledger.is_over:
            return ledger
        if publish:
            Hub().owner()  # raises PublishError for whoever is not logged in, before all the work
        with Engine(storage, address, environment or {}) as engine:
            bases = {entry.member.settings.base for entry in ledger.entries}
            devices = {entry.member.settings.training.device for entry in ledger.entries}
            device = devices.pop() if len(devices) == 1 else None
            needs = _needs(engine.needs(bases, threads, gpus_per_bot, device), engine.nodes(), ledger)
            staff = Staff(engine, needs, ledger.notices.append)
            Fleet(ledger, staff, storage, publishes=publish, listen=listen).drive()
    return ledger

"""The processes of a fleet: as many of each kind as there is work and room for, and what it means that one ended.

- A process whose node is gone, or that the system ended because memory ran out beside others, has not failed. To tell
  one from the other takes Ray a few seconds, and so long nothing is begun on that node.
- A node where memory ran out gets one training less; one whose disk is full rests.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from huggingtweets.errors import BotError, SettingsError
from huggingtweets.fleet.engine import Ask, Engine, Hand, Kind, Lost, Needs, Node
from huggingtweets.fleet.ledger import Entry
from huggingtweets.fleet.members import Answer, Progress

NODES_S = 3.0  # how often nodes are counted
ROOM_S = 900.0  # how long a cluster without room is waited for: nodes join in minutes
DOUBT_S = 8.0  # after the end of a process: by then Ray knows whether its node is gone too
REST_S = 30.0  # after a first failure; doubled after each
LONGEST_REST_S = 900.0
MOST_READERS = 8
SLOW_START_S = 180.0
MOST_STARTS = 3  # processes that ended before they were there, in a row


@dataclass
class Rest:
    """Something that failed is left alone for a while, longer each time."""

    until: float = 0.0
    length_s: float = REST_S

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until

    def begin(self) -> None:
        self.until = time.monotonic() + self.length_s
        self.length_s = min(2 * self.length_s, LONGEST_REST_S)

    def end(self) -> None:
        self.until, self.length_s = 0.0, REST_S


@dataclass(frozen=True)
class _Doubt:
    """A process that ended, until it is clear why."""

    until: float
    hand: Hand
    entry: Entry | None
    lost: Lost


class Staff:
    """All processes, and the bot that each works on."""

    def __init__(self, engine: Engine, needs: Needs, tell: Callable[[str], None]) -> None:
        self.engine, self.needs, self._tell = engine, needs, tell
        self.hands: list[Hand] = []
        self.work: dict[Hand, Entry] = {}
        self.disks: dict[str, Rest] = defaultdict(Rest)  # by node
        self._nodes: list[Node] = []
        self._counted = 0.0
        self._roomy, self._told_room = time.monotonic(), 0.0  # when there last was room; of which time that was told
        self._doubts: list[_Doubt] = []
        self._fewer: dict[str, int] = defaultdict(int)  # by node: trainings that were too many for its memory
        self._failed_starts = 0
        self._slow: set[str] = set()  # nodes that a person was told about

    # --- nodes ---

    def count_nodes(self) -> None:
        """Raises SettingsError where no training fits on any node, for long."""
        if time.monotonic() - self._counted < NODES_S and self._nodes:
            return
        self._counted = time.monotonic()
        before, self._nodes = self._nodes, self.engine.nodes()
        here = {node.id for node in self._nodes}
        for gone in (node for node in before if node.id not in here):
            self._tell(f"The node {gone.name} is gone; what it was making goes on elsewhere.")
        self.hands = [hand for hand in self.hands if hand.node.id in here or hand.asked is not None]
        if any(hand.kind == "train" for hand in self.hands) or any(map(self.needs.room_on, self._nodes)):
            self._roomy = time.monotonic()
        else:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        """A cluster's nodes may be about to join, or to come back; this machine stays as it is."""
        largest = max(self._nodes, key=lambda node: (node.gpus, node.memory, node.cpus), default="none")
        what = f"No node has room for a training: it takes {self.needs}, and the largest has {largest}."
        if self.engine.is_here or time.monotonic() - self._roomy > ROOM_S:
            raise SettingsError(what, next="a smaller base, fewer --threads, or larger nodes")
        if self._told_room != self._roomy:
            self._told_room = self._roomy
            self._tell(f"{what} Waiting for one that has, {ROOM_S / 60:.0f} minutes at most.")

    def rest_full_disk(self, node: Node) -> bool:
        """Begins nothing there for a while; whether another node is left that could train."""
        self.disks[node.id].begin()
        self._tell(f"The disk of the node {node.name} is full; it rests for a while.")
        return any(self.disks[other.id].is_over and self.needs.room_on(other) for other in self._nodes)

    def _able(self) -> list[Node]:
        doubtful = {doubt.hand.node.id for doubt in self._doubts}
        return [node for node in self._nodes if self.disks[node.id].is_over and node.id not in doubtful]

    # --- coming and going ---

    def hire(self, waiting: Mapping[Kind, int]) -> None:
        """As many processes as there is work and room for, spread over the nodes."""
        able = self._able()
        rooms = {node: self._room_on(node) for node in able if self.needs.room_on(node)}
        self._hire("train", waiting["train"], rooms)
        readers = min(MOST_READERS, 1 + int(sum(node.cpus for node in self._nodes) // 2))
        self._hire("read", waiting["read"], {node: -(-readers // len(able)) for node in able})

    def _room_on(self, node: Node) -> int:
        return max(1, self.needs.room_on(node) - self._fewer[node.id])

    def _hire(self, kind: Kind, waiting: int, rooms: Mapping[Node, int]) -> None:
        same = [hand for hand in self.hands if hand.kind == kind]
        idle = sum(hand not in self.work for hand in same)
        count = {node: sum(hand.node.id == node.id for hand in same) for node in rooms}
        while idle < waiting and (free := [node for node, room in rooms.items() if count[node] < room]):
            node = min(free, key=lambda node: count[node] / rooms[node])
            self.hands.append(self.engine.hire(kind, node, self.needs))
            count[node] += 1
            idle += 1

    def tell_slow_starts(self) -> None:
        """A process that Ray does not begin waits for room that something else takes, and nothing says so."""
        for hand in self.hands:
            node = hand.node
            if not hand.is_ready and time.monotonic() - hand.hired > SLOW_START_S and node.id not in self._slow:
                self._slow.add(node.id)
                self._tell(f"The node {node.name} has begun no process for minutes; what takes its room: ray status")

    def let_go(self, kind: Kind) -> None:
        """Those of a kind that have nothing to do: they leave their memory to the others."""
        for hand in [hand for hand in self.hands if hand.kind == kind and hand.is_ready and hand not in self.work]:
            self.engine.dismiss(hand)
            self.hands.remove(hand)

    def dismiss_all(self) -> None:
        for hand in self.hands:
            self.engine.dismiss(hand)

    # --- work ---

    def free(self, kind: Kind) -> list[Hand]:
        """Those that could be given something."""
        return [
            hand
            for hand in self.hands
            if hand.kind == kind and hand.is_ready and hand not in self.work and self.disks[hand.node.id].is_over
        ]

    def give(self, hand: Hand, entry: Entry, what: Ask) -> None:
        entry.node, entry.moved, entry.progress = hand.node.name, time.monotonic(), Progress()
        self.work[hand] = entry
        self.engine.ask(hand, what, entry.member)

    def answers(self, timeout_s: float) -> list[tuple[Hand, Entry, Answer]]:
        """What came of work that was given; processes that ended are kept for `losses`."""
        found: list[tuple[Hand, Entry, Answer]] = []
        for hand, answer in self.engine.answers(timeout_s):
            if isinstance(answer, int):
                hand.is_ready, self._failed_starts = True, 0
                continue
            entry = self.work.pop(hand, None)
            if isinstance(answer, Lost):
                self._lose(hand, entry, answer)
            elif entry is not None:
                found.append((hand, entry, answer))
        return found

    def look(self, silent_s: float) -> None:
        """Asks every process how far it is; one where nothing moved for so long is ended."""
        for hand, entry in list(self.work.items()):
            progress = self.engine.look(hand)
            if progress is not None and progress.key == entry.member.key:  # not what it did before
                entry.advance(progress)
            if time.monotonic() - entry.moved > silent_s:
                del self.work[hand]
                self._lose(hand, entry, Lost("process", "The process hung, and was ended."))

    # --- ends ---

    def _lose(self, hand: Hand, entry: Entry | None, lost: Lost) -> None:
        self.engine.dismiss(hand)
        if hand in self.hands:
            self.hands.remove(hand)
        wait_s = DOUBT_S if lost.cause == "process" and not self.engine.is_here else 0.0
        self._doubts.append(_Doubt(time.monotonic() + wait_s, hand, entry, lost))

    def losses(self) -> list[tuple[Entry, Lost]]:
        """Of processes that ended, as far as it is clear by now why."""
        now = time.monotonic()
        due = [doubt for doubt in self._doubts if doubt.until <= now]
        self._doubts = [doubt for doubt in self._doubts if doubt.until > now]
        return [(entry, lost) for entry, lost in map(self._judge, due) if entry is not None]

    def _judge(self, doubt: _Doubt) -> tuple[Entry | None, Lost]:
        """Raises BotError where processes end before they are there."""
        node, lost = doubt.hand.node, doubt.lost
        if not any(other.id == node.id for other in self.engine.nodes()):
            self._counted = 0.0
            return doubt.entry, Lost("node", f"The node {node.name} is gone.")
        if lost.cause == "memory":
            self._fewer[node.id] += 1
            if self.needs.room_on(node) - self._fewer[node.id] < 1:  # it was alone, and too large all the same
                return doubt.entry, Lost("process", lost.text)
        if not doubt.hand.is_ready and lost.cause == "process":
            self._failed_starts += 1
            if self._failed_starts >= MOST_STARTS:
                raise BotError(
                    f"No process can be begun on {node.name}.",
                    why=lost.text,
                    next="see that this huggingtweets is installed on every node: huggingtweets doctor",
                )
        return doubt.entry, lost

"""Ray, as far as a fleet needs it: nodes, processes on them, questions and answers. The only room that imports it.

- A process (`Hand`) is an actor, pinned to a node, so that the fleet decides what a node has room for.
- Ray keeps no queue and tries nothing again: what was lost is told, and `driving` decides.
- Without an address everything runs on this machine: a Ray of its own, on loopback, that ends with the command.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from huggingtweets.errors import SettingsError
from huggingtweets.fleet import work
from huggingtweets.fleet.members import Answer, Member, Progress
from huggingtweets.fleet.shared import Storage

Kind = Literal["read", "train"]
Ask = Literal["open", "read", "train", "publish"]

OBJECT_STORE_BYTES = 80_000_000  # what goes between processes is small; Ray takes a third of the memory otherwise
OVERHEAD_BYTES = 1_500_000_000  # torch, transformers and what a step computes; measured, see docs/log.md
COPIES = 5  # of the weights in float32: themselves, gradients, two of AdamW, and the base that is kept
MOST_ON_A_GPU = 32
ANSWER_S = 10.0
MOST_JOINS = 3


@dataclass(frozen=True)
class Node:
    """One machine of the cluster."""

    id: str
    name: str
    cpus: float
    gpus: float
    memory: float  # bytes that Ray gives away

    def __str__(self) -> str:
        return _sizes(self.memory, self.cpus, self.gpus)


@dataclass(eq=False)
class Hand:
    """A process."""

    kind: Kind
    node: Node
    actor: Any
    hired: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    asked: Any = None  # the reference to its next answer
    look: Any = None  # the reference to what it says of its progress


@dataclass(frozen=True)
class Lost:
    """A process ended without an answer."""

    cause: Literal["node", "memory", "process"]
    text: str


@dataclass(frozen=True)
class Needs:
    """What a training takes of a node."""

    cpus: int
    memory: int  # bytes
    gpus: float = 0.0

    def __str__(self) -> str:
        return _sizes(self.memory, self.cpus, self.gpus)

    def room_on(self, node: Node) -> int:
        """How many fit.

        >>> Needs(cpus=2, memory=10).room_on(Node("", "", cpus=8, gpus=0, memory=25))
        2
        """
        rooms = [int(node.cpus // self.cpus), int(node.memory // max(1, self.memory))]
        if self.gpus:
            rooms.append(int(node.gpus) * int(1 / self.gpus + 1e-9) if self.gpus < 1 else int(node.gpus // self.gpus))
        return min(rooms)


def _sizes(memory: float, cpus: float, gpus: float) -> str:
    """
    >>> _sizes(3.21e9, 2, 0), _sizes(3.21e9, 1, 0.25)
    ('3.2 GB of memory and 2 cores', '3.2 GB of memory and 1 core and 0.25 of a GPU')
    """
    cores = f"{cpus:g} core{'s' * (cpus != 1)}"
    return " and ".join([f"{memory / 1e9:.1f} GB of memory", cores, *([f"{gpus:.2g} of a GPU"] if gpus else [])])


def _part_of_a_gpu(whole: int, needed: int) -> float:
    """
    >>> _part_of_a_gpu(80_000_000_000, 4_000_000_000), _part_of_a_gpu(0, 1)
    (0.05, 1.0)
    """
    return 1 / min(MOST_ON_A_GPU, max(1, whole // needed))


@dataclass
class Engine:
    """A context manager: connects, and ends what it began."""

    storage: Storage
    address: str | None = None  # host:port, ray://host:port, or "auto"
    environment: dict[str, str] = field(default_factory=dict)  # for every process
    _asked: dict[Any, Hand] = field(default_factory=dict, init=False)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    def __enter__(self) -> Engine:
        ray = _ray()
        nowhere = self._stack.enter_context(Path(os.devnull).open("w"))
        self._stack.enter_context(contextlib.redirect_stdout(nowhere))  # where Ray prints what happens to nodes
        with _connecting(self.address):
            if self.is_here:
                ray.init(
                    "local",
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    **_QUIET,
                )
            else:
                _join(self.address)
        return self

    def __exit__(self, *exception: object) -> None:
        _ray().shutdown()
        self._stack.close()

    @property
    def is_here(self) -> bool:
        """Whether there is one node, which lives as long as the command does."""
        return self.address in (None, "local")

    def nodes(self) -> list[Node]:
        """Those that live."""
        return [
            Node(
                found["NodeID"],
                str(found.get("NodeManagerHostname") or found.get("NodeManagerAddress")),
                found["Resources"].get("CPU", 0.0),
                found["Resources"].get("GPU", 0.0),
                found["Resources"].get("memory", 0.0),
            )
            for found in _ray().nodes()
            if found["Alive"]
        ]

    def needs(self, bases: set[str], threads: int, gpus: float | None, device: str | None) -> dict[str, Needs]:
        """Of a training on each base, as they are found on the cluster; one that can't be found seems to need little,
        and fails its own bots later."""
        ray = _ray()
        measured = ray.remote(num_cpus=0)(work.parameters_of)
        parameters = dict(zip(bases, ray.get([measured.remote(base) for base in bases]), strict=True))
        memory = {base: OVERHEAD_BYTES + COPIES * 4 * count for base, count in parameters.items()}
        on_gpu = device != "cpu" and (gpus is None or gpus > 0) and any(node.gpus for node in self.nodes())
        if not on_gpu:
            return {base: Needs(threads, needed) for base, needed in memory.items()}
        whole = 0 if gpus else ray.get(ray.remote(num_cpus=0, num_gpus=0.001)(work.gpu_bytes).remote())
        return {
            base: Needs(threads, OVERHEAD_BYTES + 4 * count, gpus or _part_of_a_gpu(whole, memory[base]))
            for base, count in parameters.items()
        }

    def hire(self, kind: Kind, node: Node, needs: Needs) -> Hand:
        """Begins a process; its first answer says that it is there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        takes: dict[str, float] = (
            {"num_cpus": 0} if kind == "read" else {"num_cpus": needs.cpus, "memory": needs.memory}
        )
        if kind == "train" and needs.gpus:
            takes["num_gpus"] = needs.gpus
        actor_class = _ray().remote(
            max_restarts=0,
            concurrency_groups={"look": 1},
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            **takes,
        )(_worker())
        hand = Hand(kind, node, actor_class.remote(self.storage, str(Path.cwd()), self.environment))
        self._ask(hand, hand.actor.hello.remote())
        return hand

    def ask(self, hand: Hand, what: Ask, member: Member) -> None:
        self._ask(hand, getattr(hand.actor, what).remote(member))

    def _ask(self, hand: Hand, reference: Any) -> None:
        hand.asked = reference
        self._asked[reference] = hand

    def answers(self, timeout_s: float) -> list[tuple[Hand, Answer | Lost | int]]:
        """Those that have come, waiting for one at most so long; an int is a process that has just come to be."""
        ray = _ray()
        if not self._asked:
            time.sleep(timeout_s)
            return []
        ready, _ = ray.wait(list(self._asked), num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        return [(self._asked[reference], self._answer(reference)) for reference in ready]

    def _answer(self, reference: Any) -> Answer | Lost | int:
        ray = _ray()
        hand = self._asked.pop(reference)
        hand.asked = None
        try:
            answer: Answer | int = ray.get(reference)
            return answer
        except ray.exceptions.RayError as error:
            text = str(error)
            if "low on memory" in text or isinstance(error, ray.exceptions.OutOfMemoryError):
                return Lost("memory", "The node ran out of memory, and the process was ended.")
            lives = any(node.id == hand.node.id for node in self.nodes())
            if not lives or "node has died" in text or "node was" in text:
                return Lost("node", f"The node {hand.node.name} is gone.")
            why = text.strip().splitlines()[-1] if not hand.is_ready else ""
            return Lost("process", f"The process ended without a word. {why}".strip())

    def look(self, hand: Hand) -> Progress | None:
        """What it last said of its progress; None where it hasn't answered since."""
        ray = _ray()
        said: Progress | None = None
        if hand.look is not None:
            ready, _ = ray.wait([hand.look], timeout=0)
            if not ready:
                return None
            with contextlib.suppress(ray.exceptions.RayError):
                said = ray.get(hand.look)
        hand.look = hand.actor.progress.remote()
        return said

    def dismiss(self, hand: Hand) -> None:
        """Ends a process; what it was asked is never answered."""
        if hand.asked is not None:
            self._asked.pop(hand.asked, None)
        with contextlib.suppress(_ray().exceptions.RayError):
            _ray().kill(hand.actor)


def _worker() -> type[work.Worker]:
    """The process's class, as Ray wants to have it: `progress` is answered beside whatever else is being done."""
    ray = _ray()

    class Worker(work.Worker):
        @ray.method(concurrency_group="look")  # type: ignore[untyped-decorator]
        def progress(self) -> Progress:
            return super().progress()

    return Worker


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}


def _ray() -> Any:
    """Ray itself, which tells nobody that it is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise SettingsError(
            "A fleet needs Ray, which is not installed.", next="pip install 'huggingtweets[fleet]'"
        ) from error
    return ray


def _join(address: str | None) -> None:
    """Behind `ray://` the cluster begins a server for each client, and gives up on it after half a minute, which a busy
    machine may need: it is asked again."""
    for attempt in range(MOST_JOINS):
        try:
            _ray().init(address, **_QUIET)
            return
        except ConnectionAbortedError:
            if attempt + 1 == MOST_JOINS:
                raise


@contextlib.contextmanager
def _connecting(address: str | None) -> Any:
    try:
        if found := re.fullmatch(r"(?:ray://)?\[?([^\]/]+?)\]?:(\d{1,5})", address or ""):
            socket.create_connection((found[1], int(found[2])), timeout=ANSWER_S).close()  # Ray would try for minutes
        yield
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        line = next(iter(str(error).splitlines()), "")
        where = f"The cluster at {address}" if address else "Ray on this machine"
        raise SettingsError(f"{where} does not answer.", why=line, next="look at it with: ray status") from error

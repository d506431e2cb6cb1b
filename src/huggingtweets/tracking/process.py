"""The process that records: orders come in, a line each; what a person should know goes out, a line each.

It is its own process so that nothing W&B does can slow a training down, fail it, or be seen by it: no thread of W&B's,
none of its settings, and when it hangs it is stopped. When the training's process ends, however it ends, the orders
end, and the run is closed in good order.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from huggingtweets.botdir import BotDir
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.tracking.journal import Journal

LOOK_S = 1.0  # how late a step may be seen

Order = Mapping[str, Any]


def main() -> None:
    """Runs until there are no more orders, then leaves without waiting for any thread of W&B's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, whose end is the end of the orders
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    _serve(_orders(sys.stdin), answers, _printed())
    os._exit(0)


def _printed() -> Callable[[], str]:
    """Keeps what W&B prints, which belongs on nobody's terminal; returns how to see it."""
    source, sink = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        os.dup2(sink, stream.fileno())
    kept: list[bytes] = []

    def read() -> None:
        while part := os.read(source, 4096):
            kept.append(part)

    threading.Thread(target=read, daemon=True).start()
    return lambda: b"".join(kept).decode("utf-8", "replace")


def _orders(lines: IO[str]) -> queue.SimpleQueue[Order | None]:
    """Read as they come, so that nobody ever waits to write one; None at the end."""
    orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()

    def read() -> None:
        for line in lines:
            orders.put(json.loads(line))
        orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    return orders


def _serve(orders: queue.SimpleQueue[Order | None], answers: IO[str], printed: Callable[[], str]) -> None:
    def tell(text: str, *, warning: bool = False) -> None:
        with contextlib.suppress(OSError):  # nobody is left to hear it
            answers.write(json.dumps({"text": text, "warning": warning}) + "\n")
            answers.flush()

    first = orders.get()
    if first is None:
        return
    bot = BotDir(Path(first["bot"]))
    try:
        _record(bot, first, orders, tell, printed)
    except Exception as error:
        what = error.what if isinstance(error, HuggingtweetsError) else f"{type(error).__name__}: {error}"
        line = next(iter(what.splitlines()), "no reason")
        tell(f"Tracking stopped, and all else goes on: {line}", warning=True)


def _record(
    bot: BotDir,
    first: Order,
    orders: queue.SimpleQueue[Order | None],
    tell: Callable[[str], None],
    printed: Callable[[], str],
) -> None:
    from huggingtweets.tracking.client import Surroundings
    from huggingtweets.tracking.recorder import Recorder

    pid = int(first["pid"])
    around = Surroundings(pid, lambda: os.kill(pid, signal.SIGINT), printed, float(first["patience_s"]))
    os.chdir(bot.path)
    with Journal(bot).locked():
        recorder = Recorder(bot, online=first["online"], posts=first["posts"], around=around, tell=tell)
        failed = True
        while (order := _next(orders, recorder.look)) is not None:
            if "started" in order:
                recorder.started(order["started"])
            elif "done" in order:
                recorder.done(order["done"])
            elif "training" in order:
                recorder.training()
            elif "end" in order:
                failed = order["end"] == "failed"
        recorder.close(failed=failed)


def _next(orders: queue.SimpleQueue[Order | None], look: Callable[[], None]) -> Order | None:
    while True:
        try:
            return orders.get(timeout=LOOK_S)
        except queue.Empty:
            look()


if __name__ == "__main__":
    main()

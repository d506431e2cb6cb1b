"""Reads sources in a process of its own, because the Hub's libraries read their settings once, when they are imported.

In, on stdin: JSON, a list of [spec, import settings]. Out, on stdout: JSON, what each gave, and which hosts were asked.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterable

from huggingtweets.sources.base import Loss

hosts: set[str] = set()


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        hosts.add(str(arguments[0]))


def read(spec: str, options: dict[str, object]) -> dict[str, object]:
    from huggingtweets.config import ImportSettings
    from huggingtweets.errors import HuggingtweetsError
    from huggingtweets.sources import recognise

    told: list[str] = []
    try:
        source = recognise(spec, ImportSettings(**options))  # type: ignore[arg-type]
        pages = list(source.pages(tell=told.append))
    except HuggingtweetsError as error:
        return {"error": type(error).__name__, "said": str(error)}
    return {
        "told": told,
        "handle": source.handle,
        "account": dataclasses.asdict(pages[0].account) if pages[0].account else None,
        "pages": [len(page.posts) for page in pages],
        "fractions": [page.fraction for page in pages],
        "posts": [post.to_json() for page in pages for post in page.posts],
        "losses": sum_of(loss for page in pages for loss in page.losses),
    }


def sum_of(losses: Iterable[Loss]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for loss in losses:
        counts[loss.what] += loss.count
    return counts


if __name__ == "__main__":
    sys.addaudithook(note)
    results = [read(spec, options) for spec, options in json.load(sys.stdin)]
    json.dump({"results": results, "hosts": sorted(hosts)}, sys.stdout)

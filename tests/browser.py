"""A real server and a real Chromium, for tests of the web app.

- The server is `huggingtweets serve` as a process of its own, which a test may kill and start again on the same port.
- A `Look` is one visitor's browser. It takes note of everything that must not happen on any page: an error in the
  console, a breach of the content security policy, a request to any other host. `trouble` lists it.
- Waiting is always for something to be there, never for time to pass.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 120.0  # for what takes a moment, on a machine that is busy with other tests
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
TELL_OF_BREACHES = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"""


@dataclass
class Site:
    """A server that runs, or is about to."""

    folder: Path  # bots in bots/, what it prints in server.log
    options: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bots_dir(self) -> Path:
        return self.folder / "bots"

    def start(self) -> None:
        command = [sys.executable, "-c", "from huggingtweets.cli import main; main()", "serve", "--no-browser"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--bots-dir", str(self.bots_dir), *self.options],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HUGGINGTWEETS_CACHE": str(self.folder / "cache")},
            )
        wait_for(self._answers, f"the server did not start: {self.log}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/api/v1/me").status_code == 200
        return False

    def kill(self) -> None:
        """As a power cut would, but for the workers, which go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)

    def ask(self, path: str) -> Any:
        answer = httpx2.get(f"{self.url}/api/v1{path}")
        assert answer.is_success, answer.text
        return answer.json()

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(is_so: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Site]:
    site = Site(folder, options)
    site.start()
    try:
        yield site
    finally:
        site.stop()


@dataclass
class Look:
    """One visitor's browser, and what it noticed."""

    context: BrowserContext
    page: Page
    site: Site
    trouble: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of console errors that the test brings about itself

    def at(self, path: str) -> Page:
        """The page, with everything it loads."""
        self.page.goto(f"{self.site.url}{path}", wait_until="load")
        return self.page

    def noticed(self, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.trouble.append(f"{self.page.url}: {text}")

    def listen(self) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.noticed(f"{message.text} {message.location.get('url', '')}")

        def request(request: Request) -> None:
            if urlsplit(request.url).scheme not in ("data", "blob") and not request.url.startswith(self.site.url):
                self.noticed(f"request to {request.url}")

        self.context.on("console", console)
        self.context.on("weberror", lambda error: self.noticed(str(error.error)))
        self.context.on("request", request)

    def violations(self) -> list[str]:
        """What axe finds on the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{self.page.url}: {rule['id']} {node['target']} {node.get('failureSummary', '')}"
            for rule in found
            for node in rule["nodes"]
        ]

    def width_beyond(self) -> int:
        """By how many pixels the page can be scrolled sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Skips where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on the PATH: `make browser` installs it where it can")
    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextlib.contextmanager
def looking(browser: Browser, site: Site, **options: Any) -> Iterator[Look]:
    """A fresh browser; fails at the end if anything was noticed."""
    context = browser.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
    context.set_default_timeout(PATIENCE_S * 1000)
    context.add_init_script(TELL_OF_BREACHES)
    look = Look(context, context.new_page(), site)
    look.listen()
    try:
        yield look
    finally:
        context.close()
    assert not look.trouble, "\n".join(look.trouble)

"""The page that tells people of the API, as a browser gets it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from huggingtweets.web.settings import WebSettings
from test_web_api import serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    with serving(WebSettings(bots_dir=tmp_path_factory.mktemp("manual") / "bots")) as (client, _):
        yield client


def test_it_tells_of_every_endpoint_and_everything_that_one_takes(client: httpx2.Client) -> None:
    page = html.unescape(client.get("/api").text)
    openapi = client.get("/api/v1/openapi.json").json()
    assert len(openapi["paths"]) > 15
    for path in openapi["paths"]:
        assert f">{path}<" in page
    for kind in ("Ordered", "Asked", "Reported"):
        for field in openapi["components"]["schemas"][kind]["properties"]:
            assert f"<code>{field}</code>" in page


def test_it_loads_nothing_from_elsewhere_and_holds_no_folder(client: httpx2.Client) -> None:
    page = client.get("/api").text
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith(("/", "#")) for address in loaded)
    assert "style=" not in page
    assert str(Path.home()) not in page


def test_its_examples_have_the_address_it_was_asked_at(client: httpx2.Client) -> None:
    assert f"curl {client.base_url}/api/v1/bots/NAME/predictions" in html.unescape(client.get("/api").text)

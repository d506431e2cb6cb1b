"""The Gradio Space that runs a bot: a page where anybody gives the first words and ten posts grow from them.

In: whose bot it is, and where. Out: the files of the Space.

- `app.py` and `voice.py` are the same for every bot; what differs is data, in `space.json`. So no name of a stranger
  is ever pasted into code.
- The Space loads the model from the Hub when it starts. Which commit that is stands in `space.json`: a new one changes
  the Space, which starts again and shows the new model.
- The versions are pinned to those that the app was tried with.
- A private bot needs a token to be read, which a person gives the Space as its secret; ours never leaves this machine.

Not covered: sending it (see `publishing`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingtweets.config import DEFAULT_PROMPT, MAX_ACCOUNTS, SamplingSettings
from huggingtweets.escaping import inline, plain
from huggingtweets.posts import Account
from huggingtweets.privacy import MENTION, MENTION_PATTERN

PYTHON = "3.11"
PEFT = "0.21.2"
NAME_LETTERS = 50
LONGEST_NAME = 96  # of a repository on the Hub
SHORT_LETTERS = 60  # of a Space's short description, on the Hub
_FILES = ("app.py", "voice.py", "requirements.txt")


@dataclass(frozen=True)
class SpaceFacts:
    """All that a Space tells."""

    repo_id: str  # of the bot
    repo_url: str
    commit: str  # of the bot, as it is now
    private: bool
    accounts: Sequence[Account]
    keeps_newlines: bool = False
    names_nobody: bool = False
    is_adapter: bool = False


def space_name(repo_id: str) -> str:
    """The Space beside a bot.

    >>> space_name("alice/nasa")
    'alice/nasa-space'
    """
    owner, slash, name = repo_id.rpartition("/")
    return f"{owner}{slash}{name[: LONGEST_NAME - 6].rstrip('-.')}-space"


def render_space(facts: SpaceFacts) -> dict[str, bytes]:
    """The files of the Space by name, but for the faces."""
    folder = Path(__file__).parent / "templates" / "space"
    files = {name: (folder / name).read_bytes() for name in _FILES}
    files["space.json"] = (json.dumps(_data(facts), ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")
    if facts.is_adapter:
        files["requirements.txt"] += f"peft=={PEFT}\n".encode()
    requirements = files["requirements.txt"].decode()
    files["README.md"] = _readme(facts, _pinned("gradio", requirements)).encode("utf-8", "replace")
    return files


def _data(facts: SpaceFacts) -> dict[str, Any]:
    shown = facts.accounts[:MAX_ACCOUNTS]
    return {
        "model": facts.repo_id,
        "commit": facts.commit,
        "card": facts.repo_url,
        "title": _title(facts),
        "handles": [plain(account.handle, NAME_LETTERS) for account in shown],
        "avatars": [account.avatar for account in shown if account.avatar],
        "start": DEFAULT_PROMPT,
        "temperature": SamplingSettings().temperature,
        "keeps_newlines": facts.keeps_newlines,
        "replaced": {MENTION_PATTERN: MENTION} if facts.names_nobody else {},
    }


def _title(facts: SpaceFacts) -> str:
    names = (plain(account.name, NAME_LETTERS) or plain(account.handle, NAME_LETTERS) for account in facts.accounts)
    return " & ".join(name or "someone" for name in names)


def _pinned(package: str, requirements: str) -> str:
    """
    >>> _pinned("gradio", "torch==2\\ngradio==6.31.0\\n")
    '6.31.0'
    """
    found = re.search(rf"^{package}==(.+)$", requirements, re.MULTILINE)
    assert found is not None
    return found[1]


def _readme(facts: SpaceFacts, gradio: str) -> str:
    import yaml

    handles = " & ".join(f"@{account.handle}" for account in facts.accounts)
    header = {
        "title": plain(f"{_title(facts)} 🤖"),
        "emoji": "🤖",
        "colorFrom": "indigo",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": gradio,
        "python_version": PYTHON,
        "app_file": "app.py",
        "models": [facts.repo_id],
        "tags": ["huggingtweets"],
        "short_description": plain(f"An AI bot that writes like {handles}", SHORT_LETTERS),
        "pinned": False,
    }
    yaml_text = yaml.safe_dump(header, allow_unicode=True, sort_keys=False, width=1000)
    secret = f"\n\n{_SECRET}" if facts.private else ""
    return f"""---
{yaml_text}---

An AI bot that learned to write like {inline(handles)}. **Everything it writes is made up by a machine.**
How it was made, how good it is and where its limits are: [{facts.repo_id}]({facts.repo_url}).{secret}
"""


_SECRET = """\
The bot is private, so this Space needs a token that may read it: make one at
https://huggingface.co/settings/tokens and add it under *Settings, Variables and secrets* as the secret `HF_TOKEN`."""

"""Every failure that is not a bug, as one tree.

    HuggingtweetsError
    ├── SettingsError       a setting is out of its range or two contradict each other
    ├── SourceError         posts could not be read
    │   ├── UnknownSource   what was typed names no source, or more than one
    │   ├── UnreadableFile  the file is there, but not in a shape posts come in
    │   ├── NoSuchAccount   the network knows no such account, or shows it to nobody
    │   └── NetworkTrouble  a server did not answer, or not in its own words; the same command continues
    ├── ConsentError        an account's posts may not be used, or not yet
    │   ├── ConsentMissing  a person has to say something first: whose account it is, that a price is fine
    │   └── ConsentRefused  the account, its server or an earlier `forget` says no
    ├── TooLittleText       too few posts are left to learn a voice from
    ├── BaseModelError      the base model could not be had or cannot be used
    │   └── HubUnreachable  the Hugging Face Hub did not answer and nothing is cached
    ├── PublishError        the Hub or Weights & Biases did not take what was sent
    ├── BotError            the bot folder is missing, damaged or in use
    │   ├── BotBusy         another process works on it
    │   └── StageMissing    a stage was asked for before the one it reads from
    └── StorageError        the disk is full or may not be written

The command line turns these, and only these, into a message; anything else is a bug and stays a traceback.
"""

from __future__ import annotations


class HuggingtweetsError(Exception):
    """What happened, the likely cause, and the next command to type.

    >>> print(HuggingtweetsError("No such bot: nasa.", next="huggingtweets create nasa.csv"))
    No such bot: nasa.
    Next: huggingtweets create nasa.csv
    """

    def __init__(self, what: str, *, why: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(self.why)
        if self.next:
            lines.append(f"Next: {self.next}")
        return "\n".join(lines)


class SettingsError(HuggingtweetsError):
    """A setting is out of its range, or two contradict each other."""


class SourceError(HuggingtweetsError):
    """Posts could not be read."""


class UnknownSource(SourceError):
    """What was typed names no source, or more than one."""


class UnreadableFile(SourceError):
    """The file is there, but not in a shape that posts come in."""


class NoSuchAccount(SourceError):
    """The network knows no such account, or shows it to nobody."""


class NetworkTrouble(SourceError):
    """A server did not answer, or not in its own words; what was downloaded so far is kept."""


class ConsentError(HuggingtweetsError):
    """An account's posts may not be used, or not yet."""


class ConsentMissing(ConsentError):
    """A person has to say something first: whose account it is ("word"), that a price is fine ("price"), that terms
    are known ("terms"); `needs` tells which."""

    def __init__(self, what: str, *, why: str = "", next: str = "", needs: tuple[str, ...] = ()) -> None:
        super().__init__(what, why=why, next=next)
        self.needs = needs


class ConsentRefused(ConsentError):
    """The account, its server or an earlier `forget` says no."""


class TooLittleText(HuggingtweetsError):
    """Too few posts are left to learn a voice from."""


class BaseModelError(HuggingtweetsError):
    """The base model could not be had, or cannot be used."""


class HubUnreachable(BaseModelError):
    """The Hugging Face Hub did not answer, and the model is not cached."""


class PublishError(HuggingtweetsError):
    """The Hub or Weights & Biases did not take what was sent; what was sent is kept there."""


class BotError(HuggingtweetsError):
    """The bot folder is missing, damaged or in use by another process."""


class BotBusy(BotError):
    """Another process works on the bot."""


class StageMissing(BotError):
    """A stage was asked for before the one whose output it reads."""


class StorageError(HuggingtweetsError):
    """The disk is full or may not be written."""

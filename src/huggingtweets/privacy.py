"""Personal data taken out of texts, and mentions that ping nobody.

In: a clean text. Out: the text with `[email]`, `[phone]` or `@[name]` where there was a real one.

- E-mail addresses by a pattern that would rather take too much: it minds neither quotation marks nor other scripts
  beside an address, nor whether its top-level domain exists. `@alice@server.example` is a mention, not an address.
- Phone numbers by Google's rules (the library phonenumbers): numbers that exist in the country's plan, written with
  their country's code, or in the countries where the post's language is spoken, and in the USA and Britain always.
  Dates, year ranges, and figures with a decimal comma are no phone numbers.
- Nobody can be called `[name]` on X, Bluesky or Mastodon, and no network makes a link of it.

Not covered: names, street addresses, bank accounts, addresses spelled out ("bob at example dot org"), fewer digits
than eight, and countries whose language is not in the table unless the country's code is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from huggingtweets.languages import code_of, language_of

EMAIL, PHONE, MENTION = "[email]", "[phone]", "@[name]"

FEWEST_DIGITS = 8  # of a phone number in these countries
MOST_TRIES = 1_000  # figures in one post that are tried and are no phone numbers

_ALNUM = "0-9A-Za-z\u00c0-\u058f"  # Latin, Greek, Cyrillic, Armenian: scripts with spaces between their words
_HOST = rf"(?:[{_ALNUM}][{_ALNUM}-]*\.)+"
_EMAIL = re.compile(
    rf"(?<![{_ALNUM}_])(?<!(?<![{_ALNUM}_])@)(?:mailto:)?[{_ALNUM}_][{_ALNUM}_.%+'’-]{{0,63}}"
    rf"@{_HOST}(?:xn--[0-9a-z-]+|[A-Za-z\u00c0-\u058f]{{2,}})"
)
# After each other: a Mastodon account with its server, a Bluesky handle, a name on X or on one's own server. A real
# handle may stand right behind anything but a letter, a digit or "_"; on X it may even follow "RT".
_MENTION = re.compile(
    rf"(?:(?<![0-9A-Za-z_])|(?<=\b[Rr][Tt]))[@＠]"
    rf"(?:[0-9A-Za-z_][0-9A-Za-z_.-]*[@＠](?:[{_ALNUM}_-]|\.(?=[{_ALNUM}]))+"
    r"|(?:[0-9A-Za-z][0-9A-Za-z-]*\.)+[a-z]{2,}(?![0-9A-Za-z_])"
    r"|[0-9A-Za-z_]+)"
)
_LEADING_MENTIONS = re.compile(rf"\s*(?:{_MENTION.pattern}[,:;.!]*(?:\s+|\Z))+")

_ALWAYS = ("US", "GB")
_REGIONS = {  # languages to the countries where many write in them; "US" stands for all that share its plan
    "ar": "SA EG AE MA",
    "bg": "BG",
    "bn": "BD IN",
    "ca": "ES",
    "cs": "CZ",
    "da": "DK",
    "de": "DE AT CH",
    "el": "GR",
    "en": "IE AU NZ ZA IN PK NG KE PH",
    "es": "ES MX AR CO CL PE",
    "et": "EE",
    "fa": "IR",
    "fi": "FI",
    "fr": "FR BE CH",
    "he": "IL",
    "hi": "IN",
    "hr": "HR",
    "hu": "HU",
    "id": "ID",
    "it": "IT CH",
    "ja": "JP",
    "ko": "KR",
    "lt": "LT",
    "lv": "LV",
    "ms": "MY",
    "nl": "NL BE",
    "no": "NO",
    "pl": "PL",
    "pt": "PT BR",
    "ro": "RO",
    "ru": "RU",
    "sk": "SK",
    "sl": "SI",
    "sr": "RS",
    "sv": "SE FI",
    "ta": "IN",
    "th": "TH",
    "tl": "PH",
    "tr": "TR",
    "uk": "UA",
    "ur": "PK IN",
    "vi": "VN",
    "zh": "CN TW HK",
}
_NO_PHONE = re.compile(
    r".*,\s*-?\d.*"  # coordinates, decimals
    r"|\d{1,4}([-./])\d{1,2}\1\d{1,4}(?: \d\d?)?"  # 2015-10-26, 26.10.2015 18
    r"|(?:19|20)\d\d(?:\D{1,3}(?:19|20)\d\d)+",  # 1998-2000
    re.DOTALL,
)


def scrub(text: str, said: str | None = None) -> str:
    """E-mail addresses and phone numbers out; `said` is the language that the network named.

    >>> scrub("Write to bob@example.org or call (321) 867-2121, since 2015-10-26")
    'Write to [email] or call [phone], since 2015-10-26'
    """
    if "@" in text:
        text = _EMAIL.sub(EMAIL, text)
    if sum(map(str.isdigit, text)) < FEWEST_DIGITS:
        return text
    end, parts = 0, []
    for start, stop in sorted(_phone_numbers(text, _regions(text, said))):
        if start >= end:
            parts += [text[end:start], PHONE]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _regions(text: str, said: str | None) -> set[str]:
    """By what the network said of the language and by the text, for either may be wrong."""
    languages = {code_of(said), language_of(text)} - {None} or {"en"}
    return {*_ALWAYS, *(region for language in languages for region in _REGIONS.get(language or "", "").split())}


def _phone_numbers(text: str, regions: set[str]) -> Iterator[tuple[int, int]]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    for region in regions:
        for match in PhoneNumberMatcher(text, region, Leniency.VALID, MOST_TRIES):
            figures = match.raw_string
            enough = sum(map(str.isdigit, figures)) >= FEWEST_DIGITS
            if enough and not _NO_PHONE.fullmatch(figures) and not _is_in_mention(text, match.start):
                yield match.start, match.end


def _is_in_mention(text: str, place: int) -> bool:
    """
    >>> _is_in_mention("Hi @bob5551234567", 7), _is_in_mention("@bob 5551234567", 5)
    (True, False)
    """
    return text.startswith("@", 1 + max(text.rfind(" ", 0, place), text.rfind("\n", 0, place)))


def without_placeholders(text: str) -> str:
    """What is left to count words of."""
    return text.replace(EMAIL, "").replace(PHONE, "")


def neutral_mentions(text: str) -> str:
    """
    >>> neutral_mentions("Thanks @bob, @alice.bsky.social and .@eve@server.example! See you @ 5pm. me@x.org")
    'Thanks @[name], @[name] and .@[name]! See you @ 5pm. me@x.org'
    """
    return _MENTION.sub(MENTION, text)


def without_leading_mentions(text: str) -> str:
    """
    >>> without_leading_mentions("@bob @alice@server.example, so true @eve")
    'so true @eve'
    """
    mentions = _LEADING_MENTIONS.match(text)
    return text[mentions.end() :] if mentions else text

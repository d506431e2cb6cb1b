"""Personal data taken out of texts, and mentions that ping nobody.

In: a clean text. Out: the text with `[email]`, `[phone]` or `@[name]` where there was a real one.

- E-mail addresses by a pattern that would rather take too much: it minds neither quotation marks nor other scripts
  beside an address, nor whether its top-level domain exists. `@alice@server.example` is a mention, not an address.
- Phone numbers by Google's rules (the library phonenumbers): numbers that exist in the country's plan, written with
  their country's code, or in the countries where the post's language is spoken, and in the USA and Britain always.
  Where no country's code is written, what has the shape of a date, a score, an amount or an ISBN is no phone number.
- The library is asked about figures only, so a post without eight digits close together costs next to nothing.
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
EXAMINED = 4_000  # characters of figures in one post; what is beyond them goes without the library's judgement

_ALNUM = "0-9A-Za-z\u00c0-\u058f"  # Latin, Greek, Cyrillic, Armenian: scripts with spaces between their words
_LOCAL = rf"[{_ALNUM}_.%+'’-]"
_SERVER = rf"[@＠](?:[{_ALNUM}_-]|\.+(?=[{_ALNUM}]))+"
_NAME = "[0-9A-Za-z_][0-9A-Za-z_.-]*"
_AT = re.compile(rf"[@＠](?<={_LOCAL}[@＠])")  # begins with the rare letter, which is quick to look for
_EMAIL = re.compile(
    rf"(?P<account>(?<![{_ALNUM}_])[@＠]{_NAME}{_SERVER})"
    rf"|(?<![{_ALNUM}_])(?:mailto:)?[{_ALNUM}_]{_LOCAL}{{0,63}}"
    rf"[@＠](?:[\w-]+\.)+(?:xn--[0-9a-z-]+|[A-Za-z\u00c0-\u058f]{{2,}})"
)
# After each other: a Mastodon account with its server, a Bluesky handle, a name on X or on one's own server. A real
# handle may stand right behind anything but a letter, a digit or "_"; on X it may even follow "RT".
_MENTION = re.compile(
    rf"(?:(?<![0-9A-Za-z_])|(?<=(?<![0-9A-Za-z_])[Rr][Tt]))[@＠]"
    rf"(?:{_NAME}(?:{_SERVER})+|[0-9A-Za-z.-]+\.[a-z]{{2,}}(?![0-9A-Za-z_])(?:{_SERVER})*|[0-9A-Za-z_]+)"
)
MENTION_PATTERN = _MENTION.pattern  # for who has no huggingtweets: a Space
_LEADING_MENTIONS = re.compile(rf"\s*(?:{_MENTION.pattern}[,:;.!]*(?:\s+|\Z))+")

# At most four signs between two digits, and none that ends a number. Japanese writes "ー" for "-".
_DIGITS = r"\d(?:(?:[^\w\n:;,!?@#%&*=|<>]|ー){0,4}\d)"
_EIGHT_DIGITS = re.compile(rf"{_DIGITS}{{{FEWEST_DIGITS - 1}}}")
_FIGURES = re.compile(rf"[+＋(（\[［]{{0,3}}{_DIGITS}{{{FEWEST_DIGITS - 1},}}(?:[xX]\d{{1,9}})?")
_DATES = re.compile(
    r"""
    (?<![\d+]) (?:
      (?:19|20)\d\d ([-./]) \d\d? \1 \d\d?             # 2015-10-26
    | \d\d? ([-./]) \d\d? \2 (?:19|20)\d\d             # 26.10.2015
    | \d\d? ([-./]) \d\d? \3 \d\d (?=\ \d\d?:)         # 26.10.15 18:30
    | (?:19|20)\d\d (?:\ ?[-–/]\ ?(?:19|20)\d\d)+      # 1998-2000
    ) (?!\d)
    """,
    re.VERBOSE,
)
_NO_PHONE = re.compile(
    r"""
      [1-9]\d? ([.'’]) \d{3} (?:\1\d{3})+                            # 25.000.000
    | [1-9]\d{0,2} (?:\ \d{3})+ \ 000                                # 25 000 000
    | \d [./] \d{5,} (?:\ ?x.*)?                                     # 0.123456789
    | [^/]* / [^/]* / .*                                             # 44.1/48/96
    | \d (?:-\d+)+ - \d                                              # 0-306-40615-2, an ISBN
    | \d{5} - \d{4}                                                  # 90210-1234, a ZIP code
    | .* \(\d{6,}\) .*                                               # (162173) 1999 JU3
    | [1-9]\d* 000000                                                # 8000000000
    """,
    re.VERBOSE | re.DOTALL,
)
_CUT_BEFORE = re.compile(r"(?:.*\D)?\d[.,]|.*_", re.DOTALL)  # 0.123456789, IMG_20151026
_CUT_AFTER = re.compile(r",\d\d?(?!\d)")  # 25.000.000,00

_ALWAYS = ("US", "GB")
_REGIONS = {  # languages to the countries where many write in them; "US" stands for all that share its plan
    "ar": "SA EG AE MA",
    "az": "AZ",
    "be": "BY",
    "bg": "BG",
    "bn": "BD IN",
    "bs": "BA",
    "ca": "ES",
    "cs": "CZ",
    "da": "DK",
    "de": "DE AT CH",
    "el": "GR",
    "en": "IE AU NZ ZA IN PK NG KE PH",
    "es": "ES MX AR CO CL PE",
    "et": "EE",
    "eu": "ES",
    "fa": "IR",
    "fi": "FI",
    "fr": "FR BE CH",
    "gl": "ES",
    "gu": "IN",
    "he": "IL",
    "hi": "IN",
    "hr": "HR",
    "hu": "HU",
    "hy": "AM",
    "id": "ID",
    "it": "IT CH",
    "ja": "JP",
    "ka": "GE",
    "kk": "KZ",
    "kn": "IN",
    "ko": "KR",
    "lt": "LT",
    "lv": "LV",
    "mk": "MK",
    "ml": "IN",
    "mr": "IN",
    "ms": "MY",
    "ne": "NP",
    "nl": "NL BE",
    "no": "NO",
    "pa": "IN PK",
    "pl": "PL",
    "pt": "PT BR",
    "ro": "RO",
    "ru": "RU",
    "si": "LK",
    "sk": "SK",
    "sl": "SI",
    "sq": "AL",
    "sr": "RS",
    "sv": "SE FI",
    "sw": "KE TZ",
    "ta": "IN",
    "te": "IN",
    "th": "TH",
    "tl": "PH",
    "tr": "TR",
    "uk": "UA",
    "ur": "PK IN",
    "uz": "UZ",
    "vi": "VN",
    "zh": "CN TW HK",
}


def scrub(text: str, said: str | None = None) -> str:
    """E-mail addresses and phone numbers out; `said` is the language that the network named.

    >>> scrub("Write to bob@example.org or call (321) 867-2121, since 2015-10-26")
    'Write to [email] or call [phone], since 2015-10-26'
    """
    if _AT.search(text):
        text = _EMAIL.sub(lambda found: found["account"] or EMAIL, text)
    return _without_phone_numbers(text, said) if _EIGHT_DIGITS.search(text) else text


def _without_phone_numbers(text: str, said: str | None) -> str:
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
    """Where they are; some of them several times, as several countries see them."""
    text = _MENTION.sub(lambda mention: "@" * len(mention[0]), text)  # a handle may be all figures
    examined = 0
    for figures in _FIGURES.finditer(text):
        first, last = figures.span()
        examined += last - first
        if examined > EXAMINED:
            yield first, last
        else:
            yield from _known_to_library(text, first, last, regions)


def _known_to_library(text: str, first: int, last: int, regions: set[str]) -> Iterator[tuple[int, int]]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    begin = max(0, first - 1)  # the library judges by the letters beside a number, too
    part = _DATES.sub(lambda date: ";" * len(date[0]), text[begin : last + 1])
    for region in regions if _EIGHT_DIGITS.search(part) else ():
        for match in PhoneNumberMatcher(part, region, Leniency.VALID):
            start, stop = begin + match.start, begin + match.end
            if not _is_something_else(match.raw_string, text[max(0, start - 3) : start], text[stop : stop + 4]):
                yield start, stop


def _is_something_else(figures: str, before: str, after: str) -> bool:
    """
    >>> _is_something_else("25.000.000", "$ ", " vie"), _is_something_else("6-4 6-3 7-6 7-5", "", "")
    (True, True)
    """
    if "+" in figures or "＋" in figures:
        return False
    groups = re.findall(r"\d+", figures)
    digits = sum(map(len, groups))
    return (
        digits < max(FEWEST_DIGITS, 2 * len(groups))
        or _NO_PHONE.fullmatch(figures) is not None
        or _CUT_BEFORE.fullmatch(before) is not None
        or _CUT_AFTER.match(after) is not None
    )


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

"""Single values as files write them: ids, times, flags, languages.

In: a cell of a table, or a value of JSON or Parquet. Out: what a `Post` holds, or None.

- None is honest: an id that a spreadsheet rounded is no id, a time in an unknown form is no time.
- Times without a zone are UTC, as every export we know of writes them.
- `M/D/YY` is month first, as the spreadsheets write it that such exports go through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

EXACT_FLOAT_INTEGERS = 2**53  # beyond this a float, so any spreadsheet, rounds
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Our own table, because strptime's month names follow the user's locale.
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}

_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_WHOLE_FLOAT = re.compile(r"(\d+)\.0*")
_NUMBER = re.compile(r"\d+(?:\.\d*)?")
_X_TIME = re.compile(
    r"[A-Za-z]{3} ([A-Za-z]{3}) (\d{1,2}) (\d{1,2}):(\d{2}):(\d{2}) ([+-])(\d{2}):?(\d{2}) (\d{4})", re.ASCII
)
_MONTH_FIRST = re.compile(
    r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})"
    r"(?:[ ,T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:\s*([AaPp])\.?[Mm]\.?)?)?",
    re.ASCII,
)
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?\s*(Z|UTC|[+-]\d{2}:?\d{2})?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_BLANKS = frozenset({"", "nan", "nat", "none", "null", "na", "n/a", "<na>"})  # as pandas and friends write "nothing"
_TRUE = frozenset({"t", "true", "1", "1.0", "yes", "y"})
SURROGATE = re.compile("[\ud800-\udfff]")


def is_blank(value: object) -> bool:
    """Whether a cell other than the text says nothing."""
    if isinstance(value, str):
        return value.strip().casefold() in _BLANKS
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_reference(value: object) -> bool:
    """Whether an "in reply to" or "retweet of" cell names something; 0 does not."""
    if isinstance(value, str):
        return not is_blank(value) and value.strip() not in {"0", "0.0", "[]", "{}", "False", "false"}
    return not is_blank(value) and bool(value)


def is_true(value: object) -> bool:
    """
    >>> [is_true(value) for value in ("t", "TRUE", 1, True, "f", "", 0, None)]
    [True, True, True, True, False, False, False, False]
    """
    return value.strip().casefold() in _TRUE if isinstance(value, str) else value is True or value == 1


def parse_id(value: object) -> str | None:
    """
    >>> parse_id(920061541986250758), parse_id("'920061541986250758"), parse_id("9.22E+17")
    ('920061541986250758', '920061541986250758', None)
    """
    if is_blank(value) or isinstance(value, (bool, dict, list)):
        return None
    if isinstance(value, float):
        exact = value.is_integer() and abs(value) <= EXACT_FLOAT_INTEGERS
        return str(int(value)) if exact else None
    if isinstance(value, Decimal):
        return str(int(value)) if value.is_finite() and value == value.to_integral_value() else None
    return _parse_written_id(_written_integer(value) if isinstance(value, int) else str(value))


def _written_integer(value: int) -> str:
    return str(value) if value.bit_length() <= 256 else ""  # Python refuses to write thousands of digits


def _parse_written_id(text: str) -> str | None:
    text = text.strip().removeprefix("'")  # the mark that keeps a spreadsheet from rounding
    if _SCIENTIFIC.fullmatch(text):
        return None
    if whole := _WHOLE_FLOAT.fullmatch(text):  # pandas writes "123.0" for an id beside an empty cell
        return whole[1] if len(whole[1]) <= 16 and int(whole[1]) <= EXACT_FLOAT_INTEGERS else None
    return text[:200] or None


def parse_time(value: object) -> datetime | None:
    """
    >>> parse_time("10/16/17 22:59").isoformat(), parse_time(1445873369).isoformat()
    ('2017-10-16T22:59:00+00:00', '2015-10-26T15:29:29+00:00')
    >>> parse_time("Thu Apr 19 15:48:38 +0000 2018") == parse_time("2018-04-19 15:48:38")
    True
    """
    try:
        moment = _read_time(value)
        return moment if moment is not None and EARLIEST <= moment <= LATEST else None
    except (ValueError, OverflowError):
        return None


def _read_time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _from_unix(float(value))
    return _read_written_time(value.strip()) if isinstance(value, str) else None


def _read_written_time(text: str) -> datetime | None:
    if len(text) > 64:
        return None
    if len(text) != 8 and _NUMBER.fullmatch(text):
        return _from_unix(float(text))
    if found := _X_TIME.fullmatch(text):
        return _from_x(found)
    if found := _MONTH_FIRST.fullmatch(text):
        return _from_month_first(found)
    if found := _ISO.fullmatch(text):
        day, clock, zone = found.groups()
        zone = "+00:00" if zone in (None, "Z", "UTC") else zone
        return _in_utc(datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone}"))
    return None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _from_unix(number: float) -> datetime:
    # 1e11 seconds is the year 5138, 1e11 milliseconds is 1973: no post is on the wrong side.
    for limit, unit in ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000)):
        if number < limit:
            return EPOCH + timedelta(seconds=number / unit)
    raise OverflowError(number)


def _from_x(found: re.Match[str]) -> datetime:
    month, day, hour, minute, second, sign, zone_hours, zone_minutes, year = found.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    zone = timezone(-offset if sign == "-" else offset)
    number = MONTHS.get(month.casefold(), 0)  # 0 is refused by datetime
    moment = datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone)
    return moment.astimezone(UTC)


def _from_month_first(found: re.Match[str]) -> datetime:
    month, _, day, year, hour, minute, second, half = found.groups()
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half in "pP" else 0)
    full_year = int(year) + (2000 if len(year) == 2 else 0)
    return datetime(full_year, int(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=UTC)


def parse_language(value: object) -> str | None:
    """
    >>> parse_language("en"), parse_language(""), parse_language("English language")
    ('en', None, None)
    """
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value.strip()):
        return None
    return value.strip().replace("_", "-")


def count(value: object) -> int | None:
    """
    >>> count("8"), count(3), count("many"), count(True)
    (8, 3, None, None)
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def plain(text: str) -> str:
    """Without what no file may hold: half an emoji becomes "�", NUL goes.

    >>> plain("a\\ud83d b\\0")
    'a� b'
    """
    return SURROGATE.sub("�", text).replace("\0", "")


def mapping(value: object) -> Mapping[str, object]:
    """The value, or an empty mapping where it is something else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The value, or an empty list where it is something else."""
    return value if isinstance(value, list) else []

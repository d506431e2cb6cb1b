"""Personal data goes, everything else stays, and a neutral mention pings nobody on any network."""

from __future__ import annotations

import re
import time

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from huggingtweets.privacy import neutral_mentions, scrub, without_leading_mentions


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("bob@example.org", "[email]"),
        ("Write to bob@example.org.", "Write to [email]."),
        ("bob.b+list_9%x@mail.example.co.uk!", "[email]!"),
        ("BOB@EXAMPLE.ORG, o'neill@example.org", "[email], [email]"),
        (
            "<bob@example.org> (a@b.io) \"c@d.de\" 'e@f.fr' [g@h.it]",
            "<[email]> ([email]) \"[email]\" '[email]' [[email]]",
        ),
        ("mailto:bob@example.org?subject=hi", "[email]?subject=hi"),
        ("e-mail:bob@example.org", "e-mail:[email]"),
        ("请联系bob@example.org谢谢", "请联系[email]谢谢"),
        ("メールはbob＠example.jpまで", "メールは[email]まで"),
        ("пишите иван@почта.рф!", "пишите [email]!"),
        ("jörg@müller.de x@xn--mller-kva.xn--p1ai", "[email] [email]"),
        ("bob@例え.jp", "[email]"),
        ("a@b.de,c@d.de;e@f.de/g@h.de", "[email],[email];[email]/[email]"),
        ("me@x.org\nyou@y.org", "[email]\n[email]"),
        ("Not one: a@b, @c, d@, @, bob at example dot org, 5@3.50, @ home.", None),
        ("@alice@server.example and .@al.i-ce@my.server.example are accounts", None),
        ("@alice.bsky.social is a handle", None),
    ],
)
def test_addresses_go_and_accounts_stay(text: str, left: str | None) -> None:
    assert scrub(text) == (text if left is None else left)


LOCAL = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,20}[a-z0-9]", fullmatch=True)
HOST = st.from_regex(r"([a-z0-9]{1,9}\.){1,3}[a-z]{2,6}", fullmatch=True)
BESIDE = st.sampled_from(["", " ", "(", ")", "<", ">", '"', ",", ":", "日本", "谢谢", "!", "\n", "🚀"])


@settings(deadline=None)
@given(LOCAL, HOST, BESIDE, BESIDE)
def test_every_ordinary_address_goes_whatever_stands_beside_it(local: str, host: str, before: str, after: str) -> None:
    assert scrub(f"{before}{local}@{host}{after}") == f"{before}[email]{after}"


COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)


@pytest.mark.parametrize("style", [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL], ids=["bare", "spaced"])
def test_a_number_with_its_country_s_code_goes_in_every_country(style: int) -> None:
    for country in COUNTRIES:
        for kind in KINDS:
            number = phonenumbers.example_number_for_type(country, kind)
            if number is None or len(phonenumbers.format_number(number, PhoneNumberFormat.E164)) < 9:
                continue  # three islands have numbers of seven digits, country's code included
            written = phonenumbers.format_number(number, style)
            assert not re.search(r"\d", scrub(f"电话({written})谢谢")), written


NATIONAL = [
    ("de", "0171 2345678, 0171/2345678, 030 - 12 34 56 78, (030) 12345678"),
    ("fr", "06 12 34 56 78, 06.12.34.56.78, 06-12-34-56-78, 0612345678"),
    ("es", "612 34 56 78, 612 345 678, 612345678"),
    ("pt", "(11) 98765-4321, 11 98765 4321, 912 345 678"),
    ("it", "333 1234567, 06 69812345"),
    ("nl", "06-12345678"),
    ("pl", "601 123 456"),
    ("sv", "070-123 45 67"),
    ("ru", "8 (912) 345-67-89, 89123456789"),
    ("uk", "067 123 45 67"),
    ("tr", "0532 123 45 67"),
    ("ja", "090-1234-5678, ０９０－１２３４－５６７８, ０９０ー１２３４ー５６７８"),
    ("ko", "010-1234-5678"),
    ("zh", "138 0013 8000, 13800138000"),
    ("hi", "98765 43210, 098765-43210"),
    ("id", "0812-3456-7890"),
    ("th", "081-234-5678"),
    ("ar", "050 123 4567, ٠٥٠١٢٣٤٥٦٧"),
    ("he", "050-234-5678"),
    ("en", "(321) 867-2121, 321.867.2121, 321–867–2121, 3218672121, 1-321-867-2121 x12, 07700 900123, 020 7946 0958"),
    ("en", "0412 345 678, 0917 123 4567, 0803 123 4567, 98765 43210, 011 49 171 2345678"),
    (None, "+49 (0)171 2345678, +44 (0)20 7946 0958, +91-98765-43210, 0049 171 2345678"),
]


@pytest.mark.parametrize(("said", "numbers"), NATIONAL)
def test_a_number_as_people_write_it_goes_where_its_language_is_spoken(said: str | None, numbers: str) -> None:
    for number in numbers.split(", "):
        for text in (f"{number}", f"Tel.:{number}!", f"☎️{number} 2015-10-26", f"(2015-10-26 {number})"):
            left = scrub(text, said).replace("2015-10-26", "").replace(" x12", "")
            assert "[phone]" in left, text
            assert not re.search(r"\d", left), text


def test_the_language_may_be_the_text_s_own() -> None:
    assert scrub("Ruft mich bitte heute Abend an unter 0171 2345678", "en").endswith("unter [phone]")


@pytest.mark.parametrize(
    "text",
    [
        "2015-10-26 18:30:00 and 26.10.2015 18:30 and 10/26/2015 and 26.10.15 18:30",
        "2015-10-26/27, 1998-2000 and 1914 - 1918, 2019-20 2020-21",
        "10,000,000 views, $1,234,567,890 raised, R$ 25.000.000,00",
        "25.000.000 de pesos, 7.900.000.000 Menschen, 1 000 000 000 people, 8000000000 stars",
        "3.14159265358979, 3,14159265358979, 0.123456789 and 6.02214076 x 10^23",
        "40.712776, -74.005974 and 40.712776 -74.005974",
        "192.168.100.200 and v2024.10.11.1",
        "6-4 6-3 7-6 6-7 7-5 and 6/4 6/3 7/6 6/7 7/5 and 5-4-3-2-1-0-1-2-3",
        "4 8 15 16 23 42",
        "10 9 8 7 6 5 4 3 2 1",
        "ISBN 0-306-40615-2, ISBN 978-3-16-148410-0, doi 10.1038/s41586-020-2649-2",
        "44.1/48/96/192 kHz, 1/100000000",
        "asteroid (162173) 1999 JU3",
        "zip 90210-1234",
        "tweet 1890000000000000003, card 4111 1111 1111 1111",
        "9f86d081884c7d659a2feaa0c55ad015, 123e4567-e89b-12d3-a456-426614174000, VIN1HGCM82633A004352",
        "IMG_20151026_123456, file_3218672121.png",
        "@bob3218672121, @3218672121, .@a_3218672121 and @3218672121.bsky.social",
        "555-1234 is too short",
    ],
)
def test_other_figures_stay(text: str) -> None:
    for said in (None, "en", "de", "es", "pt", "fr", "ja", "hi", "id", "zh", "ru", "it"):
        assert scrub(text, said) == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="@＠0123456789", exclude_categories=("Nd",))))
def test_a_text_without_signs_and_digits_stays_as_it_is(text: str) -> None:
    assert scrub(text) == text


HOSTILE = [
    "1",
    "1 ",
    "1-",
    "(1)",
    "+1",
    "1/2",
    "12345678 ",
    "321-867-2121 ",
    "2015-10-26 08 ",
    "1;12345678;",
    "+",
    "a@",
    "@a",
    "@a@",
    "a.",
    "a@1.",
    "@a.",
    "@@",
    "rt@",
    "@a ",
    "mailto:",
    "a.a@a.a 12345678 ",
    "@a 12345678 ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_take_time_in_proportion(piece: str) -> None:
    """A hundred thousand characters, in some hundred times what they take; anything quadratic would take minutes."""
    text = (piece * 100_000)[:100_000] + "! a@b.de"
    begun = time.process_time()
    scrub(text, "en")
    neutral_mentions(text)
    without_leading_mentions(text)
    assert time.process_time() - begun < 10


def test_of_a_wall_of_figures_nothing_is_left_rather_than_too_much() -> None:
    numbers = "321-867-2121 " * 1_000
    assert not re.search(r"\d", scrub(numbers, "en"))


# What each network makes a link of, in its own words.
GRAMMARS = {
    # twitter-text: validMentionPrecedingChars, atSigns, and a name
    "X": r"(?:^|[^a-zA-Z0-9_!#$%&*@＠]|(?:^|[^a-zA-Z0-9_+~.-])(?:rt|RT|rT|Rt):?)[@＠][a-zA-Z0-9_]{1,20}",
    "Bluesky": r"(?:^|\s|\()@[a-zA-Z0-9.-]+\.(?:com|org|social|de|test)\b",
    # Account::MENTION_RE
    "Mastodon": r"(?<![=/\w])@[a-z0-9_]+(?:[.-]+[a-z0-9_]+)*(?:@[\w.-]+\w+)?",
    "Mastodon before 4": r"(?:^|[^/\w])@[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]+[A-Za-z0-9_]+)?(?:@[\w.-]+\w+)?",
}
MENTIONING = st.text(st.sampled_from("@@@＠abRTrt10_.-:/!( )é中[]\n+,'")) | st.lists(
    st.sampled_from(
        ["@bob", "RT", "rt ", "@", "alice.bsky.social", "@server.example", ".", " ", "é", "中", "-", ".com"]
    )
).map("".join)


@given(MENTIONING)
@example("@bob@alice@carol @d@@e ＠f .@g (@h) é@i 中@j éRT@k RT:@l @-m.com @.n.org @o.de.")
def test_a_neutral_text_mentions_nobody_on_any_network(text: str) -> None:
    neutral = neutral_mentions(text)
    for network, grammar in GRAMMARS.items():
        assert not re.search(grammar, neutral, re.IGNORECASE), network


@given(MENTIONING)
def test_a_neutral_text_stays_neutral(text: str) -> None:
    assert neutral_mentions(neutral_mentions(text)) == neutral_mentions(text)


@pytest.mark.parametrize(
    ("text", "neutral"),
    [
        ("Thanks @bob!", "Thanks @[name]!"),
        ("@bob@social.example, hi", "@[name], hi"),
        ("@alice.bsky.social. And", "@[name]. And"),
        ("@bob.Great news", "@[name].Great news"),
        ("谢谢@bob谢谢", "谢谢@[name]谢谢"),
        ("me@example.org @ 5pm", "me@example.org @ 5pm"),
    ],
)
def test_only_the_name_goes(text: str, neutral: str) -> None:
    assert neutral_mentions(text) == neutral


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("@bob so true", "so true"),
        ("@bob @eve: so true @mal", "so true @mal"),
        (" .@bob so true", " .@bob so true"),  # written so on purpose, for everyone to see
        ("@bob's idea", "@bob's idea"),
        ("@bob", ""),
        ("@bob@server.example, @a.bsky.social\nyes", "yes"),
    ],
)
def test_leading_mentions_go_where_a_space_follows(text: str, left: str) -> None:
    assert without_leading_mentions(text) == left

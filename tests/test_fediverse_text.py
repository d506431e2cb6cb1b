"""The fediverse's HTML as text: what a reader sees, in a time that grows with the length alone."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huggingtweets.cleaning import remove_links
from huggingtweets.sources.mastodon.html import Tag, pieces
from huggingtweets.sources.mastodon.text import html_to_text, without_emoji

MENTION = (
    '<span class="h-card" translate="no"><a href="https://social.example/@bob" class="u-url mention">@<span>bob</span>'
    "</a></span>"
)
HASHTAG = '<a href="https://social.example/tags/bread" class="mention hashtag" rel="tag">#<span>bread</span></a>'
ADDRESS = "https://example.org/a/rather/long/path/to/a/recipe"


def link(address: str = ADDRESS, shown: str | None = None) -> str:
    """As Mastodon writes it: the address in three parts, two of them hidden."""
    bare = address.removeprefix("https://")
    parts = (
        f'<span class="invisible">https://</span><span class="ellipsis">{bare[:30]}</span>'
        f'<span class="invisible">{bare[30:]}</span>'
    )
    return f'<a href="{address}" target="_blank" rel="nofollow noopener" translate="no">{shown or parts}</a>'


# --- what servers write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Bread &amp; butter<br />today</p>", "Bread & butter\ntoday"),
        ("<p>one</p><p>two</p>\n<p>three</p>", "one\n\ntwo\n\nthree"),
        ("a<br>b<br/>c</br>d", "a\nb\nc\nd"),
        ("<p>a<br><br><br><br>b</p>", "a\n\nb"),
        ("<p>a<br></p><p><br>b</p>", "a\n\nb"),
        ("<p></p><p> </p><p>a</p><p>&nbsp;</p>", "a"),
        ("<p>two\nlines,   one&nbsp;paragraph\r\n</p>", "two lines, one paragraph"),
        (f"<p>{MENTION} hi {HASHTAG}</p>", "@bob hi #bread"),
        (f"<p>More: {link()}</p>", f"More: {ADDRESS}"),
        (link("https://example.org"), "https://example.org"),
        (f"<p><strong>loud</strong> <em>s</em><del>o</del>f<b>t</b> {link()}</p>", f"loud soft {ADDRESS}"),
        ("<h1>Title</h1>text<h2>two</h2>", "Title\n\ntext\n\ntwo"),
        ("<p>he said</p><blockquote><p>one</p><p>two</p></blockquote><p>so</p>", "he said\n\none\n\ntwo\n\nso"),
        (
            "<p>Run <code>ls -l</code>:</p><pre><code>one\n  two\n\nthree</code></pre>",
            "Run ls -l:\n\none\ntwo\n\nthree",
        ),
        ("to buy<ul><li>flour</li><li>salt</li></ul>today", "to buy\n\n- flour\n- salt\n\ntoday"),
        ("<ol><li><p>flour</p></li><li>salt</li></ol>", "- flour\n\n- salt"),
        ("<ul><li>a<ul><li>b</li><li></li></ul></li><li>c</li></ul>d", "- a\n- b\n- c\n\nd"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a b\n1 2"),
        ("a<hr>b", "a\n\nb"),
        ("<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>", "漢字(かんじ)"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("&amp;amp; &lt;b&gt; &quot;x&quot; &#39;y&#39; &#x1F35E;", "&amp; <b> \"x\" 'y' 🍞"),
        ("&amp;lt;script&amp;gt;", "&lt;script&gt;"),
        ("fish & chips &nosuch; &", "fish & chips &nosuch; &"),
        ("I <3 you, 2 < 3, a<b> > c", "I <3 you, 2 < 3, a > c"),
        (f"&#{'9' * 5000}; &#x{'f' * 5000};", "� �"),
        ("&#0; &#xD800;", "� �"),
    ],
)
def test_entities_are_written_out_once(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        # Pleroma and Akkoma
        ('<span class="h-card"><a class="u-url mention" data-user="9x" href="https://p.example/bob" rel="ugc">'
         '@<span>bob</span></a></span> <a class="hashtag" data-tag="bread" href="https://p.example/tag/bread" '
         'rel="tag ugc">#bread</a>', "@bob #bread"),
        # GoToSocial
        ('<p><span class="h-card"><a href="https://g.example/@bob" class="u-url mention" rel="nofollow noreferrer" '
         'target="_blank">@<span>bob</span></a></span> <a href="https://g.example/tags/bread" class="mention hashtag" '
         'rel="tag nofollow">#<span>bread</span></a></p>', "@bob #bread"),
        # Misskey and its relatives
        ('<p><a href="https://m.example/@bob" class="u-url mention">@bob@m.example</a><span> see </span>'
         '<a href="https://a.example/x">https://a.example/x</a><a href="https://m.example/tags/b" rel="tag">#b</a></p>',
         "@bob@m.example see https://a.example/x #b"),
        # Friendica
        ('@<a href="https://f.example/profile/bob" class="u-url mention" title="Bob B">bob</a>', "@bob"),
        # what other servers hide of a mention
        ('<a href="https://a.example/@bob" class="u-url mention">@bob<span class="invisible">@a.example</span></a> hi',
         "@bob hi"),
        ('<a class="mention" href="https://b.example/x">alice.example.org</a>', "alice.example.org"),
    ],
)  # fmt: skip
def test_names_keep_their_text_on_every_server(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('at <a href="https://a.example/b?c=1&amp;d=2">a.example/b?c=…</a>.', "at https://a.example/b?c=1&d=2."),
        ('<a href="https://a.example/x">a.exam…</a>', "https://a.example/x"),
        ('<a href="https://a.example/x">a.example/x...</a>', "https://a.example/x"),
        ('I wrote <a href="https://a.example/x">about my bread</a>, see', "I wrote about my bread, see"),
        ('<a href="https://a.example/x">here.</a>', "here."),
        ('<a href="https://a.example/x"></a>a', "a"),
        ('<a href="https://a.example/ x\n">a.example/x</a>', "https://a.example/%20x"),
        ('<a href="/relative">https://shown.example/x</a>', "https://shown.example/x"),
        ('<a href="javascript:alert(1)">press</a> <a href="mailto:a@b.example">a@b.example</a>', "press a@b.example"),
        ("<a>no address</a>", "no address"),
        ('<A HREF="HTTPS://a.example/x">a.example/x</A>', "HTTPS://a.example/x"),
        (f"詳細は{link()}を見る", f"詳細は{ADDRESS} を見る"),
        (f"see{link()}, ok", f"see{ADDRESS}, ok"),
        ('<a href="https://a.example/x"> a.example/x </a>b', "https://a.example/x b"),
    ],
)  # fmt: skip
def test_a_link_that_shows_its_address_becomes_it_and_words_stay(source: str, text: str) -> None:
    assert html_to_text(source) == text


def test_cleaning_takes_a_link_away_and_no_word_with_it() -> None:
    assert remove_links(html_to_text(f"詳細は{link()}を見る")) == "詳細はを見る"
    assert remove_links(html_to_text(f"<p>Loaves: {link()} today</p>")) == "Loaves: today"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (f'<p class="quote-inline">RE: {link()}</p><p>This one</p>', "This one"),
        (f'<p>So true<span class="quote-inline"><br/><br/>RE: {link()}</span></p>', "So true"),
        (f'<p>a <span class="quote-inline">RE: <span><span>x</span></span></span> b {link()}</p>', f"a b {ADDRESS}"),
        (f'<p class="quote-inline">RE: {link()}<p>This one</p>', "This one"),
        ('<p>So<span class="quote-inline">RE: <a href="https://a.example">x</p><p>true</p>', "So\n\ntrue"),
        ('<div class="a quote-inline"><p>RE: <div>x</div></p><p>y</div>This one', "This one"),
        ('<br class="quote-inline">a', "a"),
    ],
)  # fmt: skip
def test_what_stands_in_for_a_quoted_post_goes(source: str, text: str) -> None:
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>We :bake: bread :bread:</p><p>:bread:</p><p>now</p>", "We :bake: bread\n\nnow"),
        (":bread::loaf_2:!", "!"),
        ("\u200b:bread:\u200b:bread:\u200b a", "a"),
        ("at 10:30:45 a:bread:b", "at 10:30:45 a:bread:b"),
        (":a-b+c.d: x", "x"),
        ('hi <img class="emoji" alt=":blobcat:" src="x"> <img class="emoji" alt="😀"/> <img alt="a cat">', "hi 😀"),
    ],
)
def test_emoji_of_the_servers_own_go(source: str, text: str) -> None:
    assert html_to_text(source, {"bread", "loaf_2", "30", "a-b+c.d"}) == text
    assert html_to_text(":bread: stays where it is no emoji") == ":bread: stays where it is no emoji"
    assert without_emoji("see :b:", set()) == "see :b:"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one<p>two", "one\n\ntwo"),
        ('<p>see <a href="https://a.example/x">a.example/x</p><p>two</p>', "see https://a.example/x\n\ntwo"),
        ('<a href="https://a.example/x">a.example/x<a href="https://b.example/y">b.example/y',
         "https://a.example/x https://b.example/y"),
        ("</p></div></a></span>a</ul></li></pre>", "a"),
        ("<b><i>a</b></i> b", "a b"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
        ("a <b", "a"),
        ('a <a href="https://a.example', "a"),
        ("a <!-- no", "a"),
        ("a <!-- > no --> b <!--> c <!doctype x> d <?php e ?> f </ g> h", "a b c d f h"),
        ("a<script>if (1 < 2) { '</p>' }</script>b<style>p {}</style><title>x</title>c", "abc"),
        ("a<script>b", "a"),
        ("a<template><p>b</p></template>c", "ac"),
        ("<SPAN CLASS='quote-inline'>a</SPAN>b", "b"),
        ("<p title='it's'>a</p><p title=\"x>y\">b", "a\n\nb"),
        ("<é>a", "<é>a"),
    ],
)  # fmt: skip
def test_what_is_broken_is_forgiven(source: str, text: str) -> None:
    assert html_to_text(source) == text


def test_a_tag_has_its_attributes_written_out_and_the_first_of_each_counts() -> None:
    (tag,) = pieces("<A href='x&amp;y' HREF=z Class=\"a  b\" disabled / rel = tag =>")
    assert tag == Tag("a", False, {"href": "x&y", "class": "a  b", "disabled": "", "rel": "tag"})


# --- hostile ------------------------------------------------------------------------------------------------------

HOSTILE = [
    *("<a ", "<!--", '<a "', "<!", "<?", "</", "</a", "<![CDATA[", "<", "&", "&#9", "<a b=", "<a b='\"", "<a b='>"),
    *("<p>", "</p>", "<li>", "<ul>", "<pre>\n", "<b>", "<br>", "<script>", "</script", "<template><p>", "<x1></x2>"),
    *("<p class=quote-inline>", "<span class=quote-inline>", "<div class=quote-inline><p>", "<a href=https://a.example>"),
    *(" <a href=http://b>b.example</a>", "<a class=mention>", "=", ":a:", ": a", "a.", "\n", " \r\n", "\u200b", "a-b."),
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_length_alone(unit: str) -> None:
    source = unit * (60_000 // len(unit))
    begun = time.process_time()
    html_to_text(source, {"a"})
    html_to_text(f"<p class=quote-inline>{source}", {"a"})
    html_to_text(f"<a href=https://a.example>{source}</a>")
    assert time.process_time() - begun < 5  # some 0.1 s; the standard library's takes 40 s


@pytest.mark.parametrize("attributes", ["x" * 60_000, "x=1 " * 15_000, "x=' " * 15_000, "x " * 30_000, "=" * 60_000])
def test_endless_attributes_take_no_endless_time(attributes: str) -> None:
    begun = time.process_time()
    html_to_text(f"<a {attributes}>")
    html_to_text(f"<a {attributes}")
    assert time.process_time() - begun < 5


def test_thirty_thousand_elements_deep_is_no_trouble() -> None:
    assert html_to_text(f"{'<blockquote>' * 30_000}deep{'</blockquote>' * 30_000}") == "deep"
    assert html_to_text(f"{'<span class=quote-inline>' * 30_000}x{'</span>' * 30_000}y") == "y"


# --- properties ---------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=120, deadline=None)
MARKUP = st.sampled_from(
    [*HOSTILE, "</a>", "</span>", "</div>", "</ul>", "</li>", "<img alt=x class=emoji>", '"', "'", ">", "-->", MENTION]
)
PLAIN = st.text(st.characters(exclude_characters="<&", exclude_categories=["Cs"]), max_size=20)
SOUP = st.lists(MARKUP | st.text(max_size=5) | PLAIN, max_size=30).map("".join)


@LIGHT
@given(SOUP)
def test_whatever_comes_in_a_tidy_text_comes_out(source: str) -> None:
    text = html_to_text(source, {"a"})
    assert text == text.strip()
    assert "\n\n\n" not in text
    assert "  " not in text
    assert all(line == " ".join(line.split()) for line in text.split("\n"))


@LIGHT
@given(SOUP)
def test_the_pieces_are_texts_and_tags(source: str) -> None:
    found = list(pieces(source))
    assert all(isinstance(piece, Tag) or piece for piece in found)
    assert sum(len(piece) for piece in found if isinstance(piece, str)) <= 40 * len(source)


@LIGHT
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_what_a_server_escapes_comes_back_as_it_was_typed(typed: str) -> None:
    """Servers escape the text and put paragraphs around it."""
    assert html_to_text(f"<p>{html.escape(typed)}</p>") == " ".join(typed.split())


@LIGHT
@given(st.lists(st.lists(PLAIN.filter(str.strip), min_size=1, max_size=3), min_size=1, max_size=3))
def test_paragraphs_and_lines_come_back(paragraphs: list[list[str]]) -> None:
    tidy = [[" ".join(line.split()) for line in lines] for lines in paragraphs]
    source = "".join(f"<p>{'<br />'.join(map(html.escape, lines))}</p>" for lines in tidy)
    assert html_to_text(source) == "\n\n".join("\n".join(lines) for lines in tidy)

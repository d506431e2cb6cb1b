"""What people write into their profiles about AI, bots and search engines.

In: the lines of a profile. Out: the signals in them, each with the words that say so.

- `no_ai` is a clear no, and nobody's word overrides it. So it is only found where the words leave no doubt: "no AI
  training", "AI: no thanks", "keine KI", "AI学習禁止", "#NoAI".
- Words that may mean it (`perhaps_no_ai`: "no AI generated", "human made, AI-free") make us ask, not refuse.
- "NO AI VACCINI" is Italian and about something else, "I am no AI" is a claim, "I do not train on Mondays" is sport:
  neither is a no. The languages are those that the networks' signals are known in; another one's words are missed,
  and the person at the keyboard still has to give theirs.

Not covered: signals made for machines (each source's), and what a signal weighs (`consent`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST_LINE = 20_000  # characters; no network's profile has as many
LONGEST_QUOTE = 80

_AI = (
    r"(?:(?:generative |gen[ -]?)?(?:ai|a\.i\.)|artificial intelligence|llms?|large language models?|language models?"
    r"|machine[ -]learning|gpts?|chatgpt|(?:ai|ml|generative|gpt) models?|neural net(?:work)?s?)"
)
_USE = (
    r"(?:train(?:ing|ed|s)?|scrap(?:e|es|ed|ing|ers?)|learning|data[ -]?(?:sets?|mining)|crawl(?:ing|ers?)?|use|usage"
    r"|consumption|models?|ingest(?:ion|ing)?)"
)
_MINE = r"(?:my|our|this|these|me|any of (?:my|this)|mine)"
_WORKS = (
    rf"{_MINE} (?:\w+ )?(?:posts?|toots?|tweets?|content|art(?:works?)?|works?|data|words?|writings?|texts?|images?"
    r"|pictures?|photos?|music|stuff|profile|account|stories)"
)
_NO = r"(?:no(?:pe|t allowed|t ok(?:ay)?|t permitted)?|never|none|forbidden|prohibited|denied|disallow(?:ed)?)"
_NOT_A_CLAIM = r"(?<!am )(?<!i'm )(?<!is )(?<!it's )(?<!are )(?<!there's )(?<!bin )(?<!ist )(?<!suis )(?<!soy )(?<!je )"
_NOT = r"(?:\b(?:not|never)|n't)"
_ENDS = r"(?=\s*(?:$|[^\w\s'.-]|\.(?!\s*\d)))"  # the end of the line, a full stop, an emoji

_CLEAR_NO = (
    # hashtags: #NoAI #no_ai #NoAIArt #NoAITraining #NoLLM #KeineKI #PasDIA
    r"#no[-_]?(?:gen[-_]?)?(?:ai|llms?|gpt)(?:_|\b|art|train|scrap|learn|data|use|music|writing|photo|please|thanks)",
    r"#(?:kein(?:e)?|stop|nein)[-_]?ki\b|#(?:pas|non)_?d?_?(?:al)?_?ia\b|#(?:sin|no)_?ia\b|#geen[-_]?ai\b",
    # "no AI", "no LLMs please", "No AI training on my posts"
    rf"{_NOT_A_CLAIM}\bno[ -]?(?:to )?{_AI}{_ENDS}",
    rf"{_NOT_A_CLAIM}\bno(?:t for)?[ -]?{_AI}[ /-]*(?:{_USE}|bots?|please|thanks?|allowed|(?:on|with) {_MINE}|here)\b",
    rf"\bno (?:training|scraping|crawling|data ?mining) (?:of|on|from) {_WORKS}\b",
    rf"\bnot? (?:to be used )?for (?:use (?:in|by|with) |the use of |any )?(?:train(?:ing)? (?:of )?)?{_AI}\b",
    # "AI: no thanks", "AI training: no", "AI training prohibited", "AI use is not allowed"
    rf"\b{_AI}(?:[ /-]+{_USE})?\s*[:=?]\s*{_NO}(?:,? (?:thanks?|thank you|please|way))?{_ENDS}",
    rf"\b{_AI}[ /-]+{_USE}(?: (?:is|are|of {_MINE} \w+(?: is| are)?))? ?(?:strictly )?{_NO}{_ENDS}",
    rf"[🚫❌⛔🙅]\ufe0f?\s*{_AI}\b|(?<![\w@]){_AI}(?: {_USE})?\s*[🚫❌⛔]",
    # "don't train AI on my posts", "do not use my art to train models", "never feed this to an LLM"
    rf"{_NOT} (?:train|feed|teach|fine-?tune)\b[^.!?\n]{{0,40}}\b{_AI}\b",
    rf"{_NOT} (?:train|fine-?tune|feed|scrape|crawl) (?:\w+ ){{0,2}}(?:(?:on|with|using|from) )?{_WORKS}\b",
    rf"{_NOT} use {_WORKS}\b[^.!?\n]{{0,40}}\b(?:{_AI}|to train|for training)\b",
    rf"(?:{_NOT}|\bno) (?:give |giving |given )?(?:my )?(?:consent|permission|agree)(?: is| was)?(?: given| granted)?"
    rf" (?:to|for|that|of)\b[^.!?\n]{{0,80}}\b(?:{_AI}|scrap(?:e|ed|ing)|training data)\b",
    rf"{_NOT} (?:allow|permit)(?: (?:any|the|{_MINE}|use|usage|training)\b[^.!?\n]{{0,80}})? (?:{_AI}|scraping)\b",
    rf"\b(?:opt|opted|opting|opts)[ -]?out (?:of|from) (?:all |any )?{_AI}\b",
    # other languages
    rf"(?<!bin )(?<!ist )(?<!sind )\bkeine?(?:rlei)? (?:KI|AI)(?:[- ]?(?:training|nutzung|verwendung)\b|{_ENDS})",
    r"\b(?:KI|AI)[- ]?(?:training|nutzung|verwendung)?[ :]{1,2}(?:ist )?(?:verboten|untersagt|nein\b|nicht erlaubt)",
    r"\bnicht (?:für|zum|zur) (?:das )?(?:training von )?(?:KI|AI)\b",
    r"(?<!suis )\b(?:pas d'|non (?:à|a) l')(?:ia|intelligence artificielle)\b|\bia (?:interdite?|: ?non)\b",
    rf"\bno (?:a|al uso de|usar para|entrenar(?: con)?)(?: la)?(?: entrenar)? (?-i:IA)\b|\bno (?-i:IA){_ENDS}"
    r"|\bprohibid[oa]\b[^.!?\n]{0,60}\b(?-i:IA)\b",
    r"\bnão (?:à|a|use\w*[^.!?\n]{0,40}) ?(?-i:IA)\b|\bproibid[oa]\b[^.!?\n]{0,60}\b(?-i:IA)\b",
    r"\b(?:no all'|niente )(?:ia|ai|intelligenza artificiale)\b",
    rf"\bgeen ai\b(?:{_ENDS}|[ -]?(?:training|gebruik))|\b(?:nie dla|zakaz) (?:ai|si){_ENDS}",
    r"\bзапре(?:щ|т)\w*[^.!?\n]{0,60}(?:\bИИ\b|нейросет)|\bнет ИИ\b",
    r"(?<![A-Za-z])(?:AI|人工智能|人工知能)[^\n。、！!]{0,14}(?:禁止|お断り|拒否|拒绝|拒絕|不可|NG(?![a-z])|厳禁|やめて)",
    r"(?:禁止|拒绝|拒絕|请勿|請勿|不允许|不允許|无断|無断)[^\n。！!]{0,14}(?<![A-Za-z])(?:AI|人工智能)(?![A-Za-z])",
    r"(?<![A-Za-z])AI[^\n.!]{0,10}(?:금지|불가|거부)",
)

# Words that go with it, or with an opinion about AI in general.
_PERHAPS = (
    rf"\b(?:no|anti|against|stop|ban|fuck|hate)[ -]?{_AI}\b|#(?:anti|stop|ban)[-_]?ai\b|#no[-_]?ai",
    rf"\b{_AI}[ -]?free\b|\bhands off\b[^.!?\n]{{0,20}}\b{_AI}\b|\bwithout {_AI}\b",
    r"\b(?:keine?|ohne|gegen) (?-i:KI)\b|\b(?:sans|pas d'|sin|sem|senza|contra) ?(?-i:IA)\b|\bбез ИИ\b",
)


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE)


_SIGNALS = {
    "no_ai": _any(_CLEAR_NO),
    "no_bots": re.compile(r"#no[-_]?bots?\b|\bno[ -]bots?(?: please| allowed)?(?=\s*(?:$|[^\w\s-]))", re.I | re.M),
    "noindex": re.compile(
        r"#no[-_]?(?:index|archive|search)\b|\bno(?:index|archive)\b|\bno (?:scrap(?:ing|ers)|crawlers|data ?mining)\b",
        re.I,
    ),
    "perhaps_no_ai": _any(_PERHAPS),
}


def wishes_in(lines: Iterable[str | None]) -> dict[str, str]:
    """The first words for each signal.

    >>> wishes_in(["Baker. #NoAI please", "AI: no thanks"])
    {'no_ai': '#NoAI'}
    >>> wishes_in(["I do not train on Mondays", "NO AI VACCINI", None])
    {'perhaps_no_ai': 'NO AI'}
    """
    found: dict[str, str] = {}
    for line in lines:
        text = _plain(line or "")
        for signal, pattern in _SIGNALS.items():
            if signal not in found and (match := pattern.search(text)):
                found[signal] = " ".join(match[0].split())[:LONGEST_QUOTE]
    if "no_ai" in found:
        found.pop("perhaps_no_ai", None)
    return found


def _plain(text: str) -> str:
    """One kind of letters, quotation marks, dashes and spaces."""
    text = unicodedata.normalize("NFKC", text[:LONGEST_LINE])[:LONGEST_LINE]
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return text.translate({ord(mark): "'" for mark in "’‘ʼ`´"} | {ord(dash): "-" for dash in "‐‑–—"} | {0xA0: " "})

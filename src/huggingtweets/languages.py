"""Which language a text is in.

In: a clean text, and what its network said of it. Out: a code of ISO 639-1 (or 639-3 where there is no other), or None.

- A network's word may be the author's setting rather than the language: where the text itself is plain, it decides.
- What a network says of posts without language (`und`, `zxx`, X's `qme` and the like) is no word at all.
- Where there is no network's word and the text is too short to tell, there is no language.
- Mentions and hashtags are in no language and don't count.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

PLAIN = 0.9  # of probability; from here on none of NASA's 2,430 posts is taken for anything but English
LIKELY = 0.5  # from here on five are

_SAME = {
    **{"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "mo": "ro"},  # withdrawn codes, which X still uses
    **{"nb": "no", "nn": "no", "cmn": "zh", "yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "fil": "tl"},
}
_NO_LANGUAGE = re.compile(r"und|zxx|mis|mul|q[a-t][a-z]|art")


def code_of(said: str | None) -> str | None:
    """The bare code of what a network said.

    >>> code_of("pt-BR"), code_of("iw"), code_of("und"), code_of("qme"), code_of(None)
    ('pt', 'he', None, None, None)
    """
    code = re.split(r"[-_]", (said or "").strip().lower(), maxsplit=1)[0]
    if not re.fullmatch(r"[a-z]{2,3}", code) or _NO_LANGUAGE.fullmatch(code):
        return None
    return _SAME.get(code, code)


def language_of(text: str, said: str | None = None) -> str | None:
    """None where it can't be told.

    >>> language_of("Das Wetter ist heute herrlich und wir gehen lange spazieren", "en")
    'de'
    >>> language_of("Danke dir", "de"), language_of("@bob #wow")
    ('de', None)
    """
    network = code_of(said)
    words = " ".join(word for word in text.split() if not {"@", "#"} & set(word))
    if not any(map(str.isalpha, words)):
        return network
    code, probability = _detector().classify(words)
    if network is not None:
        return code_of(code) if probability >= PLAIN else network
    return code_of(code) if probability >= LIKELY else None


def likeliest(text: str) -> str:
    """The likeliest language, however little there is to go by.

    >>> likeliest("Das Wetter ist heute herrlich und wir gehen lange spazieren")
    'de'
    """
    return str(_detector().classify(text)[0])


@functools.cache
def _detector() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

"""The words of a text, as memories are found by them: the same in every store, whatever its own parser would make of the text."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MAX_WORD_CHARS = 64
"""A longer one counts by its beginning: Postgres takes no word over 2 KB."""
MAX_QUERY_WORDS = 64

# Scripts that put no space between words: Thai and Lao, Burmese, Khmer, kana, Han and its extensions.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_ACCENTS = re.compile("[\u0300-\u036f]")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words in order, without case and accents; of scripts without spaces each letter and each pair of neighbours."""
    return tuple(word for run in _runs(text) for word in _cut(run, has_letters=True))


def query_words(text: str) -> tuple[str, ...]:
    """Return the first different words of a query; of a script without spaces the pairs alone, which say more than their letters."""
    return tuple(dict.fromkeys(word for run in _runs(text) for word in _cut(run, has_letters=False)))[:MAX_QUERY_WORDS]


def _runs(text: str) -> list[str]:
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold()))
    return "".join(letter if _belongs(letter) else " " for letter in plain).split()


def _belongs(letter: str) -> bool:
    """Say whether a letter is of a word: letters, digits, and the marks without which many scripts say nothing."""
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


def _cut(run: str, *, has_letters: bool) -> Iterator[str]:
    """Cut a run of letters where scripts without spaces begin and end."""
    end = 0
    for unspaced in _UNSPACED.finditer(run):
        if before := run[end : unspaced.start()]:
            yield before[:MAX_WORD_CHARS]
        letters = unspaced[0]
        if has_letters or len(letters) == 1:
            yield from letters
        yield from (first + second for first, second in pairwise(letters))
        end = unspaced.end()
    if after := run[end:]:
        yield after[:MAX_WORD_CHARS]

"""What somebody may have meant who wrote a word that is not known."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the known word that is most like `word`; None where all are less alike than `likeness`, from 0 to 1."""
    from difflib import get_close_matches  # noqa: PLC0415  (who errs in no word loads none of it)

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=likeness)), None)

"""Parts of the sentences that refuse something: what may have been meant, and what there is instead."""

import difflib
from collections.abc import Collection, Iterable

SHOWN_VALUES = 6


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the choice most like a word, or nothing if none is like it."""
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(values: Collection[object], most: int = SHOWN_VALUES) -> str:
    """Write the first few values, texts in quotation marks, and how many more there are."""
    shown = [repr(value) if isinstance(value, str) else str(value) for value in list(values)[:most]]
    return ", ".join(shown) + (f" and {len(values) - most} more" if len(values) > most else "")

"""Templates whose ids are given: lines get the id of the published template that they are written after."""

import re
from collections.abc import Mapping, Sequence

import polars as pl

from utils.datasets import require
from utils.errors import DataError, SchemaError
from utils.features.log_templates.estimator import Template, template_id
from utils.features.log_templates.masking import VARIABLE, WILDCARD, shown

ID, TEXT = "EventId", "EventTemplate"
BLANKS = re.compile(r"\s+")


class KnownTemplates:
    """A parser that knows a list of templates with their ids, and nothing of any lines.

    A line belongs to the template whose words it has, in order, with anything in place of ``<*>``; of several that fit
    the one with the most words. A line that fits none is its own template, and unknown.

    Attributes:
        texts: text of each template by its id.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take the templates.

        Args:
            texts: text with ``<*>`` for values, by id.
        """
        self.texts = dict(texts)

    @classmethod
    def of(cls, templates: pl.DataFrame) -> "KnownTemplates":
        """Take the templates of a frame with the columns ``EventId`` and ``EventTemplate``.

        Raises:
            SchemaError: if a column is missing, or an id stands twice.
            DataError: if an id or a text is missing.
        """
        require.columns(templates, (ID, TEXT), "the table of templates")
        templates = templates.select(pl.col(ID, TEXT).cast(pl.String))
        if missing := templates.filter(pl.any_horizontal(pl.all().is_null())).height:
            found = f"{missing:,} without one"
            raise DataError(f"each template must have an id and a text, found {found}: fill them or leave them out")
        if templates[ID].is_duplicated().any():
            twice = templates[ID].filter(templates[ID].is_duplicated())[0]
            raise SchemaError(f"each template must have an id of its own, found {twice!r} twice: keep one")
        return cls(dict(templates.iter_rows()))

    def describe(self, skeletons: Sequence[str]) -> list[Template]:
        """Find the template of each skeleton; the id of an unknown one is made of its text."""
        patterns = self._patterns()
        return [self._described(skeleton, patterns) for skeleton in skeletons]

    def _described(self, skeleton: str, patterns: Sequence[tuple[str, re.Pattern[str]]]) -> Template:
        found = next((name for name, pattern in patterns if pattern.fullmatch(skeleton)), None)
        if found is not None:
            return Template(self.texts[found].replace(WILDCARD, VARIABLE), found, True)
        return Template(skeleton, template_id(shown([skeleton])[0]), False)

    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """Templates as patterns, the one with the most words first."""
        words = {
            name: [BLANKS.sub(" ", part).strip(" /") for part in text.split(WILDCARD)]
            for name, text in self.texts.items()
        }
        order = sorted(words, key=lambda name: (-sum(map(len, words[name])), name))
        return [(name, _pattern(words[name])) for name in order]


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Pattern of the words in their order, with anything between them, and anything where a value stands outside."""
    inner = "(?:.*)".join(re.escape(word) for word in words)
    return re.compile(rf"{inner}[\s/.:]*", re.DOTALL)

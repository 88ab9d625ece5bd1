"""What can be seen of a text without knowing others: lengths, characters, runs, escapes, words of attack languages.

The characters are those of the decoded text. Measures of this kind go back to Kruegel and Vigna, "Anomaly Detection of
Web-based Attacks" (CCS 2003: length, character distribution, structure) and to the feature sets of malicious-URL
studies; the families of words follow the attack classes of the OWASP Core Rule Set.
"""

from collections.abc import Sequence

import numpy as np

from utils.features.web_events import bytewise
from utils.features.web_events.columns import Floats, Texts
from utils.features.web_events.decoding import DELIMITER, Decoded, canonical, decode_all
from utils.features.web_events.patterns import PatternBank

MARKS = {
    "single_quotes": "'", "double_quotes": '"', "backticks": "`", "less": "<", "greater": ">",
    "opening_parentheses": "(", "closing_parentheses": ")", "opening_brackets": "[", "closing_brackets": "]",
    "opening_braces": "{", "closing_braces": "}", "semicolons": ";", "equals": "=", "slashes": "/",
    "backslashes": "\\", "pipes": "|", "ampersands": "&", "percents": "%", "hashes": "#", "hyphens": "-",
    "asterisks": "*", "commas": ",", "dots": ".", "dollars": "$", "at_signs": "@", "colons": ":",
    "question_marks": "?", "exclamation_marks": "!", "pluses": "+", "underscores": "_",
}  # fmt: skip
WORDS = {
    "traversals": r"(?:\.|0x2e){2,4}(?:[/\\]|0x2f|0x5c)",
    "sql_verbs": r"\b(?:select|union|insert|update|delete|drop|alter|create|exec|execute|declare|having|waitfor|"
    r"truncate)\b",
    "sql_clauses": r"\b(?:from|where|and|or|xor|like|between|order\sby|group\sby|limit|into|null|when|then|case|as|in|"
    r"not)\b",
    "sql_functions": r"\b(?:concat|concat_ws|group_concat|char|chr|ascii|substring|substr|mid|sleep|benchmark|pg_sleep|"
    r"cast|convert|count|version|database|user|load_file|extractvalue|updatexml|md5|hex|unhex|if|iif|ifnull|coalesce|"
    r"elt|make_set|rand|floor|length|randomblob|json_keys|exp)\s?\(",
    "sql_catalogues": r"information_schema|sys(?:ibm|objects|columns|databases|users|master)|all_(?:users|tab)|"
    r"pg_catalog|generate_series|xp_cmdshell|rdb\$|mysql\.user|sqlite_master|dbms_|utl_inaddr|ctxsys|@@\w|\bdual\b",
    "comparisons": r"(?:=|<|>|!=|<>|\blike\b|\brlike\b|\bin\b)\s?[(\"'\d]",
    "comment_marks": r"--(?:\s|\+|-|\z)|#\s?\z|/\*|\*/|;\s?%00",
    "tags": r"<\s?[a-z!/?%][^<>\s]{0,40}",
    "scripts": r"<\s?/?script|javascript\s?:|vbscript\s?:|livescript\s?:|document\s?[.\[]|window\s?[.\[]|\balert\b|"
    r"\bprompt\s?\(|\bconfirm\s?\(|\beval\s?\(|fromcharcode|innerhtml|settimeout|expression\s?\(|\bsrc\s?=|"
    r"\bhref\s?=",
    "handlers": r"\bon[a-z]{3,24}\s?=",
    "files": r"etc/(?:passwd|shadow|hosts|group|issue)|boot\.ini|win\.ini|web-inf|\.htaccess|\.htpasswd|/proc/self|"
    r"\.git/|\.ssh/|\.env\b|/var/log|access[._]log|error[._]log|system32|php\.ini|\bweb\.(?:xml|config)|file:/",
    "commands": r"(?:[;|&`\n(]|\$\()\s?(?:/[a-z/]{0,30}/)?(?:id|ls|dir|cat|ping|whoami|uname|wget|curl|nc|netstat|"
    r"nslookup|echo|sleep|type|rm|chmod|ps|sh|bash|cmd|perl|python|ifconfig|ipconfig|phpinfo|exec|system)\b",
    "code": r"\b(?:eval|assert|system|exec|passthru|popen|shell_exec|phpinfo|base64_decode|runtime|getruntime|"
    r"processbuilder|__class__|__globals__|__import__|require|include|os\.system)\b|<\?|<%|\{\{|\$\{|#\{|<!--#|"
    r"<!entity|<!doctype|jndi",
    "addresses": r"\b(?:https?|ftp|file|gopher|dict|ldaps?|php|data|expect|phar|jar|rmi|dns)\s?:/?/?[^\s]",
    "line_breaks": r"\n",
}
"""Patterns by family, for decoded lower-case text."""
BANK = PatternBank(tuple(WORDS.values()))

SHARES = tuple(f"share_{kind}" for kind in bytewise.KINDS)
RUNS = tuple(f"longest_{kind}_run" for kind in ("digit", "letter", "special", "same"))
SIZES = ("length", "n_values", "n_segments", "n_different")
ESCAPES = ("decode_depth", "n_escapes")
BALANCES = ("odd_single_quotes", "odd_double_quotes", "open_parentheses")
MARK_NAMES = tuple(f"n_{mark}" for mark in MARKS)
NAMES = (*SIZES, *SHARES, "entropy", *RUNS, *ESCAPES, *BALANCES, *MARK_NAMES, *(f"n_{family}" for family in WORDS))
"""Names of the traits of one text, in the order of the columns."""
PLACE = {name: place for place, name in enumerate(NAMES)}
MARK_BYTES = np.array([ord(mark) for mark in MARKS.values()])
KIND_TABLE = (bytewise.KIND_OF[:, None] == np.arange(len(bytewise.KINDS))).astype(np.int64)
IS_CHARACTER = ((np.arange(256) & 0xC0) != 0x80).astype(np.int64)
"""1 for bytes that begin a character of UTF-8."""
LINEAR = frozenset({*SHARES, "entropy", "odd_single_quotes", "odd_double_quotes"})
"""Traits on a scale of their own; all others are counts with heavy tails."""


def measure(values: Texts) -> Floats:
    """Measure texts.

    Args:
        values: texts; a missing one gives a row of NaN.

    Returns:
        Float64 of shape (texts, :data:`NAMES`).
    """
    return measure_decoded(values, decode_all([value or "" for value in values]))


def measure_decoded(values: Texts, decoded: Sequence[Decoded]) -> Floats:
    """Measure texts that are decoded already, as :func:`measure` does."""
    plain = [text.text for text in decoded]
    table = np.zeros((len(values), len(NAMES)))
    escapes = [(text.depth, text.escapes) for text in decoded]
    table[:, _places(ESCAPES)] = np.array(escapes, dtype=np.float64).reshape(len(values), len(ESCAPES))
    table[:, _places(("n_values",))[0]] = [_n_values(value) for value in values]
    for part, batch in bytewise.batches(plain):
        _fill_characters(table[part], batch)
    table[:, -len(WORDS) :] = BANK.count([canonical(text) for text in plain])
    table[[value is None for value in values]] = np.nan
    return table


def _n_values(value: str | None) -> int:
    return value.count(DELIMITER) + 1 if value else 0


def _places(names: Sequence[str]) -> list[int]:
    return [PLACE[name] for name in names]


def _fill_characters(table: Floats, batch: bytewise.Joined) -> None:
    """Fill in what follows from the bytes of texts; the table is changed in place."""
    bytes_of = bytewise.histogram(batch)
    length = bytes_of @ IS_CHARACTER
    marks = bytes_of[:, MARK_BYTES]
    runs = bytewise.longest_runs(batch)
    table[:, PLACE["length"]] = length
    table[:, PLACE["n_segments"]] = bytewise.segments(batch)
    table[:, PLACE["n_different"]] = (bytes_of > 0).sum(axis=1)
    table[:, PLACE["entropy"]] = bytewise.entropy(bytes_of)
    table[:, _places(SHARES)] = bytes_of @ KIND_TABLE / np.maximum(batch.lengths, 1)[:, None]
    table[:, _places(RUNS)] = np.stack([runs[name] for name in ("digit", "letter", "special", "same")], axis=1)
    table[:, _places(MARK_NAMES)] = marks
    count = dict(zip(MARKS, marks.T, strict=True))
    table[:, PLACE["odd_single_quotes"]] = count["single_quotes"] % 2
    table[:, PLACE["odd_double_quotes"]] = count["double_quotes"] % 2
    table[:, PLACE["open_parentheses"]] = np.abs(count["opening_parentheses"] - count["closing_parentheses"])

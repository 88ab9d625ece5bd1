r"""Texts as the tokens that an SQL reader would see, one letter a token.

An injected text starts in the middle of a statement that nobody sees: behind a number, or inside a quoted text. So a
text is read three times: as it stands, as if it began inside single quotes, and inside double quotes. ``o'neill and
sons`` is then a closed text followed by a bare word, which no SQL has; ``x' or 1=1`` is a closed text, a logical word
and a comparison. The idea to judge SQL by a short string of token classes in several contexts is that of Galbraith,
"libinjection: SQLi tokenizing, parsing and analysis" (Black Hat USA 2012); classes and reading are this project's own.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

LONGEST = 400
"""So many tokens are read; an injection is decided by the first ones."""
MOST_CHARACTERS = 4096


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TOKEN = re.compile(
    r"0x[0-9a-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w])|[a-z_][\w$]*|\d[\w$]*|"
    r"@{1,2}[\w`'\"]*|--|\|\||&&|<=>|<>|<=|>=|!=|"
    r":=|<<|>>|==|\.\.+|\{\{|\}\}|\$\{|\$\(|[^\w\s]|[^\W\d_a-z]+",
    re.ASCII,
)
UNCLOSED_COMMENT = re.compile(r"/\*[^*]*\Z|;?\x00.{0,8}\Z", re.DOTALL)
CLASSES = {
    "L": "and or xor not && ||",
    "O": "= < > <> != <= >= <=> == like rlike regexp between is in ilike glob soundex :=",
    "o": "+ - * / % ^ | & ~ << >> ! div mod",
    "U": "union except intersect",
    "S": "select",
    "D": "insert update delete drop create alter exec execute declare waitfor truncate shutdown merge grant revoke",
    "d": "call begin load set use handler copy desc show replace backup print do attach bulk kill if",
    "K": "from where having group order limit into values procedure",
    "k": "sounds by on as using join offset top all distinct table database with for delay "
    "exists outfile dumpfile fetch analyse",
    "C": "case when then else end",
    "B": "null true false default",
    "(": "(",
    ")": ")",
    ",": ",",
    ".": ".",
    ";": ";",
    "c": "--",
    "h": "#",
    "{": "{ [ {{ ${ $(",
    "}": "} ] }}",
    "b": "`",
    "x": "? : \\ $ .. ...",
}
"""Letters of the tokens that are always the same."""
KNOWN_CALLS = _words(
    "version user database sleep benchmark pg_sleep concat concat_ws group_concat char chr ascii substring "
    "substr mid length hex unhex md5 sha1 cast convert count ifnull isnull nullif coalesce floor pi rand "
    "now cos sin tan exp log power conv bin ord lower upper load_file if iif schema extractvalue updatexml "
    "db_name user_name system_user current_user session_user host_name elt make_set greatest least abs "
    "sqrt sign sum min max avg round last_insert_id connection_id row_count found_rows current_database "
    "xmltype randomblob generate_series repeat reverse replace trim ltrim rtrim instr locate position left "
    "right lpad rpad space strcmp interval field char_length is_srvrolemember has_dbaccess object_id "
    "col_name json_keys name_const uuid crc32 aes_encrypt encode decode from_base64 to_base64"
)
LETTER_OF = {word: letter for letter, listed in CLASSES.items() for word in listed.split()}
QUOTES = ("'", '"')


MATHEMATICAL = _words("sin cos tan exp log power abs sqrt sign sum min max avg round floor")
"""Functions that formulas and spreadsheets call too."""
OPENERS = _words("( = , [ { : + == ${ $(")
"""Behind these a quote opens a text."""
SERVER_WORDS = _words(
    "current_user session_user system_user current_timestamp current_date current_time localtimestamp "
    "sysdate rownum rowid"
)
"""Words that SQL reads as a call without brackets."""
COMMENT_LINE = re.compile(r"(?:--|#)[^\n]{0,200}\n")


class Reading(NamedTuple):
    """A text in the three contexts.

    Attributes:
        plain: letters of the tokens of the text as it stands.
        single: letters as if the text began inside single quotes; empty if it has none. The first letter says what
            the closed text is: ``0`` empty, ``1`` a number, ``w`` a word, ``W`` several words, ``x`` something else,
            ``o`` that the quote stands where a quoted text may begin; the second is ``s``.
        double: likewise for double quotes.
    """

    plain: str
    single: str
    double: str


def read(text: str, lowered: str) -> Reading:
    """Read a text in all contexts.

    Args:
        text: decoded text, for the comments that cut the rest off.
        lowered: the same in canonical form.

    Returns:
        The letters of its tokens.
    """
    cut = "--" if ("\0" in text[-12:] or "/*" in text) and UNCLOSED_COMMENT.search(text[-MOST_CHARACTERS:]) else ""
    lines = lowered[:MOST_CHARACTERS]
    if "\n" in lines and ("--" in lines or "#" in lines):
        lines = COMMENT_LINE.sub(" ", lines)
    tokens = TOKEN.findall(lines)[:LONGEST]
    if cut:
        tokens.append(cut)
    inside = [_inside(tokens, quote) for quote in QUOTES]
    return Reading(letters(tokens), *inside)


def letters(tokens: Sequence[str]) -> str:
    """Write tokens as letters: quoted texts as ``s``, stretches of three and more bare words as ``N``."""
    written: list[str] = []
    place, last = 0, len(tokens)
    while place < last:
        token = tokens[place]
        if token in QUOTES:
            place = _quoted(tokens, place, written)
            continue
        letter = _letter(token, tokens[place + 1] if place + 1 < last else "")
        if letter == "n" and written and written[-1] in "nNm":
            written[-1] = "m" if written[-1] == "n" else "N"
        elif letter != ")" or not written or written[-1] != ")":
            written.append(letter)
        place += 1
        if letter == "c" or (letter == "h" and last - place < 2):
            written.append("$" if place == last else "r")
            break
    return "".join(written)


def _inside(tokens: Sequence[str], quote: str) -> str:
    """Letters behind the first quote, with the quoted beginning as ``s``; empty without such a quote."""
    if quote not in tokens:
        return ""
    place = tokens.index(quote)
    return f"{_closed(tokens[:place])}s{letters(tokens[place + 1 :])}"


def _closed(tokens: Sequence[str]) -> str:
    """What the text is that the first quote closes."""
    if not tokens:
        return "0"
    if len(tokens) > 1 and tokens[-1] in OPENERS:
        return "o"
    plain = sum(token[0].isalpha() for token in tokens)
    if plain > 1:
        return "W"
    if len(tokens) == 1:
        return "w" if plain else "1" if tokens[0][0].isdigit() else "x"
    return "x"


def _quoted(tokens: Sequence[str], place: int, written: list[str]) -> int:
    """Write a quoted text that begins at a place; returns the place behind it."""
    quote = tokens[place]
    try:
        end = tokens.index(quote, place + 1)
    except ValueError:
        written.append("q")
        return place + 1
    written.append("s")
    return end + 1


def _letter(token: str, following: str) -> str:
    if following == "(" and token in KNOWN_CALLS:
        return "g" if token in MATHEMATICAL else "f"
    return LETTER_OF.get(token) or _kind(token, following)


def _kind(token: str, following: str) -> str:
    first = token[0]
    if first.isdigit() or (first == "." and len(token) > 1 and token[1].isdigit()):
        return "1" if not token[-1].isalpha() or token.startswith("0x") else "w"
    if first == "@" or token in SERVER_WORDS:
        return "v"
    if not token.isascii():
        return "z"
    if following == "(" and (first.isalpha() or first == "_"):
        return "f" if token in KNOWN_CALLS else "F"
    return "n" if first.isalpha() or first == "_" else "x"

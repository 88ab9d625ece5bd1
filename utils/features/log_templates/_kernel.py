"""Compiled loops of the masking; imported at first use, because numba takes a second to import.

A line is read once, from left to right: words, delimiters and white space are hashed, and words that look like values
count as one and the same byte. :mod:`.masking` says in words what looks like a value. The same loop writes the
skeleton out where it is asked for.
"""
# ruff: noqa: ANN001, ANN202 (numba finds the types of compiled functions itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"

import numpy as np
from numba import njit

VARIABLE = 1
MOST_BYTES = 1024

NEWLINE, BLANK, COLON, EQUALS, DOT, SLASH, BACKSLASH, MINUS, AT, DOLLAR = 10, 32, 58, 61, 46, 47, 92, 45, 64, 36
ROUND, SQUARE, CURLY, LESS, GREATER = 40, 91, 123, 60, 62
STOPS = (44, 59, 41, 93, 125, 124, 34)
QUOTES = (34, 39)
OPENERS, CLOSERS = (34, 40, 91), (34, 41, 93)
FULL_STOPS = (33, 46, 63)

SPACE, DELIMITER, JOINER, FOREIGN, NUMERIC, ROOTED, DOTTED, ADDRESSED, SPOKEN, OTHER = (1 << bit for bit in range(10))
"""Traits of bytes. Delimiters stand between words, joiners are delimiters that hold a list together, foreign bytes are
those above ASCII; the others stand inside words: digits and backslashes, slashes, dots, at signs, letters, and (OTHER)
whatever does not stand in a hexadecimal number."""
TRUTHFUL, CLOCKLIKE, MEASURING = 1 << 10, 1 << 11, 1 << 12
"""Letters with which the words of the lists below begin, so that most words need not be looked up."""
BREAK = SPACE | DELIMITER | JOINER | FOREIGN
ONE = np.uint64(1)
PRIME = np.uint64(0x100000001B3)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
WORD_PLACES, WORD_SHIFT = 256, 56


def _traits() -> np.ndarray:
    trait = np.full(256, OTHER, dtype=np.uint16)
    trait[:33] = SPACE
    trait[127] = SPACE
    trait[128:] = FOREIGN
    trait[[*range(65, 71), *range(97, 103)]] = SPOKEN
    trait[[*range(71, 91), *range(103, 123), ord("_")]] = SPOKEN | OTHER
    trait[48:58] = NUMERIC | SPOKEN
    trait[BACKSLASH] = NUMERIC | OTHER
    trait[SLASH] = ROOTED | OTHER
    trait[DOT] = DOTTED | OTHER
    trait[AT] = ADDRESSED | OTHER
    trait[[ord(mark) for mark in "=()[]{}<>\"'`"]] = DELIMITER
    trait[[ord(mark) for mark in ":,;|"]] = JOINER
    for words, bit in ((TRUE_WORDS, TRUTHFUL), (CLOCK_WORDS, CLOCKLIKE), (UNIT_WORDS, MEASURING)):
        trait[sorted({ord(word[0]) for word in words.split()})] |= bit
    return trait


def _listed(words: str) -> np.ndarray:
    """Hash table of words of up to eight bytes, each as one number; 0 is a free place."""
    table = np.zeros(WORD_PLACES, dtype=np.uint64)
    for word in words.split():
        code = int.from_bytes(word.encode(), "little")
        place = (code * int(MULTIPLIER) % 2**64) >> WORD_SHIFT
        while table[place]:
            place = (place + 1) % WORD_PLACES
        table[place] = code
    return table


TRUE_WORDS = "true false True False TRUE FALSE null Null NULL"
CLOCK_WORDS = "AM PM am pm UTC GMT EST EDT CST CDT MST MDT PST PDT CET CEST BST IST JST"
UNIT_WORDS = "B kB KB MB GB TB PB KiB MiB GiB TiB K M G ns us ms s sec secs min mins h hr hrs Hz kHz KHz MHz GHz"
TRAIT = _traits()
TRUTH, CLOCK, UNITS = _listed(TRUE_WORDS), _listed(CLOCK_WORDS), _listed(UNIT_WORDS)
CALENDAR = _listed("Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
SUFFIXES = _listed("com net org edu gov mil info biz arpa local lan internal intranet")
PACKAGES = _listed("com net org edu gov java javax jdk sun android androidx kotlin scala io dev apple")


@njit(cache=True, nogil=True, forceinline=True)
def _among(data, begin, end, words):
    """Whether a word stands in a list made by ``_listed``."""
    if not 0 < end - begin <= 8:
        return False
    value = np.uint64(0)
    for place in range(end - 1, begin - 1, -1):
        value = (value << np.uint64(8)) | np.uint64(data[place])
    place = (value * MULTIPLIER) >> np.uint64(WORD_SHIFT)
    while words[place] != 0:
        if words[place] == value:
            return True
        place = (place + ONE) % np.uint64(WORD_PLACES)
    return False


@njit(cache=True, nogil=True, forceinline=True)
def _scan(data, begin, end):
    """End, hash and traits of the bytes up to the next break; hash and traits end where it is clear that it is a value.

    Places are unsigned in this loop: numba would ask of signed ones whether they count from the end.
    """
    place, stop = np.uint64(begin), np.uint64(end)
    value, traits = np.uint64(0xCBF29CE484222325), np.uint16(0)
    while place < stop:
        byte = data[place]
        trait = TRAIT[byte]
        if trait & (BREAK | NUMERIC):
            if not trait & NUMERIC:
                break
            traits |= trait
            place += ONE
            while place < stop and not TRAIT[data[place]] & BREAK:
                traits |= TRAIT[data[place]]
                place += ONE
            break
        traits |= trait
        value = (value ^ np.uint64(byte)) * PRIME
        place += ONE
    return np.int64(place), value, traits


@njit(cache=True, nogil=True)
def _scan_foreign(data, begin, end):
    place, value = begin, np.uint64(0xCBF29CE484222325)
    while place < end and TRAIT[data[place]] == FOREIGN:
        value = (value ^ np.uint64(data[place])) * PRIME
        place += 1
    return place, value, np.uint16(SPOKEN | OTHER)


@njit(cache=True, nogil=True, forceinline=True)
def _address_end(data, begin, stop, end):
    """End of an address of which the scan saw the first part: a URL, a drive with a path, a path with a query."""
    if data[stop] == COLON and stop + 2 < end and stop > begin:
        if data[stop + 1] == SLASH and data[stop + 2] == SLASH:
            stop = _scan(data, stop + 1, end)[0]
            while stop < end and data[stop] in (COLON, EQUALS) and stop + 1 < end:
                stop = _scan(data, stop + 1, end)[0]
        elif stop == begin + 1 and data[stop + 1] == BACKSLASH:
            stop = _scan(data, stop + 1, end)[0]
    elif data[begin] == SLASH:
        while stop < end and data[stop] == EQUALS:
            stop = _scan(data, stop + 1, end)[0]
    return stop


@njit(cache=True, nogil=True, forceinline=True)
def _leader(data, begin, end):
    """Place of the first two dots in a row behind ``begin``; ``end`` if there are none."""
    for place in range(begin + 1, end - 1):
        if data[place] == DOT and data[place + 1] == DOT:
            return place
    return end


@njit(cache=True, nogil=True, forceinline=True)
def _word(data, begin, end):
    """End, hash and traits of the word or address that begins here."""
    if TRAIT[data[begin]] == FOREIGN:
        return _scan_foreign(data, begin, end)
    stop, value, traits = _scan(data, begin, end)
    if stop < end and (data[stop] == COLON or data[stop] == EQUALS):
        whole = _address_end(data, begin, stop, end)
        if whole > stop:
            return whole, value, np.uint16(NUMERIC | SPOKEN)
    if traits & DOTTED and stop - begin > 2 and not 48 <= data[begin] <= 57:
        dots = _leader(data, begin, stop)
        if dots < stop:
            return _scan(data, begin, dots)
    return stop, value, traits


@njit(cache=True, nogil=True, forceinline=True)
def _is_dotted_name(data, begin, end):
    """Whether a dotted word reads as a domain name or, from the other end, as the full name of a class or package."""
    first, last = begin, end
    while data[first] != DOT:
        first += 1
    while data[last - 1] != DOT:
        last -= 1
    package = first + 1 < last and _among(data, begin, first, PACKAGES)
    country = first + 1 < last and end - last == 2 and data[last] >= 97
    if first == begin or not (package or country or _among(data, last, end, SUFFIXES)):
        return False
    for place in range(begin, end):
        if not TRAIT[data[place]] & (SPOKEN | DOTTED) and data[place] != MINUS and data[place] != DOLLAR:
            return False
    return True


@njit(cache=True, nogil=True, forceinline=True)
def _is_path(data, begin, end, traits):
    """Whether a word with a slash reads as a path: from the root, with a dot, or of four parts and more."""
    if data[begin] == SLASH or traits & DOTTED:
        return True
    slashes = 0
    for place in range(begin, end):
        slashes += data[place] == SLASH
    return slashes > 2


@njit(cache=True, nogil=True, forceinline=True)
def _is_value(data, begin, end, traits):
    """Whether a word looks like a value rather than like a word of the statement."""
    if traits & NUMERIC:
        return True
    if traits & ADDRESSED and begin + 1 < end and data[begin] != AT and data[end - 1] != AT:
        return True
    if traits & ROOTED and _is_path(data, begin, end, traits):
        return True
    if traits & DOTTED:
        return _is_dotted_name(data, begin, end)
    if 4 <= end - begin <= 5:
        return TRAIT[data[begin]] & TRUTHFUL and _among(data, begin, end, TRUTH)
    return end - begin >= 8 and not traits & OTHER


@njit(cache=True, nogil=True, forceinline=True)
def _skip_spaces(data, place, end):
    while place < end and TRAIT[data[place]] == SPACE:
        place += 1
    return place


@njit(cache=True, nogil=True, forceinline=True)
def _is_calendar(data, begin, stop, end):
    """Whether a word is the name of a day or month with the rest of a date behind it."""
    if data[begin] > 90 or data[begin + 1] < 97 or not _among(data, begin, stop, CALENDAR):
        return False
    place = stop + 1 if stop < end and data[stop] == 44 else stop
    place = _skip_spaces(data, place, end)
    if place >= end or place == stop:
        return False
    return 48 <= data[place] <= 57 or (place + 3 <= end and _among(data, place, place + 3, CALENDAR))


@njit(cache=True, nogil=True, forceinline=True)
def _past_unit(data, stop, end):
    """Place behind the unit of the number that ends at ``stop``; ``stop`` if no unit follows."""
    if stop + 1 >= end or data[stop] != BLANK or not TRAIT[data[stop + 1]] & MEASURING:
        return stop
    if not 48 <= data[stop - 1] <= 57:
        return stop
    place = min(end, stop + 6)
    for step in range(stop + 1, place):
        if TRAIT[data[step]] & (BREAK | NUMERIC | DOTTED | ROOTED):
            place = step
            break
    if place < end and (TRAIT[data[place]] & (NUMERIC | FOREIGN) or data[place] == EQUALS):
        return stop
    return place if _among(data, stop + 1, place, UNITS) else stop


@njit(cache=True, nogil=True)
def _past_bracket(data, begin, end):
    """Place behind the bracket that closes the one at ``begin``; ``begin`` if there is none."""
    opened = data[begin]
    closed = opened + 1 if opened == ROUND else opened + 2
    depth = 0
    for place in range(begin, end):
        if data[place] == opened:
            depth += 1
        elif data[place] == closed:
            depth -= 1
            if depth == 0:
                return place + 1
    return begin


@njit(cache=True, nogil=True)
def _past_quote(data, begin, end):
    """Place behind the quotation mark that closes the one at ``begin``; ``begin`` if there is none."""
    for place in range(begin + 1, end):
        if data[place] == data[begin]:
            return place + 1
    return begin


@njit(cache=True, nogil=True)
def _assigned(data, begin, end):
    """End of the value behind an equals sign, ``begin`` if nothing stands there, -1 if it is to be read as text."""
    place = _skip_spaces(data, begin, end)
    if place == end:
        return begin
    byte = data[place]
    if byte in QUOTES:
        stop = _past_quote(data, place, end)
        return stop if stop > place else -1
    if byte in STOPS:
        return begin
    if byte in (EQUALS, ROUND, SQUARE, CURLY, LESS, GREATER):
        return -1
    while place < end and TRAIT[data[place]] != SPACE and data[place] not in STOPS:
        if data[place] in (ROUND, SQUARE, CURLY):
            place = max(place, _past_bracket(data, place, end) - 1)
        elif data[place] == EQUALS and TRAIT[data[begin]] == SPACE:
            return begin
        place += 1
    return _past_unit(data, place, end)


@njit(cache=True, nogil=True, forceinline=True)
def _behind(data, place, end, before, start):
    """End of the value behind the delimiter just before ``place``; -1 if none begins there.

    ``before`` is the byte of the skeleton before the delimiter; at the ``start`` of a line, braces hold the whole text.
    """
    byte = data[place - 1]
    if byte == EQUALS:
        return _assigned(data, place, end)
    if byte == CURLY and not start:
        return _past_bracket(data, place - 1, end) - 1 if _past_bracket(data, place - 1, end) >= place else -1
    if byte in (ROUND, SQUARE) and place < end and data[place] == (byte + 1 if byte == ROUND else byte + 2):
        return place if before in (BLANK, EQUALS) else -1
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def _word_value(data, begin, stop, end, traits, before, joined):
    """End of the value that begins with this word; -1 if the word is a word of the statement."""
    core = stop
    while core - 1 > begin and data[core - 1] in FULL_STOPS:
        core -= 1
    if _is_value(data, begin, core, traits):
        return _past_unit(data, core, end) if core == stop else core
    if core - begin > 4:
        return -1
    if core - begin == 1:
        absent = data[begin] == MINUS and ((stop < end and data[stop] in CLOSERS) or before in OPENERS)
        return core if absent else -1
    if (core - begin == 3 and _is_calendar(data, begin, core, end)) or (
        joined and TRAIT[data[begin]] & CLOCKLIKE and _among(data, begin, core, CLOCK)
    ):
        return core
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def _copy(data, begin, stop, size, out, first, last):
    """Copy bytes of the line as far as there is room."""
    for place in range(begin, min(stop, begin + MOST_BYTES - size)):
        out[size] = data[place]
        if first.size:
            first[size], last[size] = place, place + 1
        size += 1


@njit(cache=True, nogil=True, forceinline=True)
def _put(byte, begin, stop, size, out, first, last):
    """Write one byte that stands for a part of the line."""
    out[size] = byte
    if first.size:
        first[size], last[size] = begin, stop


@njit(cache=True, nogil=True)
def mask(data, begin, end, out, first, last):
    """Hash the skeleton of one line.

    Args:
        data: bytes of the lines.
        begin: where the line begins.
        end: where it ends.
        out: gets the skeleton, if it has room for anything.
        first: gets the place where each byte of the skeleton began in the data, if it has room.
        last: gets the place where it ended.

    Returns:
        Length and hash of the skeleton.
    """
    keep = out.size > 0
    size, total, before = 0, MULTIPLIER, BLANK
    joined, joined_total = 0, total
    place = _skip_spaces(data, begin, end)
    while place < end and size < MOST_BYTES:
        trait = TRAIT[data[place]]
        if trait == SPACE:
            stop = _skip_spaces(data, place, end)
            if stop < end:
                if keep:
                    _put(BLANK, place, stop, size, out, first, last)
                size, before = size + 1, BLANK
                total = (total ^ np.uint64(BLANK)) * MULTIPLIER
            if data[place] != NEWLINE or stop == end:
                place = stop
                continue
            stop = end
        elif trait & (DELIMITER | JOINER):
            byte = data[place]
            place += 1
            if byte == LESS and place < end and TRAIT[data[place]] & NUMERIC:
                continue
            stop = _behind(data, place, end, before, size == 0)
            if keep:
                _put(byte, place - 1, place, size, out, first, last)
            size, before = size + 1, byte
            total = (total ^ np.uint64(byte)) * MULTIPLIER
            if trait == DELIMITER:
                joined = 0
            if stop < 0:
                continue
        else:
            word, value, traits = _word(data, place, end)
            stop = _word_value(data, place, word, end, traits, before, joined > 0)
            if stop < 0:
                if keep:
                    _copy(data, place, word, size, out, first, last)
                size, before = min(MOST_BYTES, size + word - place), 0
                total = (total ^ value) * MULTIPLIER
                if traits & SPOKEN:
                    joined = 0
                place = word
                continue
        if joined:
            size, total = joined, joined_total
            if keep and first.size:
                last[size - 1] = stop
        else:
            if keep:
                _put(VARIABLE, _skip_spaces(data, place, stop), stop, size, out, first, last)
            size += 1
            total = (total ^ np.uint64(VARIABLE)) * MULTIPLIER
            joined, joined_total = size, total
        place, before = stop, VARIABLE
    return size, total


@njit(cache=True, nogil=True, forceinline=True)
def _key(total):
    """Spread the hash over all bits; never 0, which marks a free place."""
    total ^= total >> np.uint64(32)
    total *= MULTIPLIER
    total ^= total >> np.uint64(29)
    return total if total else ONE


@njit(cache=True, nogil=True)
def number(data, begins, ends, start, hashes, slots, used, rows, examples, counts):
    """Number the skeleton of each line in order of first appearance.

    Args:
        data: bytes of the lines.
        begins: where each line begins.
        ends: where each line ends.
        start: first line to read.
        hashes: hash table with open addressing; 0 is a free place.
        slots: number of the skeleton at each place of the table.
        used: skeletons that the table has.
        rows: gets the number of each line's skeleton.
        examples: gets the first line of each new skeleton.
        counts: lines of each skeleton, added to.

    Returns:
        The line at which the table became full (or the number of lines), and the skeletons that it has.
    """
    nothing, nowhere = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.int64)
    low_bits = np.uint64(hashes.size - 1)
    for row in range(start, begins.size):
        if 2 * used >= hashes.size or used >= counts.size:
            return row, used
        key = _key(mask(data, begins[row], ends[row], nothing, nowhere, nowhere)[1])
        place = key & low_bits
        while hashes[place] != 0 and hashes[place] != key:
            place = (place + ONE) & low_bits
        if hashes[place] == 0:
            hashes[place] = key
            slots[place] = used
            examples[used] = row
            used += 1
        rows[row] = slots[place]
        counts[slots[place]] += 1
    return begins.size, used


@njit(cache=True, nogil=True)
def insert(keys, numbers, hashes, slots):
    """Fill a larger hash table."""
    low_bits = np.uint64(hashes.size - 1)
    for entry in range(keys.size):
        place = keys[entry] & low_bits
        while hashes[place] != 0:
            place = (place + ONE) & low_bits
        hashes[place] = keys[entry]
        slots[place] = numbers[entry]


@njit(cache=True, nogil=True)
def locate(data, begins, ends, rows, first_hole, hole_begin, hole_end, begin, end):
    """Find the values of each line.

    Args:
        data: bytes of the lines.
        begins: where each line begins.
        ends: where each line ends.
        rows: number of each line's skeleton.
        first_hole: for each skeleton, where its holes begin in the next two; one more entry than there are skeletons.
        hole_begin: where each hole begins in the skeleton.
        hole_end: where each hole ends in the skeleton.
        begin: gets the places where the values begin in the data, line after line.
        end: gets the places where they end.
    """
    out = np.empty(MOST_BYTES + 8, dtype=np.uint8)
    first, last = np.empty(out.size, dtype=np.int64), np.empty(out.size, dtype=np.int64)
    found = 0
    for row in range(begins.size):
        if first_hole[rows[row]] == first_hole[rows[row] + 1]:
            continue
        mask(data, begins[row], ends[row], out, first, last)
        for hole in range(first_hole[rows[row]], first_hole[rows[row] + 1]):
            begin[found], end[found] = first[hole_begin[hole]], last[hole_end[hole] - 1]
            found += 1


@njit(cache=True, nogil=True)
def cut(data, begin, end, offsets, out):
    """Copy pieces of the data to ``out``, each to where its offset says."""
    for piece in range(begin.size):
        size = end[piece] - begin[piece]
        out[offsets[piece] : offsets[piece] + size] = data[begin[piece] : end[piece]]

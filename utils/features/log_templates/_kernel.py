"""Compiled loops of the masking; imported at first use, because numba takes a second to import.

A line is read once, from left to right: words, delimiters and white space are hashed, and words that look like values
count as one and the same byte. :mod:`.masking` says in words what looks like a value. The same loop writes the
skeleton out where it is asked for.
"""
# ruff: noqa: ANN001, ANN202, SIM110 (numba finds the types of compiled functions itself)
# mypy: ignore-errors

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

VARIABLE = 1
MOST_BYTES = 1024
LONGEST_SUFFIX = 8

NEWLINE, RETURN, BLANK, COLON, EQUALS, DOT, SLASH, BACKSLASH, MINUS, AT, DOLLAR = (
    10,
    13,
    32,
    58,
    61,
    46,
    47,
    92,
    45,
    64,
    36,
)
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
BITS_OF_EIGHT = np.uint64(3)
NOWHERE, ONE, EIGHT = np.uint64(0), np.uint64(1), np.uint64(8)
PRIME = np.uint64(0x100000001B3)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
LOW_BITS, HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
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


def _at(context, builder, kind, address):
    """Turn an address into a pointer."""
    return builder.inttoptr(address, context.get_value_type(kind).as_pointer())


@intrinsic
def _byte(typing, data, place):
    """Byte ``place`` of the text at the address ``data``: a plain load, where an array would also be counted."""

    def load(context, builder, signature, values):
        return builder.load(_at(context, builder, types.uint8, builder.add(values[0], values[1])))

    return types.uint8(types.uint64, types.uint64), load


@intrinsic
def _eight(typing, data, place):
    """Eight bytes from ``place`` on as one number, the first one lowest; they need not be aligned."""

    def load(context, builder, signature, values):
        return builder.load(_at(context, builder, types.uint64, builder.add(values[0], values[1])), align=1)

    return types.uint64(types.uint64, types.uint64), load


@intrinsic
def _set_byte(typing, data, place, value):
    """Write a byte."""

    def store(context, builder, signature, values):
        builder.store(values[2], _at(context, builder, types.uint8, builder.add(values[0], values[1])))
        return context.get_dummy_value()

    return types.none(types.uint64, types.uint64, types.uint8), store


@intrinsic
def _set_place(typing, data, index, value):
    """Write one entry of an array of places."""

    def store(context, builder, signature, values):
        offset = builder.mul(values[1], context.get_constant(types.uint64, 8))
        builder.store(values[2], _at(context, builder, types.int64, builder.add(values[0], offset)))
        return context.get_dummy_value()

    return types.none(types.uint64, types.uint64, types.int64), store


@njit(cache=True, nogil=True)
def _hash(data, begin, end):
    """Hash of some bytes, eight at a time."""
    place, stop = np.uint64(begin), np.uint64(end)
    value = (stop - place) * PRIME
    while place + EIGHT <= stop:
        value = (value ^ _eight(data, place)) * MULTIPLIER
        value ^= value >> np.uint64(32)
        place += EIGHT
    rest = np.uint64(0)
    while place < stop:
        rest = (rest << EIGHT) | np.uint64(_byte(data, place))
        place += ONE
    value = (value ^ rest) * MULTIPLIER
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def _among(data, begin, end, words):
    """Whether a word stands in a list made by ``_listed``."""
    if not 0 < end - begin <= 8:
        return False
    value = np.uint64(0)
    for place in range(end - 1, begin - 1, -1):
        value = (value << np.uint64(8)) | np.uint64(_byte(data, place))
    place = (value * MULTIPLIER) >> np.uint64(WORD_SHIFT)
    while words[place] != 0:
        if words[place] == value:
            return True
        place = (place + ONE) % np.uint64(WORD_PLACES)
    return False


@njit(cache=True, nogil=True)
def _scan(data, begin, end):
    """End and traits of the bytes up to the next break.

    Places are unsigned in this loop: numba would ask of signed ones whether they count from the end.
    """
    place, stop, traits = np.uint64(begin), np.uint64(end), np.uint16(0)
    while place < stop:
        trait = TRAIT[_byte(data, place)]
        if trait & BREAK:
            break
        traits |= trait
        place += ONE
    return np.int64(place), traits


@njit(cache=True, nogil=True)
def _scan_foreign(data, begin, end):
    place = begin
    while place < end and TRAIT[_byte(data, place)] == FOREIGN:
        place += 1
    return place, np.uint16(SPOKEN | OTHER)


@njit(cache=True, nogil=True)
def _address_end(data, begin, stop, end):
    """End of an address of which the scan saw the first part: URL, drive, path with query, groups of digits."""
    if _byte(data, stop) == COLON and stop + 2 < end and stop > begin:
        if _byte(data, stop + 1) == SLASH and _byte(data, stop + 2) == SLASH:
            stop = _scan(data, stop + 1, end)[0]
            while stop < end and _byte(data, stop) in (COLON, EQUALS) and stop + 1 < end:
                stop = _scan(data, stop + 1, end)[0]
        elif stop == begin + 1 and _byte(data, stop + 1) == BACKSLASH:
            stop = _scan(data, stop + 1, end)[0]
        elif stop <= begin + 4:
            stop = max(stop, _groups_end(data, begin, end))
    elif _byte(data, begin) == SLASH:
        while stop < end and _byte(data, stop) == EQUALS:
            stop = _scan(data, stop + 1, end)[0]
    return stop


@njit(cache=True, nogil=True)
def _groups_end(data, begin, end):
    """End of a hardware or IPv6 address: groups of up to four hexadecimal digits between colons; else ``begin``."""
    place, colons, digits, size = begin, 0, 0, 0
    while place < end and size <= 4:
        byte = _byte(data, place)
        if byte == COLON:
            colons += 1
            size = -1
        elif TRAIT[byte] & BREAK:
            break
        elif TRAIT[byte] & OTHER:
            return _mapped_end(data, place, end, begin, colons)
        digits += 48 <= byte <= 57
        place += 1
        size += 1
    if size > 4 or digits == 0 or colons < 3:
        return begin
    return place - 1 if _byte(data, place - 1) == COLON else place


@njit(cache=True, nogil=True)
def _mapped_end(data, place, end, begin, colons):
    """End of an IPv6 address that ends like one of IPv4; ``begin`` if it goes on otherwise."""
    if colons < 3 or _byte(data, place) != DOT:
        return begin
    while place < end and (48 <= _byte(data, place) <= 57 or _byte(data, place) == DOT):
        place += 1
    return place


@njit(cache=True, nogil=True)
def _leader(data, begin, end):
    """Place of the first two dots in a row behind ``begin``; ``end`` if there are none."""
    place, stop = np.uint64(begin + 1), np.uint64(end)
    while place + EIGHT < stop:
        differing = (_eight(data, place) ^ DOTS) | (_eight(data, place + ONE) ^ DOTS)
        if (differing - LOW_BITS) & ~differing & HIGH_BITS:
            break
        place += EIGHT
    while place + ONE < stop:
        if _byte(data, place) == DOT and _byte(data, place + ONE) == DOT:
            return np.int64(place)
        place += ONE
    return end


@njit(cache=True, nogil=True)
def _word(data, begin, end):
    """End and traits of the word or address that begins here."""
    if TRAIT[_byte(data, begin)] == FOREIGN:
        return _scan_foreign(data, begin, end)
    if _byte(data, begin) == COLON:
        return _groups_end(data, begin, end), np.uint16(NUMERIC | SPOKEN)
    stop, traits = _scan(data, begin, end)
    if stop < end and (_byte(data, stop) == COLON or _byte(data, stop) == EQUALS):
        whole = _address_end(data, begin, stop, end)
        if whole > stop:
            return whole, np.uint16(NUMERIC | SPOKEN)
    if traits & DOTTED and stop - begin > 2 and not 48 <= _byte(data, begin) <= 57:
        dots = _leader(data, begin, stop)
        if dots < stop:
            return _scan(data, begin, dots)
    return stop, traits


@njit(cache=True, nogil=True)
def _has_dot(data, begin, end):
    for place in range(begin, end):
        if _byte(data, place) == DOT:
            return True
    return False


@njit(cache=True, nogil=True)
def _is_dotted_name(data, begin, end, followed):
    """Whether a dotted word reads as a domain name or, from the other end, as the full name of a class or package.

    A dotted word that a number follows behind a colon is an address with a port, or a source file with a line.
    """
    first, last = begin, end
    while first < end and _byte(data, first) != DOT:
        first += 1
    if first in (begin, end):
        return False
    least = max(first + 1, end - LONGEST_SUFFIX)
    while last > least and _byte(data, last - 1) != DOT:
        last -= 1
    country = first + 1 < last and end - last == 2 and _byte(data, last) >= 97
    package = first + 1 < end - 1 and _among(data, begin, first, PACKAGES) and _has_dot(data, first + 1, end)
    suffix = _byte(data, last - 1) == DOT and (country or _among(data, last, end, SUFFIXES))
    if not (followed or package or suffix):
        return False
    for place in range(begin, end):
        byte = _byte(data, place)
        if not TRAIT[byte] & (SPOKEN | DOTTED) and byte != MINUS and byte != DOLLAR:
            return False
    return True


@njit(cache=True, nogil=True)
def _is_path(data, begin, end):
    """Whether a word with a slash reads as a path: from the root, with a dot, or of four parts and more."""
    if _byte(data, begin) == SLASH:
        return True
    slashes, dots = 0, 0
    for place in range(begin, end):
        slashes += _byte(data, place) == SLASH
        dots += _byte(data, place) == DOT
    return slashes > 2 or (slashes > 0 and dots > 0)


@njit(cache=True, nogil=True)
def _is_value(data, begin, end, traits, followed):
    """Whether a word looks like a value rather than like a word of the statement."""
    if traits & NUMERIC:
        return True
    if traits & ADDRESSED and begin + 1 < end and _byte(data, begin) != AT and _byte(data, end - 1) != AT:
        return True
    if traits & ROOTED and _is_path(data, begin, end):
        return True
    if traits & DOTTED and _is_dotted_name(data, begin, end, followed):
        return True
    if 4 <= end - begin <= 5:
        return TRAIT[_byte(data, begin)] & TRUTHFUL and _among(data, begin, end, TRUTH)
    return end - begin >= 8 and not traits & OTHER


@njit(cache=True, nogil=True)
def _skip_spaces(data, place, end):
    while place < end and TRAIT[_byte(data, place)] == SPACE:
        place += 1
    return place


@njit(cache=True, nogil=True)
def _is_calendar(data, begin, stop, end):
    """Whether a word is the name of a day or month with the rest of a date behind it."""
    if _byte(data, begin) > 90 or _byte(data, begin + 1) < 97 or not _among(data, begin, stop, CALENDAR):
        return False
    place = stop + 1 if stop < end and _byte(data, stop) == 44 else stop
    place = _skip_spaces(data, place, end)
    if place >= end or place == stop:
        return False
    return 48 <= _byte(data, place) <= 57 or (place + 3 <= end and _among(data, place, place + 3, CALENDAR))


@njit(cache=True, nogil=True)
def _past_unit(data, stop, end):
    """Place behind the unit of the number that ends at ``stop``; ``stop`` if no unit follows."""
    if stop + 1 >= end or _byte(data, stop) != BLANK or not TRAIT[_byte(data, stop + 1)] & MEASURING:
        return stop
    if not 48 <= _byte(data, stop - 1) <= 57:
        return stop
    place = min(end, stop + 6)
    for step in range(stop + 1, place):
        if TRAIT[_byte(data, step)] & (BREAK | NUMERIC | DOTTED | ROOTED):
            place = step
            break
    if place < end and (TRAIT[_byte(data, place)] & (NUMERIC | FOREIGN) or _byte(data, place) == EQUALS):
        return stop
    return place if _among(data, stop + 1, place, UNITS) else stop


@njit(cache=True, nogil=True)
def _past_bracket(data, begin, end):
    """Place behind the bracket that closes the one at ``begin``; ``begin`` if there is none."""
    opened = _byte(data, begin)
    closed = opened + 1 if opened == ROUND else opened + 2
    depth = 0
    for place in range(begin, end):
        if _byte(data, place) == opened:
            depth += 1
        elif _byte(data, place) == closed:
            depth -= 1
            if depth == 0:
                return place + 1
    return begin


@njit(cache=True, nogil=True)
def _past_quote(data, begin, end):
    """Place behind the quotation mark that closes the one at ``begin``; ``begin`` if there is none."""
    for place in range(begin + 1, end):
        if _byte(data, place) == _byte(data, begin):
            return place + 1
    return begin


@njit(cache=True, nogil=True)
def _assigned(data, begin, end):
    """End of the value behind an equals sign, ``begin`` if nothing stands there, -1 if it is to be read as text."""
    place = _skip_spaces(data, begin, end)
    if place == end:
        return begin
    byte = _byte(data, place)
    if byte in QUOTES:
        stop = _past_quote(data, place, end)
        return stop if stop > place else -1
    if byte in STOPS:
        return begin
    if byte in (ROUND, SQUARE, CURLY, LESS):
        stop = _past_bracket(data, place, end)
        return stop if stop > place else -1
    if byte in (EQUALS, GREATER):
        return -1
    while place < end and TRAIT[_byte(data, place)] != SPACE and _byte(data, place) not in STOPS:
        if _byte(data, place) in (ROUND, SQUARE, CURLY):
            place = max(place, _past_bracket(data, place, end) - 1)
        elif _byte(data, place) == EQUALS and TRAIT[_byte(data, begin)] == SPACE:
            return begin
        place += 1
    return _past_unit(data, place, end)


@njit(cache=True, nogil=True)
def _behind(data, place, end, before, start):
    """End of the value behind the delimiter just before ``place``; -1 if none begins there.

    ``before`` is the byte of the skeleton before the delimiter; at the ``start`` of a line, braces hold the whole text.
    """
    byte = _byte(data, place - 1)
    if byte == EQUALS:
        return _assigned(data, place, end)
    if byte == CURLY and not start:
        return _past_bracket(data, place - 1, end) - 1 if _past_bracket(data, place - 1, end) >= place else -1
    if byte in (ROUND, SQUARE) and place < end and _byte(data, place) == (byte + 1 if byte == ROUND else byte + 2):
        return place if before in (BLANK, EQUALS) else -1
    return -1


@njit(cache=True, nogil=True)
def _word_value(data, begin, stop, end, traits, before, joined):
    """End of the value that begins with this word; -1 if the word is a word of the statement."""
    core = stop
    while core - 1 > begin and _byte(data, core - 1) in FULL_STOPS:
        core -= 1
    followed = stop + 1 < end and _byte(data, stop) == COLON and 48 <= _byte(data, stop + 1) <= 57
    if _is_value(data, begin, core, traits, followed):
        return _past_unit(data, core, end) if core == stop else core
    if core - begin > 4:
        return -1
    if core - begin == 1:
        absent = _byte(data, begin) == MINUS and ((stop < end and _byte(data, stop) in CLOSERS) or before in OPENERS)
        return core if absent else -1
    if (core - begin == 3 and _is_calendar(data, begin, core, end)) or (
        joined and TRAIT[_byte(data, begin)] & CLOCKLIKE and _among(data, begin, core, CLOCK)
    ):
        return core
    return -1


@njit(cache=True, nogil=True)
def _begins_address(data, place, end):
    """Whether two colons begin an IPv6 address here."""
    return (
        place + 2 < end
        and _byte(data, place) == COLON
        and _byte(data, place + 1) == COLON
        and not TRAIT[_byte(data, place + 2)] & (BREAK | OTHER)
        and _groups_end(data, place, end) > place
    )


@njit(cache=True, nogil=True)
def _put(byte, begin, stop, size, out, first, last):
    """Write one byte that stands for a part of the line."""
    _set_byte(out, size, byte)
    if first:
        _set_place(first, size, begin)
        _set_place(last, size, stop)


@njit(cache=True, nogil=True)
def _copy(data, begin, stop, size, out, first, last):
    """Copy bytes of the line as far as there is room."""
    for place in range(begin, min(stop, begin + MOST_BYTES - size)):
        _put(_byte(data, place), place, place + 1, size, out, first, last)
        size += 1


@njit(cache=True, nogil=True)
def mask(data, begin, end, out, first, last) -> tuple[int, np.uint64]:
    """Hash the skeleton of one line.

    Args:
        data: address of the lines.
        begin: where the line begins.
        end: where it ends.
        out: address that gets the skeleton; 0 for none.
        first: address that gets the place where each byte of the skeleton began in the data; 0 for none.
        last: address that gets the place where it ended.

    Returns:
        Length and hash of the skeleton.
    """
    keep = out != 0
    size, total, before = 0, MULTIPLIER, BLANK
    joined, joined_total = 0, total
    place = _skip_spaces(data, begin, end)
    while place < end and size < MOST_BYTES:
        byte, trait, first_place = _byte(data, place), TRAIT[_byte(data, place)], place
        if trait == SPACE:
            place = _skip_spaces(data, place, end)
            if place == end:
                break
            stop = end if byte == NEWLINE else -1
            byte = BLANK
        elif trait & (DELIMITER | JOINER) and not _begins_address(data, place, end):
            place += 1
            if byte == LESS and place < end and TRAIT[_byte(data, place)] & NUMERIC:
                continue
            stop = _behind(data, place, end, before, size == 0)
            joined = 0 if trait == DELIMITER else joined
        else:
            byte = 0
            word, traits = _word(data, place, end)
            stop = _word_value(data, place, word, end, traits, before, joined > 0)
            if stop < 0:
                if keep:
                    _copy(data, place, word, size, out, first, last)
                size, before = min(MOST_BYTES, size + word - place), 0
                total = (total ^ _hash(data, place, word)) * MULTIPLIER
                joined = 0 if traits & SPOKEN else joined
                place = word
        if byte:
            if keep:
                _put(byte, first_place, place, size, out, first, last)
            size, before = size + 1, byte
            total = (total ^ np.uint64(byte)) * MULTIPLIER
        if stop < 0:
            continue
        if joined:
            size, total = joined, joined_total
            if keep and first:
                _set_place(last, size - 1, stop)
        else:
            if keep:
                _put(VARIABLE, _skip_spaces(data, place, stop), stop, size, out, first, last)
            size, total = size + 1, (total ^ np.uint64(VARIABLE)) * MULTIPLIER
            joined, joined_total = size, total
        place, before = stop, VARIABLE
    return size, total


@njit(cache=True, nogil=True)
def _key(total):
    """Spread the hash over all bits; never 0, which marks a free place."""
    total ^= total >> np.uint64(32)
    total *= MULTIPLIER
    total ^= total >> np.uint64(29)
    return total if total else ONE


@njit(cache=True, nogil=True)
def write(data, begin, end, out) -> int:
    """Write the skeleton of one line of an array of bytes; returns its length."""
    return mask(np.uint64(data.ctypes.data), begin, end, np.uint64(out.ctypes.data), NOWHERE, NOWHERE)[0]


@njit(cache=True, nogil=True)
def number(data, begins, ends, start, hashes, slots, used, rows, examples, counts) -> tuple[int, int]:
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
    low_bits, address = np.uint64(hashes.size - 1), np.uint64(data.ctypes.data)
    for row in range(start, begins.size):
        if 2 * used >= hashes.size or used >= counts.size:
            return row, used
        key = _key(mask(address, begins[row], ends[row], NOWHERE, NOWHERE, NOWHERE)[1])
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
def insert(keys, numbers, hashes, slots) -> None:
    """Fill a larger hash table."""
    low_bits = np.uint64(hashes.size - 1)
    for entry in range(keys.size):
        place = keys[entry] & low_bits
        while hashes[place] != 0:
            place = (place + ONE) & low_bits
        hashes[place] = keys[entry]
        slots[place] = numbers[entry]


@njit(cache=True, nogil=True)
def locate(data, begins, ends, rows, first_hole, hole_begin, hole_end, begin, end) -> None:
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
    address = np.uint64(data.ctypes.data)
    found = 0
    for row in range(begins.size):
        if first_hole[rows[row]] == first_hole[rows[row] + 1]:
            continue
        mask(
            address,
            begins[row],
            ends[row],
            np.uint64(out.ctypes.data),
            np.uint64(first.ctypes.data),
            np.uint64(last.ctypes.data),
        )
        for hole in range(first_hole[rows[row]], first_hole[rows[row] + 1]):
            begin[found], end[found] = first[hole_begin[hole]], last[hole_end[hole] - 1]
            found += 1


@njit(cache=True, nogil=True)
def cut(data, begin, end, offsets, out) -> None:
    """Copy pieces of the data to ``out``, each to where its offset says."""
    for piece in range(begin.size):
        size = end[piece] - begin[piece]
        out[offsets[piece] : offsets[piece] + size] = data[begin[piece] : end[piece]]


@njit(cache=True, nogil=True, forceinline=True)
def _candidate(data, begin, end, takes, anchor, wanted):
    """First place from ``begin`` on at which a match may begin; ``end`` if there is none.

    The step ``anchor`` of the pattern stands so many bytes behind the begin. If it takes one byte only, that is given
    as ``wanted``, eight times, and eight bytes are looked at together: a byte is the wanted one where their difference
    is zero (Warren, "Hacker's Delight", 6-1).
    """
    place, stop, bit = np.uint64(begin + anchor), np.uint64(end), ONE << np.uint64(anchor)
    while wanted and place + EIGHT <= stop:
        differing = _eight(data, place) ^ wanted
        if (differing - LOW_BITS) & ~differing & HIGH_BITS:
            break
        place += EIGHT
    while place < stop:
        if _eight(takes, np.uint64(_byte(data, place)) << BITS_OF_EIGHT) & bit:
            return np.int64(place) - anchor
        place += ONE
    return end


@njit(cache=True, nogil=True)
def _match(data, begin, end, takes, least, most, steps, group, group_end):
    """Place behind the match that begins here, -1 for none; where the group in it begins and ends."""
    place, bit, first, last = begin, ONE, begin, begin
    for step in range(steps):
        first, last = (place if step == group else first), (place if step == group_end else last)
        stop, start = min(end, place + np.int64(_eight(most, step << 3))), place
        while place < stop and _eight(takes, np.uint64(_byte(data, place)) << BITS_OF_EIGHT) & bit:
            place += 1
        if place - start < np.int64(_eight(least, step << 3)):
            return -1, 0, 0
        bit <<= ONE
    return place, first, (place if group_end == steps else last)


@njit(cache=True, nogil=True, forceinline=True)
def _same(data, first, other, second, size):
    place, stop, one, two = np.uint64(0), np.uint64(size), np.uint64(first), np.uint64(second)
    while place + EIGHT <= stop:
        if _eight(data, one + place) != _eight(other, two + place):
            return False
        place += EIGHT
    while place < stop:
        if _byte(data, one + place) != _byte(other, two + place):
            return False
        place += ONE
    return True


@njit(cache=True, nogil=True, forceinline=True)
def _name(data, first, last, table, offsets, texts, used):
    """Number of the text between two places: an old one, or the next (``used``), which is written to ``texts``."""
    low_bits, known = np.uint64(table.size - 1), texts.ctypes.data
    slot = _key(_hash(data, first, last)) & low_bits
    while table[slot] != 0:
        old = table[slot] - 1
        size = offsets[old + 1] - offsets[old]
        if size == last - first and _same(known, offsets[old], data, first, size):
            return old
        slot = (slot + ONE) & low_bits
    table[slot] = used + 1
    offsets[used + 1] = offsets[used] + last - first
    for place in range(last - first):
        texts[offsets[used] + place] = _byte(data, first + place)
    return used


@njit(cache=True, nogil=True, forceinline=True)
def _is_full(table, offsets, texts, used, size):
    """Whether there is no room for one more text of a size."""
    return 2 * used >= table.size or used + 1 >= offsets.size or offsets[used] + size > texts.size


@njit(cache=True, nogil=True)
def enter(data, begins, ends, start, table, offsets, texts, used, numbers) -> tuple[int, int]:
    """Number texts in order of first appearance.

    Args:
        data: bytes of the texts.
        begins: where each one begins.
        ends: where each one ends.
        start: first text to number.
        table: hash table with open addressing: number and 1, or 0 for a free place.
        offsets: where each distinct text begins in the next; one more entry than there are texts.
        texts: bytes of the distinct texts.
        used: distinct texts so far.
        numbers: gets the number of each text.

    Returns:
        The text at which there was no more room (or their number), and how many are distinct.
    """
    for row in range(start, begins.size):
        if _is_full(table, offsets, texts, used, ends[row] - begins[row]):
            return row, used
        numbers[row] = _name(data.ctypes.data, begins[row], ends[row], table, offsets, texts, used)
        used = max(used, numbers[row] + 1)
    return begins.size, used


@njit(cache=True, nogil=True)
def identify(
    data, begins, ends, start, takes, anchor, wanted, least, most, group, group_end,
    table, offsets, texts, used, rows, numbers, found,
) -> tuple[int, int, int]:  # fmt: skip
    """Find the identifiers of lines, each once a line, and number them in order of first appearance.

    Args:
        data: bytes of the lines.
        begins: where each line begins.
        ends: where each line ends.
        start: first line to read.
        takes: for each byte, the steps of the pattern that take it, as bits.
        anchor: step to look for first; so many bytes stand before it.
        wanted: the byte that it takes, eight times; 0 if there are several.
        least: fewest bytes of each step.
        most: most bytes of each step.
        group: step with which the identifier begins.
        group_end: step before which it ends.
        table: as :func:`enter`.
        offsets: as :func:`enter`.
        texts: as :func:`enter`.
        used: as :func:`enter`.
        rows: gets the line of each identifier found.
        numbers: gets its number.
        found: identifiers found so far.

    Returns:
        The line at which there was no more room (or the number of lines), identifiers found, distinct ones.
    """
    address, accepted = np.uint64(data.ctypes.data), np.uint64(takes.ctypes.data)
    fewest, highest = np.uint64(least.ctypes.data), np.uint64(most.ctypes.data)
    for row in range(start, begins.size):
        place, stop, before = begins[row], ends[row], found
        if stop > place and data[stop - 1] == RETURN:
            stop -= 1
        while True:
            place = _candidate(address, place, stop, accepted, anchor, wanted)
            if place == stop:
                break
            behind, first, last = _match(address, place, stop, accepted, fewest, highest, least.size, group, group_end)
            if behind < 0:
                place += 1
                continue
            if found == rows.size or _is_full(table, offsets, texts, used, last - first):
                return row, before, used
            number = _name(address, first, last, table, offsets, texts, used)
            used, own = max(used, number + 1), before
            while own < found and numbers[own] != number:
                own += 1
            if own == found:
                rows[found], numbers[found] = row, number
                found += 1
            place = behind
    return begins.size, found, used


@njit(cache=True, nogil=True)
def gather(numbers, offsets, order) -> None:
    """Stable counting sort: ``order`` gets the places of the numbers, ``offsets`` where each number's places begin."""
    for number in numbers:
        offsets[number + 1] += 1
    for number in range(offsets.size - 1):
        offsets[number + 1] += offsets[number]
    ahead = offsets.copy()
    for place in range(numbers.size):
        order[ahead[numbers[place]]] = place
        ahead[numbers[place]] += 1


@njit(cache=True, nogil=True)
def scatter(data, begins, ends, shares, share) -> None:
    """Deal texts out by their hash, the same in every process: ``share`` gets the number of each text's share."""
    address, most = np.uint64(data.ctypes.data), np.uint64(shares)
    for row in range(begins.size):
        # the low bits number the slots of hash tables, which need texts of one share to differ there
        share[row] = (_key(_hash(address, begins[row], ends[row])) >> np.uint64(32)) % most

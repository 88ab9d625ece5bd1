"""Bytes of the user's files: unpacked, and in UTF-8 without a byte order mark."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from utils.datasets.own.entry import OwnEntry
from utils.errors import DataError, SchemaError

UNPACK: Mapping[bytes, tuple[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        b"\x1f\x8b": (".gz", gzip.decompress),
        b"BZh": (".bz2", bz2.decompress),
        b"\xfd7zXZ\x00": (".xz", lzma.decompress),
    }
)
FOREIGN: Mapping[bytes, str] = MappingProxyType(
    {
        b"PK\x03\x04": "a zip archive or an Excel sheet: unpack it, or save the sheet as CSV",
        b"\xd0\xcf\x11\xe0": "an old Excel sheet: save it as CSV",
        b"(\xb5/\xfd": "packed with zstd: unpack it",
        b"7z\xbc\xaf": "a 7z archive: unpack it",
        b"SQLite format 3": "an SQLite database: export the table as CSV",
        b"\x89HDF": "an HDF5 file: export the table as CSV or parquet",
    }
)
MARKS: Mapping[bytes, str] = MappingProxyType(
    {
        codecs.BOM_UTF32_LE: "utf-32",
        codecs.BOM_UTF32_BE: "utf-32",
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
    }
)
"""Encodings by the mark at the start of a file; the mark of UTF-32 begins like that of UTF-16, so it comes first."""


def content(path: Path) -> bytes:
    """Read a file and unpack it if it is packed with gzip, bzip2 or xz.

    Returns:
        The bytes, unpacked.

    Raises:
        DataError: if it is empty, damaged, an archive of another kind, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): make it readable") from None
    unpacked = _unpacked(path, data)
    if not unpacked.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"):
        raise DataError(f"{path} must hold data, found an empty file: fill it or take it out of the entry")
    return unpacked


def exact(entry: OwnEntry, path: Path, data: bytes) -> bytes:
    """Return text as UTF-8, refusing bytes that do not belong to its encoding.

    Args:
        entry: the entry, for its encoding.
        path: the file, for messages.
        data: its bytes, unpacked.

    Returns:
        The text in UTF-8.

    Raises:
        SchemaError: naming the first such byte, its place and its line.
    """
    encoding = entry.encoding or _marked(data)
    shown = "UTF-8" if encoding == "utf-8-sig" else encoding
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SchemaError(
            f"{path} must be text in {shown}, found byte {data[error.start]:#04x} at position {error.start} "
            f'(line {line}): save it as UTF-8, or name its encoding in the entry, such as encoding = "cp1252"'
        ) from None
    return _bytes(text, data, encoding)


def forgiving(entry: OwnEntry, data: bytes) -> tuple[bytes, int]:
    """Return text as UTF-8, putting U+FFFD for bytes that do not belong to its encoding.

    Args:
        entry: the entry, for its encoding.
        data: bytes of a file, unpacked.

    Returns:
        The text, and the number of replacements.
    """
    encoding = entry.encoding or _marked(data)
    try:
        return _bytes(data.decode(encoding), data, encoding), 0
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
        before = data.count("\ufffd".encode()) if encoding == "utf-8-sig" else 0
        return _bytes(text, None, encoding), text.count("\ufffd") - before


def _bytes(text: str, data: bytes | None, encoding: str) -> bytes:
    """Encode, unless the bytes are right as they are; lines that end in a bare carriage return get a newline."""
    same = data is not None and encoding == "utf-8-sig"
    encoded = data.removeprefix(codecs.BOM_UTF8) if data is not None and same else text.removeprefix("\ufeff").encode()
    return encoded.replace(b"\r", b"\n") if b"\r" in encoded and b"\n" not in encoded else encoded


def _marked(data: bytes) -> str:
    return next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), "utf-8-sig")


def _unpacked(path: Path, data: bytes) -> bytes:
    for magic, kind in FOREIGN.items():
        if data.startswith(magic):
            raise DataError(f"{path} must be text, JSON or parquet, found {kind}")
    for magic, (ending, unpack) in UNPACK.items():
        if data.startswith(magic):
            try:
                return unpack(data)
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
                raise DataError(f"{path} is a damaged {ending} file ({error}): fetch or pack it again") from None
        if data and path.suffix.lower() == ending:
            raise DataError(
                f"{path} must be packed as its ending {ending} says, found other bytes: rename or repack it"
            )
    return data

"""The same picture in about half the characters, so that a notebook with twenty figures can live in git.

Plotly's SVG repeats defaults, class names and long numbers that nothing reads once the picture is drawn.
"""

import base64
import hashlib
import re
import struct
import zlib
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
PICTURE, PNG = "data:image/png;base64,", b"\x89PNG\r\n\x1a\n"
DEFAULTS = {
    "opacity": "1",
    "fill-opacity": "1",
    "stroke-opacity": "1",
    "stroke-miterlimit": "2",
    "vector-effect": "none",
    "white-space": "pre",
    "font-weight": "normal",
    "font-style": "normal",
    "font-variant": "normal",
    "pointer-events": "all",
    "cursor": "",
}
INHERITED = {"fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "font-size"}
UNREAD = ("class", "data-")
MEASURES = ("d", "transform", "x", "y", "width", "height", "points")

_RGB = re.compile(r"rgb\((\d+), ?(\d+), ?(\d+)\)")
_LONG = re.compile(r"(\.\d)\d+")
_ZERO = re.compile(r"\.0(?!\d)")


def slim(drawn: str, font: str) -> str:
    """Rewrite the SVG of a figure without what does not show.

    Args:
        drawn: SVG text as plotly draws it.
        font: the font family of the house style, said once instead of at every text.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(drawn)
    for element in root.iter():
        _shorten(element, font)
        _pack_picture(element)
    root.set("font-family", font)
    _drop_unused_clips(root, set(re.findall(r"url\(#([^)]+)\)", drawn)))
    _drop_empty(root)
    _share_styles(root)
    return _same_names(ElementTree.tostring(root, encoding="unicode"))


def _same_names(drawn: str) -> str:
    """Replace plotly's random names by names that follow from the picture, so that equal pictures are equal texts."""
    names = re.findall(r' id="([^"]+)"', drawn)
    for place, name in enumerate(names):
        drawn = re.sub(rf"(?<=[\"#]){re.escape(name)}(?=[\")'])", f"@{place}@", drawn)
    digest = hashlib.sha1(drawn.encode(), usedforsecurity=False).hexdigest()[:8]
    return re.sub(r"@(\d+)@", rf"p{digest}-\1", drawn)


def _pack_picture(element: ElementTree.Element) -> None:
    """Pack the picture of a scene in three dimensions as small as it goes; browsers pack in haste."""
    link = f"{{{XLINK}}}href"
    if element.get(link, "").startswith(PICTURE):
        packed = _packed(base64.b64decode(element.attrib[link].removeprefix(PICTURE)))
        element.set(link, PICTURE + base64.b64encode(packed).decode())


def _packed(picture: bytes) -> bytes:
    """Compress the pixels of a PNG file again, all in one chunk; every pixel stays as it is.

    Source:
        Portable Network Graphics (PNG) Specification, W3C 2003, sections 5.3 and 10.
    """
    chunks, at = list[tuple[bytes, bytes]](), len(PNG)
    while at < len(picture):
        (size,) = struct.unpack_from(">I", picture, at)
        chunks.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]))
        at += size + 12
    pixels = b"".join(content for kind, content in chunks if kind == b"IDAT")
    head = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
    made = [*head, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)), (b"IEND", b"")]
    return PNG + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in made
    )


def _shorten(element: ElementTree.Element, font: str) -> None:
    for name in [name for name in element.keys() if name.startswith(UNREAD)]:  # noqa: SIM118 - an element is no dict
        del element.attrib[name]
    for name in MEASURES:
        if name in element.attrib:
            element.set(name, _ZERO.sub("", _LONG.sub(r"\1", element.attrib[name])))
    style = _short_style(element.attrib.pop("style", ""), font)
    if style:
        element.set("style", style)


def _short_style(style: str, font: str) -> str:
    pairs = [part.split(":", 1) for part in style.split(";") if ":" in part]
    declared = {name.strip(): value.strip() for name, value in pairs}
    if declared.get("font-family") == font:
        del declared["font-family"]
    kept = {name: value for name, value in declared.items() if DEFAULTS.get(name) != value}
    return ";".join(f"{name}:{_RGB.sub(_hexadecimal, value)}" for name, value in kept.items())


def _hexadecimal(found: re.Match[str]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in found.groups())


def _drop_unused_clips(parent: ElementTree.Element, used: set[str]) -> None:
    for child in list(parent):
        if child.tag == f"{{{SVG}}}clipPath" and child.get("id") not in used:
            parent.remove(child)
        else:
            _drop_unused_clips(child, used)


def _drop_empty(parent: ElementTree.Element) -> None:
    for child in list(parent):
        _drop_empty(child)
        group = child.tag == f"{{{SVG}}}g" and len(child) == 0 and "id" not in child.attrib
        path = child.tag == f"{{{SVG}}}path" and not child.get("d")
        if group or path:
            parent.remove(child)


def _share_styles(parent: ElementTree.Element) -> None:
    """Say once on a group what all its members say, where they would inherit it."""
    for child in parent:
        _share_styles(child)
    styles = {child.get("style", "") for child in parent}
    if parent.tag != f"{{{SVG}}}g" or parent.get("style") or len(styles) != 1:
        return
    style = styles.pop()
    if style and {part.split(":")[0] for part in style.split(";")} <= INHERITED:
        parent.set("style", style)
        for child in parent:
            del child.attrib["style"]

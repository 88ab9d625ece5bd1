"""The same picture in about half the characters, so that a notebook with twenty figures can live in git.

Plotly's SVG repeats defaults, class names and long numbers that nothing reads once the picture is drawn.
"""

import hashlib
import re
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
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
    root.set("font-family", font)
    _drop_unused_clips(root, set(re.findall(r"url\(#([^)]+)\)", drawn)))
    _drop_empty(root)
    _share_styles(root)
    return _same_names(ElementTree.tostring(root, encoding="unicode"))


def _same_names(drawn: str) -> str:
    """Replace plotly's random names by names that follow from the picture, so that equal pictures are equal texts."""
    names = re.findall(r' id="([^"]+)"', drawn)
    for place, name in enumerate(names):
        drawn = re.sub(rf"(?<=[\"#]){re.escape(name)}(?=[\")])", f"@{place}@", drawn)
    digest = hashlib.sha1(drawn.encode(), usedforsecurity=False).hexdigest()[:8]
    return re.sub(r"@(\d+)@", rf"p{digest}-\1", drawn)


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

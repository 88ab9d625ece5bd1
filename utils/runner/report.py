"""One HTML page for an executed notebook that opens anywhere: nothing in it is fetched from a network."""

import html
import json
import string
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

PLOTLY = "application/vnd.plotly.v1+json"
STILL = ("image/svg+xml", "image/png")
UNQUOTED = "".join(set(string.printable) - set('%#"&<>'))
"""Characters that an address in quotation marks may have as they are: a picture takes less space than in base 64."""

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
_STYLE = """
body{margin:2rem auto;max-width:62rem;padding:0 1rem;color:#22303c;background:#fff;
  font:16px/1.55 Inter,Helvetica,Arial,sans-serif}
h1,h2,h3{line-height:1.25}h2{margin-top:2.2em;border-bottom:1px solid #e4e8ec;padding-bottom:.2em}
a{color:#0072b2}.anchor-link,.prompt{display:none}
pre{overflow-x:auto;margin:0;font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}
code{font-size:.92em}.input_area,.highlight{background:#f6f8fa}
.input_area{border-left:3px solid #c3ccd5;padding:.6em .8em;margin:1em 0 .4em}
.output_area{overflow-x:auto;margin:.4em 0}.output_area svg,.output_area img{max-width:100%;height:auto}
.output_stderr pre,.output_error pre{background:#fdf1f1;padding:.6em .8em}
table{border-collapse:collapse;font-size:.88em}td,th{padding:.25em .7em;border-bottom:1px solid #e4e8ec;text-align:left}
td[align=right],th[align=right]{text-align:right}
thead th{border-bottom:2px solid #9aa5af}
.failed{background:#fdf1f1;border-left:4px solid #a11d33;padding:.8em 1em}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title><style>{style}</style>{script}</head>
<body>{body}</body></html>
"""
_FIGURE = """<div id="{name}"></div><script>
(function(){{var f={figure};Plotly.newPlot("{name}",f.data,f.layout,{{responsive:true,displaylogo:false}});}})();
</script>"""


def build(content: NotebookNode, title: str, *, interactive: bool, failure: str = "") -> str:
    """Render an executed notebook.

    Args:
        content: the notebook with its outputs.
        title: title of the page.
        interactive: with figures to point at and zoom, and the 4.5 MB of plotly.js once; else with still images, and
            interactive ones only where an output holds no still image.
        failure: what went wrong, shown on top.

    Returns:
        A page whose own policy forbids the browser every request.
    """
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    shown, scripted = _with_figures(content, interactive=interactive)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(shown)
    banner = f'<p class="failed">{html.escape(failure)}</p>' if failure else ""
    colours = HtmlFormatter().get_style_defs(".highlight")
    return frame(title, banner + body, style=colours, script=_plotly_script() if scripted else "")


def frame(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Put a body into a page in the look of the reports, whose own policy forbids the browser every request.

    Args:
        title: title of the page, as text.
        body: what it shows, as HTML.
        style: further rules of its style sheet.
        script: elements with scripts.
    """
    policy = html.escape(_POLICY)
    return _PAGE.format(policy=policy, title=html.escape(title), style=_STYLE + style, script=script, body=body)


def live(content: NotebookNode) -> str:
    """The text of an executed notebook without the pictures of those figures that it holds alive."""
    copy = nbformat.from_dict(content)
    for data in _bundles(copy):
        if PLOTLY in data:
            for kind in STILL:
                data.pop(kind, None)
    text: str = nbformat.writes(copy)
    return text


def _with_figures(content: NotebookNode, *, interactive: bool) -> tuple[NotebookNode, bool]:
    """Turn each plotly output into HTML, and say whether any of them needs plotly.js."""
    copy = nbformat.from_dict(content)
    scripted = False
    for number, data in enumerate(_bundles(copy)):
        if PLOTLY not in data:
            continue
        figure, stills = data.pop(PLOTLY), {kind: data.pop(kind) for kind in STILL if kind in data}
        if interactive or not stills:
            scripted = True
            data["text/html"] = _FIGURE.format(name=f"figure-{number}", figure=_script_json(figure))
        else:
            data["text/html"] = _image(figure, *next(iter(stills.items())))
    return copy, scripted


def _image(figure: Mapping[str, Any], kind: str, content: str) -> str:
    title = (figure.get("layout") or {}).get("title")
    title = title.get("text") if isinstance(title, Mapping) else title  # other tools write it as plain text
    source = f",{quote(content, safe=UNQUOTED)}" if kind == STILL[0] else f";base64,{content.strip()}"
    return f'<img alt="{html.escape(str(title or "figure"))}" src="data:{kind}{source}">'


def _bundles(content: NotebookNode) -> list[Any]:
    outputs = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data for output in outputs if "data" in output]


def _script_json(figure: object) -> str:
    return json.dumps(figure, separators=(",", ":")).replace("<", "\\u003c")


def _plotly_script() -> str:
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"

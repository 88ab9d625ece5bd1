"""The house style: one template, one colour for each verdict everywhere, figures that also show without JavaScript.

Verdict colours differ in lightness as much as in hue, so that they can be told apart in greyscale and by
colour-blind readers (qualitative colours after Okabe and Ito, "Color Universal Design", 2008).
"""

from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
from plotly.io.base_renderers import PlotlyRenderer

from utils.plots import static, tables

NORMAL = "#8FBBDA"
ANOMALY = "#A11D33"
UNCLASSIFIED = "#94999E"
INK = "#22303C"
TRAIN = "#8796A5"
GRID = "#E4E8EC"
VERDICTS = {"normal": NORMAL, "anomaly": ANOMALY, "unclassified": UNCLASSIFIED}
QUALITATIVE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A6C00", "#555555")
SEQUENTIAL = ((0.0, "#F4F7FA"), (0.35, "#A9C6DE"), (0.7, "#3F78A8"), (1.0, "#10304F"))
DIVERGING = ((0.0, "#10507F"), (0.5, "#F7F7F7"), (1.0, "#8E1B2F"))
SEVERITY = {"high": "#A11D33", "medium": "#E69F00", "low": "#8FBBDA"}
WIDTH, HEIGHT = 900, 420

_AXIS = {"gridcolor": GRID, "linecolor": "#9AA5AF", "ticks": "", "zeroline": False}
_TEMPLATE = go.layout.Template(
    layout={
        "width": WIDTH,
        "height": HEIGHT,
        "font": {"family": static.FONT, "size": 13, "color": INK},
        "title": {"x": 0.0, "xref": "container", "pad": {"l": 16}, "font": {"size": 17}},
        "margin": {"l": 70, "r": 24, "t": 64, "b": 56},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": list(QUALITATIVE),
        "xaxis": _AXIS | {"automargin": True},
        "yaxis": _AXIS | {"automargin": True},
        "legend": {"orientation": "h", "x": 1.0, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        "bargap": 0.18,
        "hoverlabel": {"font": {"size": 12}},
    }
)


class _InteractiveAndStill(PlotlyRenderer):  # type: ignore[misc]
    """Show a figure interactively where JavaScript runs and as an SVG everywhere else."""

    def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, Any]:
        bundle: dict[str, Any] = super().to_mimebundle(fig_dict)
        drawn = static.svg(go.Figure(fig_dict))
        return bundle if drawn is None else bundle | {"image/svg+xml": drawn}


def use_house_style() -> None:
    """Make the house template, renderer and table layout the default of this process."""
    pio.templates["anomaly-lab"] = _TEMPLATE
    pio.templates.default = "anomaly-lab"
    pio.renderers["anomaly-lab"] = _InteractiveAndStill()
    pio.renderers.default = "anomaly-lab"
    _show_tables()


def _show_tables() -> None:
    """Let notebooks show frames as :mod:`utils.plots.tables` writes them."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type(pl.DataFrame, tables.to_html)
        shell.display_formatter.formatters["text/plain"].for_type(
            pl.DataFrame, lambda frame, printer, _: printer.text(tables.to_text(frame))
        )


def new_figure(title: str, x: str = "", y: str = "", **layout: object) -> go.Figure:
    """Start an empty figure in the house style.

    Args:
        title: what the figure shows, as a statement or a question.
        x: title of the x axis, with its unit.
        y: title of the y axis, with its unit.
        **layout: further plotly layout settings.
    """
    figure = go.Figure(layout={"template": _TEMPLATE, "title": {"text": title}})
    return figure.update_layout(xaxis_title_text=x, yaxis_title_text=y, **layout)

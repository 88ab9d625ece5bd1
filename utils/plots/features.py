"""Figures of notebook 02: which features carry signal, which repeat each other, which give the answer away.

Every figure is made of aggregates (measures, counts, bins), never of rows of the data.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from utils.datasets import profile
from utils.datasets.contract import Roles
from utils.errors import SchemaError
from utils.features.selection import TOO_GOOD, VERDICTS, Selection, Stability
from utils.plots.style import ANOMALY, INK, NORMAL, TRAIN, UNCLASSIFIED, new_figure
from utils.plots.style import VERDICTS as CLASSES

MARKS: Mapping[str, tuple[str, str]] = {
    "keep": ("#2F6B9A", "circle"),
    "too good to be true": (ANOMALY, "x"),
    "correlated": (NORMAL, "circle-open"),
    "no signal": (UNCLASSIFIED, "diamond-open"),
    "mostly missing": ("#C9CDD1", "square-open"),
    "constant": ("#C9CDD1", "line-ns-open"),
}
"""Colour and symbol of each verdict: the symbol says it without the colour."""

NO_LABELS = "No data set has labels, so none can be told"
LONGEST_NAME = 34
ROW = 19
"""Height of one feature in a figure, in pixels."""


def signal_map(selections: Mapping[str, Selection], *, most: int = 40) -> go.Figure:
    """How well each feature alone tells the classes apart, with its interval, marked by what becomes of it.

    Args:
        selections: choice of features by name of the data set; those without labels are left out.
        most: most features of one data set, the strongest first.
    """
    title = "Which features carry signal, and which give the answer away?"
    shown = _strongest(selections, "auc", most)
    if not shown:
        return _said(f"{title} {NO_LABELS}")
    figure = _panels(title, shown, "area under the ROC curve of the feature alone, with its 95 % interval")
    for place, table in enumerate(shown.values(), start=1):
        _add_signal(figure, table, place)
    return figure


def most_informative(selections: Mapping[str, Selection], *, most: int = 12) -> go.Figure:
    """The features that alone tell most about the label, by mutual information.

    Args:
        selections: choice of features by name of the data set; those without labels are left out.
        most: features of each data set.
    """
    title = "Which features say most about the label?"
    shown = _strongest(selections, "information", most)
    if not shown:
        return _said(f"{title} {NO_LABELS}")
    figure = _panels(title, shown, "mutual information (bits), and its share of the label's entropy")
    for place, table in enumerate(shown.values(), start=1):
        for verdict in VERDICTS:
            _add_information(figure, table.filter(verdict=verdict), verdict, place)
        figure.update_xaxes(rangemode="tozero", row=place, col=1)
    return figure


def stability_bars(measured: Stability, name: str, *, most: int = 20) -> go.Figure:
    """How often each feature is among the chosen when the rows are drawn again, with its interval.

    Args:
        measured: the choices on resamples.
        name: the data set.
        most: most features shown, those chosen most often first.
    """
    table = measured.table.head(most)
    table = table.with_columns(_shown(table))
    title = f"{name}: would other rows have chosen the same {measured.top} features?"
    note = f"stability {measured.index:.2f} ({measured.low:.2f} to {measured.high:.2f}): {measured.verdict}"
    figure = new_figure(
        f"{title}<br><sub>{note}</sub>",
        f"chosen in so many of {measured.resamples} resamples (%)",
        height=_height(table.height),
    )
    for chosen, colour, words in ((True, TRAIN, "chosen on all rows"), (False, "white", "not chosen on all rows")):
        part = table.filter(chosen=chosen)
        if part.height:
            figure.add_bar(
                y=part["shown"].to_list(),
                x=_compact(100 * part["frequency"]),
                error_x=_reach(100 * part["frequency"], 100 * part["low"], 100 * part["high"]),
                name=words,
                orientation="h",
                marker={"color": colour, "line": {"color": TRAIN, "width": 1}},
                customdata=_compact(part["mean_rank"]),
                hovertemplate="%{y}<br>%{x:.0f} %, mean rank %{customdata:.1f}<extra></extra>",
            )
    figure.update_layout(margin_t=96).update_xaxes(range=[0, 102])
    return figure.update_yaxes(**_rows_named(table["shown"]), showgrid=False)


def correlation_groups(choice: Selection, name: str, *, limit: float = 0.95, most: int = 40) -> go.Figure:
    """Which features are left out because another says the same, and which one that is.

    Args:
        choice: the choice of features.
        name: the data set.
        limit: absolute correlation from which two features say the same.
        most: most features shown, those in the largest groups first.
    """
    groups = choice.table.filter(pl.col("group").is_not_null()).with_columns(size=pl.len().over("group"))
    inside = pl.col("feature") != pl.col("representative")
    table = groups.filter(inside).sort("size", "group", "correlation", descending=[True, False, True]).head(most)
    if table.is_empty():
        return _said(f"{name}: no two features correlate at {limit:g} or above, so none is left out for another")
    figure = new_figure(
        f"{name}: which features say the same?<br><sub>the one before the arrow stays and stands for the other</sub>",
        "absolute correlation with the feature that stays",
        height=_height(table.height),
    )
    pairs = table.select("representative", "feature").iter_rows()
    labels = _short((f"{_cut(one)}  ←  {_cut(other)}" for one, other in pairs), 3 * LONGEST_NAME)
    shades = [(INK, NORMAL)[place % 2] for place in table["group"].rank("dense").to_list()]
    strength = table["correlation"].abs()
    figure.add_scatter(
        x=_compact(strength),
        y=labels,
        mode="markers",
        marker={"color": shades, "size": 10, "symbol": _signs(table["correlation"])},
        hovertemplate="%{y}<br>%{x:.3f}<extra></extra>",
    )
    low = min(limit, float(strength.min()))  # type: ignore[arg-type]
    figure.update_xaxes(range=[low - 0.05 * (1 - low) - 0.002, 1.002])
    figure.add_vline(x=limit, line={"color": UNCLASSIFIED, "dash": "dot"})
    return figure.update_yaxes(**_rows_named(labels))


def log_effect(frame: pl.DataFrame, roles: Roles, column: str, *, unit: float = 1.0, bins: int = 40) -> go.Figure:
    """One heavy-tailed feature before and after the logarithm, by class.

    Args:
        frame: training rows.
        roles: what the columns mean.
        column: column of numbers; values that are not finite are left out.
        unit: magnitudes are divided by it before the logarithm, as :class:`utils.features.flows.FlowFeatures` reports.
        bins: number of bins.

    Raises:
        SchemaError: if the column is missing or holds no finite numbers.
    """
    values, classes = _finite(frame, roles, column)
    after = np.copysign(np.log1p(np.abs(values) / unit), values)
    divisor = "" if unit == 1 else f" / {unit:.3g}"
    figure = make_subplots(
        1,
        2,
        horizontal_spacing=0.1,
        subplot_titles=(
            f"as it is, skewness {_skewness(values):.1f}",
            f"after the logarithm, skewness {_skewness(after):.1f}",
        ),
    )
    for place, (shown, title) in enumerate(((values, column), (after, f"log(1 + {column}{divisor})")), start=1):
        _add_classes(figure, shown, classes, bins, place)
        figure.update_xaxes(title_text=title, row=1, col=place)
        figure.update_yaxes(title_text="% of class (logarithmic)" if place == 1 else "% of class", row=1, col=place)
    figure.update_yaxes(type="log", row=1, col=1)
    return _dressed(figure, f"What the logarithm does to {column}").update_layout(legend_y=1.1)


def _strongest(selections: Mapping[str, Selection], measure: str, most: int) -> dict[str, pl.DataFrame]:
    """The features with the highest measure by data set, with names that fit beside a figure as ``shown``."""
    tables = {
        name: choice.table.drop_nulls(measure).sort(measure, descending=True, maintain_order=True).head(most)
        for name, choice in selections.items()
    }
    return {name: table.with_columns(_shown(table)) for name, table in tables.items() if table.height}


def _panels(title: str, shown: Mapping[str, pl.DataFrame], measure: str) -> go.Figure:
    """One panel below the other, each as high as it has features, with one legend of verdicts."""
    heights = [table.height + 2 for table in shown.values()]
    total = 110 + ROW * sum(heights) + 70 * len(heights)
    space = min(0.9 / len(shown), 58 / total)
    figure = make_subplots(len(shown), 1, subplot_titles=list(shown), row_heights=heights, vertical_spacing=space)
    for place, table in enumerate(shown.values(), start=1):
        figure.update_yaxes(**_rows_named(table["shown"]), tickfont_size=11, dtick=1, row=place, col=1)
    figure.update_xaxes(title_text=measure, row=len(shown))
    _add_legend(figure, set().union(*(table["verdict"] for table in shown.values())))
    return _dressed(figure, title).update_layout(height=total, legend_y=1 + 24 / (total - 166))


def _add_signal(figure: go.Figure, table: pl.DataFrame, place: int) -> None:
    for verdict in VERDICTS:
        part = table.filter(verdict=verdict)
        if part.height:
            colour, symbol = MARKS[verdict]
            figure.add_scatter(
                x=_compact(part["auc"]),
                y=part["shown"].to_list(),
                error_x=_reach(part["auc"], part["auc_low"], part["auc_high"]) | {"color": colour},
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                name=verdict,
                showlegend=False,
                hovertemplate="%{y}<br>AUC %{x:.3f}<extra>" + verdict + "</extra>",
                row=place,
                col=1,
            )
    low = min(0.5, float(table["auc"].min()))  # type: ignore[arg-type]
    figure.update_xaxes(range=[low - 0.02, 1.01], row=place, col=1)
    figure.add_vline(x=TOO_GOOD, line={"color": ANOMALY, "dash": "dot", "width": 1}, row=place, col=1)


def _add_information(figure: go.Figure, part: pl.DataFrame, verdict: str, place: int) -> None:
    if part.height:
        figure.add_bar(
            x=_compact(part["information"]),
            y=part["shown"].to_list(),
            orientation="h",
            marker_color=MARKS[verdict][0],
            name=verdict,
            showlegend=False,
            text=[f"{share:.0%}" for share in part["entropy_share"]],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}<br>%{x:.3f} bits, %{text} of the label's entropy<extra>" + verdict + "</extra>",
            row=place,
            col=1,
        )


def _add_legend(figure: go.Figure, verdicts: Collection[str]) -> None:
    """Entries of the legend, once for all panels."""
    for verdict in (verdict for verdict in VERDICTS if verdict in verdicts):
        colour, symbol = MARKS[verdict]
        marker = {"color": colour, "symbol": symbol, "size": 9}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=verdict, marker=marker)


def _shown(table: pl.DataFrame) -> pl.Series:
    return pl.Series("shown", _short(table["feature"]), dtype=pl.String)


def _rows_named(names: Sequence[str] | pl.Series) -> dict[str, object]:
    """An axis with these names from top to bottom, whatever they look like."""
    return {"type": "category", "categoryorder": "array", "categoryarray": list(names)[::-1]}


def _finite(frame: pl.DataFrame, roles: Roles, column: str) -> tuple[np.ndarray, np.ndarray]:
    if column not in frame.columns or not frame.schema[column].is_numeric():
        found = frame.schema.get(column, "no such column")
        raise SchemaError(f"column {column!r} must hold numbers, found {found}: name a column of numbers")
    values = frame[column].cast(pl.Float64).to_numpy()
    finite = np.isfinite(values)
    if not finite.any():
        raise SchemaError(f"column {column!r} must hold finite numbers, found none: name another column")
    return values[finite], profile.class_of(frame, roles).to_numpy()[finite]


def _skewness(values: np.ndarray) -> float:
    spread = float(values.std())
    return float(np.mean(((values - values.mean()) / spread) ** 3)) if spread > 0 else 0.0


def _add_classes(figure: go.Figure, values: np.ndarray, classes: np.ndarray, bins: int, place: int) -> None:
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    for verdict, colour in CLASSES.items():
        counts = np.histogram(values[classes == verdict], edges)[0]
        if counts.any():
            figure.add_scatter(
                x=_compact(edges),
                y=_compact(100 * np.append(counts, 0) / counts.sum()),
                name=verdict,
                legendgroup=verdict,
                showlegend=place == 1,
                mode="lines",
                line={"shape": "hv", "color": colour, "width": 1.8},
                fill="tozeroy",
                row=1,
                col=place,
            )


def _reach(middle: pl.Series, low: pl.Series, high: pl.Series) -> dict[str, object]:
    """Interval bars around the values."""
    up, down = (high - middle).clip(0), (middle - low).clip(0)
    return {
        "type": "data",
        "array": _compact(up),
        "arrayminus": _compact(down),
        "thickness": 1.2,
        "width": 3,
        "color": INK,
    }


def _signs(correlation: pl.Series) -> list[str]:
    return ["circle" if value >= 0 else "x" for value in correlation]


def _height(rows: int) -> int:
    return 170 + ROW * rows


def _cut(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _short(names: Iterable[str], longest: int = LONGEST_NAME) -> list[str]:
    """Names that fit beside a figure, still different from each other."""
    taken: dict[str, int] = {}
    shown = []
    for name in names:
        cut = _cut(name, longest)
        taken[cut] = taken.get(cut, 0) + 1
        shown.append(cut if taken[cut] == 1 else f"{cut} ({taken[cut]})")
    return shown


def _compact(values: pl.Series | np.ndarray | Sequence[float]) -> np.ndarray:
    """Numbers in the form that plotly writes in the fewest characters."""
    return np.asarray(values, dtype=np.float32)


def _dressed(figure: go.Figure, title: str) -> go.Figure:
    plain = new_figure(title)
    figure.update_layout(template=plain.layout.template, title=plain.layout.title, margin_t=110)
    return figure.update_annotations(font_size=12)


def _said(sentence: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    return new_figure(sentence).update_layout(height=90).update_xaxes(visible=False).update_yaxes(visible=False)

import base64
import dataclasses
import io
import itertools
import json
import os
import re
import subprocess
import sys

import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
import pytest

from tests.unit import small_data
from utils import plots
from utils.datasets.contract import Roles
from utils.plots import exploration, portrait, static, style, tables
from utils.plots.slim import slim

DATA = {
    "table": small_data.table(),
    "unlabelled": small_data.table(label=False),
    "sessions": small_data.sessions(),
    "graphs": small_data.call_graphs(),
    "texts": small_data.texts(),
    "hosts": small_data.host_traffic(),
}
MOST_POINTS = 3_000


def points(figure):
    return sum(len(trace.x) if trace.x is not None else 0 for trace in figure.data)


def titled(figure):
    return figure.layout.title.text


@pytest.mark.parametrize("name", DATA)
def test_portraits_are_titled_valid_and_hold_no_rows(name):
    figures = plots.portraits(DATA[name])
    assert figures
    for figure in figures.values():
        go.Figure(json.loads(figure.to_json()))
        assert titled(figure).startswith("tiny: ")
        assert 0 < points(figure) < MOST_POINTS


def test_the_pictures_follow_the_columns():
    titles = {name: {titled(figure) for figure in plots.portraits(data).values()} for name, data in DATA.items()}
    assert titles["table"] == {"tiny: kinds of flow", "tiny: when did it happen?"}
    assert titles["sessions"] == {"tiny: sessions by class"}
    assert titles["graphs"] == {"tiny: call graphs by class"}
    assert "tiny: what characters is payload made of?" in titles["texts"]
    assert titles["hosts"] == {"tiny: who talks to whom?"}


def test_names_of_portraits_are_good_for_a_file_whatever_the_columns_are_called():
    data = small_data.texts()
    odd = data["payloads"].rename({"payload": "../what? he/said"})
    roles = dataclasses.replace(data.roles["payloads"], features=("../what? he/said",))
    assert list(plots.portraits(small_data.dataset({"payloads": odd}, {"payloads": roles}))) == [
        "payloads_.._what_he_said_characters"
    ]


def test_an_empty_frame_has_no_portrait():
    empty = small_data.dataset({"flows": DATA["table"]["flows"].clear()}, DATA["table"].roles)
    assert plots.portraits(empty) == {}


def test_verdicts_have_one_colour_everywhere():
    figures = [
        plots.balance(DATA),
        plots.distributions(DATA["table"], "flows"),
        *plots.portraits(DATA["sessions"]).values(),
    ]
    for figure in figures:
        for trace in figure.data:
            if trace.name in style.VERDICTS:
                colour = trace.marker.color if trace.type == "bar" else trace.line.color
                assert colour == style.VERDICTS[trace.name]


def test_balance_shows_true_shares_and_leaves_unlabelled_frames_out():
    share = DATA["table"]["flows"]["is_anomaly"].mean()
    figure = plots.balance({"table": DATA["table"], "unlabelled": DATA["unlabelled"]})
    assert {place for trace in figure.data for place in trace.y} == {f"table: flows  {share:.1%}"}
    anomaly = next(trace for trace in figure.data if trace.name == "anomaly")
    assert anomaly.x[0] == pytest.approx(100 * DATA["table"]["flows"]["is_anomaly"].mean())


def test_sessions_are_weighted_by_their_count():
    weighted = portrait._weighted_sequences(DATA["sessions"], "sessions").sort("class", "count")
    assert weighted["count"].to_list() == [2, 2, 2]
    figure = exploration.session_profile(DATA["sessions"], weighted, "session")
    lengths = next(trace for trace in figure.data if trace.type == "scatter" and trace.name == "normal")
    assert dict(zip(lengths.x, lengths.y, strict=True)) == {2: 50.0, 3: 50.0}


def test_distributions_show_the_most_separating_features():
    figure = plots.distributions(DATA["table"], "flows", most=2)
    assert {note.text for note in figure.layout.annotations} == {"size", "rate"}


def test_correlation_map_is_symmetric():
    figure = plots.correlation_map(DATA["table"], "flows", rows=200, seed=0)
    heat = figure.data[0]
    assert list(heat.x) == list(heat.y)
    assert sorted(heat.x) == ["noise", "rate", "size"]


def test_a_correlation_map_without_two_varying_features_says_so():
    table = DATA["table"]["flows"].select("size").with_columns(other=pl.lit(1))
    data = small_data.dataset({"flows": table}, {"flows": Roles("flow", features=("size", "other"))})
    figure = plots.correlation_map(data, "flows", rows=200, seed=0)
    assert "fewer than two numeric features of flows vary" in figure.layout.title.text
    assert not figure.data
    assert figure.layout.xaxis.visible is False


def test_audit_map_shows_the_worst_severity_and_the_number():
    findings = pl.DataFrame(
        {"data set": ["a", "a", "b"], "code": ["A001", "A001", "A003"], "severity": ["low", "high", "medium"]}
    )
    heat = plots.audit_map(findings).data[0]
    assert [list(row) for row in heat.z] == [[3, 0], [0, 2]]
    assert heat.text[0][0] == 2


def test_verdict_colours_can_be_told_apart_in_greyscale():
    lightness = []
    for colour in style.VERDICTS.values():
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        lightness.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    lightness.sort()
    assert all(above - below > 15 for below, above in itertools.pairwise(lightness))


def test_a_shown_figure_is_interactive_and_still(monkeypatch):
    monkeypatch.setattr(static, "svg", lambda _: "<svg/>")
    plots.use_house_style()
    bundle = pio.renderers["anomaly-lab"].to_mimebundle(plots.balance(DATA).to_dict())
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/svg+xml"}


def test_without_a_browser_figures_stay_interactive(monkeypatch):
    monkeypatch.setattr(static, "available", lambda: False)
    plots.use_house_style()
    bundle = pio.renderers["anomaly-lab"].to_mimebundle(plots.balance(DATA).to_dict())
    assert set(bundle) == {"application/vnd.plotly.v1+json"}


@pytest.mark.parametrize("browser", [os.devnull, "/bin/false"])
def test_a_browser_that_cannot_start_is_no_browser(browser):
    """Kaleido's thread dies then, and whoever waited for its answer would wait for ever."""
    asked = "from utils.plots import static; print(static.available(), static.available())"
    environment = {**os.environ, "BROWSER_PATH": browser}
    told = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, timeout=120)
    assert told.stdout == "False False\n"
    assert "Traceback" not in told.stderr


@pytest.mark.browser
def test_a_figure_is_drawn_as_svg():
    if not static.available():
        pytest.skip("no Chrome or Chromium on this machine: figures cannot be drawn")
    drawn = plots.svg(plots.balance(DATA))
    assert drawn.startswith("<svg")
    assert "How rare are anomalies?" in drawn


def test_a_kind_that_only_the_test_part_holds_is_marked():
    frame = pl.DataFrame(
        {"anomaly_type": ["normal", "old", "normal", "new"], "split": ["train", "train", "test", "test"]}
    )
    data = small_data.dataset({"rows": frame}, {"rows": Roles(unit="row", anomaly_type="anomaly_type", split="split")})
    figure = exploration.composition(data, "rows")
    assert {kind for trace in figure.data for kind in trace.y} == {"normal", "old", "new (test only)"}
    assert {trace.name for trace in figure.data} == {"train", "test"}


def test_slim_pictures_keep_every_text_and_shape_that_shows():
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="main-svg" style="">'
        '<g class="empty"><g/></g><path class="xlines-below"/>'
        '<rect x="1.23456" style="fill: rgb(255, 0, 16); fill-opacity: 1; stroke-width: 0px;"/>'
        '<text style="font-family: Inter; font-size: 13px; opacity: 0.5;">How rare?</text></svg>'
    )
    slimmed = slim(drawn, "Inter")
    assert "How rare?" in slimmed
    assert 'x="1.2"' in slimmed
    assert "fill:#ff0010;stroke-width:0px" in slimmed
    assert "font-size:13px;opacity:0.5" in slimmed
    assert "class" not in slimmed
    assert "<g" not in slimmed
    assert "<path" not in slimmed


def test_equal_pictures_are_equal_texts_whatever_plotly_calls_their_parts():
    page = (
        '<svg xmlns="http://www.w3.org/2000/svg"><clipPath id="clip{0}x"><rect/></clipPath>'
        '<g clip-path="url(#clip{0}x)"><rect/></g></svg>'
    )
    first, second = (slim(page.format(name), "Inter") for name in ("4a6f52", "b02f6d"))
    assert first == second
    (name,) = re.findall(r'id="([^"]+)"', first)
    assert f"url(#{name})" in first
    other = slim(page.format("4a6f52").replace("<rect/></g>", '<rect x="1"/></g>'), "Inter")
    assert name not in other


def test_tables_show_shares_numbers_and_gaps_as_people_write_them():
    frame = pl.DataFrame(
        {"name": ["a<b", None], "rows": [12_345, None], "anomaly share": [0.1234, None], "auc": [0.98765, None]}
    )
    page = tables.to_html(frame)
    for shown in ("a&lt;b", "12,345", "12.3 %", "0.988"):
        assert f">{shown}</td>" in page
    assert page.count("></td>") == 4
    assert tables.to_text(frame) == "table of 2 rows: name, rows, anomaly share, auc"


def test_long_tables_say_what_they_leave_out():
    page = tables.to_html(pl.DataFrame({"n": range(1_000)}))
    assert page.count("<tr ") == 1 + tables.MOST_ROWS
    assert "1,000 rows, the first 200 shown." in page


def test_the_import_is_light():
    heavy = "{'scipy', 'sklearn', 'mlflow', 'tensorflow', 'numba'}"
    asked = f"import sys, utils.plots; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_pictures_inside_drawings_are_packed_and_keep_every_pixel():
    image = pytest.importorskip("PIL.Image")
    picture = image.radial_gradient("L").convert("RGBA")
    drawn = io.BytesIO()
    picture.save(drawn, "PNG", compress_level=1)
    link = f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}"
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    slimmed = slim(f'<svg {names}><image width="9" height="9" xlink:href="{link}"/></svg>', "Inter")
    packed = base64.b64decode(re.search('base64,([^"]+)', slimmed)[1])
    assert len(packed) < len(drawn.getvalue())
    assert image.open(io.BytesIO(packed)).tobytes() == picture.tobytes()


def test_colours_of_a_scale_are_found_under_their_new_name():
    names = 'xmlns="http://www.w3.org/2000/svg"'
    drawn = (
        f'<svg {names}><defs><linearGradient id="gab-1"><stop offset="0%"/></linearGradient></defs>'
        '<rect width="9" height="9" style="fill: url(\'#gab-1\');"/></svg>'
    )
    slimmed = slim(drawn, "Inter")
    assert re.findall(r"url\('#([^']+)'\)", slimmed) == re.findall(r'id="([^"]+)"', slimmed)
    assert "gab-1" not in slimmed

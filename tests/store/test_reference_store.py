"""The runs that come with a clone: they open, they are complete, and nothing in them belongs to one machine."""

import contextlib
import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from utils import leaderboard
from utils.leaderboard import reading, readme
from utils.tracking import store

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SCHEME = "mlflow-artifacts:/"
MACHINE = re.compile(rb"(?:/home/|/root/|/work/|/tmp/|/Users/|[A-Z]:\\\\Users)")
LARGEST = 3_000_000


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout


def committed(*places):
    """Paths that git keeps; none where this is no clone."""
    if not (ROOT / ".git").exists():
        return []
    return [ROOT / line for line in git("-c", "core.quotePath=off", "ls-files", *places).decode().splitlines()]


pytestmark = pytest.mark.skipif(not committed("mlflow.db"), reason="no reference store is committed yet: no mlflow.db")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The committed store, without the runs that were recorded on this machine since."""
    copy = tmp_path_factory.mktemp("reference") / "mlflow.db"
    copy.write_bytes(git("show", "HEAD:mlflow.db"))
    return copy


@pytest.fixture(scope="module")
def query(database):
    """A function that asks the committed store."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        yield lambda question: connection.execute(question).fetchall()


@pytest.fixture(scope="module")
def artifacts():
    """The committed artefacts by their addresses."""
    folder = ROOT / "mlartifacts"
    return {f"{SCHEME}{path.relative_to(folder).as_posix()}": path for path in committed("mlartifacts")}


def test_it_is_a_store_of_the_installed_mlflow_version(database):
    store.check_file(database)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "storage_location"),
    ],
)
def test_every_location_moves_with_the_store(query, table, column):
    places = [place for (place,) in query(f"SELECT {column} FROM {table}") if place]
    assert [place for place in places if not place.startswith(SCHEME)] == []


def test_every_run_has_finished(query):
    assert query("SELECT name, status FROM runs WHERE status <> 'FINISHED' AND lifecycle_stage = 'active'") == []


def test_every_run_says_what_it_was_made_from(query):
    needed = {"notebook", "stage", "git.commit", "seed", "budget"}
    for run_id, name in query("SELECT run_uuid, name FROM runs"):
        tags = {key for (key,) in query(f"SELECT key FROM tags WHERE run_uuid = '{run_id}'")}
        assert needed <= tags, f"run {name} lacks {needed - tags}"


def test_every_notebook_has_recorded_results(query, artifacts):
    notebooks = {value for (value,) in query("SELECT DISTINCT value FROM tags WHERE key = 'notebook'")}
    runs = query("SELECT t.value, r.artifact_uri FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'notebook'")
    recorded = {}
    for notebook, uri in runs:
        if file := artifacts.get(f"{uri}/results.json"):
            recorded.setdefault(notebook, {}).update(json.loads(file.read_text()))
    assert set(recorded) == notebooks
    assert all(isinstance(value, float) for results in recorded.values() for value in results.values())


def test_every_model_opens_from_its_files(query, artifacts):
    places = [place for (place,) in query("SELECT artifact_location FROM logged_models")]
    assert [place for place in places if f"{place}/MLmodel" not in artifacts] == []


def test_every_page_stands_beside_its_run_and_the_notebook_itself_only_once(query, artifacts):
    records = query(
        "SELECT r.name, r.artifact_uri FROM runs r JOIN experiments e USING (experiment_id) WHERE e.name = 'notebooks'"
    )
    assert records
    for name, uri in records:
        assert f"{uri}/{name}.html" in artifacts
        assert f"{uri}/{name}.ipynb" not in artifacts


def test_no_artefact_is_large_or_names_a_machine(artifacts):
    for address, file in artifacts.items():
        content = file.read_bytes()
        assert len(content) <= LARGEST, f"{address} has {len(content):,} bytes"
        assert not MACHINE.search(content), f"{address} names {MACHINE.search(content)[0].decode()}"


@pytest.fixture
def recorded(query, artifacts):
    """The results that a notebook recorded, by data set."""

    def read(notebook):
        runs = query(
            "SELECT e.name, r.artifact_uri FROM runs r JOIN experiments e USING (experiment_id) "
            "JOIN tags t USING (run_uuid) "
            f"WHERE t.key = 'notebook' AND t.value = '{notebook}' AND e.name <> 'notebooks'"
        )
        return {name: json.loads(artifacts[f"{uri}/results.json"].read_text()) for name, uri in runs}

    return read


def test_the_readme_shows_what_was_found_in_the_data(recorded):
    shown = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([\d,]+)[^|]* \| ([\d.]+) % \| (\d+) high, (\d+) open",
        README.read_text(),
        re.MULTILINE,
    )
    recorded = recorded("01_exploration")
    assert {name for name, *_ in shown} == set(recorded)
    for name, *numbers in shown:
        found = recorded[name]
        share = f"{100 * found['anomaly_share']:.1f}"
        assert numbers == [
            f"{found['rows']:,.0f}",
            share,
            f"{found['findings_high']:.0f}",
            f"{found['findings_high_open']:.0f}",
        ]


NUMBER = r"(1?\.\d{3})"
COLUMNS = ("one rule: F1", "no labels: best AUC", "with labels: F1", "host graphs")


def result_cells(column):
    """Cells of a column of the table of results by data set; those without a number are left out."""
    rows = [line.strip("|").split("|") for line in README.read_text().splitlines() if line.startswith("|")]
    head = next(row for row in rows if row[0].strip() == "data set")
    if column not in (names := [cell.strip() for cell in head]):
        pytest.skip(f"the table has no column {column!r}: no run gives it")
    place = names.index(column)
    named = {row[0].strip(" `"): row[place].strip() for row in rows if len(row) == len(head) and "`" in row[0]}
    return {name: cell for name, cell in named.items() if re.search(NUMBER, cell)}


def three_digits(*values):
    return [f"{value:.3f}".removeprefix("0") for value in values]


@pytest.fixture(scope="module")
def board(database):
    """The leaderboard of the committed store."""
    beside = database.parent / "mlartifacts"
    if not beside.exists():
        beside.symlink_to(ROOT / "mlartifacts")
    return leaderboard.build(reading.of_file(database))


def test_the_readme_shows_what_the_leaderboard_makes_of_the_store(board):
    assert readme.replaced(README.read_text(), board) == README.read_text(), "run: python -m utils.leaderboard readme"


def test_the_readme_shows_the_rules_to_beat(recorded):
    """One feature and one threshold with its interval; for logs the mean over draws and the worst of them."""
    found, cells = recorded("03_heuristic_baseline"), result_cells(COLUMNS[0])
    assert set(cells) == set(found)
    for name, cell in cells.items():
        if draws := re.match(rf"{NUMBER} over draws, worst {NUMBER}", cell):
            values = [found[name][f"BackOffNovelty_{kind}_f1"] for kind in ("mean", "worst")]
            assert list(draws.groups()) == three_digits(*values), name
        else:
            (table,) = (key.removesuffix("_rule_f1") for key in found[name] if key.endswith("_rule_f1"))
            numbers = re.match(rf"{NUMBER} \[{NUMBER}, {NUMBER}\]", cell).groups()
            values = [found[name][f"{table}_rule_f1{end}"] for end in ("", "_low", "_high")]
            assert list(numbers) == three_digits(*values), name


def test_the_readme_shows_what_is_found_without_labels(recorded):
    found = recorded("04_unsupervised_detectors")
    best = {
        name: max((value for key, value in results.items() if re.search(r"_[A-Z]\w+_roc_auc$", key)), default=None)
        for name, results in found.items()
    }
    cells = {name: cell for name, cell in result_cells(COLUMNS[1]).items() if not cell.startswith("F1")}
    assert set(cells) == {name for name, value in best.items() if value is not None}
    for name, cell in cells.items():
        assert re.match(NUMBER, cell).groups() == tuple(three_digits(best[name])), name


def test_the_readme_shows_what_champions_reach(recorded):
    found = recorded("07_classifier_tuning")
    cells = {name: cell for name, cell in result_cells(COLUMNS[2]).items() if "false alarms" in cell}
    assert set(cells) == {name for name, results in found.items() if any("best_F1_f1" in key for key in results)}
    for name, cell in cells.items():
        rules = {"kinds left out": "new_kinds", "look-alikes": "look-alikes"}
        rule = next((rule for words, rule in rules.items() if words in cell), "best_F1")
        table = next(key for key in found[name] if key.endswith(f"_{rule}_f1")).removesuffix(f"_{rule}_f1")
        value, alarms = re.match(rf"{NUMBER} \[[^]]*\], (\d+) false alarms", cell).groups()
        assert [value] == three_digits(found[name][f"{table}_{rule}_f1"]), name
        assert alarms == f"{found[name][f'{table}_{rule}_alarms']:.0f}", name
    (usual,) = re.findall(r"with the usual one the same\s+model reaches (\.\d\d)\)", README.read_text())
    assert usual == f"{found['nsl_kdd']['connections_best_F1_f1']:.2f}".removeprefix("0")


def test_the_readme_shows_what_sequences_give(recorded):
    found = {name: results for name, results in recorded("09_lstm_log_sequences").items() if results}
    unlabelled, labelled = (result_cells(column) for column in COLUMNS[1:3])
    for name, results in found.items():
        values = three_digits(*(results[f"sequences_draws/session vote/{kind}"] for kind in ("mean", "min")))
        assert re.search(rf"session vote; {NUMBER} over draws, worst {NUMBER}", unlabelled[name]).groups() == tuple(
            values
        )
        (best,) = three_digits(
            max(value for key, value in results.items() if "new count vectors/" in key and key.endswith("/f1"))
        )
        assert labelled[name].startswith(best)


def segments(notebook):
    """What an executed notebook shows: rows of tables, and clauses of texts, each with its numbers."""
    outputs = [
        "".join(output.get("data", {}).get(kind, ""))
        for cell in json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
        for kind in ("text/html", "text/markdown")
        if "plotly" not in str(output.get("data", {}).keys())
    ]
    parts = [part for output in outputs for part in re.split(r"<tr|;|\n", output)]
    return [(part, set(re.findall(r"\b[01]\.\d{3}\b", part))) for part in parts]


@pytest.mark.parametrize(
    ("column", "notebooks"),
    [
        (COLUMNS[0], ("03_heuristic_baseline",)),
        (COLUMNS[1], ("04_unsupervised_detectors", "09_lstm_log_sequences")),
        (COLUMNS[2], ("07_classifier_tuning", "09_lstm_log_sequences")),
        (COLUMNS[3], ("10_traffic_graphs",)),
    ],
)
def test_the_readme_shows_what_executed_notebooks_show(column, notebooks):
    shown = [segment for notebook in notebooks for segment in segments(notebook)]
    for name, cell in result_cells(column).items():
        for part in cell.split("; "):
            numbers = [f"{'' if number[0] == '1' else '0'}{number}" for number in re.findall(NUMBER, part)]
            if column == COLUMNS[1] and not part.startswith("F1") and "draws" not in part:
                assert any(numbers[0] in found and name in text for text, found in shown), (name, part)
            else:
                assert any(set(numbers) <= found for _, found in shown), (name, part)


def test_the_readme_shows_how_logs_are_judged(recorded):
    found = recorded("09_lstm_log_sequences")["hdfs"]
    (told,) = re.findall(r"^Logs are judged.*?hold\.$", README.read_text(), re.MULTILINE | re.DOTALL)
    keys = (
        "sequences/session vote/f1",
        "sequences/session vote/recall",
        "sequences_draws/session vote/mean",
        "sequences_draws/session vote/min",
        "sequences/next event LSTM/f1",
        "sequences/supervised/new count vectors/relations of counts/f1",
    )
    assert re.findall(r"1?\.\d{3}", told) == three_digits(*(found[key] for key in keys))

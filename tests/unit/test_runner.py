"""Running notebooks: which, with what parameters, in what order, and what is told and kept when one fails."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from urllib.parse import quote

import nbformat
import plotly.graph_objects as go
import pytest
from nbformat import v4

from tests.waiting import eventually
from utils import runner, tracking
from utils.errors import CatalogError, NotebookError, SettingsError
from utils.runner import Outcome, kernel, notebooks, report
from utils.runner import __main__ as command

PARAMETERS = """SOURCE = "auto"  # where the data come from
DATASETS = []  # names: empty for all
BUDGET = "fast"
SEED = 42
RATE = 0.5  # a share
LIMIT: int = 3"""
FIGURE = go.Figure(go.Bar(x=["a"], y=[1]), layout={"title": {"text": "How many of each"}}).to_plotly_json()


def notebook(*code, parameters=PARAMETERS):
    cells = [v4.new_markdown_cell("# Title"), v4.new_code_cell("import os, sys")]
    cells += [v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters else []
    return v4.new_notebook(cells=cells + [v4.new_code_cell(source) for source in code])


@pytest.fixture
def write(lab):
    """A function that puts a notebook into the laboratory and reads it as the runner does."""

    def _write(name, *code, **kinds):
        lab.notebooks_dir.mkdir(exist_ok=True)
        nbformat.write(notebook(*code, **kinds), lab.notebooks_dir / f"{name}.ipynb")
        return notebooks.select(lab.notebooks_dir, [name])[0]

    return _write


def execute(content, folder, **changes):
    given = {"environment": {}, "timeout": 60} | changes
    return kernel.execute(content, "01_a", folder, **given)


def text_of(content):
    return "".join(output.get("text", "") for cell in content.cells for output in cell.get("outputs", []))


# ---------------------------------------------------------------------------------------------------- which


@pytest.mark.parametrize(
    ("only", "start_from", "expected"),
    [
        ([], None, ["01_a", "02_b", "10_c"]),
        (["10", "1"], None, ["01_a", "10_c"]),
        (["02_b"], None, ["02_b"]),
        (["02_b.ipynb"], None, ["02_b"]),
        ([], "2", ["02_b", "10_c"]),
        (["01", "10"], "02_b", ["10_c"]),
    ],
)
def test_notebooks_are_chosen_by_number_or_name_and_ordered_by_number(lab, write, only, start_from, expected):
    for name in ("10_c", "02_b", "01_a"):
        write(name)
    (lab.notebooks_dir / "scratch.ipynb").write_text("not numbered")
    assert [found.name for found in notebooks.select(lab.notebooks_dir, only, start_from)] == expected


def test_a_notebook_that_does_not_exist_is_refused_with_those_that_do(lab, write):
    write("01_a")
    write("02_b")
    with pytest.raises(NotebookError, match="there is no notebook '03': there are 01_a, 02_b"):
        notebooks.select(lab.notebooks_dir, ["01", "03"])
    with pytest.raises(NotebookError, match="there is no notebook '7'"):
        notebooks.select(lab.notebooks_dir, [], "7")
    with pytest.raises(NotebookError, match="no notebook of 01 comes at or after 02"):
        notebooks.select(lab.notebooks_dir, ["01"], "02")


def test_a_folder_without_notebooks_is_one_sentence(lab):
    with pytest.raises(NotebookError, match="there is no numbered notebook"):
        notebooks.select(lab.notebooks_dir)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}'])
def test_a_damaged_notebook_is_one_sentence(lab, content):
    lab.notebooks_dir.mkdir()
    (lab.notebooks_dir / "01_a.ipynb").write_text(content)
    with pytest.raises(NotebookError, match=r"01_a\.ipynb is no readable notebook"):
        notebooks.select(lab.notebooks_dir)


# ---------------------------------------------------------------------------------------------------- parameters


def test_parameters_are_read_from_the_tagged_cell(write):
    assert write("01_a").parameters == {
        "SOURCE": "auto",
        "DATASETS": [],
        "BUDGET": "fast",
        "SEED": 42,
        "RATE": 0.5,
        "LIMIT": 3,
    }


def test_parameters_that_fit_are_accepted(write):
    given = {"SOURCE": "simulated", "DATASETS": ("api", "hdfs"), "RATE": 1, "LIMIT": 9}
    checked = notebooks.check(write("01_a"), given)
    assert checked == {"SOURCE": "simulated", "DATASETS": ["api", "hdfs"], "RATE": 1.0, "LIMIT": 9}
    assert isinstance(checked["RATE"], float)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"RAT": 1}, NotebookError, "01_a has no parameter 'RAT': its parameters are SOURCE, DATASETS, BUDGET, SEED"),
        ({"SEED": "7"}, NotebookError, "SEED of 01_a must be of type int like 42, found '7'"),
        ({"SEED": True}, NotebookError, "SEED of 01_a must be of type int"),
        ({"DATASETS": "api"}, NotebookError, "DATASETS of 01_a must be of type list"),
        ({"DATASETS": [1]}, NotebookError, "DATASETS of 01_a must be of type list"),
        ({"SOURCE": "rael"}, SettingsError, "SOURCE of 01_a must be one of auto, real, simulated, found 'rael'"),
        ({"BUDGET": "huge"}, SettingsError, "budget must be one of fast, full, found 'huge'"),
        ({"DATASETS": ["hdfss"]}, CatalogError, "there is no data set 'hdfss'"),
    ],
)
def test_parameters_that_do_not_exist_are_refused(write, given, error, message):
    with pytest.raises(error, match=message):
        notebooks.check(write("01_a"), given)


def test_a_notebook_without_parameters_says_so(write):
    with pytest.raises(NotebookError, match="has no parameter 'SEED': its parameters are none"):
        notebooks.check(write("01_a", parameters=""), {"SEED": 1})


def test_computed_parameters_are_refused(write):
    with pytest.raises(NotebookError, match=r"the parameters cell of 01_a\.ipynb must hold plain assignments"):
        write("01_a", parameters="SEED = 6 * 7 + x")


def test_nothing_runs_if_one_notebook_refuses_a_parameter(lab, write):
    write("01_a", "open('ran', 'w')")
    write("02_b", parameters="SEED = 1")
    with pytest.raises(NotebookError, match="02_b has no parameter 'BUDGET'"):
        runner.run(parameters={"BUDGET": "full"})
    assert not (lab.notebooks_dir / "ran").exists()


def test_parameters_are_injected_behind_the_cell_that_declares_them(write):
    given = write("01_a", "print(SEED)")
    once = notebooks.inject(given, {"SEED": 7})
    twice = notebooks.inject(notebooks.Notebook(given.path, 1, once, given.parameters), {"SEED": 8})

    assert once.cells[3].source == "# Set by the runner.\nSEED = 7"
    assert once.cells[3].metadata.tags == ["injected-parameters"]
    assert [cell.source for cell in twice.cells[3:]] == ["# Set by the runner.\nSEED = 8", "print(SEED)"]
    assert len(given.content.cells) == 4


def test_parameters_written_in_place_keep_everything_else(write):
    changed = notebooks.rewrite(write("01_a"), {"SOURCE": "real", "DATASETS": ["api"], "LIMIT": 9})
    assert changed.cells[2].source == PARAMETERS.replace('"auto"', '"real"').replace("[]", '["api"]').replace(
        "int = 3", "int = 9"
    )


def test_parameters_over_several_lines_are_replaced_as_a_whole(write):
    source = 'DATASETS = [\n    "ä",  # one\n    "b",\n]  # end\nSEED = 1'
    changed = notebooks.rewrite(write("01_a", parameters=source), {"DATASETS": ["api"]})
    assert changed.cells[2].source == 'DATASETS = ["api"]  # end\nSEED = 1'


# ---------------------------------------------------------------------------------------------------- execution


def test_a_notebook_runs_in_this_python_with_quiet_libraries_and_no_home(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", "/proc/no/home")
    foreign = tmp_path / "share/jupyter/kernels/python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    content = notebook(
        "print(sys.executable)\nprint(os.getcwd())\nprint(os.environ['TF_CPP_MIN_LOG_LEVEL'], os.environ['MINE'])", ""
    )
    seen = []

    failure = execute(
        content,
        tmp_path,
        environment={"MINE": "here"},
        progress=lambda done, total, seconds: seen.append((done, total)),
    )

    assert failure is None
    assert text_of(content).splitlines() == [sys.executable, str(tmp_path), "3 here"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [cell.execution_count for cell in content.cells if cell.get("source") and cell.cell_type == "code"] == [
        1,
        2,
        3,
    ]
    assert capfd.readouterr() == ("", "")


def test_a_failing_cell_is_shown_with_its_place_and_traceback(tmp_path):
    content = notebook("a = 1\nb = 2\nc = a / (b - 2)\nd = 4", "never = 1")
    failure = execute(content, tmp_path)

    assert failure.summary == "01_a, cell 4 of 5: ZeroDivisionError: division by zero"
    assert "    2 | b = 2\n>   3 | c = a / (b - 2)\n    4 | d = 4" in failure.details
    assert "ZeroDivisionError: division by zero" in failure.details
    assert "\x1b" not in failure.details
    assert sys.prefix not in failure.details
    assert content.cells[3].outputs[0].ename == "ZeroDivisionError"
    assert content.cells[4].execution_count is None


def test_an_error_of_the_laboratory_shows_its_sentence_first(tmp_path):
    content = notebook("from utils.errors import DataError\nraise DataError('hdfs: file x is short: fetch it again')")
    failure = execute(content, tmp_path)
    assert failure.summary == "hdfs: file x is short: fetch it again (01_a, cell 4 of 4)"


def test_a_cell_that_takes_too_long_is_ended(tmp_path):
    content = notebook("print('first', flush=True)\nimport time\ntime.sleep(600)")
    failure = execute(content, tmp_path, timeout=2)
    assert failure.summary == "01_a, cell 4 of 4: a cell took more than 2 s: raise --timeout or mend it"
    assert "time.sleep(600)" in failure.details
    assert text_of(content) == "first\n"


def test_a_kernel_that_dies_is_one_sentence(tmp_path):
    failure = execute(notebook("os._exit(3)"), tmp_path)
    assert failure.summary.startswith("01_a, cell 4 of 4: the kernel died")


def test_a_notebook_cannot_run_notebooks_and_says_so(tmp_path):
    async def inside():
        execute(notebook("1"), tmp_path)

    with pytest.raises(NotebookError, match="found a running event loop such as that of a notebook: call make run"):
        asyncio.run(inside())


def test_a_deep_temporary_folder_is_no_obstacle(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(kernel.tempfile, "tempdir", str(deep))
    content = notebook("import tempfile\nprint(len(tempfile.gettempdir()) < 54)")
    assert execute(content, tmp_path) is None
    assert text_of(content) == "True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_kernel(lab, write, number, tmp_path):
    write("01_a", "import time, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)")
    program = [sys.executable, "-m", "utils.runner"]
    running = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    pid = lab.notebooks_dir / "pid"
    eventually(lambda: pid.exists() and pid.read_text(), seconds=60)
    running.send_signal(number)

    assert running.communicate(timeout=60)[1] == "Interrupted: the kernel has been stopped.\n"
    assert running.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


# ---------------------------------------------------------------------------------------------------- from end to end


class Recorder:
    def __init__(self):
        self.seen = []

    def begin(self, notebook):
        self.seen.append(notebook.name)

    def cell(self, notebook, done, total, seconds):
        self.seen.append((done, total))

    def end(self, outcome):
        self.seen.append(outcome.status)


RECORDS = """from utils import tracking
with tracking.start("hdfs", "a", notebook="01_a", stage="test", seed=SEED, budget=BUDGET) as run:
    run.log_results({"seed": SEED})"""


def test_notebooks_run_in_order_and_stop_at_the_first_that_fails(lab, store, write):
    write("01_a", RECORDS)
    write("02_b", "print('partial')\nraise ValueError('broken')")
    write("03_c")
    recorder = Recorder()

    outcomes = runner.run(parameters={"SEED": 7}, watcher=recorder)

    assert [(outcome.notebook, outcome.status) for outcome in outcomes] == [
        ("01_a", "ok"),
        ("02_b", "failed"),
        ("03_c", "not run"),
    ]
    assert recorder.seen == [
        "01_a",
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
        "ok",
        "02_b",
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
        "failed",
    ]
    assert tracking.results("01_a") == {"seed": 7.0}
    assert str(outcomes[1].error) == "02_b, cell 5 of 5: ValueError: broken"
    partial = nbformat.read(lab.reports_dir / "02_b.ipynb", as_version=4)
    assert text_of(partial) == "partial\n"
    page = (lab.reports_dir / "02_b.html").read_text()
    assert "ValueError: broken" in page
    assert "partial" in page
    assert not list(lab.reports_dir.glob(".*"))

    client = tracking.open_store()
    recorded = {run.info.run_name: run for run in client.search_runs(["1", "2"])}
    assert {name: run.info.status for name, run in recorded.items()} == {
        "a": "FINISHED",
        "01_a": "FINISHED",
        "02_b": "FAILED",
    }
    link = recorded["a"].data.tags["mlflow.note.content"]
    assert f"/runs/{recorded['01_a'].info.run_id}/artifacts/01_a.html" in link
    assert recorded["01_a"].data.params["SEED"] == "7"


def test_a_notebook_executed_in_place_is_clean_and_shows_what_ran(lab, store, write):
    given = write("01_a", "print(SEED)")
    given.content.cells[1].metadata["execution"] = {"iopub.execute_input": "yesterday"}
    nbformat.write(given.content, given.path)
    (outcome,) = runner.run(parameters={"SEED": 7, "BUDGET": "fast"}, in_place=True)

    assert outcome.status == "ok"
    written = json.loads(given.path.read_text())
    code = [cell for cell in written["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3]
    assert "".join(code[1]["source"]) == PARAMETERS
    assert code[1]["outputs"][0]["text"] == ["Outputs below: SEED = 7\n"]
    assert code[2]["outputs"][0]["text"] == ["7\n"]
    assert "execution" not in code[0]["metadata"]
    assert written["metadata"] == {"kernelspec": notebooks.KERNELSPEC, "language_info": {"name": "python"}}


def test_a_notebook_that_fails_in_place_is_left_as_it_was(lab, store, write):
    given = write("01_a", "1 / 0")
    before = given.path.read_bytes()
    (outcome,) = runner.run(in_place=True)
    assert outcome.status == "failed"
    assert given.path.read_bytes() == before


def test_a_store_that_cannot_be_used_is_told_beside_the_reports(lab, write):
    write("01_a")
    lab.store_file.write_text("not a store")
    (outcome,) = runner.run()
    assert outcome.status == "failed"
    assert "01_a has run, but its record is missing" in str(outcome.error)
    assert outcome.report.exists()


def test_nothing_runs_where_reports_cannot_be_written(lab, write, monkeypatch):
    write("01_a")
    monkeypatch.setattr(runner, "_run_one", lambda *_: pytest.fail("it ran"))
    lab.reports_dir.write_text("a file where a folder must be")
    with pytest.raises(NotebookError, match="reports cannot be written"):
        runner.run()


def test_a_kernel_finds_relative_places_where_the_command_finds_them(lab, write, monkeypatch, tmp_path):
    write("01_a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", "mirror")
    given = {}

    def interrupted(*_, environment, **__):
        given.update(environment)
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert given["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/mine.db"
    assert given["ANOMALY_DATA_MIRROR"] == str(tmp_path / "mirror")
    assert not (tmp_path / "mine.db").exists()


def test_an_interrupted_notebook_leaves_no_open_run(lab, store, write, monkeypatch):
    write("01_a")
    left = []

    def killed(*_, environment, **__):
        monkeypatch.setenv("ANOMALY_SESSION", environment["ANOMALY_SESSION"])
        left.append(tracking.start("hdfs", "a", notebook="01_a", stage="test"))
        left.append(left[0].__enter__())
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "execute", killed)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    ended = tracking.open_store().get_run(left[1].id)
    assert (ended.info.status, ended.data.tags["error"]) == ("FAILED", "the notebook was interrupted")


def test_reports_that_cannot_be_written_are_one_sentence(lab):
    lab.reports_dir.write_text("a file where a folder must be")
    with pytest.raises(NotebookError, match=r"01_a\.html cannot be written"):
        notebooks.write_text("x", lab.reports_dir / "01_a.html")


# ---------------------------------------------------------------------------------------------------- the report


def page(*bundles, **how):
    content = notebook("figure")
    content.cells[-1].outputs = [v4.new_output("display_data", data=dict(bundle)) for bundle in bundles]
    return report.build(content, "01_a", **how)


SVG = '<svg xmlns="http://www.w3.org/2000/svg"><text>still</text></svg>'
STILL = {"image/svg+xml": SVG}
SHOWN = quote(SVG, safe=report.UNQUOTED)
LIVE = {report.PLOTLY: FIGURE}


def test_the_interactive_page_holds_plotly_once_and_every_figure():
    built = page(STILL | LIVE, LIVE, interactive=True)
    assert built.count('Plotly.newPlot("figure-') == 2
    assert 4_000_000 < len(built) < 6_000_000
    assert SHOWN not in built


def test_the_still_page_is_small():
    built = page(STILL | LIVE, interactive=False)
    assert SHOWN in built
    assert 'alt="How many of each"' in built
    assert "newPlot" not in built
    assert len(built) < 30_000


def test_the_live_copy_has_each_figure_once():
    content = notebook("figure")
    content.cells[-1].outputs = [v4.new_output("display_data", data=STILL | LIVE), v4.new_output("display_data", STILL)]
    copied = nbformat.reads(report.live(content), as_version=4)
    assert [sorted(output.data) for output in copied.cells[-1].outputs] == [[report.PLOTLY], ["image/svg+xml"]]
    assert "image/svg+xml" in content.cells[-1].outputs[0].data


def test_a_still_png_is_shown_too():
    built = page({"image/png": "aGk=\n"} | LIVE, interactive=False)
    assert '<img alt="How many of each" src="data:image/png;base64,aGk="/>' in built


@pytest.mark.parametrize("title", ["<b>words</b>", None, {"text": None}])
def test_a_figure_of_another_tool_may_say_its_title_otherwise(title):
    text = page(STILL | {report.PLOTLY: {"data": [], "layout": {"title": title}}}, interactive=False)
    assert ('alt="&lt;b&gt;words' if isinstance(title, str) else 'alt="figure"') in text


def test_a_value_that_python_cannot_make_is_a_text():
    assert command._assignment("WHERE={[]: 1}") == ("WHERE", "{[]: 1}")


def test_a_figure_without_a_still_image_stays_to_be_seen():
    assert page(LIVE, interactive=False).count('Plotly.newPlot("figure-') == 1


@pytest.mark.parametrize("interactive", [True, False])
def test_no_page_asks_a_network_for_anything(interactive):
    built = page(STILL | LIVE, LIVE, interactive=interactive)
    assert "default-src &#x27;none&#x27;" in built
    assert "<script src" not in built
    assert "<link" not in built


def test_text_in_a_figure_cannot_end_its_script():
    figure = go.Figure(layout={"title": {"text": "</script><b>"}}).to_plotly_json()
    assert "</script><b>" not in page({report.PLOTLY: figure}, interactive=True)


def test_a_failure_stands_on_top_as_text():
    built = page(interactive=False, failure="01_a, cell 2: <b>ValueError</b>")
    assert '<p class="failed">01_a, cell 2: &lt;b&gt;ValueError&lt;/b&gt;</p>' in built


# ---------------------------------------------------------------------------------------------------- the command


def test_the_command_sums_up_and_fails_with_its_notebooks(lab, write, monkeypatch, capsys):
    given = {}

    def fake(only, start_from, parameters, **rest):
        given.update(only=only, start_from=start_from, parameters=parameters, **rest)
        failed = Outcome("02_b", "failed", 3.25, lab.reports_dir / "02_b.html", NotebookError("broken"), "line 3")
        rest["watcher"].end(failed)
        return [Outcome("01_a", "ok", 1.5, lab.reports_dir / "01_a.html"), failed, Outcome("03_c", "not run")]

    monkeypatch.setattr(command, "run", fake)
    arguments = (
        "--only 01,02 --from 01 --budget full --datasets api,hdfs --seed 3 --set RATE=0.1 --set NAME=x --in-place"
    )
    code = command.main([*arguments.split(), "--timeout", "9"])

    assert code == 1
    assert given.pop("watcher")
    assert given == {
        "only": ["01", "02"],
        "start_from": "01",
        "parameters": {
            "SOURCE": "auto",
            "BUDGET": "full",
            "DATASETS": ["api", "hdfs"],
            "SEED": 3,
            "RATE": 0.1,
            "NAME": "x",
        },
        "timeout": 9.0,
        "in_place": True,
    }
    told = capsys.readouterr()
    assert told.err == "broken\nline 3\n"
    assert [line.split() for line in told.out.splitlines()] == [
        [],
        ["notebook", "status", "seconds", "report"],
        ["01_a", "ok", "1.5", "reports/01_a.html"],
        ["02_b", "failed", "3.2", "reports/02_b.html"],
        ["03_c", "not", "run", "0.0"],
    ]


def test_the_command_refuses_in_one_sentence(lab, write, capsys):
    write("01_a")
    assert command.main(["--only", "5"]) == 2
    assert command.main(["--set", "RATE"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "there is no notebook '5': there are 01_a",
        "--set needs NAME=VALUE, found 'RATE': correct it",
    ]


def test_progress_in_a_log_is_lines(write, capsys):
    lines = command._Lines()
    given = write("01_a")
    lines.begin(given)
    for done, seconds in [(1, 0.1), (2, 5.0), (3, 0.1)]:
        lines.cell(given, done, 3, seconds)
    lines.end(Outcome("01_a", "ok"))
    assert capsys.readouterr().out.splitlines() == [
        "01_a ...",
        "01_a  cell  2 of 3     5.0 s",
        "01_a  cell  3 of 3     0.1 s",
    ]


def test_progress_on_a_terminal_is_a_bar(write, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    bars = command._Bars()
    given = write("01_a")
    bars.begin(given)
    for done in (1, 2):
        bars.cell(given, done, 2, 0.1)
    bars.end(Outcome("01_a", "ok"))
    assert "01_a: 100%" in screen.getvalue()
    assert "2/2" in screen.getvalue()

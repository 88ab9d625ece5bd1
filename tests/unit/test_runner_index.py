"""The page that leads to every executed notebook: links, questions, status, results, and nothing from outside."""

import re

import nbformat
import pytest
from nbformat import v4

from tests.unit.test_leaderboard import RULE_RUN, run, snapshot
from utils import runner
from utils.errors import NotebookError
from utils.leaderboard import reading
from utils.runner import Outcome, index
from utils.runner import __main__ as command

OPENING = "# {title}\n\n**Question.** How far does\none <rule> get?\n\n**Answer in one line.** Far."
EXECUTED = [
    {"run": "n", "notebook": "01_a", "seconds": 61.0, "started": 9, "param_SOURCE": "auto", "param_BUDGET": "fast"},
    {"run": "m", "notebook": "02_b", "started": 9, "status": "FAILED", "error": "cell 3 <broken>"},
    {"run": "k", "notebook": "03_c", "started": 9, "status": "RUNNING"},
]


@pytest.fixture
def write(lab):
    """A function that puts a notebook into the laboratory."""
    lab.notebooks_dir.mkdir()

    def _write(name, *code, opening=OPENING):
        cells = [v4.new_markdown_cell(opening.format(title=name))] if opening else []
        cells += [v4.new_code_cell(source) for source in code]
        nbformat.write(v4.new_notebook(cells=cells), lab.notebooks_dir / f"{name}.ipynb")

    return _write


@pytest.fixture
def page(lab, write, monkeypatch):
    """A function that makes the page of a store in memory; of each notebook, the section."""
    for name in ("01_a", "02_b", "03_c", "04_d"):
        write(name, opening=OPENING if name != "04_d" else "")
    lab.reports_dir.mkdir()
    (lab.reports_dir / "01_a.html").write_text("page")

    def _page(*runs, outcomes=()):
        monkeypatch.setattr(reading, "read", lambda: snapshot(*runs, executed=EXECUTED))
        return index.build(lab.reports_dir, index.readable(lab.notebooks_dir), outcomes)

    return _page


def sections(text):
    return re.findall(r"<section>(.*?)</section>", text, re.DOTALL)


def test_each_notebook_has_its_question_status_time_and_results(page):
    first, second, third, fourth = sections(page(RULE_RUN | {"source": "simulated"}))
    assert '<a href="01_a.html">01_a</a>' in first
    assert "How far does one &lt;rule&gt; get?" in first
    assert "<b>ok</b> · 61 s · source: auto · budget: fast · 1970-01-01" in first
    assert "<b>net</b> (simulated): one rule: F1 0.700 [0.650, 0.750], bytes ≤ 28" in first
    assert "<b class=bad>failed</b>" in second
    assert '<p class="failed">cell 3 &lt;broken&gt;</p>' in second
    assert "href" not in second
    assert "<b class=bad>interrupted</b>" in third
    assert "04_d" in fourth
    assert "<b class=bad>not run</b>" in fourth


def test_simulated_data_are_named_on_top(page):
    simulated = RULE_RUN | {"source": "simulated"}
    assert "all results on this page come from simulators" in page(simulated)
    both = page(simulated, run("waf", "exploration", source="real"))
    assert "SIMULATED DATA: results about net come from simulators" in both
    assert "SIMULATED" not in page(RULE_RUN)


def test_how_this_run_ended_stands_before_what_the_store_says(page):
    failed = Outcome("01_a", "failed", 5.0, error=NotebookError("cell 2 of 3: division by zero"))
    outcomes = [failed, Outcome("02_b", "not run"), Outcome("03_c", "ok", 7.0)]
    first, second, third, _ = sections(page(RULE_RUN, outcomes=outcomes))
    assert "cell 2 of 3: division by zero" in first
    assert "<ul>" not in first
    assert "<b class=bad>not run</b></p>" in second
    assert "broken" not in second
    assert "<b>ok</b> · 7 s" in third
    assert "no page in this folder" in third


def test_nothing_is_fetched_and_the_look_is_that_of_reports(page):
    text = page(RULE_RUN)
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text)
    assert "<script" not in text
    assert "max-width:62rem" in text


def test_a_store_that_cannot_be_read_leaves_the_pages(lab, page):
    lab.store_file.write_text("no store")
    page()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read", lambda: reading.of_file(lab.store_file))
        text = index.build(lab.reports_dir, index.readable(lab.notebooks_dir))
    assert '<a href="01_a.html">' in text
    assert "<ul>" not in text


def test_a_damaged_notebook_is_left_out(lab, write):
    write("10_b")
    write("2_a")
    (lab.notebooks_dir / "03_x.ipynb").write_text("{")
    (lab.notebooks_dir / "scratch.ipynb").write_text("{")
    assert [notebook.name for notebook in index.readable(lab.notebooks_dir)] == ["2_a", "10_b"]


def test_every_run_writes_the_page_also_one_that_fails(lab, store, write, capsys):
    write("01_a", "print(1)")
    write("02_b", "1 / 0")
    assert command.main(["--only", "01", "--set", "X=1"]) == 2
    assert not (lab.reports_dir / index.NAME).exists()
    outcomes = runner.run()
    assert [outcome.status for outcome in outcomes] == ["ok", "failed"]
    first, second = sections((lab.reports_dir / index.NAME).read_text())
    assert '<a href="01_a.html">' in first
    assert '<a href="02_b.html">' in second
    assert "division by zero" in second


def test_an_interrupted_run_still_writes_the_page(lab, store, write, monkeypatch):
    write("01_a")
    write("02_b")
    ends = iter([Outcome("01_a", "ok", 1.0)])

    def interrupted(*_):
        if (end := next(ends, None)) is None:
            raise KeyboardInterrupt
        return end

    monkeypatch.setattr(runner, "_run_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert "<b>ok</b> · 1 s" in (lab.reports_dir / index.NAME).read_text()

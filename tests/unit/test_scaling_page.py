"""The page about scaling says what the results say, and its arithmetic is that of its words."""

import re
from dataclasses import replace

import pytest

from benchmarks import __main__ as command
from benchmarks import docs, plan, report
from benchmarks.registry import Bar, Point, Row

LINEAR = (Point(1_000, 0.001, 300.0), Point(10_000, 0.01, 400.0), Point(100_000, 0.1, 1_300.0))


def results():
    """Results in which each number is easy to follow."""

    def one(title, value, unit="s", points=(), bar=None):
        return Row(title, value, None, bar, f"{value:g} things", "x", None, "", unit, points)

    rows = {
        "log_parts": [one("lines", 0.1, points=LINEAR)],
        "growth_next_event": [one("scores", 0.1, points=LINEAR)],
        "serving_throughput": [one("a", 0.0004), one("b", 0.0005, bar=Bar("seconds", 1))],
        "next_event_training": [one("epoch", 2.0, bar=Bar("seconds", 1))],
        "storage": [
            one("bytes of a raw line", 140.0, "B"),
            one("bytes of a raw line, gzip", 14.0, "B"),
            one("bytes of a parsed line, Parquet", 5.0, "B"),
            one("bytes of a session, Parquet", 20.0, "B"),
        ],
        "distinct_sessions": [
            one("events of a session", 10.0, ""),
            one(
                "sequences of HDFS sessions",
                1_000.0,
                "distinct",
                tuple(Point(10**size, 10 ** (size / 2)) for size in (2, 4, 6)),
            ),
        ],
    }
    return [record for name, found in rows.items() for record in report.records(name, found, 1.0, 0.5)]


@pytest.fixture
def known():
    return plan.measured(results())


def test_the_plan_takes_cost_of_one_item(known):
    assert known.line == pytest.approx(1e-6)
    assert known.request == 0.0005
    assert known.epoch == 2.0
    assert known.distinct == pytest.approx((1.0, 0.5))


def test_the_arithmetic(known):
    found = {need.what: need.value for need in plan.needs(known, plan.Assumed())}
    assert found["events a day"] == 86.4e9
    assert found["raw text, in"] == pytest.approx(3e6 * 140 * 8 / 1e9)
    assert found["cores: lines to sessions"] == pytest.approx(3e6 * 1e-6 / 0.6)
    assert found["cores: scores of sessions"] == pytest.approx(3e5 * 1e-6 / 0.6)
    assert found["cores: single questions"] == pytest.approx(3e6 * 0.05 * 0.0005 / 0.6)
    assert found["machines"] == 6  # 5 + .5 + 125 cores of 32 each, and one to spare
    assert found["sessions a day"] == pytest.approx(8.64e9)
    assert found["distinct sessions after a day"] == pytest.approx(8.64e9**0.5)
    assert found["raw text kept, gzip"] == pytest.approx(1e6 * 14 * 86_400 * 30 / 1e12)
    assert found["lines and sessions kept, Parquet"] == pytest.approx((1e6 * 5 + 1e5 * 20) * 86_400 * 365 / 1e12)
    assert found["training, each time"] == pytest.approx(2.0 * 100 * 60 * 3 / 3600)
    assert found["cores, a month"] == pytest.approx(130.5 * 720 * 0.04)


def test_more_events_need_more_of_everything_that_grows_with_them(known):
    few, many = (plan.needs(known, replace(plan.Assumed(), events_a_second=rate)) for rate in (1e5, 1e7))
    same = {need.what for need, other in zip(few, many, strict=True) if need.value == other.value}
    assert same == {"training, each time", "drift counts of a replica"}
    assert all(need.value <= other.value for need, other in zip(few, many, strict=True))


def test_limits_rise_and_are_where_the_need_is_what_there_is(known):
    limits = plan.limits(known, plan.Assumed())
    events = [limit.events for limit in limits]
    assert events == sorted(events)
    machine = next(limit for limit in limits if limit.what.startswith("all cores"))
    at_the_limit = plan.needs(known, replace(plan.Assumed(), events_a_second=machine.events))
    assert next(need.value for need in at_the_limit if need.what == "cores: lines to sessions") == pytest.approx(32)
    memory = next(limit for limit in limits if "memory" in limit.what)
    at_the_limit = plan.needs(known, replace(plan.Assumed(), events_a_second=memory.events))
    assert next(need.value for need in at_the_limit if need.what == "their table") == pytest.approx(64)


def test_every_assumption_is_told():
    assert len(plan.assumptions(plan.Assumed())) == len(plan.MEANING)


@pytest.mark.parametrize("name", ["log_parts", "storage", "serving_throughput", "distinct_sessions"])
def test_what_was_not_measured_is_named(name):
    with pytest.raises(RuntimeError, match=f"needs results of '{name}'.*python -m benchmarks {name}"):
        plan.measured([record for record in results() if record["name"] != name])


def page():
    sections = (f"{docs.BEGIN.format(name)}\nold\n{docs.END}" for name in docs.SECTIONS)
    return "# Title\n\n" + "\n\nwords\n\n".join(sections) + "\n"


def test_the_page_is_written_between_its_markers():
    text = docs.written(results(), page())
    assert "old" not in text
    assert text.startswith("# Title\n\n<!-- measured: bars -->\n1 of 2 speed bars are met; missed: epoch.\n")
    assert text.count("words") == len(docs.SECTIONS) - 1
    assert docs.written(results(), text) == text
    (line,) = (line for line in text.splitlines() if line.startswith("| lines") and "0.1 things" in line)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells == ["lines", "0.1 things", "100 ms", "1 million", "1,300 MB", "1.00", "3.6 billion", "1.57 million"]


def test_growth_is_continued_at_least_in_proportion_and_memory_only_where_it_grows():
    flat = (Point(1_000, 1.0, 300.0), Point(10_000, 1.1, 301.0), Point(100_000, 1.2, 302.0))
    assert docs._stage(Row("x", 1.2, None, None, "", "", points=flat))[-2:] == ("300 million", "any size")
    unknown = tuple(replace(point, peak_mb=None) for point in flat)
    assert docs._stage(Row("x", 1.2, None, None, "", "", points=unknown))[-1] == ""
    square = tuple(Point(size, size**2 * 1e-6) for size in (1_000, 2_000, 6_000))
    assert docs._stage(Row("x", 36.0, None, None, "", "", points=square))[-2] == "60,000"


def test_a_page_without_its_markers_is_left_as_it_is(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("no markers")
    with pytest.raises(RuntimeError, match="must have one section"):
        docs.renew(results(), path)
    assert path.read_text() == "no markers"
    with pytest.raises(RuntimeError, match="results of growth"):
        docs.growth_by_size([])


def test_the_command_renews_the_page(tmp_path, monkeypatch, capsys):
    (tmp_path / "page.md").write_text(page())
    monkeypatch.setattr(docs.renew, "__defaults__", (tmp_path / "page.md",))
    report.write(results(), tmp_path)
    assert command.main(["docs", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.md")
    assert "1 of 2 speed bars" in (tmp_path / "page.md").read_text()


def test_the_page_of_the_repository_says_what_its_results_say():
    text = docs.PAGE.read_text(encoding="utf-8")
    assert docs.written(report.read(command.RESULTS), text) == text


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", docs.PAGE.read_text(encoding="utf-8"))
    assert [link for link in links if not (docs.PAGE.parent / link).exists()] == []

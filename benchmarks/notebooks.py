"""How long the notebooks of the reference runs took, as the store says: real data, full budget, wall seconds."""

from benchmarks.registry import Bar, Row, Scale, case

MOST_SECONDS = {
    "04_unsupervised_detectors": 900,
    "05_dbscan_labelling": 900,
    "06_classifier_selection": 900,
    "09_lstm_log_sequences": 600,
}
"""Claims for single notebooks."""

ALL_SECONDS = 3_600


@case("notebooks", "classifiers")
def reference_runs(scale: Scale) -> list[Row]:
    """Read from the store what the newest run of each notebook took."""
    from utils.leaderboard import executions, reading

    found = executions.newest(reading.read())
    taken = {name: run.seconds for name, run in found.items() if run.seconds and run.status == "finished"}
    kinds = ", ".join(sorted({f"{run.source} {run.budget}" for run in found.values()}))
    rows = [_row(f"notebook {name} (wall)", taken.get(name), most, kinds) for name, most in MOST_SECONDS.items()]
    whole = sum(taken.values()) if taken else None
    return [*rows, _row(f"all {len(taken)} notebooks (wall)", whole, ALL_SECONDS, kinds)]


def _row(title: str, seconds: float | None, most: float, kinds: str) -> Row:
    why = "" if seconds else "the store holds no finished run of it: make reference"
    return Row(title, seconds, None, Bar("seconds", most), kinds, "reference runs", problem=why)

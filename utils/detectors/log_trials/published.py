"""What others have published on sessions of HDFS, and how those numbers were found."""

import polars as pl

SESSIONS = (
    ("DeepLog (paper)", 0.96, "normal sessions", "as printed; top 9 after windows of ten events"),
    ("DeepLog (logdeep)", 0.9454, "normal sessions", "short sessions padded at the end, which flags them unseen"),
    ("LogAnomaly (logdeep)", 0.9757, "normal sessions", "as DeepLog of logdeep, counts beside the sequence"),
    ("RobustLog (logdeep)", 0.9397, "labels", "a labelled part of the sessions"),
    ("event and length (ait-aecid)", 0.904, "normal sessions", "no learning; the same split"),
    ("event, length, counts (ait-aecid)", 0.988, "normal sessions", "distance threshold read off the test sessions"),
    ("PCA (loglizer)", 0.769, "all sessions", "no held-out threshold"),
    ("invariants (loglizer)", 0.915, "normal sessions", "full set"),
    ("decision tree (loglizer)", 0.998, "labels", "random half; most test anomalies occur in training too"),
)
TRUNCATED = (
    ("next-event LSTM, top 3", 0.07, "normal sessions", "windows of HDFS_100k, the label of a block on each of them"),
    ("two-input LSTM", 0.00, "labels", "windows of HDFS_100k, the label of a block on each of them"),
)
SOURCES = {
    "paper": "Du et al., DeepLog, CCS 2017",
    "logdeep": "README of logdeep",
    "ait-aecid": "Landauer et al., FSE 2024",
    "loglizer": "README of loglizer; He et al., ISSRE 2016",
}
COLUMNS = ("detector", "f1", "learns from", "how it was found")


def whole_sessions() -> pl.DataFrame:
    """Published F1 on whole sessions of HDFS.

    Returns:
        ``detector``, ``f1``, ``learns from``, ``how it was found``, ``source``.
    """
    source = pl.col("detector").str.extract(r"\(([^)]*)\)").replace_strict(SOURCES).alias("source")
    return pl.DataFrame(SESSIONS, schema=COLUMNS, orient="row").with_columns(source)


def truncated_sessions() -> pl.DataFrame:
    """Published F1 on the truncated sessions of HDFS_100k.

    Returns:
        ``detector``, ``f1``, ``learns from``, ``how it was found``.
    """
    return pl.DataFrame(TRUNCATED, schema=COLUMNS, orient="row")

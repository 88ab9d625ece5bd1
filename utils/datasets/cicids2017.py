"""CICIDS2017: five days of traffic of a laboratory network as bidirectional flows, in the corrected edition.

Sources: Sharafaldin, Lashkari, Ghorbani, ICISSP 2018 (the traffic); Engelen, Rimmer, Joosen, WTMC 2021, and Liu,
Engelen, Lynar, Essam, Joosen, IEEE CNS 2022 (the corrected flows and labels). The files hold at most 5,000 flows of
each class, drawn by others: class shares are not those of the network, see :data:`NATURAL_COUNTS`.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from utils.datasets import schema
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Assembled, Defect, Kind, Roles

KIND: Kind = "table"
TRUTH = (
    "Each flow carries the name of the attack that was played when and where it was seen, or BENIGN, as re-derived for "
    "the corrected edition; attempts without effect are left out. An anomaly is any attack."
)

BENIGN = "BENIGN"
# Flows of each class in the whole corrected edition, without the attempted attacks.
NATURAL_COUNTS: Mapping[str, int] = {
    BENIGN: 1_582_566,
    "Portscan": 159_066,
    "DoS Hulk": 158_468,
    "DDoS": 95_144,
    "Infiltration - Portscan": 71_767,
    "DoS GoldenEye": 7_567,
    "FTP-Patator": 3_972,
    "DoS Slowloris": 3_859,
    "SSH-Patator": 2_961,
    "DoS Slowhttptest": 1_740,
    "Botnet": 736,
    "Web Attack - Brute Force": 73,
    "Infiltration": 36,
    "Web Attack - XSS": 18,
    "Web Attack - SQL Injection": 13,
    "Heartbleed": 11,
}
MOST_ROWS = 5_000
READS = tuple(
    sorted(f"{label.replace(' ', '_')}_{min(count, MOST_ROWS)}.csv" for label, count in NATURAL_COUNTS.items())
)

ID = "id"
TIME = "Timestamp"
CLASS = "Label"
ATTEMPTED = "Attempted Category"
DAY = "day"
VECTOR = "vector"
CONFLICTING = "conflicting_twin"
WEIGHT = "natural_weight"
IDENTITY = (ID, "Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port")
FLOW = ("Flow Bytes/s", "Flow Packets/s", "Flow IAT Mean", "Flow IAT Std", "Flow IAT Max", "Flow IAT Min")
# The columns of the files from Protocol on, without the time, in file order.
MEASURED = (
    "Protocol",
    "Flow Duration",
    "Total Fwd Packet",
    "Total Bwd packets",
    "Total Length of Fwd Packet",
    "Total Length of Bwd Packet",
    "Fwd Packet Length Max",
    "Fwd Packet Length Min",
    "Fwd Packet Length Mean",
    "Fwd Packet Length Std",
    "Bwd Packet Length Max",
    "Bwd Packet Length Min",
    "Bwd Packet Length Mean",
    "Bwd Packet Length Std",
    *FLOW,
    "Fwd IAT Total",
    "Fwd IAT Mean",
    "Fwd IAT Std",
    "Fwd IAT Max",
    "Fwd IAT Min",
    "Bwd IAT Total",
    "Bwd IAT Mean",
    "Bwd IAT Std",
    "Bwd IAT Max",
    "Bwd IAT Min",
    "Fwd PSH Flags",
    "Bwd PSH Flags",
    "Fwd URG Flags",
    "Bwd URG Flags",
    "Fwd RST Flags",
    "Bwd RST Flags",
    "Fwd Header Length",
    "Bwd Header Length",
    "Fwd Packets/s",
    "Bwd Packets/s",
    "Packet Length Min",
    "Packet Length Max",
    "Packet Length Mean",
    "Packet Length Std",
    "Packet Length Variance",
    "FIN Flag Count",
    "SYN Flag Count",
    "RST Flag Count",
    "PSH Flag Count",
    "ACK Flag Count",
    "URG Flag Count",
    "CWR Flag Count",
    "ECE Flag Count",
    "Down/Up Ratio",
    "Average Packet Size",
    "Fwd Segment Size Avg",
    "Bwd Segment Size Avg",
    "Fwd Bytes/Bulk Avg",
    "Fwd Packet/Bulk Avg",
    "Fwd Bulk Rate Avg",
    "Bwd Bytes/Bulk Avg",
    "Bwd Packet/Bulk Avg",
    "Bwd Bulk Rate Avg",
    "Subflow Fwd Packets",
    "Subflow Fwd Bytes",
    "Subflow Bwd Packets",
    "Subflow Bwd Bytes",
    "FWD Init Win Bytes",
    "Bwd Init Win Bytes",
    "Fwd Act Data Pkts",
    "Fwd Seg Size Min",
    "Active Mean",
    "Active Std",
    "Active Max",
    "Active Min",
    "Idle Mean",
    "Idle Std",
    "Idle Max",
    "Idle Min",
    "ICMP Code",
    "ICMP Type",
    "Total TCP Flow Time",
)
# Not among the inputs of the widely used edition with 77 features.
NOT_IN_77 = ("Fwd RST Flags", "Bwd RST Flags", "ICMP Code", "ICMP Type", "Total TCP Flow Time")
FEATURES = tuple(name for name in MEASURED if name not in NOT_IN_77)
FRACTIONAL = (" Mean", " Std", "/s", " Variance", " Ratio", "Average Packet Size", "Segment Size Avg")


def _dtype(name: str) -> schema.DType:
    return pl.Float64 if name.endswith(FRACTIONAL) else pl.Int64


RAW_SCHEMA: schema.Schema = {
    ID: schema.Column(pl.Int64),
    "Flow ID": schema.Column(pl.String),
    "Src IP": schema.Column(pl.String),
    "Src Port": schema.Column(pl.Int64),
    "Dst IP": schema.Column(pl.String),
    "Dst Port": schema.Column(pl.Int64),
    TIME: schema.Column(pl.String),
    **{name: schema.Column(_dtype(name)) for name in MEASURED},
    CLASS: schema.Column(pl.String),
    ATTEMPTED: schema.Column(pl.Int64),
}
WITHHELD = {
    CLASS: "is the label",
    ATTEMPTED: "belongs to the label; -1 in every row",
    DAY: "each attack was played on one day",
    CONFLICTING: "is derived from the label",
    WEIGHT: "is derived from the label: weighs rows back to the class shares of the whole edition",
    **dict.fromkeys(NOT_IN_77, "is not among the 77 inputs of the widely used edition"),
}


def read(files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Read the sixteen files, one a class.

    Returns:
        ``flows``: one row a flow, typed; files in the order of their names, rows in file order.

    Raises:
        DataError: if a file is not at hand.
        SchemaError: if a file is not what it must be.
    """
    return {"flows": pl.concat([_read_class(schema.take(files, name)) for name in READS], rechunk=True)}


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Label the flows and number their distinct feature vectors.

    Rows are put in the order of time. Flows with the same vector share the group ``vector``, so that twins never stand
    on both sides of a split; ``conflicting_twin`` marks vectors that carry more than one class.
    """
    flows = raw["flows"]
    distinct = flows.unique(maintain_order=True)
    labelled = (
        distinct.sort(TIME, maintain_order=True)
        .with_columns(
            pl.col(TIME).dt.to_string("%A").alias(DAY),
            (pl.col(CLASS) != BENIGN).alias(LABEL),
            pl.col(ANOMALY_TYPE) if ANOMALY_TYPE in flows.columns else _anomaly_type(),
            (pl.struct(FEATURES).rank("dense") - 1).alias(VECTOR),
            natural_weight(),
        )
        .with_columns((pl.col(CLASS).n_unique().over(VECTOR) > 1).alias(CONFLICTING))
    )
    defects = _defects(labelled, repeated=flows.height - distinct.height)
    return Assembled({"flows": labelled}, {"flows": _roles()}, TRUTH, tuple(defects))


def natural_weight(label: str = CLASS) -> pl.Expr:
    """Expression for the weight that gives each class its share in the whole corrected edition.

    Args:
        label: column with the class.

    Returns:
        Flows of the class in the whole edition, for one flow of it here; null for a class that the edition lacks.
        Weighted sums over rows estimate sums over all flows.
    """
    natural = pl.col(label).replace_strict(NATURAL_COUNTS, default=None, return_dtype=pl.Float64)
    return (natural / pl.len().over(label)).alias(WEIGHT)


def _read_class(path: Path) -> pl.DataFrame:
    table = schema.read_csv(path, RAW_SCHEMA)
    schema.one_of(table, CLASS, NATURAL_COUNTS.keys(), path.name)
    time = pl.col(TIME).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return schema.converted(table, TIME, time, "a time such as 2017-07-03 09:00:00.5", path.name)


def _anomaly_type() -> pl.Expr:
    return pl.col(CLASS).replace(BENIGN, NORMAL).alias(ANOMALY_TYPE)


def _defects(flows: pl.DataFrame, repeated: int) -> list[Defect]:
    twins = flows.height - flows[VECTOR].n_unique()
    conflicting = flows.filter(CONFLICTING)
    constant = [name for name in FEATURES if flows[name].n_unique() == 1]
    found = [
        Defect("records that stand twice, with the same id, time and values", repeated, "kept once"),
        Defect(
            f"flows that share all {len(FEATURES)} features with an earlier one",
            twins,
            f"kept; the group {VECTOR!r} keeps twins on one side of a split",
        ),
        Defect(
            f"flows of {conflicting[VECTOR].n_unique()} vectors that carry more than one class "
            f"({', '.join(conflicting[CLASS].unique().sort())})",
            conflicting.height,
            f"kept and marked in {CONFLICTING!r}",
        ),
        Defect(
            f"features with one value only: {', '.join(constant)}",
            flows.height if constant else 0,
            "kept among the 77 inputs",
        ),
        _levelled_shares(flows),
    ]
    return [defect for defect in found if defect.rows]


def _levelled_shares(flows: pl.DataFrame) -> Defect:
    """Compare the share of attacks with that in the whole edition; a sample of equal classes has far more."""
    natural = 1 - NATURAL_COUNTS[BENIGN] / sum(NATURAL_COUNTS.values())
    here = float(flows.select(pl.col(LABEL).mean()).item())
    return Defect(
        f"attacks are {here:.0%} of the flows against {natural:.0%} in the whole edition, as the sample levels classes",
        flows.height if here > 2 * natural else 0,
        f"{WEIGHT!r} weighs rows back to the whole edition",
    )


def _roles() -> Roles:
    return Roles(
        unit="flow",
        label=LABEL,
        anomaly_type=ANOMALY_TYPE,
        features=FEATURES,
        identity=IDENTITY,
        time=TIME,
        group=VECTOR,
        withheld=WITHHELD,
    )

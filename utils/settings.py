"""Paths, seed, budgets and environment switches: the one place that reads the environment.

Nothing is read at import: :func:`current` looks at the environment when it is called, so a process that changes a
switch (a test, the notebook runner) is understood at once.

| variable | meaning |
|---|---|
| ``ANOMALY_ROOT`` | folder with ``data/``, ``notebooks/``, ``mlflow.db`` and ``reports/`` (default: this repository) |
| ``ANOMALY_DATA_MIRROR`` | folder that holds the real files as ``<data set>/<file name>`` |
| ``ANOMALY_OFFLINE`` | ``1``: never try a public address |
| ``MLFLOW_TRACKING_URI`` | another MLflow store than the one beside the notebooks |
| ``ANOMALY_COMPUTE`` | ``local`` (default) or the address of a Dask scheduler, such as ``tcp://host:8786`` |
| ``ANOMALY_STUDIES`` | journal file or ``postgresql`` URL that keeps tuning studies (default: in ``data/processed``) |
| ``ANOMALY_TUNING_WORKERS`` | processes that work on one tuning study (default 1: one trial after the other) |
| ``ANOMALY_SESSION`` | set by the notebook runner: marks the runs of one execution of a notebook |
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from utils.errors import SettingsError

SEED = 42
SESSION_VARIABLE = "ANOMALY_SESSION"
SOURCES = ("auto", "real", "simulated")
LOCAL = "local"
ADDRESS = re.compile(r"[a-z]+://([^\s/:\[\]]+|\[[0-9a-fA-F:]+\]):\d+")
"""Protocol, host and port of a Dask scheduler."""
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class Settings:
    """The environment as the laboratory sees it; every path is absolute."""

    root: Path
    data_mirror: Path | None = None
    offline: bool = False
    tracking_uri: str | None = None
    compute: str = LOCAL
    studies: str | None = None
    tuning_workers: int = 1
    session: str | None = None

    @property
    def studies_file(self) -> Path:
        """The journal that keeps tuning studies unless ``ANOMALY_STUDIES`` names another place."""
        return self.processed_dir / "studies.journal"

    @property
    def data_dir(self) -> Path:
        """Folder of the catalogue, the cache and everything that is computed from data."""
        return self.root / "data"

    @property
    def catalog_file(self) -> Path:
        """The list of data sets, the project's and the user's."""
        return self.data_dir / "catalog.toml"

    @property
    def raw_dir(self) -> Path:
        """Cache of verified downloads, one folder a data set."""
        return self.data_dir / "raw"

    @property
    def processed_dir(self) -> Path:
        """What notebooks write for later notebooks."""
        return self.data_dir / "processed"

    @property
    def notebooks_dir(self) -> Path:
        """The numbered notebooks."""
        return self.root / "notebooks"

    @property
    def reports_dir(self) -> Path:
        """Executed copies and HTML reports."""
        return self.root / "reports"

    @property
    def store_file(self) -> Path:
        """The local MLflow store."""
        return self.root / "mlflow.db"


@dataclass(frozen=True)
class Budget:
    """How much work a run may do.

    Attributes:
        trials: hyper-parameter trials of one study.
        epochs: training epochs of a neural network.
        repeats: repeated splits or seeds behind an interval.
        bootstrap: bootstrap resamples behind an interval.
        rows: most rows that an expensive step (a neighbour graph, a figure of points) takes.
        simulated: units that each simulator makes (behaviours, events, connections, flows, sessions, time windows).
    """

    name: str
    trials: int
    epochs: int
    repeats: int
    bootstrap: int
    rows: int
    simulated: Mapping[str, int] = field(default_factory=dict)


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "fast": Budget(
            name="fast",
            trials=6,
            epochs=3,
            repeats=3,
            bootstrap=100,
            rows=5_000,
            simulated=MappingProxyType(
                {"api": 1_200, "waf": 8_000, "nsl_kdd": 12_000, "cicids2017": 12_000, "hdfs": 6_000, "traffic": 288}
            ),
        ),
        "full": Budget(
            name="full",
            trials=50,
            epochs=40,
            repeats=10,
            bootstrap=2_000,
            rows=50_000,
            simulated=MappingProxyType(
                {"api": 1_700, "waf": 58_000, "nsl_kdd": 60_000, "cicids2017": 56_000, "hdfs": 60_000, "traffic": 2_016}
            ),
        ),
    }
)


def current() -> Settings:
    """Read the environment switches.

    Raises:
        SettingsError: if a switch has a value that means nothing.
    """
    return Settings(
        root=_folder("ANOMALY_ROOT") or Path(__file__).resolve().parents[1],
        data_mirror=_folder("ANOMALY_DATA_MIRROR"),
        offline=_switch("ANOMALY_OFFLINE"),
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or None,
        compute=_compute("ANOMALY_COMPUTE"),
        studies=os.environ.get("ANOMALY_STUDIES") or None,
        tuning_workers=_number("ANOMALY_TUNING_WORKERS", 1),
        session=os.environ.get(SESSION_VARIABLE) or None,
    )


def budget(name: str) -> Budget:
    """Look up a budget by name.

    Raises:
        SettingsError: if there is no such budget.
    """
    try:
        return BUDGETS[name]
    except KeyError:
        raise SettingsError(f"budget must be one of {', '.join(BUDGETS)}, found {name!r}: choose one of them") from None


def _folder(variable: str) -> Path | None:
    text = os.environ.get(variable)
    try:
        return Path(text).expanduser().resolve() if text else None
    except RuntimeError:
        problem = f"must name a folder, found {text!r}, of which there is no such user"
        raise SettingsError(f"{variable} {problem}: correct or unset it") from None


def _switch(variable: str) -> bool:
    word = os.environ.get(variable, "").strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise SettingsError(f"{variable} must be 1 or 0, found {word!r}: correct or unset it")


def _compute(variable: str) -> str:
    word = os.environ.get(variable, "").strip()
    if word.lower() in {"", LOCAL}:
        return LOCAL
    if ADDRESS.fullmatch(word):
        return word
    raise SettingsError(
        f"{variable} must be {LOCAL} or the address of a scheduler such as tcp://host:8786, found {word!r}: "
        "correct or unset it"
    )


def _number(variable: str, default: int) -> int:
    word = os.environ.get(variable, "").strip()
    if not word:
        return default
    if word.isdecimal() and int(word) > 0:
        return int(word)
    raise SettingsError(f"{variable} must be a whole number of 1 or more, found {word!r}: correct or unset it")

"""Where studies live: a journal file of one host or a shared disk, a PostgreSQL database for many hosts, or memory.

SQLite is refused: it locks the workers of a study out of each other (Optuna's documentation says so itself), and one
trial costs eight times what it costs in a journal.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import settings
from utils.errors import SettingsError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

Place = Path | str
"""A journal file, or the URL of a PostgreSQL database."""

DRIVER = "postgresql+psycopg"
POOL = {"pool_size": 2, "max_overflow": 1, "pool_pre_ping": True, "pool_recycle": 1800}
"""Connections of one worker: one for its trials, one for its signs of life; a broken one is noticed and replaced."""

WANTED = "studies are kept in a journal file (one host or a shared disk) or in PostgreSQL (many hosts)"
REMEDY = "set ANOMALY_STUDIES to a file such as studies.journal or to postgresql://user@host/database"
OPENINGS = 5
"""Attempts to open a database: workers that make its tables at the same time get in each other's way."""

LEASE = "lease"
"""Noted on a trial: its worker, a count that rises while it lives, and the time."""

NOBODY = ("", 0, 0.0)
PRUNE_AFTER = 4
"""Complete trials before one can be stopped early."""


@dataclass(frozen=True)
class Location:
    """Where studies and what their workers need to know are kept.

    Attributes:
        address: journal file, or URL of a database.
        tasks: folder with what each study's workers read, one folder a study.
    """

    address: str
    tasks: Path

    def __str__(self) -> str:
        """The address without a password, which stands before the host or among the options."""
        before_host = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", self.address)
        return re.sub(r"(?i)([?&]password=)[^&]*", r"\1***", before_host)

    @property
    def is_file(self) -> bool:
        """Whether it is a journal file."""
        return "://" not in self.address

    def open(self) -> "BaseStorage":
        """Open it, and make it where there is none.

        Raises:
            SettingsError: if it cannot be reached, read or written.
        """
        with _explained(self):
            return _journal(Path(self.address)) if self.is_file else _database(self.address)


@dataclass(frozen=True, eq=False)
class Kept:
    """A study, and the storage that it lives in.

    Attributes:
        study: the study.
        storage: its storage.
        location: where that is; ``None`` in memory.
    """

    study: "Study"
    storage: "BaseStorage"
    location: Location | None

    def seen(self) -> "list[FrozenTrial]":
        """All trials by number; a trial's number is its place in the study, and no two share one."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    def id_of(self, number: int) -> int:
        """What the storage calls a trial."""
        study = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, number)

    def note(self, number: int, key: str, value: Any) -> None:  # noqa: ANN401 - anything that JSON can hold
        """Note something about a trial that is not finished."""
        self.storage.set_trial_user_attr(self.id_of(number), key, value)

    def taken_up(self, number: int) -> "Trial | None":
        """Take a trial that waits; ``None`` if another worker was faster."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import Trial, TrialState

        one = self.id_of(number)
        with suppress(UpdateFinishedTrialError):
            if self.storage.set_trial_state_values(one, TrialState.RUNNING):
                return Trial(self.study, one)
        return None

    def put_back(self, number: int) -> None:
        """Let another worker try the same point: parameters that were drawn stay those of the trial.

        The name on it goes first, so that who takes it is not mistaken for the one before.
        """
        from optuna.trial import TrialState

        if self.location is not None:
            self.note(number, LEASE, NOBODY)
        self.storage.set_trial_state_values(self.id_of(number), TrialState.WAITING)


def location_of(storage: Place | None, *, workers: int = 1) -> Location | None:
    """Find out where studies are kept.

    Args:
        storage: journal file or URL of a PostgreSQL database; ``None`` for what ``ANOMALY_STUDIES`` says and, for
            several workers, the journal among the processed data.
        workers: how many workers there will be.

    Returns:
        The place; ``None`` where a single worker keeps nothing.

    Raises:
        SettingsError: if it is neither a journal nor PostgreSQL.
    """
    now = settings.current()
    given = storage or now.studies or (now.studies_file if workers > 1 else None)
    if given is None:
        return None
    text = str(given)
    if re.match(r"[A-Za-z][\w+]*:", text) and not isinstance(given, Path) and not Path(text).drive:
        return Location(_url(text), now.processed_dir / "studies")
    file = Path(text).expanduser()
    file = file.resolve() if isinstance(given, Path) else (now.root / file).resolve()
    _require_journal(file)
    return Location(str(file), file.parent / "studies")


def opened(location: Location | None, name: str) -> Kept:
    """Open a study, or make it.

    Args:
        location: where it is kept; ``None`` for memory.
        name: name of the study.

    Raises:
        SettingsError: if the place cannot be used.
    """
    import optuna

    storage = optuna.storages.InMemoryStorage() if location is None else location.open()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER, n_warmup_steps=0)
    with _explained(location):
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )
    return Kept(study, storage, location)


def _journal(file: Path) -> "BaseStorage":
    """Open a journal; its lock is a file made with ``O_EXCL``, which every file system of today keeps apart."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    file.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(file), JournalFileOpenLock(str(file))))


def _database(url: str) -> "BaseStorage":
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for left in reversed(range(OPENINGS)):
        try:
            return RDBStorage(url, engine_kwargs=dict(POOL))
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if not left or (isinstance(error, OperationalError) and "connection" in str(error)):
                raise
    raise AssertionError


@contextmanager
def _explained(location: Location | None) -> Iterator[None]:
    """Turn what storages raise into a sentence."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError:
        found = f"the driver of {location} is not installed"
        raise SettingsError(f"{WANTED}, found that {found}: pip install 'psycopg[binary]'") from None
    except (SQLAlchemyError, OptunaError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SettingsError(f"{WANTED}, found that {location} cannot be used ({reason}): {REMEDY}") from None


@contextmanager
def in_reach(location: Location | None) -> Iterator[None]:
    """Turn what a database raises that is lost while a study is worked on into a sentence.

    Raises:
        SettingsError: if it is lost.
    """
    if location is None:
        yield
        return
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
        raise SettingsError(
            f"studies must stay in reach while they are worked on, found that {location} does not answer ({reason}): "
            "see that it runs and begin again, finished trials are kept"
        ) from None


def _url(text: str) -> str:
    """Check the URL of a database and name its driver."""
    scheme, _, rest = text.partition("://")
    if scheme in ("postgresql", "postgres") and rest:
        return f"{DRIVER}://{rest}"
    if scheme.startswith("postgresql+") and rest:
        return text
    shown = Location(text, Path())
    why = ", where several workers wait for each other's locks" if scheme.startswith("sqlite") else ""
    raise SettingsError(f"{WANTED}, found {shown}{why}: {REMEDY}")


def _require_journal(file: Path) -> None:
    """Refuse a folder, an SQLite file and any file that is no journal before anything is written to it."""
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingsError(f"{WANTED}, found that {file} cannot be used ({error.strerror}): {REMEDY}") from None
    if head.startswith(b"SQLite"):
        raise SettingsError(f"{WANTED}, found that {file} cannot be used (it is an SQLite file): {REMEDY}")
    if head and not head.startswith(b'{"op_code"'):
        raise SettingsError(f"{WANTED}, found that {file} cannot be used (it is no journal): {REMEDY}")

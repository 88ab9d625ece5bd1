"""Who decides: models are registered with a card, and a new one takes over only where a paired test says it is better.

Rules, in this order:

1. A model that keeps rows of downloaded data (nearest neighbours, support vectors) is not registered.
2. Where nobody holds the alias, or its holder cannot be loaded or cannot read today's rows, the new model takes it.
3. A model learned from simulated data never takes over from one that learned from real data.
4. A model learned from real data takes over from one learned from simulated data unless the test says it is worse.
5. Else the paired test on the same test rows decides, and no difference shown means no change.

Challengers that come at once, from any machine, decide one after another (see :mod:`utils.tracking.turns`).
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers.champion import Champion
from utils.classifiers.champion_trials import Trial
from utils.classifiers.compiled import PARITY, compiled, parity
from utils.errors import DataError, LabError, SettingsError, TrackingError
from utils.evaluation import counting, drift
from utils.evaluation.comparison import Comparison, paired_bootstrap
from utils.evaluation.drift import Profile
from utils.evaluation.inputs import Bools, Floats, Values
from utils.evaluation.metrics import Estimate
from utils.evaluation.thresholds import Threshold
from utils.tracking import turns
from utils.tracking.models import (
    CARD,
    CHAMPION,
    Storage,
    discard,
    load_model,
    read_beside,
    register,
    set_alias,
    storage,
)
from utils.tracking.runs import Run
from utils.tracking.store import open_store, stored

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from utils.tracking.models import Predictor

OLD, NEW = "the champion", "the challenger"
COMPACT = 2_000_000
"""Bytes that a champion should not exceed, as the store is handed on with the laboratory."""

COMPLETES = "it scores every test row as the champion does, and what was not stored with that is stored with it"
SAME = "the challenger scores every test row as it does"
EXAMPLE_ROWS = 3
DESCRIPTION_LENGTH = 5_000
KEPT_ROWS = ("_fit_X", "support_vectors_", "X_train_")
"""Attributes of scikit-learn's classifiers that hold rows of training."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "keras": ("keras", "tensorflow-cpu", "tensorflow"),
}
TAGS = ("data.name", "data.source", "data.origin", "data.digest", "git.commit", "notebook", "seed", "budget")
CLASSIFIER, RULE = "model.classifier", "model.rule"
"""Tags of a run: what its champion is in a few words, and how the threshold was chosen."""

DOWNLOADED = frozenset({"cache", "mirror", "download"})
NOBODY = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""What MLflow says where there is no such model, or no such alias of it."""


class Decider(Protocol):
    """What can be champion: a model that reads raw input, scores it and decides by a threshold of its own.

    :class:`utils.classifiers.champion.Champion` reads rows; :class:`utils.detectors.log_monitor.LogMonitor` reads lines
    of a log, or sessions as lists of events. One that is no pipeline says with ``describe()`` what it is made of.

    Attributes:
        threshold_: the fitted threshold.
        n_training_: what it learned from, n_anomalies_ of it anomalies.
    """

    threshold_: Threshold
    n_training_: float
    n_anomalies_: float

    def predict(self, rows: Any, /) -> Bools:  # noqa: ANN401 (raw input of any form)
        """Decide; true for an anomaly."""

    def score_samples(self, rows: Any, /) -> Floats:  # noqa: ANN401 (raw input of any form)
        """Score; HIGHER = MORE ABNORMAL."""

    def example(self) -> pl.DataFrame:
        """Make an input that is nobody's."""


@dataclass(frozen=True)
class Evidence:
    """What is known about a model and told in its card.

    Attributes:
        estimates: metrics on test rows, with intervals.
        truth: what the labels mean and who set them.
        threshold: how the threshold was chosen; the champion's own words if empty.
        training: which rows it learned from, in words.
        test: which rows it was judged on, in words.
        limits: what it must not be used for, one sentence each.
        notes: anything else, one sentence each.
    """

    estimates: Sequence[Estimate] = ()
    truth: str = ""
    threshold: str = ""
    training: str = ""
    test: str = ""
    limits: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """What became of a challenger.

    Attributes:
        name: registered name.
        champion: whether the challenger holds the alias now.
        version: its version; ``None`` where it was not registered.
        holder: version that holds the alias now; ``None`` where none does.
        sentence: the verdict in words.
        comparison: the paired test, where there was one.
        size: bytes of the challenger.
    """

    name: str
    champion: bool
    version: int | None
    holder: int | None
    sentence: str
    comparison: Comparison | None = None
    size: int = 0

    def __str__(self) -> str:
        """The verdict in words."""
        return self.sentence


@dataclass(frozen=True)
class _Judged:
    """A challenge against one holder: the paired test, whether both models are the same, and who wins why."""

    holder: "_Holder | None"
    test: Comparison | None
    same: bool
    takes: bool
    why: str

    @property
    def number(self) -> int | None:
        return None if self.holder is None else self.holder.number


@dataclass(frozen=True)
class _Holder:
    """The model that holds the alias: its version, and the model itself or why it cannot be used."""

    version: "ModelVersion"
    model: Any = field(repr=False)
    problem: str = ""

    @property
    def number(self) -> int:
        return int(self.version.version)

    @property
    def has_profile(self) -> bool:
        """Whether it is stored what training looked like."""
        return read_beside(self.version.name, drift.FILE, number=self.number) is not None

    def same(self, run: Run, tag: str) -> bool:
        return (self.version.tags or {}).get(tag) == run.tags.get(tag)

    @property
    def simulated(self) -> bool:
        return (self.version.tags or {}).get("data.source") == "simulated"


def challenge(
    run: Run,
    name: str,
    champion: Decider,
    rows: pl.DataFrame,
    y: Values,
    evidence: Evidence,
    *,
    example: pl.DataFrame | None = None,
    weight: Values | None = None,
    groups: Values | None = None,
    metric: str = "f1",
    most_bytes: int | None = None,
    winners_only: bool = False,
    resamples: int = 1_000,
    seed: int = settings.SEED,
) -> Verdict:
    """Register a model, and let it take the alias ``champion`` where the rules above allow it.

    The model is stored in the run with signature, input example, requirements and its card; the card is also the
    description of the registered version and an artefact of the run. A model that scores all test rows as the champion
    does, on the same data, is not stored again, unless a file such as the profile of training is missing beside that.

    Args:
        run: the open run; its tags say on which data, from which notebook and commit.
        name: registered name, one a data set.
        champion: the fitted model.
        rows: test rows, n rows, raw: both models decide on them.
        y: true for an anomaly (n,).
        evidence: what the card tells.
        example: input example from a simulator, never rows of downloaded data; one row of usual values if not given.
        weight: how many rows each row stands for (n,).
        groups: rows of one group are no independent evidence (n,).
        metric: what the paired test compares: of decisions (``f1``) or of rankings (``average_precision``).
        most_bytes: a larger model is not registered; no limit if not given.
        winners_only: a model that does not take the alias is not stored at all.
        resamples: resamples of the test.
        seed: of the resamples.

    Returns:
        The verdict.

    Raises:
        DataError: if the rows do not fit the model, lengths differ, or there is no such metric.
        TrackingError: if the store cannot be written.
    """
    kept = storage(champion)
    holder = _holder(name, rows)
    refusal = _refusal(run, champion, kept, most_bytes)
    if refusal:
        return Verdict(name, False, None, holder.number if holder else None, f"{name}: not registered: {refusal}.")

    def judge(against: _Holder | None) -> _Judged:
        return _judge(run, against, champion, rows, y, weight, groups, metric, resamples, seed)

    found = judge(holder)
    if found.same and not found.takes:
        said = f"{name}: version {found.number} stays champion: {SAME}."
        return Verdict(name, False, None, found.number, said, found.test, kept.size)
    if winners_only and holder is not None and not found.takes:
        return _not_registered(name, found, kept)
    address, text = _store(run, name, champion, evidence, example, kept, rows, weight)
    number = register(address, name, tags=turns.OPEN)
    _describe(run, name, number, text, evidence)
    with turns.turn(run.client, name, number):
        if current(name) != found.number:
            found = judge(_holder(name, rows))
        if found.takes and not turns.is_open(run.client, name, number):
            found = replace(found, takes=False, why=turns.WHY_LOST)
        if found.takes:
            set_alias(name, number)
        elif winners_only:
            _discard(run, name, number, address)
            return _not_registered(name, found, kept)
    said = _sentence(name, number, found.holder, found.takes, found.why, kept)
    _tag(run, number, found.takes, said)
    held = number if found.takes or found.holder is None else found.number
    return Verdict(name, found.takes, number, held, said, found.test, kept.size)


def challenge_of(
    run: Run,
    name: str,
    table: str,
    trial: Trial,
    truth: str,
    *,
    winners_only: bool = False,
    seed: int = settings.SEED,
) -> Verdict:
    """Let the champion of a trial challenge the holder of a name (errors as :func:`challenge`).

    Args:
        run: the open run.
        name: of the data set.
        table: of its processed table.
        trial: fitted and judged, as :func:`utils.classifiers.champion_trials.run` gives it.
        truth: what the labels mean.
        winners_only: as :func:`challenge`.
        seed: of the resamples, and of the simulator that makes the input example.
    """
    evidence = Evidence(
        estimates=trial.estimates,
        truth=truth,
        training=trial.roles.notes.get(trial.roles.split or "", f"the training side of the table {table}"),
        test=f"{trial.test.height:,} rows of its test side",
        notes=(trial.candidate.why,),
    )
    run.log_batch(tags={CLASSIFIER: trial.candidate.name, RULE: trial.rule})
    example = simulated_example(name, table, trial.champion, seed=seed)
    judged = trial.test, trial.found_on.y, evidence
    return challenge(
        run,
        name,
        trial.champion,
        *judged,
        example=example,
        weight=trial.found_on.weight,
        groups=trial.found_on.groups,
        winners_only=winners_only,
        seed=seed,
    )


def current(name: str) -> int | None:
    """Return the version that holds the alias ``champion``, nothing if none does.

    Raises:
        TrackingError: if there is no store.
    """
    version = _version(name)
    return None if version is None else int(version.version)


def card_of(name: str, *, alias: str = CHAMPION) -> str:
    """Read the card of the version that an alias points at.

    Raises:
        TrackingError: if there is no such model.
    """
    version = _version(name, alias)
    if version is None:
        raise TrackingError(f"model models:/{name}@{alias} does not exist: run the notebook that registers it")
    return str(version.description or "")


def profile_of(name: str, *, alias: str = CHAMPION) -> Profile | None:
    """Read what training of a registered model looked like; nothing where that was not stored with it.

    Raises:
        TrackingError: if there is no such model.
        DataError: if what is stored is no profile.
    """
    text = read_beside(name, drift.FILE, alias=alias)
    return None if text is None else Profile.from_json(text)


def simulated_example(name: str, table: str, champion: Champion, *, seed: int = settings.SEED) -> pl.DataFrame:
    """Make an input example: rows of the simulator's table where there is one, else one row of usual values.

    Args:
        name: name of the data set in the catalogue.
        table: name of its processed table.
        champion: the model that reads the rows.
        seed: of the simulator.

    Returns:
        Up to 3 rows of the columns that the model reads, normal and anomalous ones.
    """
    from utils import datasets
    from utils.features import tables

    usual, reader = champion.example(), champion.reader_
    wanted = usual.columns if reader is None else dict.fromkeys((*reader.inputs, *usual.columns))
    with contextlib.suppress(LabError):
        loaded = datasets.load(name, "simulated", seed=seed, budget="fast")
        made = tables.build(loaded, seed=seed)
        if table not in made.frames:
            return usual
        frame, label = made[table], made.roles[table].label
        if reader is not None:
            frame = frame.drop(*reader.names, *reader.inputs, strict=False).hstack(loaded[table].select(reader.inputs))
        chosen = frame if label is None else frame.filter(pl.int_range(pl.len()).over(label) < 2)
        readable = chosen.head(EXAMPLE_ROWS).select(column for column in wanted if column in chosen.columns)
        champion.predict(readable)
        return readable
    return usual


def card(run: Run, name: str, champion: Decider, evidence: Evidence, kept: Storage) -> str:
    """Write the model card: data, numbers with intervals, threshold, training, limits, in Markdown.

    Source:
        Mitchell et al., "Model cards for model reporting", FAT* 2019.
    """
    tags = run.tags
    source = {"simulated": "SIMULATED data", "real": "real data"}.get(tags.get("data.source", ""), "data")
    what = "rows" if isinstance(champion, Champion) else "sessions"
    trained = f"{champion.n_training_:,.0f} training {what}, {champion.n_anomalies_:,.0f} of them anomalies"
    data = [
        f"{tags.get('data.name', name)}: {source} from {tags.get('data.origin', 'an unknown place')}",
        f"digest {tags.get('data.digest', 'unknown')}",
        f"truth of the labels: {evidence.truth or 'not stated'}",
        f"learned from {trained}{'; ' * bool(evidence.training)}{evidence.training}",
        *([f"judged on {evidence.test}"] if evidence.test else []),
    ]
    made = [
        *_parts(champion),
        f"seed {tags.get('seed', 'unknown')}, notebook {tags.get('notebook', 'unknown')}, "
        f"git commit {tags.get('git.commit', 'unknown')}",
        _stored_as(kept),
    ]
    numbers = [
        f"{one.name}: {one} ({one.n:,} {one.unit}s{'; ' * bool(one.interval)}{one.interval})"
        for one in evidence.estimates
    ]
    sections = {
        "Data": data,
        "Numbers": numbers or ["none given"],
        "Threshold": [evidence.threshold or champion.threshold_.describe()],
        "Model": made,
        "Limits": list(evidence.limits) or ["decides on data like those above; what it does elsewhere is not known"],
        "Notes": list(evidence.notes),
    }
    parts = [f"## {title}\n" + "\n".join(f"- {line}" for line in lines) for title, lines in sections.items() if lines]
    return "\n\n".join([f"# {name}", *parts]) + "\n"


def _parts(champion: Decider) -> list[str]:
    """What a model is made of, and what it reads."""
    if not isinstance(champion, Champion):
        return list(getattr(champion, "describe", list)())
    steps = " → ".join(type(step).__name__ for _, step in champion.pipeline_.steps)
    return [steps, f"reads {len(champion.input_schema_)} columns{_made_of(champion)}"]


def _made_of(champion: Champion) -> str:
    """From what the columns are made, where raw records are read."""
    return f", or makes them of {', '.join(champion.reader_.inputs)}" if champion.reader_ else ""


def _stored_as(kept: Storage) -> str:
    if kept.serialization == "skops":
        return "stored by skops: loading runs no code of the file"
    refused = ", ".join(kept.refused[:5])
    return f"stored by cloudpickle, as skops does not trust {refused}: load it only from a store you trust"


def _refusal(run: Run, champion: Decider, kept: Storage, most_bytes: int | None) -> str:
    """Why a model cannot be registered at all; empty if it can."""
    if most_bytes is not None and kept.size > most_bytes:
        return f"it takes {kept.size / 1e6:.1f} MB, more than {most_bytes / 1e6:.1f} MB; choose fewer or smaller trees"
    origins = set(run.tags.get("data.origin", "").split(" + "))
    if origins & DOWNLOADED and (what := _kept_rows(champion)):
        return f"{what} keeps rows of downloaded data, which must not be handed on"
    return ""


def _kept_rows(champion: Decider) -> str:
    """Name of a step that keeps training rows; empty if none does."""
    for step in _steps(champion):
        inner = [step, *(value for value in vars(step).values() if hasattr(value, "get_params"))]
        if any(hasattr(one, attribute) for one in inner for attribute in KEPT_ROWS):
            return type(step).__name__
    return ""


def _steps(champion: Decider) -> list[Any]:
    """Fitted steps of a pipeline; detector and members of a model that is none."""
    if isinstance(champion, Champion):
        return [step for _, step in champion.pipeline_.steps]
    detector = getattr(champion, "detector_", champion)
    return [detector, *getattr(detector, "members_", {}).values()]


def _version(name: str, alias: str = CHAMPION) -> "ModelVersion | None":
    """The version that an alias names; nothing where nobody holds it.

    Raises:
        TrackingError: if that cannot be found out, which is no vacancy that a challenger could fill.
    """
    client = open_store(write=False)  # it imports MLflow, quietly
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in NOBODY:
            return None
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TrackingError(f"who holds models:/{name}@{alias} cannot be read ({said}): try again") from error


def _holder(name: str, rows: pl.DataFrame) -> _Holder | None:
    """The holder of the alias, loaded and tried on a row."""
    version = _version(name)
    if version is None:
        return None
    try:
        model: Any = load_model(name)
        model.predict(rows.head(1))
    except Exception as error:  # whatever a model of another time raises
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        return _Holder(version, None, problem.rstrip("."))
    return _Holder(version, model)


def _test(
    holder: _Holder,
    champion: Decider,
    rows: pl.DataFrame,
    y: Values,
    weight: Values | None,
    groups: Values | None,
    metric: str,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare both models on the same rows."""
    ranking = counting.is_ranking(metric)
    if ranking and not hasattr(holder.model, "score_samples"):
        raise DataError(f"{metric} needs scores, which version {holder.number} does not give: compare f1")
    first, second = (
        (model.score_samples(rows) if ranking else model.predict(rows)) for model in (champion, holder.model)
    )
    shared: dict[str, Any] = {"weight": weight, "groups": groups, "resamples": resamples, "seed": seed}
    return paired_bootstrap(metric, y, first, second, names=(NEW, OLD), **shared)


def _judge(run: Run, holder: _Holder | None, champion: Decider, rows: pl.DataFrame, *test: Any) -> _Judged:  # noqa: ANN401 (passed on)
    """Decide a challenge; ``test`` is what the paired test takes beside models and rows."""
    if holder is None or holder.problem:
        return _Judged(holder, None, False, *_decided(run, holder, None))
    found = _test(holder, champion, rows, *test)
    if _same(run, holder, champion, rows):
        completes = getattr(champion, "profile_", None) is not None and not holder.has_profile
        return _Judged(holder, found, True, completes, COMPLETES if completes else SAME)
    return _Judged(holder, found, False, *_decided(run, holder, found))


def _same(run: Run, holder: _Holder, champion: Decider, rows: pl.DataFrame) -> bool:
    """Whether both models score all rows alike and learned from the same data."""
    if not holder.same(run, "data.digest") or type(holder.model) is not type(champion):
        return False
    if holder.model.threshold_.value_ != champion.threshold_.value_:
        return False
    return bool(np.array_equal(holder.model.score_samples(rows), champion.score_samples(rows)))


def _decided(run: Run, holder: _Holder | None, test: Comparison | None) -> tuple[bool, str]:
    """Whether the challenger takes the alias, and why."""
    if holder is None:
        return True, "nobody held the title"
    if test is None:
        return True, f"version {holder.number} cannot be used on these rows ({holder.problem})"
    if run.tags.get("data.source") == "simulated" and not holder.simulated:
        return False, f"{OLD} learned from real data, {NEW} from simulated data"
    better, worse = (test.verdict.startswith(f"{who} is better") for who in (NEW, OLD))
    if holder.simulated and run.tags.get("data.source") == "real" and not worse:
        return True, f"{OLD} learned from simulated data only ({test.verdict})"
    unequal = (
        ""
        if holder.same(run, "data.digest") and holder.same(run, "seed")
        else ("; it may have learned from some of these rows, as it saw other data or another seed")
    )
    return better, f"{test.verdict}{'' if better else unequal}"


def _store(
    run: Run,
    name: str,
    champion: Decider,
    evidence: Evidence,
    example: pl.DataFrame | None,
    kept: Storage,
    held_out: pl.DataFrame,
    weight: Values | None,
) -> tuple[str, str]:
    """Store model and card in the run; return the model's address and the card."""
    text = card(run, name, champion, evidence, kept)
    rows = _plain(champion.example() if example is None else example)
    beside = {CARD: text} | _profile(champion, held_out, weight) | _parity(run, champion, held_out)
    address = run.log_model(
        cast("Predictor", champion),
        rows,
        name=name,
        serialization=kept.serialization,
        trusted=kept.trusted,
        packages=_packages(champion),
        beside=beside,
    )
    for file, content in beside.items():
        run.log_text(content, file)
    return address, text


def _profile(champion: Decider, held_out: pl.DataFrame, weight: Values | None) -> dict[str, str]:
    """The file that says what training looked like, where the model knows it, and which scores to expect."""
    found = getattr(champion, "profile_", None)
    if not isinstance(found, Profile):
        return {}
    scores = champion.score_samples(held_out)
    frame = cast("Any", champion).monitored(held_out) if found.always else None
    return {drift.FILE: found.expecting(scores, champion.threshold_.predict(scores), weight, frame=frame).to_json()}


def _parity(run: Run, champion: Decider, held_out: pl.DataFrame) -> dict[str, str]:
    """The file that says whether the compiled form decides on held-out rows as the model does."""
    if not isinstance(champion, Champion):
        return {}
    try:
        found = parity(champion, compiled(champion), held_out)
    except SettingsError as error:
        run.log_batch(tags={"model.compiled": str(error)})
        return {}
    run.log_batch(tags={"model.compiled": found.sentence})
    return {PARITY: found.to_json()}


def _plain(example: pl.DataFrame) -> pl.DataFrame:
    """An example in types that MLflow has: texts, truth values and numbers; stretches of time in seconds."""
    kinds = {name: _plain_type(dtype) for name, dtype in example.schema.items() if not isinstance(dtype, pl.Duration)}
    seconds = [
        (pl.col(name).dt.total_microseconds() / 1e6).alias(name)
        for name, dtype in example.schema.items()
        if isinstance(dtype, pl.Duration)
    ]
    return example.with_columns(*(pl.col(name).cast(kind) for name, kind in kinds.items()), *seconds)


def _plain_type(dtype: pl.DataType) -> type[pl.DataType]:
    if dtype.is_integer():
        return pl.Int64
    return pl.Float64 if dtype.is_numeric() else pl.Boolean if isinstance(dtype, pl.Boolean) else pl.String


def _packages(champion: Decider) -> list[str]:
    """Packages that loading a model needs beside those of every scikit-learn model."""
    if not isinstance(champion, Champion):
        return ["polars", *getattr(champion, "packages", ())]
    roots = {kind.__module__.split(".")[0] for kind in type(champion.pipeline_[-1]).__mro__}
    if type(champion.pipeline_[-1]).__module__.endswith(".dense"):
        roots.add("keras")
    return ["polars", *(package for root in sorted(roots & set(PACKAGES)) for package in PACKAGES[root])]


def _describe(run: Run, name: str, number: int, text: str, evidence: Evidence) -> None:
    """Give a registered version its card and tags."""
    client = run.client
    tags = {tag: run.tags[tag] for tag in TAGS if tag in run.tags}
    tags |= {one.name: str(one) for one in evidence.estimates if "/" not in one.name}
    with stored(f"version {number} of model {name!r}"):
        client.update_model_version(name, str(number), text[:DESCRIPTION_LENGTH])
        for tag, value in tags.items():
            client.set_model_version_tag(name, str(number), tag, value)


def _not_registered(name: str, found: _Judged, kept: Storage) -> Verdict:
    said = f"{name}: version {found.number} stays champion, the challenger is not registered: {found.why}."
    return Verdict(name, False, None, found.number, said, found.test, kept.size)


def _discard(run: Run, name: str, number: int, address: str) -> None:
    """Take back a version, and the model that it is made of with its files."""
    with stored(f"version {number} of model {name!r}"):
        run.client.delete_model_version(name, str(number))
        discard(run.client, address.removeprefix("models:/"))


def _sentence(name: str, number: int, holder: _Holder | None, takes: bool, why: str, kept: Storage) -> str:
    large = f" It takes {kept.size / 1e6:.1f} MB, more than {COMPACT / 1e6:.0f} MB." if kept.size > COMPACT else ""
    if takes:
        return f"{name}: version {number} is champion: {why}.{large}"
    stays = "" if holder is None else f"version {holder.number} stays champion, version {number} does not take over: "
    return f"{name}: {stays}{why}.{large}"


def _tag(run: Run, number: int, takes: bool, said: str) -> None:
    run.log_batch(tags={"model.version": str(number), "model.champion": str(takes).lower(), "model.verdict": said})

"""Champions in memory: loaded one after the other in the background, swapped as a whole when the alias moves."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from utils import settings
from utils.classifiers.champion import Champion
from utils.classifiers.compiled import PARITY, CompiledChampion, passed
from utils.datasets import catalog
from utils.detectors.log_monitor import LogMonitor
from utils.errors import LabError
from utils.evaluation.drift import FILE, Profile
from utils.serving import decisions
from utils.serving.drift import DriftMonitor
from utils.serving.remembered import Remembered
from utils.serving.requests import Reading, reading_of
from utils.tracking import registry as store
from utils.tracking.models import CARD
from utils.tracking.registry import Loaded

State = Literal["loading", "ready", "failed", "no champion"]
Told = Callable[[str, dict[str, object]], None]
"""Told of what happens: its name and what belongs to it."""

AGAIN_SECONDS = 30.0
"""Time after which a version that could not be loaded is tried again."""

MOST_WAITING = 20_000
"""Rows that may wait to be counted for drift."""

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
METRIC = re.compile(rf"({NUMBER})(?: \[({NUMBER}), ({NUMBER})\])?")
NO_METRICS = frozenset({"seed", "budget"})


@dataclass(frozen=True, eq=False)
class Served:
    """A champion that answers, with all that belongs to it; never changed, only replaced (but for what drift counts).

    Attributes:
        name: registered name.
        version: its number.
        model: the champion.
        reading: which bodies it takes.
        card: its model card, in Markdown.
        metrics: metrics by name: value, and low and high end of its interval where there is one.
        data: name, source, origin and digest of what it learned from.
        threshold: that a score must reach.
        profile: what training looked like; ``None`` where the version has none.
        compiled: the form that scores fast; ``None`` where the version has none that passed its gate.
        drift: compares what is asked with the profile; ``None`` where there is none.
        seconds: that loading took.
        remembered: verdicts on sessions of a log that were asked before.
    """

    name: str
    version: int
    model: Champion | LogMonitor
    reading: Reading
    card: str
    metrics: Mapping[str, Mapping[str, float]]
    data: Mapping[str, str]
    threshold: float
    profile: Profile | None = None
    compiled: CompiledChampion | None = None
    drift: DriftMonitor | None = None
    seconds: float = 0.0
    remembered: Remembered = field(default_factory=Remembered, repr=False, compare=False)


@dataclass(frozen=True)
class Problem:
    """A version that cannot be served: why, and when that was found (monotonic seconds)."""

    version: int
    why: str
    at: float


def served_of(loaded: Loaded, seconds: float = 0.0) -> Served:
    """Make a served champion of a loaded one, and let it decide on its own example.

    Raises:
        LabError: if it cannot be served or cannot decide.
    """
    version, model = loaded.version, loaded.model
    reading, profile = reading_of(model, loaded.texts), _profile(loaded.texts)
    made = Served(
        name=version.name,
        version=version.number,
        model=model,
        reading=reading,
        card=loaded.texts.get(CARD, version.card),
        metrics=_metrics(version.tags),
        data={tag.removeprefix("data."): value for tag, value in version.tags.items() if tag.startswith("data.")},
        threshold=float(model.threshold_.value_),
        profile=profile,
        compiled=passed(model, loaded.texts.get(PARITY)) if isinstance(model, Champion) else None,
        drift=None
        if profile is None
        else DriftMonitor(profile, model.monitored, inline=False, most_waiting=MOST_WAITING),
        seconds=seconds,
    )
    for example in (form.example for form in reading.forms if form.example is not None):
        asked = reading.read(example, most=1_000)
        columns = decisions.decide(made, asked.rows, "all").columns
        if profile is not None:
            tried = DriftMonitor(profile, model.monitored, inline=False)
            tried.add(asked.rows, columns["score"], columns["decision"])
            tried.flush()
    return made


class Registry:
    """The champions that are served; a thread loads them and looks at the alias.

    Args:
        models: registered names, loaded in this order; all that hold the alias if empty.
        seconds: between two looks at the alias.
        told: of loads, swaps and failures.
    """

    def __init__(self, models: tuple[str, ...] = (), seconds: float = 2.0, told: Told | None = None) -> None:
        self.models = models
        self.seconds = seconds
        self.problem = ""
        self._told = told or (lambda event, facts: None)
        self._served: dict[str, Served] = {}
        self._problems: dict[str, Problem] = {}
        self._holders: dict[str, int] = {}
        self._registered: tuple[str, ...] = ()
        self._wanted: list[str] = []
        self._looked = False
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to load."""
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it is loading is not waited for."""
        self._stopping.set()
        self._wake.set()

    @property
    def served(self) -> Mapping[str, Served]:
        """The champions that answer now, by name."""
        return self._served

    @property
    def ready(self) -> bool:
        """Whether every model that can be loaded is loaded."""
        return self._looked and all(self.state(name)[0] != "loading" for name in self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that are served, or will be."""
        return self.models or tuple(dict.fromkeys((*self._holders, *self._served)))

    def knows(self, name: str) -> bool:
        """Whether a name is one that this service may answer for, now or later."""
        if self.models:
            return name in self.models
        return name in {*self._registered, *self._holders, *self._served} or name in _data_sets()

    def state(self, name: str) -> tuple[State, str]:
        """How far a model is, and what stands against it."""
        if name in self._served:
            problem = self._problems.get(name)
            return "ready", f"version {problem.version} cannot be used: {problem.why}" if problem else ""
        if problem := self._problems.get(name):
            return "failed", f"version {problem.version} cannot be used: {problem.why}"
        if self.problem and not self._looked:
            return "no champion", self.problem
        if self._looked and name not in self._holders:
            return "no champion", self.problem or "no version holds the alias: run the notebook that registers it"
        return "loading", ""

    def want(self, name: str) -> None:
        """Let a model be loaded next."""
        if name not in self._wanted:
            self._wanted.append(name)
            self._wake.set()

    def refresh(self) -> None:
        """Look at the alias once, and load what is new; whatever fails leaves the old in place."""
        try:
            self._holders, self._registered = store.holders(), store.names()
        except LabError as error:
            self._failed_look(str(error))
            return
        self.problem, self._looked = "", True
        gone = [name for name in self._served if name not in self._holders]
        if gone:
            self._served = {name: one for name, one in self._served.items() if name not in gone}
            self._told("dropped", {"models": gone})
        while not self._stopping.is_set() and (name := self._next()):
            self._load(name, self._holders[name])

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.refresh()
            except Exception as error:  # the watcher must outlive whatever a store does
                self._failed_look(f"{type(error).__name__}: {error}")
            self._wake.wait(self.seconds)

    def _failed_look(self, why: str) -> None:
        if why != self.problem:
            self._told("store failed", {"why": why})
        self.problem = why

    def _next(self) -> str | None:
        """The model to load next: one that somebody waits for, else the first in order."""
        order = dict.fromkeys((*self._wanted, *self.names))
        return next((name for name in order if self._due(name)), None)

    def _due(self, name: str) -> bool:
        held = self._holders.get(name)
        now, problem = self._served.get(name), self._problems.get(name)
        if held is None or (now is not None and now.version == held):
            return False
        return problem is None or problem.version != held or time.monotonic() - problem.at > AGAIN_SECONDS

    def _load(self, name: str, number: int) -> None:
        """Load a version and swap it in once it has decided on its example."""
        start, before = time.monotonic(), self._served.get(name)
        facts: dict[str, object] = {"model": name, "version": number, "before": before.version if before else None}
        try:
            loaded = store.load(store.version_of(name, number))
            made = served_of(loaded, time.monotonic() - start)
        except Exception as error:  # whatever a broken model raises: the old one stays
            why = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
            self._problems = {**self._problems, name: Problem(number, why, time.monotonic())}
            self._told("load failed", facts | {"why": why})
            return
        self._served = {**self._served, name: made}
        self._problems = {other: problem for other, problem in self._problems.items() if other != name}
        self._wanted = [other for other in self._wanted if other != name]
        self._told("loaded", facts | {"seconds": round(time.monotonic() - start, 3)})


def _data_sets() -> frozenset[str]:
    """Names of the data sets in the catalogue: each may have a champion one day."""
    with contextlib.suppress(LabError):
        listed = catalog.read(settings.current().catalog_file)
        return frozenset({*listed.project, *listed.own})
    return frozenset()


def _profile(texts: Mapping[str, str]) -> Profile | None:
    """What training looked like, where the version says so."""
    return Profile.from_json(texts[FILE]) if FILE in texts else None


def _metrics(tags: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Metrics of a version: tags that are a number, with its interval where there is one."""
    found = {}
    for tag, text in tags.items():
        match = METRIC.fullmatch(text.strip())
        if match and "." not in tag and tag not in NO_METRICS:
            names = ("value", "low", "high")
            found[tag] = {name: float(part) for name, part in zip(names, match.groups(), strict=True) if part}
    return found

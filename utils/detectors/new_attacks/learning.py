"""Fit members, calibrate them on normal rows that they have not seen, and let them share a budget of alarms."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, is_classifier

from utils import settings
from utils.datasets.contract import Roles
from utils.datasets.wording import listed
from utils.detectors.ensembles import Ensemble
from utils.detectors.new_attacks.rows import groups_of, kinds_of
from utils.errors import DataError, SettingsError
from utils.evaluation import splits
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.inputs import Bools, Floats

Members = Callable[[int], Mapping[str, BaseEstimator]]
Shares = Mapping[str | tuple[str, ...], float]
NO_ANOMALY = "it learns from labels, and the rows to learn from hold no anomaly"


@dataclass(frozen=True)
class Recipe:
    """Members, and the detectors that are made of them; fixed before the rows that judge are looked at.

    Attributes:
        members: makes the unfitted members by name for a seed. Classifiers learn from labels, all others from normal
            rows; each takes a frame as it is.
        detectors: for each detector, the share of the alarm budget that each of its members has, or several members
            that speak together (a tuple); shares sum to 1.
        rate: nominal alarm rate at which the detectors decide.
        held_out: share of the normal training rows that calibrates, or number of folds.
        most_of_a_kind: most rows of one kind of anomaly that classifiers learn from, so that no kind rules the others.
    """

    members: Members
    detectors: Mapping[str, Shares]
    rate: float = 0.05
    held_out: float | int = 4
    most_of_a_kind: int | None = 1_000

    def of(self, *names: str) -> "Recipe":
        """The same recipe with some of its detectors."""
        return replace(self, detectors={name: self.detectors[name] for name in names})


@dataclass(frozen=True, eq=False)
class Voice:
    """One p-value from those of members that speak together: Fisher's sum of logarithms, calibrated as a whole.

    Attributes:
        each: fitted p-values of each member.
        joint: fitted p-values of the sum.
    """

    each: Mapping[str, ConformalPValues]
    joint: ConformalPValues

    @classmethod
    def fitted(cls, names: Sequence[str], calibration: pl.DataFrame) -> tuple["Voice", Floats]:
        """Learn the scores of normal rows.

        Returns:
            The voice, and the p-values of the calibration rows among themselves.
        """
        each = {name: ConformalPValues().fit(calibration[name]) for name in names}
        size = 1 + calibration.height
        sums = _sum({name: one.as_high(calibration[name]) / size for name, one in each.items()})
        joint = ConformalPValues().fit(sums)
        return cls(each, joint), joint.as_high(sums) / size

    def p_values(self, scores: pl.DataFrame) -> Floats:
        """p-values above 0 and at most 1, LOW is abnormal, shape (rows,)."""
        return self.joint.p_values(_sum({name: one.p_values(scores[name]) for name, one in self.each.items()}))


@dataclass(frozen=True, eq=False)
class SharedBudget:
    """One p-value from those of several voices: the smallest, each divided by its share of the alarm budget.

    At a nominal rate r a voice with the share s decides much as it would alone at r s. The statistic is calibrated as
    a whole, so that the rate holds whatever the dependence between members.

    Attributes:
        voices: the fitted voices, each one member or several that speak together.
        shares: share of each voice, summing to 1.
        together: fitted p-values of the statistic.
    """

    voices: tuple[Voice, ...]
    shares: tuple[float, ...]
    together: ConformalPValues

    @classmethod
    def fitted(cls, shares: Shares, calibration: pl.DataFrame) -> "SharedBudget":
        """Learn the scores of normal rows (one column a member, among others) that no member was trained on."""
        made = [Voice.fitted(members_of(speakers), calibration) for speakers in shares]
        budget = tuple(shares.values())
        statistic = _loudness([own for _, own in made], budget).max(axis=1)
        return cls(tuple(voice for voice, _ in made), budget, ConformalPValues().fit(statistic))

    @property
    def names(self) -> tuple[str, ...]:
        """What each voice is called: its members."""
        return tuple(" and ".join(voice.each) for voice in self.voices)

    def spoken(self, scores: pl.DataFrame) -> Floats:
        """How loud each voice is, HIGHER = MORE ABNORMAL, shape (rows, voices)."""
        return _loudness([voice.p_values(scores) for voice in self.voices], self.shares)

    def score_samples(self, scores: pl.DataFrame) -> Floats:
        """The statistic, HIGHER = MORE ABNORMAL, shape (rows,)."""
        return np.asarray(self.spoken(scores).max(axis=1))

    def p_values(self, scores: pl.DataFrame) -> Floats:
        """p-values above 0 and at most 1, LOW is abnormal, shape (rows,)."""
        return self.together.p_values(self.score_samples(scores))


@dataclass(frozen=True, eq=False)
class Learned:
    """The fitted members of a recipe and the detectors made of them.

    Attributes:
        alone: members that learned from normal rows alone; ``None`` without such.
        taught: members that learned from labels; ``None`` without such.
        detectors: fitted, by name.
        columns: what tells rows apart; equal rows are scored once.
        left_out: detectors that could not be fitted, with the reason.
    """

    alone: Ensemble | None
    taught: Ensemble | None
    detectors: Mapping[str, SharedBudget]
    columns: tuple[str, ...]
    left_out: Mapping[str, str]

    def member_scores(self, frame: pl.DataFrame, *, alone: pl.DataFrame | None = None) -> pl.DataFrame:
        """Score rows with each member.

        Args:
            frame: rows with the columns of training.
            alone: scores of these rows by the members that learned from normal rows alone, if they are known already.

        Returns:
            One column a member, HIGHER = MORE ABNORMAL.
        """
        parts = [alone if alone is not None else scored(self.alone, frame, self.columns)]
        parts.append(scored(self.taught, frame, self.columns))
        return pl.concat(parts, how="horizontal")

    def p_values(self, frame: pl.DataFrame, *, alone: pl.DataFrame | None = None) -> pl.DataFrame:
        """Compare rows with normal rows of training (arguments as :meth:`member_scores`).

        Returns:
            One column a detector, LOW is abnormal.
        """
        scores = self.member_scores(frame, alone=alone)
        return pl.DataFrame({name: one.p_values(scores) for name, one in self.detectors.items()})


def learn(
    frame: pl.DataFrame, roles: Roles, recipe: Recipe, *, seed: int = settings.SEED, alone: Ensemble | None = None
) -> Learned:
    """Fit the members of a recipe and calibrate its detectors on normal rows that no member has seen.

    Args:
        frame: training rows, and no others.
        roles: what the columns mean; without a label all rows count as normal.
        recipe: what to fit.
        seed: of the members and of the division.
        alone: what the same recipe learned from the same normal rows with the same seed before; it is not fitted again.

    Raises:
        SettingsError: if the recipe names a member that there is none of.
        DataError: if the normal rows are too few to be divided, or no detector can do without anomalies.
    """
    anomalous = frame[roles.label].to_numpy().astype(bool) if roles.label else np.zeros(frame.height, dtype=bool)
    members, detectors, left_out = usable(recipe, seed, taught=bool(anomalous.any()))
    groups = pl.Series(groups_of(frame, roles))
    labelled = {name: one for name, one in members.items() if is_classifier(one)}
    others = {name: one for name, one in members.items() if name not in labelled}
    taught = None
    if others and alone is None:
        rows = np.flatnonzero(~anomalous)
        alone = Ensemble(others, held_out=recipe.held_out, seed=seed).fit(frame[rows], groups=groups[rows])
    if labelled:
        rows = np.flatnonzero(~anomalous | _drawn(frame, roles, anomalous, recipe.most_of_a_kind, seed))
        taught = Ensemble(labelled, held_out=recipe.held_out, seed=seed)
        taught.fit(frame[rows], anomalous[rows], groups=groups[rows])
    calibration = pl.concat([each.calibration_ for each in (alone, taught) if each], how="horizontal")
    fitted = {name: SharedBudget.fitted(shares, calibration) for name, shares in detectors.items()}
    return Learned(alone, taught, fitted, roles.features, left_out)


def scored(ensemble: Ensemble | None, frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Score rows with each member of an ensemble, equal rows once; no columns without an ensemble."""
    if ensemble is None:
        return pl.DataFrame()
    place = splits.distinct_rows(frame, columns)
    first = np.unique(place, return_index=True)[1]
    return ensemble.member_scores(frame[first])[place]


def usable(
    recipe: Recipe, seed: int, taught: bool
) -> tuple[dict[str, BaseEstimator], dict[str, Shares], dict[str, str]]:
    """Members, the detectors that can be fitted, and the others with the reason.

    Where there is no anomaly to learn from, a detector goes on with its members that need none.
    """
    made = dict(recipe.members(seed))
    named = {name for shares in recipe.detectors.values() for some in shares for name in members_of(some)}
    if unknown := sorted(named - made.keys()):
        what = f"detectors must be made of members {listed(list(made))}"
        raise SettingsError(f"{what}, found {listed(unknown)}: name one of these")
    fit = {name: one for name, one in made.items() if name in named and (taught or not is_classifier(one))}
    detectors = {name: _rest(shares, fit) for name, shares in recipe.detectors.items()}
    left_out = {name: NO_ANOMALY for name, shares in detectors.items() if not shares}
    if len(left_out) == len(detectors):
        what = f"detectors {listed(list(left_out))} must have anomalies to learn from, found none"
        raise DataError(f"{what}: take one that learns from normal rows")
    return fit, {name: shares for name, shares in detectors.items() if shares}, left_out


def _rest(shares: Shares, members: Collection[str]) -> Shares:
    """What is left of shares where only some members can be fitted; again they sum to 1."""
    rest: dict[str | tuple[str, ...], float] = {}
    for speakers, share in shares.items():
        if left := tuple(name for name in members_of(speakers) if name in members):
            rest[left] = share
    return {speakers: share / sum(rest.values()) for speakers, share in rest.items()}


def _drawn(frame: pl.DataFrame, roles: Roles, anomalous: Bools, most: int | None, seed: int) -> Bools:
    """Which anomalies classifiers learn from: rows that are new before copies, at most so many of a kind."""
    if most is None:
        return anomalous
    order = np.random.default_rng(seed).permutation(frame.height)
    shuffled = pl.DataFrame(
        {"row": order, "kind": kinds_of(frame, roles)[order], "group": groups_of(frame, roles)[order]}
    )
    ranked = shuffled.filter(pl.Series(anomalous[order])).with_columns(
        copy=pl.int_range(pl.len()).over("kind", "group")
    )
    chosen = ranked.sort("copy", maintain_order=True).group_by("kind").head(most)["row"].to_numpy()
    drawn = np.zeros(frame.height, dtype=bool)
    drawn[chosen] = True
    return drawn


def members_of(speakers: str | tuple[str, ...]) -> tuple[str, ...]:
    """Members that share one part of a budget."""
    return (speakers,) if isinstance(speakers, str) else speakers


def _sum(p_values: Mapping[str, Floats]) -> Floats:
    """Sum of -log of p-values, without the last digits, so that ties stay ties."""
    return np.asarray(np.round(-np.log(np.column_stack(list(p_values.values()))).sum(axis=1), 10))


def _loudness(p_values: Sequence[Floats], shares: Sequence[float]) -> Floats:
    """-log of each p-value over its share of the budget, without the last digits."""
    return np.asarray(np.round(np.log(np.asarray(shares)) - np.log(np.column_stack(p_values)), 10))

"""The classifiers that are compared: one table declares them, each in a pipeline with the preprocessing that IT needs.

The thirteen of the comparison in ivan-zapreev/ML-PT (published there with F1 on cluster labels, :attr:`Choice.f1`) and
four besides: a dummy, two more ways of boosting, a network. What is done to the columns was chosen on training rows of
five real tables, by cross-validation:

| for | columns become |
|---|---|
| trees | numbers as they are (a tree asks for order alone), one column of codes a nominal column (one-hot: 2.2 times) |
| gradient boosting, AdaBoost | the same one-hot, because they take no NaN, which codes have for what is new |
| boosted trees on bins | codes, with missing values kept: they have a branch of their own |
| neighbours, vectors, network, regression | logarithms where tails are heavy, standardised, one-hot |
| naive Bayes | ranks in 0..1 (not negative, no tails), one-hot; ranks in bins for Bernoulli |

Codes of categories stand in order of frequency and are read as numbers: on NSL-KDD that is as good as the categorical
splits of the three boosting libraries (average precision .9999 both ways) and leaves explanations exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import polars as pl
from sklearn.pipeline import Pipeline

from utils.classifiers.spaces import OneOf, Real, Space, Whole
from utils.datasets.contract import Roles
from utils.errors import SettingsError
from utils.features.flows import FlowFeatures
from utils.settings import SEED

Options = Mapping[str, Any]
Make = Callable[[int, int], Any]
FEATURES, CLASSIFIER = "features", "classifier"
TREES: Options = {"scale": None, "log": False, "nominal": "native", "dtype": "float32"}
ONE_HOT: Options = {"scale": None, "log": False, "dtype": "float32"}
BOOSTED: Options = {**TREES, "missing": "keep"}
STANDARD: Options = {"scale": "standard"}
RANKS: Options = {"scale": "quantile"}
WORDS: Mapping[str, str] = MappingProxyType(
    {
        repr(dict(TREES)): "as they are, codes of categories",
        repr(dict(ONE_HOT)): "as they are, one-hot",
        repr(dict(BOOSTED)): "as they are, codes of categories, missing values kept",
        repr(dict(STANDARD)): "logarithms of heavy tails, standardised, one-hot",
        repr(dict(RANKS)): "ranks in 0..1, one-hot",
    }
)
DUMMY = "dummy"


@dataclass(frozen=True)
class Choice:
    """One classifier and what belongs to it.

    Attributes:
        name: what it is called in tables and calls.
        make: makes an unfitted scikit-learn classifier from a seed and a number of threads.
        features: options of :class:`utils.features.flows.FlowFeatures`.
        space: what can be tuned, by the names of the classifier's parameters.
        description: what it does, in one line.
        source: where the method comes from.
        published: whether it is one of the thirteen of the earlier comparison.
        f1: weighted F1 on cluster labels that was published there (10 folds, 3 repeats).
        most_rows: most rows that it learns from, drawn with the classes' shares; ``None`` for all.
        weights: whether it takes weights of rows.
    """

    name: str
    make: Make
    features: Options
    space: Space = field(repr=False)
    description: str
    source: str
    published: bool = False
    f1: float | None = None
    most_rows: int | None = None
    weights: bool = True

    @property
    def preprocessing(self) -> str:
        """What becomes of the columns, in words."""
        return WORDS[repr(dict(self.features))]

    def classifier(self, seed: int = SEED, threads: int = 1, **parameters: Any) -> Any:  # noqa: ANN401 - a classifier
        """Make the classifier with some of its parameters set otherwise.

        Raises:
            SettingsError: if it has no such parameter.
        """
        made = self.make(seed, threads)
        unknown = sorted(set(parameters) - set(made.get_params()))
        if unknown:
            known = ", ".join(sorted(made.get_params(deep=False)))
            raise SettingsError(f"{self.name} must have the parameters given, found {', '.join(unknown)}: use {known}")
        return made.set_params(**parameters)


def choice(name: str) -> Choice:
    """Look up a classifier by its name.

    Raises:
        SettingsError: if there is none of that name.
    """
    if name not in ZOO:
        raise SettingsError(f"a classifier must be one of {', '.join(ZOO)}, found {name!r}: choose one of them")
    return ZOO[name]


def pipeline(
    name: str,
    seed: int = SEED,
    threads: int = 1,
    *,
    roles: Roles | None = None,
    columns: Sequence[str] | None = None,
    **parameters: Any,  # noqa: ANN401 - parameters of a classifier
) -> Pipeline:
    """Make an unfitted pipeline that reads columns of a polars frame by their names.

    Args:
        name: of the classifier.
        seed: of everything that it draws.
        threads: that it may start; gradient boosting on histograms takes what
            :func:`utils.compute.threads.limited` leaves.
        roles: what the columns mean; its features are read.
        columns: names of the columns to read instead; without both, all columns are read.
        **parameters: of the classifier, such as ``n_estimators=50``.

    Returns:
        Steps ``features`` and ``classifier``; weights go in as ``fit(X, y, classifier__sample_weight=weight)``.

    Raises:
        SettingsError: if there is no such classifier or parameter.
    """
    chosen = choice(name)
    features = FlowFeatures(roles, columns=None if columns is None else list(columns), **chosen.features)
    return Pipeline([(FEATURES, features), (CLASSIFIER, chosen.classifier(seed, threads, **parameters))])


def table() -> pl.DataFrame:
    """The classifiers as a table.

    Returns:
        One row a classifier: ``model``, ``what it does``, ``columns become``, ``most rows`` (null for all),
        ``tuned`` (number of parameters of its space), ``published F1``, ``source``.
    """
    rows = [
        (each.name, each.description, each.preprocessing, each.most_rows, len(each.space), each.f1, each.source)
        for each in ZOO.values()
    ]
    schema = {"model": pl.String, "what it does": pl.String, "columns become": pl.String, "most rows": pl.Int64}
    rest = {"tuned": pl.Int64, "published F1": pl.Float64, "source": pl.String}
    return pl.DataFrame(rows, schema=schema | rest, orient="row")


def _bagging(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import BaggingClassifier

    # Its jobs are processes, not threads: starting them costs more than the trees.
    return BaggingClassifier(n_estimators=50, random_state=seed)


def _random_forest(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=100, n_jobs=threads, random_state=seed)


def _xgboost(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.boosted import BoostedTrees

    return BoostedTrees(n_estimators=200, learning_rate=0.1, max_depth=6, n_jobs=threads, random_state=seed)


def _extra_trees(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(n_estimators=100, max_features=0.3, n_jobs=threads, random_state=seed)


def _nearest_neighbours(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.adapters import BoundedNeighbours

    return BoundedNeighbours(n_neighbors=5, weights="distance", n_jobs=threads)


def _decision_tree(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(min_samples_leaf=2, random_state=seed)


def _gradient_boosting(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=100, max_depth=4, subsample=0.5, max_features=0.3, random_state=seed)


def _gaussian_nb(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(var_smoothing=1e-3)


def _logistic_regression(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=300, random_state=seed)


def _svc(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.adapters import BoundedVectors

    return BoundedVectors(C=10.0, random_state=seed)


def _adaboost(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    return AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=50, random_state=seed)


def _multinomial_nb(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.naive_bayes import MultinomialNB

    return MultinomialNB()


def _bernoulli_nb(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.adapters import BinnedBernoulli

    return BinnedBernoulli()


def _dummy(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


def _hist_gradient_boosting(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=False, random_state=seed)


def _lightgbm(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from lightgbm import LGBMClassifier

    fixed: dict[str, Any] = {"deterministic": True, "force_row_wise": True, "verbose": -1}
    return LGBMClassifier(
        n_estimators=400, learning_rate=0.05, colsample_bytree=0.5, n_jobs=threads, random_state=seed, **fixed
    )


def _dense_network(seed: int, threads: int) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.dense import DenseClassifier

    return DenseClassifier(seed=seed)


FOREST_SPACE: Space = {
    "n_estimators": Whole(50, 400, log=True),
    "max_features": Real(0.1, 1.0),
    "min_samples_leaf": Whole(1, 10, log=True),
    "max_depth": OneOf((None, 8, 16, 32)),
    "criterion": OneOf(("gini", "entropy")),
}
_CHOICES = (
    Choice(
        "bagging",
        _bagging,
        TREES,
        {
            "n_estimators": Whole(20, 100, log=True),
            "max_samples": Real(0.3, 1.0),
            "max_features": Real(0.3, 1.0),
            "bootstrap": OneOf((True, False)),
        },
        "votes of 50 full trees, each grown on rows drawn with replacement",
        "Breiman, Machine Learning 1996",
        published=True,
        f1=0.9931,
    ),
    Choice(
        "random forest",
        _random_forest,
        TREES,
        FOREST_SPACE,
        "votes of 100 full trees that see some of the columns at each split",
        "Breiman, Machine Learning 2001",
        published=True,
        f1=0.9929,
    ),
    Choice(
        "xgboost",
        _xgboost,
        BOOSTED,
        {
            "n_estimators": Whole(50, 500, log=True),
            "learning_rate": Real(0.02, 0.3, log=True),
            "max_depth": Whole(3, 12),
            "subsample": Real(0.5, 1.0),
            "colsample_bytree": Real(0.3, 1.0),
            "min_child_weight": Real(0.5, 10.0, log=True),
            "reg_lambda": Real(1e-3, 10.0, log=True),
        },
        "200 trees of depth 6, each correcting those before it by gradients and curvature",
        "Chen and Guestrin, KDD 2016",
        published=True,
        f1=0.9923,
    ),
    Choice(
        "extra trees",
        _extra_trees,
        TREES,
        FOREST_SPACE,
        "votes of 100 full trees that draw their cuts at random",
        "Geurts, Ernst and Wehenkel, Machine Learning 2006",
        published=True,
        f1=0.9920,
    ),
    Choice(
        "nearest neighbours",
        _nearest_neighbours,
        STANDARD,
        {
            "n_neighbors": Whole(1, 30, log=True),
            "weights": OneOf(("uniform", "distance")),
            "p": OneOf((1, 2)),
        },
        "votes of the 5 nearest rows, the nearer the more, among at most 8,000 rows",
        "Cover and Hart, IEEE Transactions on Information Theory 1967",
        published=True,
        f1=0.9904,
        most_rows=8_000,
        weights=False,
    ),
    Choice(
        "decision tree",
        _decision_tree,
        TREES,
        {
            "max_depth": OneOf((None, 5, 10, 20, 40)),
            "min_samples_leaf": Whole(1, 20, log=True),
            "criterion": OneOf(("gini", "entropy")),
            "ccp_alpha": Real(1e-6, 1e-2, log=True),
        },
        "one tree with at least 2 rows a leaf",
        "Breiman, Friedman, Olshen and Stone, 1984",
        published=True,
        f1=0.9342,
    ),
    Choice(
        "gradient boosting",
        _gradient_boosting,
        ONE_HOT,
        {
            "n_estimators": Whole(50, 300, log=True),
            "learning_rate": Real(0.02, 0.3, log=True),
            "max_depth": Whole(2, 8),
            "subsample": Real(0.4, 1.0),
            "max_features": Real(0.1, 1.0),
        },
        "100 trees of depth 4 on halves of the rows, each correcting those before it",
        "Friedman, Annals of Statistics 2001; Computational Statistics and Data Analysis 2002 (halves)",
        published=True,
        f1=0.8799,
    ),
    Choice(
        "gaussian nb",
        _gaussian_nb,
        RANKS,
        {"var_smoothing": Real(1e-9, 1e-1, log=True)},
        "columns as independent normal distributions a class",
        "Hand and Yu, International Statistical Review 2001",
        published=True,
        f1=0.8011,
    ),
    Choice(
        "logistic regression",
        _logistic_regression,
        STANDARD,
        {"C": Real(1e-3, 1e2, log=True), "class_weight": OneOf((None, "balanced"))},
        "one weight a column, and their sum through a logistic curve",
        "Cox, Journal of the Royal Statistical Society B 1958",
        published=True,
        f1=0.7432,
    ),
    Choice(
        "svc",
        _svc,
        STANDARD,
        {"C": Real(0.1, 1e3, log=True), "gamma": Real(1e-4, 1.0, log=True)},
        "the widest margin under a Gaussian kernel, learned from at most 4,000 rows",
        "Cortes and Vapnik, Machine Learning 1995",
        published=True,
        f1=0.5853,
        most_rows=4_000,
    ),
    Choice(
        "adaboost",
        _adaboost,
        ONE_HOT,
        {
            "n_estimators": Whole(20, 200, log=True),
            "learning_rate": Real(0.05, 2.0, log=True),
            "estimator__max_depth": Whole(1, 8),
        },
        "50 trees of depth 3, each on the rows that those before it got wrong",
        "Freund and Schapire, 1997; Hastie, Rosset, Zhu and Zou, 2009 (several classes)",
        published=True,
        f1=0.3392,
    ),
    Choice(
        "multinomial nb",
        _multinomial_nb,
        RANKS,
        {"alpha": Real(1e-3, 10.0, log=True), "fit_prior": OneOf((True, False))},
        "columns as shares of one whole a class",
        "McCallum and Nigam, AAAI workshop 1998",
        published=True,
        f1=0.3076,
    ),
    Choice(
        "bernoulli nb",
        _bernoulli_nb,
        RANKS,
        {"bins": Whole(2, 20), "alpha": Real(1e-3, 10.0, log=True)},
        "columns in 10 bins, each filled independently of the others a class",
        "McCallum and Nigam, AAAI workshop 1998",
        published=True,
        f1=0.1195,
    ),
    Choice(DUMMY, _dummy, TREES, {}, "the most frequent class, whatever the row", "what every other must beat"),
    Choice(
        "hist gradient boosting",
        _hist_gradient_boosting,
        BOOSTED,
        {
            "max_iter": Whole(50, 400, log=True),
            "learning_rate": Real(0.02, 0.3, log=True),
            "max_leaf_nodes": Whole(8, 128, log=True),
            "min_samples_leaf": Whole(2, 50, log=True),
            "l2_regularization": Real(1e-3, 10.0, log=True),
            "max_features": Real(0.2, 1.0),
        },
        "100 trees of 31 leaves on columns in 255 bins",
        "Ke et al., NeurIPS 2017, in scikit-learn's form",
    ),
    Choice(
        "lightgbm",
        _lightgbm,
        BOOSTED,
        {
            "n_estimators": Whole(100, 800, log=True),
            "learning_rate": Real(0.01, 0.2, log=True),
            "num_leaves": Whole(8, 128, log=True),
            "min_child_samples": Whole(2, 50, log=True),
            "colsample_bytree": Real(0.2, 1.0),
            "reg_lambda": Real(1e-3, 10.0, log=True),
        },
        "400 trees of 31 leaves, each on half of the columns",
        "Ke et al., NeurIPS 2017",
    ),
    Choice(
        "dense network",
        _dense_network,
        STANDARD,
        {
            "sizes": OneOf(((64,), (128, 64), (256, 128), (128, 128, 64))),
            "learning_rate": Real(3e-4, 1e-2, log=True),
            "batch": OneOf((128, 256, 512)),
            "epochs": Whole(10, 80, log=True),
        },
        "two rectified layers of 128 and 64 units, stopped early",
        "Rumelhart, Hinton and Williams, Nature 1986; see utils.classifiers.dense",
    ),
)
ZOO: Mapping[str, Choice] = MappingProxyType({each.name: each for each in _CHOICES})
"""All classifiers by name, the thirteen of the earlier comparison first and in its order."""

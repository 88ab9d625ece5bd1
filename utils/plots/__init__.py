"""Functions that return plotly figures in the house style; none of them shows, prints or saves anything."""

from utils.plots.clusters import (
    cluster_composition,
    evidence_map,
    explained_bars,
    feature_space,
    k_distance_curve,
    sweep_map,
)
from utils.plots.detectors import detector_scoreboard, learned_from_whom, reason_bars, recall_map, score_groups
from utils.plots.evaluation import (
    alarm_rates,
    chosen_where,
    confusion_matrix,
    precision_recall,
    roc,
    rule_scoreboard,
    score_distribution,
    threshold_curve,
)
from utils.plots.explanations import (
    beeswarm,
    dependence_plot,
    importance_bars,
    mistakes_plot,
    slice_bars,
    waterfall,
)
from utils.plots.exploration import audit_map, balance, correlation_map, distributions
from utils.plots.features import correlation_groups, log_effect, most_informative, signal_map, stability_bars
from utils.plots.portrait import portraits
from utils.plots.static import svg
from utils.plots.style import use_house_style

__all__ = [
    "alarm_rates",
    "audit_map",
    "balance",
    "beeswarm",
    "chosen_where",
    "cluster_composition",
    "confusion_matrix",
    "correlation_groups",
    "correlation_map",
    "dependence_plot",
    "detector_scoreboard",
    "distributions",
    "evidence_map",
    "explained_bars",
    "feature_space",
    "importance_bars",
    "k_distance_curve",
    "learned_from_whom",
    "log_effect",
    "mistakes_plot",
    "most_informative",
    "portraits",
    "precision_recall",
    "reason_bars",
    "recall_map",
    "roc",
    "rule_scoreboard",
    "score_distribution",
    "score_groups",
    "signal_map",
    "slice_bars",
    "stability_bars",
    "svg",
    "sweep_map",
    "threshold_curve",
    "use_house_style",
    "waterfall",
]

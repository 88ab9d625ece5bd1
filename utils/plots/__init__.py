"""Functions that return plotly figures in the house style; none of them shows, prints or saves anything."""

from utils.plots.classifiers import imbalance_comparison, model_scoreboard, score_against_cost
from utils.plots.clusters import (
    cluster_composition,
    evidence_map,
    explained_bars,
    feature_space,
    k_distance_curve,
    sweep_map,
)
from utils.plots.detectors import detector_scoreboard, learned_from_whom, reason_bars, recall_map, score_groups
from utils.plots.drift import drift_columns, drift_power, drift_shifts
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
from utils.plots.leaderboard import leaderboard_costs, leaderboard_history, leaderboard_scores
from utils.plots.log_training import budget_curve, training_curve, work_done_once
from utils.plots.log_trials import detector_f1, draw_spread, protocol_f1, recall_by_type, truncation
from utils.plots.portrait import portraits
from utils.plots.serving import waiting_times
from utils.plots.sessions import counts_difference, session_picture
from utils.plots.static import svg
from utils.plots.style import use_house_style
from utils.plots.traffic import (
    binned,
    edge_cloud,
    frequencies,
    frequency_map,
    graph_timeline,
    host_graph,
    host_layout,
    score_timeline,
    volume_histograms,
)
from utils.plots.tuning import (
    calibration_curve,
    default_against_tuned,
    natural_shares,
    parameter_importance,
    search_history,
    threshold_choices,
)

__all__ = [
    "alarm_rates",
    "audit_map",
    "balance",
    "beeswarm",
    "binned",
    "budget_curve",
    "calibration_curve",
    "chosen_where",
    "cluster_composition",
    "confusion_matrix",
    "correlation_groups",
    "correlation_map",
    "counts_difference",
    "default_against_tuned",
    "dependence_plot",
    "detector_f1",
    "detector_scoreboard",
    "distributions",
    "draw_spread",
    "drift_columns",
    "drift_power",
    "drift_shifts",
    "edge_cloud",
    "evidence_map",
    "explained_bars",
    "feature_space",
    "frequencies",
    "frequency_map",
    "graph_timeline",
    "host_graph",
    "host_layout",
    "imbalance_comparison",
    "importance_bars",
    "k_distance_curve",
    "leaderboard_costs",
    "leaderboard_history",
    "leaderboard_scores",
    "learned_from_whom",
    "log_effect",
    "mistakes_plot",
    "model_scoreboard",
    "most_informative",
    "natural_shares",
    "parameter_importance",
    "portraits",
    "precision_recall",
    "protocol_f1",
    "reason_bars",
    "recall_by_type",
    "recall_map",
    "roc",
    "rule_scoreboard",
    "score_against_cost",
    "score_distribution",
    "score_groups",
    "score_timeline",
    "search_history",
    "session_picture",
    "signal_map",
    "slice_bars",
    "stability_bars",
    "svg",
    "sweep_map",
    "threshold_choices",
    "threshold_curve",
    "training_curve",
    "truncation",
    "use_house_style",
    "volume_histograms",
    "waiting_times",
    "waterfall",
    "work_done_once",
]

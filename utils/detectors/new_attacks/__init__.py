"""What detectors do with attacks of kinds that they have never seen: three protocols, the same for every table.

| protocol | learned from | judged by | needs |
|---|---|---|---|
| :func:`later_days` | the earlier days | the later days, with whatever attacks they bring | labels, times |
| :func:`left_out_families` | all kinds of attack but one | that kind, other normal rows | labels, kinds |
| :func:`ranked` | all rows, fold by fold | nothing: an order to look at | neither |

Detectors that learn from labels, from normal rows alone, and from both stand side by side. A score becomes a conformal
p-value against normal rows of training that its model has not seen, and a row raises an alarm if its p-value is at most
the nominal alarm rate. The real rate is the share of the normal test rows that raise one: the two differ where normal
traffic has changed, so both are told, and :func:`alarm_budget` learns from the earlier days how far they part.

Rows of one group (exact twins, sessions) stand on one side of every division that calibrates, and count as one piece of
evidence in every interval (effective size of Kish, 1965).

Sources:
    Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
    Genovese, Roeder and Wasserman, "False discovery control with p-value weighting", Biometrika 93 (2006).
"""

from utils.detectors.new_attacks.judging import NewAttacks
from utils.detectors.new_attacks.learning import Learned, Recipe, SharedBudget, learn
from utils.detectors.new_attacks.protocols import AlarmBudget, alarm_budget, later_days, left_out_families, ranked
from utils.detectors.new_attacks.rows import possible, rows_of, split_by_days

__all__ = [
    "AlarmBudget",
    "Learned",
    "NewAttacks",
    "Recipe",
    "SharedBudget",
    "alarm_budget",
    "later_days",
    "learn",
    "left_out_families",
    "possible",
    "ranked",
    "rows_of",
    "split_by_days",
]

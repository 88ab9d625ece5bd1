"""Numbered leak checks: what is wrong with a data set, how bad it is, what shows it, and what to do.

```python
from utils import audit, datasets

audit.table(audit.check(datasets.load("cicids2017")))
```

| code | looks for | source of the idea |
|---|---|---|
| A001 | one feature alone separates the classes | Kaufman et al. 2012; Arp et al. 2022 |
| A002 | a column is an identity, an address, a port or a time | D'hooge et al. 2022; Arp et al. 2022 |
| A003 | exact twins across a split | Barz and Denzler 2020; Kapoor and Narayanan 2023; Landauer et al. 2024 |
| A004 | the same group on both sides of a split | Kapoor and Narayanan 2023 |
| A005 | train and test overlap in time, or a class has a time of its own | Pendlebury et al. 2019; skore SKD013 |
| A006 | features computed over train and test together | Kapoor and Narayanan 2023; Arp et al. 2022 |
| A007 | constant or mostly missing features | Breck et al. 2019 |
| A008 | equal rows with different labels | Engelen et al. 2021; Northcutt et al. 2021 |
| A009 | sessions cut off by the end of the log | Le and Zhang 2022; Landauer et al. 2024 |
| A010 | the label follows from a rule or a cluster | Kaufman et al. 2012; Kapoor and Narayanan 2023 |
| A011 | the threshold was fitted on the test labels | Arp et al. 2022; Kim et al. 2022 |
| A012 | the share of anomalies is far from deployment | Axelsson 2000; Pendlebury et al. 2019 |
| A013 | columns made from the label | Kaufman et al. 2012; Tavallaee et al. 2009 |
| A014 | missing labels, or one class only | Arp et al. 2022 |
| A015 | rows that repeat each other within a part | Tavallaee et al. 2009 |

``check`` runs all but A011 and the proof of A006, which need scores or a transformer; A000 reports a check that could
not run. Severity says what the flaw would do to a result if the column or the rows were used as they are: *high* makes
the result worthless, *medium* makes it better than it is, *low* is good to know. ``handled`` says that the roles of the
data set already keep the flaw out. Only columns that are the label by another name are graded more mildly (medium)
where they are withheld, because every labelled data set has some.

Every check is also a function of plain tables (``CHECKS["A003"].function``). :func:`admitted_tables` is the audit as a
gate: processed tables with an open finding of severity high are left out.
"""

from utils.audit.checks import CHECKS, Check, check
from utils.audit.columns import (
    computed_over_all_rows,
    identity_columns,
    label_from_cluster,
    label_is_a_rule,
    label_made_columns,
    single_feature_separates,
    uninformative_columns,
)
from utils.audit.finding import Finding, table
from utils.audit.gate import admit, admitted_tables, refused
from utils.audit.labels import NATURAL_SHARES, NaturalShare, class_share, gaps
from utils.audit.rows import conflicting_twins, expected_twin_share, repeats_within_part, twins_across_split
from utils.audit.sequences import truncated_sessions
from utils.audit.splits import (
    anomalies_in_own_time,
    fitted_on_all,
    groups_across_split,
    test_fitted_threshold,
    time_overlap,
)
from utils.audit.survey import results, survey, verdicts
from utils.evaluation.baselines import f1_ceiling

__all__ = [
    "CHECKS",
    "NATURAL_SHARES",
    "Check",
    "Finding",
    "NaturalShare",
    "admit",
    "admitted_tables",
    "anomalies_in_own_time",
    "check",
    "class_share",
    "computed_over_all_rows",
    "conflicting_twins",
    "expected_twin_share",
    "f1_ceiling",
    "fitted_on_all",
    "gaps",
    "groups_across_split",
    "identity_columns",
    "label_from_cluster",
    "label_is_a_rule",
    "label_made_columns",
    "refused",
    "repeats_within_part",
    "results",
    "single_feature_separates",
    "survey",
    "table",
    "test_fitted_threshold",
    "time_overlap",
    "truncated_sessions",
    "twins_across_split",
    "uninformative_columns",
    "verdicts",
]

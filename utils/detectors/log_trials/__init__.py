"""Protocols that judge detectors of log sessions which learn from normal sessions only.

```python
from utils import settings
from utils.detectors import log_trials

bench = log_trials.Bench(settings.budget("full"))
for name, sessions in log_trials.labelled(processed).items():
    log_trials.standard(sessions, bench).board
    log_trials.draws(sessions, bench).board
log_trials.truncated(data["hdfs"]["blocks"], bench).beside
```

| module | what |
|---|---|
| :mod:`.tables` | labelled sessions, distinct, with their numbers on both sides |
| :mod:`.candidates` | the detectors and their thresholds; :class:`Bench` fits each once |
| :mod:`.standard_split` | the split of the table |
| :mod:`.random_draws` | other draws of training sessions |
| :mod:`.truncated_log` | sessions of a log that was cut off, beside the highest F1 that can be reached |
| :mod:`.kinds` | recall of each kind of anomaly |
| :mod:`.label_quirks` | what bounds every score |
| :mod:`.published` | numbers of others |
"""

from utils.detectors.log_trials.candidates import NETWORK_RATE, Bench, Fitted
from utils.detectors.log_trials.kinds import PerType, per_type
from utils.detectors.log_trials.label_quirks import quirks
from utils.detectors.log_trials.random_draws import Draws, draws
from utils.detectors.log_trials.standard_split import Standard, standard
from utils.detectors.log_trials.tables import Sessions, distinct, labelled
from utils.detectors.log_trials.truncated_log import Truncated, truncated

__all__ = [
    "NETWORK_RATE", "Bench", "Draws", "Fitted", "PerType", "Sessions", "Standard", "Truncated", "distinct", "draws",
    "labelled", "per_type", "quirks", "standard", "truncated",
]  # fmt: skip

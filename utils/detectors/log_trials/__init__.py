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
| :mod:`.standard` | the split of the table |
| :mod:`.draws` | other draws of training sessions |
| :mod:`.truncated` | sessions of a log that was cut off, beside the highest F1 that can be reached |
| :mod:`.per_type` | recall of each kind of anomaly |
| :mod:`.quirks` | what bounds every score |
| :mod:`.published` | numbers of others |
"""

from utils.detectors.log_trials.candidates import Bench, Fitted
from utils.detectors.log_trials.draws import Draws, draws
from utils.detectors.log_trials.per_type import PerType, per_type
from utils.detectors.log_trials.quirks import quirks
from utils.detectors.log_trials.standard import Standard, standard
from utils.detectors.log_trials.tables import Sessions, distinct, labelled
from utils.detectors.log_trials.truncated import Truncated, truncated

__all__ = [
    "Bench", "Draws", "Fitted", "PerType", "Sessions", "Standard", "Truncated", "distinct", "draws", "labelled",
    "per_type", "quirks", "standard", "truncated",
]  # fmt: skip

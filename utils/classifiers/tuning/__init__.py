"""Search of parameters: what is tried, on which folds, and how much is gained before anybody looks at test rows.

```python
from utils.classifiers.tuning import best_pipeline, tune
from utils.classifiers.zoo import ZOO

found = tune(train, labels, ZOO["lightgbm"], trials=20, storage="studies.journal")
found.history(), found.importance(), found.parameters
best_pipeline(found, ZOO["lightgbm"]).fit(train, labels)
```

| module | what |
|---|---|
| :mod:`.search` | the public face: :func:`tune` and what it found |
| :mod:`.side_by_side` | several ways of searching with the same number of fits |
| :mod:`.studies` | a study from its first trial to its last, by one worker or several |
| :mod:`.trying` | the loop of a worker: take a place, try its point, note what came out |
| :mod:`.trials` | a point on the folds |
| :mod:`.storages` | where studies are kept: journal file, PostgreSQL, memory |
| :mod:`.leases` | who works on which trial; lost trials go back |
| :mod:`.tasks` | what the workers of a study must know, in files |
| :mod:`.crew` | worker processes of this machine |
| :mod:`.worker` | the command of a worker, and the table of studies |
| :mod:`.plans` | which point is tried next |
| :mod:`.folds` | features computed once for all trials |
| :mod:`.targets` | labels, folds and metrics |
"""

from utils.classifiers.tuning.folds import Folds, Tunable, pipeline_of
from utils.classifiers.tuning.plans import METHODS, STAGES
from utils.classifiers.tuning.search import Tuned, best_pipeline, share_folds, tune
from utils.classifiers.tuning.side_by_side import SideBySide, side_by_side
from utils.classifiers.tuning.studies import Progress
from utils.classifiers.tuning.targets import OF_CLASSES, Target, target

__all__ = [
    "METHODS",
    "OF_CLASSES",
    "STAGES",
    "Folds",
    "Progress",
    "SideBySide",
    "Target",
    "Tunable",
    "Tuned",
    "best_pipeline",
    "pipeline_of",
    "share_folds",
    "side_by_side",
    "target",
    "tune",
]

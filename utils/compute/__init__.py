"""Where heavy work is done: here, in processes of this machine or on a Dask cluster; the results are the same.

```python
from utils.compute import each

judged = each(judge_fold, [(task, fold) for fold in task.folds], workers=2)
```

``ANOMALY_COMPUTE`` says where: ``local`` (default) or the address of a Dask scheduler. Nothing of Dask is imported, and
nothing is paid for it, unless a scheduler is named. ``docs/cluster.md`` says how to start a cluster.
"""

from utils.compute.jobs import Told, backend, disconnect, each, teller

__all__ = ["Told", "backend", "disconnect", "each", "teller"]

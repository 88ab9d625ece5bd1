r"""Raw logs that are larger than memory: parsed part by part, gathered into sessions share by share.

```python
from utils.features import log_parts

log = log_parts.parse_log("HDFS.log", "data/processed/hdfs_lines", r"blk_-?\d+")
log.templates, log.sessions().collect(engine="streaming"), log.distinct().collect()
```

The result is that of :func:`utils.features.log_templates.read_sessions`, which holds the file in memory.
"""

from utils.features.log_parts.division import Part, divide
from utils.features.log_parts.grouping import distinct_part, sessions_part
from utils.features.log_parts.log import ParsedLog, open_log, parse_log
from utils.features.log_parts.parsing import Piece, parse_part

__all__ = [
    "ParsedLog",
    "Part",
    "Piece",
    "distinct_part",
    "divide",
    "open_log",
    "parse_log",
    "parse_part",
    "sessions_part",
]

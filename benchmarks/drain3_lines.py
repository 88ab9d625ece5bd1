"""Feed a file to drain3 line by line; run by the Python that has drain3, see ``benchmarks.peers``.

``python drain3_lines.py FILE plain|masked [IDENTIFIER]`` prints JSON: CPU seconds from the file to templates (and
sessions), the cluster of each line, and with an identifier the number of events of each session in order of appearance.
"""

import json
import re
import sys
import time
from importlib import import_module
from pathlib import Path

EDGES = r"((?<=[^A-Za-z0-9])|^)(%s)((?=[^A-Za-z0-9])|$)"
MASKS = {
    "ID": r"([0-9a-f]{2,}:){3,}([0-9a-f]{2,})",
    "IP": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
    "HEX": r"0x[a-f0-9A-F]+",
    "NUM": r"[\-\+]?\d+",
}


def main(path: str, masks: str, identifier: str = "") -> None:
    """Parse the file and print what was found."""
    config = import_module("drain3.template_miner_config").TemplateMinerConfig()
    config.profiling_enabled = False
    if masks == "masked":
        instruction = import_module("drain3.masking").MaskingInstruction
        config.masking_instructions = [instruction(EDGES % mask, name) for name, mask in MASKS.items()]
    miner = import_module("drain3").TemplateMiner(config=config)
    name = re.compile(identifier) if identifier else None
    clusters: list[int] = []
    sessions: dict[str, list[int]] = {}
    begin = time.process_time()
    with Path(path).open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            cluster = miner.add_log_message(line.rstrip("\r\n"))["cluster_id"]
            clusters.append(cluster)
            if name:
                for found in dict.fromkeys(name.findall(line)):
                    sessions.setdefault(found, []).append(cluster)
    seconds = time.process_time() - begin
    lengths = {session: len(events) for session, events in sessions.items()}
    print(json.dumps({"seconds": seconds, "clusters": [] if name else clusters, "sessions": lengths}))


if __name__ == "__main__":
    main(*sys.argv[1:])

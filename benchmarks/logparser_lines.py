"""Parse a file with logparser3 and make sessions row by row; run by the Python that has it, see ``benchmarks.peers``.

``python logparser_lines.py FILE IDENTIFIER`` prints JSON: CPU seconds from the file to sessions of template ids, the
number of templates, and the number of events of each session in order of appearance. The parser is its Drain with the
settings of its example for HDFS; the sessions come from a loop over rows with a regular expression, as in loglizer.
"""

import contextlib
import io
import json
import re
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

FORM = "<Date> <Time> <Pid> <Level> <Component>: <Content>"
MASKS = (
    r"blk_(|-)[0-9]+",
    r"(/|)([0-9]+\.){3}[0-9]+(:[0-9]+|)(:|)",
    r"(?<=[^A-Za-z0-9])(\-?\+?\d+)(?=[^A-Za-z0-9])|[0-9]+$",
)
LIKENESS, DEPTH = 0.5, 4


def main(path: str, identifier: str) -> None:
    """Parse the file and print what was found."""
    pandas, drain = import_module("pandas"), import_module("logparser.Drain")
    file = Path(path)
    sessions: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        begin = time.process_time()
        drain.LogParser(
            FORM, indir=str(file.parent), outdir=folder, depth=DEPTH, st=LIKENESS, rex=list(MASKS), keep_para=False
        ).parse(file.name)
        lines = pandas.read_csv(Path(folder) / f"{file.name}_structured.csv", engine="c", na_filter=False)
        for _, line in lines.iterrows():
            for name in dict.fromkeys(re.findall(identifier, line["Content"])):
                sessions.setdefault(name, []).append(line["EventId"])
        seconds = time.process_time() - begin
    lengths = {session: len(events) for session, events in sessions.items()}
    print(json.dumps({"seconds": seconds, "templates": int(lines["EventId"].nunique()), "sessions": lengths}))


if __name__ == "__main__":
    main(*sys.argv[1:])

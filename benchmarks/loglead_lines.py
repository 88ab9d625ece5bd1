"""Parse a file with LogLead and make sessions; run by the Python that has LogLead, see ``benchmarks.peers``.

``python loglead_lines.py FILE tip|pliplom|drain IDENTIFIER`` prints JSON: CPU seconds from the file to sessions of
template ids, the number of templates, and the number of events of each session in order of appearance.
"""

import json
import sys
import time
from importlib import import_module

COLUMNS = ("date", "time", "id", "level", "component", "m_message")


def main(path: str, parser: str, identifier: str) -> None:
    """Parse the file and print what was found."""
    pl = import_module("polars")
    enhancers = import_module("loglead.enhancers")
    import_module("loglead.parsers")  # with what it imports, which is not counted
    begin = time.process_time()
    lines = pl.read_csv(path, has_header=False, infer_schema_length=0, separator="\x01", quote_char=None)
    parts = pl.col("column_1").str.splitn(" ", len(COLUMNS)).struct.rename_fields(COLUMNS)
    enhancer = enhancers.EventLogEnhancer(lines.select(parts.alias("line")).unnest("line"))
    enhancer.mask()
    if parser == "pliplom":
        enhancer.words("e_message_normalized")
    parsed = getattr(enhancer, f"parse_{parser}")()
    names = pl.col("m_message").str.extract_all(identifier).list.unique(maintain_order=True).alias("session")
    event = f"e_event_{parser}_id"
    sessions = (
        parsed.select(names, event)
        .explode("session", empty_as_null=True)
        .drop_nulls()
        .group_by("session", maintain_order=True)
        .agg(event)
    )
    seconds = time.process_time() - begin
    lengths = dict(zip(sessions["session"], sessions[event].list.len(), strict=True))
    print(json.dumps({"seconds": seconds, "templates": parsed[event].n_unique(), "sessions": lengths}))


if __name__ == "__main__":
    main(*sys.argv[1:])

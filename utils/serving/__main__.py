"""``python -m utils.serving``: serve the champions of the registry until Ctrl-C or SIGTERM.

```
python -m utils.serving --port 8000 --models api waf
```
"""

import argparse
import contextlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.console import complain, ended_like_ctrl_c, say
from utils.errors import LabError, SettingsError
from utils.serving.options import HOST, KEY_VARIABLE, PORT, Options, key_from

BACKLOG = 2_048
KEPT_SECONDS = 75
"""Time that a connection is kept open between two requests."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; return the exit code."""
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m utils.serving", description="Serve the champions of the registry.")
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default {HOST}: this machine only)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port, 0 for a free one (default {PORT})")
    parser.add_argument(
        "--models", nargs="+", default=[], help="registered names, in the order of loading (default all)"
    )
    parser.add_argument("--api-key-file", type=Path, help=f"file with the key of clients (default: ${KEY_VARIABLE})")
    parser.add_argument("--most-bytes", type=int, default=usual.most_bytes, help="largest body of a request")
    parser.add_argument("--most-rows", type=int, default=usual.most_rows, help="most rows of a request")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="longest time for one answer")
    parser.add_argument(
        "--watch-seconds", type=float, default=usual.watch_seconds, help="time between looks at the alias"
    )
    given = parser.parse_args(arguments)
    try:
        options = Options(
            host=given.host,
            port=given.port,
            models=tuple(given.models),
            key=key_from(given.api_key_file),
            most_bytes=given.most_bytes,
            most_rows=given.most_rows,
            seconds=given.seconds,
            watch_seconds=given.watch_seconds,
        )
        serve(options)
    except LabError as error:
        complain(str(error))
        return 1
    return 0


def serve(options: Options) -> None:
    """Serve until told to end; what is running then is finished, new requests are refused.

    Raises:
        SettingsError: if the address cannot be listened on.
    """
    with contextlib.closing(_listening(options)) as listening:
        import uvicorn

        from utils.serving.app import create
        from utils.serving.observing import logged_to_stderr
        from utils.tracking.registry import import_skops_lightly

        import_skops_lightly()
        host, port = listening.getsockname()[:2]
        say(f"Serving at http://{f'[{host}]' if ':' in host else host}:{port}")
        config = uvicorn.Config(
            create(options),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=int(options.seconds) + 1,
        )
        with logged_to_stderr(), ended_like_ctrl_c(), contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    say("Stopped.")


def _listening(options: Options) -> socket.socket:
    """A socket on the address of the options.

    Raises:
        SettingsError: if there is no such address or the port is taken.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sends at once only over these
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((options.host, options.port))
        made.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # a host name that no name server could be asked for is a UnicodeError
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        place = f"{options.host}:{options.port}"
        raise SettingsError(f"{place} cannot be listened on ({reason}): name another --host or --port") from None
    return made


if __name__ == "__main__":
    sys.exit(main())

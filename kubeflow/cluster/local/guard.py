"""Ends what a killed run leaves behind: it is told of each process and container, and waits for the run's end.

It is a program of its own, with nothing but the standard library. Each line of its input is
"start TOKEN PGID", "start TOKEN ENGINE NAME" or "end TOKEN"; when the input ends, what was started and not
ended is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys


def main() -> None:
    """Read until the run has ended, however it did."""
    for polite in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(polite, signal.SIG_IGN)
    left: dict[str, list[str]] = {}
    for line in sys.stdin:
        what, token, *who = line.split()
        if what == "start":
            left[token] = who
        else:
            left.pop(token, None)
    # Clients of containers go first: nobody starts anew what is removed then.
    for who in sorted(left.values(), key=len):
        if len(who) == 1:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(who[0]), signal.SIGKILL)
        else:
            subprocess.run([who[0], "rm", "--force", who[1]], capture_output=True, check=False)


if __name__ == "__main__":
    main()

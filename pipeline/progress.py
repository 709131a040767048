"""How the process that does the work tells the terminal what it does: JSON lines on a pipe of their own.

Whatever TensorFlow, Beam and TFX print goes to the log; only what is reported here reaches a person.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, TextIO

_pipe: TextIO | None = None
_last_report = 0.0


def open_pipe(descriptor: int) -> None:
    """Send events to this file descriptor from now on."""
    global _pipe
    _pipe = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")


def send(event: str, **facts: Any) -> None:
    """Send one event; without a pipe, as in a container, nobody listens."""
    if _pipe is not None:
        _pipe.write(json.dumps({"event": event, **facts}, ensure_ascii=False) + "\n")


def report(**facts: Any) -> None:
    """Send how far the running step is, at most ten times a second."""
    global _last_report
    now = time.monotonic()
    if now - _last_report >= 0.1:
        _last_report = now
        send("progress", **facts)

"""Work in a process of its own: it starts to import before there is anything to do, and returns its memory.

A worker gets one JSON line on its standard input, answers with JSON lines, and ends. Its own prints, and
those of the frameworks in it, go to the log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tuning.errors import BadInput

VISIBLE = os.environ.get("CUDA_VISIBLE_DEVICES")  # as this process found it
_PROBE = Path(__file__).parent / "components" / "serving_probe.py"
COMMANDS = {
    "train": [sys.executable, "-m", "pipeline.worker"],
    # Isolated (-I) from the user's environment; what is installed of ours, the probe itself blocks.
    "serve": [sys.executable, "-I", str(_PROBE)],
}
_waiting: dict[str, subprocess.Popen[str]] = {}


def prepare(kind: str, environment: Mapping[str, str] | None = None) -> None:
    """Start a worker ("train" or "serve") that is soon to be used."""
    if kind not in _waiting:
        _waiting[kind] = _start(kind, environment)


def dismiss(kind: str) -> None:
    """End a worker that was prepared and is not needed."""
    process = _waiting.pop(kind, None)
    if process is not None:
        process.kill()
        process.communicate()


def do(
    kind: str, request: Mapping[str, Any], on_event: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """Have a worker do something.

    Args:
        kind: "train" or "serve".
        request: What to do, as JSON has it.
        on_event: Called with each answer before the last.

    Returns:
        The last answer.

    Raises:
        BadInput: The worker said that it was asked for something impossible.
        RuntimeError: The worker said that it failed, or died; the text says why.
    """
    process = _waiting.pop(kind, None) or _start(kind, None)
    answer: dict[str, Any] = {}
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.close()
        for line in process.stdout:
            answer = json.loads(line)
            if not answer.keys() & {"done", "failed"}:
                on_event(answer)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if "failed" in answer:
        raise BadInput(answer["failed"]) if answer.get("bad_input") else RuntimeError(answer["failed"])
    if code or "done" not in answer:
        raise RuntimeError(f"the {kind} process ended early ({_how(code)}); the log has its last words")
    return answer["done"]


def _start(kind: str, environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMANDS[kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ if environment is None else environment),
    )  # fmt: skip


def _how(code: int) -> str:
    if code == -9:
        return "killed, perhaps for its memory"
    return f"signal {-code}" if code < 0 else f"exit code {code}"

"""Runs the production line as people do: by its command, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What `--json` printed."""
        return json.loads(self.out)


def pipeline(cwd: Path, *arguments: object, limit: int = 600, **environment: str) -> Ran:
    """`python -m pipeline ARGUMENTS` in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=limit, env={**os.environ, **environment},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def cached(result: dict[str, Any]) -> set[str]:
    """The steps of a result that came from the cache."""
    return {step["name"] for step in result["steps"] if step["cached"]}

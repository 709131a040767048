"""Compiles, runs and asks as people do with a cluster: by the scripts of `kubeflow/`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from lines import Ran

ROOT = Path(__file__).parents[1]

PLAIN = """
data = "digits"
model = "lenet5"
epochs = 2
min_accuracy = 0.2
"""


def script(name: str, cwd: Path, *arguments: object, limit: int = 900, **environment: str) -> Ran:
    """`python kubeflow/NAME.py ARGUMENTS` in a folder."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "kubeflow" / f"{name}.py"), *map(str, arguments)], cwd=cwd,
        capture_output=True, text=True, timeout=limit, env={**os.environ, **environment},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def compiled(folder: Path, config: str, *arguments: object) -> Ran:
    """`compile.py` on a configuration; its output is pipeline.yaml unless the arguments say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.toml").write_text(config, encoding="utf-8")
    return script("compile", folder, "--config", "run.toml", *arguments)


def documents(file: Path) -> list[dict[str, Any]]:
    """Of a compiled YAML: the pipeline and the platform."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def refused(ran: Ran) -> str:
    """The one sentence of a call that was refused."""
    assert ran.code == 2, ran.out + ran.err
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    return lines[0]

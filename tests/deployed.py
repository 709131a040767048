"""Compiles, runs and asks as people do with a cluster: by the scripts of `kubeflow/`."""

from __future__ import annotations

import json
import os
import sqlite3
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


def epochs(state: Path) -> int:
    """The epochs that a training's checkpoint has behind it; 0 before there is one."""
    try:
        return len(json.loads(state.read_text(encoding="utf-8"))["rows"])
    except (OSError, ValueError, KeyError):
        return 0


def states(store: Path, run: str) -> dict[str, str]:
    """From a metadata store in a file: each node's execution in a run."""
    names = {3: "complete", 4: "failed", 5: "cached", 2: "running"}
    with sqlite3.connect(store) as held:
        rows = held.execute(
            "select n.name, e.last_known_state from Execution e "
            "join Association a on a.execution_id = e.id join Context r on r.id = a.context_id "
            "join Association b on b.execution_id = e.id join Context n on n.id = b.context_id "
            "join Type t on t.id = n.type_id "
            "where r.name = ? and t.name = 'node'", [run],
        ).fetchall()  # fmt: skip
    assert len(rows) == len({name for name, _ in rows}), "a retried step made another execution"
    return {name.rpartition(".")[2]: names[state] for name, state in rows}


def refused(ran: Ran) -> str:
    """The one sentence of a call that was refused."""
    assert ran.code == 2, ran.out + ran.err
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    return lines[0]

"""Tasks as processes here: `python` is this interpreter, /app is this checkout, volumes are folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.local import placeholders
from cluster.local.paths import APP, Paths
from cluster.local.plan import Node
from cluster.local.start import Start

_ROOT = Path(__file__).parents[3]
_PYTHONS = ("python", "python3")


@dataclass(frozen=True)
class Processes:
    """The runner `process`."""

    def start(self, node: Node, paths: Paths, given: Mapping[str, Any], folder: Path, attempt: int) -> Start:
        """How to start a task.

        Args:
            node: The task.
            paths: Where its folders lie here.
            given: Its ExecutorInput, with a pod's paths.
            folder: The task's own folder.
            attempt: Counted from 1.

        Raises:
            ValueError: A placeholder has no value.
        """
        container = node.executor.container
        templates = Paths(((APP, _ROOT), *paths.pairs))
        texts = placeholders.table(paths.here(given))
        argv = [
            placeholders.fill(templates.here(one), texts) for one in (*container.command, *container.args)
        ]
        if argv[0] in _PYTHONS:
            argv[0] = sys.executable
        environment = dict(os.environ)
        environment |= {one.name: templates.here(one.value) for one in container.env}
        environment["PATH"] = os.pathsep.join(
            [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        )
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
        scratch = folder / "scratch"
        for one in (scratch, *(paths.here(empty.path) for empty in node.pod.scratch)):
            Path(one).mkdir(parents=True, exist_ok=True)
        return Start(tuple(argv), environment, scratch, f"{node.name}-{attempt}")

"""Paths as a pod sees them, and where the same files lie on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.local.placeholders import everywhere

RUN = "/kfp/run"
"""Where a pod sees the run's folder: outputs of tasks lie below."""

APP = "/app"
"""Where the image holds this checkout."""


@dataclass(frozen=True)
class Paths:
    """Pairs of a folder as a pod sees it and the folder on this machine."""

    pairs: tuple[tuple[str, Path], ...]

    def here(self, value: Any) -> Any:
        """A value with a pod's paths replaced by this machine's, in all its strings."""
        return _replaced(value, {pod: str(folder) for pod, folder in self.pairs})

    def there(self, value: Any) -> Any:
        """The opposite: what a process wrote, as a pod would have written it."""
        return _replaced(value, {str(folder): pod for pod, folder in self.pairs})


def _replaced(value: Any, table: dict[str, str]) -> Any:
    if not table:
        return value
    longest_first = sorted(table, key=len, reverse=True)
    # Neither the end of a longer path nor the beginning of a longer name.
    pattern = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, longest_first))})(?![\w.-])")
    return everywhere(value, lambda text: pattern.sub(lambda found: table[found[1]], text))


def of_pod(pod: Any, name: str, run_folder: Path, volumes: Mapping[str, Path]) -> Paths:
    """Where the folders of a task's pod lie on this machine.

    Args:
        pod: The `pod.Pod`.
        name: The task's name.
        run_folder: The run's folder.
        volumes: The folder of each PersistentVolumeClaim, by its name.
    """
    claims = [(one.path, volumes[one.name] / one.inside) for one in pod.claims]
    scratch = [(one.path, run_folder / name / "scratch" / one.name) for one in pod.scratch]
    return Paths(((RUN, run_folder), *claims, *scratch))

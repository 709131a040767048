"""TFX's cache keys do not see code behind a component: these hashes put it there."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import keras_cnns
import pipeline
import tuning

PACKAGES = ("keras", "tensorflow", "tfx")


def versions() -> dict[str, str]:
    """Versions that a result depends on, without importing the packages."""
    found = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found, "keras_cnns": keras_cnns.__version__}


def fingerprint(*parts: str) -> str:
    """A hash of the versions and of source files: names below the checkout, files or folders of them.

    Args:
        parts: Such as "keras_cnns" or "pipeline/sources.py".
    """
    homes = {one.__name__: Path(str(one.__file__)).parent for one in (keras_cnns, pipeline, tuning)}
    state = hashlib.blake2b(repr(versions()).encode(), digest_size=12)
    for part in parts:
        package, _, rest = part.partition("/")
        path = homes[package] / rest
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            state.update(f"{part}/{file.name}\0".encode() + file.read_bytes())
    return state.hexdigest()


def git() -> dict[str, Any] | None:
    """Revision of the checkout, and whether it had changes; None where it is no checkout."""
    root = Path(__file__).parent

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {
            "revision": ask("rev-parse", "--short=12", "HEAD"),
            "dirty": bool(ask("status", "--porcelain")),
        }
    except (OSError, subprocess.SubprocessError):
        return None

"""TFX's cache keys do not see code behind a component: these hashes put it there."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

import keras_cnns
import pipeline

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
    homes = {"keras_cnns": Path(keras_cnns.__file__).parent, "pipeline": Path(pipeline.__file__).parent}
    state = hashlib.blake2b(repr(versions()).encode(), digest_size=12)
    for part in parts:
        package, _, rest = part.partition("/")
        path = homes[package] / rest
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            state.update(f"{part}/{file.name}\0".encode() + file.read_bytes())
    return state.hexdigest()

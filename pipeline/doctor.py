"""What this machine can do, and what is missing. Nothing heavy is imported: it answers at once."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

# The line needs these; names as their wheels have them.
PACKAGES = (
    "keras", "tensorflow", "tfx", "tensorflow-model-analysis", "tensorflow-data-validation", "ml-metadata",
    "apache-beam", "tensorflow-datasets", "tensorboard", "pillow", "rich", "scikit-learn", "tomli-w",
)  # fmt: skip
SERVING = ("starlette", "uvicorn")
_GIGABYTE = 1024**3
_LITTLE_DISK, _NO_DISK = 5, 0.5  # gigabytes
_LITTLE_MEMORY = 4
_CURRENT_LANE = (2, 39)  # the glibc that its wheels need


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, such as "compiler".
        state: "ok"; "missing" for what only some uses need; "stops" where the line cannot run.
        found: What is there, in words.
        need: What it is for, where it is missing.
        bring: The command that brings it.
        facts: The same for a machine to read.
    """

    name: str
    state: str
    found: str
    need: str = ""
    bring: str = ""
    facts: Any = None


def examine(place: Path) -> list[Finding]:
    """Look at the machine.

    Args:
        place: Folder in which a run would leave what it makes.
    """
    return [
        _lane(), _packages(), _serving(), _gpus(), _cores(), _memory(), _disk(place), _folder(place),
        _compiler(), _chromium(), _git(),
    ]  # fmt: skip


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether nothing stops the line."""
    return all(one.state != "stops" for one in findings)


def _lane() -> Finding:
    python = platform.python_version()
    glibc = platform.libc_ver()[1]
    version = sys.version_info[:2]
    lane = "everywhere" if version == (3, 10) else "current" if (3, 11) <= version <= (3, 13) else ""
    facts = {"lane": lane or None, "python": python, "glibc": glibc or None, "system": platform.system()}
    if not lane:
        return Finding(
            "lane", "stops", f"Python {python}", "the line runs on Python 3.10 to 3.13",
            "sh scripts/start python -m pipeline doctor", facts,
        )  # fmt: skip
    newer = tuple(int(part) for part in glibc.split(".")[:2] if part.isdigit()) >= _CURRENT_LANE
    other = "; the current lane (KERAS_CNNS_PYTHON=3.13) would run too" if newer else ""
    words = f"{lane}: Python {python}, glibc {glibc or 'unknown'}"
    return Finding("lane", "ok", words + (other if lane == "everywhere" else ""), facts=facts)


def _packages() -> Finding:
    found = _installed(PACKAGES)
    absent = [name for name, version in found.items() if version is None]
    words = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    if absent:
        need = f"the line needs {', '.join(absent)}"
        return Finding("packages", "stops", words or "none", need, "sh scripts/start true", found)
    return Finding("packages", "ok", words, facts=found)


def _serving() -> Finding:
    found = _installed(SERVING)
    words = ", ".join(f"{name} {version}" for name, version in found.items() if version) or "none"
    if None in found.values():
        return Finding("server", "missing", words, "for `serve`", "sh scripts/start true", found)
    return Finding("server", "ok", words, facts=found)


def _installed(names: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _gpus() -> Finding:
    """What nvidia-smi says; TensorFlow, which would take seconds and memory, is not asked."""
    asked = _ask(
        "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"
    )
    gpus: list[dict[str, Any]] = []
    for line in (asked or "").splitlines():
        name, memory, driver = ([part.strip() for part in line.split(",")] + ["", ""])[:3]
        gpus.append({"name": name, "memory_mb": int(memory) if memory.isdigit() else None, "driver": driver})
    if not gpus:
        return Finding("GPUs", "ok", "none: everything runs on the CPU", facts=[])
    words = ", ".join(
        f"{one['name']} ({one['memory_mb'] / 1024:.0f} GB)" if one["memory_mb"] else str(one["name"])
        for one in gpus
    )
    words += f", driver {gpus[0]['driver']}"
    if _installed(("nvidia-cudnn-cu12",))["nvidia-cudnn-cu12"] is None:
        need = "TensorFlow needs the CUDA libraries to use them"
        return Finding("GPUs", "missing", words, need, "KERAS_CNNS_GPU=1 sh scripts/start true", gpus)
    return Finding("GPUs", "ok", words, facts=gpus)


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = _cgroup("cpu.max")
    if granted:
        quota, period = granted.split()[:2]
        usable = min(usable, max(1, int(quota) // int(period))) if quota.isdigit() else usable
    return Finding("CPU", "ok", f"{usable} cores, {platform.machine()}", facts={"cores": usable})


def _memory() -> Finding:
    total, free = _meminfo()
    granted = _cgroup("memory.max")
    if granted and granted.isdigit():
        total, free = min(total, int(granted)), min(free, int(granted))
    facts = {"total_gb": round(total / _GIGABYTE, 1), "free_gb": round(free / _GIGABYTE, 1)}
    words = f"{facts['total_gb']} GB, {facts['free_gb']} GB of it free"
    if free < _LITTLE_MEMORY * _GIGABYTE:
        need = f"a run takes about {_LITTLE_MEMORY} GB: TFX, Beam and TensorFlow in three processes"
        return Finding("memory", "missing", words, need, "end other programs", facts)
    return Finding("memory", "ok", words, facts=facts)


def _meminfo() -> tuple[int, int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total, total
    held = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
    return held["MemTotal"], held.get("MemAvailable", held["MemFree"])


def _cgroup(name: str) -> str | None:
    """What a container may use at most; None where there is no limit to be read."""
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(_existing(place)).free / _GIGABYTE
    facts = {"folder": str(place.absolute()), "free_gb": round(free, 1)}
    words = f"{free:.1f} GB free at {place.absolute()}"
    state = "stops" if free < _NO_DISK else "missing" if free < _LITTLE_DISK else "ok"
    need = "" if state == "ok" else f"runs and models want {_LITTLE_DISK} GB"
    return Finding("disk", state, words, need, "" if state == "ok" else f"df -h {place.absolute()}", facts)


def _folder(place: Path) -> Finding:
    if os.access(_existing(place), os.W_OK):
        return Finding("folder", "ok", f"{place.absolute()} can be written", facts=True)
    words = f"{place.absolute()} cannot be written"
    return Finding("folder", "stops", words, "runs and models are made there", "cd to another folder", False)


def _existing(place: Path) -> Path:
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return place


def _compiler() -> Finding:
    for name in filter(None, (os.environ.get("CXX"), "g++", "c++")):
        said = _ask(name, "--version")
        if said:
            return Finding("compiler", "ok", said.splitlines()[0], facts=said.splitlines()[0])
    need = "to install pyfarmhash, which has no wheel, when the lock changes"
    return Finding("compiler", "missing", "no C++ compiler", need, _apt("g++"))


def _chromium() -> Finding:
    for name in ("chromium", "/usr/bin/chromium"):
        said = _ask(name, "--version")
        if said:
            return Finding("chromium", "ok", said.strip(), facts=said.strip())
    return Finding(
        "chromium", "missing", "not here", "for the tests of pages, nothing else", _apt("chromium")
    )


def _git() -> Finding:
    said = _ask("git", "--version")
    if said:
        return Finding("git", "ok", said.strip(), facts=said.strip())
    return Finding("git", "missing", "not here", "for the revision that a report names", _apt("git"))


def _apt(package: str) -> str:
    sudo = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("apt-get"):
        return f"{sudo}apt-get install -y {package}"
    return f"install the package that Debian calls {package}"


def _ask(*command: str) -> str | None:
    """What a command prints; None where it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

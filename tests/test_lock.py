"""The locks hold what pyproject.toml asks for, on both lanes, hashed and without addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
CPU, GPU = "requirements.lock", "requirements-gpu.lock"
EXTRAS = {
    CPU: ("pipeline", "tuning", "kubeflow", "dev"),
    GPU: ("pipeline", "tuning", "kubeflow", "dev", "gpu"),
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# The lanes' own versions, seen to work together; any other version is a decision (docs/decisions/0001).
LANES = {
    "3.10": {
        "tfx": "1.16.0", "tensorflow": "2.16.2", "keras": "3.12.4", "tensorflow-model-analysis": "0.47.1",
        "tensorflow-data-validation": "1.16.1", "ml-metadata": "1.16.0", "apache-beam": "2.74.0",
        "protobuf": "3.20.3", "numpy": "1.26.4", "kfp": "2.5.0",
    },
    "3.13": {
        "tfx": "1.21.0", "tensorflow": "2.21.0", "keras": "3.15.1", "tensorflow-model-analysis": "0.52.0",
        "tensorflow-data-validation": "1.21.0", "ml-metadata": "1.21.0", "apache-beam": "2.77.0",
        "protobuf": "6.33.6", "numpy": "2.4.6",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    marker: Marker | None
    hashes: int

    def holds_on(self, python: str) -> bool:
        return self.marker is None or self.marker.evaluate(machine(python))


def machine(python: str) -> dict[str, str]:
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python, "python_full_version": f"{python}.0", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "sys_platform": "linux", "os_name": "posix",
        "platform_system": "Linux", "platform_machine": "x86_64", "extra": "",
    }  # fmt: skip


def pins(lock: str) -> Iterator[Pin]:
    text = (ROOT / lock).read_text()
    for block in re.split(r"\n(?=\S)", text.strip()):
        requirement = Requirement(block.splitlines()[0].rstrip("\\ "))
        (pinned,) = requirement.specifier
        assert pinned.operator == "==", block
        yield Pin(
            canonicalize_name(requirement.name),
            pinned.version,
            requirement.marker,
            block.count("--hash=sha256:"),
        )


def installed(lock: str, python: str) -> dict[str, str]:
    """What the lock brings on a Linux machine with this Python."""
    found: dict[str, str] = {}
    for pin in pins(lock):
        if pin.holds_on(python):
            assert pin.name not in found, f"{lock} pins {pin.name} twice on Python {python}"
            found[pin.name] = pin.version
    return found


def asked(lock: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == set(EXTRAS[GPU]), "a new extra must enter scripts/lock and this test"
    return [
        Requirement(line)
        for line in project["dependencies"] + [line for e in EXTRAS[lock] for line in extras[e]]
    ]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", [CPU, GPU])
def test_every_requirement_is_pinned(lock: str, python: str) -> None:
    found = installed(lock, python)
    for requirement in asked(lock):
        if requirement.marker is None or requirement.marker.evaluate(machine(python)):
            version = found.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement} is not in {lock}; run: sh scripts/lock"
            assert requirement.specifier.contains(version), (
                f"{requirement} but {version} in {lock}; run: sh scripts/lock"
            )


@pytest.mark.parametrize("lock", [CPU, GPU])
def test_every_pin_has_hashes(lock: str) -> None:
    assert [pin.name for pin in pins(lock) if not pin.hashes] == []


@pytest.mark.parametrize("lock", [CPU, GPU])
def test_locks_hold_no_addresses(lock: str) -> None:
    # Package names may hold "http"; an address has "://", and an index option starts its line.
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_gpu_lock_is_the_other_lock_and_cuda(python: str) -> None:
    cpu, gpu = installed(CPU, python), installed(GPU, python)
    assert {name: gpu.get(name) for name in cpu} == cpu
    assert {name for name in gpu if name not in cpu} >= {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"}
    assert all(name.startswith("nvidia-") for name in gpu if name not in cpu)


@pytest.mark.parametrize("python", LANES)
def test_lanes_are_the_ones_that_were_tried(python: str) -> None:
    found = installed(CPU, python)
    assert {name: found.get(name) for name in LANES[python]} == LANES[python]


def test_checkout_takes_the_lane_that_runs_everywhere() -> None:
    assert (ROOT / ".python-version").read_text() == "3.10\n"

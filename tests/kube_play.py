"""Podman with a store, secrets and a network of its own: `podman kube play` meets nothing else."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As root in a container that lacks CAP_SYS_RESOURCE, limits may only be lowered; `kube play` has no --ulimit.
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""


@dataclass(frozen=True)
class Podman:
    """Podman below a folder, in a network namespace that a process holds open.

    Attributes:
        folder: Where its containers, volumes and secrets lie.
        holder: The process whose network namespace it uses.
    """

    folder: Path
    holder: int

    def here(self, *command: str) -> list[str]:
        """A command as it runs in the pods' network."""
        return ["nsenter", "--net", "--target", str(self.holder), *command]

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run podman and return what it printed; only a build sees the machine's network."""
        at = self.folder
        command = [
            "podman", "--root", f"{at}/root", "--runroot", f"{at}/run", "--tmpdir", f"{at}/tmp",
            "--network-config-dir", f"{at}/networks", "--storage-opt", f"additionalimagestore={images()}",
            *map(str, arguments),
        ]  # fmt: skip
        if arguments[0] != "build":
            command = self.here(*command)
        environment = {**os.environ, "CONTAINERS_CONF": f"{at}/containers.conf"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        """Make a Secret in the form that pods read; podman 4.3 stores those of `kube play` in another."""
        file = self.folder / "secret.json"
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        file.write_text(json.dumps(encoded), encoding="utf-8")
        self.run("secret", "create", name, file)

    def inspect(self, container: str) -> dict[str, Any]:
        """What podman knows of a container."""
        [found] = json.loads(self.run("inspect", container).stdout)
        return found

    def address(self, pod: str) -> str:
        """The address of a pod in its network."""
        infra = json.loads(self.run("pod", "inspect", pod).stdout)["InfraContainerID"]
        [network] = self.inspect(infra)["NetworkSettings"]["Networks"].values()
        return network["IPAddress"]


def images() -> str:
    """The machine's own image store, which is read and never written."""
    done = subprocess.run(
        ["podman", "info", "--format", "{{.Store.GraphRoot}}"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def why_not() -> str | None:
    """What this machine lacks for containers, or None."""
    needed = ("podman", "runc", "nsenter", "unshare", "ip", "iptables")
    missing = [name for name in needed if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if os.geteuid() == 0 else "containers are started as root here"


def has_image(name: str) -> bool:
    """Whether the machine has an image."""
    return subprocess.run(["podman", "image", "exists", name], check=False).returncode == 0


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Podman for the time of a test; what it started ends with it."""
    (folder / "networks").mkdir(parents=True)
    (folder / "containers.conf").write_text(_CONTAINERS, encoding="utf-8")
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as holder:
        made = Podman(folder, holder.pid)
        try:
            own, its = (Path(f"/proc/{process}/ns/net") for process in ("self", holder.pid))
            until(lambda: its.readlink() != own.readlink(), 10)
            subprocess.run(made.here("ip", "link", "set", "lo", "up"), check=True)
            yield made
        finally:
            for what in ("pod", "container", "volume", "secret"):
                every = ["--all"] if what == "secret" else ["--all", "--force"]
                made.run(what, "rm", *every, check=False)
            holder.send_signal(signal.SIGKILL)


def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds, and fail where it does not within some seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not come true within {seconds} s"
        time.sleep(0.2)

"""Tasks as containers of podman or docker, with nothing of this machine mounted but what is theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.local import placeholders
from cluster.local.exchange import OUTPUTS
from cluster.local.paths import RUN, Paths
from cluster.local.plan import Node
from cluster.local.start import Start
from tuning.errors import BadInput

# Where crun does not know the machine's cgroups; then where root may not raise limits (CAP_SYS_RESOURCE).
_RUNC = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
_LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
_PROBED = ("--memory", str(2**28), "--cpus", "0.5")


@dataclass(frozen=True)
class Containers:
    """The runner `podman` or `docker`.

    Attributes:
        engine: podman or docker.
        run: Its name, which begins those of the containers.
        before: Options before `run`.
        after: Options behind it.
        limited: Whether limits of memory and processors can be had.
    """

    engine: str
    run: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    limited: bool

    def start(self, node: Node, paths: Paths, given: Mapping[str, Any], folder: Path, attempt: int) -> Start:
        """How to start a task; the arguments are those of `process.Processes.start`."""
        container, pod = node.executor.container, node.pod
        texts = placeholders.table(given)
        entry, *arguments = (placeholders.fill(one, texts) for one in (*container.command, *container.args))
        name = f"kfp-{self.run}-{node.name}-{attempt}"
        options = ["--rm", "--name", name, "--network", "host", "--entrypoint", entry]
        options += ["--user", pod.user] if pod.user else []
        options += ["--shm-size", str(pod.shared_memory)] if pod.shared_memory else []
        options += self._limits(node)
        for one in container.env:
            options += ["--env", f"{one.name}={one.value}"]
        for secret in pod.secrets:  # by name alone: the value stays out of every list of processes
            options += ["--env", secret.variable] if secret.variable in os.environ else []
        options += self._mounts(node, paths, given, folder)
        argv = [self.engine, *self.before, "run", *self.after, *options, container.image, *arguments]
        return Start(tuple(argv), dict(os.environ), folder, name, self.engine, name)

    def _limits(self, node: Node) -> list[str]:
        executor, options = node.executor, []
        if self.limited and executor.memory:
            options += ["--memory", str(executor.memory)]
        if self.limited and executor.cpus:
            options += ["--cpus", f"{min(executor.cpus, os.cpu_count() or 1):g}"]
        return options

    def _mounts(self, node: Node, paths: Paths, given: Mapping[str, Any], folder: Path) -> list[str]:
        own = f"{RUN}/{node.name}/{OUTPUTS}"
        share(folder / OUTPUTS)
        options = _mount(folder / OUTPUTS, own)
        for several in given["inputs"].get("artifacts", {}).values():
            uri = several["artifacts"][0].get("uri", "")
            if uri.startswith(f"{RUN}/") and Path(paths.here(uri)).exists():
                options += _mount(Path(paths.here(uri)), uri, ",readonly")
        for claim in node.pod.claims:
            options += _mount(Path(paths.here(claim.path)), claim.path)
        for empty in node.pod.scratch:
            if empty.memory:
                size = f",size={empty.size}" if empty.size else ""
                options += ["--tmpfs", f"{empty.path}:mode=1777{size}"]
            else:
                scratch = Path(paths.here(empty.path))
                scratch.mkdir(parents=True, exist_ok=True)
                share(scratch)
                options += _mount(scratch, empty.path)
        return options


def find(engine: str, run: str, nodes: Iterable[Node]) -> tuple[Containers, list[str]]:
    """The runner, after seeing that its engine can start containers of the tasks' images.

    Args:
        engine: podman or docker.
        run: The run's id.
        nodes: The tasks.

    Returns:
        The runner and remarks on what the tasks ask for and this machine cannot give.

    Raises:
        BadInput: The engine or an image is not there, or no container can be started.
    """
    nodes = list(nodes)
    if shutil.which(engine) is None:
        raise BadInput(
            f"--runner {engine}: there is no `{engine}` on PATH; install it, or take --runner process."
        )
    for node in nodes:
        image = node.executor.container.image
        if _code([engine, "image", "inspect", image])[0]:
            raise BadInput(
                f"task {node.name!r} is of the image {image!r}, which {engine} does not have here; "
                f"build or pull it first, for example with: {engine} pull {image}"
            )
    image = nodes[0].executor.container.image
    before, after = _options(engine, image)
    wanted = [node for node in nodes if node.executor.memory or node.executor.cpus]
    limited = bool(wanted) and _try(engine, before, (*after, *_PROBED), image) is None
    remarks = [
        f"{node.name}: {node.executor.accelerators} is not passed to its container"
        for node in nodes
        if node.executor.accelerators
    ]
    if wanted and not limited:
        remarks.append(
            "memory and cpu limits are left out: this machine's cgroups do not allow them to containers"
        )
    return Containers(engine, run, before, after, limited), remarks


def share(folder: Path) -> bool:
    """Let every user write below a folder, as a cluster lets a pod's group write in its volume.

    Returns:
        Whether something had to be changed for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = False
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        wanted = mode | (0o777 if path.is_dir() or mode & 0o100 else 0o666)
        if mode != wanted:
            try:
                path.chmod(wanted)
            except PermissionError:  # another user's: then it is that user who can write there
                continue
            changed = True
    return changed


def _options(engine: str, image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options with which a container starts on this machine."""
    choices: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), ())]
    if engine == "podman" and os.geteuid() == 0:
        choices += [(_RUNC, ()), (_RUNC, _LIMITS)]
    why: str | None = ""
    for before, after in choices:
        why = _try(engine, before, after, image)
        if why is None:
            return before, after
    raise BadInput(f"--runner {engine}: a container of {image!r} does not start here: {why}")


def _try(engine: str, before: Sequence[str], after: Sequence[str], image: str) -> str | None:
    """Why a container does not start; None if it does."""
    code, said = _code(
        [engine, *before, "run", "--rm", "--network", "host", *after, "--entrypoint", "true", image]
    )
    return None if code == 0 else " ".join(said.split())[-300:] or f"exit code {code}"


def _code(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    return done.returncode, done.stderr


def _mount(source: Path, target: str, options: str = "") -> list[str]:
    return ["--mount", f"type=bind,source={source},target={target}{options}"]

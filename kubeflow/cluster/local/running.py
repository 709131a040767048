"""A run from the command line's words to its exit code: check everything, run, sum up."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cluster.local import compiled as files
from cluster.local import containers, parameters, state
from cluster.local.executing import Run, Runner, behind, execute, last_line
from cluster.local.paths import Paths
from cluster.local.plan import Plan, plan
from cluster.local.process import Processes
from cluster.local.screen import Screen, secret_values
from cluster.spec import TUNER_JOB
from keras_cnns._checks import unknown
from tuning.errors import BadInput
from tuning.terminal import FAILED, INTERRUPTED, OK, interruptible, python, shown

_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MODEL = "model_uri"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for, as typed.

    Attributes:
        pipeline: The compiled file.
        runner: process, podman or docker.
        params: NAME=VALUE each.
        volumes: PVC=FOLDER each.
        work: The folder for runs and volumes.
        run_id: The run's id; None for a new one.
        parallel: How many tasks may run at a time.
        quiet: Print the end alone.
    """

    pipeline: Path
    runner: str
    params: Sequence[str]
    volumes: Sequence[str]
    work: Path
    run_id: str | None
    parallel: int
    quiet: bool


def run(asked: Asked) -> int:
    """Run a compiled pipeline, or go on with one.

    Returns:
        0 when all tasks succeeded, 1 when one failed, 130 when interrupted.

    Raises:
        BadInput: Something cannot be run as asked; nothing was started.
    """
    if asked.parallel < 1:
        raise BadInput(f"--parallel must be at least 1, not {asked.parallel}.")
    identity = asked.run_id if asked.run_id is not None else _new_id()
    if not _ID.fullmatch(identity):
        raise BadInput(
            f"--run-id {identity!r} is not an id; take at most 63 lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends."
        )
    compiled = files.read(asked.pipeline)
    values = parameters.of_pipeline(compiled.spec, asked.params)
    planned = plan(compiled, values)
    _stay_here(planned)
    volumes = _volumes(planned, asked)
    variables = _secrets(planned)
    screen = Screen(tuple(planned.nodes), asked.quiet, secret_values(variables))
    runner, remarks = _runner(planned, asked.runner, identity)
    _make(volumes)
    folder = asked.work.absolute() / "runs" / identity
    with interruptible(), state.locked(folder):
        record = {
            "pipeline": planned.name, "digest": compiled.digest, "parameters": values,
            "volumes": {name: str(one) for name, one in volumes.items()},
        }  # fmt: skip
        said = {"pipeline": "another pipeline", "digest": "another pipeline file or another version of it",
                "parameters": "other values of --param", "volumes": "other folders of --volume"}  # fmt: skip
        known = state.open_state(folder, record, said)
        tasks = f"{len(planned.nodes)} task{'s' if len(planned.nodes) > 1 else ''}"
        screen.note(f"{planned.name} · {tasks} · {asked.runner} · run {identity}")
        for remark in [*remarks, *_share(volumes, asked)]:
            screen.note(f"      {remark}")
        ready = Run(identity, folder, planned, values, volumes, runner, asked.parallel)
        began = time.monotonic()
        try:
            failed = execute(ready, known, screen)
        except KeyboardInterrupt:
            screen.always("interrupted; nothing runs any more")
            screen.always(f"  next      {_command(asked, identity)}")
            return INTERRUPTED
        return _sum_up(ready, known, screen, failed, asked, time.monotonic() - began)


def _stay_here(planned: Plan) -> None:
    """Refuse a task that would reach for the cluster of whoever runs this."""
    for node in planned.nodes.values():
        if list(node.executor.container.command) == TUNER_JOB:
            raise BadInput(
                f"task {node.name!r} makes a Job in a Kubernetes cluster, and this command runs on this "
                'machine alone; compile it with tuner = "pod" in [kubeflow].'
            )


def _new_id() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _volumes(planned: Plan, asked: Asked) -> dict[str, Path]:
    """The folder of each PersistentVolumeClaim."""
    claims = sorted({claim.name for node in planned.nodes.values() for claim in node.pod.claims})
    folders = {name: asked.work.absolute() / "volumes" / name for name in claims}
    for one in asked.volumes:
        name, equals, folder = one.partition("=")
        if not equals or not folder:
            raise BadInput(f"--volume {one} is not of the form PVC=FOLDER.")
        if not claims:
            raise BadInput(f"--volume {one}: no task of the pipeline mounts a volume.")
        if name not in claims:
            raise BadInput(f"--volume {unknown('PVC', name, claims)}")
        folders[name] = Path(folder).expanduser().absolute()
    return folders


def _make(volumes: Mapping[str, Path]) -> None:
    for name, folder in volumes.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"--volume {name}={folder}: it cannot be made: {error.strerror}.") from None


def _secrets(planned: Plan) -> list[str]:
    """The variables that Secrets fill on a cluster, which this process must have in its environment."""
    variables = []
    for node in planned.nodes.values():
        for one in node.pod.secrets:
            if one.variable not in os.environ and not one.optional:
                raise BadInput(
                    f"task {node.name!r} needs the environment variable {one.variable}, which a cluster has "
                    f"from the key {one.key!r} of the Secret {one.secret!r}; set it before this command."
                )
            variables.append(one.variable)
    return variables


def _runner(planned: Plan, name: str, identity: str) -> tuple[Runner, list[str]]:
    if name == "process":
        return Processes(), []
    return containers.find(name, identity, planned.nodes.values())


def _share(volumes: Mapping[str, Path], asked: Asked) -> list[str]:
    """Let containers write in the volumes; what that changed in folders that were given."""
    if asked.runner == "process":
        return []
    own = asked.work.absolute()
    changed = [
        name
        for name, folder in volumes.items()
        if containers.share(folder) and not folder.is_relative_to(own)
    ]
    return [f"volume {name}: every user may write in {shown(volumes[name])} now" for name in changed]


def _sum_up(
    run: Run, known: state.State, screen: Screen, failed: Mapping[str, str], asked: Asked, seconds: float
) -> int:
    done, all_tasks = len(known.done), len(run.plan.nodes)
    word = f"failed: {', '.join(failed)}" if failed else "done"
    screen.always(f"{word} · {done} of {all_tasks} tasks in {seconds:.1f} s")
    for name, why in failed.items():
        screen.always(f"  {name}: {why}")
        screen.always(f"      log   {shown(run.log(name))}")
    stopped = behind(run.plan, failed)
    for cause in dict.fromkeys(stopped.values()):
        names = ", ".join(name for name, one in stopped.items() if one == cause)
        screen.always(f"  not run: {names} (behind {cause})")
    rows = _came_out(run, known)
    for name, value in rows.items():
        screen.always(f"  {name:<9} {value or '(empty)'}")
    for name in _without_model(run, known):
        screen.always(f"  {'pushed':<9} nothing, as where a model is not blessed; {name} says:")
        screen.always(f"  {'':<9} {last_line(run.log(name))}")
    screen.always(f"  {'logs':<9} {shown(run.folder)}/TASK/log.txt")
    if failed:
        screen.always(f"  {'next':<9} mend it, then {_command(asked, run.id)}")
    elif rows.get(_MODEL):
        screen.always(f"  {'next':<9} {python()} -m pipeline predict {shlex.quote(rows[_MODEL])} PICTURE")
    elif run.volumes:
        folders = " ".join(shlex.quote(shown(one)) for one in run.volumes.values())
        screen.always(f"  {'next':<9} ls {folders}")
    else:
        screen.always(f"  {'next':<9} ls {shlex.quote(shown(run.folder))}")
    return FAILED if failed else OK


def _without_model(run: Run, known: state.State) -> list[str]:
    """The tasks that were to give a model's place, and gave none."""
    return [
        name
        for name in run.plan.nodes
        if name in known.done and known.done[name].result.parameters.get(_MODEL) == ""
    ]


def _came_out(run: Run, known: state.State) -> dict[str, str]:
    """The pipeline's outputs, and the last model that a task gave, as text with this machine's paths."""
    rows = {}
    sources = [(name, *source) for name, source in run.plan.outputs.items()]
    sources += [(_MODEL, name, _MODEL) for name in run.plan.nodes]
    for row, task, key in sources:
        if task in known.done and known.done[task].result.parameters.get(key) is not None:
            # A value may name folders of a task before it, with volumes that this one does not mount.
            everywhere = Paths(
                tuple(dict.fromkeys(pair for name in run.plan.nodes for pair in run.paths(name).pairs))
            )
            rows[row] = parameters.to_text(everywhere.here(known.done[task].result.parameters[key]))
    return rows


def _command(asked: Asked, identity: str) -> str:
    """The command that goes on with the run."""
    words: list[Any] = [asked.pipeline, "--run-id", identity, "--work", asked.work]
    words += ["--runner", asked.runner] if asked.runner != "process" else []
    words += [word for one in asked.params for word in ("--param", one)]
    words += [word for one in asked.volumes for word in ("--volume", one)]
    words += ["--parallel", asked.parallel] if asked.parallel != 2 else []
    return f"{python()} kubeflow/run_local.py {shlex.join(map(str, words))}"

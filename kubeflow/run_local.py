"""Run a compiled pipeline on this machine: `python kubeflow/run_local.py pipeline.yaml`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuning.terminal import Parser, execute

_WORK = Path("runs/kubeflow")
_DESCRIPTION = (
    "Run a compiled KFP pipeline without a cluster: every container command in the order of its graph, with "
    "its retries and time limits. Volumes are folders, Secrets are variables of this environment. The exit "
    "code is 1 where a task fails. The same command with the same --run-id goes on where it was interrupted."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python kubeflow/run_local.py", allow_abbrev=False, description=_DESCRIPTION)
    parser.add_argument("pipeline", type=Path, help="the YAML file that compile.py wrote")
    parser.add_argument(
        "--runner", choices=("process", "podman", "docker"), default="process",
        help="what runs a task: a process of this machine, or a container of its image (default: process)",
    )  # fmt: skip
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="an input of the pipeline"
    )
    parser.add_argument(
        "--volume", action="append", default=[], metavar="PVC=FOLDER",
        help="the folder of a PersistentVolumeClaim (default: WORK/volumes/PVC)",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, default=_WORK, metavar="FOLDER", help=f"for runs (default: {_WORK})"
    )
    parser.add_argument(
        "--run-id", metavar="ID", help="go on with this run, or begin it (default: a new one)"
    )
    parser.add_argument("--parallel", type=int, default=2, metavar="N", help="tasks at a time (default: 2)")
    parser.add_argument("--quiet", action="store_true", help="print the end alone")
    parser.set_defaults(execute=_run)
    return execute(parser, arguments)


def _run(given: argparse.Namespace) -> int:
    from cluster.local.running import Asked, run

    return run(
        Asked(
            pipeline=given.pipeline, runner=given.runner, params=given.param, volumes=given.volume,
            work=given.work, run_id=given.run_id, parallel=given.parallel, quiet=given.quiet,
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

"""`python kubeflow/submit.py pipeline.yaml`: start a compiled pipeline on a cluster and watch it."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from cluster import times
from cluster.package import Package, arguments, read
from tuning import terminal
from tuning.errors import BadInput, printable

DESCRIPTION = """\
Sends a compiled pipeline to a Kubeflow Pipelines API server, starts a run of it, links the run at once and
shows each task's changes until the run ends. What is on the server already is not sent again. Credentials
come from the environment alone: KFP_TOKEN (a bearer token) or KFP_COOKIE (as the browser sends it); inside a
cluster the service account's token is found. They are never printed."""
EPILOG = """\
exit codes: 0 succeeded, or started with --no-wait, --every or --interval; 1 the run failed, was cancelled or
skipped, or --timeout is over; 2 bad input, or a server that cannot be reached or refuses; 130 Ctrl-C. Neither
--timeout nor Ctrl-C ends the run itself. --every follows the cluster's clock, mostly UTC. Also read from the
environment: KF_PIPELINES_UI_ENDPOINT, where browsers find the pages if not at --host, and SSL_CERT_FILE, the
certificates of an authority of one's own."""

_IGNORED = {  # what would be ignored beside an option
    "watch": ("namespace", "experiment", "name", "run_name", "param", "no_wait", "every", "interval"),
    "every": ("interval", "timeout", "no_wait"),
    "interval": ("timeout", "no_wait"),
    "no_wait": ("timeout",),
}


def main(typed: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed or not ended, 2 bad input, 130 Ctrl-C."""
    return terminal.execute(_parser(), typed)


def _parser() -> terminal.Parser:
    parser = terminal.Parser(
        prog="python kubeflow/submit.py", allow_abbrev=False, description=DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("pipeline", nargs="?", type=Path, help="what compile.py --target kfp wrote")
    parser.add_argument("--watch", metavar="RUN_ID", help="take up watching a run instead")
    parser.add_argument("--host", metavar="URL", help="the server (default: KFP_HOST)")
    parser.add_argument(
        "--namespace", metavar="NS", help="the profile's namespace, on a server with many users"
    )
    parser.add_argument("--experiment", metavar="NAME", help="made where there is none (default: keras-cnns)")
    parser.add_argument("--name", help="the pipeline's name on the server (default: the file's own)")
    parser.add_argument("--run-name", metavar="NAME", help="default: the pipeline's name and the time")
    parser.add_argument("--param", metavar="NAME=VALUE", action="append", default=[], help="may be repeated")
    parser.add_argument("--no-wait", action="store_true", help="do not watch the run")
    parser.add_argument("--timeout", metavar="2h", help="stop watching after this time; the run goes on")
    parser.add_argument("--every", metavar="CRON", help="start it again and again, such as '0 3 * * *'")
    parser.add_argument("--interval", metavar="6h", help="start it again and again, this long apart")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON; all else goes to stderr")
    parser.set_defaults(execute=_execute)
    return parser


def _execute(given: argparse.Namespace) -> int:
    _check(given)
    given.limit = math.inf if given.timeout is None else times.seconds("--timeout", given.timeout)
    again = _again(given)
    package = None if given.watch else read(given.pipeline)
    values = arguments(package.inputs, given.param) if package else {}
    if again and values.get("run_id"):
        how = "--every" if given.every else "--interval"
        raise BadInput(
            f"--param run_id={values['run_id']!r} beside {how} would have each run after the first find the "
            "first one's steps done; leave run_id out."
        )
    from cluster import client  # after what was typed is checked, which must cost nothing

    host, known = client.address(given.host, os.environ), client.credentials(os.environ)
    with terminal.interruptible():
        server = client.connect(host, known, os.environ)
        if package is None:
            return _follow(given, server, given.watch, {})
        return _submit(given, server, package, values, again)


def _submit(
    given: argparse.Namespace,
    server: Any,
    package: Package,
    values: dict[str, Any],
    again: dict[str, Any] | None,
) -> int:
    from cluster.submission import Order, namespace_for, start, upload

    name = given.name or package.name
    namespace = namespace_for(server, given.namespace)
    uploaded = upload(server, package, name, namespace)
    there = "" if uploaded.new else ", which was there already"
    _say(given, f"pipeline  {name}, version {package.version}{there}")
    run_name = given.run_name or f"{name} {datetime.now():%Y-%m-%d %H:%M:%S}"
    order = Order(given.experiment or "keras-cnns", namespace, run_name, values)
    identifier = start(server, uploaded, order, again)
    record = {
        "pipeline": name,
        "pipeline_id": uploaded.pipeline_id,
        "version": package.version,
        "version_id": uploaded.version_id,
        "uploaded": uploaded.new,
        "experiment": order.experiment,
        "run_name": run_name,
    }
    if again is None:
        return _follow(given, server, identifier, record)
    link = server.link("recurringrun", identifier)
    how = f"every {given.interval}" if given.interval else f"at {again['cron_expression']}, seconds first"
    _say(given, f"scheduled {run_name}, {how}")
    _say(given, f"link      {link}")
    return _end(given, terminal.OK, "scheduled", record | {"recurring_run_id": identifier, "link": link})


def _follow(given: argparse.Namespace, server: Any, run_id: str, record: dict[str, Any]) -> int:
    from cluster.refusals import ServerError
    from cluster.watching import watch

    link = server.link("runs", run_id)
    command = f"{terminal.python()} {terminal.shown(Path(__file__))} --watch {shlex.quote(run_id)}"
    later = f"watch it with: {command}{f' --host {shlex.quote(given.host)}' if given.host else ''}"
    record = record | {"run_id": run_id, "link": link}
    _say(given, f"run       {run_id}")
    _say(given, f"link      {link}")
    if given.no_wait:
        _say(given, f"it runs; {later}")
        return _end(given, terminal.OK, "started", record)
    try:
        seen = watch(server, run_id, partial(_say, given), given.limit)
    except KeyboardInterrupt:
        _tell(f"interrupted; the run goes on: {later}")
        return _end(given, terminal.INTERRUPTED, "interrupted", record)
    except ServerError as error:
        if error.status == 404:
            raise BadInput(f"--watch={run_id!r}: {server.host} has no run of this ID.") from None
        raise BadInput(f"{error} The run itself goes on; {later}") from None
    record |= {"state": seen.state, "tasks": seen.tasks, "failed": seen.culprits, "error": seen.error}
    record["seconds"] = round(seen.seconds, 1)
    if not seen.ended:
        _tell(f"still {seen.state} after {given.timeout}; the run goes on: {later}")
        return _end(given, terminal.FAILED, "timeout", record)
    _say(given, f"{seen.state}  after {round(seen.seconds)} s")
    if seen.state == "SUCCEEDED":
        return _end(given, terminal.OK, "succeeded", record)
    who = f"task {', '.join(seen.culprits)}" if seen.culprits else "no task says why"
    _tell(f"the run is {seen.state}: {who}: {seen.error or 'the server gives no reason'}; logs: {link}")
    return _end(given, terminal.FAILED, seen.state.lower(), record)


def _check(given: argparse.Namespace) -> None:
    """Refuse what contradicts each other, before anything is read or asked."""
    if bool(given.watch) == bool(given.pipeline):
        raise BadInput("give either a compiled pipeline to start, or --watch with the ID of a run.")
    for option, ignored in _IGNORED.items():
        others = [_option(name) for name in ignored if getattr(given, name) not in (None, [], False)]
        if getattr(given, option) and others:
            raise BadInput(f"{', '.join(others)} would be ignored beside {_option(option)}; leave one out.")
    for name in ("name", "run_name", "experiment"):
        if getattr(given, name) is not None and not getattr(given, name).strip():
            raise BadInput(f"{_option(name)} is empty; give a name, or leave it out.")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _again(given: argparse.Namespace) -> dict[str, Any] | None:
    if given.every is not None:
        return {"cron_expression": times.cron(given.every)}
    if given.interval is not None:
        return {"interval_second": times.seconds("--interval", given.interval)}
    return None


def _say(given: argparse.Namespace, line: str) -> None:
    print(printable(line), file=sys.stderr if given.json else sys.stdout, flush=True)


def _tell(sentence: str) -> None:
    print(f"python kubeflow/submit.py: {printable(sentence)}", file=sys.stderr, flush=True)


def _end(given: argparse.Namespace, code: int, outcome: str, record: dict[str, Any]) -> int:
    if given.json:
        print(json.dumps({"outcome": outcome, **record}, ensure_ascii=False, indent=2))
    return code


if __name__ == "__main__":
    raise SystemExit(main())

"""The Tuner's step where its search is a Job: make it, look on, tell how it ended, and remove it.

Exit codes are those of node.py: 0 when the search is done, 1 when it failed, 2 for a wrong call or a cluster
that refuses. A step that is started again with the same run id takes up the Job that is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, FAILED, INTERRUPTED, Parser

_EVERY = 2.0  # seconds between two looks
_PATIENCE = 300.0  # seconds in which the API server must answer again


def main(argv: list[str]) -> int:
    """Have the search done; returns the exit code."""
    import node

    parser = Parser(
        prog="python kubeflow/tuner_job.py", description=__doc__.splitlines()[0],
        epilog="The other arguments are those of node.py.", allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--pods", required=True, metavar="JSON", help="what the Job's pods are made of")
    own, rest = parser.parse_known_args(argv)
    given = node.arguments(rest)
    try:
        failed = search(own.pods, given)
    except BadInput as error:
        print(f"tuner_job.py: {error}", file=sys.stderr, flush=True)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("tuner_job.py: interrupted; the Job was removed, and goes on with the same run id", flush=True)
        return INTERRUPTED
    if failed:
        print(f"tuner_job.py: {failed}", file=sys.stderr, flush=True)
        return FAILED
    return node.main(rest)  # which finds the step complete and tells of it


def search(text: str, given: argparse.Namespace) -> str:
    """Run the Job; returns why it failed, or "".

    Args:
        text: As `job.Pods.text` makes it.
        given: The step's own arguments, as `node.arguments` has them.

    Raises:
        BadInput: The cluster cannot be reached or refuses.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the Job is removed.
    """
    from cluster import job, kube
    from cluster.onlooker import Onlooker
    from tuning.terminal import interruptible

    pods, run_id = job.Pods.from_text(text), given.run_id or given.job
    if not run_id:
        raise BadInput("--run-id must be one word without /, not ''")
    words = job.words(given.root, given.ir, given.mlmd, run_id, given.param, given.patience)
    manifests = job.manifests(pods, words, run_id, _owner(os.environ))
    name = manifests[-1]["metadata"]["name"]
    told = Onlooker(job.notice(given.root, given.ir, run_id))
    api = kube.Api()
    with interruptible():
        try:
            _begin(api, name, manifests)
        except KeyboardInterrupt:
            _remove(api, name)
            raise
        try:
            return _follow(api, name, told)
        finally:
            _remove(api, name)


def _owner(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """This pod: with it, Kubernetes removes the Job where this process no longer can."""
    name, uid = environment.get("KFP_POD_NAME"), environment.get("KFP_POD_UID")
    if not name or not uid:
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}


def _begin(api: Any, name: str, manifests: list[dict[str, Any]]) -> None:
    """Make the Job, unless an earlier attempt of this step did."""
    from cluster import kube

    try:
        there = api.job(name)
        if there is not None and not _ending(there):
            print(f"Job {name} in {api.namespace} is there and goes on", flush=True)
            return
        if there is not None:
            print(f"Job {name} in {api.namespace} is an ended one; it makes room", flush=True)
            api.delete("Job", name)
        while api.job(name) is not None or api.pods(_label(name)):
            time.sleep(_EVERY)  # until the last pod of the earlier one has let go of the search
        try:
            for one in manifests:
                api.create(one)
        except (BadInput, kube.Away):  # nothing of an earlier attempt is there any more
            _remove(api, name, aloud=False)
            raise
    except kube.Away as error:
        raise BadInput(str(error)) from None
    print(f"Job {name} in {api.namespace}: a chief and its workers", flush=True)


def _ending(there: Mapping[str, Any]) -> bool:
    """Whether a Job is being removed, or has failed."""
    return "deletionTimestamp" in there["metadata"] or "Failed" in _conditions(there)


def _follow(api: Any, name: str, told: Any) -> str:
    """Look on until the Job has ended; returns why it failed, or ""."""
    from cluster import kube

    answered = time.monotonic()
    while True:
        try:
            job, pods = api.job(name), api.pods(_label(name))
        except kube.Away as error:
            if time.monotonic() - answered > _PATIENCE:
                raise BadInput(str(error)) from None
            time.sleep(_EVERY)
            continue
        answered = time.monotonic()
        if job is None:
            return f"the Job {name} is gone; somebody removed it"
        told.pods(pods)
        told.progress()
        conditions = _conditions(job)
        if "Complete" in conditions or _holds(job["status"].get("completedIndexes", ""), 0):
            return ""
        if "Failed" in conditions:
            found = conditions["Failed"]
            said = (found.get("reason"), found.get("message"), told.last_words)
            return f"the Job {name} failed: {'; '.join(filter(None, said))}"
        told.suspended(bool(job["spec"].get("suspend")))
        time.sleep(_EVERY)


def _remove(api: Any, name: str, *, aloud: bool = True) -> None:
    """Remove the Job with its pods, and the Service; say what stays."""
    from cluster import kube

    for kind in ("Job", "Service"):
        try:
            api.delete(kind, name)
        except (BadInput, kube.Away) as error:
            if aloud:
                print(f"{kind} {name} was not removed: {error}", file=sys.stderr, flush=True)


def _conditions(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A Job's conditions that hold, by their names."""
    found = job.get("status", {}).get("conditions") or ()
    return {one["type"]: one for one in found if one["status"] == "True"}


def _holds(indexes: str, wanted: int) -> bool:
    """Whether a list as Kubernetes writes it, such as "0,2-4", has a number."""
    for part in filter(None, indexes.split(",")):
        first, _, last = part.partition("-")
        if int(first) <= wanted <= int(last or first):
            return True
    return False


def _label(name: str) -> str:
    from cluster import job

    return f"{job.INSTANCE}={name}"


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # TFX's libraries may crash while the interpreter takes itself down

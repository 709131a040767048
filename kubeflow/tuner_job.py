"""The Tuner's step where its search is a Job: make it, look on, and tell how it ended.

Exit codes: 0 when the search is done, 1 when it failed, 2 for a wrong call, for what the chief refused, or
for a cluster that refuses or cannot be reached, and 130 when it was told to end. A step that is started again
with the same run id takes up the Job that is there. At the end the Job is removed, except where it failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, FAILED, INTERRUPTED, OK, Parser

_EVERY = 2.0  # seconds between two looks
_PATIENCE = 300.0  # seconds in which the API server must answer again
_ROOM = 300.0  # seconds in which what an earlier attempt left must be gone


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
        code, why = search(own.pods, given)
    except BadInput as error:
        code, why = BAD_INPUT, str(error)
    except KeyboardInterrupt:
        print("tuner_job.py: interrupted; the Job was removed, and goes on with the same run id", flush=True)
        return INTERRUPTED
    if why:
        print(f"tuner_job.py: {why}", file=sys.stderr, flush=True)
        return code
    return node.main(rest)  # which finds the step complete and tells of it


def search(text: str, given: argparse.Namespace) -> tuple[int, str]:
    """Run the Job; returns an exit code, and why the search failed, or "".

    Args:
        text: As `job.Pods.text` makes it.
        given: The step's own arguments, as `node.arguments` has them.

    Raises:
        BadInput: The cluster cannot be reached or refuses.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the Job is removed.
    """
    import node
    from cluster import job, kube, store
    from cluster.onlooker import Onlooker
    from tuning.terminal import interruptible

    pods, run_id = job.Pods.from_text(text), node.run_id_of(given)
    store.parse(given.mlmd, given.root)  # or a password would stand in the Job
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
        unwanted = ["Job", "Service"]
        try:
            code, why = _follow(api, name, told)
            if why:
                unwanted.remove("Job")  # with it, its pods' logs would go; the next attempt removes it
            return code, why
        finally:
            _remove(api, name, unwanted)


def _owner(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """This pod: with it, Kubernetes removes the Job where this process no longer can."""
    name, uid = environment.get("KFP_POD_NAME"), environment.get("KFP_POD_UID")
    if not name or not uid:
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}


def _begin(api: Any, name: str, manifests: Sequence[dict[str, Any]]) -> None:
    """Make the Job, unless an earlier attempt of this step did; what an ended one left makes room first.

    Raises:
        BadInput: The cluster refuses, cannot be reached, or what was left does not go.
    """
    from cluster import kube

    end, told = time.monotonic() + _ROOM, ""
    try:
        while True:
            there = api.job(name)
            if there is not None and not _ending(there):
                print(f"Job {name} in {api.namespace} is there and goes on", flush=True)
                return
            left = _left(api, name, there) or _make(api, name, manifests)
            if not left:
                break
            if left != told:
                print(f"{left}: it must be gone first", flush=True)
            told = left
            if time.monotonic() > end:
                raise BadInput(f"{left}: still in {api.namespace} after {_ROOM:g} s, and in the way")
            time.sleep(_EVERY)
    except kube.Away as error:
        raise BadInput(str(error)) from None
    count = manifests[-1]["spec"]["completions"]
    print(f"Job {name} in {api.namespace}: pods 0 to {count - 1}, of which 0 is the chief", flush=True)


def _left(api: Any, name: str, there: Mapping[str, Any] | None) -> str:
    """What of an earlier attempt's Job is not gone yet, or ""."""
    if there is not None:
        if "deletionTimestamp" not in there["metadata"]:
            api.delete("Job", name)
        return f"Job {name} of an earlier attempt"
    # The last of them must let go of the search.
    pods = [one["metadata"]["name"] for one in api.pods(_label(name))]
    return f"{', '.join(pods)} of an earlier attempt" if pods else ""


def _make(api: Any, name: str, manifests: Sequence[dict[str, Any]]) -> str:
    """Make the Service and the Job; returns which of them is still there from an earlier attempt, or ""."""
    from cluster import kube

    try:
        api.delete("Service", name)  # it would go with the pod of the attempt that made it
        for one in manifests:
            if not api.create(one):
                return f"{one['kind']} {name} of an earlier attempt"
    except (BadInput, kube.Away):  # nothing of an earlier attempt is there any more
        _remove(api, name, aloud=False)
        raise
    return ""


def _ending(there: Mapping[str, Any]) -> bool:
    """Whether a Job is being removed, or has failed."""
    return "deletionTimestamp" in there["metadata"] or "Failed" in _conditions(there)


def _follow(api: Any, name: str, told: Any) -> tuple[int, str]:
    """Look on until the Job has ended; returns an exit code, and why the Job failed, or ""."""
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
            return FAILED, f"the Job {name} is gone; somebody removed it"
        told.pods(pods)
        told.progress()
        conditions = _conditions(job)
        if "Complete" in conditions or _holds(job["status"].get("completedIndexes", ""), 0):
            return OK, ""
        if "Failed" in conditions:
            return _failed(api, name, conditions["Failed"], told)
        told.suspended(bool(job["spec"].get("suspend")))
        time.sleep(_EVERY)


def _failed(api: Any, name: str, condition: Mapping[str, Any], told: Any) -> tuple[int, str]:
    """The exit code of a step whose Job failed, and its sentence."""
    code, words = told.cause
    if code == BAD_INPUT and words:
        return BAD_INPUT, words
    print(f"what its pods printed: kubectl logs -n {api.namespace} -l {_label(name)} --prefix --tail=-1")
    said = filter(None, (condition.get("reason"), condition.get("message"), words))
    return BAD_INPUT if code == BAD_INPUT else FAILED, f"the Job {name} failed: {'; '.join(said)}"


def _remove(api: Any, name: str, kinds: Sequence[str] = ("Job", "Service"), *, aloud: bool = True) -> None:
    """Remove the Job with its pods, and the Service; say what stays."""
    from cluster import kube

    for kind in kinds:
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

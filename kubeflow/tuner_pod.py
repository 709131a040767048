"""What a pod of the Tuner's Job runs: a worker, and in the first pod the chief, which is the step itself.

Kubernetes sets JOB_COMPLETION_INDEX. 0 is the chief: it runs `node.py --node Tuner`, which serves the search
to the others, and beside it a worker, which uses what the pod has. A worker waits for the search, runs its
trials, and ends when the chief's step is done; while the chief is away it waits for it. The chief's pod ends
with the worker in it, to be started again. Exit codes: 0, those of node.py for the chief, 2 for a wrong call,
3 for a worker that failed, and 143 for a pod that was told to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tuning.asked import IP, PORT, TUNER_ID
from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, OK

INDEX = "JOB_COMPLETION_INDEX"
WORKER_FAILED, TERMINATED = 3, 143
_NODE = Path(__file__).with_name("node.py")
_EVERY = 1.0  # seconds between two looks at the notice, or at a process
_AWAY = 60.0  # seconds between two words about a chief that is not there
_NO_LIMIT = 2**60  # what the first version of cgroups says for none is above
_GRACE = 20.0  # seconds in which a process that is told to end has ended; Kubernetes gives a pod 30
_OWN = 3 * 2**30  # bytes of a pod that are not for its trial: the chief, its worker, and what they hold


def main(argv: list[str]) -> int:
    """Be the chief or a worker; returns the exit code.

    Args:
        argv: Those of `node.py`.
    """
    import node
    from cluster import job

    signal.signal(signal.SIGTERM, _end)  # the first process of a container has no other way to hear of it
    given = node.arguments(argv)
    index = os.environ.get(INDEX, "")
    try:
        if not index.isdigit():
            raise BadInput(f"{INDEX} must be a number from 0 on, not {index!r}; Kubernetes sets it")
        file = job.notice(given.root, given.ir, given.run_id)
        if int(index) == 0 and TUNER_ID not in os.environ:
            return chief(argv, file)
        return worker(f"worker-{index}", file)
    except BadInput as error:
        print(f"tuner_pod.py: {error}", file=sys.stderr, flush=True)
        return BAD_INPUT


def chief(argv: list[str], file: Path) -> int:
    """Run the step, and a worker; all workers read from `file` where its search lies, and that it is done."""
    from cluster import job
    from pipeline import tuned
    from tuning import folders

    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    step = _started(_NODE, argv, {TUNER_ID: "chief", IP: "0.0.0.0", tuned.NOTICE: str(file)})
    beside = _started(Path(__file__), argv, {TUNER_ID: "worker-0", IP: "127.0.0.1"})
    try:
        while beside.poll() is None:  # it waits for the step
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = step.wait(_EVERY)
                if code == OK:
                    folders.replace(file, json.dumps({**job.told(file), "over": True}))
                return _shell(code)
        return _shell(beside.returncode)
    finally:
        _stop(step, beside)


def _started(program: Path, argv: list[str], more: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(program), *argv], env={**os.environ, **more})


def _stop(*processes: subprocess.Popen[bytes]) -> None:
    """End both, also one that does not hear of it, and though this process is told to end once more."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for one in processes:
        one.terminate()
    for one in processes:
        try:
            one.wait(_GRACE)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()


def _shell(code: int) -> int:
    """An exit code as a shell has it, also of a process that a signal ended."""
    return code if code >= 0 else 128 - code


def worker(name: str, file: Path) -> int:
    """Run trials until the chief's step is done.

    Raises:
        BadInput: Nobody says where the chief is.
    """
    os.environ[TUNER_ID] = name
    host, port = os.environ.get(IP, ""), os.environ.get(PORT, "")
    if not host or not port.isdigit():
        raise BadInput(f"{IP} and {PORT} must say where the chief is, not {host!r} and {port!r}")
    print(f"{name}: waits for the chief at {host}:{port}", flush=True)
    try:
        _work(name, file, host, int(port))
    except Exception:
        traceback.print_exc()
        print(f"{name} failed", file=sys.stderr, flush=True)
        return WORKER_FAILED
    print(f"{name}: the search is over", flush=True)
    return OK


def _work(name: str, file: Path, host: str, port: int) -> None:
    """Serve the chief whenever it is there; one that does not answer any more is started again."""
    from cluster import job
    from tuning import settings

    quiet = time.monotonic()
    while not (told := job.told(file)).get("over"):
        folder = Path(told.get("folder", file.parent))
        if (folder / settings.FILE).is_file() and _listens(host, port):
            _serve(folder)
            quiet = time.monotonic()
        elif time.monotonic() - quiet > _AWAY:
            quiet = time.monotonic()
            print(f"{name}: the chief at {host}:{port} is not there", flush=True)
        time.sleep(_EVERY)


def _serve(folder: Path) -> None:
    """Run trials until the chief has none, or does not answer any more."""
    from tuning import lean, searching

    found = searching.visible_gpus(os.environ.get(lean.GPUS))
    with lean.without_gpus():  # the trials get them
        lean.tensorflow()
        with lean.imports():
            from tuning import worker as serving
        serving.serve(folder, memory(), found[0] if found else None)


def memory(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that a trial may hold, so that one that is too large fails alone; the pod would go with it.

    Args:
        folder: Of the container's own cgroup.

    Returns:
        Half of the pod's limit, or all but 3 GiB where that is more; None where the pod has no limit.
    """
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / name).read_text(encoding="ascii"))
            if limit < _NO_LIMIT:
                return max(limit // 2, limit - _OWN)
    return None


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

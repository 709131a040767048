"""Run one TFX node of a compiled line, as a pod does: driver, cache, executor and publisher, by TFX itself.

Exit codes: 0 when the metadata store says that the node is complete or cached, 1 when it failed, 2 for a
wrong call or a store that cannot be reached. A pod that is started again with the same run id goes on; with
other parameters, another compiled line or other data it is refused.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, FAILED, Parser


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python kubeflow/node.py", description=__doc__.splitlines()[0])
    parser.add_argument("--node", required=True, help="TFX's name of it, such as Trainer")
    parser.add_argument("--root", required=True, metavar="FOLDER", help="folder that all steps share")
    parser.add_argument(
        "--ir", required=True, metavar="FILE", help="what compile.py made, below the root or from /"
    )
    parser.add_argument(
        "--ir-text", default="", metavar="TEXT", help="its content, packed, where it may be missing"
    )
    parser.add_argument(
        "--mlmd", required=True, metavar="ADDRESS", help="sqlite:FILE, mysql://USER@HOST/DB, grpc://HOST"
    )
    parser.add_argument("--run-id", default="", help="the same for all steps of a run, and for a retried one")
    parser.add_argument("--job", default="", help="the run id where none is chosen; KFP's own")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="chosen for this run"
    )
    parser.add_argument(
        "--patience", type=float, default=60, metavar="SECONDS", help="until the store must answer"
    )
    parser.add_argument("--executor-input", default="{}", metavar="JSON", help="KFP's {{$}}")
    for name, what in (
        ("summary", "Markdown"),
        ("report", "HTML"),
        ("model-uri", "the pushed model's place"),
    ):
        parser.add_argument(f"--{name}", default="", metavar="FILE", help=f"where to write {what}")
    return parser.parse_args(argv)


def run_id_of(given: argparse.Namespace) -> str:
    """The run's id; files on the volume have it as their name.

    Raises:
        BadInput: It cannot be one.
    """
    run_id = given.run_id or given.job
    if not run_id or Path(run_id).name != run_id or run_id in (".", ".."):
        raise BadInput(f"--run-id must be one word without /, not {run_id!r}")
    return run_id


def main(argv: list[str]) -> int:
    """Run a node; returns the exit code."""
    given = arguments(argv)
    try:
        return run(given)
    except BadInput as error:
        print(f"{given.node}: {error}", file=sys.stderr, flush=True)
        return BAD_INPUT


def run(given: argparse.Namespace) -> int:
    """Check what was given, run the node, and tell of it.

    Raises:
        BadInput: Something was asked for that cannot be; nothing was begun but the line's file and the
            run's record.
    """
    from cluster import bundle as bundles
    from cluster import held
    from cluster import store as stores
    from keras_cnns._checks import unknown

    run_id = run_id_of(given)
    chosen = {}
    for one in given.param:
        name, there, value = one.partition("=")
        if not there:
            raise BadInput(f"--param {one}: write NAME=VALUE")
        chosen[name] = value
    root = str(Path(given.root))
    file = Path(root) / given.ir
    try:
        json.loads(given.executor_input)
    except ValueError:
        raise BadInput(f"--executor-input must be JSON, not {given.executor_input[:80]!r}") from None
    store = stores.parse(given.mlmd, root)
    if given.ir_text:
        bundles.unpack(given.ir_text, file)
    bundle = bundles.read(file, root, chosen, run_id)
    if given.node not in bundle.nodes:
        raise BadInput(f"--node: {unknown('node', given.node, list(bundle.nodes))}")
    if given.node == "ImageExampleGen":
        bundle = bundles.looked_again(bundle)
    stores.reach(store, given.patience)
    held.hold(bundle, file, run_id)
    return _work(given, bundle, run_id, store)


def _work(given: argparse.Namespace, bundle: Any, run_id: str, store: Any) -> int:
    """Run the node with everything heavy imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cluster import store as stores
    from pipeline import lanes, workers
    from tuning import lean

    if given.node == "Trainer":
        workers.prepare("train", os.environ)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # only the training process may hold a GPU
    lanes.components_one_by_one()
    with lean.imports():
        lanes.complete_tfma()
        from cluster import line
    connection = stores.opened(store)
    with tempfile.TemporaryDirectory(prefix="keras-cnns-", ignore_cleanup_errors=True) as made:
        ran = line.Line(bundle, run_id, connection, Path(made))
        return _run(given, bundle, run_id, ran)


def _run(given: argparse.Namespace, bundle: Any, run_id: str, ran: Any) -> int:
    from cluster import line, told
    from pipeline import workers

    began = time.time()
    ear = told.Ear()
    failed = ""
    try:
        if given.node == "ImageExampleGen":
            ran.check_data()
        ran.restore(given.node)
        ear.aloud(True)
        print(f"{given.node} of run {run_id}", flush=True)
        ran.run(given.node)
    except line.OtherRun:  # nothing was begun
        raise
    except Exception as error:
        failed = str(error).strip() or type(error).__name__
        if not isinstance(error, (BadInput, line.Stopped)):
            traceback.print_exc()
            failed = failed.splitlines()[0]
    finally:
        workers.dismiss("train")
        workers.dismiss("serve")
    return _tell(given, bundle, run_id, ran, ear, failed, time.time() - began)


def _tell(
    given: argparse.Namespace, bundle: Any, run_id: str, ran: Any, ear: Any, failed: str,
    seconds: float,
) -> int:  # fmt: skip
    from cluster import told
    from pipeline.steps import STEPS

    if failed:
        print(f"{given.node} failed: {failed}", file=sys.stderr, flush=True)
    ran.finish()
    events = ear.heard()
    step, last = STEPS.get(given.node, given.node), given.node == list(bundle.nodes)[-1]
    result = told.result_of(bundle, events, run_id, ran.seconds, failed, step)
    done = [event for event in events if event["event"] == "done"][-1:]
    detail = done[0]["detail"] if done and given.node in STEPS and not failed else failed
    if last and not failed and not result["pushed"]:
        detail = result["sentence"]  # says why nothing was pushed
    metrics = told.metrics(given.node, result)
    told.executor_output(given.executor_input, metrics)
    facts = {"run": run_id, "state": ran.state, "seconds": f"{seconds:.1f}", **ran.made}
    facts |= {key: value for key, value in metrics.items() if not math.isfinite(value)}
    told.put(given.summary, told.summary(given.node, detail, facts))
    if last or failed:
        page = told.keep(bundle, ran.folder, result, Path(str(bundle.config.output)))
        told.put(given.report, page.read_text(encoding="utf-8"))
        told.put(given.model_uri, result.get("pushed") or "")
        print(f"report: {page}", flush=True)
    if failed:
        return FAILED
    print(f"{given.node} {ran.state} in {seconds:.1f} s: {detail}", flush=True)
    if result.get("pushed"):
        print(f"next: python -m pipeline predict {result['pushed']} PICTURE", flush=True)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # TFX's libraries may crash while the interpreter takes itself down

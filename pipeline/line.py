"""The process that runs the pipeline. `pipeline.run` starts it and listens; TFX and Beam live only here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import lanes, progress, workers
from pipeline.stopped import Stopped
from tuning import lean
from tuning.errors import BadInput


def main() -> None:
    """Import everything, wait for the request, run the line, and end with its exit code."""
    progress.open_pipe(int(sys.argv[1]))
    training = "validate" not in sys.argv[2:]
    if training:
        workers.prepare("train", os.environ)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # only the training process may hold a GPU
    lanes.components_one_by_one()
    with lean.imports():
        lanes.complete_tfma()
        from pipeline import outcome  # noqa: F401  # brings TFX, Beam, TFDV and TFMA
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if training:
        workers.prepare("serve")
    code = 0
    try:
        run(request, training)
    except BadInput as error:
        progress.send("failed", sentence=str(error), code=2)
        code = 2
    except Stopped as error:
        progress.send("failed", sentence=str(error), code=1)
        code = 1
    except Exception as error:
        traceback.print_exc()
        progress.send("failed", sentence=_first_line(error), code=1)
        code = 1
    finally:
        workers.dismiss("train")
        workers.dismiss("serve")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TFX's libraries may crash while the interpreter takes itself down


def run(request: dict[str, Any], training: bool = True) -> None:
    """Build the pipeline of a request and run its nodes one after the other.

    Args:
        request: `config` (resolved), `dataset`, `output` and `models` (absolute).
        training: Whether to go on behind the gate.
    """
    from pipeline import graph, outcome
    from pipeline.config import Config, beam_options
    from pipeline.sources import Dataset

    dataset = Dataset.from_json(request["dataset"])
    config = Config(**request["config"])
    output = Path(request["output"])
    place = graph.Place(output / "tfx", output / "checkpoints", Path(request["models"]))
    pipeline = graph.create_pipeline(config, dataset, place, beam=beam_options(config), train=training)
    teller = outcome.Teller(config, dataset, output)
    try:
        _runner()(teller).run_with_ir(graph.compile_pipeline(pipeline))
    finally:
        teller.finish()
    shutil.rmtree(place.checkpoints, ignore_errors=True)


def _runner() -> type:
    from tfx.dsl.compiler import constants
    from tfx.orchestration import metadata
    from tfx.orchestration.local import local_dag_runner, runner_utils
    from tfx.orchestration.portable import runtime_parameter_utils
    from tfx.proto.orchestration import pipeline_pb2

    from pipeline.launching import launch

    class Runner(local_dag_runner.LocalDagRunner):
        """TFX's LocalDagRunner, which tells of each node and stops where one did not complete.

        TFX's own loop returns normally when a node's inputs could not be resolved.
        """

        def __init__(self, teller: Any) -> None:
            super().__init__()
            self._teller = teller

        def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None) -> None:
            runtime_parameter_utils.substitute_runtime_parameter(
                pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.now().isoformat()}
            )
            deployment = runner_utils.extract_local_deployment_config(pipeline)
            store = deployment.metadata_connection_config
            connection = getattr(store, store.WhichOneof("connection_config"))
            for one in pipeline.nodes:
                node_id, began = one.pipeline_node.node_info.id, time.perf_counter()
                self._teller.starts(node_id)
                execution = launch(pipeline, one.pipeline_node, connection)
                with metadata.Metadata(connection) as held:
                    self._teller.ended(node_id, held.store, execution, time.perf_counter() - began)

    return Runner


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _end_with_parent() -> None:
    """The parent holds the other end of standard input; when it is gone, so is the reason to go on."""
    sys.stdin.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()

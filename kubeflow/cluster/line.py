"""One run of a compiled line in a metadata store: which of its nodes are done, and one more of them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from ml_metadata import proto
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from cluster.bundle import Bundle
from pipeline import outcome, workers
from pipeline.components import example_gen
from pipeline.launching import launch
from pipeline.stopped import Stopped
from tuning.errors import BadInput

__all__ = ["Line", "OtherRun", "Stopped"]
_EXAMPLES = "ImageExampleGen"
_DONE = (proto.Execution.COMPLETE, proto.Execution.CACHED)


class OtherRun(BadInput):
    """A run id already stands for a run of something else."""


class Line:
    """A run of a line.

    Args:
        bundle: The line.
        run_id: Of the run.
        connection: To the metadata store.
        folder: Where pictures for the report are put.

    Attributes:
        state: "complete", "cached" or "failed", of the node that was run.
        made: Where each of its artifacts lies.
        seconds: From the beginning of the run's first node to now.
    """

    def __init__(self, bundle: Bundle, run_id: str, connection: Any, folder: Path) -> None:
        self._bundle, self._run, self._connection, self.folder = bundle, run_id, connection, folder
        self._ir = json_format.ParseDict(bundle.ir, pipeline_pb2.Pipeline())
        runtime_parameter_utils.substitute_runtime_parameter(
            self._ir,
            {
                constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id,
                constants.PIPELINE_ROOT_PARAMETER_NAME: f"{bundle.root}/{bundle.config.name}/tfx",
                **bundle.parameters,
            },
        )
        self._teller = outcome.Teller(bundle.config, bundle.dataset, folder)
        self._began = time.time()
        self.state, self.made = "failed", dict[str, str]()

    @property
    def seconds(self) -> float:
        """Since the run's first node began."""
        return time.time() - self._began

    def check_data(self) -> None:
        """See that the run's examples, where they are complete, were made of the data as it is now.

        Raises:
            OtherRun: The data has changed since; TFX would reuse them nevertheless.
            Exception: The store or the examples cannot be read.
        """
        with metadata.Metadata(self._connection) as held:
            done = self._executions(held.store).get(_EXAMPLES)
            if done is None or done.last_known_state not in _DONE:
                return
            events = held.store.get_events_by_execution_ids([done.id])
            made = held.store.get_artifacts_by_id([one.artifact_id for one in events])[0]
        if example_gen.facts_of(made)["fingerprint"] != self._bundle.dataset.fingerprint:
            raise OtherRun(
                f"--run-id {self._run}: the run was begun with other data than {self._bundle.config.data} "
                "holds now; a new run needs another run_id, or none"
            )

    def restore(self, node: str) -> None:
        """Read what the nodes before this one made."""
        with metadata.Metadata(self._connection) as held:
            done = self._executions(held.store)
            for name in self._before(node):
                if name in done and done[name].last_known_state in _DONE:
                    self._ended(name, held.store, done[name])
        began = [one.create_time_since_epoch / 1000 for one in done.values()]
        self._began = min([self._began, *began])

    def run(self, node: str) -> None:
        """Run a node.

        Raises:
            Stopped: It did not complete.
        """
        if node == "ServingCheck":
            workers.prepare("serve")
        self._teller.starts(node)
        [wanted] = [one.pipeline_node for one in self._ir.nodes if one.pipeline_node.node_info.id == node]
        execution_id = launch(self._ir, wanted, self._connection)
        with metadata.Metadata(self._connection) as held:
            [execution] = held.store.get_executions_by_id([execution_id])
            self._ended(node, held.store, execution)
            self.state = proto.Execution.State.Name(execution.last_known_state).lower()
        if node == "Trainer":
            # They are of use until the store knows that the training is done.
            run = Path(self._teller.artifacts(node)["model_run"].uri)
            facts = json.loads((run / "training.json").read_text(encoding="utf-8"))
            shutil.rmtree(facts["checkpoints"], ignore_errors=True)
        self.made = {key: one.uri for key, one in self._teller.artifacts(node).items()}

    def finish(self) -> None:
        """Tell the result of all that was done."""
        self._teller.finish()

    def _ended(self, name: str, store: Any, execution: Any) -> None:
        seconds = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
        self._teller.ended(name, store, execution.id, seconds)

    def _executions(self, store: Any) -> dict[str, Any]:
        """The run's executions by the name of their node."""
        context = store.get_context_by_type_and_name("pipeline_run", self._run)
        found: dict[str, Any] = {}
        for execution in store.get_executions_by_context(context.id) if context is not None else ():
            for one in store.get_contexts_by_execution(execution.id):
                line, _, node = one.name.rpartition(".")
                if one.type == "node" and line == self._ir.pipeline_info.id:
                    found[node] = execution
        return found

    def _before(self, node: str) -> list[str]:
        """All that a node follows, near or far, in the order of the line."""
        nodes = self._bundle.nodes
        wanted, left = set[str](), list(nodes[node])
        while left:
            name = left.pop()
            if name not in wanted:
                wanted.add(name)
                left += nodes[name]
        return [name for name in nodes if name in wanted]

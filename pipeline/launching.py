"""One node of a compiled line, run by TFX's launcher: driver, cache, executor and publisher."""

from __future__ import annotations

from typing import Any

from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher
from tfx.proto.orchestration import pipeline_pb2


def launch(pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, connection: Any) -> int:
    """Run a node, or find that it is done.

    Args:
        pipeline: The whole line, its runtime parameters substituted.
        node: One of its nodes.
        connection: To the metadata store.

    Returns:
        The id of its execution, which may have failed: TFX returns normally where inputs are not resolved.

    Raises:
        RuntimeError: It was skipped.
    """
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    node_id = node.node_info.id
    execution = launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(connection),
        pipeline_info=pipeline.pipeline_info,
        pipeline_runtime_spec=pipeline.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
    ).launch()
    if execution is None or not execution.execution_id:
        raise RuntimeError(f"{node_id} was skipped: its inputs are not there")
    return execution.execution_id

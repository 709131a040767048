"""A line for Vertex AI Pipelines: the PipelineJob that TFX's own KubeflowV2DagRunner makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cluster.quantities import quantity
from cluster.settings import Cluster, Node
from tuning.errors import BadInput

MOUNT = "/gcs/"  # where Vertex AI mounts buckets
_USED = ("image", "root", "data", "tuner")
_USED_OF_NODES = ("cpu", "memory", "gpu", "gpu_type")


def check(cluster: Cluster) -> None:
    """Refuse what Vertex AI has not, before TFX is imported.

    Raises:
        BadInput: The root is in no bucket, or a GPU is named as Kubernetes names it.
    """
    if not cluster.root.startswith(MOUNT):
        raise BadInput(
            f"[kubeflow] root {cluster.root}: Vertex AI keeps files in a bucket; give {MOUNT}BUCKET/FOLDER"
        )
    for name, node in cluster.nodes.items():
        if node.gpu and "/" in node.gpu_type:
            raise BadInput(
                f"[kubeflow.nodes.{name}] gpu_type {node.gpu_type} is Kubernetes' name; give Vertex AI's, "
                "such as NVIDIA_TESLA_T4"
            )


def unused(table: Mapping[str, Any]) -> list[str]:
    """The keys of a table [kubeflow] that a PipelineJob has no place for.

    Args:
        table: As it was given, without defaults.
    """
    tables = {"every_node": table.get("every_node", {})}
    tables |= {f"nodes.{name}": node for name, node in table.get("nodes", {}).items()}
    own = [key for key in table if key not in (*_USED, "every_node", "nodes")]
    return own + [
        f"{where}.{key}" for where, node in tables.items() for key in node if key not in _USED_OF_NODES
    ]


def job(line: Any, cluster: Cluster) -> dict[str, Any]:
    """The PipelineJob, checked against KFP's proto, as JSON has it.

    Args:
        line: What `lines.managed` made.
        cluster: Where it runs.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as tfx_runner

    for component in line.components:
        node = cluster.nodes.get(component.id)
        if node is not None and hasattr(component, "with_platform_config") and component.id != "Baseline":
            component.with_platform_config(_resources(node, pipeline_spec_pb2))
    config = tfx_runner.KubeflowV2DagRunnerConfig(
        default_image=cluster.image,
        display_name=str(line.pipeline_info.pipeline_name),
        use_pipeline_spec_2_1=True,
    )
    line.pipeline_info.pipeline_root = f"gs://{line.pipeline_info.pipeline_root.removeprefix(MOUNT)}"
    made: Any = tfx_runner.KubeflowV2DagRunner(config).run(line, write_out=False)
    found: Mapping[str, Any] = json.loads(made) if isinstance(made, str) else made
    message = json_format.ParseDict(dict(found), pipeline_spec_pb2.PipelineJob())
    return json_format.MessageToDict(message)


def _resources(node: Node, proto: Any) -> Any:
    spec = proto.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(
        cpu_limit=quantity(node.cpu or "0"), memory_limit=quantity(node.memory or "0") / 1e9
    )
    if node.gpu:
        spec.accelerator.type, spec.accelerator.count = node.gpu_type, node.gpu
    return spec

"""A compiled line as a KFP pipeline: a container task for each of TFX's nodes, and what its pod gets."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePosixPath
from typing import Any

from cluster import job, store, syntax, times
from cluster.bundle import Bundle, packed
from cluster.quantities import quantity
from cluster.settings import Cluster, Node
from cluster.store import PASSWORD
from tuning.errors import BadInput

SCHEMA_VERSION = "2.1.0"
ENTRY = ["python", "/app/kubeflow/node.py"]
TUNER_JOB = ["python", "/app/kubeflow/tuner_job.py"]
# Argo counts it from the first attempt's start and then retries no more, however few attempts there were.
# With the hour of kfp's SDK no long training would go on (kubeflow/pipelines#14245). The backend has no such
# bound, and since kubeflow/pipelines#13452 the SDK has none either.
_RETRIED_FOR = "604800s"
# Bytes of an argument. The kernel's 128 KiB hold for what KFP's driver gets, too: the whole container as one
# argument. So a text in parts, each an argument of its own, would not help.
LONGEST = 100 * 1024
# Where the image has its code and Debian, and where KFP and Argo mount volumes of their own (container.go of
# KFP's argocompiler): ours would hide what is there, or be refused as the second one.
_IMAGES = ("/app", "/bin", "/dev", "/lib", "/lib64", "/opt/keras-cnns", "/proc", "/sbin", "/sys", "/usr")
_TAKEN = (
    *_IMAGES, "/dev/shm", "/etc", "/run", "/tmp", "/var/run/argo",
    "/kfp-launcher", "/gcs", "/minio", "/s3", "/.cache", "/.config", "/.local",
)  # fmt: skip
_INFRASTRUCTURE = ("root", "mlmd", "run_id")  # inputs beside the line's own parameters
_TYPES = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", str: "STRING"}


def task_name(node: str) -> str:
    """A node's name as Kubernetes allows it: ImageExampleGen is image-example-gen."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", node).lower()


def pipeline_name(name: str) -> str:
    """A line's name as Kubernetes allows it."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain[:60].strip("-") or "keras-cnns"


def check(cluster: Cluster) -> None:
    """Refuse what would compile and then never start, before TFX is imported.

    Raises:
        BadInput: A GPU is not named as Kubernetes names it, the root hides what a pod needs, or the store is
            a file that the steps do not share.
    """
    for name, node in cluster.nodes.items():
        if node.gpu and not syntax.is_device(node.gpu_type):
            raise BadInput(
                f"[kubeflow.nodes.{name}] gpu_type must be a resource of Kubernetes with its domain, such as "
                f"nvidia.com/gpu, not {node.gpu_type!r}"
            )
    root = PurePosixPath(cluster.root)
    inside = next((one for one in _IMAGES if root.is_relative_to(one)), None)
    if inside is not None:
        raise BadInput(
            f"[kubeflow] root {root} lies in {inside}, which is the image's; give a folder of its own, "
            "such as /mnt/keras-cnns"
        )
    hidden = next((one for one in _TAKEN if PurePosixPath(one).is_relative_to(root)), None)
    if hidden is not None:
        raise BadInput(
            f"[kubeflow] root {root} would hide {hidden}, which each pod needs; give a folder of its own, "
            "such as /mnt/keras-cnns"
        )
    found = store.parse(cluster.mlmd, cluster.root, password="")
    file = PurePosixPath(found.file)
    if found.scheme == "sqlite" and (root not in file.parents or ".." in file.parts):
        raise BadInput(
            f"[kubeflow] mlmd {cluster.mlmd}: the steps share nothing but {root}, so the store must lie "
            "below it; give sqlite:metadata.db, which does"
        )


def pipeline(bundle: Bundle, cluster: Cluster) -> dict[str, Any]:
    """The PipelineSpec, checked against KFP's proto, as JSON has it.

    Args:
        bundle: The line.
        cluster: Where it runs.

    Raises:
        BadInput: The line is too long for an argument.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    nodes, roots = bundle.nodes, [name for name, before in bundle.nodes.items() if not before]
    text = _argument(bundle)
    inputs = _inputs(bundle, cluster)
    spec = {
        "pipelineInfo": {
            "name": pipeline_name(str(bundle.config.name)),
            "description": f"{bundle.config.model} on {bundle.config.data}, by keras_cnns",
        },
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": "kfp-2.5.0",  # whose form of a spec this is, on both lanes
        "deploymentSpec": {
            "executors": {
                f"exec-{task_name(name)}": {
                    "container": _container(name, bundle, cluster, text if name in roots else "")
                }
                for name in nodes
            }
        },
        "components": {f"comp-{task_name(name)}": _component(name, bundle, inputs) for name in nodes},
        "root": {
            "inputDefinitions": {"parameters": inputs},
            "dag": {"tasks": {
                task_name(name): _task(name, before, cluster.nodes[name], inputs)
                for name, before in nodes.items()
            }},
        },
    }  # fmt: skip
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    return json_format.MessageToDict(message)


def _argument(bundle: Bundle) -> str:
    """The line as the first step gets it."""
    text = packed(bundle.text())
    if len(text) > LONGEST:
        raise BadInput(
            f"data {bundle.config.data}: packed, the line with the names of its "
            f"{len(bundle.dataset.classes)} classes has {len(text)} bytes, and an argument of KFP at most "
            f"{LONGEST}; give shorter names, or fewer classes"
        )
    return text


def _inputs(bundle: Bundle, cluster: Cluster) -> dict[str, Any]:
    """The pipeline's inputs: the line's parameters, and where it runs."""
    told = {
        "root": (cluster.root, "folder on the volume that all steps share"),
        "mlmd": (
            cluster.mlmd,
            "metadata store: sqlite:FILE, mysql://USER@HOST:PORT/DATABASE or grpc://HOST:PORT",
        ),
        "run_id": ("", "take up the run with this id; empty for a new one"),
        "accept": ("", "changes of the data to let through the gate, with commas between them"),
        "epochs": (0, "passes over the training images"),
        "batch_size": (0, "images a step"),
        "learning_rate": (0.0, "at the first step"),
    }
    values = {key: told[key][0] for key in _INFRASTRUCTURE} | dict(bundle.parameters)
    return {
        key: {
            "parameterType": _TYPES[type(value)], "defaultValue": value, "isOptional": True,
            "description": told[key][1],
        }
        for key, value in values.items()
    }  # fmt: skip


def _container(name: str, bundle: Bundle, cluster: Cluster, text: str) -> dict[str, Any]:
    node = _own(name, cluster)
    cpu, memory = quantity(node.cpu or "0"), quantity(node.memory or "0") / 1e9  # KFP counts 10⁹ bytes
    resources: dict[str, Any] = {
        "cpuLimit": cpu, "cpuRequest": cpu, "memoryLimit": memory, "memoryRequest": memory,
    }  # fmt: skip
    if node.gpu:
        resources["accelerator"] = {"type": node.gpu_type, "count": str(node.gpu)}
    words = _arguments(name, bundle, text)
    if job.is_job(name, cluster):
        words = ["--pods", job.Pods.of(bundle, cluster).text(), *words]
    return {
        "image": cluster.image, "command": TUNER_JOB if job.is_job(name, cluster) else ENTRY, "args": words,
        "resources": {key: value for key, value in resources.items() if value},
    }  # fmt: skip


def _own(name: str, cluster: Cluster) -> Node:
    """What the step's own pod gets: little where a Job's pods do its work."""
    return job.watcher(cluster) if job.is_job(name, cluster) else cluster.nodes[name]


def _arguments(name: str, bundle: Bundle, text: str) -> list[str]:
    words = [
        "--node", name, "--root", "{{$.inputs.parameters['root']}}", "--ir", str(bundle.place),
        "--mlmd", "{{$.inputs.parameters['mlmd']}}", "--run-id", "{{$.inputs.parameters['run_id']}}",
        "--job", "{{$.inputs.parameters['job']}}",
    ]  # fmt: skip
    for key in bundle.parameters:
        words += ["--param", f"{key}={{{{$.inputs.parameters['{key}']}}}}"]
    for key in _artifacts(name, bundle):
        if key != "metrics":
            words += [f"--{key}", f"{{{{$.outputs.artifacts['{key}'].path}}}}"]
    if _is_last(name, bundle):
        words += ["--model-uri", "{{$.outputs.parameters['model_uri'].output_file}}"]
    if text:
        words += ["--ir-text", text]
    return [*words, "--executor-input", "{{$}}"]


def _is_last(name: str, bundle: Bundle) -> bool:
    return name == list(bundle.nodes)[-1]


def _artifacts(name: str, bundle: Bundle) -> dict[str, str]:
    """What KFP's pages show of a step."""
    return {
        "summary": "system.Markdown",
        **({"metrics": "system.Metrics"} if name in ("Trainer", "Evaluator") else {}),
        **({"report": "system.HTML"} if _is_last(name, bundle) else {}),
    }


def _component(name: str, bundle: Bundle, inputs: dict[str, Any]) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "artifacts": {
            key: {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
            for key, title in _artifacts(name, bundle).items()
        }
    }
    if _is_last(name, bundle):
        outputs["parameters"] = {"model_uri": {"parameterType": "STRING"}}
    kinds = {key: {"parameterType": one["parameterType"]} for key, one in inputs.items()}
    return {
        "executorLabel": f"exec-{task_name(name)}",
        "inputDefinitions": {"parameters": {**kinds, "job": {"parameterType": "STRING"}}},
        "outputDefinitions": outputs,
    }


def _task(name: str, before: list[str], node: Node, inputs: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {key: {"componentInputParameter": key} for key in inputs}
    # The driver replaces it in a constant input only, not in arguments.
    given["job"] = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    task: dict[str, Any] = {
        "taskInfo": {"name": task_name(name)},
        "componentRef": {"name": f"comp-{task_name(name)}"},
        "inputs": {"parameters": given},
        "cachingOptions": {},  # TFX has its own cache; KFP's would skip what writes to our store
    }
    if before:
        task["dependentTasks"] = sorted(task_name(one) for one in before)
    if node.retries:
        pause = times.seconds("backoff", node.backoff) if node.backoff else 0
        task["retryPolicy"] = {
            "maxRetryCount": node.retries, "backoffDuration": f"{pause}s", "backoffFactor": 2,
            "backoffMaxDuration": _RETRIED_FOR,
        }  # fmt: skip
    return task


def platform(bundle: Bundle, cluster: Cluster) -> dict[str, Any]:
    """The file's second document: what Kubernetes gives each pod, in the form of kfp-kubernetes' proto."""
    # The pod that makes the search's Job would hold the quota that its Job waits for.
    unqueued = dataclasses.replace(cluster, queue="")
    executors = {
        f"exec-{task_name(name)}": _pod(
            unqueued if job.is_job(name, cluster) else cluster, _own(name, cluster)
        )
        for name in bundle.nodes
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _pod(cluster: Cluster, node: Node) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "pvcMount": [{"mountPath": cluster.root, **_both("constant", "pvcName", cluster.pvc)}]
    }
    if cluster.mlmd_secret and cluster.mlmd.startswith("mysql:"):
        pod["secretAsEnv"] = [{
            **_both("secretName", "secretName", cluster.mlmd_secret),
            "keyToEnv": [{"secretKey": "password", "envVar": PASSWORD}],
        }]  # fmt: skip
    if cluster.image_pull_secret:
        pod["imagePullSecret"] = [_both("secretName", "secretName", cluster.image_pull_secret)]
    if cluster.image_pull_policy:
        pod["imagePullPolicy"] = cluster.image_pull_policy
    if cluster.queue:
        pod["podMetadata"] = {"labels": {"kueue.x-k8s.io/queue-name": cluster.queue}}
    if node.node_selector:
        pod["nodeSelector"] = {"labels": dict(node.node_selector)}
    if node.tolerations:
        pod["tolerations"] = [
            {**{key: value for key, value in one.items() if key != "seconds"},
             **({"tolerationSeconds": str(one["seconds"])} if "seconds" in one else {})}
            for one in node.tolerations
        ]  # fmt: skip
    if node.shm:
        pod["emptyDirMounts"] = [
            {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": node.shm}
        ]
    if node.timeout:
        pod["activeDeadlineSeconds"] = str(times.seconds("timeout", node.timeout))
    return pod


def _both(old: str, new: str, value: str) -> dict[str, Any]:
    """A name as backends before and after KFP 2.5 read it."""
    return {old: value, f"{new}Parameter": {"runtimeValue": {"constant": value}}}

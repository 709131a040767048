"""The Tuner as a Job of Kubernetes: a chief and workers, which find each other by a Service's name.

The Job's pods all run `tuner_pod.py`; the one with the index 0 is the chief, with a worker beside it, since
all pods of a Job get the same. A pod that is killed is started again and goes on; one whose exit code is one
of FINAL ends the Job.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster import times
from cluster.bundle import Bundle, digest
from cluster.settings import Cluster, Node
from cluster.store import PASSWORD
from tuning.errors import BadInput
from tuning.terminal import BAD_INPUT, FAILED

NODE = "Tuner"
FINAL = (FAILED, BAD_INPUT)  # exit codes of a pod that end the Job
CONTAINER = "tuner"
ENTRY = ["python", "/app/kubeflow/tuner_pod.py"]
PORT = 8000
RUN_ANNOTATION = "keras-cnns/run-id"
INSTANCE = "app.kubernetes.io/instance"
_USER = 1000  # of the image
# Seconds that an ended Job stays, with its pods' logs: one that failed, or was applied by hand.
_KEPT = 24 * 3600
_PLAIN = "Gate"  # a step that nobody gives a machine with GPUs


@dataclasses.dataclass(frozen=True)
class Pods:
    """What a Job's pods are made of, the same for all runs of a line.

    Attributes:
        line: The line's name.
        workers: Pods, in each of which one worker trains.
        cluster: Where they run.
        node: What each of them gets.
    """

    line: str
    workers: int
    cluster: Cluster
    node: Node

    @classmethod
    def of(cls, bundle: Bundle, cluster: Cluster) -> Pods:
        """Those of a compiled line.

        Raises:
            BadInput: A pod would hold GPUs that no worker uses.
        """
        config, gpu = bundle.config, cluster.nodes[NODE].gpu
        if gpu > 1:
            raise BadInput(
                f'[kubeflow.nodes.{NODE}] gpu must be 0 or 1 with tuner = "job", not {gpu}: each pod has one '
                "worker, which trains on one GPU; raise tune_workers"
            )
        plain = dataclasses.replace(cluster, nodes={})
        return cls(str(config.name), config.tune_workers, plain, cluster.nodes[NODE])

    def text(self) -> str:
        """As an argument."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Pods:
        """What `text` made.

        Raises:
            BadInput: It is something else.
        """
        try:
            held = json.loads(text)
            node = Node(**{**held["node"], "tolerations": tuple(held["node"]["tolerations"])})
            return cls(held["line"], held["workers"], Cluster(**held["cluster"]), node)
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"--pods is not what compile.py made: {error!r}") from None


def is_job(name: str, cluster: Cluster) -> bool:
    """Whether a node's work is done by a Job."""
    return name == NODE and cluster.tuner == "job"


def watcher(cluster: Cluster) -> Node:
    """What the step's own pod gets, which makes the Job and looks on: little, and a machine as any step's.

    It has no time-out: it waits in the queue with the Job, whose own one begins to run after that.
    """
    plain, node = cluster.nodes[_PLAIN], cluster.nodes[NODE]
    return Node(
        cpu="1", memory="2Gi", node_selector=plain.node_selector, tolerations=plain.tolerations,
        retries=node.retries, backoff=node.backoff,
    )  # fmt: skip


def name_of(line: str, run_id: str) -> str:
    """The name of the Job and its Service: the hosts `NAME-INDEX` must be labels of DNS, of 63 letters."""
    plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in line.lower())
    short = "-".join(filter(None, plain.split("-")))[:28].rstrip("-")
    return "-".join(filter(None, ("keras-cnns-tuner", short, digest(f"{line}/{run_id}")[:8])))


def notice(root: str, ir: str, run_id: str) -> Path:
    """The file on the volume by which a run's chief tells its workers where the search lies.

    Args:
        root: Folder that all pods share.
        ir: The compiled line's file; see `Bundle.place`.
        run_id: Of the run.
    """
    return (Path(root) / ir).parents[1] / "tuning" / f"{run_id}.json"


def told(file: Path) -> dict[str, Any]:
    """What a notice says: "folder" of the search, "over" once the step is done; {} before it is there."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError:  # not there, or just replaced, which a shared file system may notice late
        return {}


def words(
    root: str, ir: str, mlmd: str, run_id: str, parameters: Sequence[str], patience: float
) -> list[str]:
    """The arguments of the Job's pods, as `node.py` takes them.

    Args:
        root: As in `notice`.
        ir: As in `notice`.
        mlmd: The metadata store.
        run_id: Of the run.
        parameters: NAME=VALUE, chosen for the run.
        patience: Seconds until the store must answer.
    """
    chosen = [word for one in parameters for word in ("--param", one)]
    return [
        "--node", NODE, "--root", root, "--ir", ir, "--mlmd", mlmd, "--run-id", run_id,
        "--patience", f"{patience:g}", *chosen,
    ]  # fmt: skip


def by_hand(bundle: Bundle, cluster: Cluster) -> list[dict[str, Any]]:
    """The manifests for `kubectl apply`, of a run whose other steps are done by hand, too."""
    parameters = [f"{key}={value}" for key, value in bundle.parameters.items()]
    run_id = run_by_hand(bundle)
    given = words(cluster.root, str(bundle.place), cluster.mlmd, run_id, parameters, 60)
    return manifests(Pods.of(bundle, cluster), given, run_id)


def run_by_hand(bundle: Bundle) -> str:
    """The run id in the file for `kubectl apply`: each line has its own, since a run is of one line."""
    return f"by-hand-{bundle.place.stem}"


def manifests(
    pods: Pods, words: Sequence[str], run_id: str, owner: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The Service and the Job.

    Args:
        pods: What the pods are made of.
        words: Their arguments.
        run_id: Of the run.
        owner: An ownerReference: with its object, Kubernetes removes both; None for nobody.
    """
    name = name_of(pods.line, run_id)
    labels = {
        "app.kubernetes.io/name": "keras-cnns", "app.kubernetes.io/component": CONTAINER, INSTANCE: name,
    }  # fmt: skip
    about: dict[str, Any] = {"name": name, "labels": labels, "annotations": {RUN_ANNOTATION: run_id}}
    if owner is not None:
        about["ownerReferences"] = [dict(owner)]
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": about,
        "spec": {
            # Each pod has a name of its own; the chief's is needed before the chief is ready.
            "clusterIP": "None", "publishNotReadyAddresses": True, "selector": {INSTANCE: name},
            "ports": [{"name": "oracle", "port": PORT, "targetPort": "oracle"}],
        },
    }  # fmt: skip
    queue = {"kueue.x-k8s.io/queue-name": pods.cluster.queue} if pods.cluster.queue else {}
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {**about, "labels": {**labels, **queue}},
        "spec": _job(pods, words, name, labels),
    }  # fmt: skip
    return json.loads(json.dumps([service, job]))  # parts of their own, or YAML has references to them


def _job(pods: Pods, words: Sequence[str], name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    count = pods.workers
    spec: dict[str, Any] = {
        "completionMode": "Indexed", "completions": count, "parallelism": count,
        "backoffLimit": pods.node.retries * count,
        "podFailurePolicy": {"rules": [
            # A pod that had to make room counts for nothing.
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            # The step itself failed or was refused: KFP repeats it, or tells of it, as with every other step.
            {"action": "FailJob", "onExitCodes": {
                "containerName": CONTAINER, "operator": "In", "values": list(FINAL),
            }},
        ]},
        "ttlSecondsAfterFinished": _KEPT,
        "template": {
            # A proxy beside the container would outlive it, and the Job would never end.
            "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
            "spec": _pod(pods, words, name),
        },
    }  # fmt: skip
    if pods.node.timeout:
        spec["activeDeadlineSeconds"] = times.seconds("timeout", pods.node.timeout)
    return spec


def _pod(pods: Pods, words: Sequence[str], name: str) -> dict[str, Any]:
    cluster, node = pods.cluster, pods.node
    volumes: list[tuple[str, str, dict[str, Any]]] = [
        ("keras-cnns", cluster.root, {"persistentVolumeClaim": {"claimName": cluster.pvc}}),
        ("tmp", "/tmp", {"emptyDir": {}}),
    ]
    if node.shm:
        volumes.append(("memory", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": node.shm}}))
    spec: dict[str, Any] = {
        "restartPolicy": "Never", "subdomain": name,
        "automountServiceAccountToken": False, "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{
            **_container(cluster, node, words, name),
            "volumeMounts": [{"name": title, "mountPath": path} for title, path, _ in volumes],
        }],
        "volumes": [{"name": title, **source} for title, _, source in volumes],
    }  # fmt: skip
    if cluster.image_pull_secret:
        spec["imagePullSecrets"] = [{"name": cluster.image_pull_secret}]
    if node.node_selector:
        spec["nodeSelector"] = dict(node.node_selector)
    if node.tolerations:
        renamed = {"seconds": "tolerationSeconds"}
        spec["tolerations"] = [
            {renamed.get(key, key): value for key, value in one.items()} for one in node.tolerations
        ]
    return spec


def _container(cluster: Cluster, node: Node, words: Sequence[str], name: str) -> dict[str, Any]:
    resources = {key: value for key, value in (("cpu", node.cpu), ("memory", node.memory)) if value}
    if node.gpu:
        resources[node.gpu_type] = str(node.gpu)
    environment: list[dict[str, Any]] = [
        {"name": "HOME", "value": "/tmp"},  # the root file system is read-only
        {"name": "KERASTUNER_ORACLE_IP", "value": f"{name}-0.{name}"},
        {"name": "KERASTUNER_ORACLE_PORT", "value": str(PORT)},
    ]
    if cluster.mlmd_secret and cluster.mlmd.startswith("mysql:"):
        key = {"name": cluster.mlmd_secret, "key": "password"}
        environment.append({"name": PASSWORD, "valueFrom": {"secretKeyRef": key}})
    return {
        "name": CONTAINER, "image": cluster.image,
        **({"imagePullPolicy": cluster.image_pull_policy} if cluster.image_pull_policy else {}),
        "command": ENTRY, "args": list(words), "env": environment,
        "ports": [{"name": "oracle", "containerPort": PORT}],
        "resources": {"requests": resources, "limits": dict(resources)} if resources else {},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",  # tuner_job.py tells a failed pod's last words
    }  # fmt: skip

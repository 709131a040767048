"""What a cluster gives to the line: the table [kubeflow] of a run.toml, or a file of its own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cluster import syntax, times
from keras_cnns._checks import unknown
from tuning.errors import BadInput

# Only these start a process that may hold a GPU.
GPU_NODES = ("Trainer", "Tuner")
# Registry and folders, name, and then a tag, a digest or both.
_IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:[0-9]+)?/)?([a-z0-9._-]+/)*[a-z0-9._-]+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|(:[A-Za-z0-9_.-]+)?@sha256:[0-9a-f]{64})"
)
_TUNERS = ("pod", "job")
_POLICIES = ("Always", "Never", "IfNotPresent")
# The least and the most that a step can start with, and a good one.
_QUANTITIES = {
    "cpu": ("1m", "10000", "2 or 500m"), "memory": ("64Mi", "1Pi", "16Gi"), "shm": ("1Mi", "1Pi", "1Gi"),
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """What the pod of one step gets.

    Attributes:
        cpu: Cores, as Kubernetes writes them: "2", "500m"; "" for no limit.
        memory: "4Gi", "500M"; "" for no limit.
        gpu: GPUs; only the Trainer and the Tuner can use them.
        gpu_type: Kubernetes' resource name of a GPU.
        node_selector: Labels that the machine must have.
        tolerations: Of taints, each with key, operator, value, effect and seconds, as far as they are needed.
        shm: Size of /dev/shm; "" for the container's own 64 MB.
        retries: After a failure.
        backoff: Until the first retry, then twice as long each time: "30s".
        timeout: Of one attempt: "2h", "1h30m"; "" for none.
    """

    cpu: str = "2"
    memory: str = "4Gi"
    gpu: int = 0
    gpu_type: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    shm: str = ""
    retries: int = 2
    backoff: str = "30s"
    timeout: str = ""


@dataclass(frozen=True)
class Cluster:
    """Where and how the steps run.

    Attributes:
        image: Of every step, with a tag or a digest.
        pvc: The volume claim that all steps share.
        root: Where it is mounted; everything that a run leaves lies below it.
        data: Where the data lies in the pods; "" where the configuration's own path is good there, too.
        mlmd: The metadata store; see `cluster.store`.
        mlmd_secret: The Secret whose key "password" opens a `mysql:` store; "" for none.
        image_pull_policy: Always, Never or IfNotPresent; "" for Kubernetes' own choice.
        image_pull_secret: A Secret; "" for none.
        queue: Kueue's local queue; "" for none.
        tuner: "pod", whose search has its workers beside it, or "job": tune_workers pods.
        nodes: By TFX's name of the node.
    """

    image: str = "keras-cnns:cpu"
    pvc: str = "keras-cnns"
    root: str = "/mnt/keras-cnns"
    data: str = ""
    mlmd: str = "mysql://mlmd@keras-cnns-mysql:3306/mlmd"
    mlmd_secret: str = "keras-cnns-mlmd"
    image_pull_policy: str = ""
    image_pull_secret: str = ""
    queue: str = ""
    tuner: str = "pod"
    nodes: Mapping[str, Node] = field(default_factory=dict)


# What differs from a plain step, before anyone says something else.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Gate": {"retries": 0},  # the data is not better at the second look
    "Trainer": {"cpu": "4", "memory": "8Gi", "shm": "1Gi"},
    "Tuner": {"cpu": "4", "memory": "8Gi", "shm": "1Gi"},
}


def read(path: Path, *, whole: bool = True) -> dict[str, Any]:
    """The table [kubeflow] of a TOML file.

    Args:
        path: The file.
        whole: Whether a file without such a table is one itself; else it has no settings.

    Raises:
        BadInput: It cannot be read.
    """
    from pipeline.config import toml

    values = toml(str(path), path)
    found = values.get("kubeflow", values if whole else {})
    _tables("kubeflow", {"kubeflow": found})
    return found


def cluster(given: Mapping[str, Any], names: Iterable[str]) -> Cluster:
    """Settings of a pipeline's nodes, checked.

    Args:
        given: Fields of Cluster; under "every_node" and "nodes" fields of Node, the latter by name.
        names: The graph's nodes.

    Raises:
        BadInput: Names the key, what came and what is allowed.
    """
    names = list(names)
    tables = {key: given.get(key, {}) for key in ("every_node", "nodes")}
    _tables("kubeflow", tables)
    _tables("kubeflow.nodes", tables["nodes"])
    known = [one.name for one in dataclasses.fields(Cluster)]
    plain = {key: value for key, value in given.items() if key not in tables}
    for key, value in plain.items():
        if key not in known:
            raise BadInput(f"[kubeflow]: {unknown('key', key, [*known, 'every_node'])}")
        if not isinstance(value, str):
            raise BadInput(f"[kubeflow] {key} must be text, not {value!r}")
    for name in tables["nodes"]:
        if name not in names:
            raise BadInput(f"[kubeflow.nodes]: {unknown('node', name, names)}")
    found = {
        name: _node(
            name, {**_DEFAULTS.get(name, {}), **tables["every_node"], **tables["nodes"].get(name, {})}
        )
        for name in names
    }
    made = Cluster(**plain, nodes=found)
    _check(made)
    return dataclasses.replace(made, root=str(PurePosixPath("/" + made.root.lstrip("/"))))


def _tables(where: str, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if not isinstance(value, Mapping):
            raise BadInput(f"[{where}] {key} must be a table, not {value!r}")


def _node(name: str, values: Mapping[str, Any]) -> Node:
    where = f"[kubeflow.nodes.{name}]"
    kinds = {one.name: type(one.default) for one in dataclasses.fields(Node)}
    kinds |= {"node_selector": dict, "tolerations": list}
    for key, value in values.items():
        if key not in kinds:
            raise BadInput(f"{where}: {unknown('key', key, list(kinds))}")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key in ("cpu", "memory") and number:
            continue
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise BadInput(f"{where} {key} must be {_WORDS[kinds[key]]}, not {value!r}")
    made: dict[str, Any] = {**values, "tolerations": tuple(values.get("tolerations", ()))}
    made |= {key: str(made[key]) for key in ("cpu", "memory") if key in made}
    node = Node(**made)
    for key, (least, most, example) in _QUANTITIES.items():
        if getattr(node, key):
            syntax.check_quantity(f"{where} {key}", getattr(node, key), least, most, example)
    for key in ("backoff", "timeout"):
        if getattr(node, key):
            times.seconds(f"{where} {key}", getattr(node, key))
    for key in ("gpu", "retries"):
        if getattr(node, key) < 0:
            raise BadInput(f"{where} {key} must be at least 0, not {getattr(node, key)}")
    if node.gpu and name not in GPU_NODES:
        raise BadInput(f"{where} gpu = {node.gpu}: this step cannot use a GPU; {' and '.join(GPU_NODES)} can")
    if node.gpu and not node.gpu_type:
        raise BadInput(f"{where} gpu_type must be such as nvidia.com/gpu, not ''")
    for one in node.tolerations:
        if not isinstance(one, Mapping):
            raise BadInput(f"{where} tolerations must be {_WORDS[list]}, not of {one!r}")
        syntax.check_toleration(f"{where} tolerations", one)
    syntax.check_labels(f"{where} node_selector", node.node_selector)
    return node


_WORDS = {str: "text", int: "a whole number", dict: "a table", list: "a list of tables"}


def _check(made: Cluster) -> None:
    if not _IMAGE.fullmatch(made.image):
        raise BadInput(
            f"[kubeflow] image must be a name with a tag, such as keras-cnns:1.0, not {made.image!r}"
        )
    for key in ("pvc", "mlmd_secret", "image_pull_secret", "queue"):
        value = getattr(made, key)
        longest = 63 if key == "queue" else 253  # a queue is a label
        if (value or key == "pvc") and not syntax.is_name(value, longest):
            raise BadInput(
                f"[kubeflow] {key} must be a name of Kubernetes (small letters, digits, - .), not {value!r}"
            )
    for key in ("root", "data"):
        value = getattr(made, key)
        strange = re.search(r"[\s\"\\{}]", value) or ".." in PurePosixPath(value).parts
        if value and (not PurePosixPath(value).is_absolute() or strange):
            raise BadInput(f"[kubeflow] {key} must be a path from / on, without spaces or .., not {value!r}")
    if not made.root.strip("/"):
        raise BadInput(f"[kubeflow] root must be a folder below /, not {made.root!r}")
    if made.image_pull_policy not in ("", *_POLICIES):
        raise BadInput(f"[kubeflow] {unknown('image_pull_policy', made.image_pull_policy, _POLICIES)}")
    if made.tuner not in _TUNERS:
        raise BadInput(f"[kubeflow] {unknown('tuner', made.tuner, _TUNERS)}")
    from cluster import store

    store.parse(made.mlmd, made.root, password="")

"""Manifests read strictly, by the typed models of Kubernetes' Python client; Kueue's are written here."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_KEY = rf"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
_LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_QUANTITY = r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?"
_PORT_NAME = r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?"
_IMAGE = r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*:(?!latest$)[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_ABSOLUTE = r"/[^:]*"
_VERBS = "create|delete|deletecollection|get|list|patch|update|watch"

# What the models' types leave open, by model and field; every value of a list or a map is held to it.
_PATTERNS = {
    ("V1ObjectMeta", "name"): _SUBDOMAIN,
    ("V1ObjectMeta", "labels"): _LABEL_VALUE,
    ("V1LabelSelector", "matchLabels"): _LABEL_VALUE,
    ("V1ServiceSpec", "selector"): _LABEL_VALUE,
    ("V1ServiceSpec", "type"): "ClusterIP|NodePort|LoadBalancer|ExternalName",
    ("V1ServicePort", "name"): _DNS_LABEL,
    ("V1ServicePort", "protocol"): "TCP|UDP|SCTP",
    ("V1PersistentVolumeClaimSpec", "accessModes"): "Read(WriteOnce|OnlyMany|WriteMany|WriteOncePod)",
    ("V1DeploymentStrategy", "type"): "Recreate|RollingUpdate",
    ("V1PodSpec", "restartPolicy"): "Always|OnFailure|Never",
    ("V1PodSpec", "serviceAccountName"): _SUBDOMAIN,
    ("V1PodSecurityContext", "fsGroupChangePolicy"): "Always|OnRootMismatch",
    ("V1SeccompProfile", "type"): "Localhost|RuntimeDefault|Unconfined",
    ("V1Container", "name"): _DNS_LABEL,
    ("V1Container", "image"): _IMAGE,
    ("V1Container", "imagePullPolicy"): "Always|IfNotPresent|Never",
    ("V1ContainerPort", "name"): _PORT_NAME,
    ("V1ContainerPort", "protocol"): "TCP|UDP|SCTP",
    ("V1EnvVar", "name"): "[-._a-zA-Z][-._a-zA-Z0-9]*",
    ("V1HTTPGetAction", "path"): _ABSOLUTE,
    ("V1HTTPGetAction", "scheme"): "HTTP|HTTPS",
    ("V1ResourceRequirements", "requests"): _QUANTITY,
    ("V1ResourceRequirements", "limits"): _QUANTITY,
    ("V1Volume", "name"): _DNS_LABEL,
    ("V1VolumeMount", "mountPath"): _ABSOLUTE,
    ("V1EmptyDirVolumeSource", "medium"): "|Memory|HugePages",
    ("V1EmptyDirVolumeSource", "sizeLimit"): _QUANTITY,
    ("V1PolicyRule", "verbs"): _VERBS,
    ("V1RoleRef", "kind"): "Role|ClusterRole",
    ("V1RoleRef", "apiGroup"): r"rbac\.authorization\.k8s\.io",
    ("V1Subject", "kind"): "User|Group|ServiceAccount",
    ("LocalQueueSpec", "clusterQueue"): _SUBDOMAIN,
    ("LocalQueueSpec", "stopPolicy"): "None|Hold|HoldAndDrain",
    ("ResourceFlavorSpec", "nodeLabels"): _LABEL_VALUE,
    ("ClusterQueueSpec", "cohortName"): _SUBDOMAIN,
    ("ClusterQueueSpec", "queueingStrategy"): "StrictFIFO|BestEffortFIFO",
    ("ClusterQueueSpec", "stopPolicy"): "None|Hold|HoldAndDrain",
    ("FlavorQuotas", "name"): _SUBDOMAIN,
    ("ResourceQuota", "nominalQuota"): _QUANTITY,
    ("ResourceQuota", "borrowingLimit"): _QUANTITY,
    ("ResourceQuota", "lendingLimit"): _QUANTITY,
}
# Kueue has no client here. Its fields, the needed ones with an asterisk, as kubernetes-sigs/kueue has them in
# apis/kueue/v1beta2/*_types.go (013c8f25, 02bc146f, 2fff9dfc), as far as our manifests may come to use them.
_META = {"apiVersion": "str", "kind": "str", "metadata": "V1ObjectMeta"}
_KUEUE = {
    "LocalQueue": {**_META, "spec": "LocalQueueSpec"},
    "LocalQueueSpec": {"clusterQueue": "str", "stopPolicy": "str"},
    "ResourceFlavor": {**_META, "spec": "ResourceFlavorSpec"},
    "ResourceFlavorSpec": {
        "nodeLabels": "dict(str, str)", "nodeTaints": "list[V1Taint]", "tolerations": "list[V1Toleration]",
        "topologyName": "str",
    },
    "ClusterQueue": {**_META, "spec": "ClusterQueueSpec"},
    "ClusterQueueSpec": {
        "resourceGroups": "list[ResourceGroup]", "cohortName": "str", "queueingStrategy": "str",
        "namespaceSelector": "V1LabelSelector", "stopPolicy": "str",
    },
    "ResourceGroup": {"coveredResources*": "list[str]", "flavors*": "list[FlavorQuotas]"},
    "FlavorQuotas": {"name*": "str", "resources*": "list[ResourceQuota]"},
    "ResourceQuota": {
        "name*": "str", "nominalQuota*": "str", "borrowingLimit": "str", "lendingLimit": "str",
    },
}  # fmt: skip
_KUEUE_VERSION = "kueue.x-k8s.io/v1beta2"
_PORTS = {("V1ContainerPort", "containerPort"), ("V1ServicePort", "port")}
_SCALARS: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}
_HANDLERS = {"exec", "grpc", "httpGet", "tcpSocket"}


def load(*paths: Path) -> list[dict[str, Any]]:
    """All objects of YAML files, in order."""
    return [each for path in paths for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with one object: fields that are unknown or missing, types, enumerations, formats."""
    kind, version = str(manifest.get("kind")), str(manifest.get("apiVersion"))
    name = manifest.get("metadata", {}).get("name")
    where = f"{kind}/{name}"
    kueue = version == _KUEUE_VERSION
    model = kind if kueue else f"{version.rpartition('/')[2].capitalize()}{kind}"
    if model not in _KUEUE if kueue else not hasattr(client, model):
        return [f"{where}: Kubernetes has no kind {kind} in {version}"]
    found = list(_value(manifest, model, where))
    if not name:
        found.append(f"{where}: metadata.name is missing")
    # A Service's name becomes a DNS label, which an API server holds to the stricter form.
    elif kind == "Service" and not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", str(name)):
        found.append(f"{where}: a Service's name has no dots and begins with a letter")
    return found


def _value(value: Any, declared: str, where: str) -> Iterator[str]:
    if inner := re.fullmatch(r"list\[(.+)\]", declared):
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for index, each in enumerate(value):
            yield from _value(each, inner[1], f"{where}[{index}]")
    elif inner := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", declared):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no map"
            return
        for key, each in value.items():
            if not isinstance(key, str) or not re.fullmatch(_LABEL_KEY, key):
                yield f"{where}: {key!r} is no key"
            yield from _value(each, inner[1], f"{where}.{key}")
    elif declared in _SCALARS:
        # True is an int in Python, not in YAML.
        if not isinstance(value, _SCALARS[declared]) or (declared == "int" and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {declared}"
    else:
        yield from _object(value, declared, where)


def _object(value: Any, model: str, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no {model}"
        return
    fields, needed = _fields(model)
    for key, each in value.items():
        here = f"{where}.{key}"
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            yield f"{here}: {model} has no such field" + (f"; did you mean {close[0]}?" if close else "")
            continue
        wrong = list(_value(each, fields[key], here))
        yield from wrong or _formats(each, model, key, here)
    for key in sorted(needed - set(value)):
        yield f"{where}: {model} needs {key}"
    if model in ("V1Volume", "V1Probe"):
        sources = set(value) - {"name"} if model == "V1Volume" else set(value) & _HANDLERS
        if len(sources) != 1:
            yield f"{where}: {model} needs exactly one kind, and has {sorted(sources)}"


def _formats(value: Any, model: str, key: str, where: str) -> Iterator[str]:
    if (model, key) in _PORTS and not 0 < value < 65536:
        yield f"{where}: {value} is no port"
    pattern = _PATTERNS.get((model, key))
    if pattern is None:
        return
    each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    for text in each:
        if not re.fullmatch(pattern, text):
            yield f"{where}: {text!r} is not of the form {pattern}"


@functools.cache
def _fields(model: str) -> tuple[dict[str, str], frozenset[str]]:
    """The fields of a model as YAML spells them with their types, and those that it needs."""
    if model in _KUEUE:
        types = {name.rstrip("*"): kind for name, kind in _KUEUE[model].items()}
        return types, frozenset(name[:-1] for name in _KUEUE[model] if name.endswith("*"))
    kind = getattr(client, model)
    blank = kind.__new__(kind)
    blank.local_vars_configuration = client.Configuration()
    needed = set()
    for attribute, name in kind.attribute_map.items():
        try:
            setattr(blank, attribute, None)
        except ValueError:
            needed.add(name)
    types = {name: kind.openapi_types[attribute] for attribute, name in kind.attribute_map.items()}
    return types, frozenset(needed)

"""What a platform document asks of Kubernetes for a task, as far as it can be had on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.quantities import quantity

_REFUSED = (
    "secretAsVolume", "configMapAsVolume", "configMapAsEnv", "genericEphemeralVolume", "fieldPathAsEnv",
    "initContainers", "podResourceClaims",
)  # fmt: skip
_SHARED_MEMORY = "/dev/shm"


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim: its folder `inside` is mounted at `path`."""

    name: str
    path: str
    inside: str


@dataclass(frozen=True)
class Secret:
    """An environment variable that a Secret's key fills."""

    variable: str
    secret: str
    key: str
    optional: bool


@dataclass(frozen=True)
class Scratch:
    """An empty folder of the pod's own: in memory or not, with at most `size` bytes (None for no limit)."""

    name: str
    path: str
    memory: bool
    size: int | None


@dataclass(frozen=True)
class Pod:
    """What a task's pod has around its container.

    Attributes:
        deadline: Seconds that one attempt may last; None for no limit.
        claims: Its volumes.
        secrets: Its environment variables from Secrets.
        scratch: Its empty folders, without the shared memory.
        shared_memory: Bytes of /dev/shm; None for what the machine gives.
        user: UID or UID:GID; "" for the image's own.
    """

    deadline: int | None
    claims: tuple[Claim, ...]
    secrets: tuple[Secret, ...]
    scratch: tuple[Scratch, ...]
    shared_memory: int | None
    user: str


def read(kubernetes: Mapping[str, Any], parameters: Mapping[str, Any]) -> Pod:
    """Read an executor's part of the platform document.

    Args:
        kubernetes: The executor's KubernetesExecutorConfig as a dictionary; what chooses a node is ignored.
        parameters: The pipeline's inputs, which the names of volumes may come from.

    Raises:
        ValueError: It asks for something that is not supported here; the text says what.
    """
    for field in _REFUSED:
        if kubernetes.get(field):
            raise ValueError(f"has {field} in its platform document, which is not supported here")
    folders = [_scratch(one) for one in kubernetes.get("emptyDirMounts", ())]
    shared = kubernetes.get("enabledSharedMemory") or {}
    sizes = [one.size for one in folders if one.path == _SHARED_MEMORY]
    sizes += [_size(shared["size"])] if shared.get("size") else []
    user, group = (
        str((kubernetes.get("securityContext") or {}).get(f"runAs{who}", "")) for who in ("User", "Group")
    )
    return Pod(
        deadline=int(kubernetes.get("activeDeadlineSeconds") or 0) or None,
        claims=tuple(
            Claim(_name(one, "pvc", parameters), one["mountPath"].rstrip("/"), one.get("subPath", ""))
            for one in kubernetes.get("pvcMount", ())
        ),
        secrets=tuple(
            Secret(
                pair["envVar"], _name(one, "secret", parameters), pair["secretKey"], bool(one.get("optional"))
            )
            for one in kubernetes.get("secretAsEnv", ())
            for pair in one.get("keyToEnv", ())
        ),
        scratch=tuple(one for one in folders if one.path != _SHARED_MEMORY),
        shared_memory=sizes[0] if sizes else None,
        user=f"{user}:{group}" if user and group else user,
    )


def _scratch(given: Mapping[str, Any]) -> Scratch:
    size = given.get("sizeLimit")
    in_memory = given.get("medium") == "Memory"
    return Scratch(
        given["volumeName"], given["mountPath"].rstrip("/"), in_memory, _size(size) if size else None
    )


def _size(text: str) -> int:
    return int(quantity(text))


def _name(given: Mapping[str, Any], kind: str, parameters: Mapping[str, Any]) -> str:
    """The name of a volume or a Secret: a constant, or an input of the pipeline."""
    if given.get("secretName"):
        return given["secretName"]
    parameter = given.get(f"{kind}NameParameter") or {}
    for source in (given, parameter.get("runtimeValue") or {}):
        if source.get("constant"):
            return source["constant"]
    for source in (given, parameter):
        if source.get("componentInputParameter") in parameters:
            return str(parameters[source["componentInputParameter"]])
    raise ValueError(f"has a {kind} whose name is neither a constant nor an input of the pipeline")

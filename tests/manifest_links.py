"""What manifests owe each other: names that exist, selectors that match, pods that are held in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes.utils import parse_quantity

Manifest = dict[str, Any]
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Where each pod stands, its metadata and its spec: Pods themselves and those that a Deployment makes."""
    for each in manifests:
        where = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield where, each["metadata"], each["spec"]
        elif each["kind"] == "Deployment":
            template = each["spec"]["template"]
            yield where, template["metadata"], template["spec"]


def problems(manifests: list[Manifest], secrets: Mapping[str, set[str]], accounts: set[str]) -> list[str]:
    """What does not fit together.

    Args:
        manifests: Objects that are applied together.
        secrets: The Secrets that are made beforehand, with their keys.
        accounts: The service accounts that the namespace has.
    """
    found: list[str] = []
    named = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    found += [f"{kind}/{name}: twice" for kind, name in set(named) if named.count((kind, name)) > 1]
    claims = {name for kind, name in named if kind == "PersistentVolumeClaim"}
    for each in manifests:
        where = f"{each['kind']}/{each['metadata']['name']}"
        found += _labels(each["metadata"], where)
        if each["kind"] == "Service":
            found += _service(each, manifests, where)
        if each["kind"] == "Deployment":
            found += _deployment(each["spec"], where)
        if each["kind"] == "RoleBinding":
            found += _binding(each, named, accounts, where)
    for where, metadata, spec in pods(manifests):
        found += _labels(metadata, where)
        found += _pod(spec, where)
        found += _references(spec, secrets, accounts, claims, where)
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            found += _container(container, spec, f"{where} {container['name']}")
    return found


def _labels(metadata: Manifest, where: str) -> Iterator[str]:
    labels = metadata.get("labels", {})
    if labels.get(NAME) != "keras-cnns" or not labels.get(COMPONENT):
        yield f"{where}: needs the labels {NAME}: keras-cnns and {COMPONENT}"


def _service(service: Manifest, manifests: list[Manifest], where: str) -> Iterator[str]:
    selector = service["spec"]["selector"].items()
    chosen = [(at, spec) for at, metadata, spec in pods(manifests) if selector <= metadata["labels"].items()]
    if len(chosen) != 1:
        yield f"{where}: its selector finds {[at for at, _ in chosen]}, not one workload"
        return
    ports = {port["name"] for container in chosen[0][1]["containers"] for port in container.get("ports", [])}
    for port in service["spec"]["ports"]:
        if port.get("targetPort") not in ports:
            yield f"{where}: target port {port.get('targetPort')} is none of {sorted(ports)}"


def _deployment(spec: Manifest, where: str) -> Iterator[str]:
    if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
        yield f"{where}: its selector does not find its own pods"
    for container in spec["template"]["spec"]["containers"]:
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            here = f"{where} {container['name']}"
            if probe not in container:
                yield f"{here}: has no {probe}"
                continue
            action = container[probe].get("tcpSocket") or container[probe].get("httpGet") or {}
            if "port" in action and action["port"] not in ports:
                yield f"{here}: {probe} asks port {action['port']}, none of {sorted(ports)}"


def _binding(
    binding: Manifest, named: list[tuple[str, str]], accounts: set[str], where: str
) -> Iterator[str]:
    role = binding["roleRef"]
    if (role["kind"], role["name"]) not in named:
        yield f"{where}: {role['kind']}/{role['name']} is not there"
    for subject in binding["subjects"]:
        if subject["name"] not in accounts:
            yield f"{where}: the account {subject['name']} is none of {sorted(accounts)}"


def _pod(spec: Manifest, where: str) -> Iterator[str]:
    held = spec.get("securityContext", {})
    if not held.get("runAsNonRoot") or not held.get("runAsUser"):
        yield f"{where}: does not say that it runs as another user than root"
    if held.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{where}: has no seccompProfile RuntimeDefault"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{where}: {key}"
    if any("hostPath" in volume for volume in spec["volumes"]):
        yield f"{where}: hostPath"


def _container(container: Manifest, spec: Manifest, where: str) -> Iterator[str]:
    held = container.get("securityContext", {})
    if held.get("allowPrivilegeEscalation") is not False or held.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{where}: keeps privileges"
    if held.get("readOnlyRootFilesystem") is not True:
        yield f"{where}: can write to its root file system"
    resources = container.get("resources", {})
    for kind in ("cpu", "memory"):
        asked, most = (resources.get(side, {}).get(kind) for side in ("requests", "limits"))
        if asked is None or most is None:
            yield f"{where}: needs a request and a limit of {kind}"
        elif parse_quantity(asked) > parse_quantity(most):
            yield f"{where}: asks for more {kind} than its limit"
    volumes = {each["name"] for each in spec["volumes"]}
    mounts = [each["mountPath"] for each in container.get("volumeMounts", [])]
    yield from (f"{where}: two mounts at {path}" for path in set(mounts) if mounts.count(path) > 1)
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"{where}: there is no volume {mount['name']}"


def _references(
    spec: Manifest, secrets: Mapping[str, set[str]], accounts: set[str], claims: set[str], where: str
) -> Iterator[str]:
    if spec.get("serviceAccountName", "default") not in accounts | {"default"}:
        yield f"{where}: the account {spec['serviceAccountName']} is none of {sorted(accounts)}"
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    used = {mount["name"] for each in containers for mount in each.get("volumeMounts", [])}
    for volume in spec["volumes"]:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and claim not in claims:
            yield f"{where}: there is no claim {claim}"
        if volume["name"] not in used:
            yield f"{where}: nothing mounts the volume {volume['name']}"
    for variable in (variable for each in containers for variable in each.get("env", [])):
        key = variable.get("valueFrom", {}).get("secretKeyRef")
        if key and key["key"] not in secrets.get(key["name"], ()):
            yield f"{where}: {variable['name']}: there is no key {key['key']} in a Secret {key['name']}"

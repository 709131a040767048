"""A small Kubernetes: an API server for Jobs, Services and pods, with rights, and what runs pods here.

Pods are real processes, made from the Job's own template: images are this checkout, claims are folders, and
a pod's name resolves to this machine where a Service selects it.
"""

from __future__ import annotations

import contextlib
import copy
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import manifest_schema
import yaml
from kfp_server import LocalServer

ROOT = Path(__file__).parent.parent
SECRETS = {"keras-cnns-mlmd": {"password": "two words"}}
NAMESPACE, TOKEN = "people", "a-token"
KINDS = {"jobs": "Job", "services": "Service", "pods": "Pod"}
_PATH = re.compile(r"/(?:apis/(batch)|api)/v1/namespaces/([a-z]+)/(jobs|services|pods)(?:/([^/]+))?")
_COLLECTED = 0.5  # seconds until what was deleted in the foreground is gone
QUEUE = "kueue.x-k8s.io/queue-name"
# A model of the client asks for a field that Kubernetes itself makes optional.
_OPTIONAL = "V1PodFailurePolicyRule needs onPodConditions"
Object = dict[str, Any]


def granted() -> list[Object]:
    """The rules that our own manifests give to a step's account."""
    found = manifest_schema.load(ROOT / "kubeflow" / "manifests" / "base" / "access.yaml")
    return next(one["rules"] for one in found if one["kind"] == "Role")


@dataclass
class Pod:
    """A pod and its process."""

    manifest: Object
    process: subprocess.Popen[bytes]
    log: Path
    index: int

    def kill(self) -> None:
        """As the kernel does when memory is short: the whole container at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Kubernetes:
    """The cluster.

    Attributes:
        folder: For logs.
        paths: What lies where in a pod, such as {"/mnt/keras-cnns": FOLDER, "/app": CHECKOUT}.
        port: What stands for the port 8000 of a pod.
        instead: A shell command that every pod runs instead of its own.
        rules: The rights of whoever has the token.
        secrets: By name.
        environment: Of every pod, for what an image has.
        lingers: Seconds that a deleted Service is there yet, as with a finalizer.
    """

    folder: Path
    paths: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    instead: str = ""
    rules: list[Object] = field(default_factory=granted)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: SECRETS)
    environment: Mapping[str, str] = field(default_factory=dict)
    lingers: float = 0.0
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: int = 0  # answers with this status to everything, as long as it is not 0
    lock: Any = field(default_factory=threading.RLock)

    def apply(self, manifest: Object) -> tuple[int, Object]:
        """Make an object, as an API server does; returns status and answer."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        wrong = [one for one in manifest_schema.problems(manifest) if _OPTIONAL not in one]
        if wrong:
            return 422, {"message": "; ".join(wrong)}
        with self.lock:
            if (kind, name) in self.objects:
                return 409, {"message": f"{kind} {name} already exists"}
            made = copy.deepcopy(manifest)
            made["metadata"] |= {"namespace": NAMESPACE, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
            made["status"] = {}
            if kind == "Job" and QUEUE in made["metadata"]["labels"]:
                made["spec"]["suspend"] = True  # as Kueue's webhook does
            self.objects[kind, name] = made
            return 201, made

    def admit(self) -> None:
        """Let what waits in queues begin."""
        with self.lock:
            for (kind, _), one in self.objects.items():
                if kind == "Job":
                    one["spec"]["suspend"] = False

    def running(self, index: int) -> Pod | None:
        """The pod with an index that is at work."""
        with self.lock:
            found = [one for one in self.pods.values() if one.index == index and one.process.poll() is None]
        return found[0] if found else None

    def logs(self) -> str:
        """What all pods printed, those that are gone, too."""
        return "\n".join(f"== {one.name}\n{one.read_text()}" for one in sorted(self.folder.glob("*.log")))

    def look(self) -> None:
        """What controllers do: start, note what ended, end, remove."""
        with self.lock:
            for (kind, name), one in list(self.objects.items()):
                if kind == "Job":
                    self._control(name, one)
                deleted = one["metadata"].get("deletionTimestamp")
                if kind == "Service" and deleted and _age(deleted) >= max(self.lingers, _COLLECTED):
                    del self.objects[kind, name]

    def _control(self, name: str, job: Object) -> None:
        ours = [
            one
            for one in self.pods.values()
            if one.manifest["metadata"]["ownerReferences"][0]["name"] == name
        ]
        for one in ours:
            self._note(one)
        if "deletionTimestamp" in job["metadata"]:
            self._end(ours)
            if all(one.process.poll() is not None for one in ours):
                for one in ours:
                    self.objects.pop(("Pod", one.manifest["metadata"]["name"]), None)
                    self.pods.pop(one.manifest["metadata"]["name"])
                del self.objects["Job", name]
            return
        spec, status = job["spec"], job["status"]
        if spec.get("suspend") or status.get("conditions"):
            return
        done = {one.index for one in ours if one.process.poll() == 0}
        failed = [one for one in ours if one.process.poll() not in (None, 0)]
        status |= {
            "succeeded": len(done),
            "failed": len(failed),
            "completedIndexes": ",".join(map(str, sorted(done))),
        }
        for one in failed:
            for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
                codes = rule.get("onExitCodes", {}).get("values", ())
                if rule["action"] == "FailJob" and one.process.returncode in codes:
                    message = f"Container tuner failed with exit code {one.process.returncode}"
                    status["conditions"] = [condition("Failed", "PodFailurePolicy", message)]
        if not status.get("conditions") and len(failed) > spec["backoffLimit"]:
            text = "Job has reached the specified backoff limit"
            status["conditions"] = [condition("Failed", "BackoffLimitExceeded", text)]
        if len(done) == spec["completions"]:
            status["conditions"] = [condition("Complete", "", "")]
        if status.get("conditions"):
            self._end(ours)
            return
        working = {one.index for one in ours if one.process.poll() is None}
        for index in range(spec["completions"]):
            if index not in done | working:
                self._start(name, job, index)

    def _start(self, name: str, job: Object, index: int) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        title = f"{name}-{index}-{uuid.uuid4().hex[:5]}"
        pod = {
            "apiVersion": "v1", "kind": "Pod", "spec": {**template["spec"], "hostname": f"{name}-{index}"},
            "metadata": {
                **template["metadata"], "name": title, "creationTimestamp": now(),
                "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
                "ownerReferences": [{"kind": "Job", "name": name, "controller": True}],
            },
            "status": {
                "phase": "Running", "containerStatuses": [{"name": "tuner", "state": {"running": {}}}],
            },
        }  # fmt: skip
        log = self.folder / f"{title}.log"
        [container] = pod["spec"]["containers"]
        words = [*container["command"], *container["args"]]
        if self.instead:
            words = ["sh", "-c", self.instead]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable if one == "python" else self._placed(one) for one in words],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=self.folder,
                env={**os.environ, **self._environment(container), "JOB_COMPLETION_INDEX": str(index)},
            )  # fmt: skip
        self.objects["Pod", title] = pod
        self.pods[title] = Pod(pod, process, log, index)

    def _environment(self, container: Object) -> dict[str, str]:
        found = dict(self.environment)
        for one in container["env"]:
            source = one.get("valueFrom", {}).get("secretKeyRef")
            value = one["value"] if source is None else self.secrets[source["name"]][source["key"]]
            found[one["name"]] = self._resolved(value) if one["name"] == "KERASTUNER_ORACLE_IP" else value
        if self.port:
            found["KERASTUNER_ORACLE_PORT"] = str(self.port)
        return found

    def _resolved(self, host: str) -> str:
        """What cluster DNS does: HOSTNAME.SUBDOMAIN of a pod that a headless Service of that name selects."""
        pod, _, subdomain = host.partition(".")
        service = self.objects["Service", subdomain]
        job = self.objects["Job", pod.removesuffix("-0")]
        labels = job["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["clusterIP"] == "None"
        assert job["spec"]["template"]["spec"]["subdomain"] == subdomain
        assert service["spec"]["selector"].items() <= labels.items()
        return "127.0.0.1"

    def _placed(self, word: str) -> str:
        for inside, outside in self.paths.items():
            if word == inside or word.startswith(f"{inside}/"):
                return outside + word[len(inside) :]
        return word

    def _note(self, pod: Pod) -> None:
        code = pod.process.poll()
        if code is None:
            return
        pod.kill()  # the container ends with its first process
        code = 128 - code if code < 0 else code
        message = "" if code == 0 else pod.log.read_text()[-2048:]
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
        pod.manifest["status"] = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "tuner", "state": {"terminated": ended}}],
        }

    def _end(self, pods: list[Pod]) -> None:
        for one in pods:
            if one.process.poll() is None:
                one.process.terminate()

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Object]:
        """Answer a request."""
        parts = urlsplit(path)
        match = _PATH.fullmatch(parts.path)
        if match is None:
            return 404, {"message": "the server could not find the requested resource"}
        group, namespace, plural, name = match.groups()
        if self.down:
            return self.down, {"message": "etcdserver: leader changed"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Unauthorized"}
        verb = {"POST": "create", "DELETE": "delete"}.get(method, "get" if name else "list")
        self.asked.append(f"{verb} {plural}")
        if namespace != NAMESPACE or not any(
            (group or "") in one["apiGroups"] and plural in one["resources"] and verb in one["verbs"]
            for one in self.rules
        ):
            return 403, {"message": f"{plural} is forbidden: User cannot {verb} resource {plural}"}
        kind = KINDS[plural]
        with self.lock:
            if verb == "create":
                return self.apply(json.loads(body))
            if verb == "list":
                wanted = dict(
                    one.split("=")
                    for one in parse_qs(parts.query).get("labelSelector", [""])[0].split(",")
                    if one
                )
                found = [
                    one for (its, _), one in self.objects.items()
                    if its == kind and wanted.items() <= one["metadata"].get("labels", {}).items()
                ]  # fmt: skip
                return 200, {"kind": f"{kind}List", "items": found}
            if (kind, name) not in self.objects:
                return 404, {"message": f'{plural} "{name}" not found'}
            found = self.objects[kind, name]
            # In the foreground it stays until the garbage collector has seen to its own objects.
            foreground = parse_qs(parts.query).get("propagationPolicy") == ["Foreground"]
            if verb == "delete" and (kind == "Job" or foreground or self.lingers):
                found["metadata"].setdefault("deletionTimestamp", now())
            elif verb == "delete":
                del self.objects[kind, name]
            return 200, found


def condition(kind: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _age(moment: str) -> float:
    """Seconds since a moment."""
    return (datetime.now(timezone.utc) - datetime.fromisoformat(moment)).total_seconds()


@contextlib.contextmanager
def serving(cluster: Kubernetes) -> Iterator[Path]:
    """Serve a cluster; yields its kubeconfig. All its processes are gone afterwards."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = cluster.answer(
                self.command, self.path, self.headers.get("Authorization", ""), body
            )
            if status >= 400:
                found = {"kind": "Status", "status": "Failure", "code": status, **found}
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = LocalServer(("127.0.0.1", 0), Handler)
    over = threading.Event()

    broken: list[BaseException] = []

    def control() -> None:
        try:
            while not over.wait(0.1):
                cluster.look()
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=one, daemon=True) for one in (server.serve_forever, control)]
    for one in threads:
        one.start()
    file = cluster.folder / "kubeconfig"
    file.write_text(kubeconfig(f"http://127.0.0.1:{server.server_port}"))
    try:
        yield file
    finally:
        over.set()
        threads[1].join()
        server.shutdown()
        server.server_close()
        for one in cluster.pods.values():
            one.kill()
        if broken:
            raise broken[0]


def kubeconfig(server: str, token: str = TOKEN) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": NAMESPACE}}],
    })  # fmt: skip

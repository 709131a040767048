"""A server that speaks the published REST API of Kubeflow Pipelines, v2beta1, and keeps state; for tests.

What it knows was read in kubeflow/pipelines, backend/api/v2beta1/swagger/*.json, and in generated clients:
paths, methods, query parameters, JSON names and enums. It has no pods: each question moves a run one step on.
"""

from __future__ import annotations

import graphlib
import json
import re
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

PREFIX = "/apis/v2beta1"
_LISTING = {"page_token", "page_size", "sort_by", "filter"}
# The published operations that a submission may use: the query parameters of each, in both 2.0.5 and 2.17.3.
PUBLISHED: dict[tuple[str, str], set[str]] = {
    ("GET", "/healthz"): set(),
    ("GET", "/pipelines"): _LISTING | {"namespace"},
    ("POST", "/pipelines"): set(),
    ("GET", "/pipelines/{pipeline_id}/versions"): _LISTING,
    ("POST", "/pipelines/upload"): {"name", "description", "namespace"},
    ("POST", "/pipelines/upload_version"): {"name", "pipelineid", "description"},
    ("GET", "/experiments"): _LISTING | {"namespace"},
    ("POST", "/experiments"): set(),
    ("POST", "/runs"): set(),
    ("GET", "/runs/{run_id}"): {"experiment_id"},
    ("POST", "/recurringruns"): set(),
}
STATES = {"PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED"}
_GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Trouble:
    """What goes wrong: `kind` is a status, "html", "hang", "drop" or an address; `times` counts down."""

    where: str
    kind: int | str
    times: int = 1_000_000
    message: str = "the database is away"
    method: str = "GET|POST"


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LocalServer(ThreadingHTTPServer):
    """A server of a test; clients that are killed in the middle of a question are part of it."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class Kfp:
    """The server's state; `with Kfp() as server:` serves it at `server.host`.

    `ends` gives the final state of tasks that do not succeed, `says` their error (with `only_history` in
    their history alone); runs that are `still` do not move on after their first step.
    """

    token: str | None = None
    cookie: str | None = None
    multi_user: bool = False
    ends: dict[str, str] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    only_history: bool = False
    still: bool = False
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lock, self.closing = threading.Lock(), threading.Event()

    def __enter__(self) -> Kfp:
        kfp = self

        class Handler(_Handler):
            server_state = kfp

        self.http = LocalServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def fails(self, where: str, kind: int | str, times: int = 1_000_000, **more: Any) -> None:
        """From now on requests whose path has `where` fail, so many times."""
        self.troubles.append(Trouble(where, kind, times, **more))

    def operations(self) -> list[str]:
        """What was asked for so far, such as "GET /healthz"."""
        return [f"{one.method} {one.path.removeprefix(PREFIX)}" for one in self.asked]

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Do what was asked."""
        self._check_in(asked)
        path = asked.path.removeprefix(PREFIX)
        for (method, template), queries in PUBLISHED.items():
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", template), path)
            if found and method == asked.method and path != asked.path:
                unknown = set(asked.query) - queries
                if unknown:
                    raise Refused(400, f"unknown query parameters {sorted(unknown)}")
                name = f"{method.lower()}{re.sub('[^a-z]+', '_', re.sub('{.*?}', 'one', template))}"
                kind, answer = getattr(self, f"_{name.rstrip('_')}")(asked, **found.groupdict())
                self.answered.append((kind, answer))
                return answer
        raise Refused(404, "Not Found")

    def _check_in(self, asked: Asked) -> None:
        given = asked.headers.get("authorization", ""), asked.headers.get("cookie", "")
        if self.token is not None and given[0] != f"Bearer {self.token}":
            raise Refused(401, f"Unauthenticated: token has expired: {given[0]}" if given[0] else "no token")
        if self.cookie is not None and given[1] != self.cookie:
            raise Refused(401, f"Unauthenticated: unknown session {given[1]}" if given[1] else "no session")

    def _in_namespace(self, namespace: str) -> None:
        if namespace and not self.multi_user:
            raise Refused(400, "In single-user mode, ListExperiment cannot filter by namespace.")
        if not namespace and self.multi_user:
            raise Refused(400, "Invalid input error: Namespace cannot be empty in multi-user mode")

    def _get_healthz(self, _: Asked) -> tuple[str, dict[str, Any]]:
        return "V2beta1GetHealthzResponse", {"multi_user": self.multi_user}

    def _get_pipelines(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        namespace = asked.query.get("namespace", "")
        inside = [one for one in self.pipelines.values() if one["namespace"] == namespace]
        found = _filtered(inside, asked)
        return "V2beta1ListPipelinesResponse", {"pipelines": found, "total_size": len(found)} if found else {}

    def _post_pipelines(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        given = asked.json
        return "V2beta1Pipeline", self._pipeline(given["display_name"], given.get("namespace", ""))

    def _pipeline(self, name: str, namespace: str) -> dict[str, Any]:
        if any(
            (one["display_name"], one["namespace"]) == (name, namespace) for one in self.pipelines.values()
        ):
            raise Refused(409, f"Already exist error: A pipeline with the name {name} already exists")
        made = {"pipeline_id": _id(), "display_name": name, "namespace": namespace, "created_at": _now()}
        self.pipelines[made["pipeline_id"]] = made
        return made

    def _get_pipelines_one_versions(self, asked: Asked, pipeline_id: str) -> tuple[str, dict[str, Any]]:
        found = _filtered([one for one in self.versions.values() if one["pipeline_id"] == pipeline_id], asked)
        answer = {"pipeline_versions": found, "total_size": len(found)} if found else {}
        return "V2beta1ListPipelineVersionsResponse", answer

    def _post_pipelines_upload_version(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        pipeline_id, name = asked.query["pipelineid"], asked.query["name"]
        if pipeline_id not in self.pipelines:
            raise Refused(400, "Failed to create a pipeline version")
        if any(
            (one["pipeline_id"], one["display_name"]) == (pipeline_id, name) for one in self.versions.values()
        ):
            raise Refused(409, "Failed to create a pipeline version")
        documents = list(yaml.safe_load_all(_uploaded(asked)))
        if not documents or "pipelineInfo" not in documents[0]:
            raise Refused(400, "Failed to create a pipeline version: invalid pipeline spec")
        made = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": _id(),
            "display_name": name,
            "created_at": _now(),
            "pipeline_spec": documents[0],
        }
        self.versions[made["pipeline_version_id"]] = made
        return "V2beta1PipelineVersion", made

    def _get_experiments(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        namespace = asked.query.get("namespace", "")
        self._in_namespace(namespace)
        found = _filtered([one for one in self.experiments.values() if one["namespace"] == namespace], asked)
        answer = {"experiments": found, "total_size": len(found)} if found else {}
        return "V2beta1ListExperimentsResponse", answer

    def _post_experiments(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        given = asked.json
        self._in_namespace(given.get("namespace", ""))
        made = {
            "experiment_id": _id(),
            "display_name": given["display_name"],
            "namespace": given.get("namespace", ""),
            "created_at": _now(),
            "storage_state": "AVAILABLE",
        }
        self.experiments[made["experiment_id"]] = made
        return "V2beta1Experiment", made

    def _version(self, given: dict[str, Any]) -> dict[str, Any]:
        """The version that a run refers to, its experiment and parameters checked."""
        if given["experiment_id"] not in self.experiments:
            raise Refused(404, f"ResourceNotFoundError: Experiment {given['experiment_id']} not found.")
        version = self.versions.get(given["pipeline_version_reference"]["pipeline_version_id"])
        if version is None:
            raise Refused(404, "ResourceNotFoundError: PipelineVersion not found.")
        inputs = version["pipeline_spec"]["root"].get("inputDefinitions", {}).get("parameters", {})
        values = given.get("runtime_config", {}).get("parameters", {})
        for name, of in inputs.items():
            if name not in values and "defaultValue" not in of and not of.get("isOptional"):
                raise Refused(400, f"Invalid input error: parameter {name} is required")
        for name, value in values.items():
            kinds = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool, "LIST": list}
            kind = kinds.get(inputs.get(name, {}).get("parameterType"), (str, dict))
            if name not in inputs or not isinstance(value, kind):
                raise Refused(400, f"Invalid input error: parameter {name}")
        return version

    def _post_runs(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        given = asked.json
        spec = self._version(given)["pipeline_spec"]
        made = {
            **given,
            "run_id": _id(),
            "storage_state": "AVAILABLE",
            "created_at": _now(),
            "state": "PENDING",
            "state_history": [{"update_time": _now(), "state": "PENDING"}],
        }
        made.pop("pipeline_spec", None)
        self.runs[made["run_id"]] = made | {"_tasks": _order(spec["root"]["dag"]["tasks"]), "_step": 0}
        return "V2beta1Run", made

    def _get_runs_one(self, _: Asked, run_id: str) -> tuple[str, dict[str, Any]]:
        run = self.runs.get(run_id)
        if run is None:
            raise Refused(404, f"ResourceNotFoundError: Run {run_id} not found.")
        self._move(run)
        return "V2beta1Run", {name: value for name, value in run.items() if not name.startswith("_")}

    def _move(self, run: dict[str, Any]) -> None:
        """One step on: a task begins or ends, in their order; none begins after one that did not succeed."""
        names, step = run["_tasks"], run["_step"]
        if not (self.still and step):
            run["_step"] = step = step + 1
        details, state = [], "RUNNING"
        for index, name in enumerate(names):
            of = self.ends.get(name, "SUCCEEDED")
            began, ended = step > 2 * index, step > 2 * index + 1
            if state not in ("RUNNING", "SUCCEEDED"):
                details.append(self._task(run, name, "SKIPPED"))
            elif began:
                driver = self.ends.get(f"{name}-driver", "SUCCEEDED")
                details.append(self._task(run, f"{name}-driver", driver))
                if driver != "SUCCEEDED":
                    state = driver
                    continue
                details.append(self._task(run, name, of if ended else "RUNNING"))
                state = of if ended and of != "SUCCEEDED" else state
        if step > 2 * len(names) - 1 and state == "RUNNING":
            state = "SUCCEEDED"
        run["run_details"] = {"task_details": [self._task(run, "root", state), *details]}
        if state != run["state"]:
            run["state_history"].append({"update_time": _now(), "state": state})
            run["state"] = state
        if state not in ("RUNNING", "PENDING"):
            run["finished_at"] = _now()

    def _task(self, run: dict[str, Any], name: str, state: str) -> dict[str, Any]:
        assert state in STATES, state
        task: dict[str, Any] = {
            "run_id": run["run_id"],
            "task_id": str(uuid.uuid5(uuid.UUID(run["run_id"]), name)),
            "display_name": name,
            "create_time": run["created_at"],
            "state": state,
            "state_history": [{"update_time": _now(), "state": state}],
        }
        if state not in ("SUCCEEDED", "RUNNING") and name in self.says:
            told = {"code": 13, "message": self.says[name]}
            (task["state_history"][0] if self.only_history else task)["error"] = told
        return task

    def _post_recurringruns(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        given = asked.json
        self._version(given)
        trigger = given["trigger"]
        if ("cron_schedule" in trigger) == ("periodic_schedule" in trigger):
            raise Refused(400, "Invalid input error: a trigger is either of cron or periodic")
        made = {
            **given,
            "recurring_run_id": _id(),
            "created_at": _now(),
            "status": "ENABLED",
            "namespace": "",
        }
        made["max_concurrency"] = str(given["max_concurrency"])  # a 64-bit number is text in JSON
        made.get("trigger", {}).get("periodic_schedule", {}).update(
            {key: str(value) for key, value in trigger.get("periodic_schedule", {}).items()}
        )
        made.pop("pipeline_spec", None)
        self.recurring[made["recurring_run_id"]] = made
        return "V2beta1RecurringRun", made


class _Handler(BaseHTTPRequestHandler):
    server_state: Kfp
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet, which nobody's acknowledgement is waited for

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self, method: str) -> None:
        kfp = self.server_state
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method, parts.path, query, headers, body)
        with kfp.lock:
            kfp.asked.append(asked)
            trouble = self._trouble(asked)
            if trouble is None:
                try:
                    self._send(200, json.dumps(kfp.answer(asked)))
                except Refused as error:
                    self._send(error.status, _error(error.status, str(error), asked))
                return
        if trouble.kind == "hang":
            kfp.closing.wait(60)
        if trouble.kind in ("hang", "drop"):
            self.close_connection = True
        elif str(trouble.kind).startswith("http://"):
            self._send(302, "", more={"Location": f"{trouble.kind}/login"})
        elif trouble.kind == "html":
            self._send(200, "<!doctype html><title>Log in</title>", "text/html; charset=utf-8")
        else:
            self._send(int(trouble.kind), _error(int(trouble.kind), trouble.message, asked))

    def _trouble(self, asked: Asked) -> Trouble | None:
        for one in self.server_state.troubles:
            if one.times and one.where in asked.path and re.fullmatch(one.method, asked.method):
                one.times -= 1
                return one
        return None

    def _send(
        self, status: int, text: str, kind: str = "application/json", more: dict[str, str] | None = None
    ) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _error(status: int, message: str, asked: Asked) -> str:
    """The gateway's form of an error (runtimeError); the uploads have one of their own."""
    if "/upload" in asked.path:
        return json.dumps({"error_message": message, "error_details": f"{message}\ngoroutine 1 [running]"})
    return json.dumps({"error": message, "code": _GRPC.get(status, 2), "message": message, "details": []})


def _filtered(things: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    for predicate in json.loads(asked.query.get("filter", "{}")).get("predicates", []):
        if predicate["operation"] not in ("EQUALS", 1) or predicate["key"] != "display_name":
            raise Refused(400, f"Invalid input error: filter {predicate}")
        things = [one for one in things if one["display_name"] == predicate["stringValue"]]
    return things[: int(asked.query.get("page_size") or 20)]


def _uploaded(asked: Asked) -> bytes:
    """The field `uploadfile` of a multipart body."""
    boundary = re.search(r"boundary=([^;]+)", asked.headers.get("content-type", ""))
    if not boundary:
        raise Refused(400, "Failed to read pipeline from file")
    for part in asked.body.split(b"--" + boundary[1].encode()):
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="uploadfile"; filename="([^"]+)"', head)
        if name and name[1].decode().endswith((".yaml", ".yml", ".json", ".zip", ".tar.gz")):
            return content.removesuffix(b"\r\n")
    raise Refused(400, "Failed to read pipeline from file")


def _order(tasks: dict[str, Any]) -> list[str]:
    """The tasks so that each comes after those that it depends on."""
    needs = {name: task.get("dependentTasks", []) for name, task in tasks.items()}
    return list(graphlib.TopologicalSorter(needs).static_order())


def _id() -> str:
    return str(uuid.uuid4())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

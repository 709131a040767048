"""The little of Kubernetes' API that the Tuner's Job needs, with plain dictionaries and sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning.errors import BadInput

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_SECONDS = (5, 30)  # to connect, and for an answer
_GONE, _THERE = 404, 409
_REFUSED = {401: "does not know who asks", 403: "forbids it"}
# A Job is gone when its pods are; a Service, at once, and its name is free for another.
_PROPAGATION = {"Job": "Foreground", "Service": "Background"}


class Away(Exception):
    """The API server does not answer, or not now."""


class Api:
    """The objects of one namespace.

    Raises:
        BadInput: This machine knows of no cluster.

    Its methods raise Away where the server does not answer, and BadInput where it refuses.
    """

    def __init__(self) -> None:
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=settings)
            self.namespace = _ACCOUNT.read_text(encoding="ascii").strip()
        except (config.ConfigException, OSError):
            try:
                config.load_kube_config(client_configuration=settings)
                _, context = config.list_kube_config_contexts()
            except (config.ConfigException, OSError) as error:
                raise BadInput(
                    f'no cluster is known here ({error}); outside of one compile the line with tuner = "pod"'
                ) from None
            self.namespace = context["context"].get("namespace", "default")
        settings.retries = False  # whoever asks does so again
        both = client.ApiClient(settings)
        self._batch, self._core = client.BatchV1Api(both), client.CoreV1Api(both)
        self._host = settings.host

    def create(self, manifest: dict[str, Any]) -> bool:
        """Make a Job or a Service; returns False where one of its name is there, though it may be going."""
        kind = manifest["kind"]
        calls = {"Job": self._batch.create_namespaced_job, "Service": self._core.create_namespaced_service}
        return self._ask(f"create a {kind}", _THERE, calls[kind], self.namespace, manifest) is not None

    def job(self, name: str) -> dict[str, Any] | None:
        """A Job, if it is there."""
        return self._ask("get a Job", _GONE, self._batch.read_namespaced_job, name, self.namespace)

    def pods(self, label: str) -> list[dict[str, Any]]:
        """The pods with a label, `KEY=VALUE`, the oldest first."""
        call = self._core.list_namespaced_pod
        found = self._ask("list pods", _GONE, call, self.namespace, label_selector=label) or {"items": []}
        return sorted(found["items"], key=lambda one: one["metadata"]["creationTimestamp"])

    def delete(self, kind: str, name: str) -> None:
        """Remove a Job with its pods, or a Service; one that is not there is passed over."""
        calls = {"Job": self._batch.delete_namespaced_job, "Service": self._core.delete_namespaced_service}
        self._ask(
            f"delete a {kind}", _GONE, calls[kind], name, self.namespace,
            propagation_policy=_PROPAGATION[kind],
        )  # fmt: skip

    def _ask(
        self, what: str, passed_over: int, call: Callable[..., Any], *given: Any, **options: Any
    ) -> dict[str, Any] | None:
        """The answer as plain data: the typed models of one release refuse the fields of another."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = call(*given, **options, _preload_content=False, _request_timeout=_SECONDS)
            return json.loads(answer.data)
        except ApiException as error:
            if error.status == passed_over:
                return None
            why = f"{self._host} {_REFUSED.get(error.status, _said(error))}"
            if error.status in (429, *range(500, 600)):
                raise Away(why) from None
            hint = "; see access.yaml in kubeflow/manifests/base" if error.status in _REFUSED else ""
            raise BadInput(f"cannot {what} in the namespace {self.namespace}: {why}{hint}") from None
        except (HTTPError, ValueError) as error:
            raise Away(f"{self._host} cannot be reached ({_cause(error)})") from None


def _said(error: Any) -> str:
    """The server's own sentence."""
    try:
        return "says: " + json.loads(error.body)["message"]
    except (ValueError, TypeError, KeyError):
        return f"answers {error.status} {error.reason}"


def _cause(error: BaseException) -> str:
    """The end of urllib3's long words."""
    last = str(getattr(error, "reason", None) or error)
    return last.rpartition(": ")[2] or type(error).__name__

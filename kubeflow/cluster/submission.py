"""Bringing a compiled pipeline to a server, and starting it there: once, or again and again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.client import Server, quietly
from cluster.package import Package
from cluster.refusals import ServerError
from tuning.errors import BadInput


@dataclass(frozen=True)
class Uploaded:
    """A version of a pipeline on a server.

    Args:
        pipeline_id: The pipeline's ID there.
        version_id: The version's.
        new: Whether it was sent just now, or was there already.
    """

    pipeline_id: str
    version_id: str
    new: bool


@dataclass(frozen=True)
class Order:
    """What is to be started.

    Args:
        experiment: The name of the experiment; made where there is none.
        namespace: The user's namespace on a server that keeps users apart, else None.
        run_name: What the run is called.
        parameters: The pipeline's parameters that differ from its defaults.
    """

    experiment: str
    namespace: str | None
    run_name: str
    parameters: Mapping[str, Any]


def namespace_for(server: Server, given: str | None) -> str | None:
    """The namespace to work in.

    Raises:
        BadInput: A server for one user was given one, or one for many users was given none.
    """
    if server.multi_user:
        found = given or server.client.get_user_namespace()
        if not found:
            raise BadInput(f"{server.host} keeps its users apart; give --namespace, the one of your profile.")
        return str(found)
    if given:
        raise BadInput(
            f"--namespace={given!r} is not for {server.host}, which has one user alone; leave it out."
        )
    return None


def upload(server: Server, package: Package, name: str, namespace: str | None) -> Uploaded:
    """Make sure that a server has this very content as a version of the pipeline.

    Args:
        server: Where to.
        package: The compiled pipeline; its version's name tells whether it is there already.
        name: The pipeline's name on the server; one is made where there is none.
        namespace: From `namespace_for`.

    Raises:
        ServerError: The server did not take it.
    """
    found = server.ask("list_pipelines", namespace=namespace, filter=_called(name)).pipelines
    pipeline_id = found[0].pipeline_id if found else _empty_pipeline(server, name, namespace)
    versions = server.ask("list_pipeline_versions", pipeline_id, filter=_called(package.version))
    if versions.pipeline_versions:
        return Uploaded(pipeline_id, versions.pipeline_versions[0].pipeline_version_id, new=False)
    sent = server.ask("upload_pipeline_version", str(package.path), package.version, pipeline_id=pipeline_id)
    return Uploaded(pipeline_id, sent.pipeline_version_id, new=True)


def start(server: Server, uploaded: Uploaded, order: Order, schedule: Mapping[str, Any] | None = None) -> str:
    """Start a run, or make a recurring one, whose missed times are not made up for and which never overlaps.

    Args:
        server: Where.
        uploaded: What to run.
        order: In which experiment, under which name, with what.
        schedule: For a recurring run: `cron_expression` with six fields, or `interval_second`.

    Returns:
        The ID of the run, or of the recurring one.

    Raises:
        ServerError: The server did not do it, or it is not known whether it did; the text says which.
    """
    experiment = server.ask("create_experiment", order.experiment, namespace=order.namespace)
    what = {
        "params": dict(order.parameters),
        "pipeline_id": uploaded.pipeline_id,
        "version_id": uploaded.version_id,
    }
    where = (experiment.experiment_id, order.run_name)
    if schedule is None:
        return str(_once(server, "run_pipeline", *where, **what).run_id)
    how = {"no_catchup": True, "max_concurrency": 1, **schedule}
    return str(_once(server, "create_recurring_run", *where, **what, **how).recurring_run_id)


def _once(server: Server, method: str, *arguments: Any, **options: Any) -> Any:
    try:
        return server.ask(method, *arguments, **options)
    except ServerError as error:
        if not error.sent:
            raise
        told, status = (
            f"{error} It may be under way nevertheless: look at {server.ui}/#/runs first.",
            error.status,
        )
    raise ServerError(told, status, sent=True)


def _called(name: str) -> str:
    equals = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [equals]})


def _empty_pipeline(server: Server, name: str, namespace: str | None) -> str:
    """A pipeline without versions: kfp.Client makes one only with a version of the pipeline's own name.

    The generated API below it does. Here alone the SDKs differ for us: 2.5 calls its method after the
    operation, 2.17 after the service too, and each has another name for the argument.
    """
    pipelines = server.client.pipelines
    method = (
        "create_pipeline" if hasattr(pipelines, "create_pipeline") else "pipeline_service_create_pipeline"
    )
    body = {"display_name": name} | ({"namespace": namespace} if namespace else {})
    return str(quietly(lambda: getattr(pipelines, method)(body)).pipeline_id)

"""Talking to a Kubeflow Pipelines API server: in a bounded time, and without telling a credential."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cluster.refusals import ServerError, no_json, redacted, sentence, short
from tuning.errors import BadInput

IN_CLUSTER_UI = "http://ml-pipeline-ui.kubeflow.svc.cluster.local"
_CONNECT, _ANSWER, _UPLOAD = 5, 12, 300  # seconds
_SHORTEST = 6  # characters; what is shorter in a cookie is a setting, and would be found in many a word


@dataclass(frozen=True)
class Server:
    """A server that answered.

    Args:
        host: Its address as it was given, or "the cluster's own server".
        ui: The address in front of `/#/runs/…`.
        multi_user: Whether it keeps each namespace's pipelines apart.
        client: The `kfp.Client`; called through `ask` alone.
    """

    host: str
    ui: str
    multi_user: bool
    client: Any

    def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of `kfp.Client` without its prints, warnings and logs.

        Raises:
            ServerError: The server did not do it.
        """
        call = getattr(self.client, method)
        return quietly(lambda: call(*arguments, **options))

    def link(self, kind: str, identifier: str) -> str:
        """Where a browser shows a thing: kind "runs" or "recurringrun"."""
        return f"{self.ui}/#/{kind}/details/{identifier}"


def address(given: str | None, environment: Mapping[str, str]) -> str | None:
    """The server's address: --host, else KFP_HOST, else the SDK's own KF_PIPELINES_ENDPOINT.

    Args:
        given: What was typed as --host.
        environment: The environment's variables.

    Returns:
        The address without a slash at its end; None inside a cluster, where the SDK finds it.

    Raises:
        BadInput: There is none, or it is no address of a server, or it holds a credential.
    """
    named = {"--host": given} | {
        name: environment.get(name) for name in ("KFP_HOST", "KF_PIPELINES_ENDPOINT")
    }
    argument, host = next(((name, value) for name, value in named.items() if value), ("", ""))
    if not host:
        if "KUBERNETES_SERVICE_HOST" in environment:
            return None
        raise BadInput(
            "no server is named: give --host or set KFP_HOST, such as http://localhost:8080 after "
            "`kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80`."
        )
    if "@" in host.split("#")[0]:
        raise BadInput(
            f"{argument} holds a user name or a password before its @, which would be seen in logs; "
            "leave them out and set KFP_TOKEN or KFP_COOKIE."
        )
    try:
        parts = urlsplit(host if "://" in host else f"//{host}")
        port = parts.port
    except ValueError:
        raise BadInput(f"{argument}={host!r} is no address, such as http://localhost:8080.") from None
    scheme = parts.scheme or ("http" if port else "https")
    clean = f"{scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x1f]", host):
        raise BadInput(f"{argument}={host!r} is no address, such as http://localhost:8080.")
    if clean != host.rstrip("/"):
        raise BadInput(f"{argument}={host!r} is not the address of the API alone; did you mean {clean}?")
    return clean


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """What lets one in: KFP_TOKEN is sent as a bearer token, KFP_COOKIE as the Cookie header.

    Args:
        environment: The environment's variables.

    Returns:
        Those of the two that are set, by name.

    Raises:
        BadInput: One cannot be sent in a header (its value is not told), or the SDK would ask a person.
    """
    found = {name: environment.get(name, "").strip() for name in ("KFP_TOKEN", "KFP_COOKIE")}
    for name, value in found.items():
        if not (value.isascii() and (value.isprintable() or not value)):
            raise BadInput(f"{name} holds a character that no HTTP header can carry; set it anew.")
    if "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID" in environment and not found["KFP_TOKEN"]:
        raise BadInput("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID makes the SDK wait for a browser; set KFP_TOKEN.")
    return {name: value for name, value in found.items() if value}


def connect(host: str | None, known: Mapping[str, str], environment: Mapping[str, str]) -> Server:
    """Find out whether a server is there and lets one in.

    Args:
        host: From `address`; None where the SDK finds the cluster's own server and service account token.
        known: From `credentials`.
        environment: The environment's variables: KF_PIPELINES_UI_ENDPOINT for links, SSL_CERT_FILE for a
            certificate authority of one's own.

    Returns:
        The server, asked once.

    Raises:
        BadInput: kfp is not installed.
        ServerError: It cannot be reached, lets nobody in, or is no Kubeflow Pipelines; 15 seconds at most.
    """
    shown = host or "the cluster's own server"
    client = quietly(lambda: _client(shown, host, known, environment))
    health = client.health or quietly(client.get_kfp_healthz)
    ui = redacted(environment.get("KF_PIPELINES_UI_ENDPOINT") or host or IN_CLUSTER_UI, known.values())
    return Server(shown, ui.rstrip("/"), bool(health.multi_user), client)


def _client(shown: str, host: str | None, known: Mapping[str, str], environment: Mapping[str, str]) -> Any:
    try:
        import kfp
    except ImportError:
        raise BadInput("kfp is not installed; install this project with its extra `kubeflow`.") from None

    class Guarded(kfp.Client):
        health: Any = None

        # kfp.Client asks for the server's health while it is made: five times, each for as long as it takes,
        # and it logs each failure with its headers. Earlier than here its requests cannot be guarded.
        def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
            _guard(self._healthz_api.api_client, shown, list(known))
            self.health = super().get_kfp_healthz(sleep_duration)
            return self.health

        def set_user_namespace(self, namespace: str) -> None:  # the SDK's writes it into the home folder
            self._context_setting["namespace"] = namespace

    try:
        return Guarded(
            host=host,
            existing_token=known.get("KFP_TOKEN"),
            cookies=known.get("KFP_COOKIE", ""),
            ssl_ca_cert=environment.get("SSL_CERT_FILE"),
        )
    except ServerError:
        raise
    except Exception as error:
        reason = redacted(f"{type(error).__name__}: {error}", known.values())
    raise ServerError(f"{shown} cannot be asked: {short(reason)}.")


def _guard(api: Any, shown: str, known: list[str]) -> None:
    """Give each request of the SDK a time limit and one try, and make sentences of its errors."""
    rest = api.rest_client
    if "request" in vars(rest):
        return
    # Redirects are no tries either: an API sends nobody elsewhere, but a login does.
    rest.pool_manager.request = partial(rest.pool_manager.request, retries=False)
    plain = rest.request

    def request(method: str, url: str, **options: Any) -> Any:
        limit = _UPLOAD if options.get("post_params") else _ANSWER
        options["_request_timeout"] = (_CONNECT, limit)
        answer, error = _within(limit, lambda: plain(method, url, **options))
        if error is None:
            error = no_json(shown, answer.data)
        else:
            names = known or ["the service account's token"] * bool(api.configuration.api_key)
            error = sentence(shown, method, url, names, error, lambda text: redacted(text, _secrets(api)))
        if error is not None:
            raise error
        return answer

    rest.request = request


def _secrets(api: Any) -> list[str]:
    headers = [value for name, value in api.default_headers.items() if name != "User-Agent"]
    cookie = api.cookie or ""
    values = [part.partition("=")[2].strip() for part in cookie.split(";")]
    told = [value for value in values if len(value) >= _SHORTEST]
    return [cookie, *told, *api.configuration.api_key.values(), *map(str, headers)]


def _within(limit: float, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What a call returned or raised; in a thread, as the library's limits begin anew with each byte."""
    done: list[tuple[Any, Exception | None]] = []

    def work() -> None:
        try:
            done.append((call(), None))
        except Exception as error:
            done.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    return done[0] if done else (None, TimeoutError())


def quietly(call: Callable[[], Any]) -> Any:
    """Call the SDK without what it prints, warns and logs, which may hold headers and spoils the output."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    finally:
        logging.disable(before)

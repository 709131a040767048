"""The local server: Starlette's routes over a held model, and how uvicorn runs them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pipeline import lanes
from pipeline.exported import Exported
from pipeline.images import look_at_all
from pipeline.serving import rest
from pipeline.serving.held import Held, version_of
from pipeline.serving.look import about, look
from pipeline.serving.rest import Refused
from tuning import pages
from tuning.errors import BadInput

MAX_BODY = 32 << 20  # bytes
_MAX_CONNECTIONS = 64
_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", re.IGNORECASE)
_STATUS = re.compile(r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+))?", re.IGNORECASE)
_METADATA = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?/metadata", re.IGNORECASE)
_PICTURE = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")


class Json(Response):
    """A JSON answer; NaN stands for itself, as TensorFlow Serving has it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of an object."""
        return json.dumps(content, ensure_ascii=False).encode()


def make(held: Held, local: bool = True) -> Starlette:
    """The application.

    Args:
        held: The model.
        local: Answer only requests that name a loopback address as their host, so that no page of the
            internet reaches the model through the browser of whoever runs this.
    """
    page, policy = _page()
    limiter = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    async def tell(request: Request) -> Response:
        return Json(about(held.name, held.current))

    async def see(request: Request) -> Response:
        data = await _body(request)
        return Json(await anyio.to_thread.run_sync(look, held.current, data, limiter=limiter))

    async def serving(request: Request) -> Response:
        path = request.scope["path"]  # decoded, since names may hold what a URL does not
        if request.method == "POST" and (match := _PREDICT.fullmatch(path)):
            model, body = _model(held, *match.groups()), await _body(request)
            return Json(await anyio.to_thread.run_sync(_predict, model, body, limiter=limiter))
        if request.method in ("GET", "HEAD") and (match := _METADATA.fullmatch(path)):
            model = _model(held, *match.groups())
            found = await anyio.to_thread.run_sync(_metadata, held.name, model, limiter=limiter)
            return Json(found)
        if request.method in ("GET", "HEAD") and (match := _STATUS.fullmatch(path)):
            return Json(_status(held, *match.groups()))
        raise Refused(400, f"Malformed request: {request.method} {path}")

    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        why = _foreign(request, local)
        try:
            answer = _error(403, why) if why else await go_on(request)
        except Exception as error:
            print(f"{request.method} {request.url.path}: {error!r}", file=sys.stderr, flush=True)
            answer = _error(500, f"the server failed: {type(error).__name__}")
        answer.headers.update({"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
                               "Server": "keras_cnns, local"})  # fmt: skip
        return answer

    app = Starlette(
        routes=[
            Route("/", show),
            Route("/about", tell),
            Route("/look", see, methods=["POST"]),
            Route("/v1/{rest:path}", serving, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ],
        exception_handlers={Refused: _on_refused, BadInput: _on_bad_input, HTTPException: _on_http},
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    return app


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that what is in the way is said before the model is loaded.

    Raises:
        BadInput: The host is unknown, or the port is taken or not allowed.
    """
    if not 0 <= port <= 65535:
        raise BadInput(f"--port must lie between 0 and 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise BadInput(f"--host {host}: there is no such address") from None
    held = socket.socket(family, kind, protocol)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(address)
    except OSError as error:
        held.close()
        raise BadInput(
            f"--host {host} --port {port}: {error.strerror}; --port 0 takes one that is free"
        ) from None
    return held


def is_loopback(held: socket.socket) -> bool:
    """Whether a bound socket is reached from this machine alone."""
    return ipaddress.ip_address(held.getsockname()[0].partition("%")[0]).is_loopback


def address_of(held: socket.socket) -> str:
    """What to type into a browser."""
    host, port = held.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def run(app: Starlette, held: socket.socket) -> None:
    """Serve until Ctrl-C or a polite end (SIGTERM)."""
    import uvicorn

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
        limit_concurrency=_MAX_CONNECTIONS, timeout_keep_alive=5, timeout_graceful_shutdown=3,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[held])


def _page() -> tuple[str, str]:
    """The page and the policy that forbids whatever it does not need."""
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    text = text.replace("/* pages.css */\n", pages.STYLES[0].read_text(encoding="utf-8"))
    hashes = {}
    for element in ("script", "style"):
        inner = text.split(f"<{element}>", 1)[1].split(f"</{element}>", 1)[0]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode("ascii")
        hashes[element] = f"'sha256-{digest}'"
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; "
        "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


async def _body(request: Request) -> bytes:
    """The request's body, of which no more than is allowed is ever held."""
    told = request.headers.get("content-length", "0")
    parts, size = [], int(told) if told.isdigit() else 0
    if size <= MAX_BODY:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                break
            parts.append(part)
    if size > MAX_BODY:
        raise Refused(413, f"the body is larger than {MAX_BODY >> 20} MB")
    return b"".join(parts)


def _model(held: Held, name: str, version: str | None) -> Exported:
    model, version = held.current, _version(version)
    if name != held.name or (version is not None and version != version_of(model)):
        asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise Refused(404, f"Servable not found for request: {asked}")
    return model


def _version(asked: str | None) -> str | None:
    if asked is None:
        return None
    if len(asked) > 19 or int(asked) >= 1 << 63:
        raise Refused(400, f"Failed to convert version: {asked} to numeric.")
    return str(int(asked))


def _status(held: Held, name: str | None, version: str | None) -> dict[str, Any]:
    if name is None:
        raise Refused(400, "Missing model name in request.")
    version = _version(version)
    if name != held.name:
        raise Refused(404, f"Could not find any versions of model {name}")
    status = held.status()
    if version is not None:
        rows = [row for row in status["model_version_status"] if row["version"] == version]
        if not rows:
            raise Refused(404, f"Could not find version {version} of model {name}")
        status["model_version_status"] = rows
    return status


def _predict(model: Exported, body: bytes) -> dict[str, Any]:
    import tensorflow as tf

    request = rest.parse(body)
    name = rest.signature_name(request)
    if name not in model.loaded.signatures:
        raise Refused(400, f'Serving signature name: "{name}" not found in signature def')
    signature = model.loaded.signatures[name]
    wanted = {
        key: rest.Tensor(spec.dtype == tf.string, tuple(spec.shape))
        for key, spec in signature.structured_input_signature[1].items()
    }
    asked = rest.read(request, wanted)
    _check_pictures(asked.inputs)
    try:
        outputs = signature(**{key: tf.constant(array) for key, array in asked.inputs.items()})
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        # TensorFlow may name the bytes that it could not read, and then fails to make a text of its message.
        told = (
            error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else error.message
        )
        raise Refused(400, _first_line(told) + _hint(name, asked.inputs)) from None
    return rest.answer({key: value.numpy() for key, value in outputs.items()}, asked.rows)


def _check_pictures(inputs: dict[str, np.ndarray]) -> None:
    """Refuse what TensorFlow should not be asked to decode; what passes goes to it as it came."""
    for index, seen in enumerate(look_at_all(_pictures(inputs))):
        if seen.why:
            raise Refused(400, f"image {index} cannot be read: {seen.why}")


def _pictures(inputs: dict[str, np.ndarray]) -> list[bytes]:
    """The pictures of a request, in examples too; none where the signature will say what is wrong."""
    import tensorflow as tf

    from keras_cnns.training import examples

    if "image_bytes" in inputs:
        return list(inputs["image_bytes"].ravel())
    if "examples" not in inputs:
        return []
    try:
        return examples.images_of(tf.constant(inputs["examples"])).numpy().tolist()
    except (tf.errors.OpError, UnicodeDecodeError):
        return []


def _hint(signature: str, inputs: dict[str, np.ndarray]) -> str:
    """Pictures belong to another signature than the default one."""
    given = inputs.get("examples")
    if signature == "serving_default" and given is not None and given.size and (
        given.ravel()[0].startswith(_PICTURE)
    ):  # fmt: skip
        return '; the file of a picture goes to "signature_name": "serve_bytes"'
    return ""


def _metadata(name: str, model: Exported) -> dict[str, Any]:
    """What TensorFlow Serving's metadata API answers: the signatures."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((model.folder / "saved_model.pb").read_bytes())
    signatures = {key: lanes.as_json(one) for key, one in saved.meta_graphs[0].signature_def.items()}
    spec = {"name": name, "signature_name": "", "version": version_of(model)}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}


def _foreign(request: Request, local: bool) -> str:
    """Why a request is not answered that a page from elsewhere may have made."""
    host = request.headers.get("host", "")
    if local and not _names_loopback(host):
        return f"this server is local; it does not answer for {host!r}"
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return f"pages from {origin} may not ask this server"
    return ""


def _names_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"


def _first_line(text: str) -> str:
    """TensorFlow's reason without the name of the function in its graph."""
    told = re.sub(r"^(\{\{.*?\}\}\s*)+", "", text.strip())
    return told.splitlines()[0] if told else "the model cannot be asked this"


def _error(status: int, text: str) -> Response:
    return Json({"error": text}, status_code=status)


async def _on_refused(_request: Request, error: Any) -> Response:
    return _error(error.status, str(error))


async def _on_bad_input(_request: Request, error: Any) -> Response:
    return _error(400, str(error))


async def _on_http(request: Request, error: Any) -> Response:
    return _error(error.status_code, f"{error.detail}: {request.method} {request.url.path}")

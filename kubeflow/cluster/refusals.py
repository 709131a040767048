"""What a Kubeflow Pipelines API server's refusals mean, in sentences without credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, urlsplit

from tuning.errors import BadInput

_LONGEST = 400  # characters of a server's own words
_OTHER = "the address is another one, or the login has expired (set KFP_TOKEN or KFP_COOKIE anew)"


class ServerError(BadInput):
    """A server said no, or nothing; its text is one sentence without credentials.

    Args:
        sentence: What a person is told.
        status: The HTTP status; 0 where there was none.
        passing: Whether the same question may be answered later, as after a 503 or a lost connection.
        sent: Whether the server may have done what it was asked although no good answer came.
    """

    def __init__(self, sentence: str, status: int = 0, *, passing: bool = False, sent: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.passing, self.sent = status, passing, sent


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A text without the secrets, as they are and as addresses have them, and without any bearer token."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in {secret, quote(secret), quote(secret, safe="")}:
            text = text.replace(form, "***")
    text = re.sub(r"(?i)\b(bearer|basic)\s+(?=\S*\d)[^\s\"',;]{8,}", r"\1 ***", text)
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def no_json(shown: str, data: bytes) -> ServerError | None:
    """The error for an answer that is none of the API's, or None where it is one."""
    try:
        if isinstance(json.loads(data), dict):
            return None
    except ValueError:
        pass
    return ServerError(
        f"{shown} answers with a web page where the API of Kubeflow Pipelines was expected: {_OTHER}."
    )


def sentence(
    shown: str, method: str, url: str, names: list[str], error: Exception, clean: Callable[[str], str]
) -> ServerError:
    """The error to raise for one of the HTTP library's.

    Args:
        shown: The server, as a person knows it.
        method: What was asked, such as POST.
        url: Where.
        names: The credentials that were sent, by their names.
        error: With `status` and `body` where the server answered.
        clean: Takes the credentials out of a text.
    """
    status = getattr(error, "status", 0) or 0
    post = method == "POST"
    if not status:
        why, sent = _unreached(error)
        hint = "is the address right, and does the port-forward still run?"
        return ServerError(
            f"{shown} cannot be reached: {short(clean(why))}; {hint}", passing=True, sent=post and sent
        )
    said = short(clean(_words(getattr(error, "body", b""))))
    words = f": {said}" if said else ""
    known = " and ".join(names)
    if status == 401 and names:
        text = f"does not accept {known} (401{words}): wrong, or expired; set a new one"
    elif status == 401:
        text = f"lets nobody in without credentials (401{words}); set KFP_TOKEN or KFP_COOKIE"
    elif status == 403:
        text = f"forbids this (403{words}); the account of {known or 'nobody'} needs the right to it"
    elif status == 404:
        text = (
            f"has nothing at {urlsplit(url).path} (404{words}); is it the address of Kubeflow Pipelines v2?"
        )
    elif 300 <= status < 400:
        text = f"sends one on to {_elsewhere(error)} ({status}): {_OTHER}"
    elif status == 429 or status >= 500:
        return ServerError(
            f"{shown} has an error of its own ({status}{words}).", status, passing=True, sent=post
        )
    else:
        text = f"refuses this ({status}{words})"
    return ServerError(f"{shown} {text}{'' if text.endswith('?') else '.'}", status)


def _elsewhere(error: Exception) -> str:
    """The server that an answer refers to; the rest of the address may hold the state of a login."""
    parts = urlsplit((getattr(error, "headers", None) or {}).get("Location", ""))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another page"


def _unreached(error: Exception) -> tuple[str, bool]:
    """Why there was no answer, and whether the question may have arrived."""
    kind = type(error).__name__
    if kind == "ConnectTimeoutError":
        return "no connection in time", False
    if kind in ("TimeoutError", "ReadTimeoutError"):
        return "no answer in time", True
    text = f"{error} {getattr(error, 'reason', '')}"
    known = re.search(r"\[(?:Errno -?\d+|SSL: \w+)\] ([^\]()'\"]+)", text)
    if known:
        return known[1].strip(), kind not in ("NewConnectionError", "NameResolutionError")
    return ("the connection was closed" if kind == "ProtocolError" else f"{kind}: {error}"), True


def _words(body: bytes | str | None) -> str:
    """What a server says of an error, in its gateway's form or its upload's; nothing of a web page."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        answer = json.loads(text)
    except ValueError:
        return "" if "<" in text else text
    if not isinstance(answer, dict):
        return ""
    named = (answer.get(key) for key in ("message", "error_message", "error_details", "error"))
    return next((one for one in named if isinstance(one, str) and one.strip()), "")


def short(text: str) -> str:
    """A text in one line of at most 400 characters, without a full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"

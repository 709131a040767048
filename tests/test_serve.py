"""The local server over a real socket, and its page in a real browser."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import FAINT, OUTSIDE, chromium, open_page
from lines import Ran, pipeline
from PIL import Image

from pipeline import predict, pushed
from tuning import pages

LIMIT = 32 << 20
STYLE = pages.STYLES[1]


@dataclass(frozen=True)
class Server:
    """A running server, and the folder of the model that it serves."""

    port: int
    model: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, given, {key.replace("_", "-"): one for key, one in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.headers["Server"] == "keras_cnns, local"
        if path == "/":
            return answer.status, text.decode()
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(text)

    def predict(self, body: Any, path: str = "") -> tuple[int, Any]:
        return self.ask("POST", f"/v1/models/digits{path}:predict", body)


@contextlib.contextmanager
def started(model: Path, *arguments: str) -> Iterator[Server]:
    """The command in a process of its own; Ctrl-C ends it, with exit code 0 and nothing on standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve", str(model), "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=model.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # CI may ignore it
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading the model\n"
        found = re.fullmatch(
            r"local server of .+, version \d+: http://\S+:(\d+)/\n", process.stdout.readline()
        )
        assert found is not None, process.communicate()[1]
        yield Server(int(found[1]), model)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def models(home: Path, main_job: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of the pushed model, the second with other labels, of which the first is served."""
    folder = tmp_path_factory.mktemp("models") / "digits"
    source = home / "models" / "digits-lenet5" / "1"
    pushed.push(source, folder, {"accuracy": 0.981, "run": "runs/digits-lenet5", "git": {"revision": "abc"}})
    other = folder.parent.parent / "other"
    shutil.copytree(source, other)
    (other / "labels.txt").write_text("".join(f"<b>digit</b> {digit}\n" for digit in range(10)))
    pushed.push(other, folder)
    pushed.rollback(folder)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with started(models) as running:
        yield running


@pytest.fixture(scope="module")
def samples(home: Path, main_job: Ran) -> list[Path]:
    return sorted((home / "runs" / "digits-lenet5" / "samples").iterdir())


def b64(path: Path) -> dict[str, str]:
    return {"b64": base64.b64encode(path.read_bytes()).decode()}


# ---- TensorFlow Serving's REST API


def test_every_form_gets_the_same_answer(server: Server, samples: list[Path]) -> None:
    wanted = list(predict.predict(server.model, samples))
    files = [b64(one) for one in samples]
    named = {"signature_name": "serve_bytes"}
    rows = [
        server.predict({**named, "instances": files}),
        server.predict({**named, "instances": [{"image_bytes": one} for one in files]}),
        server.predict({**named, "instances": files}, "/versions/1"),
        server.predict({**named, "instances": files}, "/versions/01"),
    ]
    assert {code for code, _ in rows} == {200}
    assert rows[0] == rows[1] == rows[2] == rows[3]
    columns = [
        server.predict({**named, "inputs": files}),
        server.predict({**named, "inputs": {"image_bytes": files}}),
    ]
    assert columns[0] == columns[1]
    for row, answer, label, shares in zip(
        wanted, rows[0][1]["predictions"], columns[0][1]["outputs"]["label"],
        columns[0][1]["outputs"]["probabilities"], strict=True,
    ):  # fmt: skip
        assert answer == {"label": label, "probabilities": shares}
        assert label == row["label"]
        assert max(shares) == pytest.approx(row["probability"], abs=1e-6)


def test_the_default_signature_takes_examples_and_another_takes_pixels(
    server: Server, samples: list[Path]
) -> None:
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(samples[0].read_bytes())
    text = base64.b64encode(example.SerializeToString()).decode()
    code, by_example = server.predict({"instances": [{"b64": text}]})
    assert code == 200
    shown = server.ask("POST", "/look", samples[0].read_bytes())[1]["input"]["png"]
    pixels = tf.io.decode_png(base64.b64decode(shown.split(",")[1])).numpy().tolist()
    code, by_pixels = server.predict({"signature_name": "serve_tensor", "instances": [pixels]})
    assert code == 200
    assert by_pixels["predictions"][0]["label"] == by_example["predictions"][0]["label"]
    assert by_pixels["predictions"][0]["probabilities"] == pytest.approx(
        by_example["predictions"][0]["probabilities"], abs=1e-5
    )


def test_status_and_metadata_are_those_of_tensorflow_serving(server: Server) -> None:
    from google.protobuf import json_format
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    code, told = server.ask("GET", "/v1/models/digits")
    assert code == 200
    assert told == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    status = json_format.ParseDict(told, get_model_status_pb2.GetModelStatusResponse())
    assert status.model_version_status[0].state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert server.ask("GET", "/v1/models/digits/versions/1") == (200, told)
    code, told = server.ask("GET", "/v1/models/digits/metadata")
    assert (code, told["model_spec"]["version"]) == (200, "1")
    signatures = json_format.ParseDict(
        told["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap()
    ).signature_def
    assert set(signatures) >= {"serving_default", "serve_bytes", "serve_tensor"}
    assert [*signatures["serve_bytes"].inputs] == ["image_bytes"]
    given = told["metadata"]["signature_def"]["signature_def"]["serve_bytes"]["inputs"]["image_bytes"]
    assert given["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert given["dtype"] == "DT_STRING"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "text"),
    [
        ("GET", "/v1/models/cats", None, 404, "Could not find any versions of model cats"),
        ("GET", "/v1/models/digits/versions/7", None, 404, "Could not find version 7 of model digits"),
        ("POST", "/v1/models/cats:predict", {}, 404, "Servable not found for request: Latest(cats)"),
        ("POST", "/v1/models/digits/versions/2:predict", {}, 404,
         "Servable not found for request: Specific(digits, 2)"),
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        ("GET", f"/v1/models/digits/versions/{2**63}", None, 400,
         f"Failed to convert version: {2**63} to numeric."),
        ("POST", f"/v1/models/digits/versions/{2**63}:predict", {}, 400,
         f"Failed to convert version: {2**63} to numeric."),
        ("GET", "/v1/models/digits:predict", None, 400, "Malformed request: GET /v1/models/digits:predict"),
        ("POST", "/v1/models/digits:classify", {}, 400, "Malformed request: POST /v1/models/digits:classify"),
        ("DELETE", "/v1/models/digits", None, 400, "Malformed request: DELETE /v1/models/digits"),
        ("POST", "/v1/models/digits:predict", b"{", 400, "JSON Parse error: "),
        ("POST", "/v1/models/digits:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", "/v1/models/digits:predict", {"signature_name": "x", "instances": [1]}, 400,
         'Serving signature name: "x" not found in signature def'),
        ("POST", "/v1/models/digits:predict", {"signature_name": "serve_bytes", "instances": ["text"]}, 400,
         "image 0 cannot be read: not an image"),
        ("POST", "/v1/models/digits:predict", {"instances": [{"b64": "/9j/4AAQ"}]}, 400,
         'the file of a picture goes to "signature_name": "serve_bytes"'),
        ("POST", "/look", b"text", 400, "the picture cannot be read: not an image"),
        ("POST", "/look", b"", 400, "the picture cannot be read: empty"),
        ("GET", "/look", None, 405, "Method Not Allowed"),
        ("GET", "/elsewhere", None, 404, "Not Found"),
        ("GET", "/../etc/passwd", None, 404, "Not Found"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence_with_the_right_code(
    server: Server, method: str, path: str, body: Any, code: int, text: str
) -> None:
    got, told = server.ask(method, path, body)
    assert (got, set(told)) == (code, {"error"})
    assert text in told["error"]
    assert "function_node" not in told["error"]
    assert "Traceback" not in told["error"]


def test_a_hostile_picture_is_named(server: Server) -> None:
    import struct
    import zlib

    import tensorflow as tf

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(b"\0" * 10_000_000)) + chunk(b"IEND", b"")
    began = time.monotonic()
    inside = tf.train.Example()
    inside.features.feature["image"].bytes_list.value.append(bomb)
    text, example = (base64.b64encode(one).decode() for one in (bomb, inside.SerializeToString()))
    for code, told in (
        server.ask("POST", "/look", bomb),
        server.predict({"signature_name": "serve_bytes", "instances": [{"b64": text}]}),
        server.predict({"instances": [{"b64": example}]}),
    ):
        assert code == 400
        assert "cannot be read" in told["error"]
    assert time.monotonic() - began < 10


def answer_while_sending(port: int, head: str, parts: Iterator[bytes]) -> str:
    """The first line that comes back while a body is still sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as held:
        held.sendall(head.encode())
        for part in parts:
            if select.select([held], [], [], 0)[0]:
                break
            held.sendall(part)
        return held.recv(1000).decode().splitlines()[0]


@pytest.mark.parametrize("path", ["/look", "/v1/models/digits:predict"])
def test_a_body_is_bounded(server: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    told = answer_while_sending(server.port, f"{head}Content-Length: {LIMIT + 1}\r\n\r\n", iter(()))
    assert told.startswith("HTTP/1.1 413"), "said before any of it was sent"
    megabyte = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    sent = []

    def endless() -> Iterator[bytes]:
        while len(sent) < 1000:
            sent.append(1)
            yield megabyte

    told = answer_while_sending(server.port, f"{head}Transfer-Encoding: chunked\r\n\r\n", endless())
    assert told.startswith("HTTP/1.1 413")
    assert LIMIT >> 20 <= len(sent) < 100
    assert server.ask("GET", "/about")[0] == 200, "and it goes on"


def test_only_this_machine_and_its_own_page_are_answered(server: Server) -> None:
    assert server.ask("GET", "/about", Host=f"localhost:{server.port}")[0] == 200
    assert server.ask("GET", "/about", Host=f"[::1]:{server.port}")[0] == 200
    code, told = server.ask("GET", "/about", Host="evil.example")
    assert (code, told["error"]) == (403, "this server is local; it does not answer for 'evil.example'")
    own = f"http://127.0.0.1:{server.port}"
    assert server.ask("POST", "/look", b"", Origin=own)[0] == 400
    assert server.ask("POST", "/look", b"", Origin="http://evil.example")[0] == 403
    assert server.ask("POST", "/look", b"", Origin="null")[0] == 403
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_many_at_once_get_their_own_answers(server: Server, samples: list[Path]) -> None:
    def label(path: Path) -> str:
        code, told = server.predict({"signature_name": "serve_bytes", "instances": [b64(path)]})
        assert code == 200
        return told["predictions"][0]["label"]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(label, samples * 4))
    assert found == [row["label"] for row in predict.predict(server.model, samples)] * 4


def test_it_follows_latest_while_requests_go_on(models: Path, samples: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "models" / "digits"
    shutil.copytree(models, folder)
    request = {"signature_name": "serve_bytes", "instances": [b64(samples[0])]}

    def labels() -> set[str]:
        deadline, seen = time.monotonic() + 30, set()
        wanted = pushed.current(folder).name
        while time.monotonic() < deadline:
            code, told = running.ask("POST", "/look", samples[0].read_bytes())
            assert code == 200
            seen.add(told["version"])
            if told["version"] == wanted:
                return {told["classes"][0]["label"]}
        raise AssertionError(f"version {wanted} is not served: {seen}")

    with started(folder) as running:
        digit = labels()
        pushed.rollback(folder, 2)
        assert labels() == {f"<b>digit</b> {one}" for one in digit}
        states = {one["version"]: one["state"] for one in running.ask("GET", "/v1/models/digits")[1][
            "model_version_status"]}  # fmt: skip
        assert states == {"1": "END", "2": "AVAILABLE"}
        assert running.predict(request, "/versions/1")[0] == 404
        pushed.rollback(folder)
        assert labels() == digit
        # A version that cannot be loaded does not end what is served.
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"nothing")
        pushed.push(broken, folder)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            status = running.ask("GET", "/v1/models/digits/versions/3")
            if status[0] == 200 and status[1]["model_version_status"][0]["state"] == "END":
                break
            time.sleep(0.1)
        assert "is not a model that this line exported" in str(status)
        assert running.predict(request, "/versions/1")[0] == 200


def test_what_cannot_be_served_is_said_at_once(models: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = pipeline(tmp_path, "serve", models, "--port", port)
    assert (ran.code, ran.out) == (2, "")
    assert (
        f"--host 127.0.0.1 --port {port}: Address already in use; --port 0 takes one that is free" in ran.err
    )
    assert "there is no such model" in pipeline(tmp_path, "serve", "none").err
    assert (
        "--port must lie between 0 and 65535, not 70000"
        in pipeline(tmp_path, "serve", models, "--port", 70000).err
    )
    assert (
        "--host no.such.host.invalid: there is no such address"
        in pipeline(tmp_path, "serve", models, "--host", "no.such.host.invalid").err
    )


def test_other_machines_only_where_asked(models: Path) -> None:
    with started(models, "--host", "0.0.0.0") as running:
        with socket.create_connection(("127.0.0.2", running.port), timeout=5):
            pass
        assert running.ask("GET", "/about", Host="my-machine:1")[0] == 200


# ---- the page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def run_as_shown(command: str, picture: Path) -> str:
    shown = command.replace("picture.jpg", str(picture))
    return subprocess.run(shown, shell=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (380, "light")])
def test_the_page_shows_what_the_model_says_and_saw(
    server: Server, samples: list[Path], browser: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    [wanted] = predict.predict(server.model, samples[:1], top=10)
    with open_page(browser, server.address, width, scheme) as (page, seen):
        page.get_by_role("heading", level=1, name="digits").wait_for()
        assert page.get_by_text("Local server: for looking and trying, not for production").is_visible()
        assert "version 1 · lenet5 · 10 classes · accuracy 0.981" in page.locator("#about").inner_text()
        assert not page.locator("#answer").is_visible()
        page.get_by_label("Drop a picture here, or choose one").set_input_files(samples[0])
        page.get_by_role("heading", name="What it says").wait_for()
        name, label = samples[0].name, wanted["label"]
        assert page.locator("#said").inner_text() == (
            f"{name}: {label}, with probability {wanted['probability']:.3f}"
        )
        rows = page.get_by_role("row").all()
        assert page.get_by_role("rowheader").first.inner_text() == label
        assert len(rows) == 10
        widths = page.eval_on_selector_all(
            ".bar", "all => all.map(one => one.getBoundingClientRect().width / "
            "one.parentElement.getBoundingClientRect().width)",
        )  # fmt: skip
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 0.9 * wanted["probability"]
        facts = page.locator("#facts").inner_text()
        for words in ("8 × 8 pixels, PNG, grey", "32 × 32 pixels, grey", "resizing", "-0.1 to 1.175"):
            assert words in facts
        assert page.get_by_alt_text(f"The picture {name}").evaluate("one => one.naturalWidth") == 8
        shown = page.get_by_alt_text("The network’s input, 32 by 32 pixels")
        assert shown.evaluate("one => one.naturalWidth") == 32
        page.get_by_text("Ask it from a program").click()
        command = page.locator("#command").inner_text()
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(FAINT) == []
    assert seen.complaints == []
    assert all(one.startswith((server.address, "blob:")) for one in seen.requests)
    done = run_as_shown(command, samples[0])
    assert json.loads(done)["predictions"][0]["label"] == label, "the command works as it is shown"
    large = tmp_path / "large.png"
    Image.effect_noise((700, 700), 90).save(large)
    assert large.stat().st_size > 128 << 10, "more than Linux takes as one argument"
    assert json.loads(run_as_shown(command, large))["predictions"][0]["label"].isdigit()


DROP = """
([name, text]) => {
  const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const place = document.getElementById("drop");
  for (const kind of ["dragenter", "dragover", "drop"])
    place.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}
"""


def test_a_picture_can_be_dropped_and_a_bad_one_is_said(
    server: Server, samples: list[Path], browser: Any
) -> None:
    transparent = io.BytesIO()
    Image.new("RGBA", (40, 20), (0, 0, 0, 0)).save(transparent, "PNG")
    with open_page(browser, server.address) as (page, seen):
        page.evaluate(DROP, ["one.png", b64(samples[0])["b64"]])
        page.get_by_text(re.compile(r"^one\.png: \d, with probability")).wait_for()
        page.evaluate(DROP, ["two.png", base64.b64encode(transparent.getvalue()).decode()])
        page.get_by_text(re.compile(r"^two\.png: \d, with probability")).wait_for()
        assert (
            "40 × 20 pixels, PNG, colour, turned upright and made plain"
            in page.locator("#facts").inner_text()
            or "grey" in page.locator("#facts").inner_text()
        )
        assert seen.complaints == []
        page.evaluate(DROP, ["<i>.png", base64.b64encode(b"words").decode()])
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert alert.inner_text() == "<i>.png: the picture cannot be read: not an image"
        assert not page.locator("#answer").is_visible()


COPY = """
async text => {
  const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
  const blob = new Blob([bytes], {type: "image/png"});
  await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
}
"""


def test_a_picture_can_be_pasted(server: Server, samples: list[Path], browser: Any) -> None:
    """Through the clipboard, as from a program that takes pictures of the screen; and words do nothing."""
    [wanted] = predict.predict(server.model, samples[:1])
    with open_page(browser, server.address) as (page, seen):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.evaluate("navigator.clipboard.writeText('words')")
        page.keyboard.press("Control+V")
        page.evaluate(COPY, b64(samples[0])["b64"])
        page.keyboard.press("Control+V")
        page.get_by_text(f"image.png: {wanted['label']}, with probability").wait_for()
        assert page.locator("#picture").evaluate("one => one.naturalWidth") == 8
    assert seen.complaints == []
    assert [one for one in seen.requests if one.endswith("/look")] == [f"{server.address}look"]


def test_both_pages_have_their_colours_from_one_place(server: Server) -> None:
    _, page = server.ask("GET", "/")
    shared = pages.STYLES[0].read_text(encoding="utf-8")
    assert shared in page
    own = page.replace(shared, "") + STYLE.read_text(encoding="utf-8")
    assert re.findall(r"#[0-9a-f]{6}|prefers-color-scheme", own) == []


def test_the_page_can_be_used_by_keyboard(server: Server, samples: list[Path], browser: Any) -> None:
    with open_page(browser, server.address) as (page, seen):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        assert page.locator("#drop").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        choosers: list[Any] = []
        page.on("filechooser", lambda one: choosers.append(one))
        for _ in range(20):  # the first keys of a new browser may get lost
            page.keyboard.press("Enter")
            page.wait_for_timeout(300)
            if choosers:
                break
        choosers[0].set_files(samples[0])
        page.get_by_role("heading", name="What it says").wait_for()
        said = page.locator("[aria-live=polite]").inner_text()
        assert said.startswith(samples[0].name)
        assert page.evaluate("[...document.images].every(one => one.alt)")
    assert seen.complaints == []


def test_names_stay_words(models: Path, samples: list[Path], browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "dogs' (& <i>wölfe!)"
    shutil.copytree(models / "2", folder / "2")
    with started(folder) as running, open_page(browser, running.address) as (page, seen):
        page.get_by_role("heading", level=1, name=folder.name).wait_for()
        page.locator("#file").set_input_files(samples[0])
        page.get_by_role("heading", name="What it says").wait_for()
        assert page.get_by_role("rowheader").first.inner_text().startswith("<b>digit</b> ")
        assert "pushed" in page.locator("#about").inner_text()
        assert "accuracy" not in page.locator("#about").inner_text(), "nothing is known of it"
        page.get_by_text("Ask it from a program").click()
        answer = run_as_shown(page.locator("#command").inner_text(), samples[0])
        assert json.loads(answer)["predictions"][0]["label"].isdigit(), "the graph has its own"
    assert seen.complaints == []


def test_a_server_that_is_gone_is_said(models: Path, samples: list[Path], browser: Any) -> None:
    with started(models) as running, open_page(browser, running.address) as (page, _):
        page.get_by_role("heading", level=1, name="digits").wait_for()
        page.route("**/look", lambda route: route.abort())
        page.locator("#file").set_input_files(samples[0])
        page.get_by_text("the server does not answer; is it still running?").wait_for()

"""`python -m pipeline serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "start a local server for a pushed model"
DESCRIPTION = (
    "Start a local server for a pushed model: TensorFlow Serving's REST predict API, and a page on which a "
    "picture can be dropped. It follows latest.json. It is meant for looking and trying on one machine; "
    "TensorFlow Serving itself, with models.config, is meant for production."
)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("model", type=Path, help="folder of a pushed model, or of one of its versions")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen at; others than the default let other machines in (default: 127.0.0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=8501, metavar="N",
        help="port to listen at, 0 for a free one (default: 8501, TensorFlow Serving's)",
    )  # fmt: skip


def execute(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from pipeline import predict

    predict.find_model(given.model)  # what is missing is said before the seconds that imports take
    from pipeline.serving import app, held

    with app.listen(given.host, given.port) as socket:
        print("loading the model", flush=True)
        model = held.Held(given.model)
        local = app.is_loopback(socket)
        socket.listen(64)
        version = held.version_of(model.current)
        print(f"local server of {model.name}, version {version}: {app.address_of(socket)}", flush=True)
        if not local:
            print("other machines can reach it; it asks for no password", flush=True)
        print(f"REST: {app.address_of(socket)}v1/models/{model.name}:predict · Ctrl-C ends it", flush=True)
        app.run(app.make(model, local), socket)
        model.close()
    return 0

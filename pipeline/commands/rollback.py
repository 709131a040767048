"""`python -m pipeline rollback`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

SUMMARY = "have an earlier version of a pushed model served"
DESCRIPTION = (
    "Have latest.json and models.config name an earlier version. What follows them goes back: `predict` and "
    "`serve` at once, TensorFlow Serving when it reads models.config again. The version itself stays, and so "
    "it is not pushed again; the next new model becomes the latest one as usual."
)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("name", metavar="NAME", help="name of the pushed model, or its folder")
    parser.add_argument(
        "--to", type=int, metavar="VERSION", help="version to serve (default: the one before)"
    )
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="FOLDER",
        help="folder that models are pushed to (default: models)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(given: argparse.Namespace) -> int:
    """Roll back and say what is served now."""
    from pipeline import pushed

    folder = given.models / given.name
    if not folder.is_dir() and pushed.versions(Path(given.name)):
        folder = Path(given.name)
    before, now = pushed.rollback(folder, given.to)
    if given.json:
        print(json.dumps({"before": before, **now}, ensure_ascii=False))
        return 0
    told = [f"accuracy {now['accuracy']:.3f}"] if "accuracy" in now else []
    told += [f"pushed {now['when']}"] if "when" in now else []
    print(f"{folder}: version {now['version']} is served now ({', '.join(told) or 'of an older push'})")
    print(f"before: version {before}, which stays; rollback {given.name} --to {before} brings it back")
    print(
        f"TensorFlow Serving follows with --model_config_file={(folder.parent / pushed.SERVING).resolve()} "
        "--model_config_file_poll_wait_seconds=10"
    )
    return 0

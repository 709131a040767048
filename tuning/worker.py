"""A worker in a process of its own, for a chief on this machine: `python -m tuning.worker FOLDER`."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from tuning import settings as kept
from tuning.asked import role
from tuning.chief import Far
from tuning.children import Children
from tuning.work import work


def main() -> int:
    """Run the trials of the chief that KERASTUNER_* names, and end with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--gpus")
    given = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return serve(given.folder, given.memory, given.gpus)


def serve(folder: Path, memory: int | None, gpus: str | None) -> int:
    """Run the trials of a chief until it has no more.

    Args:
        folder: Of the search, which the chief has written and this machine can reach.
        memory: As in `Children`.
        gpus: As in `Children`.

    Returns:
        0; 1 where the chief does not answer any more.
    """
    found = role()
    assert found is not None  # whoever starts a worker names its chief
    worker, address = found
    search = kept.load(folder)
    children = Children(folder / "log.txt", memory, gpus)
    try:
        work(
            Far(address), worker, children,
            lambda trial, values: kept.request(search, folder, trial, values), lambda: False,
        )  # fmt: skip
    except ConnectionError as error:
        print(f"{worker}: {error}", file=sys.stderr)
        return 1
    finally:
        children.close()
    return 0


def _end_with_parent() -> None:
    """The chief holds the other end of standard input; trials end with their worker in the same way."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())

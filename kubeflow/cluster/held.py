"""What a run id stands for, held on the volume: whoever takes a run up again must ask for the same run.

TFX reuses what is complete in a run and does not look at what it was asked for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.bundle import Bundle, digest, put_whole
from tuning.errors import BadInput


def hold(bundle: Bundle, ir: Path, run_id: str) -> None:
    """Record what a run is of where it begins; refuse another one behind the same id.

    Neither the root nor the store's address counts, nor the data, whose digest the examples hold.

    Args:
        bundle: The line as the run has it.
        ir: The file that it was read from.
        run_id: Of the run.

    Raises:
        BadInput: The run was begun with other parameters or another compiled line, or nothing can be
            recorded.
    """
    file = Path(bundle.root) / str(bundle.config.name) / "ir" / "runs" / f"{run_id}.json"
    asked = {"line": digest(ir.read_text(encoding="utf-8")), "parameters": dict(bundle.parameters)}
    try:
        begun = json.loads(file.read_text(encoding="utf-8"))
        changed = _changed(begun, asked)
    except FileNotFoundError:
        _put(file, asked)
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"--run-id {run_id}: {file} is not a run's record ({error})") from None
    if changed:
        raise BadInput(
            f"--run-id {run_id}: the run was begun with {' and with '.join(changed)}; a new run needs "
            "another run_id, or none"
        )


def _changed(begun: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What the run was begun with, and not with what is asked for now."""
    before, now = begun["parameters"], asked["parameters"]
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    changed = [f"{name}={before.get(name)!r}, not {now.get(name)!r}" for name in names]
    if begun["line"] != asked["line"]:
        changed.append(f"another compiled line (IR {begun['line']}, not {asked['line']})")
    return changed


def _put(file: Path, asked: dict[str, Any]) -> None:
    try:
        put_whole(file, json.dumps(asked, sort_keys=True).encode())
    except OSError as error:
        raise BadInput(f"--root: {file} cannot be written: {error.strerror}") from None

"""The file beside the compiled pipeline: TFX's intermediate representation (IR) and what it was made from."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import lzma
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from keras_cnns._checks import unknown
from pipeline.config import Config, check
from pipeline.sources import Dataset
from tuning.errors import BadInput


@dataclass(frozen=True)
class Bundle:
    """A compiled line.

    Attributes:
        ir: TFX's IR as JSON has it.
        config: The configuration that it was compiled from.
        dataset: What was known of its data.
        root: The folder that all its paths begin with.
        parameters: What a run may choose anew, with the defaults.
    """

    ir: Mapping[str, Any]
    config: Config
    dataset: Dataset
    root: str
    parameters: Mapping[str, Any]

    def text(self) -> str:
        """The file's content; the same line gives the same text."""
        whole = {
            "schema": 1, "root": self.root, "parameters": dict(self.parameters),
            "config": {k: v for k, v in dataclasses.asdict(self.config).items() if v is not None},
            "dataset": dataclasses.asdict(self.dataset), "ir": self.ir,
        }  # fmt: skip
        return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @property
    def nodes(self) -> dict[str, list[str]]:
        """The nodes in the order of the local run, each with those that it follows."""
        found = [one["pipelineNode"] for one in self.ir["nodes"]]
        return {one["nodeInfo"]["id"]: list(one.get("upstreamNodes", ())) for one in found}

    @property
    def place(self) -> PurePosixPath:
        """Where the file lies below the root: its name has its hash, so that no line finds another's."""
        return PurePosixPath(str(self.config.name)) / "ir" / f"{digest(self.text())}.json"


def digest(text: str) -> str:
    """What names a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def packed(text: str) -> str:
    """A text as an argument that fits a command line.

    The class names come several times and far apart, which LZMA sees and gzip's 32 KiB do not.
    """
    return base64.b64encode(lzma.compress(text.encode())).decode()


def unpack(text: str, file: Path) -> None:
    """Write what `packed` made, unless it is there; it appears complete or not at all.

    Raises:
        BadInput: It cannot be written.
    """
    if file.is_file():
        return
    try:
        put_whole(file, lzma.decompress(base64.b64decode(text)))
    except (OSError, ValueError, lzma.LZMAError) as error:
        raise BadInput(f"--ir {file}: {error}") from None


def put_whole(file: Path, content: bytes) -> None:
    """Write a file that several pods may write at a time; it appears complete or not at all.

    Raises:
        OSError: It cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.uname().nodename}-{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(content)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def read(file: Path, root: str, chosen: Mapping[str, str], run: str) -> Bundle:
    """A compiled line as one run has it.

    Args:
        file: What `compile.py` wrote.
        root: The folder that stands for the compiled one.
        chosen: Parameters of the run as text.
        run: Its id.

    Raises:
        BadInput: It is no such file, it was damaged, or a parameter is not one of the line's.
    """
    try:
        text = file.read_text(encoding="utf-8")
        held = json.loads(text)
        compiled, parameters, given = held["root"], dict(held["parameters"]), Config(**held["config"])
        dataset = Dataset.from_json(held["dataset"])
        if not held["ir"]["nodes"]:
            raise ValueError("no nodes")
    except FileNotFoundError:
        raise BadInput(f"--ir {file}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"--ir {file}: it is no compiled line ({error})") from None
    if re.fullmatch(r"[0-9a-f]{16}", file.stem) and digest(text) != file.stem:
        raise BadInput(f"--ir {file}: its content is not what its name says; it was changed or cut off")
    if root != compiled:
        # Only where a path begins: its name may come again inside of it.
        found = rf'(?<![\w./-]){re.escape(compiled)}(?=[/"\\])'
        held = json.loads(re.sub(found, lambda _: root, text))
        given = Config(**held["config"])
    values = _typed(parameters, chosen)
    config = dataclasses.replace(given, output=f"{given.output}/runs/{run}")
    known = {one.name for one in dataclasses.fields(Config)}
    config = dataclasses.replace(config, **{key: value for key, value in values.items() if key in known})
    check(config)
    ir = json.loads(json.dumps(held["ir"]))
    _of_node(ir, "Pusher", "custom_config", lambda text: _with_run(text, str(config.output)))
    return Bundle(ir, config, dataset, root, values)


def _of_node(ir: Any, node: str, parameter: str, change: Callable[[str], str]) -> None:
    """Change a parameter of a node, where there is such a node."""
    for one in ir["nodes"]:
        given = one["pipelineNode"].get("parameters", {}).get("parameters", {})
        if one["pipelineNode"]["nodeInfo"]["id"] == node and parameter in given:
            value = given[parameter]["fieldValue"]
            value["stringValue"] = change(value["stringValue"])


def _with_run(text: str, folder: str) -> str:
    """The Pusher's settings with the folder of this run, which stands beside what it pushes."""
    return json.dumps({**json.loads(text), "run": folder})


def looked_again(bundle: Bundle) -> Bundle:
    """The line with its data as it is now: a cached step must not stand for data that has changed since.

    Raises:
        BadInput: There is no such data, or it has other classes, which the compiled line does not know.
    """
    from pipeline import run as local

    now, then = local.inspect(bundle.config), bundle.dataset
    for what in ("classes", "channels", "splits"):
        old, new = _words(getattr(then, what)), _words(getattr(now, what))
        if old != new:
            raise BadInput(
                f"--data {bundle.config.data}: its {what} were {old} when it was compiled and are {new}; "
                "compile it anew"
            )
    ir, text = json.loads(json.dumps(bundle.ir)), json.dumps(dataclasses.asdict(now), sort_keys=True)
    _of_node(ir, "ImageExampleGen", "dataset", lambda _: text)
    return dataclasses.replace(bundle, ir=ir, dataset=now)


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _typed(defaults: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    values = dict(defaults)
    for name, text in chosen.items():
        if name not in defaults:
            raise BadInput(f"--param: {unknown('parameter', name, list(defaults))}")
        kind = type(defaults[name])
        try:
            number = float(text) if kind in (int, float) else None
            if kind is int and number != int(number or 0):
                raise ValueError
            values[name] = text if number is None else kind(number)
        except (ValueError, OverflowError):
            what = "a whole number" if kind is int else "a number"
            raise BadInput(f"--param {name} must be {what}, not {text!r}") from None
    return values

"""TensorFlow Serving's JSON and a signature's tensors, one into the other, with its errors.

The forms, the messages and the codes are those of TensorFlow Serving's `util/json_tensor.cc` and
`model_servers/http_rest_api_handler.cc`, so that a client which works here works there.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)
_EXACT = (1 << 24) - 1  # whole numbers up to here are float32, too
_DEEPEST = 32  # lists in one another; NumPy has no more dimensions


class Refused(Exception):
    """A request that gets an error: its HTTP status and the text of {"error": …}."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Tensor:
    """What a signature takes: string or float32, and sizes, None where any will do."""

    string: bool
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Asked:
    """A request, read: arrays of objects (bytes) or float32 by the names of the inputs."""

    inputs: dict[str, np.ndarray]
    rows: bool


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        Refused: It is none.
    """
    if not body:
        raise Refused(400, "JSON Parse error: The document is empty")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"JSON Parse error: {error}") from None
    if not isinstance(request, dict):
        raise _unformed(request, "Is not object")
    return request


def signature_name(request: Mapping[str, Any]) -> str:
    """The signature that a request names, "serving_default" where it names none."""
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise _unformed(request, "not formatted correctly. 'signature_name' key must be a string value.")
    return name or "serving_default"


def read(request: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> Asked:
    """The tensors of a request in row form ("instances") or column form ("inputs").

    Args:
        request: The JSON object.
        wanted: The signature's inputs by name.

    Raises:
        Refused: It does not have what the signature takes; says what.
    """
    if "instances" in request and "inputs" in request:
        raise _unformed(
            request,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if "instances" in request:
        if not isinstance(request["instances"], list):
            raise _unformed(request, "Excepting 'instances' to be an list/array")
        if not request["instances"]:
            raise _unformed(request, "No values in 'instances' array")
        inputs = _rows(request["instances"], wanted)
    elif "inputs" in request:
        inputs = _columns(request["inputs"], wanted)
    else:
        raise Refused(400, "Missing 'inputs' or 'instances' key")
    for name, array in inputs.items():
        _check_shape(name, array, wanted[name])
    return Asked(inputs, "instances" in request)


def answer(outputs: Mapping[str, np.ndarray], rows: bool) -> dict[str, Any]:
    """The JSON object of an answer: "predictions" for rows, "outputs" for columns."""
    plain = {name: _plain(array, name) for name, array in outputs.items()}
    if not rows:
        return {"outputs": next(iter(plain.values())) if len(plain) == 1 else plain}
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {
        "predictions": [
            dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)
        ]
    }  # fmt: skip


def _rows(instances: list[Any], wanted: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    named = _is_named(instances[0])
    if not named and len(wanted) > 1:
        raise Refused(400, "instances is a plain list, but expecting list of objects as multiple input "
                           "tensors required as per tensorinfo_map")  # fmt: skip
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for index, row in enumerate(instances):
        if _is_named(row) != named:
            what = "object but got list" if named else "value/list but got object"
            raise Refused(400, f"Expecting {what} at item {index} of input list")
        for name, value in (row if named else {next(iter(wanted)): row}).items():
            try:
                _add(value, name, wanted, columns)
            except Refused as error:
                key = f" key: {name}" if named else ""
                raise Refused(
                    400,
                    f"Failed to process element: {index}{key} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: {error}",
                ) from None
        if named and row.keys() != wanted.keys():
            raise Refused(
                400,
                f"Failed to process element: {index} of 'instances' list. JSON object: {_short(row)} "
                f"keys must be equal to: {','.join(sorted(wanted))}",
            )
    return {name: np.stack(arrays) for name, arrays in columns.items()}


def _add(value: Any, name: str, wanted: Mapping[str, Tensor], columns: dict[str, list[np.ndarray]]) -> None:
    """Add a row's value to the rows before it."""
    if name not in wanted:
        raise Refused(400, f"JSON object: does not have named input: {name}")
    array = _array(value, wanted[name].string)
    columns[name].append(array)
    first = columns[name][0]
    if array.size != first.size:
        raise Refused(400, f"Expecting tensor size: {first.size} but got: {array.size}")
    if array.shape != first.shape:
        raise Refused(400, f"Expecting shape {_sizes(first.shape)} but got: {_sizes(array.shape)}")


def _columns(inputs: Any, wanted: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        if len(wanted) > 1:
            raise Refused(400, "inputs is a plain value/list, but expecting an object as multiple input "
                               "tensors required as per tensorinfo_map")  # fmt: skip
        inputs = {next(iter(wanted)): inputs}
    for name in wanted:
        if name not in inputs:
            raise Refused(400, f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(inputs[name], tensor.string) for name, tensor in wanted.items()}


def _array(value: Any, string: bool) -> np.ndarray:
    """A value or nested lists of them, as float32 or as objects that are bytes."""
    if not string and (quick := _numbers(value)) is not None:
        return quick
    shape = _shape(value)
    leaves = list(_leaves(value, shape, _bytes if string else _number))
    array = np.empty(len(leaves), object if string else np.float32)
    array[:] = leaves
    return array.reshape(shape)


def _numbers(value: Any) -> np.ndarray | None:
    """Numbers in lists of equal lengths at once; None where one of them may be wrong."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        return None
    if array.dtype.kind not in "iuf":
        return None
    most = _LARGEST if array.dtype.kind == "f" else _EXACT
    if (np.isfinite(array) & (np.abs(array) > most)).any():
        return None
    return array.astype(np.float32)


def _shape(value: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(value, list) and len(shape) < _DEEPEST:
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _leaves(value: Any, shape: tuple[int, ...], read: Callable[[Any], Any], level: int = 0) -> Iterator[Any]:
    """The values in nested lists, which must all have the sizes of the first ones."""
    if not isinstance(value, list):
        if level != len(shape):
            raise _unformed(
                value,
                f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}",
            )
        yield read(value)
        return
    if level >= len(shape):
        raise Refused(400, f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise Refused(
            400,
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}",
        )
    for one in value:
        yield from _leaves(one, shape, read, level + 1)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _of_another_type(value, "float")
    most = _EXACT if isinstance(value, int) else _LARGEST
    if abs(value) > most and abs(value) != math.inf:
        raise Refused(400, f"Cannot convert JSON value: {_short(value)} to float without loss of precision.")
    return float(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not _is_base64(value):
        if isinstance(value, dict):
            raise _unformed(value, "not formatted correctly for base64 data")
        raise _of_another_type(value, "string")
    text = value["b64"]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Unable to base64 decode") from None


def _unformed(value: Any, what: str) -> Refused:
    return Refused(400, f"JSON Value: {_short(value)} {what}")


def _of_another_type(value: Any, wanted: str) -> Refused:
    return _unformed(value, f"Type: {_type_of(value)} is not of expected type: {wanted}")


def _type_of(value: Any) -> str:
    """JSON's name of a value's type, as RapidJSON has it."""
    if isinstance(value, bool):
        return str(value)
    names = {"NoneType": "Null", "dict": "Object", "list": "Array", "str": "String"}
    return names.get(type(value).__name__, "Number")


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _check_shape(name: str, array: np.ndarray, tensor: Tensor) -> None:
    fits = array.ndim == len(tensor.shape) and all(
        size in (None, got) for size, got in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = _sizes("?" if size is None else size for size in tensor.shape)
        raise Refused(400, f"input {name} has the shape {_sizes(array.shape)}; its signature takes {wanted}")


def _sizes(shape: Any) -> str:
    return f"[{','.join(map(str, shape))}]"


def _plain(array: np.ndarray, name: str) -> Any:
    """Lists of an output; float32 with its own digits, not those of the double that holds it."""
    if array.dtype.kind == "f":
        flat: list[Any] = [float(one) for one in array.astype("U32").ravel()]
    elif array.dtype.kind in "OSU":
        flat = [_text(one, name) for one in array.ravel()]
    else:
        flat = array.ravel().tolist()
    nested = np.empty(len(flat), object)
    nested[:] = flat
    return nested.reshape(array.shape).tolist()


def _text(value: Any, name: str) -> Any:
    """A string, or base64 where the output's name says that it is bytes."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(raw).decode("ascii")}
    return raw.decode("utf-8", "replace")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"

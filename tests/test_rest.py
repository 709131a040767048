"""TensorFlow Serving's JSON forms: what is read from them, and what is refused in whose words."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from pipeline.serving import rest
from pipeline.serving.rest import Refused, Tensor

BYTES = {"image_bytes": Tensor(True, (None,))}
PIXELS = {"images": Tensor(False, (None, 2, 2, 1))}
PAIR = {"a": Tensor(True, (None,)), "b": Tensor(False, (None,))}
CAT = base64.b64encode(b"cat\xff").decode()
SQUARE = [[[1], [2.5]], [[3], [4]]]


def read(request: Any, wanted: dict[str, Tensor]) -> dict[str, list]:
    asked = rest.read(rest.parse(json.dumps(request).encode()), wanted)
    return {name: array.tolist() for name, array in asked.inputs.items()}


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": [{"b64": CAT}, {"b64": CAT}]},
        {"instances": [{"image_bytes": {"b64": CAT}}, {"image_bytes": {"b64": CAT.rstrip("=")}}]},
        {"inputs": [{"b64": CAT}, {"b64": CAT}]},
        {"inputs": {"image_bytes": [{"b64": CAT}, {"b64": CAT}]}},
    ],
)
def test_bytes_in_rows_and_columns(request_: dict) -> None:
    assert read(request_, BYTES) == {"image_bytes": [b"cat\xff", b"cat\xff"]}


@pytest.mark.parametrize(
    "request_",
    [{"instances": [SQUARE]}, {"instances": [{"images": SQUARE}]}, {"inputs": [SQUARE]},
     {"inputs": {"images": [SQUARE]}}],
)  # fmt: skip
def test_numbers_in_rows_and_columns(request_: dict) -> None:
    assert read(request_, PIXELS) == {"images": [SQUARE]}


def test_numbers_that_are_none_and_endless_ones_are_taken() -> None:
    asked = rest.read(
        rest.parse(b'{"instances": [NaN, Infinity, -Infinity, 16777215]}'), {"x": Tensor(False, (None,))}
    )
    assert asked.inputs["x"].tolist()[1:] == [float("inf"), float("-inf"), 16777215.0]
    assert np.isnan(asked.inputs["x"][0])


def test_several_inputs_and_plain_strings() -> None:
    wanted = {"a": [b"x", "wölf".encode()], "b": [1.0, 2.0]}
    assert read({"instances": [{"a": "x", "b": 1}, {"a": "wölf", "b": 2}]}, PAIR) == wanted
    assert read({"inputs": {"a": ["x", "wölf"], "b": [1, 2]}}, PAIR) == wanted


@pytest.mark.parametrize(
    ("body", "wanted", "text"),
    [
        ("", BYTES, "JSON Parse error: The document is empty"),
        ("{", BYTES, "JSON Parse error: "),
        ("[" * 100_000, BYTES, "JSON Parse error: "),
        ('"\udcff"', BYTES, "JSON Parse error: "),
        ("[1]", BYTES, "JSON Value: [1] Is not object"),
        ("{}", BYTES, "Missing 'inputs' or 'instances' key"),
        ('{"instances": [], "inputs": []}', BYTES, "expecting only one of 'inputs' or 'instances' keys"),
        ('{"instances": 7}', BYTES,
         'JSON Value: {"instances": 7} Excepting \'instances\' to be an list/array'),
        ('{"instances": []}', BYTES, 'JSON Value: {"instances": []} No values in \'instances\' array'),
        ('{"instances": [7]}', BYTES,
         "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
         "JSON Value: 7 Type: Number is not of expected type: string"),
        ('{"instances": [{"b64": "?"}]}', BYTES, "Unable to base64 decode"),
        ('{"instances": [{"image": {"b64": ""}}]}', BYTES,
         "Failed to process element: 0 key: image of 'instances' list. Error: INVALID_ARGUMENT: "
         "JSON object: does not have named input: image"),
        ('{"instances": [{"a": "x"}]}', PAIR, "keys must be equal to: a,b"),
        ('{"instances": [{"image_bytes": {"b65": ""}}]}', BYTES, "not formatted correctly for base64 data"),
        ('{"instances": [{"b64": ""}, {"image_bytes": ""}]}', BYTES, "Expecting value/list but got object"),
        ('{"instances": [{"image_bytes": ""}, {"b64": ""}]}', BYTES, "Expecting object but got list at"),
        ('{"instances": [["a"]]}', BYTES, "input image_bytes has the shape [1,1]; its signature takes [?]"),
        ('{"inputs": {"b64": ""}}', BYTES, "input image_bytes has the shape []; its signature takes [?]"),
        ('{"inputs": {"image": []}}', BYTES, "Missing named input: image_bytes in 'inputs' object."),
        ('{"instances": [["a", ["b"]]]}', BYTES, "Encountered list at unexpected level: 1 expected < 1"),
        ('{"instances": [[["a"], "b"]]}', BYTES,
         'JSON Value: "b" found at incorrect level: 2 in the JSON DOM. Expected at level: 2'),
        ('{"instances": [[["a"], ["b", "c"]]]}', BYTES,
         "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        ('{"instances": ' + "[" * 40 + "]" * 40 + "}", BYTES, "at unexpected level: 32 expected < 32"),
        ('{"instances": ' + "[" * 900 + "]" * 900 + "}", PIXELS, "at unexpected level: 32 expected < 32"),
        ('{"instances": [[[1, 2], [3]]]}', PIXELS,
         "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ('{"instances": [[[["x"]]]]}', PIXELS,
         'JSON Value: "x" Type: String is not of expected type: float'),
        ('{"instances": [[[[true]]]]}', PIXELS, "JSON Value: true Type: True is not of expected type: float"),
        ('{"instances": [[[[null]]]]}', PIXELS, "JSON Value: null Type: Null is not of expected type: float"),
        ('{"instances": [[[[{}]]]]}', PIXELS, "JSON Value: {} Type: Object is not of expected type: float"),
        ('{"instances": [[[[1e39]]]]}', PIXELS,
         "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ('{"instances": [[[[16777217]]]]}', PIXELS, "Cannot convert JSON value: 16777217 to float without"),
        ('{"instances": [[[[1' + "0" * 400 + ']]]]}', PIXELS, "to float without loss of precision."),
        ('{"instances": [[[[1]]]]}', PIXELS, "the shape [1,1,1,1]; its signature takes [?,2,2,1]"),
        ('{"instances": [[[1]], [[1, 2]]]}', PIXELS, "Expecting tensor size: 1 but got: 2"),
        ('{"instances": [[[1, 2]], [[1], [2]]]}', PIXELS, "Expecting shape [1,2] but got: [2,1]"),
        ('{"inputs": []}', PAIR, "inputs is a plain value/list, but expecting an object"),
        ('{"instances": [1]}', PAIR, "instances is a plain list, but expecting list of objects"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(body: str, wanted: dict[str, Tensor], text: str) -> None:
    with pytest.raises(Refused) as caught:
        rest.read(rest.parse(body.encode("utf-8", "surrogateescape")), wanted)
    assert caught.value.status == 400
    assert text in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_signature_is_the_default_one_or_the_named_one() -> None:
    assert rest.signature_name({}) == rest.signature_name({"signature_name": ""}) == "serving_default"
    assert rest.signature_name({"signature_name": "serve_bytes"}) == "serve_bytes"
    with pytest.raises(Refused, match="'signature_name' key must be a string value"):
        rest.signature_name({"signature_name": 7})


def test_answers_in_rows_and_columns() -> None:
    share, label = np.array([[0.2, 0.8], [1, 0]], np.float32), np.array([b"\xc3\xb6", b"b"], object)
    assert rest.answer({"p": share}, rows=True) == {"predictions": [[0.2, 0.8], [1.0, 0.0]]}
    assert rest.answer({"p": share}, rows=False) == {"outputs": [[0.2, 0.8], [1.0, 0.0]]}
    both = {"p": share, "l": label}
    assert rest.answer(both, rows=True)["predictions"][0] == {"p": [0.2, 0.8], "l": "ö"}
    assert rest.answer(both, rows=False) == {"outputs": {"p": [[0.2, 0.8], [1.0, 0.0]], "l": ["ö", "b"]}}
    raw = {"x_bytes": np.array([b"\xff"], object)}
    assert rest.answer(raw, rows=True) == {"predictions": [{"b64": "/w=="}]}
    assert np.float32(rest.answer({"p": np.float32([1 / 3])}, rows=True)["predictions"][0]) == np.float32(
        1 / 3
    )

"""Kubernetes' quantities as numbers."""

from __future__ import annotations

import re

_LETTERS = "KMGTPE"
_UNITS = {
    "": 1.0, "m": 1e-3, "k": 1e3,
    **{letter: 1000.0**power for power, letter in enumerate(_LETTERS, 1) if letter != "K"},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate(_LETTERS, 1)},
}  # fmt: skip


def quantity(text: str) -> float:
    """A quantity as a number: "500m" is 0.5, "2Gi" 2147483648.

    Raises:
        ValueError: It is no quantity.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)", text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return float(found[1]) * _UNITS[found[2]]

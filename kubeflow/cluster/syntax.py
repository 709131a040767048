"""What Kubernetes takes as names, labels, tolerations and quantities, before it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cluster.quantities import quantity
from keras_cnns._checks import unknown
from tuning.errors import BadInput

# After k8s.io/apimachinery's pkg/util/validation, and ValidateTolerations of k8s.io/kubernetes.
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_TOLERATION = ("key", "operator", "value", "effect", "seconds")
_OPERATORS = ("Equal", "Exists")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_LABEL_VALUE = "at most 63 letters, digits, - _ . that begin and end with a letter or digit"
_LABEL_KEY = f"{_LABEL_VALUE}, such as pool, with or without a domain, such as example.com/pool"


def is_name(text: str, longest: int = 253) -> bool:
    """Whether an object can be called so.

    Args:
        text: The name.
        longest: Characters.
    """
    return len(text) <= longest and bool(_SUBDOMAIN.fullmatch(text))


def is_key(text: str) -> bool:
    """Whether a label or a taint can be called so: "pool", "example.com/pool"."""
    domain, slash, word = text.rpartition("/")
    return bool(_WORD.fullmatch(word)) and (is_name(domain) if slash else True)


def is_device(text: str) -> bool:
    """Whether a device plugin's resource can be called so: "nvidia.com/gpu", never without a domain."""
    return "/" in text and is_key(text)


def check_labels(argument: str, given: Mapping[str, Any]) -> None:
    """Refuse what cannot be a label.

    Args:
        argument: The table's name, for the error.
        given: Values by keys.

    Raises:
        BadInput: Names the label, and what is allowed.
    """
    if any(not isinstance(value, str) for value in given.values()):
        raise BadInput(f"{argument} must have text for each label, not {dict(given)}")
    for key, value in given.items():
        if not is_key(key):
            raise BadInput(f"{argument}: a label is called by {_LABEL_KEY}, not {key!r}")
        if not _is_value(value):
            raise BadInput(f"{argument}: the value of {key} must be {_LABEL_VALUE}, not {value!r}")


def check_toleration(argument: str, given: Mapping[str, Any]) -> None:
    """Refuse what cannot be a toleration.

    Args:
        argument: The list's name, for the error.
        given: key, operator, value, effect and seconds, as far as they are there.

    Raises:
        BadInput: Names the field, what came and what is allowed.
    """
    for field, value in given.items():
        if field not in _TOLERATION:
            raise BadInput(f"{argument}: {unknown('key', field, _TOLERATION)}")
        if not isinstance(value, int if field == "seconds" else str) or isinstance(value, bool):
            what = "a whole number" if field == "seconds" else "text"
            raise BadInput(f"{argument}: {field} must be {what}, not {value!r}")
    for field, words in (("operator", _OPERATORS), ("effect", _EFFECTS)):
        if given.get(field, words[0]) not in words:
            raise BadInput(f"{argument}: {unknown(field, given[field], words)}")
    _check_together(argument, given)


def _check_together(argument: str, given: Mapping[str, Any]) -> None:
    """Refuse fields of a toleration that do not go with each other."""
    key, value, exists = given.get("key", ""), given.get("value", ""), given.get("operator") == "Exists"
    if key and not is_key(key):
        raise BadInput(f"{argument}: a taint's key is {_LABEL_KEY}, not {key!r}")
    if not key and not exists:
        raise BadInput(f'{argument}: without a key, the operator must be "Exists", which means every taint')
    if exists and value:
        raise BadInput(f'{argument}: operator "Exists" takes no value, and {key or "it"} has {value!r}')
    if not _is_value(value):
        raise BadInput(f"{argument}: the value of {key} must be {_LABEL_VALUE}, not {value!r}")
    if "seconds" in given and given.get("effect") != "NoExecute":
        raise BadInput(
            f'{argument}: seconds = {given["seconds"]} needs effect = "NoExecute", the one that ends a pod, '
            f"not {given.get('effect', '')!r}"
        )


def check_quantity(argument: str, text: str, least: str, most: str, example: str) -> None:
    """Refuse what is no quantity, or one that no pod can start with.

    Args:
        argument: The setting's name, for the error.
        text: What came.
        least: The smallest quantity allowed.
        most: The largest.
        example: A good one.

    Raises:
        BadInput: Names what came and what is allowed.
    """
    try:
        number = quantity(text)
    except ValueError:
        raise BadInput(f"{argument} must be such as {example}, not {text!r}") from None
    if not quantity(least) <= number <= quantity(most):
        raise BadInput(
            f"{argument} must be from {least} to {most}, such as {example}, not {text!r}; "
            'give "" for no limit'
        )


def _is_value(text: str) -> bool:
    return not text or bool(_WORD.fullmatch(text))

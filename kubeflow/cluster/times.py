"""How often, and for how long: what a person types, as a server takes it."""

from __future__ import annotations

import re

from tuning.errors import BadInput

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# Bounds and names of each field: second, minute, hour, day of the month, month, day of the week.
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?P<low>\*|\?|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>[1-9]\d*))?")
_SHORT = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


def seconds(argument: str, text: str) -> int:
    """A length of time such as 90s, 30m, 6h, 2d or 1h30m.

    Args:
        argument: The argument's name, for the error.
        text: What was typed.

    Returns:
        Seconds, at least 1.

    Raises:
        BadInput: It is no length of time.
    """
    parts = re.findall(r"(\d+)([dhms])", text)
    total = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not total:
        raise BadInput(
            f"{argument}={text!r} is no length of time; give one such as 90s, 30m, 6h, 2d or 1h30m."
        )
    return total


def cron(text: str) -> str:
    """A cron expression as Kubeflow Pipelines reads it.

    Its scheduler counts from seconds on and takes five fields for second, minute, hour, day and month, so
    crontab's "0 3 * * *" would run every hour. Five fields are therefore crontab's here, and get second 0.

    Args:
        text: Five fields as in crontab, six with seconds in front, or a word such as @daily.

    Returns:
        Six fields, or the word.

    Raises:
        BadInput: It is no such expression.
    """
    if text in _SHORT:
        return text
    fields = text.split()
    if len(fields) not in (5, 6):
        raise BadInput(
            f"--every={text!r} has {len(fields)} fields; give five as in crontab (minute, hour, day, month, "
            f"day of the week), six with seconds in front, or one of {', '.join(_SHORT)}."
        )
    fields = ["0"] * (len(fields) == 5) + fields
    for field, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_part(part, lowest, highest, names) for part in field.split(",")):
            raise BadInput(f"--every={text!r}: {field!r} is no {name} from {lowest} to {highest}.")
    return " ".join(fields)


def _is_part(part: str, lowest: int, highest: int, names: list[str]) -> bool:
    match = _PART.fullmatch(part)
    if not match:
        return False
    ends = [end for end in (match["low"], match["high"]) if end is not None]
    if ends[0] in ("*", "?"):
        return len(ends) == 1
    numbers = [_number(end, lowest, names) for end in ends]
    legal = [number for number in numbers if number is not None and lowest <= number <= highest]
    return legal == numbers and legal == sorted(legal)


def _number(text: str, lowest: int, names: list[str]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + lowest
    return int(text) if text.isascii() and text.isdigit() else None

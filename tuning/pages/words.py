"""Numbers, times and values as a person reads them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from tuning.pages.tags import Html, tag


def finite_or_none(value: Any) -> float | None:
    """The value as a float, or None where it is no finite number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def as_share(value: Any) -> str:
    """A share with three digits, or a dash where there is none."""
    number = finite_or_none(value)
    return "—" if number is None else f"{number:.3f}"


def as_interval(interval: Any) -> str:
    """Both ends of an interval of shares, or a dash."""
    return f"{as_share(interval[0])}–{as_share(interval[1])}" if interval else "—"


def as_duration(seconds: Any) -> str:
    """Seconds as a person says them."""
    number = finite_or_none(seconds)
    if number is None:
        return "—"
    if number < 100:
        return f"{number:.1f}\u00a0s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def as_moment(text: str) -> Html:
    """A time in ISO form as a person reads it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return tag("time", text)
    zone = f" {moment.tzname()}" if moment.tzinfo else ""
    return tag("time", f"{moment.day} {moment:%B %Y, %H:%M}{zone}", datetime=text)


def as_value(value: Any) -> str:
    """Any value of a configuration or recipe as a person writes it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_value, value)) or "—"
    return str(value) or "—"


def several(count: int, one: str, more: str) -> str:
    """A count with its word, in the singular or the plural."""
    return f"{count:,} {one if count == 1 else more}"

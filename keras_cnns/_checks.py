"""What every builder checks, and the text of every error; no Keras in here, so that it is cheap to import."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from operator import index
from pathlib import Path
from typing import Any

DEFAULT = "default"
"""The value that stands for "what the paper does" where None says something else."""

_WIDEST = 100  # times the paper's maps
_SHOWN, _ALIKE = 20, 5  # at most so many known values; where there are more, the alike ones alone


def nearest(value: Any, allowed: Iterable[Any]) -> str | None:
    """The allowed value that a person most likely meant.

    Args:
        value: What was given. A number is compared by distance, anything else by spelling.
        allowed: What could have been given.

    Returns:
        The nearest allowed value as text, or None where nothing comes near.
    """
    choices = list(allowed)
    numbers = [choice for choice in choices if _is_real(choice)]
    if numbers and _is_real(value):
        return str(min(numbers, key=lambda number: abs(number - value)))
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    close = get_close_matches(str(value).lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def unknown(argument: str, value: Any, allowed: Iterable[Any]) -> ValueError:
    """The error for a value outside a list: it names the argument, the value, the nearest and the known ones.

    Args:
        argument: The argument's name, as the caller types it.
        value: What was given.
        allowed: What could have been given; more than 20 are shortened.

    Returns:
        The error, to be raised by the caller.
    """
    choices = list(allowed)
    if all(map(_is_real, choices)):
        choices.sort()
    near = nearest(value, choices)
    meant = [choice for choice in choices if str(choice) == near]
    hint = f" Did you mean {meant[0]!r}?" if meant else ""
    names = [str(choice) for choice in choices]
    shown = names
    if len(names) > _SHOWN:
        alike = get_close_matches(value, names, n=_ALIKE, cutoff=0.4) if isinstance(value, str) else []
        shown = alike or names[:_SHOWN]
    rest = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ValueError(f"{argument}={value!r} is not known.{hint} Known: {', '.join(shown)}{rest}.")


def smallest_size(windows: Sequence[tuple[int, int] | tuple[int, int, int]]) -> int:
    """The smallest input side, in pixels, that leaves one unit.

    Args:
        windows: (kernel side, stride) of each convolution or pooling, from the input on; or (kernel side,
            stride, padding), where the padding counts both sides together.

    Returns:
        The side in pixels: [(5, 1), (2, 2)] gives 6, [(7, 2, 6), (2, 2)] gives 3.
    """
    side = 1
    for kernel, stride, *padding in reversed(windows):
        side = max((side - 1) * stride + kernel - sum(padding), 1)
    return side


def check_input_shape(
    input_shape: Any, *, network: str, example: tuple[int, ...], smallest: int, free_size: bool = False
) -> tuple[int | None, int | None, int]:
    """Refuse what is not (height, width, channels) or too small for the network.

    Args:
        input_shape: What the caller gave; sizes in pixels, without the batch.
        network: The network's name, for the text.
        example: A shape that works, for the text.
        smallest: The smallest legal height and width in pixels.
        free_size: Whether height and width may be None, which a network without its top can do.

    Returns:
        The shape as a tuple of plain numbers.

    Raises:
        ValueError: It is no such shape, or too small; the text names the smallest shape that works.
    """
    sizes = _sizes(input_shape)
    if sizes is None:
        raise ValueError(
            f"input_shape={input_shape!r} is not (height, width, channels) with sizes of at least 1, "
            f"for example {example}."
        )
    height, width, channels = sizes
    if not free_size and (height is None or width is None):
        raise ValueError(
            f"input_shape={input_shape!r} leaves a size free, but the fully connected layers of {network} "
            f"need fixed ones; give numbers, or leave these layers out."
        )
    legal = tuple(side if side is None else max(side, smallest) for side in (height, width))
    if legal != (height, width):
        raise ValueError(
            f"input_shape={sizes} is too small for {network}, which needs at least {smallest} × {smallest} "
            f"pixels. The nearest that works: {(*legal, channels)}."
        )
    return sizes


def pick(argument: str, given: Any, known: Iterable[Any]) -> Any:
    """The known value that equals what was given: NumPy's 50 stands for 50, but 50.0, "50" and True do not.

    Raises:
        ValueError: There is none; the text gives the argument, what was given and what is known.
    """
    choices = list(known)
    numbers = _is_number(given) or (
        isinstance(given, float) and any(isinstance(each, float) for each in choices)
    )
    for choice in choices:
        # Only what is of a kind is compared: an array would answer an array, and True equals 1.
        alike = isinstance(given, str) if isinstance(choice, str) else numbers and _is_real(choice)
        if given is choice or (alike and given == choice):
            return choice
    raise unknown(argument, given, choices)


def look_up(table: Mapping[Any, Any], key: Any, argument: str) -> Any:
    """The row of a paper's table.

    Raises:
        ValueError: There is no such row; the text gives the argument, the nearest row and all rows.
    """
    return table[pick(argument, key, table)]


def choose(
    argument: str,
    given: Any,
    known: Iterable[Any],
    limits: Mapping[str, Collection[Any]],
    *,
    unset: str | None = None,
) -> Any:
    """The value given, or where none is, the first known one that the other arguments leave.

    Args:
        argument: The argument's name, as the caller types it.
        given: What was given.
        known: All values that the argument can have.
        limits: What other arguments leave of them, such as {"depth=200": (2,)}.
        unset: What stands for "not given".

    Returns:
        One of `known`.

    Raises:
        ValueError: The value is not known, or another argument does not leave it; the text says which.
    """
    choices = list(known)
    if isinstance(given, str | None) and given == unset:
        left = [value for value in choices if all(value in values for values in limits.values())]
        if not left:
            limiting = [other for other, values in limits.items() if not set(choices) <= set(values)]
            raise ValueError(f"{' contradicts '.join(limiting)}: no {argument} goes with both.")
        return left[0]
    given = pick(argument, given, choices)
    for other, values in limits.items():
        if given not in values:
            has = f"{' or '.join(map(repr, values))} alone" if values else "none"
            raise ValueError(f"{argument}={given!r} contradicts {other}, which has {has}; leave one out.")
    return given


def check_top(
    *, include_top: bool, pooling: str | None, classes: int | None, classifier_activation: Any
) -> None:
    """Refuse combinations of the arguments about the top that contradict each other.

    Args:
        include_top: Whether the network keeps its classifier.
        pooling: What replaces the classifier: None, "avg" or "max".
        classes: The number of classes; None for the paper's.
        classifier_activation: What follows the classifier.

    Raises:
        ValueError: A value is not allowed, or would be ignored beside the others.
    """
    pick("include_top", include_top, (True, False))
    pick("pooling", pooling, (None, "avg", "max"))
    if not isinstance(classifier_activation, str | None):
        raise ValueError(
            f"classifier_activation={classifier_activation!r} is neither None nor the name of an activation."
        )
    if classes is not None and (not _is_number(classes) or classes < 1):
        raise ValueError(
            f"classes={classes!r} is not a number of classes; give a whole number of at least 1."
        )
    if include_top and pooling is not None:
        raise ValueError(
            f"pooling={pooling!r} contradicts include_top=True, where the classifier follows the features; "
            f"leave pooling out, or give include_top=False."
        )
    if include_top:
        return
    if classes is not None:
        raise ValueError(
            f"classes={classes!r} contradicts include_top=False, which has no classes; leave one out."
        )
    if classifier_activation != DEFAULT:
        raise ValueError(
            f"classifier_activation={classifier_activation!r} contradicts include_top=False, "
            f"which has no classifier; leave one out."
        )


def check_count(argument: str, value: Any) -> int:
    """Refuse what is not a whole number of at least 1.

    Args:
        argument: The argument's name, as the caller types it.
        value: What was given.

    Returns:
        The number.

    Raises:
        ValueError: It is no such number.
    """
    if not _is_number(value) or value < 1:
        raise ValueError(f"{argument}={value!r} is not a whole number of at least 1.")
    return index(value)


def check_fraction(argument: str, value: Any, *, zero: bool, one: bool) -> float:
    """Refuse what is not a number from 0 to 1.

    Args:
        argument: The argument's name, as the caller types it.
        value: What was given.
        zero: Whether 0 itself is allowed.
        one: Whether 1 itself is allowed.

    Returns:
        The number.

    Raises:
        ValueError: It is no such number.
    """
    legal = _is_real(value) and 0 <= value <= 1 and (zero or value > 0) and (one or value < 1)
    if not legal:
        low, high = "from 0 to" if zero else "above 0 and up to", "1" if one else "below 1"
        raise ValueError(f"{argument}={value!r} is not a number {low} {high}.")
    return float(value)


def check_width(width: Any, dialect: str = "paper") -> float:
    """Refuse what cannot multiply the maps of a network.

    Args:
        width: What was given.
        dialect: Whose network it is; a peer's has its own maps.

    Returns:
        The number.

    Raises:
        ValueError: It is no number above 0 and up to 100, or the dialect leaves 1 alone.
    """
    if not _is_real(width) or not 0 < width <= _WIDEST:
        raise ValueError(f"width={width!r} is not a number above 0 and up to {_WIDEST}, such as 0.5 or 2.")
    if width != 1 and dialect != "paper":
        raise ValueError(
            f"width={width!r} contradicts dialect={dialect!r}, which has 1 alone; leave one out."
        )
    return float(width)


def check_name(name: Any) -> None:
    """Refuse what Keras refuses as a model's name, before anything is built.

    Raises:
        ValueError: It is neither None nor a text of at least one letter without slashes.
    """
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"name={name!r} is no model's name; give a text without slashes, or None.")


def check_weights(weights: str | os.PathLike[str] | None) -> None:
    """Refuse weights that cannot be loaded, before anything is built.

    Args:
        weights: None for random ones, or the path of a file that `model.save_weights` wrote.

    Raises:
        ValueError: It does not end in .weights.h5.
        FileNotFoundError: There is no such file.
    """
    if weights is None:
        return
    path = Path(weights) if isinstance(weights, str | os.PathLike) else Path()
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"weights={weights!r} is neither None nor the path of a .weights.h5 file.")
    if not path.is_file():
        raise FileNotFoundError(f"weights={str(weights)!r}: there is no such file.")


def _is_number(value: Any) -> bool:
    try:
        index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return _is_number(value) or isinstance(value, float)


def _sizes(shape: Any) -> tuple[int | None, int | None, int] | None:
    """The shape as plain numbers, or None where it is not (height, width, channels)."""
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes) or len(shape) != 3:
        return None
    height, width, channels = (index(side) if _is_number(side) else side for side in shape)
    fixed = [side for side in (height, width) if side is not None]
    if not all(type(side) is int and side >= 1 for side in (*fixed, channels)):
        return None
    return height, width, channels

"""Which image goes to which part, decided by names and a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from pipeline.config import Config

TEST, VAL = "test", ("val", "validation")  # names of the held out parts
HELD_OUT = (TEST, *VAL)  # the first found of them is evaluated


def order(names: Sequence[str], seed: int) -> list[int]:
    """Indices of the names in an order that depends on them and the seed alone, on every machine."""

    def key(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}\0{names[index]}".encode(), digest_size=8).digest()

    return sorted(range(len(names)), key=key)


def split(names: Sequence[str], labels: Sequence[int], config: Config) -> Iterator[tuple[str, int]]:
    """A stratified split: each class gives its share to the test part, in all ceil(share * n), then to val.

    Args:
        names: One for each image.
        labels: One for each image.
        config: `test_share`, `val_share` and `seed` are looked at.

    Yields:
        "train", "val" or "test", and the image's index.
    """
    return _divided(names, labels, config.seed, {"test": config.test_share, "val": config.val_share})


def in_own_parts(
    names: Sequence[str], labels: Sequence[int], roles: Sequence[str], config: Config
) -> list[str]:
    """The part of each image of data that is divided: its own, or val for the share that is taken for that.

    Args:
        names: One for each image.
        labels: One for each image.
        roles: What each image's own part is for: "train", "val" or "test".
        config: `val_share` and `seed` are looked at.
    """
    parts = list(roles)
    train = [index for index, role in enumerate(roles) if role == "train"]
    for index in taken_for_val([names[i] for i in train], [labels[i] for i in train], config):
        parts[train[index]] = "val"
    return parts


def taken_for_val(names: Sequence[str], labels: Sequence[int], config: Config) -> set[int]:
    """Indices of the training images that `val_share` keeps apart, a share of each class."""
    parts = _divided(names, labels, config.seed, {"val": config.val_share})
    return {index for part, index in parts if part == "val"}


def own_parts(held: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parts of data that has such ones: those that are used, and those that are not.

    Args:
        held: Names of the parts that are there.

    Returns:
        (train, test), (train, val, test), or nothing where we split, and the rest.
    """
    found = [name for name in HELD_OUT if name in held]
    if "train" not in held or not found:
        return (), ()
    if found[0] == TEST and len(found) > 1:
        return ("train", found[1], TEST), tuple(found[2:])
    return ("train", found[0]), tuple(found[1:])


def _divided(
    names: Sequence[str], labels: Sequence[int], seed: int, shares: dict[str, float]
) -> Iterator[tuple[str, int]]:
    """Images in their order; a part takes its share of what those before it leave, the first in the order."""
    counts: dict[int, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    wanted: dict[str, dict[int, int]] = {}
    for part, share in shares.items():
        if share:
            wanted[part] = stratified(counts, share)
            counts = {label: count - wanted[part][label] for label, count in counts.items()}
    for index in order(names, seed):
        side = next((part for part, left in wanted.items() if left[labels[index]]), "train")
        if side != "train":
            wanted[side][labels[index]] -= 1
        yield side, index


def stratified(counts: dict[int, int], share: float) -> dict[int, int]:
    """How many of each class are held out: the rounding's rest goes to the largest fractions.

    Each class with two images or more keeps one on either side.
    """
    total = -int(-sum(counts.values()) * share // 1)
    exact = {label: count * share for label, count in counts.items()}
    taken = {label: int(value) for label, value in exact.items()}
    for label in sorted(exact, key=lambda one: (taken[one] - exact[one], one))[: total - sum(taken.values())]:
        taken[label] += 1
    return {
        label: min(max(taken[label], 1), counts[label] - 1) if counts[label] > 1 else 0 for label in counts
    }

"""Which image goes to which part, decided by names and a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from pipeline.config import Config

HELD_OUT = ("test", "val", "validation")  # names of the part that is evaluated, the first found of them


def order(names: Sequence[str], seed: int) -> list[int]:
    """Indices of the names in an order that depends on them and the seed alone, on every machine."""

    def key(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}\0{names[index]}".encode(), digest_size=8).digest()

    return sorted(range(len(names)), key=key)


def split(names: Sequence[str], labels: Sequence[int], config: Config) -> Iterator[tuple[str, int]]:
    """A stratified split: each class gives its share to the test part, in all ceil(share * n).

    Args:
        names: One for each image.
        labels: One for each image.
        config: `test_share` and `seed` are looked at.

    Yields:
        "train" or "test", and the image's index.
    """
    counts: dict[int, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    left = stratified(counts, config.test_share)
    for index in order(names, config.seed):
        held_out = left[labels[index]] > 0
        left[labels[index]] -= held_out
        yield ("test" if held_out else "train"), index


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

"""What a person sees while tasks run: a line where one starts, one where it ends."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tuning.errors import printable

_SHORTEST = 6  # letters of a secret
_WIDTH = 96


@dataclass(frozen=True)
class Screen:
    """Prints lines, without the values of secrets.

    Attributes:
        names: The tasks, in order.
        quiet: Print nothing but what `always` is asked to.
        secrets: Values that are never printed.
    """

    names: tuple[str, ...]
    quiet: bool = False
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def note(self, text: str) -> None:
        """A line that belongs to no task."""
        if not self.quiet:
            self.always(text)

    def always(self, text: str) -> None:
        """A line, even where quiet is asked for."""
        print(printable(self.masked(text)), flush=True)

    def task(self, name: str, text: str, seconds: float | None = None) -> None:
        """A line of a task: what it does, and how long that took."""
        if self.quiet:
            return
        width = max(map(len, self.names))
        number = f"{self.names.index(name) + 1:>{len(str(len(self.names)))}}/{len(self.names)}"
        left = printable(self.masked(f" {number}  {name:<{width}}  {text}"))
        right = "" if seconds is None else f"{seconds:.1f} s"
        print(left + (" " * max(2, _WIDTH - len(left) - len(right)) + right if right else ""), flush=True)

    def masked(self, text: str) -> str:
        """A text with stars for the values of secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def secret_values(variables: Iterable[str], environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """What the variables of Secrets hold, but for what is so short that it may stand in any text."""
    return frozenset(one for name in variables if len(one := environment.get(name, "")) >= _SHORTEST)

"""`python -m tuning`."""

from __future__ import annotations

from collections.abc import Sequence

from tuning import terminal

COMMANDS = ("search", "spaces", "show", "report")  # modules of tuning.commands, in the order of --help


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 bad input, 130 Ctrl-C."""
    return terminal.execute(
        terminal.build("tuning", "Search the hyperparameters of a network.", COMMANDS), arguments
    )


if __name__ == "__main__":
    raise SystemExit(main())

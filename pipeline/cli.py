"""The command line of the production line. Heavy imports happen where a command needs them."""

from __future__ import annotations

from collections.abc import Sequence

from tuning import terminal

COMMANDS = (  # modules of pipeline.commands, in the order of --help
    "run", "validate", "predict", "report", "runs", "compare", "rollback", "serve", "doctor",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed or not blessed, 2 bad input, 130 Ctrl-C."""
    return terminal.execute(
        terminal.build("pipeline", "From images to a validated, pushed classifier.", COMMANDS), arguments
    )

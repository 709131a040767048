"""How fast the command lines answer, and what `import keras_cnns` adds to `import keras`.

Whole processes, in turn. What the import adds is read in the process that has just imported Keras: between
two processes of many seconds, a difference of milliseconds would drown.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

ANSWER = 1.0  # seconds, for each command that does no work
IMPORT = 0.1  # seconds, for our import after Keras's
ANSWERS = (
    ("pipeline", "--help"),
    ("keras_cnns", "list"),
    ("keras_cnns", "--help"),
)
KERAS = "import time, keras"
OURS = (
    f"{KERAS}; began = time.perf_counter(); import keras_cnns; keras_cnns.lenet5; "
    "print(time.perf_counter() - began)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the figures, and return the exit code."""
    given = _pairs.parser(__doc__, rounds=5).parse_args(arguments)
    answers = _pairs.alternate([_command(*words) for words in ANSWERS], given.rounds)
    imports = _pairs.alternate(
        [
            _pairs.Command("import keras", lambda _: _pairs.python("-c", KERAS)),
            _pairs.Command("import keras, keras_cnns", lambda _: _pairs.python("-c", OURS), float),
        ],
        given.rounds,
    )
    print(f"\n{_pairs.table(answers)}\n\n{_pairs.table(imports, value='added, s')}\n")
    added = statistics.median(imports[1].values)
    return _pairs.finish(figure(answers, added), missed(answers, added), given.check)


def _command(module: str, word: str) -> _pairs.Command:
    return _pairs.Command(f"python -m {module} {word}", lambda _: _pairs.python("-m", module, word))


def figure(answers: Sequence[_pairs.Times], added: float) -> str:
    """All figures in one line, with their targets."""
    slowest = max(answers, key=lambda row: row.median)
    return (
        f"slowest answer {slowest.median:.2f} s, {slowest.name} (target below {ANSWER:.0f} s); "
        f"import keras_cnns adds {added * 1000:.0f} ms (target {IMPORT * 1000:.0f} ms)"
    )


def missed(answers: Sequence[_pairs.Times], added: float) -> list[str]:
    """A sentence for each target that is missed."""
    sentences = [
        f"{row.name} takes {row.median:.2f} s, not below {ANSWER:.0f} s"
        for row in answers
        if row.median >= ANSWER
    ]
    if added > IMPORT:
        sentences.append(f"import keras_cnns adds {added * 1000:.0f} ms, above {IMPORT * 1000:.0f} ms")
    return sentences


if __name__ == "__main__":
    sys.exit(main())

"""Changes of a data set that the gate knows by name: which of them stop a run, which are only told."""

from __future__ import annotations

from dataclasses import dataclass

from keras_cnns._checks import unknown
from tuning.errors import BadInput

ERROR, WARNING, ACCEPTED = "error", "warning", "accepted"

# An error would end in a model that answers wrongly and still passes its evaluation; what a network can take,
# or the Evaluator sees, is a warning.
CHANGES = {
    "new-class": (ERROR, "classes that the schema or the last blessed run did not have"),
    "missing-class": (ERROR, "classes that the schema or the last blessed run had"),
    "grey": (ERROR, "grey pictures where colour was"),
    "colour": (ERROR, "pictures in colour where grey was"),
    "schema": (ERROR, "anything else that the schema does not allow"),
    "class-balance": (WARNING, "the classes' shares moved"),
    "sizes": (WARNING, "the pictures' width and height changed"),
    "formats": (WARNING, "JPEG where PNG was, and the like"),
    "brightness": (WARNING, "the pictures' mean grey levels moved"),
    "contrast": (WARNING, "the spread of the pictures' grey levels moved"),
    "skew": (WARNING, "the training and the test part differ"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that validation found.

    Attributes:
        name: Its name in `CHANGES`, which `--accept` takes.
        feature: The column of the statistics in which it shows.
        what: One sentence for a person.
    """

    name: str
    feature: str
    what: str

    @property
    def severity(self) -> str:
        """Either "error" or "warning"."""
        return CHANGES[self.name][0]


def accepted(text: str | None) -> tuple[str, ...]:
    """The names in the value of `--accept`.

    Raises:
        BadInput: One of them is none of `CHANGES`.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in CHANGES:
            raise BadInput(str(unknown("--accept", name, list(CHANGES))))
    return tuple(sorted(set(names)))

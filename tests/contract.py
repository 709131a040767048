"""The one table of what every network must be: counts, maps and receptive fields, each with its source."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contract:
    """What a record promises; `stages` maps a layer to ((height, width, maps), receptive field, jump)."""

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    trainable: int
    total: int
    macs: int
    source: str
    stages: dict[str, tuple[tuple[int, int, int], int, int]] = field(default_factory=dict)


_1990 = "LeCun et al. 1990, NIPS 2: 2,578 parameters printed; MACs by arithmetic on its sizes and 20 links"
_1998 = "LeCun et al. 1998, figure 2 and section II-B: 60,000 trained; 840 fixed codes; MACs by arithmetic"
_PORT = "the usual port: 61,706 at 32x32x1 (d2l, PyTorch's tutorial); the rest by arithmetic on its sizes"

_LENET5_1998 = {
    "C1": ((28, 28, 6), 5, 1),
    "S2": ((14, 14, 6), 6, 2),
    "C3": ((10, 10, 16), 14, 2),
    "S4": ((5, 5, 16), 16, 4),
    "C5": ((1, 1, 120), 32, 4),
}


def _port(
    first: int, pooled: int, second: int, last: int
) -> dict[str, tuple[tuple[int, int, int], int, int]]:
    return {
        "conv1": ((first, first, 6), 5, 1),
        "pool1": ((pooled, pooled, 6), 6, 2),
        "conv2": ((second, second, 16), 14, 2),
        "pool2": ((last, last, 16), 16, 4),
    }


CONTRACTS = [
    Contract(
        "lenet1", (28, 28, 1), 10, 2_578, 2_578, 91_520, _1990,
        {
            "H1": ((24, 24, 4), 5, 1), "H2": ((12, 12, 4), 6, 2),
            "H3": ((8, 8, 12), 14, 2), "H4": ((4, 4, 12), 16, 4),
        },
    ),
    Contract("lenet5", (32, 32, 1), 10, 60_000, 60_840, 325_680, _1998, _LENET5_1998),
    Contract("lenet5_1998", (32, 32, 1), 10, 60_000, 60_840, 325_680, _1998, _LENET5_1998),
    Contract("lenet5_modern", (32, 32, 1), 10, 61_706, 61_706, 416_520, _PORT, _port(28, 14, 10, 5)),
    Contract("lenet5_modern_28_valid", (28, 28, 1), 10, 44_426, 44_426, 281_640, _PORT, _port(24, 12, 8, 4)),
    Contract("lenet5_modern_cifar", (32, 32, 3), 10, 62_006, 62_006, 651_720, _PORT, _port(28, 14, 10, 5)),
]  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A record that stands for its kind where behaviour is tested, with what only the family knows."""

    name: str
    smallest: int
    features: str
    odd: tuple[int, int]


FAMILIES = [
    Family("lenet1", smallest=16, features="H4", odd=(29, 35)),
    Family("lenet5_1998", smallest=32, features="C5", odd=(33, 39)),
    Family("lenet5_modern", smallest=16, features="pool2", odd=(17, 29)),
]

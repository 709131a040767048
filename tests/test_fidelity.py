"""docs/fidelity.md says what is so: its numbers are the contract's, and the tests that it names exist."""

import re
import runpy
from pathlib import Path

import keras
import pytest
from contract import CONTRACTS

import keras_cnns
from keras_cnns import list_models

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_generated_tables_are_those_of_the_contract():
    script = runpy.run_path(str(ROOT / "scripts" / "fidelity"))
    assert script["page"](PAGE) == PAGE, "python scripts/fidelity writes them anew"


# Rows whose size or classes are not their builder's own, and a few others.
CALLS = [
    (name, call)
    for name, call in re.findall(r"\| `(\w+)` \| `(\w+\(.*?\))` \|", PAGE)
    if "classes=" in call or "input_shape=" in call or name.startswith("se_resnet50_")
]


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_a_call_on_the_page_builds_its_network(name, call):
    (contract,) = (each for each in CONTRACTS if each.name == name)
    with keras.StatelessScope(initialize_variables=False):
        model = eval(call, {name: getattr(keras_cnns, name) for name in keras_cnns.__all__})
        assert model.count_params() == contract.total
    assert model.input_shape == (None, *contract.input_shape)
    keras.backend.clear_session()


def test_every_network_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert set(list_models()) <= named


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_every_test_that_it_names_exists(name):
    defined = re.compile(rf"^def {name}\(", re.MULTILINE)
    assert any(
        defined.search(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").glob("test_*.py")
    )


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|keras_cnns)/[\w/]+\.py)`", PAGE))))
def test_every_file_that_it_names_exists(path):
    assert (ROOT / path).is_file()

"""What `import keras_cnns` offers, and what it costs."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import keras_cnns

ROOT = Path(__file__).parents[1]


def test_all_is_what_is_public():
    assert keras_cnns.__all__ == sorted(keras_cnns.__all__)
    assert {*keras_cnns._HOMES, "__version__"} == set(keras_cnns.__all__)
    assert set(keras_cnns.__all__) <= set(dir(keras_cnns))


@pytest.mark.parametrize("name", keras_cnns._HOMES)
def test_every_name_is_its_homes(name):
    public = getattr(keras_cnns, name)
    assert public is getattr(import_module(keras_cnns._HOMES[name]), name)
    assert inspect.getdoc(public)


def test_names_for_type_checkers_are_the_same():
    source = Path(keras_cnns.__file__).read_text(encoding="utf-8")
    seen = re.findall(r"^    from (\S+) import (.+)$", source, re.MULTILINE)
    found = {name.strip(): module for module, names in seen for name in names.split(",")}
    assert found == keras_cnns._HOMES


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'lenet7'"):
        _ = keras_cnns.lenet7


def test_version_is_the_projects():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1] == keras_cnns.__version__


def test_typed_marker_is_there():
    assert (Path(keras_cnns.__file__).parent / "py.typed").is_file()


def test_import_brings_no_framework():
    code = "import sys, keras_cnns; print(sorted({'keras', 'numpy', 'tensorflow', 'jax'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

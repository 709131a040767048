"""`scripts/start` itself, in surroundings that lack what real machines lack.

Each test has a small checkout of its own (the real script and pyproject.toml, a few packages of the real
lock) and a PATH that is one folder of links, so that a missing tool is really missing. Python without venv or
pip, or managed from outside, is the interpreter that runs the tests with those parts left out.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TOOLS = (
    "sh", "awk", "basename", "cat", "cmp", "cp", "date", "df", "dirname", "env", "flock", "getconf", "grep",
    "id", "mkdir", "mv", "rm", "sed", "tail",
)  # fmt: skip
# Hatchling, which installs the checkout itself, with all that it needs.
TINY = ("hatchling", "packaging", "pathspec", "pluggy", "tomli", "trove-classifiers", "iniconfig")


class Surroundings:
    """A small checkout and the machine that it is on."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.cache = cache
        self.checkout = folder / "check out"  # a space, as people's folders have
        self.tools = folder / "tools"
        self.home = folder / "home"
        self.standing = self.home
        for one in (self.checkout / "scripts", self.checkout / "keras_cnns", self.tools, self.home):
            one.mkdir(parents=True)
        for name in ("scripts/start", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.checkout / name)
        (self.checkout / "keras_cnns/__init__.py").write_text('"""A package to find."""\n')
        (self.checkout / ".python-version").write_text(PYTHON + "\n")
        self.lock()
        self.have(*TOOLS)
        self.link("python3", base_python())

    def lock(self, *packages: str, spoil: bool = False) -> None:
        text = cut(TINY + packages)
        if spoil:
            text = re.sub("sha256:....", "sha256:0000", text)
        for name in ("requirements.lock", "requirements-gpu.lock"):
            (self.checkout / name).write_text(text)

    def have(self, *tools: str) -> None:
        for tool in tools:
            place = shutil.which(tool)
            assert place is not None, f"the tests of scripts/start need {tool}"
            self.link(tool, Path(place))

    def link(self, name: str, target: Path) -> None:
        (self.tools / name).unlink(missing_ok=True)
        (self.tools / name).symlink_to(target)

    def process(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        kept = ("_PROXY", "_CERT", "_CERT_FILE", "_CERT_DIR", "_BUNDLE", "_INDEX_URL", "_DEFAULT_INDEX")
        passed = {name: value for name, value in os.environ.items() if name.upper().endswith(kept)}
        ours = {
            "PATH": str(self.tools),
            "HOME": str(self.home),
            "PYENV_ROOT": "/nonexistent",
            "UV_CACHE_DIR": str(self.cache),
        }
        return subprocess.Popen(
            ["/bin/sh", str(self.checkout / "scripts/start"), *command],
            cwd=self.standing,
            env=passed | ours | variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.process(*command, **variables)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def start_online(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A start that must succeed, where there is a package index to succeed with."""
        result = self.start(*command, **variables)
        if "the package index cannot be reached" in result.stderr:
            pytest.skip(f"no network: {result.stderr.strip()}")
        assert result.returncode == 0, result.stderr
        return result


def cut(packages: tuple[str, ...]) -> str:
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    return "\n".join(block for block in blocks if block.split("==")[0] in packages) + "\n"


def base_python() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def python_without(folder: Path, *modules: str, managed: bool = False) -> Path:
    """The interpreter that runs the tests, moved to a folder where some of its modules do not exist."""
    library = Path(sysconfig.get_path("stdlib"))
    home = folder / "python"
    inside = home / "lib" / library.name
    (home / "bin").mkdir(parents=True)
    inside.mkdir(parents=True)
    debians_pip = "python3" if "pip" in modules else ""  # lib/python3/dist-packages
    for part in library.parent.iterdir():
        if part.name not in (library.name, debians_pip):
            (home / "lib" / part.name).symlink_to(part)
    for part in library.iterdir():
        if part.name not in (*modules, "EXTERNALLY-MANAGED", "site-packages"):
            (inside / part.name).symlink_to(part)
    (inside / "site-packages").mkdir()
    for part in (library / "site-packages").glob("pip*"):
        if "pip" not in modules:
            (inside / "site-packages" / part.name).symlink_to(part)
    if managed:
        (inside / "EXTERNALLY-MANAGED").write_text(
            "[externally-managed]\nError=The system's Python is not yours.\n"
        )
    shutil.copy(base_python(), home / "bin/python3")
    return home / "bin/python3"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uv cache for all tests, so that the few packages are fetched once."""
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A uv: the one on PATH, or one that scripts/start itself brings."""
    found = shutil.which("uv")
    if found and subprocess.run([found, "--version"], cwd=ROOT, capture_output=True).returncode == 0:
        return Path(found)
    machine = Surroundings(tmp_path_factory.mktemp("uv"), cache)
    machine.start_online("--uv", "--version")
    return machine.checkout / ".venv-start/uv/bin/uv"


@pytest.fixture
def machine(tmp_path: Path, cache: Path) -> Surroundings:
    return Surroundings(tmp_path, cache)


@pytest.fixture
def with_uv(machine: Surroundings, uv: Path) -> Surroundings:
    machine.link("uv", uv)
    return machine


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The last thing said, which must be one line."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert all(line.startswith("start: ") for line in lines), result.stderr
    return lines[-1]


# --- how uv is found ---


def test_brings_its_own_uv_where_pip_is_refused(machine: Surroundings, tmp_path: Path) -> None:
    python = python_without(tmp_path, managed=True)
    refused = subprocess.run([python, "-m", "pip", "install", "iniconfig"], capture_output=True, text=True)
    assert "externally-managed" in refused.stderr
    machine.link("python3", python)
    result = machine.start_online("python", "-c", "import iniconfig, keras_cnns; print(keras_cnns.__file__)")
    assert result.stdout.strip() == str(machine.checkout / "keras_cnns/__init__.py")
    assert (machine.checkout / ".venv-start/uv/bin/uv").exists()
    assert list((python.parent.parent / "lib").glob("*/site-packages/uv*")) == []


def test_brings_its_own_uv_where_venv_is_missing(machine: Surroundings, tmp_path: Path) -> None:
    machine.link("python3", python_without(tmp_path, "venv", "ensurepip", managed=True))
    result = machine.start_online("--uv", "--version")
    assert result.stdout.startswith("uv ")


def test_says_what_brings_uv_where_nothing_can(machine: Surroundings, tmp_path: Path) -> None:
    machine.link("python3", python_without(tmp_path, "venv", "ensurepip", "pip"))
    machine.link("apt-get", Path("/bin/true"))
    result = machine.start("pytest")
    assert result.returncode == 1
    assert "neither venv nor pip" in sentence(result)
    assert sentence(result).endswith("apt-get install -y python3-venv")


def test_passes_over_a_uv_that_only_answers_command_not_found(machine: Surroundings, tmp_path: Path) -> None:
    """As pyenv's shims do inside a checkout whose .python-version names another Python."""
    shim = tmp_path / "shim"
    shim.write_text("#!/bin/sh\necho 'pyenv: uv: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    machine.link("uv", shim)
    machine.link("python3", python_without(tmp_path, "venv", "ensurepip", "pip"))
    assert "there is no uv" in sentence(machine.start("pytest"))


# --- what it refuses before an installer starts ---


@pytest.mark.skipif(
    Path("/usr/bin/python3").exists(), reason="this system's own /usr/bin/python3 is always found"
)
def test_names_python_where_there_is_none(machine: Surroundings) -> None:
    (machine.tools / "python3").unlink()
    assert "neither uv nor python3" in sentence(machine.start("pytest"))


def test_names_the_compiler_that_is_missing(with_uv: Surroundings) -> None:
    with_uv.lock("pyfarmhash")
    with_uv.link("apt-get", Path("/bin/true"))
    result = with_uv.start("python", "-c", "")
    assert result.returncode == 1
    assert "no C++ compiler" in sentence(result)
    assert sentence(result).endswith("apt-get install -y g++")
    assert not (with_uv.checkout / ".venv").exists()


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_names_the_headers_that_are_missing(with_uv: Surroundings, tmp_path: Path) -> None:
    with_uv.lock("pyfarmhash")
    with_uv.have("g++")
    with_uv.link("apt-get", Path("/bin/true"))
    with_uv.link("python3", python_without(tmp_path))  # a folder without include/
    result = with_uv.start("python", "-c", "")
    assert result.returncode == 1
    assert "Python.h" in sentence(result)
    assert sentence(result).endswith(f"apt-get install -y python{PYTHON}-dev")


def test_refuses_a_full_disk(with_uv: Surroundings) -> None:
    place = with_uv.checkout
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(with_uv.home)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        with_uv.checkout = with_uv.home / "checkout"
        shutil.copytree(place, with_uv.checkout)
        result = with_uv.start("python", "-c", "")
        left = sorted(path.name for path in with_uv.checkout.glob(".venv*"))
    finally:
        subprocess.run(["umount", str(with_uv.home)], check=True)
    assert result.returncode == 1
    assert "needs 5 GB free" in sentence(result)
    assert "has 0 GB" in sentence(result)
    assert left == [".venv-start"]


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("KERAS_CNNS_PYTHON", "3.14", "3.13"),
        ("KERAS_CNNS_GPU", "yes", "0"),
        ("KERAS_CNNS_DISK_GB", "5G", "whole number"),
    ],
)
def test_refuses_values_that_mean_nothing(
    machine: Surroundings, variable: str, value: str, allowed: str
) -> None:
    result = machine.start("pytest", **{variable: value})
    assert result.returncode == 2
    assert f"{variable} is '{value}'" in sentence(result)
    assert allowed in sentence(result)


@pytest.mark.parametrize(
    ("command", "says"), [((), "what should be run?"), (("--vu",), "unknown option '--vu'")]
)
def test_refuses_a_wrong_call(machine: Surroundings, command: tuple[str, ...], says: str) -> None:
    result = machine.start(*command)
    assert result.returncode == 2
    assert says in sentence(result)


# --- what an installation leaves ---


def test_goes_straight_to_work_when_nothing_changed(with_uv: Surroundings) -> None:
    first = with_uv.start_online("python", "-c", "print('worked')")
    assert "installing requirements.lock" in first.stderr
    for tool in ("uv", "python3"):  # neither may be needed any more
        (with_uv.tools / tool).unlink()
    with_uv.standing = with_uv.checkout / "scripts"
    began = time.perf_counter()
    second = with_uv.start("sh", "-c", "exit 3")
    took = time.perf_counter() - began
    assert (second.returncode, second.stdout, second.stderr) == (3, "", "")
    assert took < 1


def test_unknown_command_is_one_sentence(with_uv: Surroundings) -> None:
    with_uv.start_online("python", "-c", "")
    result = with_uv.start("pyhton")
    assert result.returncode == 2
    assert "no command 'pyhton'" in sentence(result)


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_installs_again_when_something_changed(with_uv: Surroundings, name: str) -> None:
    with_uv.start_online("python", "-c", "")
    with (with_uv.checkout / name).open("a") as file:
        file.write("# changed\n")
    assert "installing" in with_uv.start_online("python", "-c", "").stderr
    assert with_uv.start_online("python", "-c", "").stderr == ""


def test_installs_again_where_the_checkout_was_moved(with_uv: Surroundings, tmp_path: Path) -> None:
    with_uv.start_online("python", "-c", "")
    with_uv.checkout = with_uv.checkout.rename(tmp_path / "elsewhere")
    result = with_uv.start_online("python", "-c", "import keras_cnns; print(keras_cnns.__file__)")
    assert result.stdout.strip() == str(with_uv.checkout / "keras_cnns/__init__.py")


def test_reports_a_failing_installer_and_goes_on_from_it(with_uv: Surroundings) -> None:
    with_uv.start_online("python", "-c", "")
    with_uv.lock(spoil=True)
    shutil.rmtree(with_uv.checkout / ".venv")
    failed = with_uv.start("python", "-c", "print('must not run')", UV_CACHE_DIR=str(with_uv.home / "cache"))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "requirements.lock could not be installed; its installer says" in failed.stderr
    assert "Hash mismatch" in failed.stderr
    assert len(failed.stderr.splitlines()) <= 2 + 5 + 1 + 10
    with_uv.lock()
    assert "installed in" in with_uv.start_online("python", "-c", "import iniconfig").stderr


def test_an_unreachable_index_is_one_sentence(with_uv: Surroundings) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    result = with_uv.start("python", "-c", "", UV_CACHE_DIR=str(with_uv.home / "cache"), **nowhere)
    assert result.returncode == 1
    assert "the package index cannot be reached" in sentence(result)
    assert "HTTPS_PROXY" in sentence(result)


def test_a_killed_installation_is_not_taken_for_good(with_uv: Surroundings) -> None:
    with_uv.start_online("python", "-c", "")
    (with_uv.checkout / "requirements.lock").write_text(cut((*TINY, "rich")))
    process = with_uv.process("python", "-c", "print('must not run')")
    while (with_uv.checkout / ".venv/keras-cnns.stamp").exists():
        assert process.poll() is None
    process.kill()
    assert process.communicate()[0] == ""
    assert "installed in" in with_uv.start_online("python", "-c", "import iniconfig, keras_cnns").stderr


def test_two_starts_at_once_install_once(with_uv: Surroundings) -> None:
    with_uv.start_online("--uv", "--version")
    both = [
        with_uv.process("python", "-c", "import iniconfig, keras_cnns; print('worked')") for _ in range(2)
    ]
    results = [process.communicate(timeout=300) for process in both]
    if any("the package index cannot be reached" in err for _, err in results):
        pytest.skip("no network")
    assert [out.strip() for out, _ in results] == ["worked", "worked"], results
    assert sum("installing requirements.lock" in err for _, err in results) == 1


# --- which lane and which lock ---


@pytest.mark.skipif(platform.libc_ver() >= ("glibc", "2.39"), reason="this machine has glibc 2.39")
def test_current_lane_names_the_way_where_glibc_is_too_old(with_uv: Surroundings) -> None:
    result = with_uv.start("pytest", KERAS_CNNS_PYTHON="3.13" if PYTHON != "3.13" else "3.12")
    assert result.returncode == 1
    assert "glibc 2.39" in sentence(result)
    assert "scripts/current-lane" in sentence(result)


def test_gpu_lock_is_taken_on_demand(with_uv: Surroundings) -> None:
    result = with_uv.start_online("python", "-c", "", KERAS_CNNS_GPU="1", KERAS_CNNS_DISK_GB="1")
    assert "installing requirements-gpu.lock" in result.stderr


@pytest.mark.slow
def test_the_whole_environment(with_uv: Surroundings) -> None:
    """The real lock, 3 GB: minutes where uv has to fetch it."""
    shutil.copy(ROOT / "requirements.lock", with_uv.checkout)
    with_uv.have("g++", "gcc", "as", "ld")
    result = with_uv.start_online("python", "-c", "import tfx.version, keras; print(tfx.version.__version__)")
    assert result.stdout.strip() in ("1.16.0", "1.21.0")

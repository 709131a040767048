"""The image of every step: what its recipe says, and behind `-m containers` what is in it and does."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_lock import CPU, GPU, installed

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "kubeflow/Dockerfile"
BASE = "docker.io/library/debian:13"
IMAGE = "localhost/keras-cnns:cpu"
MOST = 2_500_000_000  # bytes; 2.36 GB when this was written, and docs/kubeflow.md says what they are
SITE = "/opt/keras-cnns/lib/python3.13/site-packages"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what stands behind them, without comments."""
    lines = [line for line in RECIPE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.partition(" ")[2]) for line in whole.splitlines() if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def last(word: str) -> str:
    return [rest for each, rest in stages()[-1] if each == word][-1]


# --- the recipe ---


def test_one_base_is_pinned_and_all_other_stages_are_of_this_file() -> None:
    named, bases = set(), []
    for stage in stages():
        base, _, name = stage[0][1].partition(" AS ")
        if base not in named:
            bases.append(base)
        named.add(name)
    assert bases == [BASE]


def test_no_other_host_is_named() -> None:
    text = RECIPE.read_text().replace(BASE, "").replace("org.opencontainers.image.", "")
    assert "://" not in text
    assert re.findall(r"\b[\w-]+\.(?:io|org|com|net|dev)\b", text) == []


def test_a_step_is_user_1000_by_number_and_starts_where_it_may_write() -> None:
    # Kubernetes' runAsNonRoot refuses a user's name.
    assert last("USER") == "1000:1000"
    made = next(rest for word, rest in stages()[-1] if word == "RUN")
    assert f"install -d -o 1000 -g 1000 {last('WORKDIR')}" in made
    assert "PYTHONPATH=/app" in " ".join(rest for word, rest in stages()[-1] if word == "ENV")


def test_every_copied_thing_exists_and_passes_the_ignore_file() -> None:
    ignore = RECIPE.with_name("Dockerfile.dockerignore").read_text().split("\n")
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = [
        Path(source)
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert {Path("pipeline"), Path("requirements.lock")} < set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert {str(source), *map(str, source.parents)} & allowed, f"{source} is ignored"
        refused = [
            rule for rule in rules[1:] if not rule.startswith("!") and fnmatch.fnmatch(str(source), rule)
        ]
        assert not refused, source


def test_compilers_certificates_and_indexes_stay_in_the_stage_that_builds() -> None:
    first, build, step = ["\n".join(" ".join(each) for each in stage) for stage in stages()]
    for word in (
        "g++",
        "python3-dev",
        "/uv/bin/uv",
        "ARG SSL_CERT_FILE",
        "ARG PIP_CERT",
        "ARG UV_DEFAULT_INDEX",
    ):
        assert word in build
        assert word not in first + step
    defaults = [rest for word, rest in stages()[1] if word == "ARG" and "=" in rest]
    assert defaults == ["FLAVOUR=cpu"]


def test_everything_is_installed_by_hash() -> None:
    installs = [part for word, rest in instructions() if word == "RUN" for part in rest.split("&&")]
    installs = [part for part in installs if "pip install" in part]
    assert len(installs) == 2
    assert all("--require-hashes" in part for part in installs)
    (entry,) = re.split(r"\n(?=\S)", (ROOT / "kubeflow/build.lock").read_text().strip())
    assert re.match(r"uv==[\d.]+ \\\n", entry)
    assert entry.count("--hash=sha256:") == len(entry.splitlines()) - 1 > 0


# --- the part of the lock ---


def lock_subset(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/lock-subset", *words], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("lock", "extras"), [(CPU, ["pipeline", "tuning"]), (GPU, ["pipeline", "tuning", "gpu"])]
)
def test_the_asked_part_is_word_for_word_the_locks(lock: str, extras: list[str]) -> None:
    printed = lock_subset(lock, *extras).stdout
    entries = re.split(r"\n(?=\S)", printed.strip())
    whole = set(re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()))
    assert {entry.replace("[and-cuda]", "") for entry in entries} <= whole
    assert ("tensorflow[and-cuda]==" in printed) is (lock == GPU)
    names = {re.match(r"[\w-]+", entry)[0] for entry in entries}
    assert {"tfx", "keras", "keras-tuner", "apache-beam", "uvicorn"} <= names
    assert not names & {"pytest", "playwright", "ruff", "mypy", "kfp", "hatchling"}


def test_an_unknown_extra_is_refused_with_those_that_there_are() -> None:
    refused = lock_subset(CPU, "pipelines")
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "lock-subset: unknown extra 'pipelines'; pyproject.toml has pipeline, tuning"
    )
    assert lock_subset(CPU).returncode == 2


# --- calls of the script ---


def build_image(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "scripts/build-image", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--flavour", "gup"), "--flavour is 'gup'; it may be cpu or gpu"),
        (("--tag", "keras-cnns"), "--tag is 'keras-cnns'; it must be NAME:TAG"),
        (("--tag", "host:5000/keras-cnns"), "--tag is 'host:5000/keras-cnns'; it must be NAME:TAG"),
        (("--tag", "Keras:1"), "--tag is 'Keras:1'; it must be NAME:TAG in small letters"),
        (("--tag", ""), "--tag is ''; it must be NAME:TAG"),
        (("--engine", "kaniko"), "--engine is 'kaniko'; it may be auto, podman or docker"),
        (("--flavour",), "--flavour needs a value"),
        (("gpu",), "unknown argument 'gpu'"),
    ],
)
def test_wrong_calls_end_with_2_and_one_sentence(words: tuple[str, ...], said: str) -> None:
    refused = build_image(*words)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"build-image: {said}")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_disk_space_must_be_a_number() -> None:
    refused = build_image(KERAS_CNNS_DISK_GB="much")
    assert refused.returncode == 2
    assert "KERAS_CNNS_DISK_GB is 'much'" in refused.stderr


def test_help_tells_every_option() -> None:
    told = build_image("--help")
    assert told.returncode == 0
    assert all(
        word in told.stdout for word in ("--flavour", "--tag", "--engine", "KERAS_CNNS_DISK_GB", "Exit codes")
    )


@pytest.mark.parametrize(
    ("engine", "said"), [("podman", "podman is missing: install"), ("docker", "docker is missing")]
)
def test_says_what_is_missing_where_nothing_can_bring_it(tmp_path: Path, engine: str, said: str) -> None:
    for tool in ("sh", "sed", "grep", "mkdir", "dirname", "id", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    refused = build_image("--engine", engine, PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"build-image: {said}")
    assert refused.stderr.count("\n") == 1


# --- the image itself ---

containers = pytest.mark.containers


@dataclass(frozen=True)
class Image:
    """The built image, and how the script says that containers of it are run."""

    start: tuple[str, ...]
    built: str

    def run(
        self, *command: str, work: Path | None = None, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        mounts = ("--volume", f"{work}:/work") if work else ()
        return subprocess.run(
            [*self.start, "--network", "none", *options, *mounts, IMAGE, *command],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def python(self, code: str) -> str:
        ran = self.run("python", "-c", code)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def image() -> Image:
    """The image of this checkout: seconds where nothing changed, minutes where it is missing."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not here; sh scripts/build-image brings it")
    if os.geteuid() != 0:
        pytest.skip("only root builds the image where no registry is reached")
    made = build_image("--engine", "podman")
    assert made.returncode == 0, made.stderr
    line = shlex.split(made.stdout.strip().splitlines()[-1])
    assert line[0] == "next:"
    return Image(tuple(line[1 : line.index("--volume")]), made.stderr)


@containers
def test_the_image_is_small_and_the_build_says_what_fills_it(image: Image) -> None:
    asked = subprocess.run(
        ["podman", "image", "inspect", IMAGE], capture_output=True, text=True, check=True
    ).stdout
    (facts,) = json.loads(asked)
    assert facts["Size"] < MOST
    assert f"{facts['Size'] // 1_000_000} MB" in image.built
    assert re.search(r"^ +\d+ MB  tensorflow$", image.built, re.MULTILINE)
    assert len(re.findall(r"^ +\d+ MB  ", image.built, re.MULTILINE)) == 10
    labels = facts["Config"]["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.title"] == "keras-cnns (cpu)"
    revision = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == revision


@containers
def test_everything_in_it_is_what_the_lock_says(image: Image) -> None:
    found = json.loads(
        image.python(
            "import json, re; from importlib.metadata import distributions;"
            "print(json.dumps({re.sub('[-_.]+', '-', d.name).lower(): d.version for d in distributions()}))"
        )
    )
    locked = installed(CPU, "3.13")
    assert found == {name: locked.get(name) for name in found}
    assert {"tfx", "tensorflow", "keras", "keras-tuner", "ml-metadata"} <= set(found)
    imported = image.python(
        "import platform, tfx, tensorflow, keras;"
        "print(platform.python_version(), tfx.__version__, tensorflow.__version__, keras.__version__)"
    ).split()
    assert imported[0].startswith("3.13.")
    assert imported[1:] == [locked["tfx"], locked["tensorflow"], locked["keras"]]


@containers
def test_neither_compilers_nor_tests_nor_caches_are_in_it(image: Image) -> None:
    tools = [
        "gcc",
        "g++",
        "cc",
        "c++",
        "clang",
        "make",
        "pip",
        "pip3",
        "uv",
        "git",
        "curl",
        "pytest",
        "ruff",
        "mypy",
    ]
    modules = ["pytest", "playwright", "ruff", "mypy", "kfp", "pip", "ensurepip", "hatchling"]
    found = image.python(
        f"import shutil, importlib.util as found; print([one for one in {tools} if shutil.which(one)],"
        f"[one for one in {modules} if found.find_spec(one)])"
    )
    assert found.strip() == "[] []"
    # What compilers, uv and apt leave behind, and what a library is built and tested with.
    left = image.run(
        "sh", "-c",
        f"cd {SITE} && find . -name '*.a' && ls -d tensorflow/include pandas/tests clang/native 2>/dev/null;"
        "ls -d /usr/lib/gcc* /usr/libexec/gcc /usr/include/python3* ~root/.cache /build /uv 2>/dev/null;"
        "ls /var/lib/apt/lists /var/cache/apt /mnt",
    )  # fmt: skip
    assert re.sub(r"/\S+:\n", "", left.stdout).split() == []


@containers
def test_the_code_in_it_is_this_checkout(image: Image) -> None:
    for package in ("keras_cnns", "tuning", "pipeline", "kubeflow"):
        files = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        there = image.run("sh", "-c", f"cd /app && find {package} -name '*.py'").stdout.split()
        assert set(there) == files


@containers
def test_a_run_in_it_as_user_1000_writes_into_its_one_folder_only(image: Image, tmp_path: Path) -> None:
    os.chown(tmp_path, 1000, 1000)
    # A root that cannot be written shows that nothing but /work and the temporary folder is needed.
    ran = image.run(
        "python", "-m", "pipeline", "run", "--epochs", "1", "--min-accuracy", "0.05",
        work=tmp_path, options=("--read-only",),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "blessed and pushed" in ran.stdout
    model = tmp_path / "models/digits-lenet5/1/saved_model.pb"
    assert model.stat().st_uid == 1000
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "models"}
    sample = next((tmp_path / "runs/digits-lenet5/samples").glob("*.png")).relative_to(tmp_path)
    answer = image.run(
        "python", "-m", "pipeline", "predict", "models/digits-lenet5", str(sample), work=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    assert sample.name in answer.stdout


@containers
def test_a_step_is_not_root_and_its_home_can_be_written(image: Image) -> None:
    ran = image.run("sh", "-c", 'id -u; id -g; touch "$HOME/x" /tmp/x /work/x && echo written; touch /app/x')
    assert ran.stdout.split() == ["1000", "1000", "written"]
    assert ran.returncode != 0
    doctor = image.run("python", "-m", "pipeline", "doctor")
    assert doctor.returncode == 0
    assert doctor.stdout.splitlines()[-1] == "the line can run here"


@containers
def test_refuses_before_it_builds_where_the_disk_is_full(image: Image) -> None:
    refused = build_image("--engine", "podman", KERAS_CNNS_DISK_GB="999999")
    assert refused.returncode == 1
    assert "the build needs 999999 GB free" in refused.stderr
    assert refused.stderr.count("\n") == 1


@containers
def test_says_so_where_neither_registry_nor_mirror_is_reached(image: Image, tmp_path: Path) -> None:
    # A store of its own has no base; the machine's own stays as it is. Overlay would stay mounted in it.
    store = tmp_path / "storage.conf"
    store.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/store"\nrunroot = "{tmp_path}/run"\n'
    )
    refused = build_image(
        "--engine", "podman", CONTAINERS_STORAGE_CONF=str(store), XDG_CACHE_HOME=str(tmp_path),
        KERAS_CNNS_DEBIAN_MIRROR="http://127.0.0.1:9/debian", HTTPS_PROXY="http://127.0.0.1:9",
    )  # fmt: skip
    assert refused.returncode == 1
    assert "Debian 13 could not be fetched from http://127.0.0.1:9/debian" in refused.stderr
    assert not list(Path("/var/tmp").glob("keras-cnns-base.*"))

"""What a search shows: the screen, the CSV, TensorBoard's HParams, and the report in a real browser."""

import csv
import io
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import FAINT, OUTSIDE, chromium, open_file
from rich.cells import cell_len
from rich.console import Console
from searches import ESCAPE, HOSTILE, SPACE, hopeless, hostile, search

from tuning import board, findings, report, table
from tuning.pages import charts
from tuning.report import importance
from tuning.screen import Screen

ROOT = Path(report.__file__).parents[2]
VOID = {"meta", "link", "img", "br", "wbr", "input"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def write(folder, result):
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return report.write(folder)


def trial(name, score, **given):
    one = {"id": name, "configuration": name, "rung": None, "status": "completed", "reason": "", "values": {},
           "first_epoch": 0, "until": 2, "score": score, "history": [], "parameters": 10, "macs": None,
           "latency_ms": None, "seconds": 1.0, "worker": None, "device": None, "kept": False, "started": None,
           "ended": f"2026-11-25T10:{int(name):02d}:00+00:00"}  # fmt: skip
    return {**one, **given}


class Words(HTMLParser):
    """The words of a page, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open[-1:]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


# --- what the trials say together


def test_a_configuration_is_told_by_its_furthest_trial_and_the_best_comes_first():
    trials = [trial("1", 0.5), trial("2", 0.6), trial("3", 0.7, configuration="1", first_epoch=2, until=6),
              trial("4", None, configuration="2", status="failed", first_epoch=2, until=6)]  # fmt: skip
    found = findings.configurations(search(1, trials=trials, best="3"))
    assert [(one.name, one.trial["id"], one.score) for one in found] == [("1", "3", 0.7), ("2", "2", 0.6)]


def test_epochs_of_a_configuration_are_joined_over_its_trials():
    one = search(30)
    best = findings.configurations(one)[0]
    assert [epoch["epoch"] for epoch in best.history] == list(range(1, 10))


@pytest.mark.parametrize(("direction", "best"), [("max", [0.2, 0.2, 0.4]), ("min", [0.2, 0.1, 0.1])])
def test_the_course_counts_the_epochs_of_all_trials_and_keeps_the_best(direction, best):
    broken = trial("2", None, status="failed", history=[{"epoch": 1}])
    result = search(
        1, trials=[trial("3", 0.1), broken, trial("1", 0.2), trial("4", 0.4)], direction=direction
    )
    moments = [one for one in findings.course(result) if one.trial["status"] == "completed"]
    assert [one.epochs for one in moments] == [2, 5, 7]
    assert [one.best for one in moments] == best


@pytest.mark.parametrize(("direction", "names"), [("max", ["1", "3", "4"]), ("min", ["1", "2"])])
def test_on_the_pareto_front_whatever_is_cheaper_is_worse(direction, names):
    scores = ((10, 0.5), (20, 0.4), (20, 0.6), (30, 0.7), (40, 0.7))
    trials = [trial(str(n), score, parameters=size) for n, (size, score) in enumerate(scores, 1)]
    result = search(1, trials=[*trials, trial("9", 0.99, parameters=None)], direction=direction, best=None)
    front, known = findings.front(result, "parameters")
    assert [one.name for one in front] == names
    assert len(known) == 5


# --- importance


def test_the_forest_finds_what_the_scores_follow_and_says_the_same_twice():
    result = search(60)
    found = importance.importance(result)
    assert found.shares[0][0] == "learning_rate"
    assert sum(share for _, share in found.shares) == pytest.approx(1)
    assert found.fit > 0.5
    assert importance.importance({**result, "trials": result["trials"]}) == found


def test_scores_without_a_rule_are_said_to_be_a_guess(tmp_path):
    result = search(40)
    for number, one in enumerate(result["trials"]):
        if one["score"]:
            one["score"] = 0.5 + (number * 7919 % 101) / 1000
    assert importance.importance(result).fit < 0.3
    assert "hardly more than a guess" in Words(write(tmp_path, result).read_text()).text


@pytest.mark.parametrize("count", [0, 1, 8])
def test_of_few_configurations_no_importance_is_told(tmp_path, count):
    result = search(count)
    assert importance.importance(result) is None
    text = Words(write(tmp_path, result).read_text()).text
    assert ("It is not told: only" in text) == bool(findings.best_trial(result))


# --- the page


FALLING = search(20, objective="val_loss", direction="min", best=None)


@pytest.mark.parametrize(
    "result", [search(30), search(9, outcome="running"), search(0), FALLING, hopeless(), hostile()]
)
def test_is_one_file_without_script_or_address(tmp_path, result):
    text = write(tmp_path, result).read_text(encoding="utf-8")
    page = Words(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "img"}
    assert not [key for _, given in page.tags for key in given if key.startswith("on")]
    assert not re.search(r"https?:|\bsrc=|url\(", text.split("</style>")[1])
    pictures = [given for tag, given in page.tags if tag == "svg" and given.get("aria-hidden") != "true"]
    assert all(given.get("role") == "img" and given.get("aria-label") for given in pictures)


def test_hostile_words_stay_words(tmp_path):
    text = write(tmp_path, hostile()).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert HOSTILE in "".join(Words(text).words)
    assert not set(text) & set("\x1b\r\u202e\udcff")
    assert "\\x1b[31mred" in text


def test_what_one_asks_first_is_answered(tmp_path):
    result = search(30)
    page = Words(write(tmp_path, result).read_text())
    best = findings.configurations(result)[0]
    for word in (result["sentence"], result["next"], result["command"], f"configuration {best.name}"):
        assert word in page.text
    for one in SPACE:
        assert one["name"] in "".join(page.words)


def test_every_trial_and_every_reason_is_told(tmp_path):
    result = search(60)
    text = Words(write(tmp_path, result).read_text()).text
    assert all(one["id"] in text for one in result["trials"])
    broken = [one for one in result["trials"] if one["status"] in ("failed", "pruned")]
    assert {one["status"] for one in broken} == {"failed", "pruned"}
    for status in ("failed", "pruned"):
        count = sum(one["status"] == status for one in broken)
        assert re.search(rf"\b{count} (trials? {status}|configurations? w\w+ too large)", text)
    assert all(one["reason"] in text for one in broken if one["status"] == "failed")


def test_reasons_that_differ_by_numbers_alone_are_one(tmp_path):
    reasons = [f"{n},000 parameters; the limit is 9" for n in range(20)]
    trials = [trial(str(n), None, status="pruned", reason=reason) for n, reason in enumerate(reasons)]
    text = Words(write(tmp_path, search(1, trials=[*trials, trial("30", 0.5)])).read_text()).text
    assert "pruned 20 19,000 parameters; the limit is 9 (the last one; the others alike)" in text
    assert text.count("the limit is 9") == 1


def test_a_search_in_which_nothing_was_completed_says_why(tmp_path):
    text = Words(write(tmp_path, hopeless()).read_text()).text
    assert "No score: no trial was completed. The last one: killed by signal 9" in text
    assert "4 trials failed" in text


def test_values_beside_the_defaults_are_in_bold_where_they_differ():
    result = search(1, trials=[trial("1", 0.5, values={"depth": 32, "width": 1.0})])
    shown = report.section_for_run(result)
    assert "<strong>32</strong>" in shown
    assert "<strong>1</strong>" not in shown
    assert shown.count("not used") == len(SPACE) - 3  # all but two and the fixed one


def test_the_section_for_a_run_leads_to_the_whole():
    shown = report.section_for_run(search(30))
    assert "searches/photos-resnet/report.html" in shown
    assert "Best so far" in shown
    assert Words(shown).open == []
    assert "no trial was completed" in report.section_for_run(hopeless())


def test_a_thousand_configurations_make_a_page_that_opens(tmp_path):
    result = search(1000)
    began = time.monotonic()
    page = write(tmp_path, result)
    assert time.monotonic() - began < 30  # 1.5 s where nothing else runs
    assert page.stat().st_size < 3_000_000


def test_refuses_what_is_no_result(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no result\.json"):
        report.write(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(ValueError, match="not readable as JSON"):
        report.write(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": 2}')
    with pytest.raises(ValueError, match="schema must be 1, not 2"):
        report.write(tmp_path)


def test_importing_it_costs_neither_tensorflow_nor_scikit_learn():
    code = (
        "import sys, tuning.report, tuning.table, tuning.board, tuning.screen; "
        "print([one for one in ('tensorflow', 'sklearn', 'numpy', 'pipeline', 'tensorboard') "
        "if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("case", ["thirty", "thousand", "hopeless", "hostile", "running"])
def test_in_a_browser(browser, tmp_path, case, width, scheme):
    made = {"thirty": lambda: search(30), "thousand": lambda: search(1000), "hopeless": hopeless,
            "hostile": hostile, "running": lambda: search(9, outcome="running")}  # fmt: skip
    file = write(tmp_path, made[case]())
    with open_file(browser, file, width, scheme) as (page, seen):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        if case != "thousand":  # the same pieces, and a minute to look at each
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(FAINT) == []
        assert seen.complaints == []
        assert seen.requests == [file.resolve().as_uri()]


# --- charts


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors():
    found = charts.axis("rate", [1e-4, 3e-2], log=True)
    assert found.marks[0] <= 1e-4 < 3e-2 <= found.marks[-1]
    assert found.share(1e-2) - found.share(1e-3) == pytest.approx(found.share(1e-3) - found.share(1e-4))


@pytest.mark.parametrize("values", [[3.0], [5.0, 5.0], [1000.0, 10000.0], [0.9, 1.1], [31762.0, 2e6], []])
@pytest.mark.parametrize("log", [False, True])
def test_an_axis_encloses_its_values(values, log):
    found = charts.axis("x", values, log)
    assert len(found.marks) == len(found.labels) >= 2
    assert list(found.marks) == sorted(set(found.marks))
    assert all(found.marks[0] <= one * (1 + 1e-9) and one <= found.marks[-1] * (1 + 1e-9) for one in values)


def test_a_step_lasts_until_the_next_point():
    across, up = charts.axis("x", [0, 10]), charts.axis("y", [0, 1])
    drawn = charts.plot("t", across, up, [charts.Series("s", ((0, 0), (10, 1)), shape="step")], "said")
    first, corner, last = re.search(r'polyline points="([^"]+)"', drawn[drawn.index("</figcaption>") :])[
        1
    ].split()
    assert corner == f"{last.split(',')[0]},{first.split(',')[1]}"


# --- CSV


def cells(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))


def test_csv_has_a_row_for_each_trial_and_a_column_for_each_hyperparameter(tmp_path):
    result = search(20)
    file = table.write_csv(result, tmp_path / "trials.csv")
    head, *found = cells(file)
    rows = [dict(zip(head, row, strict=True)) for row in found]
    assert [row["id"] for row in rows] == [one["id"] for one in result["trials"]]
    assert list(rows[0]) == [*table.FIRST, *(one["name"] for one in SPACE), *table.LAST]
    for row, one in zip(rows, result["trials"], strict=True):
        assert row["score"] == ("" if one["score"] is None else str(one["score"]))
        assert row["momentum"] == str(one["values"].get("momentum", ""))
        assert row["reason"] == one["reason"]
    assert [one.name for one in tmp_path.iterdir()] == ["trials.csv"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\n=1"])
def test_csv_runs_nothing_in_a_spreadsheet(tmp_path, text):
    result = search(1, trials=[trial("1", -0.5, reason=text, worker="a,\n=b\r")], space=[{"name": text}])
    rows = cells(table.write_csv(result, tmp_path / "t.csv"))
    told = dict(zip(*rows, strict=True))
    assert told["reason"] == f"'{text}"
    assert f"'{text}" in rows[0]
    assert told["worker"] == "a,\n=b\\r"
    assert told["score"] == "-0.5"


def test_csv_takes_names_that_are_no_text(tmp_path):
    assert "\\udcff" in table.write_csv(hostile(), tmp_path / "t.csv").read_text(encoding="utf-8")


# --- files


def test_what_was_found_so_far_lies_there_while_the_search_runs(tmp_path, capsys):
    from tuning import result as written
    from tuning.__main__ import main

    found = search(9, outcome="running", sentence="")
    written.note(found, tmp_path)
    best = findings.best_trial(found)
    held = json.loads((tmp_path / "hyperparameters.json").read_text())
    assert held == {"family": "resnet", **best["values"]}
    assert len(cells(tmp_path / "trials.csv")) == 1 + len(found["trials"])
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "hyperparameters.json", "result.json", "trials.csv"
    ]  # fmt: skip
    assert main(["show", str(tmp_path)]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "the search is running, or was broken off"
    assert second.startswith(f"{findings.configurations(found)[0].name}  {best['score']:.4f} after epoch")
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").is_file()


def test_nothing_else_is_lost_where_tensorboards_files_cannot_be_written(tmp_path):
    from tuning import result as written

    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.raises(OSError, match="tensorboard"):
        written.write(search(9), tmp_path)
    for name in ("result.json", "trials.csv", "hyperparameters.json", "report.html"):
        assert (tmp_path / name).is_file()


# --- TensorBoard


def sessions(folder, experiment=""):
    """What TensorBoard's own HParams backend reads: the experiment, and each session's status and values."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.data import provider
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    source = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=source))
    asked = context.RequestContext()
    told = backend.experiment_from_metadata(
        asked, experiment, True, backend.hparams_metadata(asked, experiment),
        provider.ListHyperparametersResult(hyperparameters=[], session_groups=[]),
    )  # fmt: skip
    statuses = [
        api_pb2.STATUS_UNKNOWN,
        api_pb2.STATUS_SUCCESS,
        api_pb2.STATUS_FAILURE,
        api_pb2.STATUS_RUNNING,
    ]
    request = api_pb2.ListSessionGroupsRequest(allowed_statuses=statuses, slice_size=10_000)
    found = list_session_groups.Handler(asked, backend, experiment, request).run().session_groups
    read = {}
    for group in found:
        (one,) = group.sessions
        values = {key: getattr(value, value.WhichOneof("kind")) for key, value in group.hparams.items()}
        metrics = {each.name.tag: (each.training_step, each.value) for each in one.metric_values}
        read[group.name] = (api_pb2.Status.Name(one.status), values, metrics)
    return told, read


def test_tensorboards_own_backend_finds_every_trial_once_with_its_values(tmp_path):
    result = search(20, outcome="running")
    board.write_hparams(tmp_path, search(5))
    board.write_hparams(tmp_path, result)
    experiment, read = sessions(tmp_path)
    varied = [one["name"] for one in findings.varying(result)]
    assert sorted(one.name for one in experiment.hparam_infos) == sorted(varied)
    assert [one.name.tag for one in experiment.metric_infos] == list(board.METRICS)
    assert sorted(read) == [one["id"] for one in result["trials"]]
    states = {"completed": "STATUS_SUCCESS", "failed": "STATUS_FAILURE", "pruned": "STATUS_FAILURE",
              "running": "STATUS_RUNNING", "waiting": "STATUS_UNKNOWN"}  # fmt: skip
    for one in result["trials"]:
        status, values, metrics = read[one["id"]]
        assert status == states[one["status"]]
        assert values == {key: one["values"][key] for key in varied if key in one["values"]}
        assert metrics["parameters"][1] == one["parameters"]
        if one["status"] == "completed":
            assert metrics["val_accuracy"] == (one["until"], pytest.approx(one["score"]))
            assert metrics["latency_ms"][1] == pytest.approx(one["latency_ms"])
            assert metrics["val_loss"][1] == pytest.approx(one["history"][-1]["val_loss"])
    assert [one.name for one in tmp_path.iterdir()] == ["hparams"]


def test_tensorboard_takes_choices_of_several_kinds_and_odd_names(tmp_path):
    odd = [{"name": "schedule", "kind": "choice", "values": [None, "cosine", 3], "default": None},
           {"name": "blocks", "kind": "choice", "values": [[3, 4], [2, 2]], "default": [2, 2]}]  # fmt: skip
    trials = [trial("1", 0.5, values={"schedule": None, "blocks": [3, 4]}), trial("2", 0.6, values={})]
    board.write_hparams(tmp_path, search(1, trials=trials, space=odd))
    _, read = sessions(tmp_path)
    assert read["1"][1:] == (
        {"schedule": "None", "blocks": "[3, 4]"}, {"val_accuracy": (2, 0.5), "parameters": (2, 10.0)}
    )  # fmt: skip
    assert read["2"][1] == {}
    board.write_hparams(tmp_path, hostile())
    assert len(sessions(tmp_path)[1]) == len(hostile()["trials"])


# --- the screen


def drawn(result, width=80, terminal=True, times=1):
    text = io.StringIO()
    screen = Screen(Console(file=text, width=width, force_terminal=terminal, color_system=None))
    for _ in range(times):
        screen.show(result)
    screen.close()
    return text.getvalue()


def lines_of(text):
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip("\r") for line in text.splitlines()]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
@pytest.mark.parametrize(
    "result", [search(30, outcome="running"), search(500), search(0), hopeless(), hostile()]
)
def test_no_line_is_wider_than_the_terminal(width, result):
    text = drawn(result, width)
    assert all(cell_len(line) <= width for line in lines_of(text))
    assert "\x1b[31m" not in text
    assert len(lines_of(text)) <= 2 * 24  # drawn by `show` and once more by `close`


def test_a_terminal_shows_the_best_the_running_and_why_the_last_failed():
    result = search(30, outcome="running")
    text = drawn(result)
    best = findings.configurations(result)[0]
    assert "resnet · photos · asha" in text
    assert f"best val_accuracy {best.score:.4f}" in text
    rows = [line.split()[:3] for line in lines_of(text)]
    assert [best.trial["id"], f"{best.score:.4f}", str(best.trial["until"])] in rows
    for one in result["trials"]:
        if one["status"] == "running":
            assert re.search(rf"{one['id']} .+ epoch {one['first_epoch'] + 2} of 9 · 0\.\d+ · worker", text)
    assert "3 failed, 1 waiting; last, 0017: its process gave no sign for 300 s" in text


def test_a_log_hears_of_each_trial_once():
    result = search(20, outcome="running")
    lines = lines_of(drawn(result, terminal=False, times=3))
    ended = [one for one in result["trials"] if one["status"] in findings.ENDED]
    assert [line[:4] for line in lines] == [one["id"] for one in ended]
    for line, one in zip(lines, ended, strict=True):
        assert one["status"] in line
        assert one["reason"] in line
        assert one["score"] is None or f"{one['score']:.4f}" in line


def test_a_log_stays_in_its_lines():
    lines = lines_of(drawn(hostile(), terminal=False))
    assert len(lines) == len(hostile()["trials"])
    assert ESCAPE not in "".join(lines)


def test_silence():
    text = io.StringIO()
    screen = Screen(Console(file=text, force_terminal=True), silent=True)
    screen.show(search(5))
    screen.line("x")
    screen.close()
    assert text.getvalue() == ""

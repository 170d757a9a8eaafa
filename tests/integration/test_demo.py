"""The demo's answers against an independent reckoning: on a part of the standard library, on changed copies of it, and on all of it."""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.config import load_settings
from agent_sdk.core.ids import RunId
from agent_sdk.runtime import App, Runtime
from agent_sdk.testing.demo import demo_agent, scripts, simulated_model, standard_library
from tests.integration import demo_oracle
from tests.integration.demo_trees import change_tree, make_tree, spoil_tree

COMMAND = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); from agent_sdk.cli.main import main; main()"
SAVED = "agent-sdk-demo-undocumented.txt"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    return make_tree(tmp_path / "tree")


def demo(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["demo", *map(str, args)])


def ask(root: Path, goal: int) -> str:
    """Return the answer to one of the demo's goals."""
    result = demo("--root", root, "--goal", str(goal), "--json")
    assert result.exit_code == 0, result.output
    record: dict[str, JsonValue] = json.loads(result.stdout)
    answer = record["answer"]
    assert isinstance(answer, str)
    return answer


def rows_under(title: str, answer: str) -> list[tuple[int, str]]:
    """Return the numbers and names that stand under a title of the answer."""
    _, _, behind = answer.partition(f"{title} (")
    section, _, _ = behind.partition("\n\n")
    return [(int(count.replace(",", "")), name) for count, name in re.findall(r"^ *([\d,]+)  (\S+)", section, re.MULTILINE)]


def ranked(counts: dict[str, int], first: int) -> list[tuple[int, str]]:
    return [(counts[name], name) for name in sorted(counts, key=lambda name: (-counts[name], name))[:first]]


def check_imports(answer: str, root: Path) -> None:
    counts = {name: len(found) for name, found in demo_oracle.importers(root).items()}
    assert rows_under("The ten modules that most others import", answer) == ranked(counts, 10)


def check_docstrings(answer: str, root: Path, out: Path) -> None:
    without = demo_oracle.undocumented(root)
    by_package = Counter(name.partition(".")[0] for name in without)
    assert rows_under("The whole library", answer) == [
        (len(demo_oracle.sources(root)) - len(without), "with"),
        (len(without), "without"),
    ]
    assert rows_under("The ten packages that have most of those without", answer) == ranked(by_package, 10)
    saved = (out / SAVED).read_text().splitlines()[2:]
    assert {line.partition(": ")[2] for line in saved} == without
    assert len(saved) == len(without)


def check_lines(answer: str, root: Path) -> None:
    files = demo_oracle.lines(root)
    total = sum(files.values(), Counter[str]())
    packages: Counter[str] = Counter()
    for path, counts in files.items():
        if "/" in path:
            packages[path.partition("/")[0]] += counts.total()
    largest = ranked(packages, 1)[0][1]
    inside = {path: counts.total() for path, counts in files.items() if path.startswith(f"{largest}/")}
    assert rows_under("The whole library", answer) == [(total[kind], kind) for kind in ("code", "comments", "blanks")]
    assert rows_under("The largest packages", answer) == ranked(packages, 5)
    assert rows_under("The longest files of the largest", answer) == ranked(inside, 3)


def test_the_most_imported_modules_are_those_that_bytecode_shows(root: Path) -> None:
    check_imports(ask(root, 1), root)


def test_the_undocumented_modules_are_those_that_tokens_show(root: Path) -> None:
    check_docstrings(ask(root, 2), root, Path.cwd())


def test_the_lines_are_those_that_tokens_show(root: Path) -> None:
    check_lines(ask(root, 3), root)


def test_a_changed_tree_changes_each_answer(root: Path) -> None:
    before = [ask(root, goal) for goal in (1, 2, 3)]
    change_tree(root)
    after = [ask(root, goal) for goal in (1, 2, 3)]
    check_imports(after[0], root)
    check_docstrings(after[1], root, Path.cwd())
    check_lines(after[2], root)
    assert [rows_under("The ten modules that most others import", answer)[0] for answer in (before[0], after[0])] != [(30, "colorsys")] * 2
    assert (30, "colorsys") in rows_under("The ten modules that most others import", after[0])
    assert (30, "added") in rows_under("The ten packages that have most of those without", after[1])
    assert rows_under("The largest packages", after[2])[0] == (30 * 503, "added")
    assert all(old != new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("goal", [1, 2, 3])
def test_what_cannot_be_read_is_said_and_counted_and_left_out(root: Path, goal: int) -> None:
    count = len(demo_oracle.sources(spoil_tree(root)))
    answer = ask(root, goal)
    spoilt = {1: 4, 2: 4, 3: 2}[goal]  # to count lines, broken syntax is no hindrance
    assert f"Of {count + 4} files, {spoilt} could not be read." in answer.replace("\n  ", " ")
    assert all(f"  - {name}.py: NoSource: its encoding: " in answer for name in ("unknown", "latin"))
    passed_over = [name for name in ("test", "unittest/test") if (root / name).is_dir()]  # the latter until Python 3.11
    assert f"Passed over: {', '.join(passed_over)}." in answer
    assert "colorsys" not in answer


def test_nothing_is_saved_where_every_module_has_a_docstring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tree := tmp_path / "tree").mkdir()
    (tree / "one.py").write_text('"""A docstring."""\n')
    answer = ask(tree, 2)
    assert rows_under("The whole library", answer) == [(1, "with"), (0, "without")]
    assert not (tmp_path / SAVED).exists()


def test_the_demo_says_that_its_model_is_simulated_and_that_a_plan_was_sent_back(root: Path) -> None:
    result = demo("--root", root)
    assert result.exit_code == 0
    assert "simulated model" in result.stderr
    assert result.stderr.count("plan.rejected") == 1
    assert all(code in result.stderr for code in ("invalid_argument", "reference_path", "unknown_tool", "unused_step"))
    assert "the checker sent the first plan back" in result.stderr
    assert all(f"goal {number} of 3: {script.goal}" in result.stderr for number, script in enumerate(scripts(), start=1))
    assert result.stderr.count("agent-sdk runs show run_") == 3


def test_a_journal_in_memory_is_not_offered_to_look_at(root: Path) -> None:
    result = demo("--root", root, "--goal", "2", "--journal", "memory://")
    assert result.exit_code == 0
    assert "agent-sdk runs" not in result.stderr
    assert not Path("agent-sdk-demo.db").exists()


def test_another_goal_is_refused_by_the_simulated_model(root: Path) -> None:
    result = demo("--root", root, "--goal", "What is the answer?")
    assert result.exit_code == 1
    assert "answered 400: this simulated model knows the plans for these goals alone" in result.stderr
    assert "[model_bad_request]" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--goal", "4"), "the demo has no goal 4"),
        (("--goal", "0"), "the demo has no goal 0"),
        (("--root", "nowhere"), "the root of the sources is no directory: nowhere"),
        (("--resume", "run_000000000000000000000000"), "run_000000000000000000000000"),
    ],
)
def test_a_command_that_does_not_hold_is_refused(root: Path, args: tuple[str, ...], said: str) -> None:
    result = demo(*args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_tree_without_python_files_fails_the_run_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = demo("--root", tmp_path)
    assert result.exit_code == 1
    assert "there are no Python files below the root" in result.stderr


def test_the_users_own_settings_do_not_touch_the_demo(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("agent-sdk.yaml").write_text("openai:\n  api_key: env:NO_SUCH_KEY\n  base_url: http://localhost:1/v1\n")
    monkeypatch.setenv("AGENT_SDK__MODEL", "no model at all")
    check_imports(ask(root, 1), root)


def test_a_suspended_run_of_the_demo_goes_on_with_the_command_that_it_names(root: Path) -> None:
    run_id = asyncio.run(_suspended(root))
    result = demo("--resume", run_id, "--root", root, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["run_id"] == run_id
    check_imports(record["answer"], root)


async def _suspended(root: Path) -> RunId:
    """Begin a run of the first goal and hand it back at once."""
    agent = demo_agent(root, Path.cwd())
    with simulated_model().start_in_thread() as model:
        settings = load_settings(overrides={"openai.base_url": model.base_url}, environ={}, cwd=Path.cwd())
        async with Runtime.open("sqlite:///agent-sdk-demo.db", app=App([agent]), settings=settings) as runtime:
            run = await runtime.start(agent, scripts()[0].goal)
            await run.suspend()
    return run.run_id


@pytest.mark.slow
def test_the_demo_answers_from_this_machines_own_standard_library(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND, "demo", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = list(_objects(done.stdout))
    answers = [record["answer"] for record in records]
    root = standard_library()
    check_imports(answers[0], root)
    check_docstrings(answers[1], root, tmp_path)
    check_lines(answers[2], root)
    show = [sys.executable, "-c", COMMAND, "runs", "show", records[0]["run_id"], "--journal", "sqlite:///agent-sdk-demo.db"]
    shown = subprocess.run(show, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answers[0] in shown.stdout


def _objects(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while text.strip():
        record, end = json.JSONDecoder().raw_decode(text.lstrip())
        found.append(record)
        text = text.lstrip()[end:]
    return found

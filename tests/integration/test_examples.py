"""Each example as a user starts it: a process of its own, with the server's address in the environment and no key."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk.testing import Call, ChatRequest, FakeOpenAI, Fault, ServerItem, Sim, SimPrice, SimRequest, SimServer
from agent_sdk.testing.sim import SimSaid

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(example: str, *args: str, here: Path, base_url: str = "", stdin: str = "") -> str:
    """Run an example in the directory `here` and return what it printed."""
    environment = {"PYTHONPATH": str(ROOT), "AGENT_SDK__OPENAI__BASE_URL": base_url, "PYTHONWARNINGS": "error"}
    words = [sys.executable, str(EXAMPLES / example), *args]
    done = subprocess.run(words, cwd=here, env=environment, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def serve(*script: ServerItem) -> FakeOpenAI:
    return FakeOpenAI(script)


def test_the_model_calls_the_tool_and_answers(tmp_path: Path) -> None:
    calls = [Call("temperature", {"city": "Oslo"}), Call("temperature", {"city": "Rome"})]
    with serve(calls, lambda request: f"Rome: {request.results[1]} against {request.results[0]}.").start_in_thread() as model:
        assert run("hello_tool.py", here=tmp_path, base_url=model.base_url) == "Rome: 18.5 against 4.0.\n"
    assert model.requests[0].goal == "Which is warmer today, Oslo or Rome?"


def test_a_city_without_a_thermometer_is_told_to_the_model(tmp_path: Path) -> None:
    with serve(Call("temperature", {"city": "Bonn"}), lambda request: request.results[0]).start_in_thread() as model:
        said = run("hello_tool.py", "How warm is Bonn?", here=tmp_path, base_url=model.base_url)
    assert "there is no thermometer in Bonn" in said
    assert "there is one in Lisbon, Oslo, Rome" in said


def test_the_invoice_is_an_object_and_a_reply_that_does_not_fit_is_sent_back(tmp_path: Path) -> None:
    chair: dict[str, JsonValue] = {"what": "office chair", "quantity": 2, "price": "149.90"}
    lamp: dict[str, JsonValue] = {"what": "desk lamp", "quantity": 1, "price": "39.00"}
    good: dict[str, JsonValue] = {"number": "R-2044", "issued": "2026-03-03", "items": [chair, lamp]}
    bad: dict[str, JsonValue] = {**good, "items": [{**chair, "quantity": 0}]}
    with serve(bad, good).start_in_thread() as model:
        said = run("structured_output.py", here=tmp_path, base_url=model.base_url)
    assert said.splitlines()[0] == "R-2044 of 03 March 2026"
    assert said.split()[-2:] == ["total", "338.80"]
    assert "items" in model.requests[1].messages[-1].text


def test_the_workflow_counts_real_files_and_asks_no_model(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.md").write_text("one two three\n")
    (tmp_path / "sub" / "two.md").write_text("one two\n" * 10)
    said = run("fixed_workflow/workflow.py", here=tmp_path)
    assert (tmp_path / "word-count.txt").read_text() == "      20  sub/two.md\n       3  one.md\n      23  in all\n"
    assert said.startswith((tmp_path / "word-count.txt").read_text())
    assert (tmp_path / "workflow.db").is_file()


def test_the_workflow_saves_nothing_where_there_is_nothing_to_count(tmp_path: Path) -> None:
    assert run("fixed_workflow/workflow.py", here=tmp_path).startswith("       0  in all\n")
    assert not (tmp_path / "word-count.txt").exists()


def test_the_goal_is_planned_checked_and_performed(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("nothing\n")
    (folder / "b.txt").write_text("first\nof licences\n")
    steps: list[JsonValue] = [
        {"id": "all", "tool": "list_files", "args": {"pattern": "**/*.txt"}},
        {"id": "found", "tool": "search_text", "args": {"text": "licences", "pattern": "**/*.txt"}},
    ]
    wrong = {"steps": steps, "result": {"findings": {"$ref": "found.lines"}, "files": {"$ref": "all.paths"}}}
    right = {"steps": steps, "result": {"findings": {"$ref": "found.matches"}, "files": {"$ref": "all.paths"}}}
    with serve(json.dumps(wrong), json.dumps(right)).start_in_thread() as model:
        said = run("plan_a_goal.py", str(folder), "Who speaks of licences?", here=tmp_path, base_url=model.base_url)
    lines = said.splitlines()
    assert "b.txt:2: of licences" in lines
    assert lines[-1].startswith("looked at 2 files; see: agent-sdk runs show run_")
    assert [line.split()[1] for line in lines if re.match(r" *\d+  ", line)].count("plan.rejected") == 1
    assert "found.lines" in _last_text(model.requests[1])


def advise(request: SimRequest) -> SimSaid:
    """Fail as the larger model, for longer than anybody waits; as the smaller one look both cities up and answer."""
    if request.model == "gpt-5-mini":
        return Fault("rate_limited", retry_after_s=3600)
    looked_up = [Call("climate", {"city": "Oslo"}), Call("climate", {"city": "Rome"})]
    return "Rome has more sun." if request.turn else looked_up


@pytest.mark.parametrize("bound", [["--usd", "0.004"], ["--calls", "1"]], ids=["money", "calls"])
def test_the_run_waits_for_its_budget_and_the_other_model_answers(bound: list[str], tmp_path: Path) -> None:
    sim = Sim(advise, prices={"gpt-5-nano": SimPrice(Decimal("0.05"), Decimal("0.40"), Decimal("0.005"))})
    with SimServer(sim).start_in_thread() as server:
        said = run("budget_and_fallback.py", *bound, here=tmp_path, base_url=server.openai_url).splitlines()
    assert said[0].startswith("run run_")
    assert "waits: budget: the budget of run/" in said[0]
    assert said[-2] == "Rome has more sun."
    assert said[-1].startswith("2 calls, ")
    assert said[-1].endswith(f"${sim.billed.normalize():f}")


@pytest.mark.parametrize("example", ["hello_tool.py", "structured_output.py", "plan_a_goal.py", "budget_and_fallback.py"])
def test_without_a_key_an_example_says_how_to_give_one(example: str, tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / example)]
    done = subprocess.run(words, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr


def _last_text(request: ChatRequest) -> str:
    return request.messages[-1].text

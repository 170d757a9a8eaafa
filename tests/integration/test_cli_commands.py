"""The commands, each with its real parts behind it: an app in the current directory and a SQLite journal beside it."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.config.schema import keys
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId
from agent_sdk.core.ports import Batch
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage import open_journal
from agent_sdk.testing import Call, FakeOpenAI
from tests.unit.cli.folded import RUN, facts_of, started

Command = Callable[..., Result]
SHOP = Path(__file__).with_name("shop_app.py")
BAD_PLAN = """\
steps:
  - id: find
    tool: serch
    args: {query: pen}
  - id: cost
    tool: price
    args: {name: 3}
result: {$ref: cost}
"""
GOOD_PLAN = """\
steps:
  - id: find
    tool: search
    args: {query: pen}
result: {$ref: find}
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    """Hand out the command, in a directory that holds the app."""
    shutil.copy(SHOP, tmp_path / "shop.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    runner = CliRunner()

    def call(*words: str, stdin: str | bytes | None = None) -> Result:
        return runner.invoke(app, list(words), input=stdin)

    yield call
    sys.modules.pop("shop", None)
    logger.level, logger.handlers, logger.propagate = before[0], before[1], before[2]
    logger.setLevel(before[0])


def run_id_in(result: Result) -> str:
    return next(line.removeprefix("run: ") for line in result.stderr.splitlines() if line.startswith("run: "))


async def leave_running(url: str) -> None:
    """Leave what a process leaves that is killed while a step runs."""
    created, *more = facts_of(started("find"))
    journal = await open_journal(url, clock=SystemClock())
    await journal.create(DEFAULT_TENANT, RUN, [replace(created, epoch=0)])
    await journal.claim(DEFAULT_TENANT, RUN, OwnerId("own_1"), lease_s=30.0)
    await journal.append(Batch(DEFAULT_TENANT, RUN, 1, 1, more, "running"))
    await journal.close()


def failure_in(result: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(result.stdout)["failure"]
    return found


def test_the_answer_goes_to_stdout_and_all_else_to_stderr(command: Command) -> None:
    result = command("run", "--app", "shop:app", "--agent", "prices")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"total": 20}
    for told in ("searching pen", "sum started", "succeeded after", "usage: 0 input", "run: run_", "agent-sdk runs show run_"):
        assert told in result.stderr
    assert "\x1b" not in result.output


def test_a_text_is_printed_as_it_is(command: Command) -> None:
    result = command("run", "how much is ink?", "--app", "shop:app", "--agent", "talker", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Ink costs 3.\nNo more.\n", "searching ink\n")


def test_json_is_one_object_with_answer_steps_and_usage(command: Command) -> None:
    result = command("run", "how much?", "--app", "shop:app", "--agent", "talker", "--json", "--tag", "a", "--tag", "b")
    record = json.loads(result.stdout)
    assert (record["state"], record["answer"], record["tags"]) == ("succeeded", "Ink costs 3.\nNo more.", ["a", "b"])
    assert [(step["id"], step["tool"], step["state"]) for step in record["steps"]] == [("t1.1", "search", "finished")]
    assert record["usage"]["input_tokens"] > 0


def test_a_goal_comes_from_stdin(command: Command) -> None:
    result = command("run", "-", "--app", "shop:app", "--agent", "talker", "--json", stdin="how much is ink?\n")
    assert json.loads(result.stdout)["goal"] == "how much is ink?"


def test_stdin_that_is_no_text_is_refused(command: Command) -> None:
    result = command("run", "-", "--app", "shop:app", "--agent", "talker", stdin=b"ink\xff")
    assert result.exit_code == 2
    assert "byte 4 does not fit" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "x"), "config_invalid", "no app is named"),
        (("run", "x", "--app", "nowhere:app"), "config_invalid", "there is no module 'nowhere'"),
        (("run", "x", "--app", "shop:nothing"), "config_invalid", "has no 'nothing'"),
        (("run", "x", "--app", "shop"), "settings_invalid", "expected module:app"),
        (("run", "x", "--app", "shop:app"), "request_invalid", "choose one with --agent: prices"),
        (("run", "x", "--app", "shop:app", "--agent", "price"), "not_found", "did you mean 'prices'?"),
        (("run", "x", "--app", "shop:app", "--agent", "modelless"), "model_not_named", "--model openai:gpt-5-mini"),
        (("run", "x", "--app", "shop:app", "--agent", "talker", "--model", "gpt-5"), "settings_invalid", "did you mean openai:gpt-5?"),
        (("run", "--app", "shop:app", "--agent", "talker"), "request_invalid", "no goal was given"),
        (("run", " ", "--app", "shop:app", "--agent", "talker"), "request_invalid", "the goal is empty"),
        (("run", "x", "--app", "shop:app", "--agent", "talker", "--timeout", "-1"), "request_invalid", "--timeout -1 is no time"),
        (("run", "x", "--app", "shop:app", "--agent", "talker", "--timeout", "nan"), "request_invalid", "--timeout nan is no time"),
        (("run", "x", "--app", "shop:app", "--agent", "prices", "--plan-only"), "request_invalid", "performs an author's plan"),
        (("run", "x", "--app", "shop:app", "--agent", "talker", "--plan-only", "--plan", "p.yaml"), "request_invalid", "--plan brings"),
        (("run", "x", "--app", "shop:app", "--agent", "talker", "--plan", "p.yaml"), "document_invalid", "p.yaml: there is no such file"),
        (("run", "x", "--app", "shop:app", "--agent", "prices", "--journal", "sqlite:///no/a.db"), "config_invalid", "does not exist"),
    ],
)
def test_what_cannot_be_begun_says_so_to_people_and_programs(command: Command, words: tuple[str, ...], code: str, told: str) -> None:
    result = command(*words, "--json")
    assert result.exit_code == 2
    assert failure_in(result)["code"] == code
    assert told in result.stderr
    assert f"[{code}]" in result.stderr
    assert "Traceback" not in result.output


def test_a_model_is_named_on_the_command_line_and_a_local_server_needs_no_key(command: Command) -> None:
    server = FakeOpenAI([[Call("price", {"name": "ink"})], "It costs 3."])
    with server.start_in_thread():
        words = ("run", "how much?", "--app", "shop:app", "--agent", "modelless")
        result = command(*words, "--model", "openai:small", "--base-url", server.base_url, "--quiet")
    assert (result.exit_code, result.stdout) == (0, "It costs 3.\n")
    assert [request.model for request in server.requests] == ["small", "small"]
    assert server.keys == [None, None]


SIGNING = """\
from dataclasses import replace

async def sign(request):
    return replace(request, headers={**request.headers, "Authorization": "Bearer renewed"})
"""


def test_a_function_beside_the_settings_signs_every_request(command: Command, tmp_path: Path) -> None:
    (tmp_path / "signing.py").write_text(SIGNING)
    server = FakeOpenAI(["Hello.", "ready"], api_key="renewed")
    with server.start_in_thread():
        (tmp_path / "agent-sdk.yaml").write_text(f"model: openai:small\nopenai: {{base_url: '{server.base_url}', sign: 'signing:sign'}}\n")
        try:
            ran = command("run", "greet me", "--app", "shop:app", "--agent", "modelless", "--quiet")
            checked = command("models", "check")
        finally:
            sys.modules.pop("signing", None)
    assert (ran.exit_code, ran.stdout) == (0, "Hello.\n")
    assert checked.exit_code == 0
    assert server.keys == ["renewed", "renewed"]


def test_a_function_that_cannot_sign_is_told_before_a_run_exists(command: Command) -> None:
    Path("agent-sdk.yaml").write_text("model: openai:small\nopenai: {sign: 'nowhere:sign'}\n")
    ran = command("run", "greet me", "--app", "shop:app", "--agent", "modelless")
    assert ran.exit_code == 2
    assert "openai.sign: there is no module 'nowhere'" in ran.stderr
    assert "no runs" in command("runs", "list").stderr


def test_only_the_plan_is_printed_and_nothing_is_performed(command: Command) -> None:
    plan: dict[str, JsonValue] = {"steps": [{"id": "find", "tool": "search", "args": {"query": "pen"}}], "result": {"$ref": "find"}}
    server = FakeOpenAI([plan])
    with server.start_in_thread():
        words = ("run", "find pens", "--app", "shop:app", "--agent", "modelless", "--plan-only")
        result = command(*words, "--model", "openai:small", "--base-url", server.base_url)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["steps"][0]["tool"] == "search"
    assert "searching" not in result.stderr


def test_an_authors_plan_comes_from_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "pens.yaml").write_text(GOOD_PLAN)
    result = command("run", "--app", "shop:app", "--agent", "modelless", "--plan", "pens.yaml", "--json")
    record = json.loads(result.stdout)
    assert (record["goal"], record["answer"]) == ("Perform the plan pens.yaml", [f"pen-{index}" for index in range(5)])


def test_a_plan_that_does_not_hold_is_not_performed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD_PLAN)
    result = command("run", "--app", "shop:app", "--agent", "modelless", "--plan", "bad.yaml")
    assert result.exit_code == 2
    assert "bad.yaml:3:5: $.steps[0].tool: there is no tool 'serch' [unknown_tool]; hint: did you mean 'search'?" in result.stderr


def test_a_plan_is_checked_with_file_and_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD_PLAN)
    result = command("plan", "check", "bad.yaml", "--app", "shop:app", "--agent", "modelless")
    assert result.exit_code == 2
    where = [line.split(": ")[0] for line in result.stdout.splitlines()]
    assert where[:2] == ["- bad.yaml:3:5", "- bad.yaml:7:12"]
    machine = json.loads(command("plan", "check", "bad.yaml", "--app", "shop:app", "--agent", "modelless", "--json").stdout)
    assert (machine["holds"], machine["findings"][0]["line"]) == (False, 3)


def test_a_plan_of_the_wrong_shape_says_where(command: Command, tmp_path: Path) -> None:
    (tmp_path / "shape.json").write_text('{"steps": [{"id": "a"}]}')
    result = command("plan", "check", "shape.json", "--app", "shop:app", "--agent", "modelless")
    assert result.exit_code == 2
    assert "shape.json:1:" in result.stdout
    assert command("run", "--plan", "shape.json", "--app", "shop:app", "--agent", "modelless").exit_code == 2


def test_a_plan_that_holds_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "pens.yaml").write_text(GOOD_PLAN)
    result = command("plan", "check", "pens.yaml", "--app", "shop:app", "--agent", "modelless")
    assert (result.exit_code, result.stderr) == (0, "pens.yaml: the plan of 1 step holds for agent modelless\n")


def test_a_run_that_failed_tells_the_step_and_the_reason(command: Command) -> None:
    result = command("run", "--app", "shop:app", "--agent", "failer", "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: the run failed at step first: ValueError: the disk is upside down [tool_failed]\n"


def test_a_run_out_of_time_ends_with_the_code_of_limits(command: Command) -> None:
    result = command("run", "--app", "shop:app", "--agent", "napper", "--timeout", "0.05")
    assert result.exit_code == 3
    assert "the run passed its deadline [run_expired]" in result.stderr


def test_an_effect_of_unknown_outcome_is_decided_and_the_run_goes_on(command: Command) -> None:
    first = command("run", "--app", "shop:app", "--agent", "letter")
    run_id = run_id_in(first)
    assert first.exit_code == 5
    assert f"agent-sdk runs decide {run_id} first done|retry|skip|fail" in first.stderr
    assert "hunter2" not in first.output
    refused = command("runs", "decide", run_id, "other", "done")
    assert "undecided are: first" in refused.stderr
    decided = command("runs", "decide", run_id, "first", "done", "--output", '"sent by hand"')
    assert decided.exit_code == 0
    assert f"or it is resumed: agent-sdk runs resume {run_id} --app MODULE:APP" in decided.stderr
    assert "first is decided: done; that takes hold when the run is resumed" in command("runs", "show", run_id).stdout
    assert "is decided: done" in command("runs", "decide", run_id, "first", "retry").stderr
    resumed = command("runs", "resume", run_id, "--app", "shop:app")
    assert (resumed.exit_code, json.loads(resumed.stdout)) == (0, {"answer": "sent by hand"})
    assert "run.created" not in resumed.stderr
    assert "first decided: done" in resumed.stderr


def test_an_effect_whose_process_was_killed_is_decided_after_the_run_was_resumed(command: Command) -> None:
    asyncio.run(leave_running("sqlite:///agent.db"))
    result = command("runs", "decide", RUN, "find", "done")
    assert result.exit_code == 2
    assert f"resume the run first, then decide: agent-sdk runs resume {RUN} --app MODULE:APP" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("maybe",), "it is one of done, retry, skip, fail"),
        (("skip", "--output", "1"), "it goes with done alone"),
        (("done", "--output", "{"), "--output: this is no JSON"),
    ],
)
def test_a_decision_that_is_none_is_refused(command: Command, words: tuple[str, ...], told: str) -> None:
    result = command("runs", "decide", "run_1", "first", *words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_run_is_shown_again_from_its_journal(command: Command) -> None:
    ran = command("run", "--app", "shop:app", "--agent", "prices", "--tag", "monday")
    run_id = run_id_in(ran)
    shown = command("runs", "show", run_id[-8:])
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].startswith(run_id)
    assert lines[1] == "goal: Perform the plan of prices  tags: monday"
    assert [line.split()[:4] for line in lines[3:6]] == [
        ["find", "search", "finished", "1"],
        ["prices", "price", "finished", "4/4"],
        ["sum", "total", "finished", "1"],
    ]
    assert ran.stdout in shown.stdout
    assert json.loads(command("runs", "show", run_id, "--json").stdout)["answer"] == {"total": 20}


def test_a_failed_run_is_shown_with_its_reason(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "failer"))
    shown = command("runs", "show", run_id)
    assert "error: the run failed at step first: ValueError: the disk is upside down [tool_failed]" in shown.stdout
    assert "first  fail  failed: tool_failed" in shown.stdout


def test_a_run_that_waits_is_shown_with_what_it_waits_for(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "letter"))
    assert f"go on with it:  agent-sdk runs resume {run_id} --app MODULE:APP\n" in command("runs", "show", run_id).stdout


def test_runs_are_listed_newest_first_and_by_state(command: Command) -> None:
    first = run_id_in(command("run", "--app", "shop:app", "--agent", "prices"))
    second = run_id_in(command("run", "--app", "shop:app", "--agent", "letter"))
    assert [line.split()[0] for line in command("runs", "list").stdout.splitlines()] == ["run", second, first]
    listed = json.loads(command("runs", "list", "--state", "waiting", "--json").stdout)
    assert [(row["run_id"], row["reason"]) for row in listed["runs"]] == [(second, "unknown_effect")]
    assert first in command("runs", "list", "--before", second, "--agent", "prices").stdout
    assert "no runs in sqlite:///agent.db" in command("runs", "list", "--state", "failed").stderr
    assert "the states are: queued" in command("runs", "list", "--state", "lost").stderr


@pytest.mark.parametrize(
    "words",
    [("list",), ("show", "x"), ("events", "x"), ("cancel", "x"), ("decide", "x", "first", "done"), ("resume", "x", "--app", "shop:app")],
)
def test_a_journal_that_is_not_there_is_not_made(command: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    before = sorted(tmp_path.iterdir())
    result = command("runs", *words, "--journal", "sqlite:///my%20runs.db")
    assert result.exit_code == 2
    assert "there is no journal at my runs.db [not_found]\n  hint: name the one that has the runs: --journal" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} - {path.name for path in before} <= {"__pycache__"}


@pytest.mark.parametrize("words", [("list", "--before", "\udcff"), ("list", "--agent", "\udcff"), ("show", "run_" + 24 * "\udcff")])
def test_a_name_that_is_no_text_is_refused(command: Command, words: tuple[str, ...]) -> None:
    command("run", "--app", "shop:app", "--agent", "prices")
    result = command("runs", *words)
    assert result.exit_code == 2
    assert "is no valid text" in result.stderr


def test_events_are_one_a_line_and_redacted(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "letter"))
    lines = command("runs", "events", run_id).stdout.splitlines()
    assert "run.created" in lines[0]
    assert "run.released" in lines[-1]
    records = [json.loads(line) for line in command("runs", "events", run_id, "--json", "--after", "2").stdout.splitlines()]
    assert [record["seq"] for record in records] == list(range(3, len(lines) + 1))
    assert "hunter2" not in json.dumps(records)


def test_events_of_an_ended_run_are_followed_to_their_end(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "prices"))
    assert "run.succeeded" in command("runs", "events", run_id, "--follow").stdout.splitlines()[-1]


def test_a_run_that_nobody_performs_is_cancelled_by_whoever_asks(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "letter"))
    result = command("runs", "cancel", run_id, "--note", "not needed")
    assert (result.exit_code, result.stderr) == (0, f"run {run_id}: cancelled\n")
    again = command("runs", "cancel", run_id)
    assert again.exit_code == 2
    assert "[run_ended]" in again.stderr


def test_a_run_that_ended_is_not_resumed(command: Command) -> None:
    run_id = run_id_in(command("run", "--app", "shop:app", "--agent", "prices"))
    result = command("runs", "resume", run_id, "--app", "shop:app", "--json")
    assert result.exit_code == 2
    assert failure_in(result)["code"] == "run_ended"


def test_a_part_of_an_id_must_name_one_run(command: Command) -> None:
    ids = [run_id_in(command("run", "--app", "shop:app", "--agent", "prices")) for _ in range(2)]
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ids, strict=True)))
    assert f"2 runs have '{shared}' in their ids" in command("runs", "show", shared).stderr
    assert command("runs", "show", ids[0][-12:]).exit_code == 0
    assert "there is no run nothing" in command("runs", "show", "nothing").stderr
    assert command("runs", "show", "run_" + 24 * "0").exit_code == 2


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_id_names_no_run_even_where_there_is_one_alone(command: Command, name: str) -> None:
    command("run", "--app", "shop:app", "--agent", "prices")
    result = command("runs", "cancel", name)
    assert result.exit_code == 2
    assert "the run's id is empty" in result.stderr


def test_tools_are_listed_with_effects_and_schemas(command: Command) -> None:
    lines = command("tools", "list", "--app", "shop:app", "--agent", "modelless").stdout.splitlines()
    assert lines[1].split(maxsplit=3) == ["search", "read", "modelless", "Search the catalogue."]
    listed = json.loads(command("tools", "list", "--app", "shop:app", "--agent", "modelless", "--json").stdout)
    assert [tool["name"] for tool in listed["tools"]][:3] == ["search", "price", "total"]
    schema = json.loads(command("tools", "schema", "price", "--app", "shop:app").stdout)
    assert schema["parameters"]["required"] == ["name"]
    assert len(json.loads(command("tools", "schema", "--app", "shop:app").stdout)) == 7
    assert "the tools are: search" in command("tools", "schema", "prise", "--app", "shop:app").stderr


def test_an_agent_alone_is_an_app_and_may_have_no_tools(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lonely.py").write_text("from agent_sdk import Agent\nme = Agent(name='me', model='openai:x')\n")
    assert command("tools", "list", "--app", "lonely:me").stderr == "no tools\n"
    sys.modules.pop("lonely")


def test_an_app_without_agents_cannot_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("from agent_sdk import App\napp = App([])\n")
    assert "the app has 0 agents" in command("run", "x", "--app", "empty:app").stderr
    sys.modules.pop("empty")


def test_an_app_that_exits_on_import_is_an_error(command: Command, tmp_path: Path) -> None:
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    result = command("run", "x", "--app", "exits:app")
    assert result.exit_code == 2
    assert "ends the process on import: SystemExit(3)" in result.stderr


def test_settings_are_shown_with_their_origins_and_without_secrets(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SDK__OPENAI__API_KEY", "sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2")
    monkeypatch.setenv("AGENT_SDK__LIMITS__MAX_TURNS", "7")
    result = command("config", "show")
    assert "sk-proj" not in result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith("limits.max_turns"))
    assert line.split() == ["limits.max_turns", "7", "environment", "AGENT_SDK__LIMITS__MAX_TURNS"]
    shown = json.loads(command("config", "show", "--json").stdout)["settings"]
    assert {"key": "limits.max_turns", "value": "7", "origin": "environment AGENT_SDK__LIMITS__MAX_TURNS"} in shown


def test_all_that_is_wrong_in_the_settings_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("jurnal: sqlite:///a.db\nlimits:\n  max_turns: 0\n")
    result = command("--config", "own.yaml", "config", "validate")
    assert result.exit_code == 2
    assert "own.yaml:1:1 (jurnal): unknown key" in result.stderr
    assert "own.yaml:3:3 (limits.max_turns): out of range" in result.stderr
    assert f"the settings hold: {len(keys())} from default" in command("config", "validate").stderr


def test_what_the_settings_name_is_looked_at_along_with_what_is_wrong_in_themselves(command: Command, tmp_path: Path) -> None:
    text = "app: shop:ap\nmodel: nobody:m\ncatalog: prices.yaml\nlimits:\n  max_turns: 0\nanthropic:\n  sign: shop:total\n"
    (tmp_path / "agent-sdk.yaml").write_text(text)
    (tmp_path / "prices.yaml").write_text("as_of: 2026-11-01\nmodels:\n  - vendor: openai\n")
    result = command("config", "validate")
    assert result.exit_code == 2
    assert "5 things are wrong in the settings:" in result.stderr
    for told in (
        "agent-sdk.yaml:5:3 (limits.max_turns): out of range",
        f"agent-sdk.yaml:3:1 (catalog): {tmp_path}/prices.yaml:3:5: $.models[0].name: this is missing",
        "agent-sdk.yaml:1:1 (app): module 'shop' has no 'ap'",
        "agent-sdk.yaml:7:3 (anthropic.sign): anthropic.sign names 'shop:total', which is no async function",
        "agent-sdk.yaml:2:1 (model): there is no vendor 'nobody'",
    ):
        assert told in result.stderr
    record = json.loads(command("config", "validate", "--json").stdout)
    assert (record["holds"], {each["key"] for each in record["findings"]}) == (
        False,
        {"limits.max_turns", "catalog", "app", "anthropic.sign", "model"},
    )


def test_what_is_doubtful_in_the_settings_is_told_and_is_no_failure(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("agent-sdk.yaml").write_text("model: openai:gpt-5-mini\n")
    result = command("config", "validate", "--app", "shop:app")
    assert result.exit_code == 0
    assert "doubtful: default (openai.api_key): here the secret env:OPENAI_API_KEY is not set" in result.stderr
    assert "the settings hold: " in result.stderr


def test_settings_name_app_and_journal_and_need_not_be_repeated(command: Command, tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("app: shop:app\njournal: sqlite:///own.db\nlogging: {level: warning}\n")
    result = command("run", "--agent", "letter")
    assert (tmp_path / "own.db").exists()
    assert f"agent-sdk runs resume {run_id_in(result)}\n" in result.stderr


def test_a_traceback_is_shown_with_debug_alone(command: Command) -> None:
    assert "Traceback" not in command("run", "x", "--app", "nowhere:app").output
    result = command("--debug", "run", "x", "--app", "nowhere:app")
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.rstrip().endswith("hint: start from the folder that holds it, or set PYTHONPATH")


def test_help_shows_commands_and_exit_codes(command: Command) -> None:
    result = command("--help")
    assert result.exit_code == 0
    for word in ("run ", "runs ", "plan ", "tools ", "config ", "demo ", "130  interrupted"):
        assert word in result.stdout


def test_a_version_is_printed(command: Command) -> None:
    assert command("--version").stdout.startswith("agent-sdk")


def test_a_command_that_there_is_not_is_a_usage_error(command: Command) -> None:
    assert command("frob").exit_code == 2

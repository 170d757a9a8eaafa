"""Goals, tags, messages, names and keys that attack the run, the terminal or whoever reads the answer."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk import Agent, App, Files, Plan, RequestError, RunFilter, Runtime, StartOptions, StepId, ToolStep
from agent_sdk.core.errors import InputTooLarge
from agent_sdk.testing import Call, FakeOpenAI, ScriptedModel, error_reply
from tests.integration.rest import KEY, brought_to_rest, bytes_below, journal_in, settings
from tests.integration.terminal import piped, terminal

HALF = "half \udcff"
STEERS = ("\x1b", "\x07", "\x9b", "\u202e", "\x00", "\r")
BAD_APP = Path(__file__).with_name("bad_app.py")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory that holds the app."""
    shutil.copy(BAD_APP, tmp_path / "bad.py")
    return tmp_path


def run_words(agent: str, *words: str) -> list[str]:
    return ["run", "go", "--app", "bad:app", "--agent", agent, *words]


def talker(*answers: str) -> Agent[None, str]:
    return Agent(name="talker", model=ScriptedModel(answers or ["done"]))


def nested(depth: int) -> JsonValue:
    value: JsonValue = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("goal", "kind", "told"),
    [
        ("", RequestError, "the goal is empty"),
        (" \n", RequestError, "the goal is empty"),
        ("x" * 10_000_000, InputTooLarge, "10,000,000 bytes"),
        (HALF, RequestError, "not valid text"),
    ],
    ids=["nothing", "blanks", "10 MB", "half a character"],
)
async def test_a_goal_that_is_none_is_refused_and_makes_no_run(goal: str, kind: type[RequestError], told: str, tmp_path: Path) -> None:
    agent = talker()
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        with pytest.raises(kind, match=told) as refused:
            await runtime.start(agent, goal)
        assert refused.value.hint
        assert await runtime.runs(RunFilter()) == []


async def test_nul_is_a_character_like_others(tmp_path: Path) -> None:
    run = await brought_to_rest(talker("a\0b"), tmp_path, goal="\0")
    assert (run.state, run.goal, run.answer) == ("succeeded", "\0", "a\0b")


async def test_what_the_journal_cannot_keep_is_refused_at_the_door(tmp_path: Path) -> None:
    agent = talker()
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        with pytest.raises(RequestError, match="not valid text"):
            await runtime.start(agent, "go", options=StartOptions(tags=[HALF]))
        assert await runtime.runs(RunFilter()) == []
        run = await runtime.start(agent, "go")
        with pytest.raises(RequestError, match="cannot be kept"):
            await runtime.send(run.run_id, HALF)
        with pytest.raises(RequestError, match="cannot be kept"):
            await run.cancel(note=HALF)
        for output in (float("nan"), HALF, 10**5000, nested(1000)):
            with pytest.raises(RequestError, match="cannot be kept"):
                await runtime.decide(run.run_id, StepId("s"), "done", output=output)
        assert await run.result() == "done"


@pytest.mark.parametrize("bad", [float("nan"), HALF, 10**5000, nested(100), nested(1000)], ids=["NaN", "half", "digits", "deep", "endless"])
async def test_a_plan_that_the_journal_cannot_keep_makes_no_run(bad: JsonValue, tmp_path: Path) -> None:
    files = Files(tmp_path)
    plan = Plan((ToolStep(StepId("s"), "list_files"),), result=[{"$ref": "s"}, bad])
    agent = Agent(name="planned", strategy="fixed", tools=files.readers, plan=plan)
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        with pytest.raises(RequestError, match="the plan cannot be kept"):
            await runtime.start(agent, "go")
        assert await runtime.runs() == []


@pytest.mark.slow
def test_the_command_refuses_the_same_goals(place: Path) -> None:
    for goal, code, told in (("", 2, "the goal is empty"), ("x" * 10_000_000, 2, "at most 1,048,576"), ("\0", 0, "")):
        done = piped(place, "run", "-", "--app", "bad:app", "--agent", "talker", "--json", stdin=goal)
        assert (done.returncode, told in done.stderr) == (code, True)
        assert json.loads(done.stdout)["state"] == ("succeeded" if code == 0 else None)
    tagged = piped(place, *run_words("talker", "--tag", os.fsdecode(b"\xff")))
    assert (tagged.returncode, "[request_invalid]" in tagged.stderr) == (2, True)


@pytest.mark.slow
def test_an_output_that_cannot_be_kept_is_refused_and_the_run_still_waits(place: Path) -> None:
    assert piped(place, *run_words("lose")).returncode == 5
    for output in ("NaN", '"\\ud800"', "1e999", "[" * 5000 + "]" * 5000, "1" * 5000):
        done = piped(place, "runs", "decide", "run_", "s", "done", "--output", output)
        assert (done.returncode, "[request_invalid]" in done.stderr) == (2, True)
    assert "unknown_effect" in piped(place, "runs", "list").stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--json"], ["--quiet"], []], ids=["json", "quiet", "lines"])
def test_whatever_a_tool_writes_to_stdout_the_answer_stands_alone(place: Path, words: list[str]) -> None:
    done = piped(place, *run_words("loud", *words))
    assert done.returncode == 0
    answer = json.loads(done.stdout)["answer"] if words == ["--json"] else done.stdout
    assert answer.removesuffix("\n") == "answer"
    for told in ("printed", "to the old one", "utf-8", "to the descriptor", "from a child", "chatter"):
        assert told in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["echo", "fail", "lose", "talker"])
def test_nothing_that_a_tool_or_a_model_says_steers_the_terminal(place: Path, agent: str) -> None:
    show = [run_words(agent), run_words(agent, "--json"), ["runs", "show", "run_"], ["runs", "events", "run_"]]
    show += [["runs", "show", "run_", "--json"], ["runs", "events", "run_", "--json"], ["--debug", *run_words(agent)]]
    for words in [show[0], *show[2:6]]:
        with terminal(place, *words, environ={"NO_COLOR": "1", "TERM": "dumb"}) as shown:
            shown.wait()
        assert not [sign for sign in STEERS if sign in shown.raw.replace("\r\n", "\n")]
    for words in (show[1], show[6]):
        done = piped(place, *words)
        assert not [sign for sign in STEERS if sign in done.stderr]


@pytest.mark.slow
def test_markup_is_shown_as_it_is(place: Path) -> None:
    with terminal(place, *run_words("fail")) as shown:
        assert shown.wait() == 1
    assert shown.text.count("[red]bold[/red]") >= 2


@pytest.mark.slow
def test_a_tool_that_interrupts_the_process_leaves_a_run_that_can_be_resumed(place: Path) -> None:
    assert piped(place, *run_words("interrupt")).returncode == 130
    (row,) = json.loads(piped(place, "runs", "list", "--json").stdout)["runs"]
    assert (row["state"], row["owner"]) == ("queued", None)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["environment", "file", "settings"])
def test_the_key_is_told_to_the_server_alone(place: Path, where: str) -> None:
    environ = {"OPENAI_API_KEY": KEY} if where == "environment" else {"AGENT_SDK__OPENAI__API_KEY": KEY} if where == "settings" else {}
    if where == "file":
        (place / "agent-sdk.yaml").write_text("openai: {api_key: 'file:key.txt'}\n")
        (place.parent / "key.txt").write_text(KEY)
        (place / "key.txt").symlink_to(place.parent / "key.txt")
    replies = [error_reply(401, f"bad key {KEY}"), error_reply(400, f"why {KEY}"), error_reply(404, KEY)]
    with FakeOpenAI([*replies, "An answer."]).start_in_thread() as server:
        said = ""
        for words in (["--json"], [], ["--quiet"], []):
            done = piped(place, "--debug", *run_words("asker", *words, "--base-url", server.base_url), environ=environ)
            said += done.stdout + done.stderr
        for words in (["config", "show"], ["config", "show", "--json"], ["config", "validate"], ["runs", "list"]):
            done = piped(place, *words, environ=environ)
            said += done.stdout + done.stderr
    assert set(server.keys) == {KEY}
    assert "An answer." in said
    assert KEY not in said
    (place / "key.txt").unlink(missing_ok=True)
    assert KEY.encode() not in bytes_below(place)


@pytest.mark.parametrize(
    "wrong",
    [
        {"AGENT_SDK__OPENAI__BASE_URL": f"https://user:{KEY}@host/v1"},
        {"AGENT_SDK__OPENAI__API_KEY": f"{KEY}\nX-Injected: 1"},
        {"AGENT_SDK__OPENAI__API_KEY": f"env:{KEY} "},
        {"AGENT_SDK__OPENAI__API_KEYS": KEY},
        {"OPENAI_API_KEY": f"{KEY}\x1b"},
    ],
    ids=["in the URL", "two lines", "a bad reference", "a key that there is not", "control characters"],
)
@pytest.mark.slow
def test_a_key_in_the_wrong_place_is_not_told_either(place: Path, wrong: dict[str, str]) -> None:
    done = piped(place, "--debug", *run_words("asker"), environ=wrong)
    assert done.returncode == 2
    assert KEY not in done.stdout + done.stderr


async def test_no_log_of_a_failing_run_holds_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeOpenAI([error_reply(401, f"bad key {KEY}")]) as server:
        agent = Agent(name="asker", model="openai:small")
        run = await brought_to_rest(agent, tmp_path, settings(tmp_path, {"openai.base_url": server.base_url}))
    assert run.state == "failed"
    assert KEY not in caplog.text


PATHS: dict[str, Callable[[Path], str]] = {
    "above": lambda _: "../secret.txt",
    "absolute": lambda root: str(root.parent / "secret.txt"),
    "a link": lambda _: "link.txt",
    "through a link": lambda _: "up/secret.txt",
    "round about": lambda _: "sub/../../secret.txt",
    "NUL": lambda _: "../secret.txt\0.md",
    "a pipe": lambda _: "pipe",
    "the root": lambda _: ".",
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("case", PATHS)
async def test_no_path_leads_out_of_the_file_tools_root(case: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text(f"{KEY}\n")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    path = PATHS[case](root)
    calls = [Call("read_file", {"path": path}), Call("write_file", {"path": path, "text": "gone"}), Call("search_text", {"text": KEY[:5]})]
    journal = tmp_path / "journal"
    journal.mkdir()
    agent = Agent(name="thief", model=ScriptedModel([calls, "Nothing."]), tools=Files(root).tools)
    run = await brought_to_rest(agent, journal)
    assert run.answer == "Nothing."
    first = next(iter(run.graph.steps.values()))
    assert first.status in {"failed", "refused"}
    assert (tmp_path / "secret.txt").read_text() == f"{KEY}\n"
    assert KEY.encode() not in bytes_below(journal)

"""An exported run is a test of its own: it passes as it is, holds no secret, and fails when the agent goes another way."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk import Agent, App, Limits, Runtime, tool
from agent_sdk.core.errors import JournalNewer, NotFound, RequestError
from agent_sdk.core.events import StepFinished
from agent_sdk.core.ids import RunId
from agent_sdk.runtime.replay import Recording, export_test, load_recording, parse_recording, replay
from agent_sdk.testing import Call, ScriptedModel, ScriptItem, assert_replays, replay_recorded

PASSWORD, TOKEN = "hunter2-hunter2", "tok-not-for-your-eyes"
LARGE = "größer ''' \\" * 4000


@tool(effect="once")
async def login(password: str) -> dict[str, JsonValue]:
    """Log in."""
    return {"token": TOKEN, "pin": 1234, "passwords": 7, "page": LARGE}


@tool(effect="read")
async def use(token: str) -> str:
    """Use a token."""
    return f"used {token}"


@tool(name="use", effect="read")
async def use_twice(token: int) -> str:
    """Use a token that is a number."""
    return f"used {token}"


def agent(*, instructions: str = "be kind", other: bool = False, limits: Limits | None = None) -> Agent[None, str]:
    script: list[ScriptItem] = [Call("login", {"password": PASSWORD}), Call("use", {"token": TOKEN}), f"done with {TOKEN}"]
    tools = [login, use_twice if other else use]
    made: Agent[None, str] = Agent(name="seller", model=ScriptedModel(script), tools=tools, instructions=instructions)
    return made.with_options(limits=limits) if limits is not None else made


async def recorded() -> Recording:
    sold = agent()
    async with Runtime.open(app=App([sold])) as runtime:
        run = await runtime.start(sold, f"log in; password: {PASSWORD}")
        assert await run.result() == f"done with {TOKEN}"
        assert (await replay(runtime.journal, runtime.tenant, run.run_id, sold)).is_identical
        return await load_recording(runtime.journal, runtime.tenant, run.run_id)


def record_in(text: str) -> str:
    names: dict[str, str] = {}
    exec(compile(text, "test_exported.py", "exec"), names)
    return names["RECORD"]


async def exported() -> str:
    return await export_test(await recorded(), agent(), app="shop:seller")


async def test_the_file_is_python_that_names_its_app_and_holds_no_secret() -> None:
    text = await exported()
    assert PASSWORD not in text
    assert TOKEN not in text
    assert 'APP = "shop:seller"' in text
    assert "größer" in text
    assert "def test_run_" in text


async def test_the_same_secret_has_the_same_placeholder_and_other_values_keep_their_kind() -> None:
    recording = parse_recording_of(await exported())
    outputs = [fact.event.output for fact in recording.facts if isinstance(fact.event, StepFinished)]
    assert isinstance(outputs[0], dict)
    token = outputs[0]["token"]
    assert outputs == [{"token": token, "pin": 1234, "passwords": 0, "page": LARGE}, f"used {token}"]


def parse_recording_of(text: str) -> Recording:
    return parse_recording(json.loads(record_in(text)))


def in_thread(check: Callable[[], object]) -> None:
    """Call what starts an event loop of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            check()
        except BaseException as error:  # noqa: BLE001  (raised again below)
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


async def test_it_passes_with_the_same_agent() -> None:
    record = record_in(await exported())
    in_thread(lambda: assert_replays(record, app=agent()))
    in_thread(lambda: assert_replays(record, app=App([agent()])))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (agent(instructions="be rude"), "instructions: "),
        (agent(other=True), "check.refused"),
        (agent(limits=Limits(max_turns=1)), "turn_limit"),
    ],
)
async def test_it_fails_when_the_agent_goes_another_way(changed: Agent[None, str], told: str) -> None:
    record = record_in(await exported())
    with pytest.raises(AssertionError, match=told):
        in_thread(lambda: assert_replays(record, app=changed))


async def test_its_app_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_in(await exported())
    (tmp_path / "empty_shop.py").write_text("from agent_sdk import App\napp = App([])\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(NotFound, match="no agent 'seller'"):
        in_thread(lambda: replay_recorded(record, app="empty_shop:app"))


async def test_a_run_that_does_not_replay_is_not_exported() -> None:
    with pytest.raises(RequestError, match="the test would fail"):
        await export_test(await recorded(), agent(instructions="be rude"), app="shop:seller")


@pytest.mark.parametrize("data", [[], {"v": 1}, {"v": 1, "tenant": "t", "run_id": "r", "events": []}, {"v": 1, "events": [{"seq": 1}]}])
def test_what_is_no_record_is_refused(data: JsonValue) -> None:
    with pytest.raises(RequestError):
        parse_recording(data)


def test_a_newer_record_is_refused() -> None:
    with pytest.raises(JournalNewer):
        parse_recording({"v": 2})


async def test_a_run_that_is_not_there_is_not_found() -> None:
    async with Runtime.open(app=App([])) as runtime:
        with pytest.raises(NotFound):
            await load_recording(runtime.journal, runtime.tenant, RunId("run_none"))

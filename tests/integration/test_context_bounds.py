"""Long runs under a small cap, from end to end: no request is above it, and nothing that must stay is lost (`-k context_bounds`)."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_sdk import Agent, App, ContextPolicy, Limits, RunHandle, RunId, Runtime, StartOptions, tool
from agent_sdk.cli.main import app
from agent_sdk.core.events import ContextCompacted, ContextExceeded
from agent_sdk.runtime import World
from agent_sdk.runtime.replay import replay
from agent_sdk.testing import Call, CountingIds, Sim, SimModel, SimRequest, VirtualClock, run_virtual
from agent_sdk.testing.sim.said import SimSaid
from tests.integration.rest import NoJitter, journal_in, settings

CAP = 8000
TURNS = 500
CALL_S = 0.5
GOAL = "Find out who GOAL-MARK is"
PIN = "Never forget PIN-MARK"
CATALOG = "as_of: 2026-11-24\nmodels:\n  - {{vendor: object, name: SimModel, context_tokens: {window}, max_output_tokens: 500}}\n"


@tool(effect="read")
async def fetch(size: int, seed: int) -> str:
    """Fetch words: so many characters of them, long and short ones."""
    await asyncio.sleep(CALL_S)
    chance = random.Random(seed)
    words = ["x" * chance.randint(1, 11) for _ in range(size // 7)]
    return " ".join(words)


@dataclass(slots=True)
class Talk:
    """A model that calls tools for so many turns, and answers then; each summary that it writes has a number."""

    turns: int
    most: int
    reads: bool = False
    turn: int = 0
    summaries: int = 0
    answers: int = 0

    def __call__(self, request: SimRequest) -> SimSaid:
        if not request.wanted.tools:
            self.summaries += 1
            return f"SUMMARY-MARK-{self.summaries} " + "and so on " * 20
        self.turn += 1
        if self.turn % self.turns == 0:
            self.answers += 1
            return "that is the answer"
        chance = random.Random(self.turn)
        if self.reads and self.turn > 3 and self.turn % 10 == 0:
            return Call("read_artifact", {"artifact": f"t{chance.randint(1, self.turn - 2)}.1", "length": 500, "start": self.turn})
        return [Call("fetch", {"size": chance.randint(0, self.most), "seed": self.turn * 10 + n}) for n in range(chance.randint(1, 2))]


@dataclass(slots=True)
class Long:
    """A long run against a simulated model, and what was asked of that."""

    turns: int = TURNS
    most: int = 6000
    policy: ContextPolicy = field(default_factory=lambda: ContextPolicy(max_tokens=CAP))
    reads: bool = False
    window: int | None = None
    talk: Talk = field(init=False)
    sim: Sim = field(init=False)
    agent: Agent[None, str] = field(init=False)

    def __post_init__(self) -> None:
        self.talk = Talk(self.turns, self.most, self.reads)
        self.sim = Sim(script=self.talk, context_window=self.window)
        limits = Limits(max_turns=self.turns + 10, max_steps=self.turns * 3, max_repeats=20)
        self.agent = Agent(
            name="long", model=SimModel(self.sim), instructions="INSTRUCTIONS-MARK", tools=[fetch], limits=limits, context=self.policy
        )

    @property
    def turns_asked(self) -> list[SimRequest]:
        return [request for request in self.sim.requests if request.wanted.tools]


def world() -> World:
    return World(VirtualClock(), CountingIds(), NoJitter())


def texts(request: SimRequest) -> str:
    return "\n".join(message.text for message in request.messages)


def has_whole_pairs(request: SimRequest) -> bool:
    """Say whether each call stands with its result behind it, and each result with its call."""
    open_calls = 0
    for message in request.messages:
        if message.role == "tool":
            open_calls -= len(message.results)
        elif open_calls:
            return False
        else:
            open_calls = message.calls
        if open_calls < 0:
            return False
    return open_calls == 0


async def compactions(handle: RunHandle[str]) -> Sequence[ContextCompacted]:
    return [fact.event async for fact in handle.facts() if isinstance(fact.event, ContextCompacted)]


def must_hold(long: Long, *, cap: int = CAP, marks: Sequence[str] = ("GOAL-MARK",)) -> None:
    """Hold every question to what is promised of it."""
    assert long.sim.peak_input_tokens <= cap
    assert long.sim.peak_input_tokens > cap * 0.6
    for request in long.turns_asked:
        assert request.instructions == "INSTRUCTIONS-MARK"
        said = texts(request)
        assert all(mark in said for mark in marks)
        assert has_whole_pairs(request)


@pytest.mark.parametrize("preview", [None, 2000], ids=["whole outputs", "previews"])
def test_context_bounds_hold_for_500_turns_under_8k_tokens(preview: int | None) -> None:
    long = Long(policy=ContextPolicy(max_tokens=CAP, preview_chars=preview), most=6000 if preview is None else 100_000, reads=True)

    async def main() -> None:
        async with Runtime.open("memory://", app=App([long.agent]), world=world()) as runtime:
            handle = await runtime.start(long.agent, GOAL)
            await runtime.send(handle.run_id, PIN, is_pinned=True)
            assert await handle.result() == "that is the answer"
            run = await handle.state()
            assert run.turn == TURNS
            made = await compactions(handle)
            assert len(made) > 20
            assert any(event.summary for event in made)
            assert all(event.tokens_after < event.tokens_before for event in made)
            replayed = await replay(runtime.journal, runtime.tenant, handle.run_id, long.agent)
            assert replayed.is_identical, replayed.render()

    run_virtual(main())
    must_hold(long)
    behind_pin = [request for request in long.turns_asked if "PIN-MARK" in texts(request)]
    assert len(behind_pin) >= TURNS - 10
    last = texts(long.turns_asked[-1])
    assert f"SUMMARY-MARK-{long.talk.summaries} " in last
    assert long.talk.summaries > 2
    read = [message for request in long.turns_asked for message in request.messages if "next_start" in message.text]
    assert read
    assert not any("no call of this run" in message.text for message in read)


def test_context_bounds_hold_over_the_turns_of_a_session() -> None:
    long = Long(turns=20, most=4000)

    async def main() -> None:
        async with Runtime.open("memory://", app=App([long.agent]), world=world()) as runtime:
            for place in range(25):
                handle = await runtime.start(long.agent, f"QUESTION-{place:02}", options=StartOptions(session="talk"))
                assert await handle.result() == "that is the answer"
                assert await compactions(handle)

    run_virtual(main())
    must_hold(long, marks=())
    assert len(long.turns_asked) == TURNS
    for place, request in enumerate(long.turns_asked):
        assert f"QUESTION-{place // 20:02}" in texts(request)
    assert "SUMMARY-MARK" in texts(long.turns_asked[-1])


@pytest.mark.parametrize("summarise", [True, False], ids=["summaries", "none"])
def test_context_bounds_hold_for_plans_over_the_turns_of_a_session(*, summarise: bool) -> None:
    """Each turn's first plans do not hold, and are long; each answer is too."""
    plan = json.dumps({"steps": [{"id": "a", "tool": "fetch", "args": {"size": 3000, "seed": 7}}], "result": {"$ref": "a"}})

    def says(request: SimRequest) -> SimSaid:
        if "You plan how to reach" not in request.instructions:
            return "SUMMARY-MARK " + "and so on " * 20
        rejections = sum("The plan does not hold" in message.text for message in request.messages)
        return plan if rejections and len(sim.requests) % 3 == 0 else f"I think: {'so and so ' * 300}"

    sim, limits = Sim(script=says), Limits(max_plan_repairs=9)
    policy = ContextPolicy(max_tokens=4500, summarise=summarise)
    agent = Agent(name="planner", model=SimModel(sim), tools=[fetch], strategy="plan", limits=limits, context=policy)
    made: list[ContextCompacted] = []

    async def main() -> None:
        async with Runtime.open("memory://", app=App([agent]), world=world()) as runtime:
            for place in range(12):
                handle = await runtime.start(agent, f"QUESTION-{place:02}", options=StartOptions(session="talk"))
                await handle.result()
                made.extend(await compactions(handle))
                replayed = await replay(runtime.journal, runtime.tenant, handle.run_id, agent)
                assert replayed.is_identical, replayed.render()

    run_virtual(main())
    assert sim.peak_input_tokens <= 4500
    assert any(event.drafts for event in made)
    assert any(event.summary for event in made) == summarise
    assert all(event.tokens_after < event.tokens_before for event in made)
    asked = [texts(request) for request in sim.requests if "You plan how to reach" in request.instructions]
    assert all("QUESTION-" in said for said in asked)
    assert ("SUMMARY-MARK" in asked[-1]) == summarise


@tool(effect="read")
async def number_of(name: str) -> str:
    """Tell a number, and much else."""
    return f"{'so it is. ' * 60}{name} is {sum(map(ord, name))}."


@pytest.mark.parametrize("is_durable", [False, True], ids=["memory", "sqlite"])
def test_what_was_not_shown_of_outputs_in_earlier_runs_of_a_session_can_be_read(tmp_path: Path, *, is_durable: bool) -> None:
    """By the names that the model sees; of another session, nothing."""
    asked: list[str] = []

    def says(request: SimRequest) -> SimSaid:
        if request.messages[-1].role == "tool":
            return "done"
        goal = asked[-1]
        return Call("number_of", {"name": goal}) if goal.isalpha() else Call("read_artifact", {"artifact": goal, "start": 590})

    sim = Sim(script=says)
    policy = ContextPolicy(preview_chars=50)
    agent = Agent(name="reader", model=SimModel(sim), tools=[number_of], context=policy)

    async def turn(runtime: Runtime, goal: str, session: str = "talk") -> str:
        asked.append(goal)
        handle = await runtime.start(agent, goal, options=StartOptions(session=session))
        await handle.result()
        replayed = await replay(runtime.journal, runtime.tenant, handle.run_id, agent)
        assert replayed.is_identical, replayed.render()
        return sim.requests[-1].messages[-1].text

    async def main() -> None:
        async with Runtime.open(journal_in(tmp_path) if is_durable else "memory://", app=App([agent])) as runtime:
            assert "'artifact': 't1.1'" in await turn(runtime, "alpha")
            assert "'artifact': 't1.1'" in await turn(runtime, "beta")
            assert "alpha is 518." in await turn(runtime, "h1.t1.1")
            assert "beta is 412." in await turn(runtime, "h2.t1.1")
            names = [message.text for message in sim.requests[-1].messages if "preview" in message.text]
            assert ["'artifact': 'h1.t1.1'" in names[0], "'artifact': 'h2.t1.1'" in names[1]] == [True, True]
            assert "no call of this run with the id 'h9.t1.1'" in await turn(runtime, "h9.t1.1")
            assert "no call of this run with the id 'h1.t1.1'" in await turn(runtime, "h1.t1.1", "other")

    asyncio.run(main())


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What came of a run that was handed from one runtime to the next after so many seconds."""

    requests: Sequence[SimRequest]
    kinds: Sequence[str]


async def on_sqlite(folder: Path, *, handovers: int) -> Interrupted:
    long = Long(turns=60, most=6000)
    run_id: RunId | None = None
    for place in range(handovers + 1):
        async with Runtime.open(journal_in(folder), app=App([long.agent]), world=World(random=NoJitter())) as runtime:
            handle = await runtime.start(long.agent, GOAL) if run_id is None else await runtime.resume(run_id)
            run_id = handle.run_id
            if place == handovers:
                assert await handle.result() == "that is the answer"
                facts = [fact.event.type async for fact in handle.facts()]
                return Interrupted(long.turns_asked, [kind for kind in facts if kind in {"model.called", "context.compacted"}])
            while long.talk.turn < (place + 1) * 15:  # noqa: ASYNC110  (the run goes on by itself meanwhile)
                await asyncio.sleep(0)
            await handle.suspend()
    raise AssertionError("it never ended")


@pytest.mark.slow
async def test_context_bounds_are_the_same_for_who_goes_on_with_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.integration.test_context_bounds.CALL_S", 0.002)
    (whole := tmp_path / "whole").mkdir()
    (pieces := tmp_path / "pieces").mkdir()
    uninterrupted, interrupted = await on_sqlite(whole, handovers=0), await on_sqlite(pieces, handovers=3)
    asked = {texts(request) for request in uninterrupted.requests}
    assert {texts(request) for request in interrupted.requests} == asked
    assert interrupted.kinds == uninterrupted.kinds
    assert "context.compacted" in interrupted.kinds


def test_context_bounds_of_the_catalog_hold_and_are_replayed(tmp_path: Path) -> None:
    long = Long(turns=60, policy=ContextPolicy())
    (tmp_path / "models.yaml").write_text(CATALOG.format(window=CAP))
    loaded = settings(tmp_path, {"catalog": "models.yaml"})

    async def main() -> None:
        async with Runtime.open("memory://", app=App([long.agent]), settings=loaded, world=world()) as runtime:
            handle = await runtime.start(long.agent, GOAL)
            assert await handle.result() == "that is the answer"
            assert await compactions(handle)
            replayed = await replay(runtime.journal, runtime.tenant, handle.run_id, long.agent)
            assert replayed.is_identical, replayed.render()

    run_virtual(main())
    must_hold(long, cap=CAP * 3 // 4)


def test_context_bounds_that_only_the_server_knows_are_survived_and_replayed() -> None:
    """The server's context is a third of what the agent believes: it says so, and what it refuses comes shorter."""
    long = Long(turns=60, most=3000, window=3000)

    async def main() -> None:
        async with Runtime.open("memory://", app=App([long.agent]), world=world()) as runtime:
            handle = await runtime.start(long.agent, GOAL)
            assert await handle.result() == "that is the answer"
            facts = [fact.event async for fact in handle.facts()]
            assert any(isinstance(event, ContextExceeded) for event in facts)
            assert any(isinstance(event, ContextCompacted) for event in facts)
            replayed = await replay(runtime.journal, runtime.tenant, handle.run_id, long.agent)
            assert replayed.is_identical, replayed.render()

    run_virtual(main())
    assert all("GOAL-MARK" in texts(request) and has_whole_pairs(request) for request in long.turns_asked)


def test_context_bounds_are_seen_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    long = Long(turns=30)

    async def main() -> RunId:
        async with Runtime.open(journal_in(tmp_path), app=App([long.agent])) as runtime:
            handle = await runtime.start(long.agent, GOAL)
            await handle.result()
            return handle.run_id

    monkeypatch.setattr("tests.integration.test_context_bounds.CALL_S", 0.0)
    run_id = asyncio.run(main())
    told = CliRunner().invoke(app, ["runs", "events", run_id])
    assert told.exit_code == 0
    assert "context.compacted" in told.stdout
    assert " tokens" in next(line for line in told.stdout.splitlines() if "context.compacted" in line)

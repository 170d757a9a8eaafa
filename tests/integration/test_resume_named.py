"""A run whose model was named from outside goes on with it, in whichever process."""

from pathlib import Path

from agent_sdk import Agent, App, Runtime, tool
from agent_sdk.config import load_settings
from agent_sdk.testing import Sim, SimServer


@tool(effect="once", approval=True)
async def pay(cents: int) -> str:
    """Pay."""
    return "paid"


async def test_a_run_goes_on_with_the_model_that_was_named_when_it_began(tmp_path: Path) -> None:
    nameless = Agent(name="clerk", tools=[pay])
    async with SimServer(Sim(seed=3, turns=1)) as server:
        environ = {"OPENAI_API_KEY": "sk-1", "AGENT_SDK__OPENAI__BASE_URL": server.openai_url}
        settings = load_settings(environ=environ, cwd=tmp_path)
        url = f"sqlite:///{tmp_path}/a.db"
        async with Runtime.open(url, app=App([nameless]), settings=settings) as runtime:
            run = await runtime.start(nameless.with_options(model="openai:gpt-5-mini"), "pay")
            waiting = await run.settled()
            assert waiting.reason == "approval"
        async with Runtime.open(url, app=App([nameless]), settings=settings) as later:
            for step in waiting.graph.parked:
                await later.approve(run.run_id, step)
            resumed = await later.resume(run.run_id)
            assert (await resumed.settled()).state == "succeeded"

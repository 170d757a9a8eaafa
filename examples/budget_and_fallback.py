"""A run with a budget, on a model with a stand-in: it waits where its money is spent, and goes on when the budget is raised.

    OPENAI_API_KEY=...  python examples/budget_and_fallback.py --usd 0.004 "Compare the climates of Oslo and Rome."

Any server that speaks OpenAI's protocol will do. Nobody knows what its calls cost, so bound their number:

    AGENT_SDK__OPENAI__BASE_URL=http://localhost:11434/v1  python examples/budget_and_fallback.py --model openai:qwen3 --calls 1
"""

import argparse
import asyncio
from collections.abc import Sequence
from decimal import Decimal

from agent_sdk import Agent, App, Budget, ModelSettings, Runtime, RunWaits, tool

SUN = {"Lisbon": "2,800 hours of sun", "Oslo": "1,700 hours of sun", "Rome": "2,500 hours of sun"}
MORE = Budget(usd=Decimal("0.50"), calls=20)


@tool(effect="read")
def climate(city: str) -> str:
    """Look up the climate of a city."""
    return SUN.get(city, "unknown")


async def main(goal: str, models: Sequence[str], budget: Budget) -> None:
    agent = Agent(
        name="adviser",
        model=models[0],
        fallbacks=models[1:],  # asked in this order, where the model before fails
        settings=ModelSettings(max_output_tokens=2_000),  # a bound on what one reply can cost
        instructions="Answer in one sentence.",
        tools=[climate],
        budget=budget,
    )
    async with Runtime.open("sqlite:///budget_and_fallback.db", app=App(agents=[agent])) as runtime:
        run = await runtime.start(agent, goal)
        try:
            answer = await run.result()
        except RunWaits as wait:
            print(wait)
            await runtime.set_budget(MORE, run=run.run_id)  # here a person would decide; `agent-sdk budget set` does the same
            answer = await run.result()
        spent = (await runtime.budget(run=run.run_id)).settled
    print(answer)
    print(f"{spent.calls} calls, {spent.tokens} tokens, ${spent.usd:f}")


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("goal", nargs="?", default="Compare the climates of Oslo and Rome.")
    options.add_argument("--model", action="append", help="vendor:name; the first is asked, the others stand in for it")
    options.add_argument("--usd", type=Decimal)
    options.add_argument("--calls", type=int)
    asked = options.parse_args()
    asyncio.run(main(asked.goal, asked.model or ["openai:gpt-5-mini", "openai:gpt-5-nano"], Budget(asked.usd, calls=asked.calls)))

"""A goal that a model plans: the whole plan is checked before anything runs, then performed in parallel, and journaled.

    OPENAI_API_KEY=...  python examples/plan_a_goal.py . "Which text file speaks of licences, and in which line first?"

Any server that speaks OpenAI's protocol will do (vLLM, Ollama, llama.cpp, ...):

    AGENT_SDK__OPENAI__BASE_URL=http://localhost:11434/v1  python examples/plan_a_goal.py --model openai:qwen3 . "..."
"""

import argparse
import asyncio

from pydantic import BaseModel

from agent_sdk import Agent, App, Files, Runtime


class Finding(BaseModel):
    """A place in a file that answers the question, or a part of it."""

    path: str
    line: int
    text: str


class Report(BaseModel):
    """All that was found."""

    findings: list[Finding]
    files: list[str]


async def main(folder: str, goal: str, model: str) -> None:
    agent = Agent(
        name="reader",
        model=model,
        strategy="plan",
        instructions="You answer questions about the text files of one folder.",
        tools=Files(folder).readers,
        output=Report,
    )
    async with Runtime.open("sqlite:///plan_a_goal.db", app=App(agents=[agent])) as runtime:
        run = await runtime.start(agent, goal)
        async for fact in run.watch():
            print(f"{fact.seq:>4}  {fact.event.type}")
        report = await run.result()  # a Report, validated
    for finding in report.findings:
        print(f"{finding.path}:{finding.line}: {finding.text}")
    print(f"looked at {len(report.files)} files; see: agent-sdk runs show {run.run_id} --journal sqlite:///plan_a_goal.db")


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("folder", nargs="?", default=".")
    options.add_argument("goal", nargs="?", default="Which text file speaks of licences, and in which line first?")
    options.add_argument("--model", default="openai:gpt-5-mini")
    asked = options.parse_args()
    asyncio.run(main(asked.folder, asked.goal, asked.model))

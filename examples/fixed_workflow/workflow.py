"""A workflow that its author wrote by hand, in workflow.yaml: no model plans it, and none is asked.

    cd FOLDER && python .../examples/fixed_workflow/workflow.py

It counts the words of all Markdown files below the folder that it is started in, and writes word-count.txt there. The run is kept in
workflow.db: stop the program at any moment, and `agent-sdk runs resume` goes on where it stopped, without doing a finished step again.
"""

import asyncio
from pathlib import Path

from pydantic import BaseModel

from agent_sdk import Agent, App, Files, Runtime, load_plan, tool

FOLDER = Path.cwd()


class Count(BaseModel):
    """How many words a file has."""

    path: str
    words: int


class Sum(BaseModel):
    """How many words there are, and a line for each file."""

    words: int
    report: str


@tool(effect="read")
def count_words(path: str) -> Count:
    """Count the words of a text file."""
    return Count(path=path, words=len((FOLDER / path).read_text(errors="replace").split()))


@tool(effect="read")
def add_up(counts: list[Count]) -> Sum:
    """Add the counts up."""
    words = sum(count.words for count in counts)
    lines = [f"{count.words:>8}  {count.path}" for count in sorted(counts, key=lambda count: -count.words)]
    return Sum(words=words, report="\n".join([*lines, f"{words:>8}  in all", ""]))


agent = Agent(
    name="counter",
    strategy="fixed",
    plan=load_plan(Path(__file__).with_name("workflow.yaml")),
    tools=[*Files(FOLDER).tools, count_words, add_up],
    output=Sum,
)
app = App(agents=[agent])


async def main() -> None:
    async with Runtime.open("sqlite:///workflow.db", app=app) as runtime:
        run = await runtime.start(agent, f"Count the words below {FOLDER}")
        print((await run.result()).report)
        print(f"look at it again: agent-sdk runs show {run.run_id} --journal sqlite:///workflow.db")


if __name__ == "__main__":
    asyncio.run(main())

"""An agent with a handful of real tools, and what checking a plan for it takes."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, JsonValue, TypeAdapter

from agent_sdk.core.agent import AgentSpec, Limits
from agent_sdk.core.findings import Finding
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.ports import Tool
from agent_sdk.core.run import Run
from agent_sdk.planning import AnswerType, PlanChecker, parse_plan
from agent_sdk.tools import tool
from tests.unit.core.toy import new_run


class File(BaseModel):
    path: str
    size_bytes: int


class Listing(BaseModel):
    files: list[File]
    total: int
    note: str | None = None


class Report(BaseModel):
    title: str
    total: int


class Query(BaseModel):
    word: str
    limit: int = 10


@tool(effect="read")
def list_files(root: str = ".", order: Literal["name", "size"] = "name") -> Listing:
    """List files."""
    raise NotImplementedError(root, order)


@tool(effect="read")
def read_file(path: str, limit: int = 100) -> str:
    """Read a file."""
    raise NotImplementedError(path, limit)


@tool(effect="read")
def count(texts: list[str]) -> int:
    """Count words."""
    raise NotImplementedError(texts)


@tool(effect="read")
def search(query: Query) -> list[File]:
    """Search files."""
    raise NotImplementedError(query)


@tool(effect="read")
def guess(hint: JsonValue = None) -> JsonValue:
    """Return anything."""
    raise NotImplementedError(hint)


@tool(effect="once")
def send(to: str, body: str) -> bool:
    """Send a message."""
    raise NotImplementedError(to, body)


TOOLS: dict[str, Tool] = {each.spec.name: each for each in (list_files, read_file, count, search, guess, send)}


def agent(
    *, output: type[BaseModel] | None = None, model: str | None = "test:model", limits: Limits | None = None, strategy: Strategy = "plan"
) -> AgentSpec:
    return AgentSpec(
        "clerk",
        model=model,
        instructions="You are a clerk.",
        strategy=strategy,
        tools=tuple(each.spec for each in TOOLS.values()),
        output_schema=output.model_json_schema() if output is not None else None,
        limits=limits if limits is not None else Limits(),
    )


def checker(spec: AgentSpec | None = None, output: type[BaseModel] | None = None) -> PlanChecker:
    spec = spec if spec is not None else agent(output=output)
    return PlanChecker(spec, TOOLS, AnswerType(TypeAdapter(output) if output is not None else None))


def plan_of(*steps: JsonValue, result: JsonValue = None) -> Plan:
    """Return the plan of these steps, each as a model writes it."""
    plan, findings = parse_plan(document(*steps, result=result))
    assert plan is not None, findings
    return plan


Json = dict[str, JsonValue]


def use(identity: str, name: str, **more: JsonValue) -> dict[str, JsonValue]:
    """Return a tool step; all but the fields of a step are arguments."""
    fields = ("when", "for_each", "after", "on_error")
    args: dict[str, JsonValue] = {key: value for key, value in more.items() if key not in fields}
    return {"id": identity, "tool": name, "args": args, **{key: value for key, value in more.items() if key in fields}}


def think(identity: str, **more: JsonValue) -> Json:
    """Return a model step."""
    return {"id": identity, "kind": "model", "prompt": "Think.", **more}


def document(*steps: JsonValue, result: JsonValue = None) -> Json:
    """Return a plan as a model writes it."""
    return {"steps": list(steps), "result": result}


def ref(text: str) -> dict[str, JsonValue]:
    return {"$ref": text}


def findings_of(*steps: JsonValue, result: JsonValue, check: PlanChecker | None = None, run: Run | None = None) -> Sequence[Finding]:
    check = check if check is not None else checker()
    return check.plan(plan_of(*steps, result=result), run if run is not None else new_run())

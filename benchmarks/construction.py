"""An agent with ten tools: declared, and with the schemas that its first run asks for."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field

from agent_sdk import Agent, tool
from benchmarks.measure import Case, Metric, Readings, Scale, at_most, cpu_us

TOOLS = 10


def cases(scale: Scale) -> Sequence[Case]:
    times = scale.pick(200, 5)
    few = scale.pick(10, 1)
    declared = Metric("us", "agent with ten tools, built", "us CPU", "100 us", at_most(100.0))
    ready = Metric("us", "the same with its schemas, made at the first run", "us CPU")
    return [
        Case("construction", [declared], lambda: _measured(_declare, times), lambda: _measured(_bare, times)),
        Case("construction, schemas", [ready], lambda: _measured(_describe, few), lambda: _measured(_bare, few)),
    ]


def _measured(make: Callable[[list[Callable[..., Any]]], object], times: int) -> Readings:
    """Build so many agents, each of functions of its own: what is kept by function is not measured away."""
    fresh = [[_function() for _ in range(TOOLS)] for _ in range(times)]

    def work() -> None:
        for functions in fresh:
            make(functions)

    return {"us": cpu_us(work, times)}


def _function() -> Callable[..., Any]:
    async def search(query: str, limit: Annotated[int, Field(ge=1)] = 5, tags: list[str] | None = None) -> list[str]:
        """Search the catalogue.

        Args:
            query: What to look for.
            limit: How many at most.
            tags: Only those that bear one of these.
        """
        return [query, *(tags or ())][:limit]

    search.__qualname__ = "search"  # as one that stands at a module's top, like most tools
    return search


def _declare(functions: list[Callable[..., Any]]) -> Agent[None, str]:
    tools = [tool(effect="read", name=f"search_{number}")(function) for number, function in enumerate(functions)]
    return Agent(name="analyst", model="openai:gpt-5-mini", instructions="Be brief.", tools=tools)


def _describe(functions: list[Callable[..., Any]]) -> object:
    return _declare(functions).spec


def _bare(functions: list[Callable[..., Any]]) -> object:
    """Write the schemas down as dicts, beside the functions that they are of."""
    return {
        "model": "gpt-5-mini",
        "functions": dict(enumerate(functions)),
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": f"search_{number}",
                    "description": "Search the catalogue.",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "query": {"type": "string", "description": "What to look for."},
                            "limit": {"type": "integer", "minimum": 1, "default": 5, "description": "How many at most."},
                            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
                        },
                        "required": ["query"],
                        "additionalProperties": False,
                    },
                },
            }
            for number in range(len(functions))
        ],
    }

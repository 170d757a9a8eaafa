"""A plan in a file is checked like any other, and each finding knows its line."""

from pathlib import Path

import pytest

from agent_sdk import Agent, tool
from agent_sdk.core.errors import PlanRefused
from agent_sdk.runtime.plan_file import load_plan, read_plan

GOOD = "steps:\n  - id: find\n    tool: search\n    args: {query: pen}\nresult: {$ref: find}\n"


@tool(effect="read")
async def search(query: str) -> list[str]:
    """Search."""
    return [query]


AGENT = Agent(name="shop", tools=[search])


def written(tmp_path: Path, text: str, name: str = "plan.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_plan_that_holds_is_had_for_an_agent(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert read_plan(path).check(AGENT) == ()
    assert [step.id for step in load_plan(path).steps] == ["find"]


def test_a_finding_knows_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("search", "serch"))
    file = read_plan(path)
    (finding,) = file.check(AGENT)
    assert file.located(finding).path == f"{path}:3:5: $.steps[0].tool"


def test_a_finding_in_toml_knows_its_file_alone(tmp_path: Path) -> None:
    path = written(tmp_path, 'result = {"$ref" = "find"}\n[[steps]]\nid = "find"\ntool = "serch"\n', "plan.toml")
    file = read_plan(path)
    assert file.located(file.check(AGENT)[0]).path == f"{path}: $.steps[0].tool"


def test_a_file_without_the_shape_of_a_plan_is_refused_with_its_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "steps:\n  - id: find\n")
    assert read_plan(path).check(AGENT)
    with pytest.raises(PlanRefused, match=r"plan\.yaml:2:5"):
        load_plan(path)

from dataclasses import replace

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.labels import TRUSTED, Label
from agent_sdk.core.tools import ToolSpec

SEARCH = ToolSpec("search", "Search.", {"type": "object"}, {"type": "array"}, "read")
AGENT = AgentSpec("a", tools=(SEARCH,), instructions="Be brief.")


def changed(one: AgentSpec, other: AgentSpec) -> set[str]:
    before, after = one.digests(), other.digests()
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_run_pins_the_tools_the_instructions_and_the_output_schema() -> None:
    assert set(AGENT.digests()) == {"tool:search", "instructions", "output"}
    assert changed(AGENT, replace(AGENT, instructions="Be long.")) == {"instructions"}
    assert changed(AGENT, replace(AGENT, output_schema={"type": "string"})) == {"output"}


def test_a_tools_digest_covers_what_safety_depends_on_and_not_its_words() -> None:
    assert changed(AGENT, replace(AGENT, tools=(replace(SEARCH, effect="once"),))) == {"tool:search"}
    assert changed(AGENT, replace(AGENT, tools=(replace(SEARCH, parameters={}),))) == {"tool:search"}
    assert changed(AGENT, replace(AGENT, tools=(replace(SEARCH, returns={}),))) == {"tool:search"}
    assert changed(AGENT, replace(AGENT, tools=(replace(SEARCH, description="Seek.", timeout_s=5.0),))) == set()


def test_a_tool_that_says_nothing_of_its_output_is_an_untrusted_source() -> None:
    assert SEARCH.label == Label(("tool:search",))
    assert replace(SEARCH, output_label=TRUSTED).label == TRUSTED

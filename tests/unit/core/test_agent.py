from dataclasses import replace
from typing import Any, cast

import pytest

from agent_sdk.core.agent import AgentSpec, ContextPolicy
from agent_sdk.core.errors import ConfigError
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


def test_instructions_that_are_made_for_each_run_are_pinned_by_who_makes_them() -> None:
    made = replace(AGENT, instructions="", instructions_by="app:brief")
    assert changed(made, replace(made, instructions="anything")) == set()
    assert changed(made, replace(made, instructions_by="app:long")) == {"instructions"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"compact_at": 0.5, "compact_to": 0.5}, "compacted at 0.5 and to 0.5"),
        ({"compact_at": 1.1}, "compacted at 1.1"),
        ({"compact_to": 0.0}, "to 0.0 of its size"),
        ({"max_tokens": 255}, r"max_tokens=255\) is too small"),
        ({"keep_turns": -1}, r"keep_turns=-1\) is too small"),
        ({"preview_chars": 0}, r"preview_chars=0\) is too small"),
    ],
)
def test_a_context_policy_that_cannot_be_kept_is_refused(given: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refusal:
        ContextPolicy(**cast("Any", given))
    assert refusal.value.hint is not None

"""The agents that a process knows: those that it names, and those that they call."""

import pytest

from agent_sdk import Agent, App
from agent_sdk.core.errors import ConfigError, NotFound
from tests.unit.runtime.scenes import agent, parent_of


def test_an_app_knows_the_subagents_of_its_agents_at_any_depth() -> None:
    child = agent("x", name="child")
    middle = parent_of(child, name="middle")
    app = App([parent_of(middle, name="top"), parent_of(child, name="other")])
    assert [each.name for each in app.known] == ["top", "other", "child", "middle"]
    assert app.agent("child") is child
    assert app.agent("middle") is middle


def test_an_agent_of_the_app_comes_before_a_subagent_of_its_name() -> None:
    named: Agent[None, str] = agent("x", name="child")
    app = App([parent_of(agent("y", name="child")), named])
    assert app.agent("child") is named
    assert len(app.known) == 2


def test_a_name_that_there_is_not_is_refused_with_one_that_there_is() -> None:
    app = App([parent_of(agent("x", name="child"), name="parent")])
    with pytest.raises(NotFound) as caught:
        app.agent("chidl")
    assert caught.value.hint == "did you mean 'child'?"


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two agents are named 'a'"):
        App([agent(name="a"), agent(name="a")])

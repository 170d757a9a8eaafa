"""The commands that are offered can be typed as they stand."""

from pathlib import Path

from agent_sdk.cli.recall import Recall
from agent_sdk.core.ids import RunId, StepId

RUN = RunId("run_1")


def test_what_the_settings_say_is_not_repeated() -> None:
    assert Recall().resume(RUN) == "agent-sdk runs resume run_1"


def test_what_this_command_line_named_is_named_again() -> None:
    recall = Recall(Path("other.yaml"), "shop:app", "sqlite:///my runs.db", "http://localhost:11434/v1")
    named = "--app shop:app --base-url http://localhost:11434/v1 --journal 'sqlite:///my runs.db'"
    assert recall.resume(RUN) == f"agent-sdk --config other.yaml runs resume run_1 {named}"


def test_a_command_that_performs_nothing_needs_no_app() -> None:
    assert Recall(app="shop:app", journal="sqlite:///a.db").show(RUN) == "agent-sdk runs show run_1 --journal sqlite:///a.db"


def test_a_step_is_quoted_where_a_shell_would_take_it_apart() -> None:
    assert Recall().decide(RUN, StepId("send[0]")) == "agent-sdk runs decide run_1 'send[0]' done|retry|skip|fail"

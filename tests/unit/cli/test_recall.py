"""The commands that are offered can be typed as they stand."""

from pathlib import Path

import pytest

from agent_sdk.cli.recall import Recall, program
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


@pytest.mark.parametrize(
    ("started", "is_found", "called"),
    [
        ("my env/bin/agent-sdk", False, "'my env/bin/agent-sdk'"),
        ("my env/bin/agent-sdk", True, "agent-sdk"),
        ("-c", False, "agent-sdk"),
    ],
)
def test_the_program_is_called_as_a_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str, is_found: bool, called: str
) -> None:
    if is_found:
        (tmp_path / "agent-sdk").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [started])
    assert program() == called
    assert Recall(program=program()).show(RUN) == f"{called} runs show run_1"


@pytest.mark.parametrize(
    ("journal", "shown"),
    [
        ("postgresql://me:secret@host/db?sslmode=require", '"$AGENT_SDK__JOURNAL"'),
        ("postgresql:///db?host=/run&password=secret", '"$AGENT_SDK__JOURNAL"'),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
    ],
)
def test_a_password_is_left_out_of_a_command_and_nothing_else(journal: str, shown: str) -> None:
    assert Recall(journal=journal).follow(RUN) == f"agent-sdk runs events run_1 --follow --journal {shown}"


def test_what_a_run_waits_for_is_told_it_by_a_command_of_its_own() -> None:
    recall, step = Recall(), StepId("t1.1")
    assert recall.approve(RUN, step) == "agent-sdk runs approve run_1 t1.1"
    assert recall.answer(RUN, step) == "agent-sdk runs answer run_1 t1.1 ANSWER"
    assert recall.signal(RUN, "paid in full") == "agent-sdk runs signal run_1 'paid in full'"
    assert recall.wake(RUN, "--accept-code") == "agent-sdk runs wake run_1 --accept-code"


def test_another_vendor_s_server_is_named_where_the_run_is_performed_and_nowhere_else() -> None:
    recall = Recall(base_url="http://here/v1", vendor="anthropic")
    assert recall.resume(RunId("run_1")) == "AGENT_SDK__ANTHROPIC__BASE_URL=http://here/v1 agent-sdk runs resume run_1"
    assert recall.show(RunId("run_1")) == "agent-sdk runs show run_1"


@pytest.mark.parametrize(
    ("row", "command"),
    [
        ("tenant:usd", "agent-sdk budget set --usd AMOUNT"),
        ("session/a b:tokens", "agent-sdk budget set --tokens AMOUNT --session 'a b'"),
        ("run/run_1:calls", "agent-sdk budget set --calls AMOUNT --run run_1"),
        ("", "mend that, then resume the run"),
    ],
)
def test_the_command_that_raises_a_budget_names_its_scope_and_unit(row: str, command: str) -> None:
    assert Recall().budget(row) == command

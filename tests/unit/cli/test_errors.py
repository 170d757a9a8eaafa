"""The exit codes are a promise to scripts, and the texts of errors are what people get."""

from pathlib import Path

import pytest

from agent_sdk.cli.errors import ExitCode, Interrupted, exit_code_of, exit_code_of_run, exit_code_table, first_cause, render_error
from agent_sdk.config import BadSetting, Origin, Place, SettingsInvalid
from agent_sdk.core import errors
from agent_sdk.core.events import Event, RunCancelled, RunExpired, RunFailed, RunReleased, RunSucceeded, RunWaiting
from agent_sdk.core.findings import Finding
from agent_sdk.core.labels import TRUSTED
from tests.unit.cli.folded import run_of

TABLE = """\
Exit codes:
    0  done; of a run: it has its answer
    1  the run failed, also where its model or a tool did, or was cancelled
    2  the command, the settings or the plan do not hold; nothing was done
    3  a limit was reached: turns, steps, retries, the deadline
    4  the journal, or something else outside of any run, cannot be used; the same may work later
    5  the run waits for somebody or something
   70  a fault in agent-sdk itself
  130  interrupted; the run is suspended and can be resumed
  141  whoever read the output is gone"""


def test_the_table_of_exit_codes_is_the_one_that_was_promised() -> None:
    assert exit_code_table() == TABLE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFound("x"), 2),
        (errors.RunBusy("x"), 2),
        (errors.RunEnded("x"), 2),
        (errors.PlanRefused([]), 2),
        (errors.ModelNotNamed("x"), 2),
        (SettingsInvalid([]), 2),
        (errors.TurnLimit("x"), 3),
        (errors.RunExpired("x"), 3),
        (errors.StorageFull("x"), 4),
        (errors.AuthFailed("x"), 4),
        (errors.RunWaits("x"), 5),
        (errors.RunFailed("x", failure_code="tool_failed"), 1),
        (errors.RunCancelled("x"), 1),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (ZeroDivisionError(), 70),
    ],
)
def test_a_class_of_errors_has_one_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (RunSucceeded(TRUSTED, 1), 0),
        (RunFailed("tool_failed"), 1),
        (RunCancelled(), 1),
        (RunFailed("turn_limit"), 3),
        (RunExpired(), 3),
        (RunWaiting("unknown_effect"), 5),
        (RunReleased("suspended"), 130),
    ],
)
def test_where_a_run_stands_decides_the_exit_code(last: Event, code: int) -> None:
    assert exit_code_of_run(run_of(last)) == code


def test_every_error_class_of_the_sdk_has_an_exit_code_of_its_own_kind() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AgentSDKError)]
    assert all(exit_code_of(kind.__new__(kind)) is not ExitCode.FAULT for kind in kinds)


def test_an_error_tells_cause_code_and_hint() -> None:
    assert render_error(errors.ModelNotNamed("agent 'a' names no model"), debug=False) == (
        "error: agent 'a' names no model [model_not_named]\n"
        "  hint: name one: --model openai:gpt-5-mini, the setting `model`, or Agent(model=...)"
    )


def test_settings_that_do_not_hold_tell_every_finding() -> None:
    findings = [
        BadSetting("wrong_value", Origin("environment", variable="AGENT_SDK__JOURNAL"), "not allowed", "journal", "a URL", '"x"'),
        BadSetting("unknown_key", Origin("command line"), "unknown key", "modle", hint="did you mean model?"),
    ]
    assert render_error(SettingsInvalid(findings), debug=False) == (
        "error: 2 things are wrong in the settings: [settings_invalid]\n"
        '  - environment AGENT_SDK__JOURNAL (journal): not allowed; expected a URL; found "x"\n'
        "  - command line (modle): unknown key; hint: did you mean model?"
    )


def test_a_secret_that_is_refused_is_told_in_whole_words() -> None:
    findings = [
        BadSetting("literal_secret", Origin("file", Path("a.yaml"), Place(2, 3)), "a secret may not stand here", "openai.api_key"),
        BadSetting("wrong_value", Origin("environment", variable="AGENT_SDK__OPENAI__API_KEY"), "not allowed", "openai.api_key"),
    ]
    assert render_error(SettingsInvalid(findings), debug=False).splitlines()[1:] == [
        "  - a.yaml:2:3 (openai.api_key): a secret may not stand here",
        "  - environment AGENT_SDK__OPENAI__API_KEY (openai.api_key): not allowed",
    ]


def test_a_refused_plan_tells_every_finding() -> None:
    refused = errors.PlanRefused([Finding("unknown_tool", "plan.yaml:3:5: $.steps[0].tool", "there is no tool 'serch'")])
    assert render_error(refused, debug=False) == (
        "error: the plan does not hold: [plan_refused]\n  - plan.yaml:3:5: $.steps[0].tool: there is no tool 'serch' [unknown_tool]"
    )


def test_a_secret_in_an_error_is_masked() -> None:
    assert "hunter2" not in render_error(errors.ToolError("login failed: password=hunter2", hint="try password=hunter2"), debug=False)


def test_a_fault_of_ours_asks_for_a_report() -> None:
    assert render_error(ZeroDivisionError("division by zero"), debug=False) == (
        "error: ZeroDivisionError: division by zero [internal_error]\n"
        "  hint: this is a fault in agent-sdk: please report it, with what `agent-sdk --debug ...` shows"
    )


def test_a_traceback_comes_with_debug_alone() -> None:
    error = errors.NotFound("there is no run x")
    assert "Traceback" not in render_error(error, debug=False)
    assert render_error(error, debug=True).startswith("agent_sdk.core.errors.NotFound: there is no run x")


def test_an_interrupt_is_no_error() -> None:
    assert render_error(KeyboardInterrupt(), debug=False) == "interrupted"


def test_of_a_group_of_errors_ours_comes_first() -> None:
    ours = errors.StorageFull("full")
    assert first_cause(BaseExceptionGroup("tasks", [ZeroDivisionError(), ExceptionGroup("inner", [ours])])) is ours


def test_an_error_that_is_no_group_is_its_own_cause() -> None:
    error = ZeroDivisionError()
    assert first_cause(error) is error

from collections.abc import Iterator

from agent_sdk.core.errors import (
    AgentSDKError,
    ArgumentsInvalid,
    ConfigError,
    LimitError,
    ModelNotNamed,
    OutsideError,
    PlanRefused,
    RateLimited,
    RequestError,
    ResultInvalid,
    RunFailed,
)
from agent_sdk.core.findings import Finding

FINDING = Finding("cycle", "$.steps[0]", "a circle")


def tree(kind: type[AgentSDKError] = AgentSDKError) -> Iterator[type[AgentSDKError]]:
    for child in kind.__subclasses__():
        if child.__module__ == AgentSDKError.__module__:
            yield child
            yield from tree(child)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in tree()]
    assert len(codes) == len(set(codes))
    assert "error" not in codes


def test_the_branches_say_who_must_act() -> None:
    branches = {RequestError, ConfigError, LimitError, OutsideError}
    assert {kind for kind in tree() if AgentSDKError in kind.__bases__} - branches == {
        kind for kind in tree() if kind.code in {"run_failed", "run_cancelled"}
    }


def test_a_hint_is_the_classs_own_where_none_is_given() -> None:
    assert ModelNotNamed("no model").hint == ModelNotNamed.default_hint
    assert ModelNotNamed("no model", hint="say so").hint == "say so"
    assert RequestError("no").hint is None


def test_errors_carry_what_their_readers_need() -> None:
    assert str(RateLimited("slow down", retry_after_s=1.5)) == "slow down"
    assert RateLimited("slow down", retry_after_s=1.5).retry_after_s == 1.5
    assert RunFailed("why", failure_code="turn_limit", hint="how").failure_code == "turn_limit"
    assert ArgumentsInvalid("no", findings=(FINDING,)).findings == (FINDING,)
    assert ResultInvalid("no", findings=(FINDING,)).findings == (FINDING,)


def test_a_refused_plan_says_all_that_is_wrong() -> None:
    assert str(PlanRefused([FINDING, FINDING])) == "the plan does not hold:\n- $.steps[0]: a circle [cycle]\n- $.steps[0]: a circle [cycle]"

from typing import Any

import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import TenantId
from agent_sdk.core.rates import SLOTS, RateLimit, RateRule, RateScope


@pytest.mark.parametrize(
    ("by", "amounts", "complaint"),
    [
        ((), {"requests": 1}, "cannot go by"),
        (("model", "model"), {"requests": 1}, "cannot go by"),
        (("planet",), {"requests": 1}, "cannot go by"),
        (("model",), {}, "limits nothing"),
        (("model",), {"requests": 0}, "lets nothing pass"),
        (("key",), {"tokens": -5}, "lets nothing pass"),
        (("tenant",), {"concurrency": 0}, "lets nothing pass"),
        (("model",), {"requests": 1.5}, "cannot be 1.5 requests"),
        (("model",), {"requests": float("nan")}, "cannot be nan requests"),
        (("model",), {"tokens": True}, "cannot be True tokens"),
        (("model",), {"tokens": 10**30}, "cannot be 1000"),
        (("model",), {"concurrency": "5"}, "cannot be '5' concurrency"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(by: tuple[RateScope, ...], amounts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        RateRule(by, amounts.get("requests"), amounts.get("tokens"), amounts.get("concurrency"))


def test_a_rule_of_a_tenant_goes_by_tenants() -> None:
    assert RateRule(("tenant",), requests=1, of=TenantId("acme")).of == "acme"
    with pytest.raises(ConfigError, match="by model cannot be that of tenant 'acme'"):
        RateRule(("model",), requests=1, of=TenantId("acme"))


@pytest.mark.parametrize("period_s", [0.0, -1.0, float("nan"), float("inf"), 1e15])
def test_a_period_is_a_time_above_nothing(period_s: float) -> None:
    with pytest.raises(ConfigError, match="period"):
        RateRule(("model",), requests=1, period_s=period_s)


@pytest.mark.parametrize("period_s", [0.001, 1.0, 60.0, 61.7])
def test_all_slots_together_are_never_shorter_than_the_period(period_s: float) -> None:
    assert RateLimit("a", period_s=period_s).slot_us * SLOTS >= period_s * 1_000_000


def test_a_call_takes_no_more_than_the_whole_limit_and_nothing_where_nothing_is_counted() -> None:
    assert RateLimit("a", tokens=100).share(70) == 70
    assert RateLimit("a", tokens=100).share(700) == 100
    assert RateLimit("a", requests=100).share(70) == 0


def test_a_rule_that_can_be_kept_is_one() -> None:
    assert RateRule(("tenant", "model"), tokens=1, period_s=0.001).requests is None

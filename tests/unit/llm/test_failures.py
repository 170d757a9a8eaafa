from collections.abc import Iterator

import pytest

from agent_sdk.core.errors import BadRequest, ModelError, RateLimited, Unavailable
from agent_sdk.llm.failures import FALLS_BACK, TREATMENTS, UNSENT, CircuitOpen, treatment
from agent_sdk.llm.rate_limiter import RateLimitFull


def ours(kind: type[ModelError] = ModelError) -> Iterator[type[ModelError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith(("agent_sdk.core", "agent_sdk.llm")):
            yield from ours(child)


def test_every_failure_of_a_model_has_its_treatment() -> None:
    assert set(ours()) == set(TREATMENTS)


class Melted(Unavailable):
    """A user's own."""


def test_a_user_s_own_error_is_treated_as_the_class_that_it_refines() -> None:
    assert treatment(Melted("hot")) is TREATMENTS[Unavailable]
    assert treatment(ModelError("odd")) is TREATMENTS[ModelError]


def test_what_tells_of_an_outage_or_of_a_limit_falls_back_and_what_the_caller_must_mend_does_not() -> None:
    assert {Unavailable, RateLimited, CircuitOpen, RateLimitFull} <= FALLS_BACK
    assert BadRequest not in FALLS_BACK


@pytest.mark.parametrize("kind", [CircuitOpen, RateLimitFull])
def test_what_was_never_sent_is_not_tried_again_in_place(kind: type[ModelError]) -> None:
    assert not kind.retryable
    assert kind in FALLS_BACK
    assert kind.code in UNSENT
    assert treatment(kind("no")).vendor == "unknown"

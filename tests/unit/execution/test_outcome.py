"""What a failure says of itself."""

import pytest

from agent_sdk.core.errors import AuthFailed, ModelError, NotDone, Overloaded
from agent_sdk.core.usage import Attempt
from agent_sdk.execution.outcome import MAX_TEXT_CHARS, failed


def after(error: ModelError, *tried: Attempt) -> ModelError:
    error.tried = tried
    return error


def test_each_model_that_was_tried_is_told_with_what_became_of_it() -> None:
    error = after(
        AuthFailed("wrong key"),
        Attempt(1, "model_unavailable"),
        Attempt(1, "model_unavailable"),
        Attempt(1, "model_overloaded", "second"),
        Attempt(1, "model_auth_failed", "third"),
    )
    found = failed(error)
    assert (found.code, found.message) == (
        "model_auth_failed",
        "wrong key (tried the model asked for: model_unavailable 2 times, second: model_overloaded, third: model_auth_failed)",
    )


def test_the_models_tried_are_told_however_long_the_error_is() -> None:
    found = failed(after(Overloaded("x" * 9000), Attempt(1, "model_overloaded"), Attempt(1, None, "second\ud800")))
    assert found.message.startswith("x" * MAX_TEXT_CHARS + " (tried the model asked for: model_overloaded, second")
    assert found.message.endswith("\\ud800: model_overloaded)")


@pytest.mark.parametrize("error", [Overloaded("busy"), after(Overloaded("busy"), Attempt(1, "model_overloaded")), NotDone("busy")])
def test_where_one_model_was_asked_nothing_is_added(error: Exception) -> None:
    assert failed(error).message == "busy"

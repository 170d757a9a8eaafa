import pytest
from pydantic import ValidationError

from agent_sdk.core.codec import dump, from_json, load, to_json
from agent_sdk.core.events import StepStarted
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import Label


def test_fields_that_hold_nothing_are_left_out() -> None:
    assert dump(Label()) == b'{"untrusted":[]}'
    assert to_json(Label, Label(("web",), ())) == {"untrusted": ["web"], "readers": []}


def test_only_the_named_fields_are_written() -> None:
    assert dump(Label(("web",), ("ann",)), ["readers"]) == b'{"readers":["ann"]}'


def test_unknown_fields_are_passed_over_and_missing_ones_take_their_defaults() -> None:
    assert load(StepStarted, b'{"step":"a","colour":"red"}') == StepStarted(StepId("a"))
    assert from_json(Label, {}) == Label()


def test_bytes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValidationError):
        load(StepStarted, b"{}")
    with pytest.raises(ValidationError):
        from_json(Label, {"untrusted": 5})

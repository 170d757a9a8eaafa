import math
from random import Random

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.digest import canonical_json, digest_of
from tests.unit.core.generated import JSON, OBJECTS


@given(OBJECTS, st.randoms())
def test_the_order_of_keys_makes_no_difference(value: dict[str, JsonValue], chance: Random) -> None:
    items = list(value.items())
    chance.shuffle(items)
    assert digest_of(dict(items)) == digest_of(value)


@given(JSON, JSON)
def test_equal_bytes_mean_equal_values(one: JsonValue, other: JsonValue) -> None:
    assert (canonical_json(one) == canonical_json(other)) <= (one == other)


def test_the_bytes_are_utf8_without_white_space() -> None:
    assert canonical_json({"b": [1, None], "a": "ä"}) == '{"a":"ä","b":[1,null]}'.encode()
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_what_json_cannot_hold_has_no_digest(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of(value)

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import Progress, TextDelta
from agent_sdk.core.ports import TokenDelta
from agent_sdk.dispatch.pieces import MESSAGE_BYTES, decode_pieces, encode_pieces, topic_of


def delta(index: int, text: str) -> TokenDelta:
    return TokenDelta(RunId("run-1"), 2, StepId("t1"), 1, index, TextDelta(text))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_is_encoded_is_decoded_as_it_was(texts: list[str]) -> None:
    deltas = [delta(index, text) for index, text in enumerate(texts)]
    assert [each for message in encode_pieces(deltas) for each in decode_pieces(message)] == deltas


def test_a_value_that_is_not_given_is_none_again() -> None:
    half = TokenDelta(RunId("r"), 0, StepId("s"), 1, 0, Progress("half"))
    assert decode_pieces(next(encode_pieces([half]))) == [half]


def test_messages_are_filled_to_a_size_and_cut_between_pieces() -> None:
    messages = list(encode_pieces([delta(index, "x" * 1000) for index in range(200)]))
    assert len(messages) == 4
    assert max(map(len, messages)) < MESSAGE_BYTES + 2000


def test_a_piece_that_is_no_whole_text_is_left_out() -> None:
    assert [decode_pieces(message) for message in encode_pieces([delta(0, "\ud800"), delta(1, "whole")])] == [[delta(1, "whole")]]


@pytest.mark.parametrize("data", [b"", b"no", b"1", b"[[]]", b'[["r", 1, "s", 1, 0, "song", {}]]', b'[["r", 1, "s", 1, 0, "text", {}]]'])
def test_a_message_that_cannot_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|no message"):
        decode_pieces(data)


def test_each_tenant_s_run_has_a_topic_of_its_own() -> None:
    topics = {topic_of(TenantId(tenant), RunId(run)) for tenant, run in [("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"), ('a", "b', "")]}
    assert len(topics) == 5
    assert all(len(topic) <= 40 and topic.replace("_", "").isalnum() for topic in topics)

import codecs
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from agent_sdk.llm.sse import EventBytes

STREAM = (
    ": a comment\r\n"
    'event: message\nid: 7\ndata: {"a": 1}\n\n'
    "data:no space\r\n\r\n"
    "data: two\ndata: lines\n\n"
    "retry: 10\n\n"
    "data: Käse 🧀\r\r"
    "data\n\n: keep-alive\n\ndata: [DONE]\n\n"
).encode()
EVENTS = [b'{"a": 1}', b"no space", b"two\nlines", "Käse 🧀".encode(), b"[DONE]"]


def events(pieces: list[bytes]) -> list[bytes]:
    parser = EventBytes()
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(borders: list[int]) -> list[bytes]:
    ends = [0, *sorted(borders), len(STREAM)]
    return [STREAM[start:end] for start, end in pairwise(ends)]


def test_events_are_found_in_one_piece() -> None:
    assert events([STREAM]) == EVENTS


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_byte_order_mark_before_the_stream_hides_nothing(size: int) -> None:
    marked = codecs.BOM_UTF8 + b"data: " + codecs.BOM_UTF8 + b"1\n\n" + STREAM
    assert events([marked[at : at + size] for at in range(0, len(marked), size)]) == [codecs.BOM_UTF8 + b"1", *EVENTS]


def test_events_are_found_byte_by_byte() -> None:
    assert events([STREAM[n : n + 1] for n in range(len(STREAM))]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_events(borders: list[int]) -> None:
    assert events(cut(borders)) == EVENTS


def test_what_no_empty_line_ended_is_no_event() -> None:
    assert events([b"data: whole\n\ndata: half"]) == [b"whole"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_of_the_three_line_ends_ends_a_line(end: bytes) -> None:
    assert events([b"data: 1" + end + end, b"data: 2" + end + end + b": \n"]) == [b"1", b"2"]

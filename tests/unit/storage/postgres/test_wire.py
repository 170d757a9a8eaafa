import pytest

from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.storage.follow import DUE, MAIL
from agent_sdk.storage.postgres.wire import EVERYTHING, LONGEST_BYTES, News, parse_news, render_news

A, B = (TenantId("acme"), RunId("a")), (TenantId("gl\u00f6bex"), RunId("b"))


def test_news_are_read_as_they_were_written() -> None:
    keys = parse_news(render_news(News({A, B}, {MAIL, DUE})))
    assert keys is not None
    assert set(keys) == {A, B, MAIL, DUE}


def test_news_too_long_for_a_payload_say_that_everything_may_have_changed() -> None:
    runs = {(TenantId("acme"), RunId(f"run-{number}")) for number in range(1000)}
    assert render_news(News(runs)) == EVERYTHING
    assert len(render_news(News(set(list(runs)[:200]))).encode()) <= LONGEST_BYTES
    assert parse_news(EVERYTHING) is None


@pytest.mark.parametrize("payload", ["", "hello", "{}", "[1]", '[["acme"]]', '[["acme", 1]]'])
def test_what_somebody_else_sends_on_the_channel_wakes_all_and_harms_nobody(payload: str) -> None:
    assert parse_news(payload) is None


def test_nothing_is_news_until_something_changed() -> None:
    assert not News()
    assert News(marks={DUE})

import json
import time

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.llm import QuotaExhausted
from agent_sdk.llm.vendor_errors import Place, error_inside, not_the_protocol, refusal, retry_after_s

PLACE = Place("http://here/v1", secret="sk-secret")


def body(message: str, code: str | None = None, kind: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "sent", "kind"),
    [
        (400, body("bad", kind="invalid_request_error"), BadRequest),
        (400, body("too long", "context_length_exceeded"), ContextTooLong),
        (400, body("This model's maximum context length is 4096 tokens. However, you requested 5000", "400"), ContextTooLong),
        (400, body("the request exceeds the available context size", kind="exceed_context_size_error"), ContextTooLong),
        (413, body("Request too large: tokens per minute", "rate_limit_exceeded", "tokens"), ContextTooLong),
        (400, body("filtered", "content_filter"), ContentRefused),
        (401, body("Incorrect API key", "invalid_api_key"), AuthFailed),
        (401, b"", AuthFailed),
        (402, body("no money"), QuotaExhausted),
        (403, b"Forbidden", AuthFailed),
        (407, b"", AuthFailed),
        (404, body("no such model", "model_not_found"), BadRequest),
        (408, b"", Unavailable),
        (422, b'{"detail": "wrong"}', BadRequest),
        (429, body("slow down", "rate_limit_exceeded"), RateLimited),
        (429, body("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), QuotaExhausted),
        (500, body("The context window server broke"), Unavailable),
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", Unavailable),
        (503, b"", Overloaded),
        (504, b"", Unavailable),
        (529, b"", Overloaded),
        (302, b"", BadRequest),
    ],
)
def test_a_refusal_is_classified_by_its_words_and_its_status(status: int, sent: bytes, kind: type[ModelError]) -> None:
    assert type(refusal(status, {}, sent, PLACE)) is kind


def test_an_empty_purse_is_not_asked_again() -> None:
    assert refusal(429, {}, body("no money", "insufficient_quota"), PLACE).retryable is False
    assert refusal(429, {}, body("slow down"), PLACE).retryable is True


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (body("Slow  down\nplease"), "Slow down please"),
        (b'{"error": "model not loaded"}', "model not loaded"),
        (b'{"object": "error", "message": "vllm says", "code": 400}', "vllm says"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"loc": ["body"]}]}', '{"detail": [{"loc": ["body"]}]}'),
        (b"plain words", "plain words"),
        (b"[1]", "[1]"),
        (b"<html><title>Proxy\n login</title><body>x</body></html>", "an HTML page, Proxy login"),
        (b"<p>Sorry, <b>no</b>.</p>", "an HTML page, Sorry, no ."),
        (b"", "no message"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_server_s_words_are_found_in_every_usual_shape(sent: bytes, message: str) -> None:
    assert refusal(400, {}, sent, PLACE).message == f"http://here/v1 answered 400: {message}"


def test_the_key_is_cut_out_of_what_the_server_says() -> None:
    error = refusal(401, {}, body("the key sk-secret is wrong"), PLACE)
    assert "sk-secret" not in str(error)
    assert "the key [secret] is wrong" in str(error)


def test_a_long_page_is_shown_by_its_beginning() -> None:
    assert len(str(refusal(500, {}, b"x" * 100_000, PLACE))) < 600


def test_the_vendor_s_id_of_the_exchange_is_named() -> None:
    assert "(request req_7)" in str(refusal(500, {"x-request-id": "req_7"}, b"", PLACE))


def test_a_redirect_names_where_it_leads_and_what_to_do() -> None:
    error = refusal(307, {"Location": "https://elsewhere/v1"}, b"", PLACE)
    assert "https://elsewhere/v1" in error.message
    assert "base_url" in (error.hint or "")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:10 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:10 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:10 GMT", "Date": "Wed, 21 Oct 2015 07:28:00"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "20ms"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": ""}, None),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_every_header_that_says_it(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_only_what_may_be_tried_again_says_when() -> None:
    assert refusal(429, {"Retry-After": "7"}, b"", PLACE).retry_after_s == 7.0
    assert refusal(400, {"Retry-After": "7"}, b"", PLACE).retry_after_s is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "busy", "type": "server_error"}, Unavailable),
        ({"message": "busy", "code": 429}, RateLimited),
        ({"message": "busy", "code": "rate_limit_exceeded"}, RateLimited),
        ({"message": "busy", "type": "overloaded_error"}, Overloaded),
        ({"message": "bad", "type": "invalid_request_error"}, BadRequest),
        ({"message": "too long", "code": "context_length_exceeded"}, ContextTooLong),
        ("words", Unavailable),
        (["odd"], Unavailable),
    ],
)
def test_an_error_in_the_middle_of_a_reply_is_classified_too(error: JsonValue, kind: type[ModelError]) -> None:
    assert type(error_inside(error, PLACE)) is kind


def test_what_is_not_the_protocol_is_shown_in_part() -> None:
    error = not_the_protocol("what is not JSON", b"<html><title>Login</title>", PLACE)
    assert isinstance(error, ReplyInvalid)
    assert error.message == "http://here/v1 sent what is not JSON: an HTML page, Login"
    assert not_the_protocol("a reply without choices", b"", PLACE).message.endswith("a reply without choices")


@pytest.mark.parametrize("page", [b"<" * 60_000, b"<title" * 10_000, b"<title>" * 9_000], ids=["open", "half", "titles"])
def test_a_page_made_to_be_slow_to_read_is_read_in_one_pass(page: bytes) -> None:
    began_at = time.process_time()
    assert "an HTML page" in refusal(502, {}, page, PLACE).message
    assert time.process_time() - began_at < 0.5


def test_a_date_that_no_calendar_has_says_nothing() -> None:
    assert (
        retry_after_s({"Retry-After": "Mon, 999999999999999999999 Jan 2024 00:00:00 GMT", "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}) is None
    )


def test_neither_the_message_nor_the_request_s_id_steers_a_terminal_or_tells_the_key() -> None:
    error = refusal(401, {"x-request-id": "sk-secret\x1b[2J"}, body("sk-secret \x1b]0;title\x07\r\nWARNING a line of its own"), PLACE)
    assert error.message.isprintable()
    assert "sk-secret" not in error.message


def test_a_message_without_end_costs_little_and_shows_no_secret_at_its_cut() -> None:
    began = time.process_time()
    shown = PLACE.clean("word " * 8_000_000)
    assert shown == ("word " * 200)[:500] + "..."
    assert PLACE.clean(" " * 5_000_000 + "sk-secret") == "[secret]"
    assert PLACE.clean("x" * 495 + "sk-secret and more") == "x" * 495 + "[secr..."
    assert PLACE.clean("\x1b[31m" * 1_000_000) == ("\ufffd[31m" * 100)[:500] + "..."
    assert time.process_time() - began < 1


def test_a_place_is_shown_without_its_secrets() -> None:
    assert repr(Place("http://here/v1", "sk-secret", ("more-secret",))) == "Place(url='http://here/v1')"

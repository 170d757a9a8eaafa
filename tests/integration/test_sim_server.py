"""The simulated server under the vendors' own SDKs and bare HTTP: whole replies, and every kind of failure (`-k fake_llm`)."""

import json
import time
from collections.abc import Generator
from decimal import Decimal

import anthropic
import jsonschema
import openai
import pytest
from google.genai.errors import APIError
from pydantic import JsonValue

from agent_sdk.core.usage import Usage
from agent_sdk.testing import Call, Delivery, Fault, FaultKind, Latency, RawReply, Sim, SimPrice, SimReply, SimServer, constant
from tests.integration.sim_clients import DIALECTS, PARAMETERS, Clients, Dialect, Heard, open_clients
from tests.integration.sim_http import Answer, is_json, payloads, post, question

PRICES = {"m": SimPrice(Decimal("2.50"), Decimal("10.00"), cached_input=Decimal("0.25"))}
dialects = pytest.mark.parametrize("dialect", DIALECTS)
both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module", name="served")
def fake_llm_served() -> Generator[SimServer]:
    with SimServer(Sim(), time_scale=0.0).start_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def clients(served: SimServer) -> Generator[Clients]:
    made = open_clients(served)
    yield made
    made.close()


def arguments(call: Call) -> JsonValue:
    return call.args if isinstance(call.args, str) else dict(call.args)


SAID = [
    SimReply("Grüße aus 東京 🧀\n\n\ttab"),
    SimReply("data: [DONE]\n\nevent: error"),
    SimReply("answer", reasoning="let me think"),
    SimReply(calls=(Call("search", {"q": "käse", "n": 1}),)),
    SimReply(calls=(Call("search", {}),)),
    SimReply(
        "Let me see.", calls=(Call("search", {"q": "a", "n": 1}), Call("search", {"deep": {"list": [1, 2.5, None, True]}})), reasoning="two"
    ),
]


@both
@dialects
@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
def test_fake_llm_replies_are_heard_by_the_vendors_own_sdk(
    served: SimServer, clients: Clients, said: SimReply, dialect: Dialect, is_stream: bool
) -> None:
    served.sim = Sim([said])
    heard = clients.ask(dialect, is_stream=is_stream)
    assert heard.text == said.text
    assert heard.thoughts == said.reasoning
    assert [(name, json.loads(text)) for _, name, text in heard.calls] == [(call.tool, arguments(call)) for call in said.calls]
    assert len({identity for identity, _, _ in heard.calls}) == len(said.calls)
    request = served.sim.requests[0]
    assert heard.usage is not None
    assert (heard.usage.input_tokens, heard.usage.output_tokens) == (request.input_tokens, said.output_tokens)
    assert heard.usage.reasoning_tokens == (0 if not said.reasoning else SimReply(said.reasoning).output_tokens)
    assert (request.goal, request.wanted.is_stream) == ("Hi", is_stream)


@both
@dialects
def test_fake_llm_makes_up_calls_that_are_valid_and_then_an_answer(
    served: SimServer, clients: Clients, dialect: Dialect, is_stream: bool
) -> None:
    for seed in range(5):
        served.sim = Sim(seed=seed, thinks=True)
        heard = clients.ask(dialect, is_stream=is_stream)
        assert heard.calls
        for _, name, text in heard.calls:
            assert name == "search"
            jsonschema.validate(json.loads(text), PARAMETERS)
        assert clients.ask(dialect, is_stream=is_stream, tools=False).text


@dialects
def test_fake_llm_says_the_same_whatever_the_protocol_and_whether_streamed(served: SimServer, clients: Clients, dialect: Dialect) -> None:
    def heard(dialect: Dialect, is_stream: bool) -> Heard:
        served.sim = Sim(seed=3)
        return clients.ask(dialect, is_stream=is_stream, tools=False)

    assert heard(dialect, False).text == heard(dialect, True).text == heard("openai_chat", False).text


@both
@dialects
def test_fake_llm_bills_what_was_reported_exactly(served: SimServer, clients: Clients, dialect: Dialect, is_stream: bool) -> None:
    used = Usage(1_000_003, 7, 3 if dialect != "anthropic" else 0)
    served.sim = Sim([SimReply("a b", usage=used)] * 2, prices=PRICES)
    assert clients.ask(dialect, is_stream=is_stream).usage == used
    clients.ask(dialect, is_stream=is_stream)
    one = PRICES["m"].cost_usd(used)
    assert one == (Decimal("2.50007075") if dialect != "anthropic" else Decimal("2.5000775"))
    assert served.sim.billed == 2 * one


@dialects
def test_fake_llm_survives_small_pieces(dialect: Dialect) -> None:
    said = SimReply("Grüße 🧀", calls=(Call("search", {"q": "ü"}),))
    with SimServer(Sim([said]), delivery=Delivery(piece_bytes=3)).start_in_thread() as server:
        made = open_clients(server)
        heard = made.ask(dialect, is_stream=True)
        made.close()
    assert (heard.text, json.loads(heard.calls[0][2])) == ("Grüße 🧀", {"q": "ü"})


@dialects
def test_fake_llm_compresses_on_request(dialect: Dialect) -> None:
    with SimServer(Sim(["small"]), delivery=Delivery(is_gzip=True)).start_in_thread() as server:
        made = open_clients(server)
        assert made.ask(dialect, is_stream=False).text == "small"
        made.close()


STATUS: dict[FaultKind, tuple[int, int, int, int]] = {
    "rate_limited": (429, 429, 429, 429),
    "overloaded": (503, 503, 529, 503),
    "server_error": (500, 500, 500, 500),
    "context_too_long": (400, 400, 400, 400),
    "auth_failed": (401, 401, 401, 400),
    "unknown_model": (404, 404, 404, 404),
    "filtered": (400, 400, 400, 200),
}
WORDS: dict[FaultKind, tuple[str, str, str]] = {
    "rate_limited": ("rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "overloaded": ("overloaded", "overloaded_error", "UNAVAILABLE"),
    "server_error": ("server_error", "api_error", "INTERNAL"),
    "context_too_long": ("context_length_exceeded", "prompt is too long", "exceeds the maximum number of tokens"),
    "auth_failed": ("invalid_api_key", "authentication_error", "API_KEY_INVALID"),
    "unknown_model": ("model_not_found", "not_found_error", "NOT_FOUND"),
    "filtered": ("content_policy_violation", "content filtering", "blockReason"),
}


@both
@dialects
@pytest.mark.parametrize("kind", STATUS)
def test_fake_llm_errors_are_the_vendors_own(
    served: SimServer, clients: Clients, kind: FaultKind, dialect: Dialect, is_stream: bool
) -> None:
    at = DIALECTS.index(dialect)
    served.sim = Sim([Fault(kind, retry_after_s=2.5)] * 2)
    answer = ask(served, dialect, is_stream=is_stream)
    assert answer.status == STATUS[kind][at]
    assert WORDS[kind][max(0, at - 1)] in answer.body.decode()
    if kind == "rate_limited":
        assert answer.headers.get("retry-after") == ("3" if dialect != "gemini" else None)
        assert dialect != "gemini" or '"retryDelay":"2.5s"' in answer.body.decode()
    if answer.status == 200:
        assert clients.ask(dialect, is_stream=is_stream).text == ""
    else:
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError, APIError)) as caught:
            clients.ask(dialect, is_stream=is_stream)
        assert answer.status == status_of(caught.value)
    assert (served.sim.faulted[kind], served.sim.charges) == (2, [])


BREAKS: list[tuple[FaultKind, bool]] = [
    *[(kind, is_stream) for kind in ("timeout", "stall", "closed", "html", "malformed_json") for is_stream in (False, True)],
    ("error_in_stream", True),
]


@dialects
@pytest.mark.parametrize(("kind", "is_stream"), BREAKS)
def test_fake_llm_breaks_off_as_it_was_told(served: SimServer, kind: FaultKind, dialect: Dialect, is_stream: bool) -> None:
    served.sim = Sim([Fault(kind)], prices=PRICES)
    answer = ask(served, dialect, is_stream=is_stream)
    assert answer.is_silent == (kind in {"timeout", "stall"})
    assert answer.is_cut == (kind == "closed")
    assert (answer.status == 0) == (kind == "timeout")
    if kind == "html":
        assert (answer.headers["content-type"], b"<html>" in answer.body) == ("text/html", True)
    if kind == "malformed_json":
        assert not all(map(is_json, payloads(answer.body)))
    if kind == "error_in_stream":
        assert "error" in json.loads(payloads(answer.body)[-1]) or json.loads(payloads(answer.body)[-1])["type"] == "error"
    assert served.sim.faulted == {kind: 1}
    assert bool(served.sim.billed) == (is_stream and dialect in {"anthropic", "gemini"} and kind not in {"timeout", "html"})


@both
@dialects
@pytest.mark.parametrize(
    ("kind", "finishes"),
    [
        ("truncated", ("length", "max_output_tokens", "max_tokens", "MAX_TOKENS")),
        ("refused", ("stop", "completed", "refusal", "SAFETY")),
        ("unknown_finish", ("sim_unknown", "sim_unknown", "sim_unknown", "SIM_UNKNOWN")),
        ("empty", ("stop", "completed", "end_turn", "STOP")),
        ("slow_first_token", ("tool_calls", "completed", "tool_use", "STOP")),
    ],
)
@pytest.mark.filterwarnings("ignore:SIM_UNKNOWN is not a valid FinishReason")
def test_fake_llm_finishes_as_it_was_told(
    served: SimServer, clients: Clients, kind: FaultKind, finishes: tuple[str, ...], dialect: Dialect, is_stream: bool
) -> None:
    served.sim = Sim([Fault(kind)])
    heard = clients.ask(dialect, is_stream=is_stream)
    assert heard.finish == finishes[DIALECTS.index(dialect)]
    assert (heard.text == "", heard.calls == []) == {"refused": (False, True), "empty": (True, True)}.get(kind, (True, heard.calls == []))
    assert heard.usage is not None


@both
@dialects
@pytest.mark.parametrize(
    ("kind", "usage"),
    [("usage_missing", None), ("usage_zero", Usage()), ("usage_negative", Usage(-1, -1))],
    ids=lambda value: str(value)[:14],
)
def test_fake_llm_reports_usage_as_it_was_told(
    served: SimServer, clients: Clients, kind: FaultKind, usage: Usage | None, dialect: Dialect, is_stream: bool
) -> None:
    served.sim = Sim([Fault(kind)], prices=PRICES)
    if dialect == "anthropic" and is_stream and kind == "usage_missing":  # the SDK's own helper cannot do without
        heard = Heard(usage=None if b"usage" not in ask(served, dialect, is_stream=True).body else Usage())
    else:
        heard = clients.ask(dialect, is_stream=is_stream)
    assert (heard.usage is None) == (usage is None)
    if usage is not None and heard.usage is not None:
        signs = [(count > 0) - (count < 0) for count in (heard.usage.input_tokens, heard.usage.output_tokens)]
        assert signs == [usage.input_tokens, usage.output_tokens]
    assert served.sim.billed == 0
    assert served.sim.unreported > 0


@both
@dialects
def test_fake_llm_gives_two_calls_one_id(served: SimServer, clients: Clients, dialect: Dialect, is_stream: bool) -> None:
    kind: FaultKind = "duplicate_call_ids"
    seed = next(seed for seed in range(20) if makes_several(served, seed, dialect))
    served.sim = Sim([Fault(kind)], seed=seed)
    heard = clients.ask(dialect, is_stream=is_stream)
    assert len(heard.calls) > 1
    assert len({identity for identity, _, _ in heard.calls}) == 1


def makes_several(served: SimServer, seed: int, dialect: Dialect) -> bool:
    """Say whether what this seed makes up are several calls."""
    served.sim = Sim(seed=seed)
    return len(payloads(ask(served, dialect, is_stream=False).body)[0].split('"q')) > 2


@pytest.mark.parametrize(
    ("dialect", "is_stream"), [("openai_chat", False), ("openai_chat", True), ("openai_responses", False), ("openai_responses", True)]
)
def test_fake_llm_writes_arguments_that_are_no_json(served: SimServer, clients: Clients, dialect: Dialect, is_stream: bool) -> None:
    served.sim = Sim([Fault("invalid_arguments")])
    assert not all(is_json(text) for _, _, text in clients.ask(dialect, is_stream=is_stream).calls)


def test_fake_llm_streams_arguments_that_are_no_json_as_anthropic_does(served: SimServer) -> None:
    served.sim = Sim([Fault("invalid_arguments")])
    events = [json.loads(text) for text in payloads(ask(served, "anthropic", is_stream=True).body)]
    by_block: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_delta":
            by_block[event["index"]] = by_block.get(event["index"], "") + event["delta"]["partial_json"]
    assert not is_json(by_block[max(by_block)])


@both
def test_fake_llm_says_of_malformed_calls_what_gemini_says(served: SimServer, clients: Clients, is_stream: bool) -> None:
    served.sim = Sim([Fault("invalid_arguments")])
    heard = clients.ask("gemini", is_stream=is_stream)
    assert (heard.finish, heard.calls) == ("MALFORMED_FUNCTION_CALL", [])


@dialects
def test_fake_llm_refuses_another_key(dialect: Dialect) -> None:
    with SimServer(Sim(api_key="right-key")).start_in_thread() as server:
        wrong, right = open_clients(server, "wrong-key"), open_clients(server, "right-key")
        with pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError, APIError)):
            wrong.ask(dialect, is_stream=False)
        assert right.ask(dialect, is_stream=False).calls
        for each in (wrong, right):
            each.close()


def test_fake_llm_counts_tokens_as_it_reports_them(served: SimServer, clients: Clients) -> None:
    served.sim = Sim()
    counted = clients.openai.responses.input_tokens.count(model="m", input="Hello there").input_tokens
    usage = clients.openai.responses.create(model="m", input="Hello there").usage
    assert usage is not None
    assert usage.input_tokens == counted
    counted = clients.anthropic.messages.count_tokens(model="m", messages=[{"role": "user", "content": "Hello there"}]).input_tokens
    message = clients.anthropic.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello there"}])
    assert message.usage.input_tokens == counted
    assert clients.gemini_tokens("Hello there") == counted


@both
@dialects
def test_fake_llm_stops_at_the_asked_number_of_tokens(served: SimServer, dialect: Dialect, is_stream: bool) -> None:
    path, body = question(dialect, is_stream=is_stream)
    del body["tools"]
    match dialect:
        case "gemini":
            body["generationConfig"] = {"maxOutputTokens": 16}
        case "openai_responses":
            body["max_output_tokens"] = 16
        case _:
            body["max_tokens"] = 16
    served.sim = Sim(["word " * 40])
    post(served.url, path, body)
    assert served.sim.charges[0].usage.output_tokens == 16


def test_fake_llm_refuses_what_does_not_fit_its_window(served: SimServer, clients: Clients) -> None:
    served.sim = Sim(context_window=60)
    clients.ask("openai_chat", is_stream=False)
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        clients.ask("openai_chat", is_stream=False, text="word " * 60)
    assert served.sim.peak_input_tokens > 100


def test_fake_llm_knows_the_models_it_was_given(served: SimServer, clients: Clients) -> None:
    served.sim = Sim(models=frozenset({"other"}))
    with pytest.raises(anthropic.NotFoundError):
        clients.ask("anthropic", is_stream=True)


def test_fake_llm_sees_clients_that_leave(served: SimServer) -> None:
    before = served.hung_up
    served.sim = Sim([Fault("timeout"), Fault("stall")])
    ask(served, "openai_chat", is_stream=True)
    ask(served, "openai_chat", is_stream=True)
    deadline = time.monotonic() + 5
    while served.hung_up < before + 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert served.hung_up == before + 2


def test_fake_llm_takes_its_time_in_proportion(served: SimServer) -> None:
    sim = Sim(["one two three"] * 2, latency=Latency(constant(2.0), constant(1.0)))
    with SimServer(sim, time_scale=0.02).start_in_thread() as server:
        for is_stream in (False, True):
            began = time.monotonic()
            assert ask(server, "openai_chat", is_stream=is_stream).status == 200
            assert 0.08 <= time.monotonic() - began < 5


def test_fake_llm_answers_any_bytes_that_a_script_holds(served: SimServer) -> None:
    served.sim = Sim([RawReply(b"teapot", 418, "text/plain", {"x-a": "b"}), RawReply(b"0123456789", delivery=Delivery(closes_after=4))])
    whole, cut = (ask(served, "gemini", is_stream=False) for _ in range(2))
    assert (whole.status, whole.body, whole.headers["x-a"]) == (418, b"teapot", "b")
    assert (cut.body, cut.is_cut) == (b"0123", True)


@dialects
def test_fake_llm_says_what_it_cannot_answer(served: SimServer, dialect: Dialect) -> None:
    served.sim = Sim([])
    answer = ask(served, dialect, is_stream=False)
    assert (answer.status, b"has no answer" in answer.body) == (400, True)
    served.sim = Sim()
    path, body = question(dialect, is_stream=False)
    answer = post(served.url, path, {**body, "nonsense": 1})
    assert (answer.status, b"nonsense" in answer.body) == (400, True)
    assert "nonsense" in served.refused[-1]


def status_of(error: Exception) -> int:
    if isinstance(error, openai.APIStatusError | anthropic.APIStatusError):
        return error.status_code
    assert isinstance(error, APIError)
    return error.code


def ask(server: SimServer, dialect: Dialect, *, is_stream: bool) -> Answer:
    path, body = question(dialect, is_stream=is_stream)
    return post(server.url, path, body)

"""The simulated model itself: what it answers, how it fails and what that costs; `SimModel` and `SimServer` carry it to those who ask."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import BaseModel

from agent_sdk.core.frozen import frozen
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import RawReply
from agent_sdk.testing.scripted_model import Call, ScriptExhausted
from agent_sdk.testing.sim.asked import SimRequest
from agent_sdk.testing.sim.faults import FAULT_KINDS, NO_FAULTS, USAGE_FAULTS, Fault, FaultKind, Faults
from agent_sdk.testing.sim.latency import NO_LATENCY, Latency
from agent_sdk.testing.sim.said import Charge, SimPrice, SimReply, SimSaid, arguments_text, reply_of
from agent_sdk.testing.sim.tokens import split_tokens
from agent_sdk.testing.sim.values import make_text, make_value

SimItem = SimSaid | Callable[[SimRequest], SimSaid]
SimScript = Callable[[SimRequest], SimSaid] | Iterable[SimItem]

REFUSAL = "I cannot help with that."
_MOST_CALLS = 3


@frozen
class Verdict:
    """How one question is answered: `usage` in truth, `reported` by the reply; `chance` for where in its midst it breaks."""

    number: int
    request: SimRequest
    reply: SimReply
    usage: Usage
    reported: Usage | None
    chance: random.Random
    fault: Fault | None = None
    raw: RawReply | None = None

    @property
    def kind(self) -> FaultKind | None:
        return self.fault.kind if self.fault is not None else None


@dataclass(slots=True)
class Sim:
    """A model that is not there.

    With a `script` it answers by that: an item a question, or what a function of the request returns. Without, it makes up what is asked
    for: for `turns` turns calls of the offered tools, with arguments that are valid for their schemas, then an answer that is valid for the
    asked schema, else a text. What it makes up depends on `seed` and the question alone, and for a question that comes again on how often
    it came.

    `faults` says how it fails and `latency` how long it takes. Input above `context_window` tokens is refused, as are models that are not
    among `models`, and over HTTP other keys than `api_key`. What came before in a question of `cache_from_tokens` or more counts as cached.
    What a model without a price used is not billed. `thinks` lets it think aloud.

    `requests` holds what was asked, `charges` and `billed` what that cost, `faulted` how often it failed in each way.
    """

    script: SimScript | None = None
    seed: int = 0
    turns: int = 2
    faults: Faults = NO_FAULTS
    latency: Latency = NO_LATENCY
    prices: Mapping[str, SimPrice] = field(default_factory=dict[str, SimPrice])
    context_window: int | None = None
    models: frozenset[str] | None = None
    api_key: str | None = None
    thinks: bool = False
    cache_from_tokens: int | None = 1024
    requests: list[SimRequest] = field(default_factory=list[SimRequest], init=False)
    faulted: Counter[FaultKind] = field(default_factory=Counter[FaultKind], init=False)
    _items: Iterator[SimItem] | None = field(default=None, init=False, repr=False)
    _asked: Counter[bytes] = field(default_factory=Counter[bytes], init=False, repr=False)
    _charges: dict[int, Charge] = field(default_factory=dict[int, Charge], init=False, repr=False)
    _known: set[int] = field(default_factory=set[int], init=False, repr=False)

    def __post_init__(self) -> None:
        if self.script is not None and not callable(self.script):
            self._items = iter(self.script)

    @property
    def charges(self) -> list[Charge]:
        return list(self._charges.values())

    @property
    def billed(self) -> Decimal:
        """The money that a vendor would ask: for what whole replies reported, and broken ones had reported before they broke."""
        return sum((charge.cost_usd for charge in self.charges), Decimal(0))

    @property
    def unreported(self) -> Decimal:
        """The money by which `billed` is too low, because replies reported too little usage or none."""
        used = [(charge, charge.used) for charge in self.charges if charge.used is not None]
        return sum((self.cost_usd(charge.model, usage) - charge.cost_usd for charge, usage in used), Decimal(0))

    @property
    def peak_input_tokens(self) -> int:
        return max((request.input_tokens for request in self.requests), default=0)

    def cost_usd(self, model: str, usage: Usage) -> Decimal:
        price = self.prices.get(model)
        return Decimal(0) if price is None else price.cost_usd(usage)

    def decide(self, request: SimRequest) -> Verdict:
        """Return how the question is answered.

        Raises:
            ScriptExhausted: the script has no answer to it.
            ConfigError: nothing can be made up that is valid for what is asked.
        """
        self.requests.append(request)
        question = _digest(request)
        name = f"{question.hex()}:{self._asked[question]}"
        self._asked[question] += 1
        chance = random.Random(f"{self.seed}:{name}")  # noqa: S311  (a test's chance)
        if (outright := self._outright(request)) is not None:
            return self._failed(request, chance, outright)
        said = self._said(request, chance)
        if isinstance(said, RawReply):
            return Verdict(len(self.requests), request, SimReply(), Usage(), None, chance, raw=said)
        if isinstance(said, Fault):
            return self._failed(request, chance, said)
        reply = reply_of(said)
        return self._verdict(request, chance, reply, self.faults.draw(name, possible_faults(request, reply)))

    def charge(self, verdict: Verdict, reported: Usage | None, *, is_whole: bool) -> None:
        """Bill what the reply has reported, as far as it came; what was billed for a shorter piece of it is void."""
        model, usage = verdict.request.model, _no_less_than_zero(reported or Usage())
        used = verdict.usage if is_whole and verdict.kind in USAGE_FAULTS else None
        if reported is not None or used is not None:
            self._charges[verdict.number] = Charge(model, usage, self.cost_usd(model, usage), used)

    def first_token_s(self, verdict: Verdict) -> float:
        return self.latency.first_token(verdict.chance) + (self.faults.slow_s if verdict.kind == "slow_first_token" else 0)

    def _outright(self, request: SimRequest) -> Fault | None:
        if self.models is not None and request.model not in self.models:
            return Fault("unknown_model")
        if self.context_window is not None and request.input_tokens > self.context_window:
            return Fault("context_too_long")
        return None

    def _said(self, request: SimRequest, chance: random.Random) -> SimSaid:
        if self._items is not None:
            item = next(self._items, None)
        elif callable(self.script):
            item = self.script(request)
        else:
            return self._made_up(request, chance)
        if item is None:
            raise ScriptExhausted(
                f"the script of this simulated model has no answer to question {len(self.requests)}",
                hint="add an item to the script, or look why the model was asked once more",
            )
        return item(request) if not isinstance(item, BaseModel) and callable(item) else item

    def _made_up(self, request: SimRequest, chance: random.Random) -> SimReply:
        wanted = request.wanted
        reasoning = make_text(chance, chance.randint(3, 12)) if self.thinks else ""
        must_call = wanted.force_tool is not None or wanted.choice == "required"
        if wanted.tools and wanted.choice != "none" and (must_call or request.turn < self.turns):
            offered = [tool for tool in wanted.tools if wanted.force_tool in {None, tool.name}]
            number = chance.randint(1, _MOST_CALLS) if wanted.is_parallel and wanted.force_tool is None else 1
            calls: list[Call] = []
            for tool in chance.choices(offered, k=number):
                args = make_value({"type": "object", **tool.parameters}, chance)
                calls.append(Call(tool.name, args if isinstance(args, dict) else {}))
            return SimReply(calls=tuple(calls), reasoning=reasoning)
        if wanted.output_schema is not None:
            return SimReply(json.dumps(make_value(wanted.output_schema, chance), ensure_ascii=False), reasoning=reasoning)
        return SimReply(make_text(chance, chance.randint(3, 30)), reasoning=reasoning)

    def _failed(self, request: SimRequest, chance: random.Random, fault: Fault) -> Verdict:
        reply = SimReply()
        if fault.kind not in {"context_too_long", "unknown_model"}:
            reply = self._made_up(request, chance)
        return self._verdict(request, chance, reply, fault)

    def _verdict(self, request: SimRequest, chance: random.Random, reply: SimReply, fault: Fault | None) -> Verdict:
        if fault is not None:
            self.faulted[fault.kind] += 1
            reply = _spoilt(request, reply, fault.kind, chance)
        most = request.wanted.max_output_tokens
        if most is not None and reply.output_tokens > most:
            reply = reply.cut(most, keeps_half_calls=carries_half_calls(request))
        usage = reply.usage or self._usage(request, reply)
        return Verdict(len(self.requests), request, reply, usage, _reported(usage, fault), chance, fault)

    def _usage(self, request: SimRequest, reply: SimReply) -> Usage:
        asked, cached, written = request.input_tokens, 0, 0
        must_ask = request.dialect == "anthropic"
        if self.cache_from_tokens is not None and asked >= self.cache_from_tokens and (request.wanted.is_cached or not must_ask):
            cached = self._cached(request)
            written = asked - cached if must_ask else 0
        thoughts = len(split_tokens(reply.reasoning))
        return Usage(asked, reply.output_tokens, cached, thoughts, cache_write_tokens=written)

    def _cached(self, request: SimRequest) -> int:
        """Return how many tokens at the question's beginning were asked before, and remember this question."""
        chain = hash((request.model, request.instructions, request.offered_tokens))
        tokens = request.input_tokens - sum(message.tokens for message in request.messages)
        cached = tokens if chain in self._known else 0
        self._known.add(chain)
        for message in request.messages:
            chain = hash((chain, message))
            tokens += message.tokens
            if chain in self._known:
                cached = tokens
            self._known.add(chain)
        return cached


def possible_faults(request: SimRequest, reply: SimReply) -> frozenset[FaultKind]:
    """Return in which ways an answer can fail, going by what it says and what its protocol can carry."""
    out: set[FaultKind] = set()
    if not reply.calls or not (carries_half_calls(request) or request.dialect == "gemini"):
        out.add("invalid_arguments")
    if len(reply.calls) < 2 or request.dialect == "port":
        out.add("duplicate_call_ids")
    if not request.wanted.is_stream:
        out.add("error_in_stream")
    return frozenset(FAULT_KINDS) - out


def carries_half_calls(request: SimRequest) -> bool:
    """Say whether the protocol carries arguments as text, which need not be JSON; others carry them as objects."""
    return request.dialect != "gemini" and (request.dialect != "anthropic" or request.wanted.is_stream)


def _spoilt(request: SimRequest, reply: SimReply, kind: FaultKind, chance: random.Random) -> SimReply:
    match kind:
        case "truncated":
            return reply.cut(max(1, reply.output_tokens // 2), keeps_half_calls=carries_half_calls(request))
        case "refused":
            return SimReply(REFUSAL, stop="refused")
        case "empty":
            return SimReply(stop="end")
        case "unknown_finish":
            return replace(reply, stop="other")
        case "invalid_arguments" if reply.calls:
            *others, last = reply.calls
            text = arguments_text(last)
            return replace(reply, calls=(*others, Call(last.tool, text[: chance.randrange(1, max(2, len(text) - 1))])))
        case _:
            return reply


def _reported(usage: Usage, fault: Fault | None) -> Usage | None:
    match fault.kind if fault is not None else None:
        case "usage_missing":
            return None
        case "usage_zero":
            return Usage()
        case "usage_negative":
            return Usage(-usage.input_tokens, -usage.output_tokens)
        case _:
            return usage


def _no_less_than_zero(usage: Usage) -> Usage:
    counts = usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens
    asked, said, cached, reasoning = (max(0, count) for count in counts)
    return Usage(asked, said, cached, reasoning, cache_write_tokens=max(0, usage.cache_write_tokens))


def _digest(request: SimRequest) -> bytes:
    """Return what tells one question from another, whatever protocol it came in."""
    digest = hashlib.blake2b(digest_size=12)
    for text in (request.model, request.instructions, *(f"{message.role}:{message.text}" for message in request.messages)):
        digest.update(text.encode(errors="replace"))
        digest.update(b"\0")
    return digest.digest()

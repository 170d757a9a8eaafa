"""A call and a streamed chunk, in the protocol of each vendor: the client's CPU, against a server in another process."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from benchmarks.measure import Case, Metric, Readings, Scale, at_most, cpu_us_of
from benchmarks.vendors import bare, ours, sdks
from benchmarks.vendors.replies import PROTOCOLS, Protocol
from benchmarks.vendors.server import served
from benchmarks.vendors.talk import Talk

FIRST = PROTOCOLS[0]
TOKENS_A_CALL = 20
FACTOR = 1.5
Opened = Callable[[Protocol, str], AbstractAsyncContextManager[Talk]]


@dataclass(frozen=True, slots=True)
class Work:
    """So many talks of so many calls, each with a reply of so many tokens; a reading is of one of the `parts` of a call."""

    talks: int
    turns: int
    tokens: int
    is_stream: bool
    parts: int = 1


def cases(scale: Scale) -> Sequence[Case]:
    talks, turns, tokens = scale.pick(10, 1), scale.pick(20, 2), scale.pick(5000, 50)
    return [
        _case("vendors: a plain call", 600.0, Work(talks, turns, TOKENS_A_CALL, is_stream=False)),
        _case(f"vendors: a call streamed in {TOKENS_A_CALL} chunks", 800.0, Work(talks, turns, TOKENS_A_CALL, is_stream=True)),
        _case("vendors: a streamed chunk", 15.0, Work(scale.pick(2, 1), 1, tokens, is_stream=True, parts=tokens)),
    ]


def _case(what: str, limit_us: float, work: Work) -> Case:
    first = Metric(FIRST, f"{what}, {FIRST}", "us CPU", f"{limit_us:g} us", at_most(limit_us))
    target = f"{FACTOR:g} x ours of {FIRST}"
    others = [Metric(each, f"{what}, {each}", "us CPU", target, within=(FACTOR, FIRST)) for each in PROTOCOLS if each != FIRST]
    return Case(
        what,
        [first, *others],
        lambda: _read(work, ours.opened),
        lambda: _read(work, bare.opened),
        sdk=lambda: _read(work, sdks.opened),
    )


def _read(work: Work, opened: Opened) -> Readings:
    """Return the CPU in each protocol, after one talk that warms up."""

    async def measure(protocol: Protocol, url: str) -> float:
        async with opened(protocol, url) as talk:
            await talk(work.turns, is_stream=work.is_stream)

            async def all_talks() -> None:
                for _ in range(work.talks):
                    await talk(work.turns, is_stream=work.is_stream)

            return await cpu_us_of(all_talks(), work.talks * work.turns * work.parts)

    with served(work.tokens) as url:
        return {protocol: asyncio.run(measure(protocol, url)) for protocol in PROTOCOLS}

"""When a circuit opens and closes, alone and together with others."""

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.llm.circuit import BreakerPolicy, Circuit, Circuits, CircuitState
from agent_sdk.llm.failures import CircuitOpen
from tests.contract.memory_rates import MemoryRates
from tests.unit.llm.chains import Clock

POLICY = BreakerPolicy(failures=3, window_s=30, open_s=10, probes=1)


async def outcomes(circuit: Circuit, *went: bool | None) -> None:
    for is_up in went:
        await circuit.leave(await circuit.enter(), is_up=is_up)


async def is_open(circuit: Circuit) -> bool:
    try:
        probe = await circuit.enter()
    except CircuitOpen:
        return True
    await circuit.leave(probe, is_up=None)
    return False


async def test_failures_in_a_row_open_it_and_the_error_says_for_how_long() -> None:
    circuit = Circuit("m at x", POLICY, Clock())
    await outcomes(circuit, False, False, True, False, None, False)
    assert circuit.state == CircuitState("closed")
    await outcomes(circuit, False)
    assert circuit.state == CircuitState("open", 10)
    with pytest.raises(CircuitOpen, match="m at x failed again and again, and is left alone for 10 s") as caught:
        await circuit.enter()
    assert (caught.value.code, caught.value.retry_after_s) == ("circuit_open", 10)


async def test_failures_far_apart_do_not_open_it() -> None:
    clock = Clock()
    circuit = Circuit("m", POLICY, clock)
    for _ in range(10):
        await outcomes(circuit, False)
        clock.now += 16
    assert circuit.state.status == "closed"


async def test_a_high_share_of_failures_opens_it_though_some_calls_succeed() -> None:
    circuit = Circuit("m", BreakerPolicy(failures=100, rate=0.5, min_calls=10), Clock())
    await outcomes(circuit, *[False, True] * 4, False)
    assert circuit.state.status == "closed"
    await outcomes(circuit, False)
    assert await is_open(circuit)


async def test_old_calls_count_no_more() -> None:
    clock = Clock()
    circuit = Circuit("m", BreakerPolicy(failures=100, rate=0.5, min_calls=10, window_s=30), clock)
    await outcomes(circuit, *[False] * 9)
    clock.now += 31
    await outcomes(circuit, *[False] * 9)
    assert circuit.state.status == "closed"


async def test_after_its_time_a_probe_goes_through_and_its_answer_closes_it() -> None:
    clock = Clock()
    circuit = Circuit("m", POLICY, clock)
    await outcomes(circuit, False, False, False)
    clock.now += 10
    assert circuit.state == CircuitState("half_open")
    probe = await circuit.enter()
    assert await is_open(circuit)
    await circuit.leave(probe, is_up=True)
    assert circuit.state == CircuitState("closed")
    await outcomes(circuit, False, False)
    assert circuit.state.status == "closed"


async def test_a_probe_that_fails_opens_it_again() -> None:
    clock = Clock()
    circuit = Circuit("m", POLICY, clock)
    await outcomes(circuit, False, False, False)
    clock.now += 10
    await outcomes(circuit, False)
    assert circuit.state == CircuitState("open", 10)


async def test_a_cancelled_probe_frees_its_place() -> None:
    clock = Clock()
    circuit = Circuit("m", POLICY, clock)
    await outcomes(circuit, False, False, False)
    clock.now += 10
    await outcomes(circuit, None)
    await outcomes(circuit, True)
    assert circuit.state.status == "closed"


async def test_a_call_that_began_before_it_opened_changes_nothing() -> None:
    circuit = Circuit("m", POLICY, Clock())
    late = await circuit.enter()
    await outcomes(circuit, False, False, False)
    await circuit.leave(late, is_up=True)
    assert circuit.state.status == "open"


async def test_processes_know_of_each_other_s_circuits() -> None:
    clock = Clock()
    store = MemoryRates(clock)
    mine, theirs = (Circuit("m", POLICY, clock, store) for _ in range(2))
    await outcomes(theirs, True)
    await outcomes(mine, False, False, False)
    assert not await is_open(theirs)
    clock.now += 1
    assert await is_open(theirs)
    clock.now += 10
    probe = await theirs.enter()
    assert await is_open(mine)
    await theirs.leave(probe, is_up=True)
    clock.now += 1
    assert await mine.enter() is None
    assert mine.state == CircuitState("closed")


async def test_a_circuit_that_was_closed_elsewhere_while_a_probe_was_asked_for_is_closed() -> None:
    clock = Clock()
    store = MemoryRates(clock)
    mine, theirs = (Circuit("m", POLICY, clock, store) for _ in range(2))
    await outcomes(mine, False, False, False)
    clock.now += 10.5
    assert not await is_open(mine)
    await theirs.leave(await theirs.enter(), is_up=True)
    assert await mine.enter() is None


class Away(MemoryRates):
    """A store that can be reached while `is_there`."""

    is_there = True
    looks = 0

    async def look(self, name: str) -> float | None:
        self.looks += 1
        self._check()
        return await super().look(name)

    async def open_circuit(self, name: str, for_s: float) -> None:
        self._check()
        await super().open_circuit(name, for_s)

    async def probe(self, name: str, probe: str, *, most: int, lease_s: float) -> bool:
        self._check()
        return await super().probe(name, probe, most=most, lease_s=lease_s)

    async def shut(self, name: str) -> None:
        self._check()
        await super().shut(name)

    def _check(self) -> None:
        if not self.is_there:
            raise StorageError("away")


async def test_without_its_store_a_process_goes_on_by_itself_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    store = Away(clock)
    circuit = Circuit("m", POLICY, clock, store)
    store.is_there = False
    with caplog.at_level(logging.WARNING):
        await outcomes(circuit, False, False, False)
        assert await is_open(circuit)
        clock.now += 10
        await outcomes(circuit, False)
        clock.now += 10
        assert not await is_open(circuit)
    assert caplog.text.count("kept by this process alone: away") == 1
    assert store.looks < 5
    store.is_there = True
    clock.now += 11
    await outcomes(circuit, True)
    assert circuit.state.status == "closed"


async def test_a_store_that_comes_back_and_knows_of_nothing_does_not_close_what_it_could_not_be_told() -> None:
    clock = Clock()
    store = Away(clock)
    circuit = Circuit("m", BreakerPolicy(failures=1, open_s=100), clock, store)
    store.is_there = False
    await outcomes(circuit, False)
    store.is_there = True
    clock.now += 20
    assert await is_open(circuit)


async def test_there_is_one_circuit_for_each_model_and_place_and_all_can_be_asked_for() -> None:
    circuits = Circuits(POLICY, Clock())
    assert circuits.of("m", "https://a") is circuits.of("m", "https://a")
    await outcomes(circuits.of("m", "https://b"), False, False, False)
    assert circuits.states() == {"m at https://a": CircuitState("closed"), "m at https://b": CircuitState("open", 10)}


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"probes": 0}, {"min_calls": 0}])
def test_a_policy_that_cannot_be_followed_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        BreakerPolicy(**wrong)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.5}, {"window_s": 0.0}, {"open_s": -1.0}])
def test_times_and_rates_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the names are those of floats)


@dataclass
class Lingering(MemoryRates):
    """Does what it is told, and then gives no answer to what stands in `silent_on`."""

    silent_on: str = ""
    is_silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self, name: str, probe: str, *, most: int, lease_s: float) -> bool:
        is_taken = await super().probe(name, probe, most=most, lease_s=lease_s)
        await self._linger("probe")
        return is_taken

    async def shut(self, name: str) -> None:
        await self._linger("shut")
        await super().shut(name)

    async def open_circuit(self, name: str, for_s: float) -> None:
        await self._linger("open")
        await super().open_circuit(name, for_s)

    async def _linger(self, what: str) -> None:
        if what == self.silent_on:
            self.is_silent.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize(("silent_on", "is_up"), [("probe", None), ("shut", True), ("open", False)])
async def test_a_cancel_at_any_word_with_the_store_leaves_the_next_probe_its_place(silent_on: str, is_up: bool | None) -> None:
    clock = Clock()
    store = Lingering(clock)
    here, there = (Circuit("m", POLICY, clock, store) for _ in range(2))
    await outcomes(here, False, False, False)
    clock.now += 11
    store.silent_on = silent_on
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(outcomes(here, is_up))
        await store.is_silent.wait()
        call.cancel()
    store.silent_on = ""
    assert store.probes.get("m", {}) == {}
    clock.now += 11
    await outcomes(there, True)
    assert there.state.status == "closed"

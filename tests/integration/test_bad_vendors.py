"""Wrong names, keys, prices and clocks on the way to a model: told at once and in words, and nothing hangs on them."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result

from agent_sdk import Agent, App, Budget, Runtime
from agent_sdk.cli.main import app
from agent_sdk.llm.catalog import CatalogInvalid
from agent_sdk.runtime import World
from agent_sdk.testing import CountingIds, Latency, Sim, SimModel, SimServer, VirtualClock, constant, run_virtual
from tests.integration.rest import NoJitter, journal_in, settings

Command = Callable[..., Result]
HEAD = "as_of: 2026-11-24\nmodels:\n  - vendor: object\n    name: SimModel\n    "
VENDORS = ["openai", "openai-responses", "anthropic", "gemini"]
LIMITED: dict[str, JsonValue] = {"rate_limits": {"object:SimModel": {"requests_per_minute": 60}}, "rate_max_wait_s": 86_400}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    """Call the program where all vendors are one simulated server that has a single model, `real`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "plain_app.py").write_text('from agent_sdk import Agent\n\napp = Agent(name="plain", model="openai:real")\n')
    for vendor in ("OPENAI", "ANTHROPIC", "GEMINI"):
        monkeypatch.setenv(f"{vendor}_API_KEY", "k")
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    with SimServer(Sim(models=frozenset({"real"}))).start_in_thread() as server:
        urls = {"openai": server.openai_url, "anthropic": server.url, "gemini": f"{server.url}/v1beta"}
        (tmp_path / "agent-sdk.yaml").write_text(json.dumps({vendor: {"base_url": url} for vendor, url in urls.items()}))
        yield lambda *words: CliRunner().invoke(app, ["run", "hello", "--app", "plain_app:app", *words])
    sys.modules.pop("plain_app", None)
    logger.level, logger.handlers, logger.propagate = before[0], before[1], before[2]
    logger.setLevel(before[0])


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_model_that_the_vendor_does_not_have_fails_the_run_with_its_own_words_and_a_hint(command: Command, vendor: str) -> None:
    result = command("--model", f"{vendor}:gone")
    assert result.exit_code == 1
    assert "[model_bad_request]" in result.stderr
    assert "answered 404: " in result.stderr
    assert "hint: check the model's name and base_url against what the server offers" in result.stderr
    assert command("--model", f"{vendor}:real").exit_code == 0


@pytest.mark.parametrize("name", ["nobody:real", "real", ":real", "openai:"])
def test_a_model_of_no_vendor_is_refused_before_there_is_a_run(command: Command, name: str) -> None:
    result = command("--model", name)
    assert result.exit_code == 2
    assert "hint: " in result.stderr or "expected vendor:name such as openai:gpt-5-mini" in result.stderr


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("key", ["zq-secret-key\nX-Evil: 1", "zq-secret\tkey", "zq-secret-käy-☃"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_told(
    command: Command, monkeypatch: pytest.MonkeyPatch, vendor: str, key: str
) -> None:
    monkeypatch.setenv(f"{vendor.partition('-')[0].upper()}_API_KEY", key)
    result = command("--model", f"{vendor}:real")
    assert result.exit_code == 2
    assert "hint: " in result.stderr
    assert "zq-secret" not in result.output


@pytest.mark.parametrize(("price", "told"), [('"cheap"', "this is no price"), ("-1", "a price is from 0"), ("true", "no prices")])
async def test_a_catalog_whose_prices_are_none_is_refused_before_there_is_a_run(tmp_path: Path, price: str, told: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"{HEAD}prices: {{input: {price}, output: 1}}\n")
    agent = Agent(name="plain", model=SimModel(Sim(turns=0)))
    async with Runtime.open(journal_in(tmp_path), app=App([agent]), settings=settings(tmp_path, {"catalog": "mine.yaml"})) as runtime:
        with pytest.raises(CatalogInvalid, match=told):
            await runtime.start(agent, "go")
        assert await runtime.runs() == []


async def test_prices_that_are_text_count_to_the_last_digit(tmp_path: Path) -> None:
    prices = '{input: "0.1234567", output: "7.654321"}'
    (tmp_path / "mine.yaml").write_text(f"{HEAD}max_output_tokens: 100\n    prices: {prices}\n")
    sim = Sim(turns=0, cache_from_tokens=None)
    agent = Agent(name="plain", model=SimModel(sim), budget=Budget(usd=Decimal("0.01")))
    async with Runtime.open("memory://", app=App([agent]), settings=settings(tmp_path, {"catalog": "mine.yaml"})) as runtime:
        run = await runtime.start(agent, "go")
        await run.result()
        usage = sim.charges[0].usage
        exact = (usage.input_tokens * Decimal("0.1234567") + usage.output_tokens * Decimal("7.654321")) / 1_000_000
        assert (await run.state()).usage.cost_usd == exact
        settled = (await runtime.budget(run=run.run_id)).settled.usd
        assert exact <= settled < exact + Decimal("1e-9")


class Wandering(VirtualClock):
    """A clock that somebody sets while it runs."""

    ahead_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + int(self.ahead_s * 1e6)


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_changes_nothing_for_those_who_wait_for_a_rate_limit(tmp_path: Path, jump_s: float) -> None:
    async def main() -> float:
        clock = Wandering()
        agent = Agent(name="plain", model=SimModel(Sim(turns=0)))
        loaded = settings(tmp_path, LIMITED)
        async with Runtime.open("memory://", app=App([agent]), settings=loaded, world=World(clock, CountingIds(), NoJitter())) as runtime:
            handles = [await runtime.start(agent, f"goal {n}") for n in range(150)]
            await asyncio.sleep(30)
            clock.ahead_s = jump_s
            for handle in handles:
                await handle.result()
            return clock.monotonic()

    assert 60 <= run_virtual(main()) <= 181


@pytest.mark.parametrize("runs", [1_000, pytest.param(10_000, marks=pytest.mark.full)])
def test_very_many_runs_wait_for_one_limit_in_order_and_none_for_ever(tmp_path: Path, runs: int) -> None:
    async def main() -> None:
        sim = Sim(turns=0, latency=Latency(constant(1.0)))
        agent = Agent(name="plain", model=SimModel(sim))
        loaded = settings(tmp_path, {"rate_limits": {"object:SimModel": {"concurrent": 50}}, "rate_max_wait_s": 86_400})
        async with Runtime.open("memory://", app=App([agent]), settings=loaded, world=World(VirtualClock(), CountingIds())) as runtime:
            handles = [await runtime.start(agent, f"goal {n}") for n in range(runs)]
            for handle in handles:
                await handle.result()
        asked = [int(request.goal.split()[1]) for request in sim.requests]
        assert asked == sorted(asked)
        assert VirtualClock().monotonic() <= runs / 50 + 2

    run_virtual(main())

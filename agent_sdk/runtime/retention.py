"""Deletes runs that ended long enough ago, by an operator's rules, and the artifacts that no run names any more."""

import asyncio
from collections.abc import Sequence

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId
from agent_sdk.core.ports import Clock, Expired, Journal, RunFilter
from agent_sdk.core.run import ENDS, RunState

DAY_S = 86_400.0
BATCH = 500
"""How many runs one transaction deletes: others wait no longer than for these."""
_ARTIFACT_GRACE_US = 3_600_000_000


@frozen
class Rule:
    """Runs in `state`, an end, are kept for `keep_s` seconds after it. A state without a rule is kept for good.

    Raises:
        ValueError: the state is no end, or the time is negative.
    """

    state: RunState
    keep_s: float

    def __post_init__(self) -> None:
        if self.state not in ENDS:
            raise ValueError(f"only runs that have ended are deleted, and {self.state!r} is no end")
        if not self.keep_s >= 0:
            raise ValueError(f"{self.keep_s} seconds is no time to keep a run for")


@frozen
class Report:
    """How many runs each rule deleted, or would; `artifacts` is None where that was not tried."""

    runs: tuple[tuple[Rule, int], ...]
    artifacts: int | None

    @property
    def total(self) -> int:
        return sum(count for _, count in self.runs)


async def apply_retention(journal: Journal, tenant: TenantId, rules: Sequence[Rule], clock: Clock, *, dry_run: bool = False) -> Report:
    """Delete what the rules no longer keep, a batch at a time; with `dry_run` only count it.

    It may be stopped at any time and started again. With a run go all its events: a session's later runs read its turn no more.
    """
    now = clock.now_us()
    counts: list[tuple[Rule, int]] = []
    for rule in rules:
        before_us = now - int(rule.keep_s * 1e6)
        counted = _count(journal, tenant, rule, before_us) if dry_run else _purge(journal, tenant, rule, before_us)
        counts.append((rule, await counted))
    if dry_run or not rules:
        return Report(tuple(counts), None)
    return Report(tuple(counts), await journal.sweep_artifacts(tenant, before_us=now - _ARTIFACT_GRACE_US))


async def _purge(journal: Journal, tenant: TenantId, rule: Rule, before_us: int) -> int:
    deleted = 0
    while True:
        gone = await journal.purge(tenant, Expired(frozenset({rule.state}), before_us, BATCH))
        deleted += len(gone)
        if len(gone) < BATCH:
            return deleted
        await asyncio.sleep(0)


async def _count(journal: Journal, tenant: TenantId, rule: Rule, before_us: int) -> int:
    found, before = 0, None
    while True:
        page = await journal.rows(tenant, RunFilter(frozenset({rule.state}), before=before, limit=BATCH))
        found += sum(row.updated_at < before_us for row in page)
        if len(page) < BATCH:
            return found
        before = page[-1].run_id

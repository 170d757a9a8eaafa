"""Looks at a journal as an operator would: whether it is whole and up to date, and which of its runs wait for somebody."""

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.events import WaitReason
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId
from agent_sdk.core.ports import Clock, Journal, RunFilter, RunRow
from agent_sdk.core.run import RunState
from agent_sdk.runtime.audit import audit
from agent_sdk.storage import open_journal
from agent_sdk.storage.schema import pending_migrations, store_time_us

Status = Literal["ok", "warn", "fail"]

MAX_RUNS = 10_000
"""How many of the newest runs that have not ended are looked at."""
MAX_NAMED = 5
LATE_US = 60_000_000
"""How long a run may be due before somebody should have taken it."""
MAX_CLOCK_US = 2_000_000
_PAGE = 1000
_OPEN: frozenset[RunState] = frozenset({"queued", "planning", "running", "waiting"})


@frozen
class Check:
    """What was looked at, how it stands, and what to do about it; `runs` are those that it is about, the longest wait first."""

    name: str
    status: Status
    said: str
    hint: str | None = None
    runs: tuple[RunRow, ...] = ()


@frozen
class Examined:
    """What a journal is looked at with.

    `agents` are those that some worker carries, by name and version; None: not known. `newest` runs have their chains checked.
    """

    tenant: TenantId
    clock: Clock
    agents: Collection[tuple[str, str]] | None = None
    newest: int = 100


async def examine(url: str, by: Examined) -> list[Check]:
    """Return all checks, in order; where the journal cannot be opened, only those that could be made. Nothing is changed."""
    checks = [await _schema(url)]
    if checks[0].status != "ok":
        return checks
    try:
        journal = await open_journal(url, clock=by.clock)
    except AgentSDKError as error:
        return [*checks, _failed("journal", error)]
    checks.append(Check("journal", "ok", "it opens"))
    try:
        checks.append(await _integrity(journal))
        checks.append(await _chains(journal, by))
        time, now_us = await _time(url, by.clock)
        checks.append(time)
        rows = await _open_runs(journal, by.tenant)
    except AgentSDKError as error:
        return [*checks, _failed("reading", error)]
    finally:
        await journal.close()
    return [*checks, *(check(rows, now_us) for check in _OF_RUNS), _overdue(rows, now_us, by.agents)]


def worst(checks: Sequence[Check]) -> Status:
    """Return the status of the whole."""
    found = {check.status for check in checks}
    return "fail" if "fail" in found else "warn" if "warn" in found else "ok"


async def _schema(url: str) -> Check:
    try:
        missing = await pending_migrations(url)
    except AgentSDKError as error:
        return _failed("schema", error)
    if missing:
        return Check("schema", "fail", f"it lacks the migrations {', '.join(map(str, missing))}", "run `agent-sdk migrate`")
    return Check("schema", "ok", "up to date")


async def _integrity(journal: Journal) -> Check:
    problems = await journal.check_integrity()
    if problems:
        return Check("integrity", "fail", "; ".join(problems[:MAX_NAMED]), "restore a backup: `agent-sdk backup restore`")
    return Check("integrity", "ok", "the store finds nothing wrong with its files, rows and indexes")


async def _chains(journal: Journal, by: Examined) -> Check:
    found = await audit(journal, by.tenant, newest=by.newest)
    if found.unsound:
        problems = [problem for run in found.unsound for problem in run.problems]
        hint = "look at all runs with `agent-sdk audit verify`, and compare with a backup"
        return Check("chains", "fail", "; ".join(problems[:MAX_NAMED]), hint)
    return Check("chains", "ok", f"the newest {found.runs} runs hold what was written")


async def _time(url: str, clock: Clock) -> tuple[Check, int]:
    """Return the check, and the store's time."""
    before_us = clock.now_us()
    store_us = await store_time_us(url)
    if store_us is None:
        return Check("clock", "ok", "the store goes by this machine's clock"), before_us
    ahead_us = (before_us + clock.now_us()) // 2 - store_us
    if abs(ahead_us) > MAX_CLOCK_US:
        said = f"this machine's clock is {abs(ahead_us) / 1e6:.1f} s {'ahead of' if ahead_us > 0 else 'behind'} the store's"
        return Check(
            "clock", "warn", said, "leases go by the store's clock, and are safe; set this machine's by NTP for the events' times"
        ), store_us
    return Check("clock", "ok", f"within {MAX_CLOCK_US // 1_000_000} s of the store's"), store_us


async def _open_runs(journal: Journal, tenant: TenantId) -> list[RunRow]:
    rows: list[RunRow] = []
    while len(rows) < MAX_RUNS:
        page = await journal.rows(tenant, RunFilter(_OPEN, before=rows[-1].run_id if rows else None, limit=_PAGE))
        rows += page
        if len(page) < _PAGE:
            break
    return rows


def _waiting(name: str, reasons: Collection[WaitReason], what: str, hint: str) -> Callable[[Sequence[RunRow], int], Check]:
    def check(rows: Sequence[RunRow], now_us: int) -> Check:
        found = [row for row in rows if row.state == "waiting" and row.reason in reasons]
        return _about(name, found, now_us, "warn", what, hint) if found else Check(name, "ok", "none")

    return check


def _leases(rows: Sequence[RunRow], now_us: int) -> Check:
    found = [row for row in rows if row.owner is not None and row.lease_until is not None and row.lease_until + LATE_US < now_us]
    if not found:
        return Check("leases", "ok", "none is left by a lost owner")
    hint = "start a worker: it takes them over; `agent-sdk runs resume` takes one"
    return _about("leases", found, now_us, "warn", "were left by an owner that is gone, and nobody took them over", hint)


_OF_RUNS = (
    _waiting(
        "unknown effects",
        {"unknown_effect"},
        "wait for a decision on an effect",
        "look with `agent-sdk effects RUN`, then say `agent-sdk runs decide RUN STEP done|retry|skip|fail`",
    ),
    _waiting(
        "approvals",
        {"approval", "question"},
        "wait for a person's word",
        "look with `agent-sdk approvals`, then `agent-sdk runs approve`, `deny`, `edit` or `answer`",
    ),
    _waiting(
        "crash loops",
        {"crash_loop"},
        "were parked since their owners died again and again",
        "find out why, then let them go on with `agent-sdk runs wake RUN`",
    ),
    _waiting(
        "code changes",
        {"code_changed"},
        "wait since the code they depend on has changed",
        "go on with the code of today by `agent-sdk runs wake RUN --accept-code`, or fork the run",
    ),
    _waiting(
        "budgets",
        {"budget"},
        "wait for money or calls",
        "see which by `agent-sdk runs show RUN`, and raise it by `agent-sdk budget set`",
    ),
    _leases,
)


def _overdue(rows: Sequence[RunRow], now_us: int, agents: Collection[tuple[str, str]] | None) -> Check:
    found = [row for row in rows if (due := _due_at(row)) is not None and due + LATE_US < now_us]
    if not found:
        return Check("due runs", "ok", "none waits for a worker")
    stranded = sorted({(row.agent, row.agent_version) for row in found} - set(agents if agents is not None else ()))
    if agents is None or not stranded:
        return _about("due runs", found, now_us, "warn", "are due, and nobody takes them", "start a worker, or more of them")
    names = ", ".join(f"{agent} {version}" for agent, version in stranded[:MAX_NAMED])
    hint = f"start a worker that carries {names}, or resume them with the code of today, which asks where it changed"
    return _about("due runs", found, now_us, "warn", f"are due, and nobody takes them; this app does not carry {names}", hint)


def _due_at(row: RunRow) -> int | None:
    """Return since when the run could be taken; None where it is held, stands behind another or waits."""
    if row.owner is not None or row.behind is not None:
        return None
    return row.updated_at if row.state != "waiting" or row.inbox_head > row.inbox_seen else row.wake_at


def _about(name: str, rows: Sequence[RunRow], now_us: int, status: Status, what: str, hint: str) -> Check:
    oldest = sorted(rows, key=lambda row: row.updated_at)
    named = ", ".join(row.run_id for row in oldest[:MAX_NAMED])
    more = f" and {len(oldest) - MAX_NAMED} more" if len(oldest) > MAX_NAMED else ""
    age = render_age(now_us - oldest[0].updated_at)
    return Check(name, status, f"{len(oldest)} {what}, for up to {age}: {named}{more}", hint, tuple(oldest))


def render_age(age_us: int) -> str:
    """Return a time as people say it who wait: `40 s`, `12 min`, `3 h`, `5 days`."""
    seconds = max(0, age_us) // 1_000_000
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} days"


def _failed(name: str, error: AgentSDKError) -> Check:
    return Check(name, "fail", error.message, error.hint)

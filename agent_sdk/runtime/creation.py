"""How a run comes into being: its first facts, its place in a session, and what it inherits from a parent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent_sdk.core.errors import RequestError, RunBusy
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import PrincipalId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Journal, SessionMove
from agent_sdk.core.run import Run
from agent_sdk.core.strict_json import require_name, require_storable
from agent_sdk.runtime.declaration import AgentDeclaration

_TRIES = 50
"""How often a run that may queue looks for its session's newest run, which others move as well."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What one run may have of its own.

    `timeout_s` counts from its creation, waits included; None takes the agent's limit. In a `session` the run knows what was said before;
    while an earlier one has not ended it stands behind that, or is refused where `queues` is False. Workers choose by `queue`, and within
    a tenant take a higher `priority` first.
    """

    tags: Sequence[str] = ()
    principal: PrincipalId | None = None
    timeout_s: float | None = None
    plan_only: bool = False
    session: str | None = None
    queues: bool = True
    queue: str = "default"
    priority: int = 0


DEFAULTS = StartOptions()


def require_whole(options: StartOptions) -> None:
    """Refuse options that no journal can keep.

    Raises:
        RequestError: a text is none.
    """
    try:
        require_storable([*options.tags, options.principal, options.session, options.queue])
    except ValueError as error:
        raise RequestError(f"a tag, a name or the principal is not valid text: {error}", hint="decode the input as UTF-8") from error
    try:
        require_name(options.session or "")
        require_name(options.queue)
    except ValueError as error:
        raise RequestError(f"the session or the queue cannot be kept: {error}", hint="choose a shorter name of printable text") from error
    if options.session == "" or not options.queue:
        raise RequestError("a session's or a queue's name is empty", hint="give it a name, or leave it out")
    if not -1000 <= options.priority <= 1000:
        raise RequestError(f"the priority is {options.priority}", hint="choose one from -1000 to 1000; higher comes first")


def created(agent: AgentDeclaration[Any, Any], goal: str, options: StartOptions, now_us: int, previous: RunId | None = None) -> RunCreated:
    """Return the first event of a run of its own."""
    spec = agent.spec
    timeout_s = options.timeout_s if options.timeout_s is not None else spec.limits.run_timeout_s
    return RunCreated(
        spec.name,
        spec.version,
        agent.digests,
        goal,
        options.principal,
        tuple(options.tags),
        session=SessionId(options.session) if options.session is not None else None,
        model=spec.model,
        strategy=spec.strategy,
        plan_only=options.plan_only,
        deadline_at=None if timeout_s is None else now_us + int(timeout_s * 1_000_000),
        resumable=agent.live_deps is None,
        queue=options.queue,
        priority=options.priority,
        previous=previous,
        compensate=spec.compensate,
    )


def created_child(agent: AgentDeclaration[Any, Any], goal: str, parent: Run, now_us: int) -> RunCreated:
    """Return the first event of a child run: whose it is, where it queues and when it must be done it has from its parent."""
    above = parent.created
    if above is None:
        raise RequestError(f"run {parent.run_id} has no first event that this version can read")
    spec = agent.spec
    timeout_s = spec.limits.run_timeout_s
    deadlines = [at for at in (above.deadline_at, None if timeout_s is None else now_us + int(timeout_s * 1_000_000)) if at is not None]
    return RunCreated(
        spec.name,
        spec.version,
        agent.digests,
        goal,
        above.principal,
        above.tags,
        parent=parent.run_id,
        root=above.root or parent.run_id,
        model=spec.model,
        strategy=spec.strategy,
        deadline_at=min(deadlines, default=None),
        resumable=agent.live_deps is None,
        queue=above.queue,
        priority=above.priority,
        depth=above.depth + 1,
        compensate=spec.compensate,
    )


async def session_move(journal: Journal, tenant: TenantId, options: StartOptions) -> SessionMove | None:
    """Return the new run's step in its session, from where the session stands now."""
    if options.session is None:
        return None
    session = SessionId(options.session)
    return SessionMove(session, await journal.session_head(tenant, session), options.queues)


async def create(journal: Journal, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], move: SessionMove | None) -> None:
    """Make the run.

    Raises:
        RunBusy: the session's earlier run has not ended and the new one may not queue, or too many came to the session at once.
    """
    for attempt in range(_TRIES):
        try:
            await journal.create(tenant, run_id, facts, session=move)
        except RunBusy:
            head = await journal.session_head(tenant, move.session) if move is not None else None
            if move is None or head == move.expected or attempt == _TRIES - 1:
                raise
            move, facts = SessionMove(move.session, head, move.queues), _behind(facts, head)
        else:
            return


def _behind(facts: Sequence[Fact], previous: RunId | None) -> list[Fact]:
    """Return the facts of a run that comes behind another one than was thought."""
    first = facts[0]
    event = first.event
    if not isinstance(event, RunCreated):
        raise TypeError(f"a run begins with {RunCreated.type}, and not with {event.type}")
    return [replace(first, event=replace(event, previous=previous)), *facts[1:]]

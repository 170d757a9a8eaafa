"""How a run comes into being: its first facts, its place in a session, and what it inherits from a parent."""

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from agent_sdk.core.budget import NO_BUDGET, Budget, run_scope
from agent_sdk.core.errors import ConfigError, InputTooLarge, RequestError, RunBusy
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, RunId, SessionId, TenantId
from agent_sdk.core.messages import FilePart
from agent_sdk.core.ports import Journal, SessionMove
from agent_sdk.core.run import Run
from agent_sdk.core.strict_json import require_name, require_storable
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import RunInfo

_MEDIA_TYPE = r"(?i)[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*(;.*)?"
_MAX_FILES_BYTES = 16 * 1024 * 1024
_TRIES = 50
"""How often a run that may queue looks for its session's newest run, which others move as well."""


@frozen
class StartOptions:
    """What one run may have of its own. `principal` is the user whom it acts for.

    `timeout_s` counts from its creation, waits included; None takes the agent's limit. In a `session` the run knows what was said before;
    while an earlier one has not ended it stands behind that, or is refused where `queues` is False. Workers choose by `queue`, and within
    a tenant take a higher `priority` first. The `files` are shown to the model beside the goal. The `budget` takes the place of the
    agent's, if one is given: what the run may spend, with all runs below it.
    """

    tags: Sequence[str] = ()
    principal: PrincipalId | None = None
    timeout_s: float | None = None
    plan_only: bool = False
    session: str | None = None
    queues: bool = True
    queue: str = "default"
    priority: int = 0
    files: Sequence[FilePart] = ()
    budget: Budget | None = None


@frozen
class Made:
    """What is worked out for a run before its first fact: its instructions, where a function makes them, and the budgets it spends from."""

    instructions: str | None = None
    budgets: tuple[str, ...] = ()


NOTHING_MADE = Made()
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
    for what, name in {"session": options.session, "queue": options.queue, "principal": options.principal}.items():
        _require_name(what, name)
    if not -1000 <= options.priority <= 1000:
        raise RequestError(f"the priority is {options.priority}", hint="choose one from -1000 to 1000; higher comes first")
    if options.files:
        _require_files(options.files)


def _require_name(what: str, name: str | None) -> None:
    if name == "":
        raise RequestError(f"the {what}'s name is empty", hint="give it a name, or leave it out")
    try:
        require_name(name or "")
    except ValueError as error:
        raise RequestError(f"the {what} cannot be kept: {error}", hint="choose a shorter name of printable text") from error


def _require_files(files: Sequence[FilePart]) -> None:
    for place, file in enumerate(files, 1):
        try:
            require_storable([file.ref, file.media_type, file.name])
        except ValueError as error:
            raise RequestError(f"file {place} cannot be kept: {error}", hint="give its reference and name as plain text") from error
        if not file.ref.startswith(("https://", "data:")):
            raise RequestError(
                f"file {place} is neither at an https URL nor in a data URL: {file.ref[:60]!r}",
                hint="FilePart.from_bytes(content, media_type) takes the content itself",
            )
        if not re.fullmatch(_MEDIA_TYPE, file.media_type):
            raise RequestError(f"file {place} has no media type: {file.media_type[:60]!r}", hint="give one such as image/png")
    if (size := sum(len(file.ref) for file in files)) > _MAX_FILES_BYTES:
        raise InputTooLarge(
            f"the files have {size:,} bytes; at most {_MAX_FILES_BYTES:,} are allowed", hint="give URLs, or let a tool read the files"
        )


def budget_of(agent: AgentDeclaration[Any, Any], options: StartOptions, general: Budget | None = None) -> Budget | None:
    """Return what the run may spend: the options' budget, else the agent's, else the general one; None where there is no limit."""
    said = options.budget if options.budget is not None else agent.budget
    budget = said if said is not None else general
    return budget if budget != NO_BUDGET else None


def budget_scopes(shared: Iterable[str], run_id: RunId, budget: Budget | None) -> tuple[str, ...]:
    """Return the scopes that a run spends from: those that it shares with others, and its own where it has a budget."""
    return (*shared, run_scope(run_id)) if budget is not None else tuple(shared)


async def make(agent: AgentDeclaration[Any, Any], info: RunInfo, shared: Iterable[str], budget: Budget | None) -> Made:
    """Work out what a run begins with: `shared` are the budgets that it spends from with others, a child all those of its parent.

    Raises:
        ConfigError: the agent's instructions cannot be made.
    """
    return Made(await render_instructions(agent, info), budget_scopes(shared, info.run_id, budget))


async def render_instructions(agent: AgentDeclaration[Any, Any], info: RunInfo) -> str | None:
    """Return what the agent's function makes of the run; None for an agent whose instructions are a text.

    Raises:
        ConfigError: it fails, or makes no text that can be kept.
    """
    if isinstance(agent.instructions, str):
        return None
    try:
        made = agent.instructions(info)
        text = await made if inspect.isawaitable(made) else made
    except Exception as error:
        raise ConfigError(
            f"the instructions of agent {agent.name!r} could not be made: {type(error).__name__}: {error}",
            hint="mend the function; no run was created",
        ) from error
    return _instructions(agent, text)


def _instructions(agent: AgentDeclaration[Any, Any], text: object) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"the instructions of agent {agent.name!r} are {type(text).__name__}, and no text", hint="return a str")
    try:
        require_storable(text)
    except ValueError as error:
        raise ConfigError(f"the instructions of agent {agent.name!r} cannot be kept: {error}", hint="return plain text") from error
    return text


def created(
    agent: AgentDeclaration[Any, Any],
    goal: str,
    options: StartOptions,
    now_us: int,
    previous: RunId | None = None,
    made: Made = NOTHING_MADE,
) -> RunCreated:
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
        budgets=made.budgets or None,
        instructions=made.instructions,
        files=tuple(options.files) or None,
    )


def created_child(agent: AgentDeclaration[Any, Any], goal: str, parent: Run, now_us: int, made: Made | None = None) -> RunCreated:
    """Return the first event of a child run: whose it is, where it queues and when it must be done it has from its parent.

    It spends from the budgets in `made`; without that from those of its parent.
    """
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
        budgets=above.budgets if made is None else made.budgets or None,
        instructions=None if made is None else made.instructions,
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

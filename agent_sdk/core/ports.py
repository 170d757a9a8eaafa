"""What the floors above expect of one another: each port is a Protocol, and `runtime` hands one part to the next."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol

from pydantic import JsonValue

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import ContextCompacted, Fact, WaitReason
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import ArtifactId, OwnerId, PrincipalId, RunId, SessionId, StepId, TenantId
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, Progress
from agent_sdk.core.plan import Plan
from agent_sdk.core.run import Run, RunState
from agent_sdk.core.strict_json import require_name, require_storable
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait


class Clock(Protocol):
    """Time, so that tests own it."""

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back, that of the event loop's timers."""
        ...

    async def sleep(self, delay_s: float) -> None: ...


class Ids(Protocol):
    """New names, so that tests own them."""

    def run_id(self) -> RunId: ...


class Random(Protocol):
    """Chance, for jitter alone."""

    def uniform(self, low: float, high: float) -> float: ...


@frozen
class Ask:
    """The planner needs a model's reply before it can go on."""

    request: ModelRequest
    purpose: Literal["turn", "plan", "repair", "compact"]


@frozen
class Propose:
    """The planner proposes a plan. Where the model's reply did not parse, `plan` is None and `findings` say why."""

    plan: Plan | None
    findings: tuple[Finding, ...] = ()


@frozen
class Answer:
    """The planner proposes the run's answer. Where the model's reply did not parse, `findings` say why."""

    value: JsonValue
    findings: tuple[Finding, ...] = ()


@frozen
class Compact:
    """The planner goes on with less of the conversation."""

    event: ContextCompacted


class Planner(Protocol):
    """Looks at a run and proposes; it does no input or output."""

    def next(self, run: Run) -> Ask | Propose | Answer | Compact:
        """Say what the run needs, at a time when nothing is ready and nothing in flight.

        Raises:
            AgentSDKError: the planner gives up; the run ends with this error.
        """
        ...


class Checker(Protocol):
    """Finds what does not hold before anything acts; all findings at once."""

    def plan(self, plan: Plan, run: Run) -> Sequence[Finding]: ...

    def call(self, call: ToolCallPart) -> Sequence[Finding]:
        """Check one call that a loop's model asks for."""
        ...

    def answer(self, value: JsonValue) -> Sequence[Finding]: ...


class Guards(Protocol):
    """The agent's guardrails: functions of its author, which may fail. Each says what is wrong; nothing, where all is well."""

    async def goal(self, run: Run) -> str | None: ...

    async def message(self, message: Message, run: Run) -> str | None:
        """Judge a message that reached the run's inbox."""
        ...

    async def call(self, call: ToolCallPart, run: Run) -> Sequence[Finding]:
        """Judge a call that a loop's model asks for; the model is told what is found."""
        ...

    async def answer(self, value: JsonValue, run: Run) -> Sequence[Finding]:
        """Judge a valid answer; the model is told what is found, and answers again.

        Raises:
            GuardrailRefused: the answer is not to be given, and neither is another one.
        """
        ...


class Model(Protocol):
    """A language model. Errors are `ModelError`s; a cancelled call closes its connection."""

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Yield deltas as they come; the last one is `ReplyDone`."""
        ...

    async def complete(self, request: ModelRequest) -> ModelReply: ...


class Tool(Protocol):
    """A declared tool that can be called."""

    @property
    def spec(self) -> ToolSpec: ...

    def approval(self, args: Mapping[str, JsonValue]) -> str | None:
        """Say why a person must allow this call first; None where nobody needs to. Asked once a call, before its start is journaled."""
        ...

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        """Say what the step waits for (a tool whose `spec.kind` is not `call`: nothing of it is called).

        Raises:
            ArgumentsInvalid: the arguments do not hold.
        """
        ...

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        """Say what is wrong with arguments, with paths from `$` on; of those in `partial`, which hold references, only names matter."""
        ...

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        """Validate, call and validate the result.

        Raises:
            ArgumentsInvalid: before the function was called.
            ResultInvalid: after it returned.
            Exception: whatever the function raised.
        """
        ...

    async def verify(self, context: ToolContext[object]) -> "Verdict":
        """Ask whether the effect with this idempotency key was done (effect `verify` alone)."""
        ...

    async def compensate(self, args: Mapping[str, JsonValue], output: JsonValue, context: ToolContext[object]) -> None:
        """Undo a finished call (where `spec.undoes`); it may come again with the same idempotency key, and is then harmless."""
        ...


@frozen
class Verdict:
    """What a `verify` tool's check says of a key: done with a result, or not done."""

    is_done: bool
    output: JsonValue = None


@frozen
class TokenDelta:
    """A streamed piece of a reply, or a tool's progress.

    A higher `attempt` voids what was shown of the step; `index` counts within the attempt from 0.
    """

    run_id: RunId
    after_seq: int
    step: StepId
    attempt: int
    index: int
    delta: Delta | Progress


class TokenSink(Protocol):
    """Where streamed tokens go; they are never journaled, and may be dropped."""

    def wants(self, run_id: RunId) -> bool:
        """Say whether anybody follows the run's tokens: nobody's are not streamed."""
        ...

    def publish(self, delta: TokenDelta) -> None: ...


@frozen
class LedgerChange:
    """Reserve or settle part of a budget: integers in the scope's own unit (money: 1e-9 US dollars). Negative amounts release."""

    scope: str
    reserve: int = 0
    settle: int = 0


@frozen
class LedgerRow:
    """A budget: `reserved + settled` never exceeds `limit` by a reservation; None means no limit."""

    scope: str
    limit: int | None
    reserved: int
    settled: int


@frozen
class Mail:
    """An item for the inbox of another run of the same tenant. It is dropped where that run does not exist or has ended."""

    run_id: RunId
    item: "InboxDraft"


@frozen
class Batch:
    """Facts to be appended behind `head` under the lease `epoch`, with the ledger changes and the mail that go with them: all or none.

    `state`, `reason`, `wake_at` and `inbox_seen` are what the run's row says afterwards, and `agent_version` too where it is given. Where
    `releases`, the batch gives up the lease, and is written only if every inbox item has become an event (`inbox_head = inbox_seen`);
    every terminal event releases. A batch whose `state` is an end also frees the runs of its session that stand behind this one.
    """

    tenant: TenantId
    run_id: RunId
    epoch: int
    head: int
    facts: Sequence[Fact]
    state: RunState
    reason: WaitReason | None = None
    wake_at: int | None = None
    inbox_seen: int = 0
    ledger: Sequence[LedgerChange] = ()
    releases: bool = False
    mail: Sequence[Mail] = ()
    agent_version: str | None = None


@frozen
class Claim:
    """A lease on a run: what its holder appends carries `epoch`."""

    tenant: TenantId
    run_id: RunId
    owner: OwnerId
    epoch: int
    head: int
    lease_until: int


@frozen
class RunRow:
    """A run as a list shows it; times in microseconds since 1970. `behind` is the earlier run of its session that has not ended yet."""

    tenant: TenantId
    run_id: RunId
    agent: str
    agent_version: str
    state: RunState
    reason: WaitReason | None
    head: int
    epoch: int
    owner: OwnerId | None
    lease_until: int | None
    inbox_head: int
    inbox_seen: int
    wake_at: int | None
    session: SessionId | None
    parent: RunId | None
    queue: str
    priority: int
    behind: RunId | None
    created_at: int
    updated_at: int


ItemKind = Literal["message", "cancel", "decide", "approve", "answer", "signal", "child", "wake"]
"""`decide` settles an unknown effect, `approve` an approval; `answer` is a question's, `child` says how a child run ended, and `wake`
lets a run go on that waits as `crash_loop` or `code_changed`.
"""


@frozen
class InboxDraft:
    """Something for a run from outside, as JSON that the owner turns into exactly one event. `key` makes a repeated put harmless.

    Raises:
        RequestError: the journal could not keep it.
    """

    kind: ItemKind
    body: JsonValue
    by: PrincipalId | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        try:
            require_storable([self.body, self.by, self.key])
            require_name(self.by or "")
            require_name(self.key or "")
        except ValueError as error:
            raise RequestError(
                f"what was sent to the run cannot be kept: {error}", hint="send plain JSON data and whole characters"
            ) from error


@frozen
class InboxItem:
    """Something from outside as it lies in the inbox; `at` in microseconds since 1970."""

    number: int
    kind: ItemKind
    body: JsonValue
    by: PrincipalId | None
    at: int


@frozen
class SessionMove:
    """Make the new run the session's head, if the session's head still is `expected` (None: the session is new).

    Where that run has not ended, the new one stands behind it, and cannot be claimed before its end; unless `queues` is False: then the
    new run is refused.
    """

    session: SessionId
    expected: RunId | None
    queues: bool = True


@frozen
class RunFilter:
    """Which runs to list, newest first; `before` is the id of the last run of the page before."""

    states: frozenset[RunState] = field(default_factory=frozenset[RunState])
    agent: str | None = None
    before: RunId | None = None
    limit: int = 50
    reason: WaitReason | None = None
    session: SessionId | None = None
    parent: RunId | None = None


@frozen
class Wanted:
    """Which due runs a worker takes, of every tenant unless `tenants` are given; None means all. `agents` are (name, version)."""

    limit: int
    agents: frozenset[tuple[str, str]] | None = None
    queues: frozenset[str] | None = None
    tenants: frozenset[TenantId] | None = None
    runs: frozenset[RunId] | None = None


@frozen
class Expired:
    """Which ended runs to delete: those in one of `states` that ended before `before_us` (microseconds since 1970), `limit` at most."""

    states: frozenset[RunState]
    before_us: int
    limit: int = 1000


class LeaseLine(Protocol):
    """Renews leases over a connection of its own. It belongs to one thread, which is not the event loop's."""

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[Claim]:
        """Lengthen all these leases at once and return those that still stand; the missing were taken over or given up.

        Raises:
            StorageError: the store failed; whether the leases stand is not known.
        """
        ...

    def close(self) -> None: ...


class Journal(Protocol):
    """Where facts are kept. Every call names its tenant; time is the store's own."""

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        """Make a run of its first facts (epoch 0), in state `queued`.

        Raises:
            RunExists: the id is taken.
            RunBusy: the session's head moved, or has not ended and the new run may not stand behind it.
        """
        ...

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        """Take the run's lease and raise its epoch, if nobody holds it, it expired, or its holder is known to be dead.

        Raises:
            NotFound: no such run.
            RunEnded: it has ended.
            RunBusy: somebody holds it, or it stands behind another run of its session.
        """
        ...

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        """Claim runs that can go on now and that nobody holds: queued, woken by time or mail, or left by a lost owner.

        Each tenant gets an equal share of `wanted.limit`; within a tenant a higher priority comes first, then who waits longest.
        """
        ...

    async def wait_due(self, wanted: Wanted, *, timeout_s: float) -> None:
        """Return when `claim_due` may find something, after `timeout_s` at the latest. It may return for nothing."""
        ...

    def lease_line(self) -> LeaseLine:
        """Return what renews leases from another thread. It connects at its first use."""
        ...

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        """Lengthen the lease.

        Raises:
            Fenced: somebody claimed the run since.
        """
        ...

    async def append(self, batch: Batch) -> None:
        """Write the whole batch, durable on return, or nothing.

        Raises:
            Fenced: epoch or head do not match.
            InboxPending: `releases`, and the inbox holds unread items.
            LedgerRefused: a budget would be exceeded.
            StorageError: the store failed; after a lost connection the outcome was looked up before this was raised.
        """
        ...

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        """Return up to `limit` stored events behind number `after`, in order.

        Raises:
            NotFound: no such run.
        """
        ...

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        """Follow a run's events from any process, without gaps, up to and with its terminal event."""
        ...

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        """Return the run's row.

        Raises:
            NotFound: no such run.
        """
        ...

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]: ...

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        """Put an item into the run's inbox and return its number.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
        """
        ...

    async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]: ...

    def mail(self, owner: OwnerId) -> AsyncIterator[tuple[TenantId, RunId]]:
        """Yield the runs this owner holds whose inbox has items it has not read, within a second of their arrival, until cancelled."""
        ...

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        """Return the artifact's bytes.

        Raises:
            NotFound: no such artifact.
            JournalCorrupt: its bytes do not have this hash.
        """
        ...

    async def set_limit(self, tenant: TenantId, scope: str, limit: int | None) -> None:
        """Make or change a budget's limit; what is reserved and settled stays."""
        ...

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None: ...

    async def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        """Return the number of the last event that a sink has taken; 0 where it took none."""
        ...

    async def move_cursor(self, tenant: TenantId, sink: str, run_id: RunId, seq: int) -> None: ...

    async def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        """Return the newest run of a session, or None where it has none."""
        ...

    async def purge(self, tenant: TenantId, which: Expired) -> list[RunId]:
        """Delete ended runs with all that belongs to them but their artifacts, and return their ids."""
        ...

    async def sweep_artifacts(self, tenant: TenantId, *, before_us: int) -> int:
        """Delete the artifacts that no run names and that were last written before `before_us`; return how many."""
        ...

    async def check_integrity(self) -> list[str]:
        """Return what the store itself finds wrong with its files, rows and indexes; nothing where all is well."""
        ...

    async def close(self) -> None: ...


class Sink(Protocol):
    """Takes a run's facts in order, at least once each; it may lag and fail, and never holds a run up."""

    @property
    def name(self) -> str: ...

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None: ...


@frozen
class Ticket:
    """A run that may be taken, as a queue carries it: enough to route it, and nothing that the journal does not know better."""

    tenant: TenantId
    run_id: RunId
    agent: str
    agent_version: str
    queue: str = "default"
    priority: int = 0


class Dispatcher(Protocol):
    """Hands runs to workers.

    A ticket may come twice, late or never: what is right is decided by the journal's claims, and a sweep finds what was lost.
    """

    async def offer(self, ticket: Ticket) -> None:
        """Say that a run may be taken. Nothing is raised where that cannot be said: the sweep finds the run."""
        ...

    async def take(self, wanted: Wanted, owner: OwnerId, *, lease_s: float, wait_s: float) -> list[Claim]:
        """Claim up to `wanted.limit` runs; wait for the first one, for `wait_s` at most. A cancelled call leaves nothing claimed.

        Raises:
            StorageError: the journal failed.
        """
        ...

    async def keep(self, claims: Sequence[Claim]) -> None:
        """Say that these runs are still being performed, well within the lease."""
        ...

    async def done(self, claim: Claim) -> None:
        """Say that this process is done with the run: it ended, waits, or was handed back."""
        ...

    async def close(self) -> None: ...


class TokenLine(Protocol):
    """Carries streamed tokens between processes. They may be lost, and are never journaled."""

    def wanted(self, tenant: TenantId, run_id: RunId) -> bool:
        """Say whether somebody in another process follows the run's tokens, as far as is known here."""
        ...

    def publish(self, tenant: TenantId, delta: TokenDelta) -> None:
        """Send, soon and together with others; where the line is down or too slow, drop."""
        ...

    def subscribe(self, tenant: TenantId, run_id: RunId) -> AsyncIterator[TokenDelta]:
        """Yield the run's tokens from wherever it is performed, until cancelled."""
        ...

    async def close(self) -> None: ...

"""What every journal refuses, and in which words."""

from collections.abc import Sequence

from agent_sdk.core.errors import Fenced, InboxPending, LedgerRefused, NotFound, RunBusy, RunEnded, RunExists
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId
from agent_sdk.core.ports import Batch, LedgerChange, LedgerRow, SessionMove
from agent_sdk.core.run import RunState


def no_run(run_id: RunId) -> NotFound:
    """Say that the tenant has no run of this id."""
    return NotFound(f"there is no run {run_id}", hint="list the runs with `agent-sdk runs list`")


def no_artifact(artifact: ArtifactId) -> NotFound:
    """Say that the tenant has no artifact of this id."""
    return NotFound(f"there is no artifact {artifact}")


def run_exists(run_id: RunId) -> RunExists:
    """Say that the id of a new run is taken."""
    return RunExists(f"there is a run {run_id} already", hint="leave the id out, and a fresh one is made")


def run_ended(run_id: RunId, state: RunState) -> RunEnded:
    """Say that the run takes no more."""
    return RunEnded(f"run {run_id} has ended: {state}", hint="start a new run")


def run_busy(run_id: RunId, owner: OwnerId | None) -> RunBusy:
    """Say who holds the run."""
    return RunBusy(f"run {run_id} is held by {owner}", hint="wait until that process releases it, or end the process")


def run_behind(run_id: RunId, other: RunId) -> RunBusy:
    """Say which run of the session comes first."""
    return RunBusy(f"run {run_id} stands behind run {other} of its session", hint=f"wait until run {other} has ended, or cancel it")


def session_busy(move: SessionMove, head: RunId) -> RunBusy:
    """Say that the session takes no further turn before the end of this one."""
    return RunBusy(
        f"session {move.session} is at run {head}, which has not ended",
        hint=f"wait until run {head} has ended, or let the new run stand behind it",
    )


def session_moved(move: SessionMove, head: RunId | None) -> RunBusy:
    """Say that another run became the head of the session."""
    return RunBusy(
        f"session {move.session} stands at run {head}, not at {move.expected}",
        hint="another turn came first: read the session again, then retry",
    )


def not_held(run_id: RunId, epoch: int) -> Fenced:
    """Say that the lease was given up or taken over."""
    return Fenced(f"the lease of epoch {epoch} on run {run_id} is held no more", hint="claim the run again")


def fenced(batch: Batch, epoch: int, head: int, owner: OwnerId | None) -> Fenced:
    """Say where the run stands, and where the batch was made."""
    if (epoch, head) == (batch.epoch, batch.head) and owner is None:
        return not_held(batch.run_id, epoch)
    return Fenced(
        f"run {batch.run_id} stands at epoch {epoch}, event {head}; the batch was made at epoch {batch.epoch}, event {batch.head}",
        hint="another owner or writer came first: claim the run again and read it",
    )


def inbox_pending(batch: Batch, inbox_head: int) -> InboxPending:
    """Say how much stands unread in the inbox."""
    return InboxPending(
        f"run {batch.run_id} has {inbox_head - batch.inbox_seen} unread inbox items, so it is not released", hint="read them first"
    )


def ledger_refused(change: LedgerChange, row: LedgerRow) -> LedgerRefused:
    """Say how full the budget is, and what did not fit."""
    refused = LedgerRefused(
        f"{change.reserve + change.settle} more would take {row.scope} over its limit of {row.limit}: "
        f"{row.reserved} are reserved and {row.settled} settled",
        hint="raise the limit, or wait until reservations are released",
    )
    refused.row, refused.needed, refused.limit = row.scope, change.reserve + change.settle, row.limit or 0
    refused.reserved, refused.settled = row.reserved, row.settled
    return refused


def check_numbers(run_id: RunId, facts: Sequence[Fact], *, behind: int) -> None:
    """Refuse facts that do not follow one another behind number `behind`: only a fault in the caller makes such.

    Raises:
        ValueError: a number is missing, or comes twice.
    """
    for expected, fact in enumerate(facts, behind + 1):
        if fact.seq != expected:
            raise ValueError(f"a fact of run {run_id} has number {fact.seq} where {expected} is next")


def created_by(run_id: RunId, facts: Sequence[Fact]) -> RunCreated:
    """Return the event that a new run begins with.

    Raises:
        ValueError: it begins with another one, or with none.
    """
    event = facts[0].event if facts else None
    if not isinstance(event, RunCreated):
        raise ValueError(f"run {run_id} does not begin with {RunCreated.type}")
    return event

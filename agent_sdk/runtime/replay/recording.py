"""What is known of a run once it was performed: its facts, and what was said in its session before it. As JSON it can be kept in a file."""

import json
from collections.abc import Sequence
from typing import cast

from pydantic import JsonValue, ValidationError

from agent_sdk.core.agent import Limits
from agent_sdk.core.codec import from_json, to_json
from agent_sdk.core.envelope import GENESIS, Envelope, decode
from agent_sdk.core.errors import JournalCorrupt, JournalNewer, NotFound, RequestError
from agent_sdk.core.events import Fact, RunCreated, UnknownEvent
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal
from agent_sdk.core.run import NO_HISTORY, History
from agent_sdk.execution import load_facts, load_history
from agent_sdk.observability import record_of

FORMAT = 1
_KEPT = ("seq", "epoch", "at", "cause", "type", "v", "data")


@frozen
class Recording:
    """A run's facts, from the first on. `limits` are those of the settings, for an agent that says nothing of its own.

    Raises:
        RequestError: it does not begin with a run's first event. JournalNewer: one of the events is not understood.
    """

    tenant: TenantId
    run_id: RunId
    facts: Sequence[Fact]
    history: History = NO_HISTORY
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if not self.facts or not isinstance(self.facts[0].event, RunCreated):
            raise RequestError(f"what is recorded of run {self.run_id} does not begin with its first event")
        for fact in self.facts:
            if isinstance(fact.event, UnknownEvent):
                raise JournalNewer(
                    f"event {fact.seq} of run {self.run_id} is of a type that this version does not know: {fact.event.type!r}"
                )

    @property
    def created(self) -> RunCreated:
        """The run's first event."""
        return cast("RunCreated", self.facts[0].event)


async def load_recording(journal: Journal, tenant: TenantId, run_id: RunId) -> Recording:
    """Read what the journal holds of a run.

    Raises:
        NotFound: no such run. JournalNewer: it holds an event that this version does not know.
    """
    facts = [fact async for fact in load_facts(journal, tenant, run_id)]
    if not facts:
        raise NotFound(f"there is no run {run_id}")
    recording = Recording(tenant, run_id, facts)
    previous = recording.created.previous
    if previous is None:
        return recording
    return Recording(tenant, run_id, facts, await load_history(journal, tenant, previous))


def recording_to_json(recording: Recording) -> JsonValue:
    """Return the recording as JSON data, nothing masked."""
    records = (record_of(recording.tenant, recording.run_id, fact) for fact in recording.facts)
    return {
        "v": FORMAT,
        "tenant": recording.tenant,
        "run_id": recording.run_id,
        "history": to_json(History, recording.history) if recording.history != NO_HISTORY else None,
        "limits": to_json(Limits, recording.limits) if recording.limits is not None else None,
        "events": [{name: record[name] for name in _KEPT if record[name] is not None} for record in records],
    }


def parse_recording(data: JsonValue) -> Recording:
    """Return what `recording_to_json` made data of.

    Raises:
        RequestError: the data are not of that shape. JournalNewer: a newer version wrote them.
    """
    if not isinstance(data, dict) or not isinstance(version := data.get("v"), int):
        raise RequestError("this is no recorded run", hint="export it again: `agent-sdk runs export-test RUN`")
    if version > FORMAT:
        raise JournalNewer("the recorded run was written by a newer version of the SDK")
    try:
        tenant, run_id = TenantId(str(data["tenant"])), RunId(str(data["run_id"]))
        history, limits = data.get("history"), data.get("limits")
        facts = [_parse_fact(cast("dict[str, JsonValue]", record), tenant, run_id) for record in cast("list[JsonValue]", data["events"])]
        return Recording(
            tenant,
            run_id,
            facts,
            from_json(History, history) if history is not None else NO_HISTORY,
            from_json(Limits, limits) if limits is not None else None,
        )
    except (KeyError, TypeError, ValidationError, JournalCorrupt) as error:
        raise RequestError(f"the recorded run cannot be read: {error}", hint="export it again: `agent-sdk runs export-test RUN`") from error


def _parse_fact(record: dict[str, JsonValue], tenant: TenantId, run_id: RunId) -> Fact:
    seq, epoch, at, v = (cast("int", record[name]) for name in ("seq", "epoch", "at", "v"))
    cause = cast("str | None", record.get("cause"))
    meta = json.dumps(record["data"], ensure_ascii=False).encode()
    return decode(Envelope(tenant, run_id, seq, epoch, str(record["type"]), v, at, cause, meta, None, GENESIS))

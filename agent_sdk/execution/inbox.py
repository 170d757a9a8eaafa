"""What comes to a run from outside: each inbox item becomes exactly one event, a refusal included."""

import contextlib
from collections.abc import Generator, Mapping
from typing import assert_never, cast, get_args

from pydantic import JsonValue, ValidationError

from agent_sdk.core.codec import from_json
from agent_sdk.core.events import Decision, EffectDecided, Event, MessageReceived, RunCancelRequested
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message
from agent_sdk.core.ports import InboxItem, Journal, Tool
from agent_sdk.core.run import Run
from agent_sdk.core.tools import output_misfit
from agent_sdk.execution.sequencer import Sequencer


class Inbox:
    """Takes one run's mail. While the planner's question is under way, messages wait for its answer, and with them what came behind."""

    def __init__(self, run: Run, journal: Journal, tools: Mapping[str, Tool], sequencer: Sequencer) -> None:
        self._run = run
        self._tools = tools
        self._journal = journal
        self._sequencer = sequencer
        self._is_asking = False
        self.holds_messages = False

    @contextlib.contextmanager
    def asking(self) -> Generator[None]:
        """Mark that the planner's question is under way."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False

    async def take(self) -> None:
        """Post the event of every unread item; what cannot be posted now stays unread. A cancel lets nothing wait."""
        run = self._run
        items = await self._journal.inbox(run.tenant, run.run_id, after=run.inbox_seen)
        is_cancelled = any(item.kind == "cancel" for item in items)
        self.holds_messages = False
        for item in items:
            if not self._sequencer.is_open:
                return
            if item.kind == "message" and self._is_asking and not is_cancelled:
                self.holds_messages = True
                return
            if item.number > run.inbox_seen:
                self._sequencer.post(event_of(item, run, self._tools), cause=f"inbox:{item.number}")


def event_of(item: InboxItem, run: Run, tools: Mapping[str, Tool]) -> Event:
    """Return the event that the item becomes in a run as it is now."""
    body = item.body if isinstance(item.body, dict) else {}
    match item.kind:
        case "cancel":
            note = body.get("note")
            return RunCancelRequested(item.by, note if isinstance(note, str) else None)
        case "message":
            try:
                return MessageReceived(message=from_json(Message, item.body))
            except ValidationError:
                return MessageReceived(refused="it is no message")
        case "decide":
            return _decided(item, body, run, tools)
        case _:
            assert_never(item.kind)


def _decided(item: InboxItem, body: dict[str, JsonValue], run: Run, tools: Mapping[str, Tool]) -> Event:
    step, decision = StepId(str(body.get("step"))), body.get("decision")
    if step not in run.graph.unknown:
        return MessageReceived(refused=f"step {step!r} has no unknown effect to decide")
    if decision not in get_args(Decision):
        return MessageReceived(refused=f"{decision!r} is no decision; it is one of {', '.join(get_args(Decision))}")
    tool = tools.get(run.graph.steps[step].tool or "")
    misfit = output_misfit(tool.spec, body.get("output")) if decision == "done" and tool is not None else None
    if misfit is not None:
        return MessageReceived(refused=misfit)
    return EffectDecided(step, cast("Decision", decision), item.by, body.get("output"))

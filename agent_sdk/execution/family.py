"""What the end of a run means for its parent and its children: it goes into their inboxes, in the same append as the end itself."""

from pydantic import JsonValue

from agent_sdk.core.codec import to_json
from agent_sdk.core.events import RunFailed, RunSucceeded, Terminal
from agent_sdk.core.labels import Label
from agent_sdk.core.ports import InboxDraft, Mail
from agent_sdk.core.run import Run, RunState


def farewells(run: Run, event: Terminal, state: RunState) -> list[Mail]:
    """Return what the parent is told of the end, and that the children which still run shall end too."""
    mail = [
        Mail(pending.child, InboxDraft("cancel", {"note": f"its parent run {run.run_id} ended: {state}"}, key="parent_ended"))
        for pending in run.graph.parked.values()
        if pending.child is not None
    ]
    parent = run.created.parent if run.created is not None else None
    if parent is not None:
        mail.append(Mail(parent, InboxDraft("child", _report(run, event, state), key=f"child:{run.run_id}")))
    return mail


def _report(run: Run, event: Terminal, state: RunState) -> JsonValue:
    report: dict[str, JsonValue] = {"child": run.run_id, "state": state}
    match event:
        case RunSucceeded():
            report |= {"output": event.answer, "label": to_json(Label, event.label)}
        case RunFailed():
            report |= {"code": event.code, "message": event.message}
        case _:
            pass
    return report

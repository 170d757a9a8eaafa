"""A run written down as a test that needs no journal: a pytest file with the record in it, its secrets masked."""

import json
from typing import Any, cast

from pydantic import JsonValue

from agent_sdk.core.errors import RequestError
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.replay.masking import Masking
from agent_sdk.runtime.replay.recording import Recording, parse_recording, recording_to_json
from agent_sdk.runtime.replay.replayed import Replayed, code_of, replay_recording

_FILE = '''"""The run {run_id} of the agent {agent}, as a test: performed again from its record, it goes the same way to the same end.

Written by `agent-sdk runs export-test`, with secrets masked. Models and tools are not called: what they gave stands in the record.
"""
# ruff: noqa: E501

from agent_sdk.testing import assert_replays

APP = {app}
RECORD = r\'\'\'
{record}
\'\'\'


def test_{name}_goes_as_recorded() -> None:
    assert_replays(RECORD, app=APP)
'''


async def export_test(recording: Recording, agent: AgentDeclaration[Any, Any], *, app: str) -> str:
    """Return the text of a pytest file that passes with this agent, which is found at `app` (`module:name`).

    Raises:
        RequestError: the run does not replay with the agent as it is, so a test of it would fail; or it would not with its secrets masked.
    """
    code = code_of(agent, plan_only=recording.created.plan_only)
    if not (plain := await replay_recording(recording, code)).is_identical:
        raise RequestError(
            f"the test would fail: run {recording.run_id} does not go as recorded with this code\n{plain.render()}",
            hint="export it with the code that performed it",
        )
    masking = Masking()
    masked = parse_recording(masking.mask(recording_to_json(recording)))
    if masking.placeholders:
        masked = await _rebased(masked, agent)
    return _FILE.format(
        run_id=recording.run_id,
        agent=json.dumps(agent.name),
        app=json.dumps(app),
        record=_record_text(recording_to_json(masked)),
        name="".join(char if char.isalnum() else "_" for char in recording.run_id).lower(),
    )


async def replay_masked(recording: Recording, agent: AgentDeclaration[Any, Any]) -> Replayed:
    """Perform an exported run again. An agent that says nothing of its limits has those that it had then."""
    if recording.limits is not None and not agent.has_limits:
        agent = agent.with_options(limits=recording.limits)
    return await replay_recording(recording, code_of(agent, plan_only=recording.created.plan_only))


async def _rebased(masked: Recording, agent: AgentDeclaration[Any, Any]) -> Recording:
    """Return the masked record with the digests of what stands in it now, tried once more."""
    code = code_of(agent, plan_only=masked.created.plan_only)
    rebased = await replay_recording(masked, code, rebases=True)
    tried = rebased
    if rebased.divergence is None:
        masked = Recording(masked.tenant, masked.run_id, rebased.facts, masked.history, masked.limits)
        tried = await replay_recording(masked, code)
    if not tried.is_identical:
        raise RequestError(
            f"run {masked.run_id} goes another way once its secrets are masked\n{tried.render()}",
            hint="keep secrets out of what decides how a run goes, such as a plan's conditions, or write this test by hand",
        )
    return masked


def _record_text(recording: JsonValue) -> str:
    """Return JSON with one event a line, in which no quote ends the text that it stands in."""
    data = cast("dict[str, JsonValue]", recording)
    events = ",\n".join(_json(event) for event in cast("list[JsonValue]", data["events"]))
    head = _json({name: value for name, value in data.items() if name != "events"})
    return f'{head[:-1]},"events":[\n{events}\n]}}'.replace("'", "\\u0027")


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""Recorded runs as tests: what `agent-sdk runs export-test` writes calls this."""

import asyncio
import json
from typing import Any

from agent_sdk.runtime import AgentDeclaration, App, load_app
from agent_sdk.runtime.replay import Replayed, parse_recording, replay_masked


def replay_recorded(record: str, *, app: str | App | AgentDeclaration[Any, Any]) -> Replayed:
    """Perform a recorded run again with the agent of its name in `app` (`module:name`, or the App or Agent itself), and compare.

    Raises:
        RequestError: the record cannot be read. ConfigError: there is no such app. NotFound: it has no such agent.
    """
    recording = parse_recording(json.loads(record))
    match app:
        case str():
            agent = load_app(app).agent(recording.created.agent)
        case App():
            agent = app.agent(recording.created.agent)
        case _:
            agent = app
    return asyncio.run(replay_masked(recording, agent))


def assert_replays(record: str, *, app: str | App | AgentDeclaration[Any, Any]) -> None:
    """Fail unless the recorded run goes the same way with the code as it is now; the first difference is the message.

    Raises:
        AssertionError: it does not. RequestError, ConfigError, NotFound: as for `replay_recorded`.
    """
    replayed = replay_recorded(record, app=app)
    if not replayed.is_identical:
        raise AssertionError(f"the run does not go as it was recorded\n{replayed.render()}")

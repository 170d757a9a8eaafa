"""Runs performed again from their records: the same planner and executor, with everything else as the journal has it."""

from agent_sdk.runtime.replay.divergence import Change, Divergence, render_divergence
from agent_sdk.runtime.replay.export import export_test, replay_masked
from agent_sdk.runtime.replay.perform import Code
from agent_sdk.runtime.replay.recording import Recording, load_recording, parse_recording, recording_to_json
from agent_sdk.runtime.replay.replayed import Replayed, code_of, replay, replay_recording

__all__ = [
    "Change",
    "Code",
    "Divergence",
    "Recording",
    "Replayed",
    "code_of",
    "export_test",
    "load_recording",
    "parse_recording",
    "recording_to_json",
    "render_divergence",
    "replay",
    "replay_masked",
    "replay_recording",
]

"""`read_artifact`: outputs of earlier calls, a part at a time."""

import json
from dataclasses import replace

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, NotFound, ToolError
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.artifacts import MAX_LENGTH, read_artifact

OUTPUTS: dict[str, JsonValue] = {
    "t1.1": "0123456789" * 1000,
    "t1.2": {"rows": [1, 2], "name": "München"},
    "t1.3": "",
    "t1.4": [{"type": "file", "ref": "data:image/png;base64,AAAA", "media_type": "image/png", "name": "map.png"}],
}


async def output_of(artifact: str) -> JsonValue:
    if artifact not in OUTPUTS:
        raise NotFound(f"there is no output {artifact!r}")
    return OUTPUTS[artifact]


@pytest.fixture
def reading(context: ToolContext[object]) -> ToolContext[object]:
    return replace(context, output_of=output_of)


PARTS: dict[str, tuple[dict[str, JsonValue], dict[str, JsonValue]]] = {
    "the beginning": ({"artifact": "t1.1"}, {"text": "0123456789" * 800, "start": 0, "total": 10_000, "next_start": 8000}),
    "the rest": ({"artifact": "t1.1", "start": 9998}, {"text": "89", "start": 9998, "total": 10_000, "next_start": None}),
    "a few": ({"artifact": "t1.1", "start": 1, "length": 3}, {"text": "123", "start": 1, "total": 10_000, "next_start": 4}),
    "behind the end": ({"artifact": "t1.1", "start": 10**9}, {"text": "", "start": 10_000, "total": 10_000, "next_start": None}),
    "found": ({"artifact": "t1.1", "start": 5, "length": 2, "find": "3"}, {"text": "34", "start": 13, "total": 10_000, "next_start": 15}),
    "JSON": ({"artifact": "t1.2", "find": "Mün", "length": 7}, {"text": "München", "start": 26, "total": 35, "next_start": 33}),
    "nothing": ({"artifact": "t1.3"}, {"text": "", "start": 0, "total": 0, "next_start": None}),
}


@pytest.mark.parametrize(("args", "passage"), PARTS.values(), ids=PARTS)
async def test_a_part_of_an_output_is_read(reading: ToolContext[object], args: dict[str, JsonValue], passage: dict[str, JsonValue]) -> None:
    assert await read_artifact.call(args, reading) == passage


async def test_the_parts_together_are_the_whole(reading: ToolContext[object]) -> None:
    text, start = "", 0
    while True:
        passage = await read_artifact.call({"artifact": "t1.2", "start": start, "length": 4}, reading)
        assert isinstance(passage, dict)
        text += str(passage["text"])
        if not isinstance(passage["next_start"], int):
            break
        start = passage["next_start"]
    assert json.loads(text) == OUTPUTS["t1.2"]


async def test_a_file_is_named_and_not_spelled_out(reading: ToolContext[object]) -> None:
    passage = await read_artifact.call({"artifact": "t1.4"}, reading)
    assert "map.png" in str(passage)
    assert "base64" not in str(passage)


async def test_an_output_that_is_not_there_is_an_error_that_names_no_other(reading: ToolContext[object]) -> None:
    with pytest.raises(ToolError, match=r"no call of this run with the id 't9\.9'") as caught:
        await read_artifact.call({"artifact": "t9.9"}, reading)
    assert caught.value.hint
    assert "t1" not in caught.value.message + caught.value.hint


async def test_without_a_run_there_are_no_outputs(context: ToolContext[object]) -> None:
    with pytest.raises(ToolError):
        await read_artifact.call({"artifact": "t1.1"}, context)


async def test_words_that_are_not_there_are_an_error(reading: ToolContext[object]) -> None:
    with pytest.raises(ToolError, match=r"'xyz' does not stand in 't1\.1' from character 7 on") as caught:
        await read_artifact.call({"artifact": "t1.1", "find": "xyz", "start": 7}, reading)
    assert caught.value.hint


@pytest.mark.parametrize("wrong", [{"start": -1}, {"length": 0}, {"length": MAX_LENGTH + 1}, {"find": ""}, {"artifact": ""}], ids=str)
async def test_arguments_out_of_bounds_are_refused(reading: ToolContext[object], wrong: dict[str, JsonValue]) -> None:
    with pytest.raises(ArgumentsInvalid):
        await read_artifact.call({"artifact": "t1.1", **wrong}, reading)


def test_it_changes_nothing_and_what_it_reads_is_not_trusted() -> None:
    assert read_artifact.spec.effect == "read"
    assert read_artifact.spec.label.untrusted

"""The tool by which a model reads what it was shown in part, or what was taken out of its conversation: outputs of earlier calls."""

import json
from typing import Annotated

from pydantic import Field

from agent_sdk.core.errors import NotFound, ToolError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import without_files
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.decorator import tool

MAX_LENGTH = 32_000

Id = Annotated[str, Field(min_length=1, max_length=200)]
Place = Annotated[int, Field(ge=0)]
Length = Annotated[int, Field(ge=1, le=MAX_LENGTH)]
Words = Annotated[str, Field(min_length=1, max_length=1000)]


@frozen
class Passage:
    """A part of an output as text: characters from `start` on, of `total`. `next_start` is where the rest begins, None at the end."""

    text: str
    start: int
    total: int
    next_start: int | None


@tool(effect="read")
async def read_artifact(  # noqa: D417  (models do not see the context)
    artifact: Id, context: ToolContext[object], start: Place = 0, length: Length = 8000, find: Words | None = None
) -> Passage:
    """Read a part of the output of an earlier call: one that was shown in part, or taken out of the conversation.

    Args:
        artifact: The id that stands with the preview.
        start: The first character, counted from 0.
        length: How many characters at most.
        find: Begin where these words stand for the first time from `start` on.
    """
    try:
        output = without_files(await context.output_of(artifact))
    except NotFound as error:
        raise ToolError(
            f"no call of this run with the id {artifact!r}, or of its session before it, has an output",
            hint="give the id as it stands with the preview, or with the call whose output was taken out",
        ) from error
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    begin = min(start, len(text)) if find is None else text.find(find, start)
    if begin < 0:
        raise ToolError(
            f"{find!r} does not stand in {artifact!r} from character {start} on", hint="give fewer words, exactly as they stand"
        )
    end = min(begin + length, len(text))
    return Passage(text[begin:end], begin, len(text), end if end < len(text) else None)

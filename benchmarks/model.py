"""A model in process that does what an adapter must and no more: what is new goes out as JSON, and a reply comes in as JSON, each once."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, Part, TextPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, parse_call
from agent_sdk.llm.openai_request import DIALECT, encode_message
from benchmarks import bare


class InProcess:
    """Plays the same turns for any number of runs, also side by side: it goes by the question's id, and keeps nothing."""

    def __init__(self, turns: int, tool: str, *, delay_s: float = 0.0) -> None:
        self._texts = list(bare.replies(turns, tool))
        self._delay_s = delay_s

    async def complete(self, request: ModelRequest) -> ModelReply:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        request.conversation.encoded(DIALECT, encode_message)
        said = json.loads(self._texts[int(request.id.removeprefix("t")) - 1])
        parts = tuple(_parts(said["choices"][0]["message"], request.id))
        usage = Usage(said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"])
        return ModelReply(Message("assistant", parts), usage, "end" if isinstance(parts[0], TextPart) else "tool_calls", "bench")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield ReplyDone(await self.complete(request))


def _parts(message: bare.Reply, question: StepId) -> Iterator[Part]:
    if message["content"]:
        yield TextPart(message["content"])
    for index, call in enumerate(message.get("tool_calls", ())):
        yield parse_call(call_id(question, index), call["function"]["name"], call["function"]["arguments"])

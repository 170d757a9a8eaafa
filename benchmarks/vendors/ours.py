"""Our side: an adapter and a conversation that grows, as a run's does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ToolResultPart, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ModelSettings, ReplyDone
from agent_sdk.llm.anthropic import Anthropic
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.gemini import Gemini
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.llm.openai_responses import OpenAIResponses
from agent_sdk.llm.options import OpenAIOptions, Sign
from agent_sdk.llm.transport import HttpModel
from benchmarks.agents import FOUND, GOAL, find
from benchmarks.vendors.replies import MODEL, Protocol
from benchmarks.vendors.talk import INSTRUCTIONS, KEY, MAX_TOKENS, Talk

SETTINGS = ModelSettings(max_output_tokens=MAX_TOKENS)


@asynccontextmanager
async def opened(protocol: Protocol, url: str) -> AsyncGenerator[Talk]:
    model = made(protocol, url)

    async def talk(turns: int, *, is_stream: bool) -> None:
        conversation = Conversation([user_message(GOAL)])
        for turn in range(1, turns + 1):
            request = ModelRequest(StepId(f"t{turn}"), MODEL, conversation, INSTRUCTIONS, (find.spec,), settings=SETTINGS)
            reply = await _streamed(model, request) if is_stream else await model.complete(request)
            conversation.add(reply.message)
            conversation.add(Message("tool", tuple(ToolResultPart(call.id, FOUND) for call in reply.message.tool_calls)))

    try:
        yield talk
    finally:
        await model.close()


def made(protocol: Protocol, url: str, sign: Sign | None = None) -> HttpModel:
    """Return the adapter."""
    match protocol:
        case "OpenAI Chat":
            return OpenAIChat(OpenAIOptions(KEY, f"{url}/v1", sign=sign))
        case "OpenAI Responses":
            return OpenAIResponses(OpenAIOptions(KEY, f"{url}/v1", sign=sign))
        case "Anthropic":
            return Anthropic(AnthropicOptions(KEY, url, sign=sign))
        case "Gemini":
            return Gemini(GeminiOptions(KEY, url, sign=sign))


async def _streamed(model: HttpModel, request: ModelRequest) -> ModelReply:
    async for delta in model.stream(request):
        if isinstance(delta, ReplyDone):
            return delta.reply
    raise RuntimeError("the stream ended without a reply")

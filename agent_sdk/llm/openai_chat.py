"""OpenAI's Chat Completions: where a question goes, and what the server is known not to understand."""

import re
from collections.abc import Mapping

from agent_sdk.core.errors import ModelError
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.openai_reply import ReplyAssembly
from agent_sdk.llm.openai_request import RequestWriter
from agent_sdk.llm.options import OpenAIOptions
from agent_sdk.llm.transport import HttpModel, Outgoing
from agent_sdk.llm.vendor_errors import OPENAI, ErrorTable

ABOUT_SCHEMA = re.compile(
    r"\A(?!.*schema for function).*(response_format|text\.format|schema|structured output)", re.IGNORECASE | re.DOTALL
)
"""A refusal of the schema for the output, and not of one of a tool."""


class OpenAIChat(HttpModel):
    """A model behind OpenAI's Chat Completions, or any server that speaks them."""

    def __init__(self, options: OpenAIOptions) -> None:
        super().__init__(options, ChatProtocol(options))


class ChatProtocol:
    """A server that refuses JSON schemas gets them in the instructions from then on."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._place = options.place
        self._writer = RequestWriter(is_openai=options.is_openai)
        self._without_schema: set[str] = set()

    @property
    def errors(self) -> ErrorTable:
        return OPENAI

    def headers(self) -> Mapping[str, str]:
        return openai_headers(self._options)

    def outgoing(self, request: ModelRequest, *, is_stream: bool) -> Outgoing:
        has_schema = request.model not in self._without_schema
        return Outgoing("/chat/completions", self._writer.body(request, is_stream=is_stream, has_schema=has_schema))

    def assembly(self, request: ModelRequest, headers: Mapping[str, str]) -> ReplyAssembly:
        names = self._writer.offers.toolbox(request).names
        output = self._writer.offers.output(request)
        return ReplyAssembly(request.id, self._place, names, output, OPENAI.request_id(headers))

    def relents(self, request: ModelRequest, error: ModelError) -> bool:
        if request.output_schema is None or request.model in self._without_schema or not ABOUT_SCHEMA.search(error.message):
            return False
        self._without_schema.add(request.model)
        return True


def openai_headers(options: OpenAIOptions) -> Mapping[str, str]:
    """Return the headers that say who asks."""
    headers: dict[str, str] = {}
    if options.api_key is not None:
        headers["Authorization"] = f"Bearer {options.api_key}"
    if options.organization is not None:
        headers["OpenAI-Organization"] = options.organization
    return headers

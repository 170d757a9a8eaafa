"""OpenAI's Responses: where a question goes, and what the server is known not to understand. Nothing is stored there."""

import re
from collections.abc import Mapping
from dataclasses import replace

from agent_sdk.core.errors import BadRequest, ContentRefused, ModelError
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.openai_chat import ABOUT_SCHEMA, openai_headers
from agent_sdk.llm.openai_responses_reply import ResponseAssembly
from agent_sdk.llm.openai_responses_request import ResponseWriter
from agent_sdk.llm.options import OpenAIOptions
from agent_sdk.llm.transport import HttpModel, Outgoing
from agent_sdk.llm.vendor_errors import OPENAI, ErrorTable
from agent_sdk.llm.wire import parse_count

_ABOUT_SEALS = re.compile(
    r"encrypted.content\W.*not (supported|available)|(unknown|unsupported|invalid|unrecognized).*\binclude\b", re.IGNORECASE
)
RESPONSES: ErrorTable = replace(
    OPENAI,
    words=(
        *OPENAI.words,
        ("bio_policy", ContentRefused),
        ("cyber_policy", ContentRefused),
        ("misalignment_policy", ContentRefused),
        ("invalid_prompt", ContentRefused),  # how a reasoning model's server says that the question itself is against its rules
    ),
    inside=(*OPENAI.inside, ("image", BadRequest), ("data_residency", BadRequest)),
)


class OpenAIResponses(HttpModel):
    """A model behind OpenAI's Responses, or any server that speaks them."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._responses = ResponsesProtocol(options)
        super().__init__(options, self._responses)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens the vendor counts in the question.

        Raises:
            ModelError: it does not say.
        """
        return parse_count(await self.fetch(self._responses.counting(request)), "input_tokens", self._place, RESPONSES)


class ResponsesProtocol:
    """What a model refused it is not asked for again: its JSON schemas stand in the instructions then, and its thoughts come unsealed."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._place = options.place
        self._writer = ResponseWriter(is_openai=options.is_openai)
        self._without_schema: set[str] = set()
        self._without_seals: set[str] = set()

    @property
    def errors(self) -> ErrorTable:
        return RESPONSES

    def headers(self) -> Mapping[str, str]:
        return openai_headers(self._options)

    def outgoing(self, request: ModelRequest, *, is_stream: bool) -> Outgoing:
        has_seals = request.model not in self._without_seals
        body = self._writer.body(request, is_stream=is_stream, has_schema=self._has_schema(request), has_seals=has_seals)
        return Outgoing("/responses", body)

    def counting(self, request: ModelRequest) -> Outgoing:
        """Return the question for how many tokens a question has."""
        return Outgoing("/responses/input_tokens", self._writer.counted(request, has_schema=self._has_schema(request)))

    def assembly(self, request: ModelRequest, headers: Mapping[str, str]) -> ResponseAssembly:
        offers = self._writer.offers
        names, output = offers.toolbox(request).names, offers.output(request)
        return ResponseAssembly(request.id, self._place, RESPONSES, names, output, RESPONSES.request_id(headers))

    def relents(self, request: ModelRequest, error: ModelError) -> bool:
        if request.output_schema is not None and self._has_schema(request) and ABOUT_SCHEMA.search(error.message):
            self._without_schema.add(request.model)
        elif request.model not in self._without_seals and _ABOUT_SEALS.search(error.message):
            self._without_seals.add(request.model)
        else:
            return False
        return True

    def _has_schema(self, request: ModelRequest) -> bool:
        return request.model not in self._without_schema

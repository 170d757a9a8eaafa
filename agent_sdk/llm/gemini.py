"""Google Gemini: where a question goes, and what a model is known not to understand."""

import re
from collections.abc import Mapping
from dataclasses import replace

from agent_sdk.core.errors import ModelError
from agent_sdk.core.model import NO_SETTINGS, ModelRequest, Reasoning
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.gemini_errors import GEMINI
from agent_sdk.llm.gemini_options import GeminiOptions, resource
from agent_sdk.llm.gemini_reply import ReplyAssembly
from agent_sdk.llm.gemini_request import Concessions, RequestWriter
from agent_sdk.llm.gemini_thinking import MAX_RELENTED
from agent_sdk.llm.transport import HttpModel, Outgoing
from agent_sdk.llm.vendor_errors import ErrorTable
from agent_sdk.llm.wire import parse_count

_ABOUT_SCHEMA = re.compile(r"response_?(json_?)?schema|response_?mime_?type|response mime type|json schema", re.IGNORECASE)
_ABOUT_THINKING = re.compile(r"thinking.?(level|budget|config|is|mode)", re.IGNORECASE)


class Gemini(HttpModel):
    """A model behind the Gemini API, Vertex AI, or any server that speaks their `generateContent`."""

    def __init__(self, options: GeminiOptions) -> None:
        self._gemini = GeminiProtocol(options)
        super().__init__(options, self._gemini)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens the vendor counts in the question.

        Raises:
            ModelError: it does not say.
        """
        return parse_count(await self.fetch(self._gemini.counting(request)), "totalTokens", self._place, GEMINI)


class GeminiProtocol:
    """A server that refuses schemas gets them in the instructions from then on; one that refuses an effort is asked for another."""

    def __init__(self, options: GeminiOptions) -> None:
        self._options = options
        self._place = options.place
        self._writer = RequestWriter()
        self._without_schema: set[str] = set()
        self._relented: dict[tuple[str, Reasoning | None], int] = {}

    @property
    def errors(self) -> ErrorTable:
        return GEMINI

    def headers(self) -> Mapping[str, str]:
        return {} if self._options.api_key is None else {"x-goog-api-key": self._options.api_key}

    def outgoing(self, request: ModelRequest, *, is_stream: bool) -> Outgoing:
        method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
        return Outgoing(self._options.path(request.model, method), self._writer.body(request, self._concessions(request)))

    def assembly(self, request: ModelRequest, headers: Mapping[str, str]) -> ReplyAssembly:
        offers = self._writer.offers(request)
        names, output = offers.toolbox(request).names, offers.output(request)
        return ReplyAssembly(request.id, self._place, names, output, GEMINI.request_id(headers))

    def relents(self, request: ModelRequest, error: ModelError) -> bool:
        key = (request.model, request.settings.reasoning)
        if request.settings.reasoning is not None and _ABOUT_THINKING.search(error.message):
            self._relented[key] = self._relented.get(key, 0) + 1
            return self._relented[key] <= MAX_RELENTED
        if request.output_schema is None or request.model in self._without_schema or not _ABOUT_SCHEMA.search(error.message):
            return False
        self._without_schema.add(request.model)
        return True

    def counting(self, request: ModelRequest) -> Outgoing:
        """Return the question for how many tokens a question has; what is no part of it is not said."""
        schema = None if self._options.is_vertex else request.output_schema  # Vertex AI counts no more than what is said
        body = self._writer.body(replace(request, settings=NO_SETTINGS, output_schema=schema), self._concessions(request))
        if not self._options.is_vertex:
            body = b'{"generateContentRequest":{"model":' + encode_json(resource(request.model)) + b"," + body[1:] + b"}"
        return Outgoing(self._options.path(request.model, "countTokens"), body)

    def _concessions(self, request: ModelRequest) -> Concessions:
        relented = self._relented.get((request.model, request.settings.reasoning), 0)
        return Concessions(request.model not in self._without_schema, relented)

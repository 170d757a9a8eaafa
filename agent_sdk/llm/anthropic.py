"""Anthropic's Messages: where a question goes, under which version, and how the vendor says that it failed."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from agent_sdk.core.errors import AuthFailed, BadRequest, ContentRefused, ModelError, Overloaded, RateLimited, Unavailable
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.anthropic_reply import MessageAssembly
from agent_sdk.llm.anthropic_request import MessagesWriter
from agent_sdk.llm.transport import HttpModel, Outgoing
from agent_sdk.llm.vendor_errors import STATUSES, ErrorTable, QuotaExhausted
from agent_sdk.llm.wire import parse_count

ANTHROPIC = ErrorTable(
    "Anthropic's",
    words=(
        ("billing_error", QuotaExhausted),
        ("spend_limit", QuotaExhausted),
        ("overloaded_error", Overloaded),
        ("rate_limit_error", RateLimited),
        ("authentication_error", AuthFailed),
        ("permission_error", AuthFailed),
    ),
    inside=(("invalid_request_error", BadRequest), ("not_found_error", BadRequest), ("timeout_error", Unavailable)),
    statuses=STATUSES,
    too_long=re.compile(r"prompt is too long|exceed.{0,20} context (limit|window)|request_too_large", re.IGNORECASE),
    request_ids=("request-id", "x-request-id"),
    messages=(("credit balance is too low", QuotaExhausted), ("content filtering policy", ContentRefused)),
)


class Anthropic(HttpModel):
    """A model behind Anthropic's Messages, or any server that speaks them."""

    def __init__(self, options: AnthropicOptions) -> None:
        self._messages = MessagesProtocol(options)
        super().__init__(options, self._messages)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many tokens the vendor counts in the question.

        Raises:
            ModelError: it does not say.
        """
        return parse_count(await self.fetch(self._messages.counting(request)), "input_tokens", self._place, ANTHROPIC)


class MessagesProtocol:
    """What a model is found not to take (a schema, an effort, adaptive thinking) is put in another way from then on."""

    def __init__(self, options: AnthropicOptions) -> None:
        self._options = options
        self._place = options.place
        self._writer = MessagesWriter(options)

    @property
    def errors(self) -> ErrorTable:
        return ANTHROPIC

    def headers(self) -> Mapping[str, str]:
        options = self._options
        headers = {"anthropic-version": options.api_version}
        if options.beta:
            headers["anthropic-beta"] = ",".join(options.beta)
        if options.api_key is not None:
            headers["x-api-key"] = options.api_key
        return headers

    def outgoing(self, request: ModelRequest, *, is_stream: bool) -> Outgoing:
        version = self._writer.version(request)
        headers = {"anthropic-version": version} if version != self._options.api_version else None
        return Outgoing(self._path(request.model, is_stream=is_stream), self._writer.body(request, is_stream=is_stream), headers)

    def counting(self, request: ModelRequest) -> Outgoing:
        """Return the question for how many tokens a question has."""
        is_vertex = self._options.platform == "vertex"
        path = "/publishers/anthropic/models/count-tokens:rawPredict" if is_vertex else "/v1/messages/count_tokens"
        return Outgoing(path, self._writer.counted(request))

    def assembly(self, request: ModelRequest, headers: Mapping[str, str]) -> MessageAssembly:
        offers, asked = self._writer.offers, self._writer.asked(request)
        names, output = offers.toolbox(asked).names, offers.output(asked)
        return MessageAssembly(request.id, self._place, ANTHROPIC, names, output, ANTHROPIC.request_id(headers))

    def relents(self, request: ModelRequest, error: ModelError) -> bool:
        return self._writer.concede(request, error.message)

    def _path(self, model: str, *, is_stream: bool) -> str:
        if self._options.platform != "vertex":
            return "/v1/messages"
        return f"/publishers/anthropic/models/{quote(model, safe='@')}:{'streamRawPredict' if is_stream else 'rawPredict'}"

"""What a well-formed question to Google's Gemini is; names may be in camel or snake case, as the vendor's JSON mapping allows."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel

from agent_sdk.testing.chat_protocol import Wire
from agent_sdk.testing.sim.wire import seal

FOREIGN_SIGNATURES = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What the vendor takes in place of a signature for calls that another model asked for."""

_SCHEMA_KEYS = frozenset(
    {"additionalProperties", "anyOf", "default", "defs", "description", "enum", "example", "format", "items", "maxItems", "maxLength"}
    | {"maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern", "properties"}
    | {"propertyOrdering", "ref", "required", "title", "type"}
)
_FORMATS = frozenset({"enum", "date-time", "float", "double", "int32", "int64"})


class Camel(Wire):
    """Base of what stands in camel case on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Blob(Camel):
    """A file in the message itself."""

    mime_type: str
    data: str
    display_name: str | None = None


class FileData(Camel):
    """A file by its address."""

    file_uri: str
    mime_type: str | None = None


class FunctionCall(Camel):
    """A call that the model asked for."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")]
    args: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    id: str | None = None


class ResponsePart(Camel):
    """A file that a function returned."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Camel):
    """What a function returned."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")]
    response: dict[str, JsonValue]
    id: str | None = None
    parts: list[ResponsePart] | None = None


class GeminiPart(Camel):
    """One of several things that can be said."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    thought: bool | None = None
    thought_signature: str | None = None

    @property
    def said(self) -> str:
        if self.text is not None:
            return self.text
        if self.function_call is not None:
            return f"{self.function_call.name} {self.function_call.args}"
        return self.model_dump_json(exclude_none=True)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        held = [self.text, self.inline_data, self.file_data, self.function_call, self.function_response]
        if sum(each is not None for each in held) != 1:
            raise ValueError("required oneof field 'data' must have one initialized field")
        signature = self.thought_signature
        if self.function_call is not None and signature not in {None, *FOREIGN_SIGNATURES, seal(self.function_call.name)}:
            raise ValueError("Thought signature is not valid.")
        return self


class GeminiContent(Camel):
    """A message of one of the two."""

    role: Literal["user", "model"] = "user"
    parts: Annotated[list[GeminiPart], Field(min_length=1)]

    @property
    def calls(self) -> list[GeminiPart]:
        return [part for part in self.parts if part.function_call is not None]

    @property
    def responses(self) -> list[FunctionResponse]:
        return [part.function_response for part in self.parts if part.function_response is not None]


class System(Camel):
    """What the model is told beforehand; its role is not looked at."""

    role: str | None = None
    parts: list[GeminiPart]


class Declaration(Camel):
    """A function that is offered."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")]
    description: str = ""
    parameters: dict[str, JsonValue] | None = None
    parameters_json_schema: dict[str, JsonValue] | None = None
    response: dict[str, JsonValue] | None = None
    response_json_schema: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _has_one_schema(self) -> Self:
        if self.parameters is not None and self.parameters_json_schema is not None:
            raise ValueError("parameters and parameters_json_schema are mutually exclusive")
        if self.parameters is not None:
            check_schema(self.parameters)
        return self


class GeminiTool(Camel):
    """Functions that are offered."""

    function_declarations: Annotated[list[Declaration], Field(min_length=1)]


class CallingConfig(Camel):
    """Whether, and which, functions are to be called."""

    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: list[str] | None = None

    @model_validator(mode="after")
    def _names_with_any(self) -> Self:
        if self.allowed_function_names and self.mode not in {"ANY", "VALIDATED"}:
            raise ValueError("allowed_function_names should only be set when mode is ANY or VALIDATED")
        return self


class ToolConfig(Camel):
    """How tools are to be used."""

    function_calling_config: CallingConfig | None = None


class ThinkingConfig(Camel):
    """Whether and how much is to be thought."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH", "minimal", "low", "medium", "high", "xhigh"] | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if self.thinking_budget is not None and self.thinking_level is not None:
            raise ValueError("You can only set only one of thinking budget and thinking level.")
        return self


class GenerationConfig(Camel):
    """How the answer is to be."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: float | None = None
    candidate_count: Literal[1] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=5)] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_mime_type: Literal["text/plain", "application/json", "text/x.enum"] | None = None
    response_schema: dict[str, JsonValue] | None = None
    response_json_schema: dict[str, JsonValue] | None = None
    thinking_config: ThinkingConfig | None = None

    @property
    def output_schema(self) -> Mapping[str, JsonValue] | None:
        return self.response_schema or self.response_json_schema

    @model_validator(mode="after")
    def _has_one_schema(self) -> Self:
        if self.output_schema is not None and self.response_mime_type != "application/json":
            raise ValueError("response_schema only supports the mime type `application/json`")
        if self.response_schema is not None:
            if self.response_json_schema is not None:
                raise ValueError("response_schema and response_json_schema are mutually exclusive")
            check_schema(self.response_schema)
        return self


class GeminiRequest(Camel):
    """A question: `POST /v1beta/models/{model}:generateContent`. `model` stands in it where it is a question for the number of tokens."""

    contents: Annotated[list[GeminiContent], Field(min_length=1)]
    system_instruction: System | None = None
    tools: list[GeminiTool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig = Field(default_factory=GenerationConfig)
    safety_settings: list[JsonValue] | None = None
    cached_content: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    labels: dict[str, str] | None = None
    model: str | None = None

    @property
    def declarations(self) -> list[Declaration]:
        return [each for tool in self.tools or () for each in tool.function_declarations]

    @property
    def instructions(self) -> str:
        return "\n".join(part.said for part in self.system_instruction.parts) if self.system_instruction is not None else ""

    @model_validator(mode="after")
    def _turns_follow(self) -> Self:
        before: GeminiContent | None = None
        for content in [*self.contents, None]:
            asked = [part.function_call.name for part in before.calls if part.function_call is not None] if before is not None else []
            answered = [response.name for response in content.responses] if content is not None else []
            if len(asked) != len(answered) and (asked or answered):
                raise ValueError(
                    "Please ensure that the number of function response parts is equal to the number of function call parts "
                    "of the function call turn."
                )
            if sorted(asked) != sorted(answered):
                raise ValueError("Please ensure that function response names match the function call names.")
            if content is not None and content.calls and (content.role != "model" or before is None or before.role != "user"):
                raise ValueError(
                    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
                )
            before = content
        return self

    @model_validator(mode="after")
    def _names_are_declared(self) -> Self:
        names = [each.name for each in self.declarations]
        if len(set(names)) < len(names):
            raise ValueError(f"Duplicate function declaration found: {max(names, key=names.count)}")
        calling = self.tool_config.function_calling_config if self.tool_config is not None else None
        if calling is not None and (unknown := set(calling.allowed_function_names or ()) - set(names)):
            raise ValueError(f"allowed_function_names contains {min(unknown)!r}, which is not in function_declarations")
        if calling is not None and calling.mode == "ANY" and not names:
            raise ValueError("Function calling config is set without function_declarations.")
        return self

    def unsigned_call(self) -> str | None:
        """Return a call of the turn that goes on, whose signature is missing; None where there is none."""
        for content in reversed(self.contents):
            if content.role == "user" and not content.responses:
                return None
            if content.calls and content.calls[0].thought_signature is None and content.calls[0].function_call is not None:
                return content.calls[0].function_call.name
        return None


class CountRequest(Camel):
    """A question for the number of tokens alone; with tools or instructions it holds the whole question that would be asked."""

    contents: list[GeminiContent] | None = None
    generate_content_request: GeminiRequest | None = None

    @property
    def request(self) -> GeminiRequest:
        return self.generate_content_request or GeminiRequest(contents=self.contents or [])

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.contents is None) == (self.generate_content_request is None):
            raise ValueError("one of contents and generate_content_request must be set")
        return self


def check_schema(schema: JsonValue) -> None:
    """Refuse a schema that is none of the vendor's own, which is a part of OpenAPI's.

    Raises:
        ValueError: it holds a field that the vendor does not know, or an enumeration that is not one of texts.
    """
    if not isinstance(schema, dict):
        raise ValueError("Invalid value: a schema is an object")
    if unknown := schema.keys() - _SCHEMA_KEYS:
        raise ValueError(f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.')
    if not isinstance(schema.get("type", ""), str):
        raise ValueError("Proto field is not repeating, cannot start list: type")
    kind = str(schema.get("type", "")).upper()
    if kind == "ARRAY" and "items" not in schema:
        raise ValueError("items: missing field")
    if "enum" in schema and (kind != "STRING" or not _is_texts(schema["enum"])):
        raise ValueError("enum: only allowed for STRING type")
    if kind == "STRING" and schema.get("format", "enum") not in _FORMATS:
        raise ValueError("format: only 'enum' and 'date-time' are supported for STRING type")
    properties = schema.get("properties")
    branches = schema.get("anyOf")
    children = [*(properties.values() if isinstance(properties, dict) else ()), *(branches if isinstance(branches, list) else ())]
    for each in [*children, *([schema["items"]] if "items" in schema else [])]:
        check_schema(each)


def _is_texts(values: JsonValue) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def plain_schema(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the vendor's own schema as JSON Schema: types in small letters, and null where it is allowed."""
    plain: dict[str, JsonValue] = {}
    for key, value in schema.items():
        match key, value:
            case "type", str():
                plain["type"] = value.lower()
            case "properties", dict():
                plain[key] = {name: plain_schema(each) for name, each in value.items() if isinstance(each, dict)}
            case "items", dict():
                plain[key] = plain_schema(value)
            case "anyOf", list():
                plain[key] = [plain_schema(each) for each in value if isinstance(each, dict)]
            case _:
                plain[key] = value
    return {"anyOf": [plain, {"type": "null"}]} if plain.pop("nullable", False) is True else plain

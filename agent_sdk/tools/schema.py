"""JSON Schemas as a model reads them: what pydantic writes, without the titles that only repeat names."""

from typing import Any, Literal

from pydantic import JsonValue, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401  (a union of pydantic's, private to it)
        return False


def json_schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"]) -> dict[str, JsonValue]:
    """Return the schema, draft 2020-12.

    Raises:
        PydanticUserError: the type has none.
    """
    schema: dict[str, JsonValue] = adapter.json_schema(mode=mode, schema_generator=_Untitled)
    schema.pop("title", None)
    return schema

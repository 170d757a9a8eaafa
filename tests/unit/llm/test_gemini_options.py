import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.options import HttpRequest

VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"


async def sign(request: HttpRequest) -> HttpRequest:
    return request


def test_the_vendor_s_own_server_wants_a_key() -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY") as caught:
        GeminiOptions()
    assert "needs an API key" in caught.value.message
    GeminiOptions(sign=sign)
    GeminiOptions(base_url="http://localhost:8080")


def test_a_key_with_a_line_break_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="white space") as caught:
        GeminiOptions("AIza-secret\n")
    assert "secret" not in str(caught.value)
    assert "AIza" not in repr(GeminiOptions("AIza-secret"))


@pytest.mark.parametrize(
    ("base_url", "model", "expected"),
    [
        ("https://generativelanguage.googleapis.com", "gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash:generateContent"),
        ("https://generativelanguage.googleapis.com/v1", "gemini-3.8-flash", "/v1/models/gemini-3.8-flash:generateContent"),
        ("https://generativelanguage.googleapis.com/", "tunedModels/x", "/v1beta/tunedModels/x:generateContent"),
        (VERTEX, "gemini-3.8-flash", "/v1/projects/p/locations/global/publishers/google/models/gemini-3.8-flash:generateContent"),
        ("http://localhost:1", "a b?key=c", "/v1beta/models/a%20b%3Fkey%3Dc:generateContent"),
    ],
)
def test_the_address_of_a_model(base_url: str, model: str, expected: str) -> None:
    options = GeminiOptions("k", base_url)
    assert options.url(options.path(model, "generateContent")).partition("//")[2].partition("/")[2] == expected[1:]


def test_vertex_is_known_by_its_host() -> None:
    assert GeminiOptions("k", VERTEX).is_vertex
    assert GeminiOptions("k", "https://europe-west4-aiplatform.googleapis.com/v1/publishers/google").is_vertex
    assert not GeminiOptions("k").is_vertex

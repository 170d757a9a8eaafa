import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest
from pydantic import JsonValue, SecretStr

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, NotDone
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.http import Http, HttpUnreachable, Network, UrlRefused
from agent_sdk.tools.http.network import checked_addresses
from agent_sdk.tools.http.tools import Method
from agent_sdk.tools.http.urls import AllowList, Place, parse_url

ALL: tuple[Method, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def network(**addresses: Sequence[str]) -> Network:
    """Return name servers that know these hosts of `.test`, and no others."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if (name := host.removesuffix(".test")) not in addresses:
            raise OSError("unknown")
        return addresses[name]

    return Network(resolve)


async def refused(tool: Tool, context: ToolContext[object], **args: JsonValue) -> NotDone:
    with pytest.raises(NotDone) as caught:
        await tool.call(args, context)
    return caught.value


def test_there_is_a_tool_for_each_method_and_readers_come_first() -> None:
    http = Http(["a.test", "*.b.test"], methods=ALL[::-1], name="shop")
    assert [tool.spec.name for tool in http.tools] == [f"shop_{method.lower()}" for method in ALL]
    assert [tool.spec.effect for tool in http.tools] == ["read", "read", "once", "once", "once", "once"]
    assert [tool.spec.name for tool in http.readers] == ["shop_get", "shop_head"]
    for tool in http.tools:
        assert tool.spec.label.untrusted == ("http:*.b.test", "http:a.test")
        assert "https://*.b.test/" in tool.spec.description
    assert [tool.spec.name for tool in Http(["a.test"]).tools] == ["http_get"]


def test_who_knows_repeated_calls_by_a_header_gets_them_again() -> None:
    (put,) = Http(["a.test"], methods=["PUT"], idempotency_header="idempotency-key").tools
    assert (put.spec.effect, put.spec.retries) == ("idempotent", 2)


def test_a_writer_asks_for_approval_where_it_shall() -> None:
    get, post = Http(["a.test"], methods=["GET", "POST"], approval="it changes the shop").tools
    assert post.approval({"url": "https://a.test/"}) == "it changes the shop"
    assert get.approval({"url": "https://a.test/"}) is None


def test_a_declaration_shows_no_secret() -> None:
    http = Http(["a.test"], headers={"a.test": {"Authorization": "Bearer abcdef", "X-Key": SecretStr("ghijkl")}})
    said = f"{http!r} {http.tools[0]!r} {http.tools[0].spec!r}"
    assert "abcdef" not in said
    assert "ghijkl" not in said


@pytest.mark.parametrize(
    "options",
    [
        {"allow": []},
        {"allow": ["*"]},
        {"methods": []},
        {"methods": ["TRACE"]},
        {"methods": "GET"},
        {"max_bytes": 0},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
        {"timeout_s": float("inf")},
        {"private": ["b.test"]},
        {"headers": {"Authorization": "Bearer abcdef"}},
        {"headers": {"a.test": {"Host": "b.test"}}},
        {"headers": {"nowhere else": {"X": "1"}}},
        {"headers": {"b.test": {"X": "abcdef"}}},
        {"headers": {"http://a.test": {"X": "abcdef"}}},
        {"idempotency_header": "a b"},
        {"name": "bad name"},
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(**{"allow": ["a.test"], **options})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the point of the test)
    assert "abcdef" not in str(caught.value)


def test_aiohttp_is_loaded_by_the_first_question_alone() -> None:
    program = "import sys; from agent_sdk.tools.http import Http; Http(['a.test']).tools[0].spec; print('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["x"]]
)
async def test_a_name_with_one_address_that_is_not_public_is_refused(addresses: list[str], context: ToolContext[object]) -> None:
    (get,) = Http(["a.test"], network=network(a=addresses)).tools
    error = await refused(get, context, url="https://a.test/")
    assert isinstance(error, UrlRefused)
    assert "public internet" in error.message
    assert not any(address in error.message for address in addresses), "what a name is inside is nobody's business"


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["0.0.0.0"], ["224.0.0.1"], ["127.0.0.1", "fe80::1"]])
async def test_a_host_that_may_be_private_is_still_no_metadata_service(addresses: list[str], context: ToolContext[object]) -> None:
    (get,) = Http(["a.test"], private=["a.test"], network=network(a=addresses)).tools
    assert isinstance(await refused(get, context, url="https://a.test/"), UrlRefused)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]", "0.0.0.0"])
async def test_an_address_on_the_list_is_not_thereby_allowed_to_be_private(host: str) -> None:
    with pytest.raises(ConfigError, match="names an address"):
        Http([host], network=network())
    unchecked = AllowList((Place.parse(host),))
    with pytest.raises(UrlRefused, match="public internet"):
        await checked_addresses(parse_url(f"https://{host}/"), unchecked, network().resolve, 1.0)


async def test_a_name_without_address_is_unreachable_and_may_be_tried_again(context: ToolContext[object]) -> None:
    (post,) = Http(["a.test", "b.test"], methods=["POST"], network=network(b=[])).tools
    for host in ["a.test", "b.test"]:
        error = await refused(post, context, url=f"https://{host}/")
        assert isinstance(error, HttpUnreachable)
        assert error.retryable


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"url": "https://b.test/"}, "allow list"),
        ({"url": "nonsense"}, "no http"),
        ({"url": "https://a.test/", "body": {"a": 1}, "content_type": "text/plain"}, "is a text"),
        ({"url": "https://a.test/", "content_type": "text/plain\r\nX: y"}, "no content type"),
        ({"url": "https://a.test/", "content_type": "text/plain;\r\n x=y"}, "no content type"),
        ({"url": "https://a.test/", "body": "x" * 2000}, "at most 1,000"),
    ],
)
async def test_a_call_that_cannot_be_sent_was_not_done(args: Mapping[str, JsonValue], says: str, context: ToolContext[object]) -> None:
    (post,) = Http(["a.test"], methods=["POST"], max_bytes=1000, network=network(a=["93.184.216.34"])).tools
    assert says in (await refused(post, context, **args)).message


@pytest.mark.parametrize("args", [{}, {"url": ""}, {"url": 1}, {"url": "x" * 9000}, {"url": "https://a.test/", "headers": {}}])
async def test_arguments_are_checked_before_anything_else(args: Mapping[str, JsonValue], context: ToolContext[object]) -> None:
    (get,) = Http(["a.test"]).tools
    with pytest.raises(ArgumentsInvalid):
        await get.call(args, context)

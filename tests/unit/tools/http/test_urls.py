from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st
from yarl import URL

from agent_sdk.core.errors import ConfigError
from agent_sdk.tools.http import UrlRefused
from agent_sdk.tools.http.urls import MAX_URL_CHARS, AllowList, Place, is_dangerous, parse_url

ALLOWED = AllowList.parse(
    ["https://api.example.com/v1/", "*.example.org", "http://[2606:4700::1]:8080/", "https://bücher.example/x", "https://8.8.8.8"]
)


def is_allowed(text: str) -> bool:
    try:
        ALLOWED.check(parse_url(text))
    except UrlRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "one_form"),
    [
        ("https://API.Example.COM/v1/a?q=1#part", "https://api.example.com/v1/a?q=1"),
        ("HTTPS://api.example.com./v1/a", "https://api.example.com/v1/a"),
        ("https://api.example.com:443/v1/a", "https://api.example.com/v1/a"),
        ("https://a.b.example.org", "https://a.b.example.org/"),
        ("https://a.example.org?q=a/../b", "https://a.example.org/?q=a/../b"),
        ("https://a.example.org/?", "https://a.example.org/?"),
        ("https://a.example.org/%7e%2Fa%2f", "https://a.example.org/%7E%2Fa%2F"),
        ("https://a.example.org/é?ü=ß", "https://a.example.org/%C3%A9?%C3%BC=%C3%9F"),
        ("https://BÜCHER.example/x", "https://xn--bcher-kva.example/x"),
        ("https://xn--bcher-kva.example/x/y", "https://xn--bcher-kva.example/x/y"),
        ("http://[2606:4700:0:0::1]:8080/a", "http://[2606:4700::1]:8080/a"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://api.example.com/v1/a%2eb", "https://api.example.com/v1/a%2Eb"),
    ],
)
def test_a_url_is_brought_into_its_one_form(text: str, one_form: str) -> None:
    url = parse_url(text)
    assert str(url) == one_form
    assert parse_url(str(url)) == url
    ALLOWED.check(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.example.com/v1/",
        "//api.example.com/v1/",
        "ftp://api.example.com/v1/",
        "file:///etc/passwd",
        "https:/api.example.com/v1/",
        "https:api.example.com/v1/",
        "https:///v1/",
        "https://?x",
        "https://user@api.example.com/v1/",
        "https://user:word@api.example.com/v1/",
        "https://api.example.com@evil.test/v1/",
        "https://api.example.com:@evil.test/v1/",
        "https://api.example.com\\@evil.test/v1/",
        "https://api.example.com\\.evil.test/v1/",
        "https:\\\\api.example.com/v1/",
        " https://api.example.com/v1/",
        "https://api.example.com/v1/ ",
        "https://api.example.com/v1/\r\nHost: evil.test",
        "https://api.example.com/v1/\t",
        "https://api.example.com\n.evil.test/v1/",
        "https://api.example.com/v1/\x00",
        "https://api.example.com/v1/\u2028",
        "https://api.example.com/v1/\xa0",
        "https://api.example.com/v1/\ud800",
        "https://api.example.com/v1/%",
        "https://api.example.com/v1/%u002e",
        "https://api.example.com/v1/%zz",
        "https://api%2eexample.com/v1/",
        "https://api.example.com%00.evil.test/v1/",
        "https://api.example.com:/v1/",
        "https://api.example.com:0/v1/",
        "https://api.example.com:65536/v1/",
        "https://api.example.com:443:443/v1/",
        "https://api.example.com:+443/v1/",
        "https://api.example.com:\uff14\uff14\uff13/v1/",
        "https://api..example.com/v1/",
        "https://api.example.com../v1/",
        "https://-api.example.com/v1/",
        "https://ex\xadample.com/",
        "https://\u200d.example.com/",
        f"https://{'à' * 300}.example.com/",
        "https://a b.example.org/",
        "https://[::1",
        "https://[::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[v1.x]/",
        "https://[127.0.0.1]/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.0.0.1.example.0x1/",
        "https://08.8.8.8/",
        f"https://{'a' * 64}.example.org/",
        f"https://{'a.' * 125}example.org/",
        "https://a.example.org/" + "a" * MAX_URL_CHARS,
    ],
)
def test_what_is_no_url_or_one_that_readers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://api.example.com/v1/",
        "https://api.example.com:8443/v1/",
        "https://api.example.com/",
        "https://api.example.com/v1",
        "https://api.example.com/v10/",
        "https://api.example.com/V1/",
        "https://api.example.com/%76%31/",
        "https://api.example.com/v1/../admin",
        "https://api.example.com/v1/..",
        "https://api.example.com/v1/./a",
        "https://api.example.com/v1/%2e%2e/admin",
        "https://api.example.com/v1/.%2E/admin",
        "https://api.example.com/v1/..%2fadmin",
        "https://api.example.com/v1/a%2Fb",
        "https://api.example.com/v1/..%5cadmin",
        "https://api.example.com/v1/%252e%252e/admin",
        "https://api.example.com/v1/%25252e%25252e/admin",
        f"https://api.example.com/v1/%{'25' * 3000}2e",
        "https://api.example.com/v1/..;/admin",
        "https://api.example.com/v1/..;x=y/admin",
        "https://api.example.com/v1/%2e%2e%3b/admin",
        "https://api.example.com/v1/..%20/admin",
        "https://api.example.com/v1/..%00/admin",
        "https://api.example.com/v1/..%0d%0a/admin",
        "https://api.example.com/v1/%c0%ae%c0%ae/admin",
        "https://api.example.com/v1/%EF%BC%8E%EF%BC%8E/admin",
        "https://api.example.com/v1/\uff0e\uff0e/admin",
        "https://api.example.com/v1/\u2025/admin",
        "https://api.example.com/v1/..%EF%BC%8Fadmin",
        "https://api.example.com/v1/%EF%BC%852e%EF%BC%852e/admin",
        "https://example.org/",
        "https://aexample.org/",
        "https://a.example.org.evil.test/",
        "https://.example.org/",
        "https://bücher.example/xy",
        "https://8.8.8.8.example.net/",
        "https://api.example.com.evil.test/v1/",
        "https://evil.test/https://api.example.com/v1/",
        "https://evil.test?https://api.example.com/v1/",
        "https://evil.test#@api.example.com/v1/",
        "https://①②⑦.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
    ],
)
def test_what_lies_outside_of_every_place_is_refused(text: str) -> None:
    assert not is_allowed(text)


def test_where_a_whole_host_is_allowed_its_paths_may_hold_anything() -> None:
    assert is_allowed("https://a.example.org/projects/group%2Fname/../x")


PIECES = st.sampled_from(
    [
        *(
            "https",
            "http",
            "://",
            ":",
            "/",
            "//",
            "\\",
            "@",
            "#",
            "?",
            ".",
            "..",
            "%2e",
            "%2F",
            "%5c",
            "%00",
            "%25",
            "%40",
            "%",
            ";",
            "[",
            "]",
        ),
        *("::1", "127.0.0.1", "0x7f.1", "2130706433", "api.example.com", "example.org", ".example.org", "a.example.org", "evil.test", "v1"),
        *("/v1/", "API", "\t", "\n", "\r", " ", "\x00", "\u3002", "\uff0f", "\uff0e", "\u2044", "\u00ad", "ß", "bücher.example", "x"),
        *("443", "80", "xn--", "\u200d", "\ud800", "&", "="),
    ]
)
TRICKY = st.one_of(
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: "https://api.example.com/v1/" + "".join(pieces)),
    st.lists(PIECES, max_size=8).map(lambda pieces: "https://api.example.com" + "".join(pieces)),
    st.lists(PIECES, max_size=8).map(lambda pieces: "https://" + "".join(pieces) + ".example.org/"),
    st.text(max_size=40),
)
HOSTS = {"api.example.com", "2606:4700::1", "xn--bcher-kva.example", "8.8.8.8"}


@given(TRICKY)
def test_whatever_passes_leads_every_reader_to_a_host_of_the_list(text: str) -> None:
    if not is_allowed(text):
        return
    ours = parse_url(text)
    sent = URL(str(ours), encoded=True)
    readings = [
        (sent.raw_host, sent.port),
        (URL(text).raw_host, URL(text).port),
        (urlsplit(str(ours)).hostname, urlsplit(str(ours)).port or 443),
    ]
    for host, port in readings:
        assert host is not None
        name = host.removesuffix(".")
        assert name == ours.host
        assert (port or 443) == ours.port
        assert name in HOSTS or name.endswith(".example.org")
    if ours.host == "api.example.com":
        assert URL(text).path.startswith("/v1/")
        assert sent.raw_path.startswith("/v1/")
        assert ".." not in URL(text).path.split("/")


@given(TRICKY, TRICKY)
def test_a_reference_leads_to_a_place_of_the_list_or_is_refused(start: str, reference: str) -> None:
    try:
        url = parse_url("https://api.example.com/v1/" if not is_allowed(start) else start).joined(reference)
        ALLOWED.check(url)
    except UrlRefused:
        return
    assert url.host in HOSTS or url.host.endswith(".example.org")
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("b", "https://a.example.org/x/b"),
        ("../b?q", "https://a.example.org/b?q"),
        ("/c", "https://a.example.org/c"),
        ("//d.example.org/e", "https://d.example.org/e"),
        ("?q=2", "https://a.example.org/x/y?q=2"),
        ("../../../b", "https://a.example.org/b"),
        ("", "https://a.example.org/x/y?q=1"),
    ],
)
def test_a_reference_is_read_from_where_it_was_found(reference: str, target: str) -> None:
    assert str(parse_url("https://a.example.org/x/y?q=1").joined(reference)) == target


@pytest.mark.parametrize("reference", ["http://[", "javascript:x", "data:,x", "a b", "\\\\evil.test", "https://[::1]]/", "x\r\ny"])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url("https://a.example.org/").joined(reference)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("api.example.com", "https://api.example.com/"),
        ("API.example.com:8443", "https://api.example.com:8443/"),
        ("*.example.org", "https://*.example.org/"),
        ("http://*.example.org:81/a", "http://*.example.org:81/a"),
        ("10.0.0.5", "https://10.0.0.5/"),
        ("https://[::1]:8080", "https://[::1]:8080/"),
    ],
)
def test_a_place_is_shown_in_full(place: str, shown: str) -> None:
    assert str(Place.parse(place)) == shown
    assert Place.parse(shown) == Place.parse(place)


@pytest.mark.parametrize(
    "place",
    [
        "", "*", "*.", "https://*", "a.*.example.org", "*.*.example.org", "ex*mple.org", "ftp://a.test", "https://u@a.test", "https://a.test/?q",
        "https://a.test/#x", "https://a.test/../x", "https://a.test/%2e/x", "*.10.0.0.5", "*.[::1]", "a b", "https://a.test/x?",
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused_at_once(place: str) -> None:
    with pytest.raises(ConfigError):
        Place.parse(place)


@pytest.mark.parametrize(
    ("place", "told", "hint"),
    [
        ("https://a.test/v1/*", "holds a *", "all below a path is allowed: https://a.test/v1/"),
        ("*.a.test/*/x", "holds a *", "https://*.a.test/"),
        ("a.test:80", "names https and the port of http", "write http://a.test/"),
        ("http://a.test:443/x", "names http and the port of https", "write https://a.test/x"),
    ],
)
def test_a_place_in_which_no_url_would_lie_is_refused_with_what_was_meant(place: str, told: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Place.parse(place)
    assert repr(place) in caught.value.message
    assert told in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("place", [None, 3, b"a.test", ["a.test"]])
def test_a_place_is_a_text(place: object) -> None:
    with pytest.raises(ConfigError, match="is no place"):
        Place.parse(place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the point of the test)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]"])
def test_an_address_that_is_not_public_must_be_named_as_private_too(host: str) -> None:
    with pytest.raises(ConfigError, match="not of the public internet") as caught:
        AllowList.parse(["a.test", host])
    assert "private=[" in (caught.value.hint or "")
    assert AllowList.parse([host], [host.strip("[]")]).places == (Place.parse(host),)


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "[2001:db8::1]"])
def test_an_address_at_which_no_host_answers_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="no host answers"):
        AllowList.parse([host], [host.strip("[]")])


@pytest.mark.parametrize(
    ("one", "other", "do_meet"),
    [
        ("a.test", "a.test/v1", True),
        ("a.test/v1", "a.test/v1/x/", True),
        ("a.test/v1", "a.test/v10", False),
        ("a.test/v1", "a.test/v2", False),
        ("*.a.test", "b.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "*.b.a.test", True),
        ("*.a.test", "*.b.test", False),
        ("a.test", "http://a.test", False),
        ("a.test", "a.test:8443", False),
    ],
)
def test_places_meet_where_a_url_lies_in_both(one: str, other: str, do_meet: bool) -> None:
    assert Place.parse(one).meets(Place.parse(other)) == Place.parse(other).meets(Place.parse(one)) == do_meet


def test_private_hosts_are_single_hosts_of_the_list() -> None:
    allowed = AllowList.parse(["http://localhost:8080/", "http://[::1]/", "*.example.org"], ["localhost", "::1"])
    assert allowed.private == {"localhost", "::1"}
    for private in ["other.test", "a.example.org", "*.example.org"]:
        with pytest.raises(ConfigError, match="private"):
            AllowList.parse(["*.example.org"], [private])


def test_a_list_is_no_text_and_not_empty() -> None:
    for places, private in [("api.example.com", ()), ([], ()), (["a.test"], "a.test")]:
        with pytest.raises(ConfigError):
            AllowList.parse(places, private)


def test_a_long_list_is_shown_in_part() -> None:
    assert AllowList.parse([f"h{i}.test" for i in range(23)]).shown().endswith("https://h19.test/ and 3 more")


def test_a_path_that_is_the_same_for_all_is_not_dangerous() -> None:
    assert not is_dangerous("/v1/a.b/c..d/.hidden/...;x/%20%C3%A9")

import pytest

from agent_sdk.tools.http import UrlRefused
from agent_sdk.tools.http.questions import Question, Received, redirected
from agent_sdk.tools.http.urls import parse_url

HOME = parse_url("https://a.test/x")
OWN = {"Content-Type": "application/json", "Idempotency-Key": "k"}


def onward(status: int, method: str, location: str = "/y") -> Question | None:
    body = None if method in {"GET", "HEAD"} else b"{}"
    return redirected(Question(method, HOME, OWN if body else {}, body), Received(status, {"location": location}, b""))


@pytest.mark.parametrize(
    ("status", "method", "turned"),
    [
        (301, "GET", "GET"),
        (302, "HEAD", "HEAD"),
        (303, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_the_method_goes_along_or_turns_into_get(status: int, method: str, turned: str) -> None:
    question = onward(status, method)
    assert question is not None
    assert (question.method, str(question.url), question.is_at_home) == (turned, "https://a.test/y", True)
    keeps = turned not in {"GET", "HEAD"}
    assert (question.body, question.headers) == ((b"{}", OWN) if keeps else (None, {}))


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 400])
def test_other_replies_are_no_redirects(status: int) -> None:
    assert onward(status, "GET") is None


def test_a_redirect_that_names_no_place_is_a_reply() -> None:
    assert redirected(Question("GET", HOME), Received(302, {}, b"")) is None


@pytest.mark.parametrize("location", ["https://b.test/", "http://a.test/x", "https://a.test:444/", "//b.test"])
def test_another_origin_gets_no_credentials_and_no_effect(location: str) -> None:
    away = onward(302, "GET", location)
    assert away is not None
    assert not away.is_at_home
    back = redirected(away, Received(302, {"location": "https://a.test/x"}, b""))
    assert back is not None
    assert not back.is_at_home, "who comes back by way of another origin says what that one wants"
    turned = onward(303, "POST", location)
    assert turned is not None
    assert (turned.method, turned.body, turned.is_at_home) == ("GET", None, False)
    with pytest.raises(UrlRefused):
        onward(307, "POST", location)

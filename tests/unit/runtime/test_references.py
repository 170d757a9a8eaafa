"""Functions that settings name: loaded when they are needed, and refused with what is wrong and no word of theirs."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm.options import HttpRequest
from agent_sdk.runtime.references import load_sign

SETTING = "openai.sign"
CLOUD = """\
from dataclasses import replace

token = "..."

async def sign(request):
    return replace(request, headers={"X-Token": "t"})

def blocking(request):
    return request

async def greedy(request, key):
    return request

class Signer:
    async def __call__(self, request):
        return request

    async def sign(self, request):
        return request

signer = Signer()
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "a_cloud.py").write_text(CLOUD)
    (tmp_path / "a_broken_cloud.py").write_text("raise ValueError('the key is hunter2')")
    (tmp_path / "an_ended_cloud.py").write_text("raise SystemExit('hunter2')")
    (tmp_path / "a_poor_cloud.py").write_text("import a_module_that_nobody_has")
    yield
    for name in ("a_cloud", "a_broken_cloud", "an_ended_cloud", "a_poor_cloud"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("reference", ["a_cloud:sign", "a_cloud:signer", "a_cloud:signer.sign"])
async def test_an_async_function_or_object_is_loaded(reference: str) -> None:
    signed = await load_sign(reference, SETTING)(HttpRequest("https://host/", {}, b""))
    assert signed.url == "https://host/"


@pytest.mark.parametrize(
    ("reference", "told", "hint"),
    [
        ("a_clod:sign", "openai.sign: there is no module 'a_clod'", "set PYTHONPATH"),
        ("a_poor_cloud:sign", "needs a module that is missing: a_module_that_nobody_has", "install"),
        ("a_broken_cloud:sign", "module 'a_broken_cloud' fails on import: ValueError", "import a_broken_cloud"),
        ("an_ended_cloud:sign", "fails on import: SystemExit", "shows why"),
        ("a_cloud:sing", "openai.sign: module 'a_cloud' has no 'sing'", "did you mean 'sign'?"),
        ("a_cloud:xyz", "has no 'xyz'", "async def sign(request"),
        ("a_cloud:signer.sing", "has no 'signer.sing'", "async def sign(request"),
        ("a_cloud:blocking", "names 'a_cloud:blocking', which is no async function", "async def sign(request"),
        ("a_cloud:token", "is no async function", "async def sign(request"),
        ("a_cloud:Signer", "is no async function", "async def sign(request"),
        ("a_cloud:greedy", "cannot be called with a request alone", "async def sign(request"),
    ],
)
def test_what_cannot_sign_is_refused_with_the_setting_and_no_word_of_its_module(reference: str, told: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_sign(reference, SETTING)
    assert told in caught.value.message
    assert hint in (caught.value.hint or "")
    assert SETTING in caught.value.message
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__

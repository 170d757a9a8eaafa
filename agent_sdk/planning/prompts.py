"""The planners' prompts: files beside this module, read once, with `{{name}}` for what is filled in."""

import re
from functools import cache
from importlib.resources import files

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def render_prompt(name: str, **values: str) -> str:
    """Return the prompt `name` with every placeholder filled in.

    Raises:
        KeyError: a placeholder has no value.
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], _text(name))


@cache
def _text(name: str) -> str:
    return files("agent_sdk.planning").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()

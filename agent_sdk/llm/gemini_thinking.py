"""How much a Gemini model is told to think: in levels from Gemini 3 on, in tokens before."""

import re
from collections.abc import Mapping
from functools import lru_cache

from pydantic import JsonValue

from agent_sdk.core.model import Reasoning

_GENERATION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LEVELS: Mapping[Reasoning, str] = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_OTHER_LEVELS: Mapping[Reasoning, str] = {"none": "LOW", "minimal": "LOW", "medium": "HIGH"}
_BUDGETS: Mapping[Reasoning, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""As the vendor's own compatibility layer has them."""
_OTHER_BUDGETS: Mapping[Reasoning, int] = {"none": 128}
"""What Gemini 2.5 Pro thinks at least, which cannot be told not to."""
MAX_RELENTED = 2


@lru_cache(maxsize=1024)
def generation(model: str) -> tuple[int, int]:
    """Return the model's generation, such as (2, 5); a name that does not tell is taken for the newest."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)


def thinking_config(model: str, reasoning: Reasoning, relented: int) -> Mapping[str, JsonValue] | None:
    """Return the `thinkingConfig`, None to leave it to the model.

    `relented` is how often the server refused such an effort of this model's: after once, the next one that models of its kind know is
    said; after that, nothing.
    """
    born = generation(model)
    if born < (2, 5) or relented >= MAX_RELENTED:
        return None
    shows: dict[str, JsonValue] = {"includeThoughts": reasoning != "none"}
    if born < (3, 0):
        budget = _OTHER_BUDGETS.get(reasoning) if relented else _BUDGETS[reasoning]
        return None if budget is None else shows | {"thinkingBudget": budget}
    level = _OTHER_LEVELS.get(reasoning) if relented else _LEVELS[reasoning]
    return None if level is None else shows | {"thinkingLevel": level}

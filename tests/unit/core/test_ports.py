import pytest

from agent_sdk.core.errors import RequestError
from agent_sdk.core.ids import PrincipalId
from agent_sdk.core.ports import InboxDraft


def test_what_no_journal_can_keep_is_refused_to_its_sender() -> None:
    with pytest.raises(RequestError, match="what was sent to the run cannot be kept"):
        InboxDraft("signal", {"name": "half a character: \ud800"})


@pytest.mark.parametrize(("by", "key"), [("ann\0", None), (None, "k\0"), (None, "k" * 1025)])
def test_a_name_or_key_that_not_every_store_can_keep_is_refused_to_its_sender(by: str | None, key: str | None) -> None:
    with pytest.raises(RequestError, match="a name h"):
        InboxDraft("signal", {"name": "paid"}, PrincipalId(by) if by is not None else None, key)

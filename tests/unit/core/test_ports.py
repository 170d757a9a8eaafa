import pytest

from agent_sdk.core.errors import RequestError
from agent_sdk.core.ports import InboxDraft


def test_what_no_journal_can_keep_is_refused_to_its_sender() -> None:
    with pytest.raises(RequestError, match="what was sent to the run cannot be kept"):
        InboxDraft("signal", {"name": "half a character: \ud800"})

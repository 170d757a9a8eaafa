from hypothesis import given

from agent_sdk.core.labels import TRUSTED, Label, join_all
from tests.unit.core.generated import LABELS


@given(LABELS, LABELS, LABELS)
def test_join_is_associative(a: Label, b: Label, c: Label) -> None:
    assert a.join(b).join(c) == a.join(b.join(c))


@given(LABELS, LABELS)
def test_join_is_commutative(a: Label, b: Label) -> None:
    assert a.join(b) == b.join(a)


@given(LABELS)
def test_join_is_idempotent_and_trusted_changes_nothing(a: Label) -> None:
    assert a.join(a) == a
    assert a.join(TRUSTED) == a


@given(LABELS, LABELS)
def test_a_joined_value_is_no_more_trusted_and_no_more_public_than_its_parts(a: Label, b: Label) -> None:
    joined = a.join(b)
    assert set(joined.untrusted) == {*a.untrusted, *b.untrusted}
    for part in (a, b):
        assert part.readers is None or set(joined.readers or ()) <= set(part.readers)


@given(LABELS, LABELS)
def test_what_adds_nothing_makes_no_other_label(a: Label, b: Label) -> None:
    joined = a.join(b)
    assert joined.join(a) is joined
    assert a.join(joined) is (a if a == joined else joined)


def test_readers_are_those_that_may_read_every_part() -> None:
    assert join_all([Label((), ("ann", "bob")), Label(("web",)), Label(("mail",), ("bob", "cem"))]) == Label(("mail", "web"), ("bob",))


def test_nobody_may_read_what_comes_from_parts_without_a_common_reader() -> None:
    assert Label((), ("ann",)).join(Label((), ("bob",))).readers == ()


def test_a_value_derived_from_nothing_is_trusted() -> None:
    assert join_all([]) == TRUSTED

"""What every memory must do, by words alone and with vectors: one suite, run on each store."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import cast
from uuid import uuid4

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import InputTooLarge, OutsideError, RequestError
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import (
    MAX_LIMIT,
    MAX_METADATA_BYTES,
    MAX_QUERY_BYTES,
    MAX_TEXT_BYTES,
    EmbeddingInvalid,
    Found,
    Memory,
    MemoryId,
    Person,
    Scope,
)
from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.postgres_programs import PostgresMissing, find_programs
from tests.contract.memory_stores import STORES, MemoryStore, TopicEmbedder, opened

ANN, BOB = PrincipalId("ann"), PrincipalId("bob")
WITH_VECTORS = [name for name in STORES if name.endswith("-vectors")]


@pytest.fixture(scope="session")
def pgvector() -> Generator[PrivatePostgres]:
    """The server that comes as a wheel: it brings pgvector, which one of the machine's may lack."""
    try:
        server = PrivatePostgres(programs=find_programs(path="", places=()))
        server.start()
    except PostgresMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    yield server
    server.close()


@pytest.fixture(params=list(STORES))
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[MemoryStore]:
    async with STORES[request.param](request) as made:
        yield made


@pytest.fixture(params=WITH_VECTORS)
async def vectors(request: pytest.FixtureRequest) -> AsyncGenerator[MemoryStore]:
    async with STORES[request.param](request) as made:
        yield made


@pytest.fixture
def memory(store: MemoryStore) -> Memory:
    return store.memory


@pytest.fixture
def tenant() -> TenantId:
    """A tenant of this test's own: servers are shared."""
    return TenantId(uuid4().hex)


def texts(found: Found) -> list[str]:
    return [hit.memory.text for hit in found.hits]


async def listed(memory: Memory, owner: Scope | Person) -> list[str]:
    return [each.text for each in (await memory.list(owner)).memories]


async def test_what_is_remembered_is_found_with_all_that_was_said_of_it(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN, "helper")
    before = datetime.now(UTC) - timedelta(seconds=5)
    made = await memory.remember(scope, "Ann drinks tea.", kind="preference", metadata={"source": "chat", "nul": "\0", "n": [1, None]})
    (hit,) = (await memory.search(scope, "Which tea?")).hits
    assert (hit.memory.id, hit.memory.scope, hit.memory.text, hit.memory.kind) == (made, scope, "Ann drinks tea.", "preference")
    assert hit.memory.metadata == {"source": "chat", "nul": "\0", "n": [1, None]}
    assert before < hit.memory.created_at < datetime.now(UTC) + timedelta(seconds=5)
    assert hit.score > 0


async def test_the_text_with_the_one_word_that_tells_comes_first(store: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    for place in ("Oslo", "Bergen", "Narvik"):
        await store.memory.remember(scope, f"the train to {place} was late")
    assert texts(await store.memory.search(scope, "the train to Narvik"))[0] == "the train to Narvik was late"


async def test_more_of_the_words_asked_for_come_first(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    for text in ("green apples", "green pears and red apples", "stones", "green apples and pears from home"):
        await memory.remember(scope, text)
    found = texts(await memory.search(scope, "home green pears"))
    assert found[0] == "green apples and pears from home"


KEEPERS = [Scope(TenantId("T"), user, agent) for user in (ANN, BOB, None) for agent in ("helper", "writer", None)]


async def test_a_scope_sees_its_own_and_what_is_everybodys_and_nothing_else(memory: Memory, tenant: TenantId) -> None:
    other = TenantId(f"{tenant}-other")
    for kept in KEEPERS:
        for of in (tenant, other):
            await memory.remember(Scope(of, kept.user, kept.agent), f"tea of {of} {kept.user} {kept.agent}")
    for looker in KEEPERS:
        asks = Scope(tenant, looker.user, looker.agent)
        expected = {f"tea of {tenant} {user} {agent}" for user in {looker.user, None} for agent in {looker.agent, None}}
        found = await memory.search(asks, "tea", 100)
        assert sorted(texts(found)) == sorted(expected)
        assert sorted(await listed(memory, asks)) == sorted(expected)


async def test_names_that_run_together_are_still_two(memory: Memory, tenant: TenantId) -> None:
    await memory.remember(Scope(tenant, PrincipalId("a"), "bc"), "tea one")
    await memory.remember(Scope(tenant, PrincipalId("ab"), "c"), "tea two")
    await memory.remember(Scope(tenant, PrincipalId("None"), None), "tea three")
    assert texts(await memory.search(Scope(tenant, PrincipalId("ab"), "c"), "tea")) == ["tea two"]
    assert texts(await memory.search(Scope(tenant), "tea")) == []


async def test_the_same_key_keeps_the_first_text_and_returns_its_id(store: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN, "helper")
    first = await store.memory.remember(scope, "tea", key="run_1/t1.1")
    beside = await store.beside()
    assert await beside.remember(scope, "another text", key="run_1/t1.1") == first
    assert await listed(store.memory, scope) == ["tea"]
    others = [Scope(tenant, BOB, "helper"), Scope(tenant, ANN), Scope(TenantId(f"{tenant}-other"), ANN, "helper")]
    assert first not in {await beside.remember(other, "tea", key="run_1/t1.1") for other in others}
    if beside is not store.memory:
        await beside.close()


async def test_what_one_has_kept_another_on_the_same_store_finds_at_once(store: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    beside = await store.beside()
    await store.memory.remember(scope, "tea")
    assert texts(await beside.search(scope, "tea")) == ["tea"]
    assert await beside.erase(Person(tenant, ANN)) == 1
    assert texts(await store.memory.search(scope, "tea")) == []
    if beside is not store.memory:
        await beside.close()


async def test_many_at_once_are_all_kept(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(memory.remember(scope, f"tea number {number}", key=f"k{number % 20}"))
    assert len(await listed(memory, scope)) == 20


async def test_a_list_goes_page_by_page_from_the_newest_on(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN, "helper")
    kept = [await memory.remember(scope, f"note {number}") for number in range(7)]
    seen: list[MemoryId] = []
    after = None
    pages = 0
    while pages == 0 or after is not None:
        pages += 1
        page = await memory.list(scope, after=after, limit=3)
        seen += [each.id for each in page.memories]
        after = page.after
    assert pages == 3
    assert sorted(seen) == sorted(kept)
    times = [(await memory.list(scope, limit=7)).memories[i].created_at for i in range(7)]
    assert times == sorted(times, reverse=True)


async def test_a_page_that_is_just_full_is_the_last(memory: Memory, tenant: TenantId) -> None:
    for number in range(2):
        await memory.remember(Scope(tenant), f"note {number}")
    assert (await memory.list(Scope(tenant), limit=2)).after is None


async def test_forgetting_takes_exactly_ones_own(memory: Memory, tenant: TenantId) -> None:
    mine, shared = Scope(tenant, ANN, "helper"), Scope(tenant, None, "helper")
    own, everybodys = await memory.remember(mine, "tea of Ann"), await memory.remember(shared, "tea of all")
    for stranger in (
        Scope(tenant, BOB, "helper"),
        Scope(tenant, ANN),
        shared,
        Scope(TenantId(f"{tenant}x"), ANN, "helper"),
        Person(tenant, BOB),
    ):
        assert not await memory.forget(stranger, own)
    assert not await memory.forget(mine, everybodys)
    assert await memory.forget(mine, own)
    assert not await memory.forget(mine, own)
    assert texts(await memory.search(mine, "tea")) == ["tea of all"]
    assert await memory.forget(shared, everybodys)


async def test_a_persons_memory_can_be_listed_and_erased_whichever_agent_keeps_it(memory: Memory, tenant: TenantId) -> None:
    other = TenantId(f"{tenant}-other")
    for scope in (
        Scope(tenant, ANN),
        Scope(tenant, ANN, "helper"),
        Scope(tenant, ANN, "writer"),
        Scope(tenant, BOB),
        Scope(tenant),
        Scope(other, ANN),
    ):
        await memory.remember(scope, f"tea {scope.tenant} {scope.user} {scope.agent}")
    person = Person(tenant, ANN)
    assert sorted(await listed(memory, person)) == [f"tea {tenant} ann {agent}" for agent in ("None", "helper", "writer")]
    assert await memory.forget(person, (await memory.list(person)).memories[0].id)
    assert await memory.erase(person) == 2
    assert await memory.erase(person) == 0
    assert await listed(memory, person) == []
    assert sorted(texts(await memory.search(Scope(tenant, BOB), "tea"))) == [f"tea {tenant} None None", f"tea {tenant} bob None"]
    assert await listed(memory, Person(other, ANN)) == [f"tea {other} ann None"]


async def test_to_erase_a_scope_takes_what_has_exactly_that_scope(memory: Memory, tenant: TenantId) -> None:
    for scope in (Scope(tenant), Scope(tenant, ANN), Scope(tenant, ANN, "helper"), Scope(tenant, None, "helper")):
        await memory.remember(scope, f"tea {scope.user} {scope.agent}")
    assert await memory.erase(Scope(tenant)) == 1
    assert await memory.erase(Scope(tenant, ANN)) == 1
    assert sorted(await listed(memory, Scope(tenant, ANN, "helper"))) == ["tea None helper", "tea ann helper"]


SCRIPTS = [
    ("我喜欢喝茶", "喝茶"),
    ("東京タワーに行きました", "タワー"),
    ("ฉันชอบดื่มชา", "ดื่มชา"),
    ("मुझे हिन्दी पसंद है", "हिन्दी"),
    ("Café in ÎLE", "cafe ile"),
    ("Straße", "STRASSE"),
    ("meet at 10:30 in room B-12", "b 12"),
    ("user_name is x", "name"),
    ("Ελλάδα", "ελλαδα"),
    ("w" * 3000, "w" * 3000),
    ("茶", "茶"),
]


async def test_words_of_all_scripts_are_found_without_case_and_accents(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    await memory.remember(scope, "zzz")
    for kept, asked in SCRIPTS:
        await memory.remember(scope, kept)
        assert texts(await memory.search(scope, asked))[0] == kept
        assert await memory.erase(scope) > 0


SYNTAX = [
    '"',
    "'",
    '"tea',
    "tea*",
    "NOT tea",
    "tea AND",
    "OR OR OR",
    "NEAR(tea, 3)",
    "words: tea",
    "place : x OR words : tea",
    "{words place}: tea",
    "^tea",
    "- tea",
    "tea + pot",
    "tea:*",
    "!tea & (",
    "tea <-> pot",
    "\\",
    "'); DROP TABLE memories; --",
    "%s %(x)s $1 ? :a",
    "?" * 1000,
    "\t\u200b tea \ufeff",
    "\u0301\u0301",
    "😀",
    "() [] {}",
]


async def test_no_query_is_read_as_syntax(store: MemoryStore, tenant: TenantId) -> None:
    scope, other = Scope(tenant, ANN), Scope(tenant, BOB)
    kept = {"the tea is hot"}
    await store.memory.remember(scope, "the tea is hot")
    await store.memory.remember(other, "the tea of another")
    for query in SYNTAX:
        found = texts(await store.memory.search(scope, query, 100))
        assert set(found) <= kept
        assert "the tea is hot" in found or not ("tea" in query or store.embedder is not None)
        await store.memory.remember(scope, query)
        kept.add(query)
    assert set(await listed(store.memory, scope)) == kept


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
def test_any_text_is_kept_and_any_query_answered(name: str, request: pytest.FixtureRequest) -> None:
    numbers = count()

    async def tried(pairs: list[tuple[str, str]]) -> None:
        scope = Scope(TenantId(f"{uuid4().hex}-{next(numbers)}"), ANN)
        async with STORES[name](request) as made:
            for text, query in pairs:
                await made.memory.remember(scope, text)
                await made.memory.search(scope, query)
            assert sorted(await listed(made.memory, scope)) == sorted(text for text, _ in pairs)
            assert await made.memory.erase(scope) == len(pairs)

    said = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=60).filter(lambda text: bool(text.strip()))

    @given(st.lists(st.tuples(said, said), min_size=1, max_size=20))
    def law(pairs: list[tuple[str, str]]) -> None:
        asyncio.run(tried(pairs))

    settings(max_examples=8, deadline=None)(law)()


async def test_a_long_query_counts_by_its_first_words(store: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    await store.memory.remember(scope, "first")
    await store.memory.remember(scope, "last")
    query = " ".join(["first", *(f"w{number}" for number in range(4000)), "last"])
    found = texts(await store.memory.search(scope, query))
    assert found[0] == "first"
    if store.embedder is None:
        assert found == ["first"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", RequestError),
        (" \n\t ", RequestError),
        ("half \ud83d a character", RequestError),
        ("nul \0", RequestError),
        ("x" * (MAX_TEXT_BYTES + 1), InputTooLarge),
    ],
    ids=["empty", "blank", "half", "nul", "huge"],
)
async def test_a_text_that_cannot_be_kept_is_refused(memory: Memory, tenant: TenantId, text: str, kind: type[RequestError]) -> None:
    with pytest.raises(kind, match="text of a memory"):
        await memory.remember(Scope(tenant), text)
    assert await listed(memory, Scope(tenant)) == []


async def test_the_longest_text_is_kept(memory: Memory, tenant: TenantId) -> None:
    text = ("tea pot " * MAX_TEXT_BYTES)[:MAX_TEXT_BYTES]
    await memory.remember(Scope(tenant), text)
    assert texts(await memory.search(Scope(tenant), "tea")) == [text]


@pytest.mark.parametrize("query", ["", "  ", "\udc00", "\0", "x" * (MAX_QUERY_BYTES + 1)], ids=["empty", "blank", "half", "nul", "huge"])
async def test_a_query_that_asks_nothing_is_refused(memory: Memory, tenant: TenantId, query: str) -> None:
    with pytest.raises(RequestError, match="the query"):
        await memory.search(Scope(tenant), query)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 10**9, 2**70])
async def test_a_limit_out_of_bounds_is_refused(memory: Memory, tenant: TenantId, limit: int) -> None:
    with pytest.raises(RequestError, match="limit"):
        await memory.search(Scope(tenant), "tea", limit)
    with pytest.raises(RequestError, match="limit"):
        await memory.list(Scope(tenant), limit=limit)


async def test_metadata_and_names_that_cannot_be_kept_are_refused(memory: Memory, tenant: TenantId) -> None:
    scope = Scope(tenant)
    with pytest.raises(InputTooLarge, match="metadata"):
        await memory.remember(scope, "tea", metadata={"x": "y" * MAX_METADATA_BYTES})
    with pytest.raises(RequestError, match="metadata"):
        await memory.remember(scope, "tea", metadata={"x": float("nan")})
    with pytest.raises(RequestError, match="metadata"):
        await memory.remember(scope, "tea", metadata={"x": "\ud800"})
    with pytest.raises(RequestError, match="metadata"):
        await memory.remember(scope, "tea", metadata=cast("dict[str, JsonValue]", "tea"))
    for wrong in ("", "\0", "k" * 1025):
        with pytest.raises(RequestError, match="kind"):
            await memory.remember(scope, "tea", kind=wrong)
        with pytest.raises(RequestError, match="key"):
            await memory.remember(scope, "tea", key=wrong)
        with pytest.raises(RequestError, match="id"):
            await memory.forget(scope, MemoryId(wrong))
    assert await listed(memory, scope) == []


@pytest.mark.parametrize("after", ["", "x", "1", "-1.x", "9" * 30 + ".mem", "1.\ud800", "1.2.3", "²3.x", "' OR 1=1"])
async def test_a_cursor_of_ones_own_making_is_refused_or_harmless(memory: Memory, tenant: TenantId, after: str) -> None:
    await memory.remember(Scope(tenant), "tea")
    try:
        page = await memory.list(Scope(tenant), after=after)
    except RequestError:
        return
    assert page.memories == ()


async def test_words_of_the_like_meaning_are_found_through_vectors(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    for text in ("a cup of coffee each morning", "the plane to Lima", "the old cat"):
        await vectors.memory.remember(scope, text)
    found = await vectors.memory.search(scope, "what does she drink", 1)
    assert texts(found) == ["a cup of coffee each morning"]
    assert found.words_only is None


async def test_what_words_and_vectors_both_find_comes_first(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    for text in ("coffee", "Lima is far", "a plane to Lima", "trains"):
        await vectors.memory.remember(scope, text)
    assert texts(await vectors.memory.search(scope, "travel to Lima"))[0] == "a plane to Lima"


async def test_vectors_show_nobody_elses(vectors: MemoryStore, tenant: TenantId) -> None:
    for scope in (Scope(tenant, BOB), Scope(TenantId(f"{tenant}x"), ANN), Scope(tenant, ANN, "writer")):
        await vectors.memory.remember(scope, "coffee")
    assert texts(await vectors.memory.search(Scope(tenant, ANN, "helper"), "drink")) == []


@pytest.mark.parametrize("error", [OutsideError("the server is away"), TimeoutError(), ValueError("secret words")])
async def test_where_the_embedder_fails_words_still_find_and_it_is_said(vectors: MemoryStore, tenant: TenantId, error: Exception) -> None:
    scope = Scope(tenant, ANN)
    assert vectors.embedder is not None
    await vectors.memory.remember(scope, "coffee at noon")
    vectors.embedder.fails = error
    await vectors.memory.remember(scope, "tea at noon")
    found = await vectors.memory.search(scope, "noon")
    assert sorted(texts(found)) == ["coffee at noon", "tea at noon"]
    assert found.words_only is not None
    assert found.words_only.startswith("the embedder failed: ")
    assert "secret" not in found.words_only


async def test_what_was_kept_without_a_vector_gets_one_when_reindexed(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    assert vectors.embedder is not None
    vectors.embedder.fails = OutsideError("away")
    for text in ("coffee", "plane", "dog"):
        await vectors.memory.remember(scope, text)
    with pytest.raises(OutsideError, match="away"):
        await vectors.memory.reindex(tenant)
    vectors.embedder.fails = None
    assert texts(await vectors.memory.search(scope, "drink")) == []
    assert await vectors.memory.reindex(tenant) == 3
    assert await vectors.memory.reindex(tenant) == 0
    assert texts(await vectors.memory.search(scope, "drink", 1)) == ["coffee"]


async def test_another_model_compares_nothing_until_all_is_reindexed(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    assert vectors.embedder is not None
    await vectors.memory.remember(scope, "coffee")
    vectors.embedder.name = "topics-2"
    assert texts(await vectors.memory.search(scope, "drink")) == []
    assert await vectors.memory.reindex(tenant) == 1
    assert texts(await vectors.memory.search(scope, "drink")) == ["coffee"]


async def test_vectors_of_another_size_are_never_compared(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    assert vectors.embedder is not None
    await vectors.memory.remember(scope, "coffee")
    vectors.embedder.dimensions, vectors.embedder.size = None, 2
    assert texts(await vectors.memory.search(scope, "drink")) == []


async def test_an_embedding_of_the_wrong_size_is_refused_when_kept_and_said_when_searched(vectors: MemoryStore, tenant: TenantId) -> None:
    scope = Scope(tenant, ANN)
    assert vectors.embedder is not None
    await vectors.memory.remember(scope, "coffee")
    vectors.embedder.size = 2
    with pytest.raises(EmbeddingInvalid, match=r"2 numbers.*expected are 4"):
        await vectors.memory.remember(scope, "tea")
    found = await vectors.memory.search(scope, "coffee")
    assert (texts(found), "2 numbers" in (found.words_only or "")) == (["coffee"], True)


async def test_to_reindex_without_an_embedder_is_refused(tenant: TenantId) -> None:
    memory = await opened("memory://", None)
    with pytest.raises(RequestError, match="no embedder"):
        await memory.reindex(tenant)


@pytest.mark.parametrize("wrong", [[[0.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]], [], [[1.0], [1.0]], [[]]])
async def test_vectors_that_nothing_can_be_compared_with_are_refused(wrong: list[list[float]], tenant: TenantId) -> None:
    class Wrong(TopicEmbedder):
        async def embed(self, texts: object, purpose: object) -> list[list[float]]:
            return wrong

    memory = await opened("memory://", Wrong(dimensions=None))
    with pytest.raises(EmbeddingInvalid):
        await memory.remember(Scope(tenant), "tea")


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "n" * 1025])
def test_a_scope_with_a_name_that_cannot_be_kept_is_refused(name: str) -> None:
    for tenant, user, agent in ((name, None, None), ("t", name, None), ("t", None, name)):
        with pytest.raises(RequestError):
            Scope(TenantId(tenant), None if user is None else PrincipalId(user), agent)
    with pytest.raises(RequestError):
        Person(TenantId("t"), PrincipalId(name))

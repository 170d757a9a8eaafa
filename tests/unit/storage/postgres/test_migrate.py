from agent_sdk.storage.postgres.migrate import migrations


def test_the_journal_s_own_migrations_are_numbered_without_gaps() -> None:
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert found[0].name == "journal"
    assert len({migration.checksum for migration in found}) == len(found)

"""Each source by itself: what it reads, what it passes over, and what it calls wrong."""

import os
from pathlib import Path

import pytest

from agent_sdk.config.findings import BadSetting, Origin
from agent_sdk.config.marks import Place
from agent_sdk.config.sources import (
    Assignment,
    Entry,
    find_file,
    from_assignments,
    from_environ,
    from_file,
    from_overrides,
    read_assignments,
    read_environ,
)


def test_the_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SDK__MODEL", "openai:a")
    environ = read_environ()
    environ["AGENT_SDK__MODEL"] = "openai:b"
    assert os.environ["AGENT_SDK__MODEL"] == "openai:a"  # noqa: TID251 - the copy is compared with it


def test_variables_become_entries_and_others_are_passed_over() -> None:
    environ = {"AGENT_SDK__LIMITS__MAX_TURNS": "3", "AGENT_SDK__MODEL": "", "AGENT_SDK__CONFIG": "x.yaml", "HOME": "/root"}
    origin = Origin("environment", variable="AGENT_SDK__LIMITS__MAX_TURNS")
    assert list(from_environ(environ)) == [Entry("limits.max_turns", "3", origin)]


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("AGENT_SDK__LIMITS__MAX_TURN", "did you mean AGENT_SDK__LIMITS__MAX_TURNS?"),
        ("AGENT_SDK__LIMIT__MAX_TURNS", "did you mean AGENT_SDK__LIMITS__MAX_TURNS?"),
        ("AGENT_SDK__limits__max_turns", "did you mean AGENT_SDK__LIMITS__MAX_TURNS?"),
        ("AGENT_SDK__QQQ", "`agent-sdk config show` lists all keys"),
        ("AGENT_SDK__LIMITS", "`agent-sdk config show` lists all keys"),
    ],
)
def test_config_unknown_key_in_the_environment_names_the_nearest_variable(variable: str, hint: str) -> None:
    assert list(from_environ({variable: "1"})) == [BadSetting("unknown_key", Origin("environment"), "unknown key", variable, hint=hint)]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("limits.max_turn", "did you mean limits.max_turns?"),
        ("max_turns", "did you mean limits.max_turns?"),
        ("openai.apikey", "did you mean openai.api_key?"),
        ("limits.zzz", "`agent-sdk config show` lists all keys"),
        ("limits", "`agent-sdk config show` lists all keys"),
    ],
)
def test_config_unknown_key_on_the_command_line_names_the_nearest(name: str, hint: str) -> None:
    assert list(from_overrides({name: 1})) == [BadSetting("unknown_key", Origin("command line"), "unknown key", name, hint=hint)]


def test_assignments_keep_their_lines_and_their_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\n\nexport A='1'\n\n\nB=${A} # why\nC=\n")
    assert list(read_assignments(tmp_path / ".env", Path(".env"))) == [
        Assignment("A", "1", Place(3, 1)),
        Assignment("B", "${A}", Place(6, 1)),
        Assignment("C", "", Place(7, 1)),
    ]


def test_a_line_that_assigns_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nsk-hush\n'x\n")
    wrong = [item for item in read_assignments(tmp_path / ".env", Path(".env")) if isinstance(item, BadSetting)]
    assert [str(item) for item in wrong] == [
        ".env:2:1: not an assignment; expected NAME=value",
        ".env:3:1: not an assignment; expected NAME=value",
    ]
    assert list(from_assignments(wrong, Path(".env"))) == wrong


def test_an_assignment_becomes_an_entry_with_file_line_and_variable() -> None:
    entries = list(from_assignments([Assignment("AGENT_SDK__TENANT", "a", Place(4, 1)), Assignment("B", "1", Place(5, 1))], Path(".env")))
    assert entries == [Entry("tenant", "a", Origin(".env", Path(".env"), Place(4, 1), "AGENT_SDK__TENANT"))]


def test_a_virtual_environment_named_env_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert list(read_assignments(tmp_path / ".env", Path(".env"))) == []
    assert list(read_assignments(tmp_path / "none", Path(".env"))) == []


def test_an_env_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    [finding] = read_assignments(tmp_path / ".env", Path(".env"))
    assert isinstance(finding, BadSetting)
    assert str(finding) == ".env: not UTF-8: byte 3 is 0xff; hint: save it as UTF-8"


def test_a_settings_file_becomes_entries_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("tenant: a\nlimits:\n  max_turns: 3\nthreads:\n")
    assert list(from_file(tmp_path / "a.yaml", Path("a.yaml"))) == [
        Entry("tenant", "a", Origin("file", Path("a.yaml"), Place(1, 1))),
        Entry("limits.max_turns", 3, Origin("file", Path("a.yaml"), Place(3, 3))),
    ]


def test_what_an_alias_stands_for_has_the_place_of_its_section(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("threads: &x {size: 3}\nlimits: *x\n")
    findings = [item for item in from_file(tmp_path / "a.yaml", Path("a.yaml")) if isinstance(item, BadSetting)]
    assert [(item.key, item.origin.place) for item in findings] == [("limits.size", Place(2, 1))]


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("a.yaml", "- 1", "a.yaml:1:1: no settings; expected a mapping of settings; found a list"),
        ("a.json", '"sk-hush"', "a.json:1:1: no settings; expected a mapping of settings; found text"),
        ("a.yaml", "openai: sk-hush", "a.yaml:1:1 (openai): wrong type; expected a mapping of settings; found text"),
        ("a.yaml", "limit: {a: sk-hush}", "a.yaml:1:1 (limit): unknown key; hint: did you mean rate_limits?"),
        (
            "a.yaml",
            "limits.max_turns: 3",
            "a.yaml:1:1 (limits.max_turns): unknown key; hint: in a file keys are nested: write max_turns below limits",
        ),
        ("a.toml", "[limits]\nmax_turn = 3", "a.toml (limits.max_turn): unknown key; hint: did you mean limits.max_turns?"),
        ("a.yaml", '"a\\x1b": 1', "a.yaml:1:1 (a\\x1b): unknown key; hint: `agent-sdk config show` lists all keys"),
        ("a.yaml", "a: [", "a.yaml:1:5: not YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_a_settings_file_that_does_not_hold_is_told(tmp_path: Path, name: str, text: str, finding: str) -> None:
    (tmp_path / name).write_text(text)
    assert [str(item) for item in from_file(tmp_path / name, Path(name))] == [finding]


def test_the_file_that_is_named_comes_before_the_one_that_lies_there(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("")
    assert find_file(tmp_path, {}, None) == tmp_path / "agent-sdk.yaml"
    assert find_file(tmp_path, {"AGENT_SDK__CONFIG": "b.toml"}, None) == tmp_path / "b.toml"
    assert find_file(tmp_path, {"AGENT_SDK__CONFIG": "b.toml"}, Path("c.json")) == tmp_path / "c.json"


def test_no_file_is_needed(tmp_path: Path) -> None:
    assert find_file(tmp_path, {}, None) is None


def test_two_files_side_by_side_are_refused(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.toml").write_text("")
    (tmp_path / "agent-sdk.json").symlink_to("nowhere")
    finding = find_file(tmp_path, {}, None)
    assert str(finding) == (
        "agent-sdk.toml: agent-sdk.toml and agent-sdk.json lie side by side, and only one can count; "
        "hint: keep one, or name one with --config"
    )

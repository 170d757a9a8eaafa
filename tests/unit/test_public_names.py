"""The list of public names: what stands here is promised to users. A name goes only after a release that deprecates it."""

import agent_sdk

PUBLIC_NAMES = frozenset(
    {
        "TRUSTED",
        "Agent",
        "AgentSDKError",
        "App",
        "Budget",
        "ConfigError",
        "ContextPolicy",
        "Fact",
        "FilePart",
        "Files",
        "GuardedCall",
        "Http",
        "Label",
        "LimitError",
        "Limits",
        "LongTermMemory",
        "ModelSettings",
        "ModelStep",
        "NotDone",
        "OutsideError",
        "Plan",
        "PrincipalId",
        "RequestError",
        "RunCancelled",
        "RunExpired",
        "RunFailed",
        "RunFilter",
        "RunHandle",
        "RunId",
        "RunInfo",
        "RunSuspended",
        "RunWaits",
        "Runtime",
        "StartOptions",
        "StepId",
        "ToolContext",
        "ToolError",
        "ToolStep",
        "When",
        "Worker",
        "WorkerOptions",
        "ask_person",
        "inline",
        "load_plan",
        "memory_tools",
        "subagent",
        "tool",
        "wait_for",
        "wait_for_signal",
        "wait_until",
    }
)


def promised() -> list[str]:
    names: list[str] = getattr(agent_sdk, "__all__", [])
    return names


def test_public_names_are_those_that_were_promised() -> None:
    assert set(promised()) == PUBLIC_NAMES


def test_no_public_name_stands_twice() -> None:
    assert len(promised()) == len(PUBLIC_NAMES)


def test_every_public_name_can_be_had() -> None:
    assert [name for name in promised() if not hasattr(agent_sdk, name)] == []

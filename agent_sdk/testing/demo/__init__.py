from agent_sdk.testing.demo.agent import MODEL, demo_agent, standard_library
from agent_sdk.testing.demo.provider import Script, scripts, simulated_model
from agent_sdk.testing.demo.source_tree import SourceTree

__all__ = ["MODEL", "Script", "SourceTree", "demo_agent", "scripts", "simulated_model", "standard_library"]

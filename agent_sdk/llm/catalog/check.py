"""Whether a model takes what it is asked for, said before anything is asked; what the catalog does not know is left to the vendor."""

from collections.abc import Iterator

from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelSettings, OutputMode
from agent_sdk.llm.catalog.entries import Allowed, CatalogEntry


@frozen
class Asks:
    """What an agent's questions hold beside their settings."""

    has_tools: bool = False
    has_schema: bool = False
    has_images: bool = False
    has_files: bool = False


def check_settings(entry: CatalogEntry | None, settings: ModelSettings, asks: Asks) -> list[Finding]:
    """Return all that the model would refuse; paths are those of `ModelSettings`, from `$` on."""
    found = list(_without_tools(settings, asks))
    if entry is None:
        return found
    return [*found, *_on_tools(entry, settings, asks), *_on_sampling(entry, settings), *_on_the_reply(entry, settings, asks)]


def default_output_mode(entry: CatalogEntry | None) -> OutputMode:
    """Return the best way to JSON of a schema that the model has; of an unknown one it is thought to be its protocol's own."""
    return entry.capabilities.output_modes[0] if entry is not None else "native"


def _without_tools(settings: ModelSettings, asks: Asks) -> Iterator[Finding]:
    if settings.force_tool is not None and not asks.has_tools:
        yield Finding("force_without_tools", "$.force_tool", "a tool is forced, and there are none", hint="give the agent the tool")
    elif settings.tool_choice == "required" and not asks.has_tools:
        yield Finding("force_without_tools", "$.tool_choice", "a tool must be called, and there are none", hint="give the agent a tool")


def _on_tools(entry: CatalogEntry, settings: ModelSettings, asks: Asks) -> Iterator[Finding]:
    name, takes = entry.full_name, entry.capabilities
    needs_tool = asks.has_schema and _mode(entry, settings) == "tool"
    if (asks.has_tools or needs_tool) and not _may(entry, takes.tools, settings):
        hint = f"name it openai-responses:{entry.name}" if entry.vendor == "openai" else "choose another model"
        if takes.tools == "unreasoned":
            hint += ", or set model_call.reasoning to none"
        yield Finding("tools_refused", "$", f"{name} takes no tools{_where(takes.tools)}", hint=hint)
    forces = settings.force_tool is not None or settings.tool_choice == "required"
    if asks.has_tools and forces and not _may(entry, takes.forced_tools, settings):
        path = "$.force_tool" if settings.force_tool is not None else "$.tool_choice"
        message = f"{name} cannot be made to call a tool{_where(takes.forced_tools)}"
        yield Finding("force_refused", path, message, hint="leave the choice to it: tool_choice auto")
    if settings.parallel_tool_calls and not takes.parallel_tools:
        message = f"{name} asks for one call at a time"
        yield Finding("parallel_refused", "$.parallel_tool_calls", message, hint="leave parallel_tool_calls out")


def _on_sampling(entry: CatalogEntry, settings: ModelSettings) -> Iterator[Finding]:
    name, takes = entry.full_name, entry.capabilities
    for what in ("temperature", "top_p"):
        if getattr(settings, what) is not None and not _may(entry, takes.temperature, settings):
            message = f"{name} takes no {what}{_where(takes.temperature)}"
            yield Finding(f"{what}_refused", f"$.{what}", message, hint=f"leave model_call.{what} out for this model")
    if settings.seed is not None and not takes.seed:
        yield Finding("seed_refused", "$.seed", f"{name} takes no seed", hint="leave model_call.seed out for this model")
    if settings.reasoning is not None and settings.reasoning not in (takes.reasoning or ("none",)):
        efforts = ", ".join(takes.reasoning)
        hint = f"choose one of {efforts}" if efforts else "leave model_call.reasoning out for this model"
        yield Finding("reasoning_refused", "$.reasoning", f"{name} takes no reasoning effort {settings.reasoning!r}", hint=hint)


def _on_the_reply(entry: CatalogEntry, settings: ModelSettings, asks: Asks) -> Iterator[Finding]:
    name, takes, most = entry.full_name, entry.capabilities, entry.max_output_tokens
    if settings.max_output_tokens is not None and most is not None and settings.max_output_tokens > most:
        message = f"{name} writes at most {most:,} tokens, and {settings.max_output_tokens:,} are asked for"
        yield Finding("output_too_long", "$.max_output_tokens", message, hint=f"set model_call.max_output_tokens to {most} or less")
    if asks.has_schema and settings.output_mode is not None and settings.output_mode not in takes.output_modes:
        message = f"{name} does not write JSON of a schema by {settings.output_mode}"
        yield Finding("output_mode_refused", "$.output_mode", message, hint=f"choose one of {', '.join(takes.output_modes)}")
    if asks.has_images and not takes.images:
        yield Finding("images_refused", "$", f"{name} takes no images", hint="choose a model that does: `agent-sdk models list`")
    if asks.has_files and not takes.files:
        yield Finding("files_refused", "$", f"{name} takes no files", hint="choose a model that does: `agent-sdk models list`")
    if settings.cache is not None and takes.cache == "none":
        yield Finding("cache_refused", "$.cache", f"{name} keeps no prompts", hint="leave model_call.cache out for this model")


def _mode(entry: CatalogEntry, settings: ModelSettings) -> OutputMode:
    return settings.output_mode if settings.output_mode is not None else default_output_mode(entry)


def _may(entry: CatalogEntry, allowed: Allowed, settings: ModelSettings) -> bool:
    """Say whether the model takes it; where it is not known whether the model reasons unasked, the vendor has the last word."""
    effort = settings.reasoning if settings.reasoning is not None else entry.capabilities.default_reasoning
    return allowed == "always" or (allowed == "unreasoned" and effort in {"none", None})


def _where(allowed: Allowed) -> str:
    return " while it reasons" if allowed == "unreasoned" else ""

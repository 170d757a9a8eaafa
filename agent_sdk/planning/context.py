"""Keeps a conversation within what the model can take: what is left out, when, and what the model is asked to write in its place."""

from collections.abc import Sequence
from dataclasses import replace

from agent_sdk.core.agent import ContextPolicy
from agent_sdk.core.compaction import cleared_output, is_cleared, is_summary, summary_message
from agent_sdk.core.errors import ContextFull
from agent_sdk.core.events import ContextCompacted
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Ask, Compact
from agent_sdk.core.run import Run
from agent_sdk.core.sizes import Size, is_surely_within, size_of
from agent_sdk.core.tokens import (
    BYTES_PER_TOKEN,
    PER_MESSAGE,
    corrected,
    tokens_of_message,
    tokens_of_schema,
    tokens_of_text,
    tokens_of_tools,
)
from agent_sdk.planning.prompts import render_prompt

SUMMARY_TOKENS = 1500
"""How long a summary may be, where there is room; a small context gets an eighth of itself."""
_LONGEST_SUMMARY = 2
"""How many times as long as it may be a summary is by the estimate, which is too high for most texts, before it is cut."""
_WITH_THOUGHTS = 4
"""How many times as long as a summary the reply may be of a model that thinks before it writes: its thoughts are a part of it."""
_REPLY_SHARE = 4
"""A reply gets at most this part of a model's context, where its length is not bounded otherwise."""

_ASKED_SHARE = 0.8
_LEAST_ROOM = 100
"""The question for a summary takes at most this share of what may be sent; with fewer tokens for what is summed up, there is none."""


@frozen
class Said:
    """What a planner puts into a question beside the run's conversation.

    `drafts` are the messages about each plan that was rejected, oldest first; of all but the newest nothing need be said. `tools` is how
    many tokens of the instructions tell of tools.
    """

    drafts: Sequence[Sequence[Message]] = ()
    tools: int = 0


NOTHING_SAID = Said()


@frozen
class ContextKeeper:
    """Decides what of a run's conversation is sent. `window` is the model's context in tokens, None where that is not known."""

    policy: ContextPolicy
    window: int | None = None

    def shortened(self, run: Run, request: ModelRequest, said: Said = NOTHING_SAID) -> Ask | Compact | None:
        """Return what must come before the question, so that it fits; None where it does.

        The request's conversation is the run's; or it begins with that, and what comes behind it is told by `said`.

        Raises:
            ContextFull: it does not, and nothing can be left out.
        """
        cap = self._cap(request)
        is_calm = run.summary is None and not run.overflows
        if is_calm and (cap is None or is_surely_within(request, run, int(cap * self.policy.compact_at))):
            return None
        size, known = size_of(request, run), cap
        if run.overflows:
            cap = min(known or size.tokens, int(size.tokens * 0.7**run.overflows) + 1)
        cut = _Cut(self.policy, run, request, cap or size.tokens, size, known, said)
        if run.summary is not None:
            return Compact(cut.summarised(run.summary.messages, cut.bounded(run.summary.text), run.summary.step))
        if not run.overflows and size.tokens <= cut.cap * self.policy.compact_at:
            return None
        return cut.first()

    def _cap(self, request: ModelRequest) -> int | None:
        if self.policy.max_tokens is not None or self.window is None:
            return self.policy.max_tokens
        bound = request.settings.max_output_tokens
        reply = self.window // _REPLY_SHARE if bound is None else min(bound, self.window // 2)
        return self.window - reply


@frozen
class _Cut:
    """The ways to make one question shorter than `cap` tokens; `known` is the cap before the model said that it is less."""

    policy: ContextPolicy
    run: Run
    request: ModelRequest
    cap: int
    size: Size
    known: int | None = None
    said: Said = NOTHING_SAID

    @property
    def rest(self) -> int:
        """The tokens of all but the run's conversation."""
        behind = self.request.conversation.messages[len(self.run.conversation) :]
        return self.size.rest + corrected(sum(map(tokens_of_message, behind)), self.size.ratio)

    @property
    def target(self) -> int:
        return int(self.cap * self.policy.compact_to)

    def first(self) -> Ask | Compact | None:
        """Return the mildest step that helps: older rejected plans go first, then outputs are taken out, then older messages give way."""
        tokens = self.size.tokens
        if older := [message for messages in self.said.drafts[:-1] for message in messages]:
            return Compact(self._without_drafts(len(self.said.drafts) - 1, older))
        cleared = self._clearable(len(self.run.conversation) - self._recent())
        saved = self._saving(cleared)
        if cleared and tokens - saved <= max(self.target, int(self.cap * self.policy.compact_at * 0.9)):
            return Compact(self._event(len(self.run.conversation), cleared, tokens, tokens - saved))
        if place := self._place(len(self.run.conversation)):
            asked = self._asked(place) if self.policy.summarise else None
            return asked or Compact(self.summarised(len(self.run.conversation), "", None))
        cleared = self._clearable(len(self.run.conversation))
        saved = self._saving(cleared)
        if cleared and saved:
            return Compact(self._event(len(self.run.conversation), cleared, tokens, tokens - saved))
        if tokens <= self.cap and not self.run.overflows:
            return None
        if self.said.drafts and len(self.said.drafts[-1]) > 1:
            return Compact(self._without_drafts(len(self.said.drafts), self.said.drafts[-1][:1]))
        raise self._full()

    def summarised(self, upto: int, summary: str, step: StepId | None) -> ContextCompacted:
        """Return the event that puts `summary` in the place of what is older; it was written when there were `upto` messages."""
        run = self.run
        place = self._place(upto)
        messages = run.conversation.messages
        kept = [*(message for message in messages[:place] if message.is_pinned), *messages[place:]]
        after = self.rest + corrected(sum(map(tokens_of_message, [*kept, summary_message(summary)])), self.size.ratio)
        event = self._event(len(messages) - place, (), self.size.tokens, after)
        return replace(event, step=step, covers_history=place >= run.before > 0, summary=summary or None)

    def _without_drafts(self, count: int, left_out: Sequence[Message]) -> ContextCompacted:
        tokens, saved = self.size.tokens, int(sum(map(tokens_of_message, left_out)) * min(1.0, self.size.ratio or 1.0))
        return replace(self._event(len(self.run.conversation), (), tokens, tokens - saved), drafts=count)

    def _full(self) -> ContextFull:
        """Return the error that says what is how large, the largest first, and what that can be mended by."""
        parts = sorted(self._parts().items(), key=lambda part: -part[1])
        told = ", ".join(f"{name} {tokens:,}" for name, tokens in parts if tokens)
        return ContextFull(
            f"the next question has about {self.size.tokens:,} tokens and may have {self.cap:,}, and nothing of it can be left out: {told}",
            hint=f"{_MENDED[parts[0][0]]}; or raise ContextPolicy(max_tokens=...), or take a model with a larger context",
        )

    def _parts(self) -> dict[str, int]:
        request, said, messages = self.request, self.said, self.run.conversation.messages
        pinned = sum(tokens_of_message(message) for message in messages if message.is_pinned)
        behind = request.conversation.messages[len(messages) :]
        estimates = {
            "instructions": tokens_of_text(request.instructions) - said.tools,
            "tools": tokens_of_tools(request.tools) + said.tools,
            "schema of the reply": tokens_of_schema(request.output_schema),
            "goal and pinned messages": pinned,
            "other messages": sum(map(tokens_of_message, messages)) - pinned,
            "what is to be mended": sum(map(tokens_of_message, behind)),
        }
        return {name: corrected(tokens, self.size.ratio) for name, tokens in estimates.items()}

    def bounded(self, summary: str) -> str:
        """Return the summary, cut in its middle where the model wrote so much more than it may that nothing would be won."""
        return _fitting(summary, int(_LONGEST_SUMMARY * self._summary_tokens / max(1.0, self.size.ratio or 1.0)))

    def _event(self, kept: int, cleared: tuple[StepId, ...], before: int, after: int) -> ContextCompacted:
        return ContextCompacted(kept, cleared, before, after, ratio=self.size.ratio, cap=self.known)

    def _recent(self) -> int:
        """Return how many messages the last turns are, of which the outputs stay: a turn is a reply and what its calls gave."""
        replies = [place for place, message in enumerate(self.run.conversation.messages) if message.role == "assistant"]
        if not self.policy.keep_turns or not replies:
            return 0
        return len(self.run.conversation) - replies[max(0, len(replies) - self.policy.keep_turns)]

    def _clearable(self, upto: int) -> tuple[StepId, ...]:
        if not self.policy.clear_outputs:
            return ()
        return tuple(
            part.id
            for message in self.run.conversation.messages[:upto]
            for part in message.parts
            if isinstance(part, ToolResultPart) and not is_cleared(part.output) and tokens_of_message(Message("tool", (part,))) > 40
        )

    def _saving(self, cleared: tuple[StepId, ...]) -> int:
        """Return the tokens that go with these outputs, rather too few than too many."""
        calls = frozenset(cleared)
        parts = [
            part
            for message in self.run.conversation.messages
            for part in message.parts
            if isinstance(part, ToolResultPart) and part.id in calls
        ]
        note = tokens_of_message(Message("tool", (ToolResultPart(StepId(""), cleared_output(StepId("t1000.1"))),)))
        saved = sum(tokens_of_message(Message("tool", (part,))) - note for part in parts)
        return int(saved * min(1.0, self.size.ratio or 1.0))

    def _place(self, upto: int) -> int:
        """Return where the conversation is cut: as much behind it stays as the target has room for, and no call without its result.

        0 where nothing older can give way; a summary alone is none, or it would be written again and again.
        """
        messages = self.run.conversation.messages[:upto]
        ratio = self.size.ratio
        pinned = sum(tokens_of_message(message) for message in messages if message.is_pinned)
        room = self.target - self.rest - corrected(pinned, ratio) - self._summary_tokens - tokens_of_message(summary_message(None))
        place = len(messages)
        while place and (size := corrected(tokens_of_message(messages[place - 1]), ratio)) <= room:
            room, place = room - size, place - 1
        while place < len(messages) and messages[place].role == "tool":
            place += 1
        older = [message for message in messages[:place] if not message.is_pinned and not is_summary(message)]
        return place if older else 0

    @property
    def _summary_tokens(self) -> int:
        return min(SUMMARY_TOKENS, self.cap // 8)

    def _asked(self, place: int) -> Ask | None:
        """Ask for a summary of the messages before `place`; of each as much is shown as all have room for. None where there is none."""
        messages = [message for message in self.run.conversation.messages[:place] if not message.is_pinned]
        limit = str(self._summary_tokens)
        frame = render_prompt("summary", conversation="", tokens=limit)
        ratio = max(1.0, self.size.ratio or 1.0, self.run.ratio or 1.0)  # nobody counted anything like this question
        most = self.cap * min(self.policy.compact_at, _ASKED_SHARE) / (ratio * 1.1)
        room = int(most) - tokens_of_text(frame) - PER_MESSAGE
        if room < _LEAST_ROOM:
            return None
        chars = max(40, room * BYTES_PER_TOKEN // len(messages))
        text = render_prompt("summary", conversation="\n".join(_told(message, chars) for message in messages), tokens=limit)
        settings = replace(
            self.request.settings,
            max_output_tokens=self._summary_tokens * (_WITH_THOUGHTS if self.run.usage.reasoning_tokens else 1),
            force_tool=None,
            tool_choice="auto",
            reasoning=None,
            stop_sequences=(),
        )
        request = replace(
            self.request,
            id=StepId(f"summary.{self.run.questions + 1}"),
            conversation=Conversation([user_message(_fitting(text, room + tokens_of_text(frame)))]),
            instructions="",
            tools=(),
            output_schema=None,
            settings=settings,
        )
        return Ask(request, "compact")


_MENDED = {
    "instructions": "shorten the instructions",
    "tools": "give the agent fewer tools, or shorter descriptions and parameters",
    "schema of the reply": "take a simpler type of answer",
    "goal and pinned messages": "put large material into a file that a tool can read, and pin less",
    "other messages": "let ContextPolicy(preview_chars=...) cut outputs",
    "what is to be mended": "let steps fail with shorter messages, and plans have fewer steps",
}
"""What helps where most of a question is that."""


def _told(message: Message, chars: int) -> str:
    """Return a message in words, cut in its middle where it is longer than its share."""
    said = [message.text] if message.text else []
    for part in message.parts:
        match part:
            case ToolCallPart(tool=tool, args=args):
                said.append(f"called {tool}({args})")
            case ToolResultPart(output=output):
                said.append(f"result: {output}")
            case _:
                pass
    return _shortened(f"{message.role}: {'; '.join(said)}", chars)


def _shortened(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    half = max(1, (chars - 5) // 2)
    return f"{text[:half]} ... {text[-half:]}"


def _fitting(text: str, tokens: int) -> str:
    """Return text of at most so many tokens, by the estimate."""
    size = tokens_of_text(text)
    return text if size <= tokens else _shortened(text, max(100, len(text) * tokens // size))

"""What the tests of the wrappers around models share: a question, a clock that stands, and a model whose every answer is told."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, TextPart, user_message
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage

REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]))


def reply(text: str = "ok", tokens: int = 10) -> ModelReply:
    return ModelReply(Message("assistant", (TextPart(text),)), Usage(tokens, 0), model="vendor-name")


@dataclass
class Told:
    """Answers in order, by either method; an answer that streams says its text first, and an error comes after the word `half`."""

    answers: list[ModelReply | ModelError | None]
    asked: list[ModelRequest] = field(default_factory=list[ModelRequest])
    closed: int = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        answer = self.answers.pop(0)
        assert answer is not None
        if isinstance(answer, ModelError):
            raise answer
        return answer

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.asked.append(request)
        answer = self.answers.pop(0)
        try:
            if isinstance(answer, ModelReply):
                yield TextDelta(answer.message.text)
                yield ReplyDone(answer)
                return
            yield TextDelta("half")
            if answer is not None:
                raise answer
        finally:
            self.closed += 1


class Clock:
    """Time that passes when it is told to, and in sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def now_us(self) -> int:
        return round(self.now * 1_000_000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, delay_s: float) -> None:
        self.now += delay_s


class Lowest:
    """Chance that always draws the least."""

    def uniform(self, low: float, high: float) -> float:
        return low


async def read(deltas: AsyncIterator[Delta]) -> list[Delta]:
    return [delta async for delta in deltas]

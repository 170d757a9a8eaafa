"""A time limit that costs nothing where it cannot matter: its timer is made when the work first suspends."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class OutOfTime(Exception):
    """The work was stopped by its time limit; what it made of that is the cause."""


async def within(limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, cancelled after `limit_s` seconds. What never suspends cannot be stopped, and needs no timer.

    Raises:
        OutOfTime: the limit passed, and the work ended with an error.
    """
    try:
        waited = work.send(None)
    except StopIteration as end:
        done: T = end.value
        return done
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            return await _Rest(work, waited)
    except BaseException as error:
        if scope.expired():
            raise OutOfTime from error
        raise


class _Rest(Generic[T]):
    """The rest of a coroutine that has suspended once, on `waited`."""

    def __init__(self, work: Coroutine[Any, Any, T], waited: object) -> None:
        self._work = work
        self._waited = waited

    def __await__(self) -> Generator[Any, Any, T]:
        waited = self._waited
        try:
            while True:
                try:
                    sent = yield waited
                except BaseException as error:  # noqa: BLE001  (whatever is thrown in is the work's to handle)
                    waited = self._work.throw(error)
                else:
                    waited = self._work.send(sent)
        except StopIteration as end:
            done: T = end.value
            return done

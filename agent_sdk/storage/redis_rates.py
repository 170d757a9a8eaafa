"""Rate limits that processes share, in a Redis: one script a take, by the server's clock."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, Self, cast
from urllib.parse import urlsplit

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.core.rates import LONGEST_PAUSE_S, Permit, RateLimit

try:
    from redis import asyncio as redis_asyncio
    from redis.exceptions import RedisError
except ModuleNotFoundError as error:
    raise ConfigError("rate limits in Redis need the package redis", hint="pip install 'agent-sdk[redis]'") from error

_redis = cast("Any", redis_asyncio.Redis)  # its types name neither options nor results

LEASE_S = 900.0
"""How long a call may be under way before its place counts as lost with its process: longer than an adapter lets one last."""
_PREFIX = "{agent_sdk:rates}"
"""In braces: in a cluster all keys lie on one node, since a take needs those of several limits at once."""
_TURNS = f"{_PREFIX}:turns"
_KINDS = ("used", "held", "taken", "queue", "asked", "paused")
_QUEUE_US = 2_000_000
_LOOK_US = 50_000

_COMMON = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function int(number) return string.format('%.0f', number) end
local function key(limit, kind) return KEYS[(limit - 1) * 6 + kind] end
local USED, HELD, TAKEN, QUEUE, ASKED, PAUSED = 1, 2, 3, 4, 5, 6

-- A slot of time holds what was taken in it as `requests:tokens`.
local function add(limit, slot, requests, tokens)
    local had_requests, had_tokens = string.match(redis.call('HGET', key(limit, USED), int(slot)) or '0:0', '(%d+):(%d+)')
    requests, tokens = math.max(0, had_requests + requests), math.max(0, had_tokens + tokens)
    redis.call('HSET', key(limit, USED), int(slot), int(requests) .. ':' .. int(tokens))
end
"""
_TAKE = (
    _COMMON
    + """
local count, amount, holder, permit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local lease, patience, look = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local function given(limit, which) return tonumber(ARGV[7 + (limit - 1) * 4 + which]) end
local function fits(limit, requests, tokens)
    local most_requests, most_tokens = given(limit, 1), given(limit, 2)
    return (most_requests < 0 or requests <= most_requests) and (most_tokens < 0 or tokens <= most_tokens)
end
local function share(limit) return given(limit, 2) < 0 and 0 or math.min(amount, given(limit, 2)) end

-- Drops what is too old, and returns the slots that count; a clock that was put back finds slots of the future, which count as of now.
local function slots_of(limit, slot_now)
    local flat = redis.call('HGETALL', key(limit, USED))
    for j = 1, #flat, 2 do
        local slot = tonumber(flat[j])
        if slot < slot_now - 60 or slot > slot_now then
            redis.call('HDEL', key(limit, USED), flat[j])
            local requests, tokens = string.match(flat[j + 1], '(%d+):(%d+)')
            if slot > slot_now then add(limit, slot_now, requests, tokens) end
        end
    end
    flat = redis.call('HGETALL', key(limit, USED))
    local slots = {}
    for j = 1, #flat, 2 do
        local requests, tokens = string.match(flat[j + 1], '(%d+):(%d+)')
        slots[#slots + 1] = {tonumber(flat[j]), tonumber(requests), tonumber(tokens)}
    end
    table.sort(slots, function(one, other) return one[1] < other[1] end)
    return slots
end

local function wait_for_room(limit)
    local width = given(limit, 4)
    local slots = slots_of(limit, math.floor(now / width))
    local requests, tokens = 1, share(limit)
    for _, slot in ipairs(slots) do requests, tokens = requests + slot[2], tokens + slot[3] end
    if fits(limit, requests, tokens) then return 0 end
    for _, slot in ipairs(slots) do
        requests, tokens = requests - slot[2], tokens - slot[3]
        if fits(limit, requests, tokens) then return math.max(look, (slot[1] + 61) * width - now) end
    end
    return look
end

-- A holder has one number in all queues, given when it was first refused: of any two that wait for each other one is older everywhere.
local turn
for limit = 1, count do
    if tonumber(redis.call('HGET', key(limit, ASKED), holder) or '0') >= now then
        local number = tonumber(redis.call('ZSCORE', key(limit, QUEUE), holder) or 'inf')
        if number and (not turn or number < turn) then turn = number end
    end
end

local function is_behind(limit)
    for _, other in ipairs(redis.call('ZRANGE', key(limit, QUEUE), 0, -1)) do
        if other ~= holder then
            if tonumber(redis.call('HGET', key(limit, ASKED), other) or '0') >= now then
                return not turn or tonumber(redis.call('ZSCORE', key(limit, QUEUE), other)) < turn
            end
            redis.call('ZREM', key(limit, QUEUE), other)
            redis.call('HDEL', key(limit, ASKED), other)
        end
    end
    return false
end

if redis.call('HEXISTS', key(1, TAKEN), permit) == 1 then return 0 end
local longest = 0
for limit = 1, count do
    local wait = math.max(0, math.min(tonumber(redis.call('GET', key(limit, PAUSED)) or '0') - now, 3600000000), wait_for_room(limit))
    for _, lost in ipairs(redis.call('ZRANGEBYSCORE', key(limit, HELD), '-inf', int(now))) do
        redis.call('ZREM', key(limit, HELD), lost)
        redis.call('HDEL', key(limit, TAKEN), lost)
    end
    if given(limit, 3) >= 0 and redis.call('ZCARD', key(limit, HELD)) >= given(limit, 3) then wait = math.max(wait, look) end
    if is_behind(limit) then wait = math.max(wait, look) end
    if wait > 0 then
        turn = turn or redis.call('INCR', KEYS[count * 6 + 1])
        redis.call('ZADD', key(limit, QUEUE), int(turn), holder)
        redis.call('HSET', key(limit, ASKED), holder, int(now + patience))
        redis.call('PEXPIRE', key(limit, QUEUE), 60000)
        redis.call('PEXPIRE', key(limit, ASKED), 60000)
    end
    longest = math.max(longest, wait)
end
if longest > 0 then return int(longest) end
for limit = 1, count do
    local slot = math.floor(now / given(limit, 4))
    add(limit, slot, 1, share(limit))
    redis.call('PEXPIRE', key(limit, USED), int(given(limit, 4) * 120 / 1000))
    redis.call('ZADD', key(limit, HELD), int(now + lease), permit)
    redis.call('HSET', key(limit, TAKEN), permit, int(slot) .. ':' .. int(share(limit)))
    redis.call('PEXPIRE', key(limit, HELD), int(lease / 1000 + 1000))
    redis.call('PEXPIRE', key(limit, TAKEN), int(lease / 1000 + 1000))
    redis.call('ZREM', key(limit, QUEUE), holder)
    redis.call('HDEL', key(limit, ASKED), holder)
end
return 0
"""
)
_SETTLE = (
    _COMMON
    + """
local count, permit, used, is_void = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
for limit = 1, count do
    local most, width = tonumber(ARGV[3 + limit * 2]), tonumber(ARGV[4 + limit * 2])
    local slot, tokens = string.match(redis.call('HGET', key(limit, TAKEN), permit) or '', '(%d+):(%d+)')
    if slot then
        redis.call('HDEL', key(limit, TAKEN), permit)
        redis.call('ZREM', key(limit, HELD), permit)
        local more = 0
        if is_void then more = -tokens elseif most >= 0 and used >= 0 then more = used - tokens end
        if (is_void or more < 0) and redis.call('HEXISTS', key(limit, USED), slot) == 1 then
            add(limit, slot, is_void and -1 or 0, more)
        elseif more > 0 then
            add(limit, math.floor(now / width), 0, more)
            redis.call('PEXPIRE', key(limit, USED), int(width * 120 / 1000))
        end
    end
end
return 0
"""
)
_LEAVE = (
    _COMMON
    + """
for limit = 1, tonumber(ARGV[1]) do
    redis.call('ZREM', key(limit, QUEUE), ARGV[2])
    redis.call('HDEL', key(limit, ASKED), ARGV[2])
end
return 0
"""
)
_PAUSE = (
    _COMMON
    + """
local until_then = math.max(tonumber(redis.call('GET', key(1, PAUSED)) or '0'), now + ARGV[1])
redis.call('SET', key(1, PAUSED), int(until_then), 'PX', int((until_then - now) / 1000 + 1))
return 0
"""
)


class _Script(Protocol):
    """What is used of redis' scripts: they are sent once, and named by their digest from then on."""

    def __call__(self, keys: Sequence[str], args: Sequence[str | int]) -> Awaitable[Any]: ...


class _Client(Protocol):
    """What is used of redis' client."""

    def register_script(self, script: str) -> _Script: ...

    def ping(self) -> Awaitable[Any]: ...

    async def aclose(self) -> None: ...


class RedisRates:
    """The `RateStore` of a Redis server, 6.2 or newer. It belongs to the event loop that opened it.

    A place among the calls under way comes back after `lease_s` where its process died. What the server forgets when it restarts, the
    limits forget with it.
    """

    def __init__(self, client: "_Client", name: str, *, lease_s: float = LEASE_S) -> None:
        self._client = client
        self._name = name
        self._lease_us = int(lease_s * 1_000_000)
        self._take, self._settle, self._leave, self._pause = (client.register_script(script) for script in (_TAKE, _SETTLE, _LEAVE, _PAUSE))

    @classmethod
    async def open(cls, url: str, *, lease_s: float = LEASE_S) -> Self:
        """Connect to the server at a URL of scheme `redis`, `rediss` or `unix`.

        Raises:
            ConfigError: the URL is malformed. StorageError: the server cannot be reached.
        """
        try:
            client = cast("_Client", _redis.from_url(url))
            name = _shown(url)
        except ValueError:
            raise ConfigError("the URL of Redis is malformed", hint="write redis://user:password@host:6379/0") from None
        store = cls(client, name, lease_s=lease_s)
        try:
            await store._do(client.ping())
        except StorageError:
            await client.aclose()
            raise
        return store

    async def take(self, permit: Permit, holder: str) -> float:
        rows = [(_or_none(limit.requests), _or_none(limit.tokens), _or_none(limit.concurrency), limit.slot_us) for limit in permit.limits]
        head = (len(permit.limits), permit.tokens, holder, permit.id, self._lease_us, _QUEUE_US, _LOOK_US)
        wait_us = await self._do(self._take([*_keys(permit.limits), _TURNS], [*head, *(value for row in rows for value in row)]))
        return int(wait_us) / 1_000_000

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        rows = [(_or_none(limit.tokens), limit.slot_us) for limit in permit.limits]
        head = (len(permit.limits), permit.id, _or_none(tokens), int(is_void))
        await self._do(self._settle(_keys(permit.limits), [*head, *(value for row in rows for value in row)]))

    async def leave(self, limits: Sequence[RateLimit], holder: str) -> None:
        await self._do(self._leave(_keys(limits), [len(limits), holder]))

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        await self._do(self._pause(_keys([limit]), [int(min(for_s, LONGEST_PAUSE_S) * 1_000_000)]))

    async def close(self) -> None:
        await self._client.aclose()

    async def _do(self, call: Awaitable[Any]) -> Any:  # noqa: ANN401  (whatever a script returns)
        try:
            return await call
        except (RedisError, OSError) as error:
            raise StorageError(
                f"{self._name} failed: {str(error) or type(error).__name__}",
                hint="look whether the server runs and can be reached, then try again",
            ) from error


def _keys(limits: Sequence[RateLimit]) -> list[str]:
    return [f"{_PREFIX}:{limit.tenant or ''}:{limit.name}:{kind}" for limit in limits for kind in _KINDS]


def _or_none(amount: int | None) -> int:
    """Return the amount as the scripts read it: a negative one is none."""
    return -1 if amount is None else amount


def _shown(url: str) -> str:
    """Return the URL without user, password and options."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"

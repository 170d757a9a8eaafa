-- Rate limits and circuits that processes share. Amounts of a limit lie in slots of time, a sixtieth of its period each: what was taken counts
-- until its slot is as old as the whole period, so no period of any beginning holds more than the limit. A limit without an owner has tenant ''.
-- Each take holds the rows of its limits in `rates`, in one order for all, and looks at the clock when it has them.

CREATE TABLE agent_sdk.rates (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    paused_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, name)
) WITH (fillfactor = 70);

CREATE TABLE agent_sdk.rate_used (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    slot bigint NOT NULL,
    requests bigint NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (tenant, name, slot)
) WITH (fillfactor = 70);

-- What is under way. To settle deletes the row, so that a settlement that is repeated gives nothing back twice.
CREATE TABLE agent_sdk.rate_held (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    permit text COLLATE "C" NOT NULL,
    slot bigint NOT NULL,
    tokens bigint NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (tenant, name, permit)
);

-- Who was refused, until it asks no more. It has one number in all queues, given when it was first refused: of any two that wait for each
-- other's limits one is older everywhere.
CREATE SEQUENCE agent_sdk.rate_turns;
CREATE TABLE agent_sdk.rate_waiting (
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (tenant, name, holder)
);

CREATE TABLE agent_sdk.circuits (
    name text COLLATE "C" PRIMARY KEY,
    open_until bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE agent_sdk.circuit_probes (
    name text COLLATE "C" NOT NULL,
    probe text COLLATE "C" NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (name, probe)
);

-- Takes one request and `amount` tokens from all limits, and returns 0; or takes nothing, and returns in how many microseconds to ask again,
-- having put the holder into the queue of each limit that has no room. A permit that was given before is given again.
CREATE FUNCTION agent_sdk.rate_take(
    tenants text[], names text[], max_requests bigint[], max_tokens bigint[], max_held bigint[], widths bigint[],
    amount bigint, asker text, new_permit text, lease_us bigint, patience_us bigint, look_us bigint
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    longest_pause CONSTANT bigint := 3600000000;
    now bigint;
    now_slot bigint;
    needed bigint;
    pauses bigint[] := '{}';
    pause bigint;
    used_requests bigint;
    used_tokens bigint;
    wait bigint;
    longest bigint := 0;
    ahead boolean;
    turn bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true); -- to lose the last half second with the server is no harm; to wait for the disk is
    FOR i IN 1 .. cardinality(names) LOOP
        SELECT r.paused_until INTO pause FROM agent_sdk.rates r WHERE r.tenant = tenants[i] AND r.name = names[i] FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO agent_sdk.rates AS r (tenant, name) VALUES (tenants[i], names[i])
            ON CONFLICT (tenant, name) DO UPDATE SET paused_until = r.paused_until RETURNING r.paused_until INTO pause;
        END IF;
        pauses := pauses || pause;
    END LOOP;
    now := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    IF EXISTS (SELECT FROM agent_sdk.rate_held h WHERE h.tenant = tenants[1] AND h.name = names[1] AND h.permit = new_permit) THEN
        RETURN 0;
    END IF;
    SELECT min(q.number) INTO turn FROM unnest(tenants, names) AS mine (tenant, name)
    JOIN agent_sdk.rate_waiting q ON q.tenant = mine.tenant AND q.name = mine.name AND q.holder = asker AND q.until >= now;
    FOR i IN 1 .. cardinality(names) LOOP
        now_slot := now / widths[i];
        needed := least(amount, max_tokens[i]);
        wait := greatest(0, least(pauses[i], now + longest_pause) - now);
        DELETE FROM agent_sdk.rate_used u WHERE u.tenant = tenants[i] AND u.name = names[i] AND u.slot < now_slot - 60;
        -- A clock that was put back finds what was taken in the future: it counts as taken now.
        WITH future AS (
            DELETE FROM agent_sdk.rate_used u WHERE u.tenant = tenants[i] AND u.name = names[i] AND u.slot > now_slot RETURNING u.*
        ), known AS (SELECT sum(f.requests) AS requests, sum(f.tokens) AS tokens FROM future f HAVING count(*) > 0)
        INSERT INTO agent_sdk.rate_used AS u SELECT tenants[i], names[i], now_slot, k.requests, k.tokens FROM known k
        ON CONFLICT (tenant, name, slot) DO UPDATE SET requests = u.requests + excluded.requests, tokens = u.tokens + excluded.tokens;

        SELECT coalesce(sum(u.requests), 0), coalesce(sum(u.tokens), 0) INTO used_requests, used_tokens
        FROM agent_sdk.rate_used u WHERE u.tenant = tenants[i] AND u.name = names[i];
        IF used_requests + 1 > max_requests[i] OR used_tokens + needed > max_tokens[i] THEN
            SELECT greatest(wait, look_us, (min(s.slot) + 61) * widths[i] - now) INTO wait FROM (
                SELECT u.slot, used_requests - sum(u.requests) OVER past AS requests, used_tokens - sum(u.tokens) OVER past AS tokens
                FROM agent_sdk.rate_used u WHERE u.tenant = tenants[i] AND u.name = names[i] WINDOW past AS (ORDER BY u.slot)
            ) s WHERE coalesce(s.requests + 1 <= max_requests[i], true) AND coalesce(s.tokens + needed <= max_tokens[i], true);
        END IF;
        DELETE FROM agent_sdk.rate_held h WHERE h.tenant = tenants[i] AND h.name = names[i] AND h.until < now;
        IF (SELECT count(*) FROM agent_sdk.rate_held h WHERE h.tenant = tenants[i] AND h.name = names[i]) >= max_held[i] THEN
            wait := greatest(wait, look_us);
        END IF;
        SELECT count(*) > 0 INTO ahead FROM agent_sdk.rate_waiting q
        WHERE q.tenant = tenants[i] AND q.name = names[i] AND q.until >= now AND q.holder <> asker
            AND q.number < coalesce(turn, 9223372036854775807);
        IF ahead THEN
            wait := greatest(wait, look_us);
        END IF;
        IF wait > 0 THEN
            DELETE FROM agent_sdk.rate_waiting q WHERE q.tenant = tenants[i] AND q.name = names[i] AND q.until < now;
            turn := coalesce(turn, nextval('agent_sdk.rate_turns'));
            INSERT INTO agent_sdk.rate_waiting VALUES (tenants[i], names[i], asker, turn, now + patience_us)
            ON CONFLICT (tenant, name, holder) DO UPDATE SET number = excluded.number, until = excluded.until;
        END IF;
        longest := greatest(longest, wait);
    END LOOP;
    IF longest > 0 THEN
        RETURN longest;
    END IF;
    FOR i IN 1 .. cardinality(names) LOOP
        now_slot := now / widths[i];
        needed := CASE WHEN max_tokens[i] IS NULL THEN 0 ELSE least(amount, max_tokens[i]) END;
        INSERT INTO agent_sdk.rate_used AS u VALUES (tenants[i], names[i], now_slot, 1, needed)
        ON CONFLICT (tenant, name, slot) DO UPDATE SET requests = u.requests + 1, tokens = u.tokens + excluded.tokens;
        INSERT INTO agent_sdk.rate_held VALUES (tenants[i], names[i], new_permit, now_slot, needed, now + lease_us);
        DELETE FROM agent_sdk.rate_waiting q WHERE q.tenant = tenants[i] AND q.name = names[i] AND q.holder = asker;
    END LOOP;
    RETURN 0;
END
$$;

-- Ends a permit. `amount` is what was really used: what is less is given back where it was taken, what is more is taken now; NULL leaves it.
-- A permit that `is_void` was used for nothing, and all of it is given back.
CREATE FUNCTION agent_sdk.rate_settle(
    tenants text[], names text[], max_tokens bigint[], widths bigint[], old_permit text, amount bigint, is_void boolean
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held agent_sdk.rate_held;
    now bigint;
    more bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR i IN 1 .. cardinality(names) LOOP
        PERFORM FROM agent_sdk.rates r WHERE r.tenant = tenants[i] AND r.name = names[i] FOR UPDATE;
    END LOOP;
    now := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    FOR i IN 1 .. cardinality(names) LOOP
        DELETE FROM agent_sdk.rate_held h WHERE h.tenant = tenants[i] AND h.name = names[i] AND h.permit = old_permit RETURNING h.* INTO held;
        CONTINUE WHEN NOT FOUND;
        more := CASE WHEN is_void THEN -held.tokens WHEN max_tokens[i] IS NULL THEN 0 ELSE amount - held.tokens END;
        IF is_void OR more < 0 THEN
            UPDATE agent_sdk.rate_used u
            SET requests = greatest(0, u.requests - is_void::integer), tokens = greatest(0, u.tokens + more)
            WHERE u.tenant = tenants[i] AND u.name = names[i] AND u.slot = held.slot;
        ELSIF more > 0 THEN
            INSERT INTO agent_sdk.rate_used AS u VALUES (tenants[i], names[i], now / widths[i], 0, more)
            ON CONFLICT (tenant, name, slot) DO UPDATE SET tokens = u.tokens + excluded.tokens;
        END IF;
    END LOOP;
END
$$;

-- Takes a place for a probe where the circuit's time is over and fewer than `most` are under way.
CREATE FUNCTION agent_sdk.circuit_probe(of_name text, new_probe text, most bigint, lease_us bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    until_then bigint;
    now bigint;
BEGIN
    SELECT c.open_until INTO until_then FROM agent_sdk.circuits c WHERE c.name = of_name FOR UPDATE;
    now := agent_sdk.now_us();
    IF until_then IS NULL OR until_then > now THEN
        RETURN false;
    END IF;
    DELETE FROM agent_sdk.circuit_probes p WHERE p.name = of_name AND p.until < now;
    IF (SELECT count(*) FROM agent_sdk.circuit_probes p WHERE p.name = of_name AND p.probe <> new_probe) >= most THEN
        RETURN false;
    END IF;
    INSERT INTO agent_sdk.circuit_probes VALUES (of_name, new_probe, now + lease_us) ON CONFLICT (name, probe) DO NOTHING;
    RETURN true;
END
$$;

-- What the processes of an account share: version 1.
--
-- Every function that counts takes the account's lock in a statement of its own. Under READ
-- COMMITTED the next statement then sees all that was committed before the lock was granted; a
-- lock taken in the statement that counts would come after its snapshot. All times are the
-- server's. An account is a hash, never a token.

CREATE TABLE piktid.grants (
    token uuid PRIMARY KEY,
    account text NOT NULL,
    path text NOT NULL,
    owner uuid NOT NULL,
    sent timestamptz NOT NULL,
    answered timestamptz,  -- null while the request is under way
    refused boolean NOT NULL DEFAULT false
);
CREATE INDEX ON piktid.grants (account, path, answered);

CREATE TABLE piktid.slots (
    token uuid PRIMARY KEY,
    account text NOT NULL,
    path text NOT NULL,
    owner uuid,            -- null once nobody follows the job
    job_id text,           -- null while the request is under way, and in doubt
    since timestamptz NOT NULL,
    doubt_until timestamptz,
    asked timestamptz NOT NULL DEFAULT '-infinity',
    UNIQUE (account, job_id)
);
CREATE INDEX ON piktid.slots (account);

CREATE TABLE piktid.pauses (
    account text NOT NULL,
    path text NOT NULL,    -- '' is the account: jobs of others fill it
    until timestamptz NOT NULL,
    refusals integer NOT NULL DEFAULT 0,
    allowed integer,       -- the rate that went through while a higher one was refused
    learned timestamptz,
    PRIMARY KEY (account, path)
);

CREATE TABLE piktid.processes (
    owner uuid PRIMARY KEY,
    account text NOT NULL,
    until timestamptz NOT NULL  -- taken for dead after this
);

CREATE TABLE piktid.lease (
    account text PRIMARY KEY,
    owner uuid NOT NULL,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL,
    live boolean NOT NULL  -- its stream is up
);

CREATE TABLE piktid.inbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    id text,               -- null: a backfill has ended
    body text,
    received timestamptz NOT NULL,
    UNIQUE (account, id)
);
CREATE INDEX ON piktid.inbox (account, seq);

CREATE FUNCTION piktid.lock(p_account text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('piktid account ' || p_account, 0))
$$;

CREATE FUNCTION piktid.ring(p_account text, p_what text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('piktid_' || left(p_account, 32), p_what)
$$;

-- How many a window may hold now: the limit, or less after refusals. Null: any number.
CREATE FUNCTION piktid.allowed(
    p_account text, p_path text, p_limit integer, p_window float8, p_now timestamptz
) RETURNS integer LANGUAGE sql AS $$
    SELECT least(p_limit, (
        SELECT allowed + floor(extract(epoch FROM p_now - learned) / p_window)::integer
        FROM piktid.pauses
        WHERE account = p_account AND path = p_path AND p_limit IS NOT NULL
    ))
$$;

-- The grants that count: those of the window, and those without an answer. A process that died
-- answers for none, so its grants count for as long as its request may still have been on its way.
CREATE FUNCTION piktid.recent(
    p_account text, p_path text, p_window float8, p_abandoned float8, p_now timestamptz
) RETURNS TABLE (answered timestamptz, refused boolean) LANGUAGE sql AS $$
    SELECT coalesce(g.answered, 'infinity'), g.refused
    FROM piktid.grants g
    WHERE g.account = p_account AND g.path = p_path AND (
        g.answered > p_now - p_window * interval '1 second'
        OR g.answered IS NULL AND (
            g.sent > p_now - (p_window + p_abandoned) * interval '1 second'
            OR EXISTS (SELECT FROM piktid.processes p WHERE p.owner = g.owner AND p.until > p_now)
        )
    )
$$;

-- Take a place in the window and a slot, if both are free. `reason` null: they are taken. Else it
-- tells what holds it back, and `wait` for how many seconds; null: until something happens.
CREATE FUNCTION piktid.take(
    p_account text, p_owner uuid, p_token uuid, p_path text, p_pooled boolean,
    p_limit integer, p_window float8, p_active integer, p_abandoned float8,
    OUT reason text, OUT wait float8, OUT allowed integer, OUT used integer, OUT full_for float8
) LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
    opens timestamptz := '-infinity';
    latest timestamptz := '-infinity';
    taken integer;
    doubts integer;
BEGIN
    PERFORM piktid.lock(p_account);
    moment := clock_timestamp();
    allowed := piktid.allowed(p_account, p_path, p_limit, p_window, moment);
    SELECT count(*) INTO used
    FROM piktid.recent(p_account, p_path, p_window, p_abandoned, moment);
    IF EXISTS (SELECT FROM piktid.grants WHERE token = p_token)
        OR EXISTS (SELECT FROM piktid.slots WHERE token = p_token)
    THEN
        RETURN;  -- taken before: the answer was lost
    END IF;

    SELECT until INTO opens FROM piktid.pauses WHERE account = p_account AND path = p_path;
    IF opens > moment THEN
        reason := 'pause';
        latest := opens;
    END IF;
    IF used >= allowed THEN
        SELECT answered + p_window * interval '1 second' INTO opens
        FROM piktid.recent(p_account, p_path, p_window, p_abandoned, moment)
        ORDER BY answered DESC OFFSET allowed - 1 LIMIT 1;
        IF opens > latest THEN
            reason := 'window';
            latest := opens;
        END IF;
    END IF;
    IF p_pooled THEN
        SELECT until INTO opens
        FROM piktid.pauses WHERE account = p_account AND path = '' AND until > moment;
        full_for := extract(epoch FROM opens - moment);
        IF p_active IS NOT NULL THEN
            DELETE FROM piktid.slots WHERE account = p_account AND doubt_until <= moment;
            SELECT count(*), count(doubt_until) INTO taken, doubts
            FROM piktid.slots WHERE account = p_account;
            IF taken >= p_active THEN
                opens := 'infinity';
                IF taken - doubts < p_active THEN
                    SELECT min(doubt_until) INTO opens
                    FROM piktid.slots WHERE account = p_account;
                END IF;
            END IF;
        END IF;
        IF opens > moment AND opens > latest THEN
            reason := 'slot';
            latest := opens;
        END IF;
    END IF;

    IF reason IS NOT NULL THEN
        IF latest < 'infinity' THEN
            wait := greatest(0, extract(epoch FROM latest - moment));
        END IF;
        RETURN;
    END IF;
    IF p_limit IS NOT NULL THEN
        INSERT INTO piktid.grants (token, account, path, owner, sent)
        VALUES (p_token, p_account, p_path, p_owner, moment);
        used := used + 1;
    END IF;
    IF p_pooled THEN
        INSERT INTO piktid.slots (token, account, path, owner, since)
        VALUES (p_token, p_account, p_path, p_owner, moment);
    END IF;
END
$$;

-- The turn was not used: nothing was sent.
CREATE FUNCTION piktid.returned(p_account text, p_token uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    DELETE FROM piktid.grants WHERE token = p_token;
    DELETE FROM piktid.slots WHERE token = p_token;
    PERFORM piktid.ring(p_account, 'room');
END
$$;

-- The slot passes to the job, or is free when there is none.
CREATE FUNCTION piktid.pass_slot(
    p_account text, p_owner uuid, p_token uuid, p_path text, p_job text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM piktid.slots WHERE token = p_token;
    IF p_job IS NOT NULL THEN
        INSERT INTO piktid.slots (token, account, path, owner, job_id, since)
        VALUES (p_token, p_account, p_path, p_owner, p_job, clock_timestamp())
        ON CONFLICT DO NOTHING;
    END IF;
END
$$;

CREATE FUNCTION piktid.answered(
    p_account text, p_owner uuid, p_token uuid, p_path text, p_pooled boolean, p_job text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    UPDATE piktid.grants SET answered = clock_timestamp()
    WHERE token = p_token AND answered IS NULL;
    IF p_pooled THEN
        PERFORM piktid.pass_slot(p_account, p_owner, p_token, p_path, p_job);
    END IF;
    IF p_job IS NOT NULL THEN
        UPDATE piktid.pauses SET refusals = 0
        WHERE account = p_account AND path IN (p_path, '');
    END IF;
    PERFORM piktid.ring(p_account, 'room');
END
$$;

CREATE FUNCTION piktid.doubtful(p_account text, p_token uuid, p_held float8) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    UPDATE piktid.grants SET answered = clock_timestamp()
    WHERE token = p_token AND answered IS NULL;
    UPDATE piktid.slots SET doubt_until = clock_timestamp() + p_held * interval '1 second'
    WHERE token = p_token AND job_id IS NULL;
    PERFORM piktid.ring(p_account, 'room');
END
$$;

CREATE FUNCTION piktid.settled(
    p_account text, p_owner uuid, p_token uuid, p_path text, p_job text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    PERFORM piktid.pass_slot(p_account, p_owner, p_token, p_path, p_job);
    PERFORM piktid.ring(p_account, 'room');
END
$$;

-- A 429. Its pause grows with the refusals in a row; those that were under way together are one.
CREATE FUNCTION piktid.refused(
    p_account text, p_token uuid, p_path text, p_full boolean, p_asked float8,
    p_longest float8, p_limit integer, p_window float8, p_abandoned float8
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
    pause float8;
    count_ integer;
    through integer;
    where_ text := CASE WHEN p_full THEN '' ELSE p_path END;
BEGIN
    PERFORM piktid.lock(p_account);
    moment := clock_timestamp();
    UPDATE piktid.grants SET answered = moment, refused = NOT p_full
    WHERE token = p_token AND answered IS NULL;
    DELETE FROM piktid.slots WHERE token = p_token;
    INSERT INTO piktid.pauses (account, path, until) VALUES (p_account, where_, '-infinity')
    ON CONFLICT DO NOTHING;
    UPDATE piktid.pauses SET refusals = refusals + (until <= moment)::integer
    WHERE account = p_account AND path = where_ RETURNING refusals INTO count_;
    pause := least(p_window, p_window / 30 * 2 ^ least(greatest(count_, 1) - 1, 32));
    pause := least(coalesce(nullif(p_asked, 0), pause), p_longest);
    UPDATE piktid.pauses SET until = greatest(until, moment + pause * interval '1 second')
    WHERE account = p_account AND path = where_;
    IF NOT p_full AND p_limit IS NOT NULL THEN
        SELECT count(*) INTO through
        FROM piktid.recent(p_account, p_path, p_window, p_abandoned, moment) r WHERE NOT r.refused;
        UPDATE piktid.pauses SET allowed = greatest(1, through), learned = moment
        WHERE account = p_account AND path = p_path;
    END IF;
    PERFORM piktid.ring(p_account, 'room');
END
$$;

CREATE FUNCTION piktid.room(p_account text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE piktid.pauses SET until = '-infinity'
    WHERE account = p_account AND path = '' AND until > clock_timestamp();
    IF FOUND THEN
        PERFORM piktid.ring(p_account, 'room');
    END IF;
END
$$;

CREATE FUNCTION piktid.occupied(p_account text, p_owner uuid, p_job text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    INSERT INTO piktid.slots (token, account, path, owner, job_id, since)
    VALUES (gen_random_uuid(), p_account, '', p_owner, p_job, clock_timestamp())
    ON CONFLICT (account, job_id) DO UPDATE SET owner = excluded.owner;
END
$$;

-- A job of a doubt was found. Whose doubt is not known here: the oldest one ends, unless its own
-- turn has been quicker. So each doubt counts once, as a doubt or as its job.
CREATE FUNCTION piktid.found(p_account text, p_owner uuid, p_job text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    IF EXISTS (SELECT FROM piktid.slots WHERE account = p_account AND job_id = p_job) THEN
        RETURN;
    END IF;
    DELETE FROM piktid.slots WHERE token = (
        SELECT token FROM piktid.slots
        WHERE account = p_account AND job_id IS NULL AND doubt_until IS NOT NULL
        ORDER BY since LIMIT 1
    );
    IF FOUND THEN
        INSERT INTO piktid.slots (token, account, path, owner, job_id, since)
        VALUES (gen_random_uuid(), p_account, '', p_owner, p_job, clock_timestamp());
    END IF;
END
$$;

CREATE FUNCTION piktid.ended(p_account text, p_job text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM piktid.lock(p_account);
    DELETE FROM piktid.slots WHERE account = p_account AND job_id = p_job;
    IF FOUND THEN
        PERFORM piktid.room(p_account);
        PERFORM piktid.ring(p_account, 'room');
    END IF;
END
$$;

-- A sign of life; and what the dead have left: requests of theirs may have made jobs. `p_tokens`
-- are all the turns that the process knows of, where it can tell: another one's answer was lost.
CREATE FUNCTION piktid.beat(
    p_account text, p_owner uuid, p_lease float8, p_window float8, p_held float8,
    p_abandoned float8, p_tokens uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
BEGIN
    PERFORM piktid.lock(p_account);
    moment := clock_timestamp();
    INSERT INTO piktid.processes (owner, account, until)
    VALUES (p_owner, p_account, moment + p_lease * interval '1 second')
    ON CONFLICT (owner) DO UPDATE SET until = excluded.until;
    DELETE FROM piktid.grants
    WHERE owner = p_owner AND answered IS NULL AND token <> ALL (p_tokens)
        AND sent < moment - p_abandoned * interval '1 second';
    DELETE FROM piktid.slots
    WHERE owner = p_owner AND job_id IS NULL AND doubt_until IS NULL AND token <> ALL (p_tokens)
        AND since < moment - p_abandoned * interval '1 second';
    UPDATE piktid.slots s SET doubt_until = s.since + p_held * interval '1 second'
    WHERE s.account = p_account AND s.job_id IS NULL AND s.doubt_until IS NULL
        AND NOT EXISTS (SELECT FROM piktid.processes p WHERE p.owner = s.owner AND p.until > moment);
    DELETE FROM piktid.processes
    WHERE account = p_account AND until < moment - interval '1 day';
    DELETE FROM piktid.grants
    WHERE account = p_account
        AND coalesce(answered, sent) < moment - greatest(3600, 2 * p_window) * interval '1 second'
        AND (answered IS NOT NULL OR sent < moment - interval '1 day');
END
$$;

-- Hand out a few jobs that hold a slot and are followed by no process, to be asked after.
CREATE FUNCTION piktid.orphans(p_account text, p_every float8)
RETURNS TABLE (job_id text, age float8) LANGUAGE sql AS $$
    UPDATE piktid.slots SET asked = clock_timestamp()
    WHERE token IN (
        SELECT s.token FROM piktid.slots s
        WHERE s.account = p_account AND s.job_id IS NOT NULL
            AND s.asked < clock_timestamp() - p_every * interval '1 second'
            AND NOT EXISTS (
                SELECT FROM piktid.processes p
                WHERE p.owner = s.owner AND p.until > clock_timestamp()
            )
        ORDER BY s.asked LIMIT 8 FOR UPDATE SKIP LOCKED
    )
    RETURNING job_id, extract(epoch FROM clock_timestamp() - since)
$$;

CREATE FUNCTION piktid.disown(p_account text, p_jobs text[]) RETURNS void LANGUAGE sql AS $$
    UPDATE piktid.slots SET owner = NULL WHERE account = p_account AND job_id = ANY (p_jobs)
$$;

-- Take the lease when nobody holds it; returns the epoch, or null.
CREATE FUNCTION piktid.lead(p_account text, p_owner uuid, p_lease float8) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO piktid.lease AS l (account, owner, epoch, until, live)
    VALUES (p_account, p_owner, 1, clock_timestamp() + p_lease * interval '1 second', false)
    ON CONFLICT (account) DO UPDATE
    SET owner = excluded.owner, epoch = l.epoch + 1, until = excluded.until, live = false
    WHERE l.until < clock_timestamp()
    RETURNING epoch
$$;

CREATE FUNCTION piktid.renew(p_account text, p_epoch bigint, p_lease float8, p_keep float8)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE piktid.lease SET until = clock_timestamp() + p_lease * interval '1 second'
    WHERE account = p_account AND epoch = p_epoch;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM piktid.inbox
    WHERE account = p_account AND received < clock_timestamp() - p_keep * interval '1 second';
    RETURN true;
END
$$;

CREATE FUNCTION piktid.show(p_account text, p_epoch bigint, p_live boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE piktid.lease SET live = p_live WHERE account = p_account AND epoch = p_epoch;
    IF FOUND THEN
        PERFORM piktid.ring(p_account, 'inbox');
    END IF;
    RETURN FOUND;
END
$$;

CREATE FUNCTION piktid.resign(p_account text, p_epoch bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE piktid.lease SET until = '-infinity', live = false
    WHERE account = p_account AND epoch = p_epoch;
    PERFORM piktid.ring(p_account, 'inbox');
END
$$;

-- Append to the log, in the order given, if the lease is still held. The lease's row, locked before
-- the numbers are drawn, makes the order of `seq` the order of the commits, so that no reader passes
-- over a row that is yet to appear.
CREATE FUNCTION piktid.deliver(p_account text, p_epoch bigint, p_ids text[], p_bodies text[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM piktid.lease WHERE account = p_account AND epoch = p_epoch FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO piktid.inbox (account, id, body, received)
    SELECT p_account, each.id, each.body, clock_timestamp()
    FROM unnest(p_ids, p_bodies) WITH ORDINALITY AS each (id, body, place)
    ORDER BY each.place
    ON CONFLICT (account, id) DO NOTHING;
    PERFORM piktid.ring(p_account, 'inbox');
    RETURN true;
END
$$;

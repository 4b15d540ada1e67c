-- Batches that many programs work on: version 1.
--
-- A step is computed by the client and taken here, in one statement, if nobody has changed the row
-- since it was read: so no lock outlives a statement, and a program that freezes holds up no other.
-- Each change takes the row of its batch first, in a statement of its own: under READ COMMITTED
-- those that follow see all that was committed before the lock was granted. Sums and the budget
-- are therefore exact, and no two changes can wait for each other.

CREATE TABLE piktid_batch.batches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    meta jsonb NOT NULL DEFAULT '{}',
    last_seq bigint NOT NULL DEFAULT 0
);

CREATE TABLE piktid_batch.products (
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    key text NOT NULL,
    seq bigint NOT NULL,
    line text,
    state text NOT NULL DEFAULT 'pending',
    fingerprint text NOT NULL DEFAULT '',
    images text NOT NULL DEFAULT '[]',
    attempt integer NOT NULL DEFAULT 0,
    intent_id text,
    t_intent text,
    kind text,
    input_ids text NOT NULL DEFAULT '[]',
    job_id text,
    total_outputs integer,
    estimate float8,
    credits_used float8,
    sunk float8 NOT NULL DEFAULT 0,
    made integer NOT NULL DEFAULT 0,
    missed integer NOT NULL DEFAULT 0,
    status text,
    result text,
    files text NOT NULL DEFAULT '[]',
    error text,
    reason text,
    updated text NOT NULL,
    spent float8 NOT NULL DEFAULT 0,
    stamp uuid NOT NULL,  -- of the step that wrote it
    spec text,            -- what a worker makes it of; null: only its own program knows
    follower uuid,        -- the program that submits it, or follows its job
    PRIMARY KEY (batch, key),
    UNIQUE (batch, job_id)
);
CREATE UNIQUE INDEX ON piktid_batch.products (batch, seq);
CREATE INDEX ON piktid_batch.products (batch, state, seq);

CREATE TABLE piktid_batch.totals (
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    state text NOT NULL,
    products bigint NOT NULL,
    spent numeric NOT NULL,
    estimated numeric NOT NULL,
    used numeric NOT NULL,
    made bigint NOT NULL,
    missed bigint NOT NULL,
    PRIMARY KEY (batch, state)
);

-- Every job that is, or was, some product's.
CREATE TABLE piktid_batch.jobs (
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    job_id text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (batch, job_id)
);

CREATE TABLE piktid_batch.uploads (
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    sha256 text NOT NULL,
    file_id text NOT NULL,
    filename text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    PRIMARY KEY (batch, sha256)
);

CREATE TABLE piktid_batch.hashes (
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    machine text NOT NULL,  -- the same path is another file there
    path text NOT NULL,
    size bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (batch, machine, path)
);

CREATE TABLE piktid_batch.workers (
    owner uuid PRIMARY KEY,
    batch bigint NOT NULL REFERENCES piktid_batch.batches,
    name text NOT NULL,
    until timestamptz NOT NULL  -- taken for dead after this
);

CREATE FUNCTION piktid_batch.lock(p_batch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM piktid_batch.batches WHERE id = p_batch FOR UPDATE;
END
$$;

CREATE FUNCTION piktid_batch.claim_of(p_batch bigint, p_key text) RETURNS bigint LANGUAGE sql AS $$
    SELECT hashtextextended('piktid batch ' || p_batch || ' ' || p_key, 0)
$$;

CREATE FUNCTION piktid_batch.count(p_row piktid_batch.products, p_sign integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO piktid_batch.totals AS t VALUES (
        p_row.batch, p_row.state, p_sign,
        p_sign * p_row.spent::numeric,
        p_sign * coalesce(p_row.estimate, 0)::numeric,
        p_sign * coalesce(p_row.credits_used, 0)::numeric,
        p_sign * p_row.made, p_sign * p_row.missed
    )
    ON CONFLICT (batch, state) DO UPDATE SET
        products = t.products + excluded.products,
        spent = t.spent + excluded.spent,
        estimated = t.estimated + excluded.estimated,
        used = t.used + excluded.used,
        made = t.made + excluded.made,
        missed = t.missed + excluded.missed
$$;

CREATE FUNCTION piktid_batch.sums(p_batch bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_object_agg(
        state, jsonb_build_array(products, spent, estimated, used, made, missed)
    ), '{}') FROM piktid_batch.totals WHERE batch = p_batch
$$;

-- Have a task done for each product; whichever engine is set up puts its own in the place of this.
CREATE FUNCTION piktid_batch.defer(p_task text, p_batch text, p_keys text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'no engine works on batches in this database';
END
$$;

-- Note that a program has drawn a product, making its row if there is none, and claim it.
CREATE FUNCTION piktid_batch.draw(
    p_batch bigint, p_key text, p_line text, p_now text,
    OUT twin text, OUT claimed boolean
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT coalesce(line, 'an earlier one') INTO twin FROM pg_temp.piktid_drawn WHERE key = p_key;
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO pg_temp.piktid_drawn VALUES (p_key, p_line);
    IF NOT EXISTS (SELECT FROM piktid_batch.products WHERE batch = p_batch AND key = p_key) THEN
        PERFORM piktid_batch.add(p_batch, ARRAY[p_key], ARRAY[p_line], ARRAY[NULL], p_now, NULL);
    END IF;
    claimed := pg_try_advisory_lock(piktid_batch.claim_of(p_batch, p_key));
END
$$;

-- Make the rows that are not there yet, have the task done for each, and return their keys.
CREATE FUNCTION piktid_batch.add(
    p_batch bigint, p_keys text[], p_lines text[], p_specs text[], p_now text, p_task text
) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    made text[];
BEGIN
    PERFORM piktid_batch.lock(p_batch);
    WITH added AS (
        INSERT INTO piktid_batch.products (batch, key, seq, line, updated, stamp, spec)
        SELECT p_batch, each.key, b.last_seq + row_number() OVER (ORDER BY each.place),
            each.line, p_now, gen_random_uuid(), each.spec
        FROM unnest(p_keys, p_lines, p_specs) WITH ORDINALITY AS each (key, line, spec, place),
            piktid_batch.batches b
        WHERE b.id = p_batch AND NOT EXISTS (
            SELECT FROM piktid_batch.products p WHERE p.batch = p_batch AND p.key = each.key
        )
        RETURNING *
    ), counted AS (
        SELECT piktid_batch.count(
            jsonb_populate_record(NULL::piktid_batch.products, jsonb_build_object(
                'batch', p_batch, 'state', 'pending', 'spent', 0, 'made', 0, 'missed', 0
            )), count(*)::integer
        ) FROM added HAVING count(*) > 0
    )
    SELECT array_agg(key ORDER BY seq) INTO made
    FROM added, (SELECT count(*) FROM counted) AS all_counted;
    IF made IS NOT NULL THEN
        UPDATE piktid_batch.batches SET last_seq = last_seq + cardinality(made) WHERE id = p_batch;
        IF p_task IS NOT NULL THEN
            PERFORM piktid_batch.defer(p_task, name, made)
            FROM piktid_batch.batches WHERE id = p_batch;
        END IF;
    END IF;
    RETURN QUERY SELECT unnest(made);
END
$$;

-- Replace a row, if it still is as it was read. `outcome` is 'taken', 'stale', or whose the job is.
CREATE FUNCTION piktid_batch.step(
    p_batch bigint, p_before uuid, p_stamp uuid, p_row jsonb, p_max float8, p_owner uuid,
    p_then text, OUT outcome text, OUT holder text, OUT sums jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    before piktid_batch.products;
    after piktid_batch.products;
    bound numeric := p_max;
BEGIN
    PERFORM piktid_batch.lock(p_batch);
    SELECT * INTO before
    FROM piktid_batch.products WHERE batch = p_batch AND key = p_row ->> 'key';
    IF before.stamp <> p_before AND before.stamp <> p_stamp THEN
        outcome := 'stale';
        RETURN;
    END IF;
    IF before.stamp = p_before THEN  -- else it was taken, and the answer lost
        after := jsonb_populate_record(before, p_row);
        IF bound IS NOT NULL AND after.spent - before.spent + (
            SELECT sum(t.spent) FROM piktid_batch.totals t WHERE t.batch = p_batch
        ) > bound + 1e-6 THEN
            outcome := 'stale';  -- others have spent it meanwhile
            RETURN;
        END IF;
        IF after.job_id IS DISTINCT FROM before.job_id AND after.job_id IS NOT NULL THEN
            INSERT INTO piktid_batch.jobs VALUES (p_batch, after.job_id, after.key)
            ON CONFLICT DO NOTHING;
            SELECT j.key INTO holder
            FROM piktid_batch.jobs j WHERE j.batch = p_batch AND j.job_id = after.job_id;
            IF holder <> after.key THEN
                outcome := 'job';
                RETURN;
            END IF;
        END IF;
        UPDATE piktid_batch.products p SET
            (state, fingerprint, images, attempt, intent_id, t_intent, kind, input_ids, job_id,
             total_outputs, estimate, credits_used, sunk, made, missed, status, result, files,
             error, reason, updated, spent)
            = (after.state, after.fingerprint, after.images, after.attempt, after.intent_id,
               after.t_intent, after.kind, after.input_ids, after.job_id, after.total_outputs,
               after.estimate, after.credits_used, after.sunk, after.made, after.missed,
               after.status, after.result, after.files, after.error, after.reason, after.updated,
               after.spent),
            stamp = p_stamp,
            follower = CASE WHEN after.state IN ('intent', 'submitted') THEN p_owner END
        WHERE p.batch = p_batch AND p.key = after.key;
        PERFORM piktid_batch.count(before, -1), piktid_batch.count(after, 1);
        IF p_then IS NOT NULL AND after.spec IS NOT NULL THEN
            PERFORM piktid_batch.defer(p_then, name, ARRAY[after.key])
            FROM piktid_batch.batches WHERE id = p_batch;
        END IF;
    END IF;
    outcome := 'taken';
    sums := piktid_batch.sums(p_batch);
END
$$;

CREATE FUNCTION piktid_batch.beat(p_batch bigint, p_owner uuid, p_name text, p_lease float8)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO piktid_batch.workers
    VALUES (p_owner, p_batch, p_name, clock_timestamp() + p_lease * interval '1 second')
    ON CONFLICT (owner) DO UPDATE SET until = excluded.until;
    DELETE FROM piktid_batch.workers WHERE until < clock_timestamp() - interval '1 day';
END
$$;

-- Take over jobs that no living worker follows; those that this one follows already are known.
CREATE FUNCTION piktid_batch.adopt(p_batch bigint, p_owner uuid, p_known text[], p_most integer)
RETURNS SETOF text LANGUAGE sql AS $$
    UPDATE piktid_batch.products SET follower = p_owner
    WHERE batch = p_batch AND key IN (
        SELECT p.key FROM piktid_batch.products p
        WHERE p.batch = p_batch AND p.state = 'submitted' AND p.spec IS NOT NULL
            AND p.key <> ALL (p_known)
            AND (p.follower = p_owner OR NOT EXISTS (
                SELECT FROM piktid_batch.workers w
                WHERE w.owner = p.follower AND w.until > clock_timestamp()
            ))
        ORDER BY p.seq LIMIT p_most FOR UPDATE SKIP LOCKED
    )
    RETURNING key
$$;

-- Submissions that nobody has in hand any more, and their intents. `p_known` are those that this
-- worker has. The sign of life of another is not missed while the server itself was away. Who is
-- no worker, or has left, holds the claim for as long as it lives.
CREATE FUNCTION piktid_batch.cut_off(
    p_batch bigint, p_owner uuid, p_known text[], p_lease float8
) RETURNS TABLE (key text, intent_id text) LANGUAGE sql AS $$
    SELECT p.key, p.intent_id
    FROM piktid_batch.products p LEFT JOIN piktid_batch.workers w ON w.owner = p.follower
    WHERE p.batch = p_batch AND p.state = 'intent' AND p.spec IS NOT NULL AND CASE
        WHEN p.follower = p_owner THEN p.key <> ALL (p_known)
        WHEN w.owner IS NOT NULL THEN clock_timestamp() > greatest(
            w.until, pg_postmaster_start_time() + p_lease * interval '1 second'
        )
        ELSE pg_try_advisory_xact_lock(piktid_batch.claim_of(p.batch, p.key))
    END
$$;

-- Have a task done for what needs one and has none in the queue; returns for how many products.
CREATE FUNCTION piktid_batch.redo(
    p_batch bigint, p_state text, p_task text, OUT redone integer
) LANGUAGE plpgsql AS $$
DECLARE
    lost text[];
BEGIN
    PERFORM piktid_batch.lock(p_batch);
    SELECT array_agg(p.key ORDER BY p.seq) INTO lost
    FROM piktid_batch.products p JOIN piktid_batch.batches b ON b.id = p.batch
    WHERE p.batch = p_batch AND p.state = p_state AND p.spec IS NOT NULL
        AND p.key NOT IN (SELECT piktid_batch.in_queue(b.name));
    redone := coalesce(cardinality(lost), 0);
    IF redone > 0 THEN
        PERFORM piktid_batch.defer(p_task, name, lost)
        FROM piktid_batch.batches WHERE id = p_batch;
    END IF;
END
$$;

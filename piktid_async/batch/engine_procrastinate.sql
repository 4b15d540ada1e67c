-- How the ledger's steps put tasks into the queue, in their own transaction.
CREATE OR REPLACE FUNCTION piktid_batch.defer(p_task text, p_batch text, p_keys text[])
RETURNS void LANGUAGE sql SET search_path = piktid_queue AS $$
    SELECT procrastinate_defer_jobs_v1(array_agg(ROW(
        p_task || ' ' || p_batch, 'piktid', 0, NULL,
        NULL, jsonb_build_object('task', p_task, 'key', key), NULL
    )::procrastinate_job_to_defer_v1)) FROM unnest(p_keys) AS key
$$;

-- The products for which a task stands in the queue, or is in somebody's hands.
CREATE OR REPLACE FUNCTION piktid_batch.in_queue(p_batch text)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = piktid_queue AS $$
    SELECT args ->> 'key' FROM procrastinate_jobs
    WHERE queue_name IN ('upload ' || p_batch, 'submit ' || p_batch, 'complete ' || p_batch)
        AND (status = 'todo' OR status = 'doing' AND worker_id IS NOT NULL)
$$;

-- How many tasks of a kind stand in the queue.
CREATE OR REPLACE FUNCTION piktid_batch.queued(p_batch bigint, p_task text)
RETURNS bigint LANGUAGE sql STABLE SET search_path = piktid_queue AS $$
    SELECT count(*) FROM procrastinate_jobs
    WHERE status = 'todo'
        AND queue_name = p_task || ' ' || (SELECT name FROM piktid_batch.batches WHERE id = p_batch)
$$;

-- How the ledger's steps put tasks into the queue, in their own transaction.
CREATE OR REPLACE FUNCTION piktid_batch.defer(p_task text, p_batch text, p_keys text[])
RETURNS void LANGUAGE sql SET search_path = piktid_queue AS $$
    SELECT procrastinate_defer_jobs_v1(array_agg(ROW(
        CASE p_task WHEN 'submit' THEN 'submit ' ELSE 'files ' END || p_batch, 'piktid', 0, NULL,
        NULL, jsonb_build_object('task', p_task, 'key', key), NULL
    )::procrastinate_job_to_defer_v1)) FROM unnest(p_keys) AS key
$$;

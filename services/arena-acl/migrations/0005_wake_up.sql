-- When a change in RETRY may be tried before the next run of the retry job, wall clock of Europe/Oslo; null: not before (IMP-17).
ALTER TABLE arena_data ADD COLUMN retry_at timestamp;

-- What is due of a table, in the order in which it is tried. It also answers whether anything is due.
CREATE INDEX arena_data_woken_idx
    ON arena_data (arena_table_name, retry_at, arena_position(operation_pos), id)
    WHERE ingest_status = 'RETRY' AND retry_at IS NOT NULL;

-- What waits for a course, since it is invalid or because it is missing (4.3 step 6, IMP-17).
DROP INDEX arena_data_waiting_before_idx, arena_data_waiting_after_idx;
CREATE INDEX arena_data_course_before_idx
    ON arena_data (arena_course_id(before)) WHERE ingest_status IN ('WAITING', 'RETRY');
CREATE INDEX arena_data_course_after_idx
    ON arena_data (arena_course_id(after)) WHERE ingest_status IN ('WAITING', 'RETRY');

-- Indexes. The first five exist in an old database under these names.

CREATE UNIQUE INDEX IF NOT EXISTS arena_data_table_operation_type_operation_pos_idx
    ON arena_data (arena_table_name, operation_type, operation_pos);
CREATE UNIQUE INDEX IF NOT EXISTS arena_data_id_translation_arena_table_name_arena_id_idx
    ON arena_data_id_translation (arena_table_name, arena_id);
CREATE UNIQUE INDEX IF NOT EXISTS arena_data_hist_id_translation_arena_hist_id_idx
    ON arena_data_hist_id_translation (arena_hist_id);
CREATE INDEX IF NOT EXISTS arena_data_table_name_arena_id_idx ON arena_data (arena_id, arena_table_name);
CREATE INDEX IF NOT EXISTS arena_data_name_type_status_idx
    ON arena_data (arena_table_name, operation_type, ingest_status);
CREATE INDEX deltaker_person_id_gjennomforing_id_idx ON deltaker (person_id, gjennomforing_id);

-- A position as a number; null for what is no position. Never raises.
CREATE FUNCTION arena_position(position_text text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN position_text ~ '^[0-9]{1,20}$' THEN position_text::numeric END;

-- The old service stored positions that are no numbers and could do nothing with them afterwards (2.8 no. 3).
UPDATE arena_data SET ingest_status = 'INVALID', note = 'The position is not a number'
WHERE ingest_status IN ('RETRY', 'FAILED', 'WAITING') AND arena_position(operation_pos) IS NULL;

-- Pages of the jobs: one status of one table, by numeric position, then arrival (6.2).
CREATE INDEX arena_data_unhandled_idx
    ON arena_data (arena_table_name, ingest_status, arena_position(operation_pos), id)
    WHERE ingest_status IN ('RETRY', 'FAILED', 'WAITING');

-- The course in a row image, by the rules of 2.2: null or blank is 0, blanks around the digits and a fraction are dropped.
-- Null without an image and for what is no number of 64 bits. Never raises.
CREATE FUNCTION arena_course_id(image jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(image) IS DISTINCT FROM 'object' THEN NULL
        WHEN btrim(coalesce(image ->> 'TILTAKGJENNOMFORING_ID', ''), E' \t\n\r') = '' THEN 0
        WHEN btrim(image ->> 'TILTAKGJENNOMFORING_ID', E' \t\n\r') ~ '^[+-]?[0-9]{1,200}([.][0-9]{0,200})?$' THEN
            CASE
                WHEN trunc(btrim(image ->> 'TILTAKGJENNOMFORING_ID', E' \t\n\r')::numeric)
                    BETWEEN -9223372036854775808 AND 9223372036854775807
                THEN trunc(btrim(image ->> 'TILTAKGJENNOMFORING_ID', E' \t\n\r')::numeric)::bigint
            END
    END;

-- What waits for a course (4.3 step 6).
CREATE INDEX arena_data_waiting_before_idx ON arena_data (arena_course_id(before)) WHERE ingest_status = 'WAITING';
CREATE INDEX arena_data_waiting_after_idx ON arena_data (arena_course_id(after)) WHERE ingest_status = 'WAITING';

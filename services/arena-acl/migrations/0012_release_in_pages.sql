-- What waits for a course is released a page at a time, so that the first of it leaves before the last is written: a course whose first page was
-- full goes on here until a page is not (4.3 step 6).
ALTER TABLE gjennomforing ADD COLUMN releases boolean NOT NULL DEFAULT false;
CREATE INDEX gjennomforing_releases_idx ON gjennomforing (arena_id) WHERE releases;

-- In the order of a page, and under another condition than the pages of the jobs: see 0011.
DROP INDEX arena_data_course_before_idx, arena_data_course_after_idx;
CREATE INDEX arena_data_course_before_idx
    ON arena_data (arena_course_id(before), arena_position(operation_pos), id) WHERE ingest_status <> 'HANDLED';
CREATE INDEX arena_data_course_after_idx
    ON arena_data (arena_course_id(after), arena_position(operation_pos), id) WHERE ingest_status <> 'HANDLED';

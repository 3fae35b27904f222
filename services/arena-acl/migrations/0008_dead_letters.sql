-- Dead letters as one list: the quarantine, and the rows in INVALID and FAILED (architecture section 4).

ALTER TABLE arena_data
    ADD COLUMN replay_count integer NOT NULL DEFAULT 0, -- how often an operator sent the row to RETRY
    ADD COLUMN dropped_at timestamp;                    -- an operator took the row off the list; it stays INVALID. Wall clock of Europe/Oslo

-- A row in FAILED blocks its participant and is on the list whatever was done to it before.
CREATE INDEX arena_data_dead_idx ON arena_data (id)
    WHERE ingest_status = 'FAILED' OR (ingest_status = 'INVALID' AND dropped_at IS NULL);

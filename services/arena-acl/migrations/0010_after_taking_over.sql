-- Participants of the courses of a measure (6.9); that table names its courses in text.
CREATE INDEX deltaker_gjennomforing_id_idx ON deltaker ((gjennomforing_id::text));

-- What the purge deletes every hour (6.4).
CREATE INDEX arena_data_ignored_idx ON arena_data (id) WHERE ingest_status = 'IGNORED';

-- How much waits in the outbox changes faster than a tenth of it does: the planner shall know within a minute.
ALTER TABLE outbox SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500);

-- What the planner knew of the columns that 0002 altered is gone, and of the indexes of 0003 it never knew anything. A database that was taken
-- over full would not be analysed by itself before a tenth of its rows has changed.
DO $$
BEGIN
    IF EXISTS (SELECT FROM arena_data) THEN
        ANALYZE arena_data, arena_data_id_translation, arena_data_hist_id_translation, deltaker, gjennomforing;
    END IF;
END $$;

-- The trace in which a message was caused, as the header that is sent with it. Null where there is none.
ALTER TABLE outbox ADD COLUMN traceparent varchar;

-- How long the oldest of what is unhandled has waited.
CREATE INDEX arena_data_unhandled_since_idx
    ON arena_data (arena_table_name, ingest_status, ingested_timestamp)
    WHERE ingest_status IN ('RETRY', 'FAILED', 'WAITING');

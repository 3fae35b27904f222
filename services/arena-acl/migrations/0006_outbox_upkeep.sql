-- The publisher walks the index of what waits. Messages leave that index when they are published, but their entries stay until a vacuum, and
-- the default threshold, a fifth of a table that keeps the messages of a week, lets hundreds of thousands of them stand in the way.
ALTER TABLE outbox SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    vacuum_index_cleanup = on
);

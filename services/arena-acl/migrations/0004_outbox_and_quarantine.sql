-- Messages that wait to leave, and those that left in the last days (IMP-03). Times are wall clock of Europe/Oslo.
CREATE TABLE outbox (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic          varchar   NOT NULL,
    message_key    varchar   NOT NULL,
    payload        text, -- null for a tombstone, and once it is published
    transaction_id uuid,
    arena_data_id  bigint,   -- null where no change caused it
    created_at     timestamp NOT NULL,
    published_at   timestamp
);
CREATE INDEX outbox_unpublished_idx ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_unpublished_key_idx ON outbox (message_key, id) WHERE published_at IS NULL;
CREATE INDEX outbox_published_idx ON outbox (published_at) WHERE published_at IS NOT NULL;

-- Whether the last holder of the right to send ended with nothing under way.
CREATE TABLE publisher (
    the_only boolean PRIMARY KEY DEFAULT true CHECK (the_only),
    clean    boolean NOT NULL
);
INSERT INTO publisher (clean) VALUES (true);

-- Records that could not be read or stored, unchanged (3.8).
CREATE TABLE quarantine (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic         varchar     NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    record_key    bytea,
    record_value  bytea,
    header_names  bytea[]     NOT NULL, -- a name may hold what no text may
    header_values bytea[]     NOT NULL,
    reason        varchar     NOT NULL,
    class         varchar     NOT NULL CHECK (class IN ('transient', 'permanent', 'fatal')),
    detail        varchar     NOT NULL,
    attempts      integer     NOT NULL,
    replay_count  integer     NOT NULL,
    first_at      timestamptz NOT NULL,
    received_at   timestamptz NOT NULL, -- when it was given up
    resolved_at   timestamptz,
    CONSTRAINT quarantine_record_key UNIQUE (topic, partition, record_offset),
    CONSTRAINT quarantine_headers_check CHECK (cardinality(header_names) = cardinality(header_values))
);
CREATE INDEX quarantine_open_idx ON quarantine (reason) WHERE resolved_at IS NULL;

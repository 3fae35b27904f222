-- The tables of the old service at its last version, 21 (docs/spec/arena-acl.md 3.1–3.6, column types of the old service).

CREATE TABLE arena_data (
    id                  serial PRIMARY KEY,
    arena_table_name    varchar NOT NULL,
    arena_id            varchar NOT NULL,
    operation_type      varchar NOT NULL CHECK (operation_type IN ('CREATED', 'MODIFIED', 'DELETED')),
    operation_pos       varchar NOT NULL,
    operation_timestamp timestamp NOT NULL,
    ingest_status       varchar NOT NULL DEFAULT 'NEW' CHECK (ingest_status IN
        ('NEW', 'HANDLED', 'RETRY', 'FAILED', 'IGNORED', 'INVALID', 'WAITING', 'EXTERNAL_SOURCE')),
    ingested_timestamp  timestamp,
    ingest_attempts     int NOT NULL DEFAULT 0,
    last_attempted      timestamp,
    before              jsonb,
    after               jsonb,
    note                varchar
);
CREATE TABLE arena_data_id_translation (
    amt_id           uuid PRIMARY KEY,
    arena_table_name varchar NOT NULL,
    arena_id         varchar NOT NULL
);
CREATE TABLE arena_data_hist_id_translation (
    amt_id        uuid PRIMARY KEY,
    arena_hist_id varchar NOT NULL,
    arena_id      varchar
);
CREATE TABLE deltaker (
    id                 uuid PRIMARY KEY,
    arena_id           int NOT NULL,
    person_id          int NOT NULL,
    gjennomforing_id   int NOT NULL,
    dato_fra           date,
    dato_til           date,
    reg_dato           timestamp with time zone NOT NULL,
    mod_dato           timestamp with time zone NOT NULL,
    status             varchar NOT NULL,
    dato_statusendring timestamp with time zone,
    ekstern_id         uuid,
    arena_source_table varchar NOT NULL,
    created_at         timestamp with time zone DEFAULT current_timestamp,
    modified_at        timestamp with time zone DEFAULT current_timestamp,
    UNIQUE (arena_id, arena_source_table)
);
CREATE TABLE gjennomforing (
    arena_id    varchar PRIMARY KEY,
    tiltak_kode varchar NOT NULL,
    is_valid    boolean NOT NULL,
    id          uuid,
    created_at  timestamp with time zone NOT NULL DEFAULT current_timestamp
);
CREATE TABLE shedlock (
    name       varchar(128) PRIMARY KEY,
    lock_until timestamp(3) NOT NULL,
    locked_at  timestamp(3) NOT NULL,
    locked_by  varchar(255) NOT NULL
);
CREATE TABLE flyway_schema_history (
    installed_rank int PRIMARY KEY,
    version        varchar(50),
    description    varchar(200) NOT NULL,
    type           varchar(20) NOT NULL,
    script         varchar(1000) NOT NULL,
    checksum       int,
    installed_by   varchar(100) NOT NULL,
    installed_on   timestamp NOT NULL DEFAULT now(),
    execution_time int NOT NULL,
    success        boolean NOT NULL
);
CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
SELECT n + 1, lpad(n::text, 2, '0'), 'step ' || n, 'SQL', format('V%s__step.sql', lpad(n::text, 2, '0')), n, 'acl', 5, true
FROM generate_series(0, 21) n;

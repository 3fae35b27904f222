-- The tables as the old service left them (its Flyway version 21). In its database they exist and nothing happens here.

CREATE TABLE IF NOT EXISTS arena_data (
    id                  serial PRIMARY KEY,
    arena_table_name    varchar   NOT NULL,
    arena_id            varchar   NOT NULL,
    operation_type      varchar   NOT NULL
        CONSTRAINT arena_data_operation_type_check CHECK (operation_type IN ('CREATED', 'MODIFIED', 'DELETED')),
    operation_pos       varchar   NOT NULL,
    operation_timestamp timestamp NOT NULL,
    ingest_status       varchar   NOT NULL DEFAULT 'NEW'
        CONSTRAINT arena_data_ingest_status_check CHECK (ingest_status IN
            ('NEW', 'HANDLED', 'RETRY', 'FAILED', 'IGNORED', 'INVALID', 'WAITING', 'EXTERNAL_SOURCE')),
    ingested_timestamp  timestamp,
    ingest_attempts     integer   NOT NULL DEFAULT 0,
    last_attempted      timestamp,
    before              jsonb,
    after               jsonb,
    note                varchar
);

CREATE TABLE IF NOT EXISTS arena_data_id_translation (
    amt_id           uuid PRIMARY KEY,
    arena_table_name varchar NOT NULL,
    arena_id         varchar NOT NULL
);

CREATE TABLE IF NOT EXISTS arena_data_hist_id_translation (
    amt_id        uuid PRIMARY KEY,
    arena_hist_id varchar NOT NULL,
    arena_id      varchar
);

CREATE TABLE IF NOT EXISTS deltaker (
    id                 uuid PRIMARY KEY,
    arena_id           integer     NOT NULL,
    person_id          integer     NOT NULL,
    gjennomforing_id   integer     NOT NULL,
    dato_fra           date,
    dato_til           date,
    reg_dato           timestamptz NOT NULL,
    mod_dato           timestamptz NOT NULL,
    status             varchar     NOT NULL,
    dato_statusendring timestamptz,
    ekstern_id         uuid,
    arena_source_table varchar     NOT NULL,
    created_at         timestamptz DEFAULT now(),
    modified_at        timestamptz DEFAULT now(),
    CONSTRAINT deltaker_arena_id_arena_source_table_key UNIQUE (arena_id, arena_source_table)
);

CREATE TABLE IF NOT EXISTS gjennomforing (
    arena_id    varchar PRIMARY KEY,
    tiltak_kode varchar     NOT NULL,
    is_valid    boolean     NOT NULL,
    id          uuid,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS shedlock (
    name       varchar(128) PRIMARY KEY,
    lock_until timestamp(3) NOT NULL,
    locked_at  timestamp(3) NOT NULL,
    locked_by  varchar(255) NOT NULL
);

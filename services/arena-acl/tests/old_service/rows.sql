-- Some thousand rows as the old service left them, odd ones among them. Participants and what became of them:
-- 1–2000 HANDLED · 2001–2100 RETRY, ten of them twice · 2101–2150 WAITING for course 3041 · 2151–2160 FAILED · 2161–2180 NEW ·
-- 2181–2200 IGNORED · 2201–2205 INVALID · 2206–2230 EXTERNAL_SOURCE · 2231–2235 RETRY without images

INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid, id)
SELECT n, 'INDOPPFAG', n <> 3041, ('a1000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid FROM generate_series(3001, 3041) n;

CREATE FUNCTION pg_temp.image(n int, external_id text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'TILTAKDELTAKER_ID', n, 'PERSON_ID', 5000000 + n,
        'TILTAKGJENNOMFORING_ID', CASE WHEN n BETWEEN 2101 AND 2150 THEN 3041 ELSE 3001 + n % 40 END,
        'DELTAKERSTATUSKODE', 'GJENN', 'DELTAKERTYPEKODE', 'INNSOKT', 'AARSAKVERDIKODE_STATUS', null,
        'REG_DATO', '2025-02-20 08:00:00', 'MOD_DATO', '2025-03-01 09:15:00', 'DATO_FRA', '2025-04-01 00:00:00', 'DATO_TIL', null,
        'DATO_STATUSENDRING', '2025-03-01 09:15:00', 'PROSENT_DELTID', 80, 'ANTALL_DAGER_PR_UKE', 2.5,
        'BEGRUNNELSE_BESTILLING', 'old ' || n, 'EKSTERN_ID', external_id)
$$;

INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status,
    ingested_timestamp, ingest_attempts, before, after)
SELECT 'SIAMO.TILTAKGJENNOMFORING', n, 'CREATED', lpad((40000 + n)::text, 20, '0'), timestamp '2025-03-10 11:00', 'HANDLED',
    timestamp '2025-03-10 12:00', 0,
    NULL::jsonb, jsonb_build_object('TILTAKGJENNOMFORING_ID', n, 'TILTAKSKODE', 'INDOPPFAG')
FROM generate_series(3001, 3041) n
UNION ALL
SELECT 'SIAMO.TILTAKDELTAKER', n, 'CREATED', lpad(n::text, 20, '0'), '2025-03-10 11:00',
    CASE WHEN n <= 2000 THEN 'HANDLED' WHEN n <= 2100 THEN 'RETRY' WHEN n <= 2150 THEN 'WAITING' WHEN n <= 2160 THEN 'FAILED'
        WHEN n <= 2180 THEN 'NEW' WHEN n <= 2200 THEN 'IGNORED' WHEN n <= 2205 THEN 'INVALID'
        WHEN n <= 2230 THEN 'EXTERNAL_SOURCE' ELSE 'RETRY' END,
    '2025-03-10 12:00', CASE WHEN n BETWEEN 2151 AND 2160 THEN 10 WHEN n BETWEEN 2001 AND 2100 THEN 3 ELSE 0 END, NULL,
    CASE WHEN n BETWEEN 2181 AND 2200 OR n > 2230 THEN NULL
        WHEN n BETWEEN 2206 AND 2230 THEN pg_temp.image(n, 'a3000000-0000-4000-8000-000000000001')
        ELSE pg_temp.image(n, CASE WHEN n = 2091 THEN '' WHEN n = 2092 THEN '   ' END) END
FROM generate_series(1, 2235) n
UNION ALL
SELECT 'SIAMO.TILTAKDELTAKER', n, 'MODIFIED', lpad((10000 + n)::text, 20, '0'), '2025-03-10 11:30',
    CASE WHEN n <= 1000 THEN 'HANDLED' ELSE 'RETRY' END, '2025-03-10 12:00', 0, pg_temp.image(n, NULL), pg_temp.image(n, NULL)
FROM generate_series(1, 2010) n WHERE n <= 1000 OR n > 2000
UNION ALL -- what waits for its third run, and what was historised
SELECT 'SIAMO.TILTAKDELTAKER', n, 'DELETED', lpad((30000 + n)::text, 20, '0'), '2025-03-10 11:45', 'RETRY', '2025-03-10 12:00', 0,
    pg_temp.image(n, NULL), NULL
FROM unnest('{12,1901}'::int[]) n
UNION ALL -- positions that are no numbers
SELECT 'SIAMO.TILTAKDELTAKER', 11, 'MODIFIED', pos, '2025-03-10 11:50', status, NULL, 1, NULL, pg_temp.image(11, NULL)
FROM (VALUES ('x-1', 'RETRY'), ('x-2', 'FAILED'), ('', 'WAITING'), ('x-3', 'HANDLED')) AS odd (pos, status)
UNION ALL
SELECT 'SIAMO.HIST_TILTAKDELTAKER', 9000 + n, 'CREATED', lpad((9000 + n)::text, 20, '0'), '2025-03-10 11:00', 'HANDLED',
    '2025-03-10 12:00', 0, NULL, jsonb_build_object('HIST_TILTAKDELTAKER_ID', 9000 + n)
FROM generate_series(1901, 1950) n;

INSERT INTO arena_data_id_translation
SELECT ('a2000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'SIAMO.TILTAKDELTAKER', n FROM generate_series(1, 2000) n
UNION ALL -- older names
SELECT ('a1000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'SIAMO.TILTAKGJENNOMFORING', n FROM generate_series(3001, 3041) n
UNION ALL
SELECT ('a4000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'SIAMO.SAK', n FROM generate_series(1, 40) n;

INSERT INTO arena_data_hist_id_translation
SELECT ('a2000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 9000 + n, n FROM generate_series(1901, 1950) n;

-- instants: winter, summer, the hour after the gap of spring, both of the hour that autumn has twice
INSERT INTO deltaker (id, arena_id, person_id, gjennomforing_id, dato_fra, dato_til, reg_dato, mod_dato, status, dato_statusendring,
    arena_source_table)
SELECT gen_random_uuid(), n, 5000000 + n, 3001 + n % 40, '2025-04-01', NULL, at, at, 'GJENN', CASE WHEN n % 7 > 0 THEN at END,
    'SIAMO.TILTAKDELTAKER'
FROM (SELECT n, ('{2025-02-20 07:00+00,2025-07-01 07:15+00,2025-03-30 01:30+00,2025-10-26 00:30+00,2025-10-26 01:30+00}'
        ::timestamptz[])[n % 5 + 1] AS at
    FROM generate_series(1, 2000) n) AS row;

INSERT INTO shedlock VALUES ('leader-election', '2025-03-10 12:10', '2025-03-10 12:00', 'amt-arena-acl-7d9c');

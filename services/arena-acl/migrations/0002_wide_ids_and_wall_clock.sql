-- Ids of 64 bits (IMP-11), and Arena's wall-clock times without zone (IMP-15). The old service wrote them in the zone of Oslo.

ALTER TABLE arena_data ALTER COLUMN id TYPE bigint;
ALTER SEQUENCE arena_data_id_seq AS bigint;

ALTER TABLE deltaker
    ALTER COLUMN arena_id TYPE bigint,
    ALTER COLUMN person_id TYPE bigint,
    ALTER COLUMN gjennomforing_id TYPE bigint,
    ALTER COLUMN reg_dato TYPE timestamp USING reg_dato AT TIME ZONE 'Europe/Oslo',
    ALTER COLUMN mod_dato TYPE timestamp USING mod_dato AT TIME ZONE 'Europe/Oslo',
    ALTER COLUMN dato_statusendring TYPE timestamp USING dato_statusendring AT TIME ZONE 'Europe/Oslo';

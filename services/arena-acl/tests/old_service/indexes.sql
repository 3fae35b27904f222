-- The indexes of the old service beside those of its keys.
CREATE UNIQUE INDEX arena_data_table_operation_type_operation_pos_idx
    ON arena_data (arena_table_name, operation_type, operation_pos);
CREATE INDEX arena_data_table_name_arena_id_idx ON arena_data (arena_id, arena_table_name);
CREATE INDEX arena_data_name_type_status_idx ON arena_data (arena_table_name, operation_type, ingest_status);
CREATE UNIQUE INDEX arena_data_id_translation_arena_table_name_arena_id_idx
    ON arena_data_id_translation (arena_table_name, arena_id);
CREATE UNIQUE INDEX arena_data_hist_id_translation_arena_hist_id_idx ON arena_data_hist_id_translation (arena_hist_id);

-- What counts for a change of an object (4.12): what is not older than it, and what is unhandled. What was handled before it is ever more, and
-- is not even looked at.
CREATE INDEX arena_data_object_idx
    ON arena_data (arena_id, arena_table_name, (lpad(operation_pos, 20, '0')) COLLATE "C");
-- A condition of its own: of several indexes with one condition a planner that was never told of the rows may take the wrong one.
CREATE INDEX arena_data_unhandled_object_idx
    ON arena_data (arena_id, arena_table_name) WHERE ingest_status <> 'HANDLED';

-- Its columns are the first of the new one.
DROP INDEX arena_data_table_name_arena_id_idx;

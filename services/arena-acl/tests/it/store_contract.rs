//! What the ports of the store promise, for both stores.

mod audit;
mod census;
mod chronicle;
mod history;
mod inbox;
mod leader;
mod letters;
mod operations;
mod outbox;
mod pages;
mod wake;

use arena_acl::memory::Memory;

use self::{
    audit::*, census::*, chronicle::*, history::*, inbox::*, leader::*, letters::*, operations::*, outbox::*, pages::*,
    wake::*,
};
use crate::store::Live;

testkit::contract! {
    [
        applying_twice_is_applying_once,
        a_refused_item_leaves_nothing_of_its_batch,
        what_decide_leaves_alone_stays_as_it_was,
        a_stored_change_keeps_its_images_its_attempts_and_its_arrival,
        a_failed_attempt_counts_and_leaves_the_time_of_ingestion,
        ignored_changes_keep_no_images,
        what_was_ignored_gets_its_images_when_it_is_wanted_after_all,
        a_release_touches_only_what_waits_for_the_course,
        a_course_keeps_its_uuid_when_its_row_changes,
        several_participants_may_name_one_course,
        a_participant_keeps_its_first_uuid,
        the_last_known_row_is_replaced_and_misregistered,
        what_is_held_is_what_was_written,
        an_external_id_has_one_owner,
        a_translation_prefers_the_participant,
        a_history_row_finds_the_participations_of_its_person_and_course,
        a_participation_keeps_its_first_history_id,
        a_history_id_of_another_participation_is_refused,
        an_external_id_that_another_history_row_took_at_once_is_refused,
        purging_deletes_what_was_ignored_and_nothing_else,
        the_newest_change_of_each_object_is_requeued,
        the_newest_by_arrival_may_be_another,
        what_was_handled_out_of_order_is_told_and_mended,
        a_measure_is_loaded_again_from_its_newest_handled_or_new_changes,
        pages_go_by_numeric_position_then_arrival,
        a_page_edge_between_equal_positions_loses_nothing,
        a_page_holds_one_table_and_one_status,
        messages_of_a_key_are_due_one_at_a_time_in_order,
        a_limit_counts_keys_not_messages,
        the_keys_are_walked_in_one_order_whatever_runs_they_have,
        what_is_published_is_no_longer_unpublished,
        a_message_names_the_row_that_caused_it,
        a_published_message_loses_its_payload_and_publishing_twice_changes_nothing,
        a_published_message_is_forgotten_after_a_week,
        a_tombstone_is_due_without_payload,
        added_messages_are_heard_of,
        a_turn_can_be_given_back_and_taken_again,
        a_message_keeps_the_trace_that_caused_it,
        what_is_open_is_counted_with_its_oldest,
        what_is_finished_is_counted_by_table_and_status,
        a_dead_letter_is_kept_once_and_unchanged,
        what_is_due_goes_by_its_time_then_position_then_arrival,
        a_page_of_what_is_due_holds_one_table_and_nothing_that_is_not_due,
        a_release_wakes_what_is_in_retry_and_keeps_its_attempts,
        a_participant_that_is_woken_is_due_at_once,
        what_is_written_again_is_due_as_that_says,
        a_wake_up_that_came_too_early_leaves_attempts_and_times,
        what_is_woken_is_heard_of,
        one_process_at_a_time_holds_the_row_of_the_leader,
        a_term_can_be_extended_until_it_ends,
        a_row_that_is_given_back_is_held_for_its_least_time,
        a_row_of_another_is_left_alone,
        quarantined_records_and_dead_rows_are_one_list,
        a_page_of_letters_goes_on_where_the_last_one_ended,
        letters_are_found_by_id_reason_source_and_time,
        the_bytes_come_unchanged_or_as_a_record_that_says_the_same,
        a_requeued_row_begins_anew_and_its_replays_are_counted,
        a_resolved_record_is_no_letter_any_more_and_a_failed_replay_is_counted,
        what_is_dropped_blocks_nothing_says_why_and_comes_back_only_when_it_fails,
        an_object_has_its_last_changes_and_its_oldest_unhandled_ones,
        a_change_is_told_with_all_that_became_of_it,
        ids_lead_from_an_object_to_its_uuid_and_back,
        a_last_known_row_is_told_without_its_person,
        courses_are_found_by_id_and_uuid_with_what_waits_for_them,
        messages_of_a_key_are_told_published_or_not,
        objects_come_page_by_page_with_the_order_of_their_changes,
        a_participant_comes_with_its_newest_change_that_counts_and_what_is_kept,
        what_waits_comes_by_numeric_position,
        messages_that_wait_for_long_are_told,
        windows_go_over_every_change_once,
        only_what_is_as_it_was_seen_is_queued,
    ]
    memory: Memory::default();
    #[ignore = "needs Postgres: ./dev test"] postgres(database = testkit::servers::postgres().await): Live::over(&database).await;
}

//! One list of promises, run for both.

use search::Memory;

use crate::{aliases::*, indices::*, queries::*, reindexing::*, writes::*};

testkit::contract! {
    [
        an_index_is_created_once,
        a_deleted_index_is_gone_and_deleting_it_again_is_fine,
        no_index_is_deleted_through_an_alias,
        indices_are_listed_by_name_pattern_and_alias,
        an_index_that_is_not_there_is_named_by_every_request,
        a_copy_of_an_index_holds_its_documents_and_takes_writes,
        an_index_is_copied_under_a_free_name_only,
        an_index_that_takes_writes_is_not_copied,
        an_index_that_is_there_is_healthy,
        every_line_of_a_bulk_has_its_own_outcome,
        a_bulk_takes_effect_line_by_line,
        a_replacement_is_for_one_version_only,
        a_deletion_is_for_one_version_or_for_any,
        writes_go_to_an_index_by_its_own_name,
        a_write_block_puts_every_line_off_until_it_is_lifted,
        what_is_written_can_be_got_at_once_and_found_after_a_refresh,
        an_alias_shows_what_its_filter_says,
        aliases_move_in_one_call,
        a_refused_call_moves_no_alias,
        an_alias_takes_the_name_of_an_index_that_goes_in_the_same_call,
        an_alias_cannot_have_the_name_of_an_index,
        an_alias_has_one_write_index,
        an_alias_that_is_not_there_is_removed_already,
        exact_values_are_found,
        words_are_found_in_any_case,
        a_term_on_text_is_a_word_of_it,
        presence_and_absence_are_found,
        dates_and_numbers_below_a_limit_are_found,
        two_fields_that_differ_are_found,
        an_entry_of_a_nested_list_is_found,
        conditions_combine,
        a_field_that_is_not_mapped_finds_nothing,
        pages_go_through_all_hits_in_order,
        pages_go_through_documents_without_the_field,
        a_reindex_copies_what_was_asked_under_the_same_ids,
        a_reindex_reads_through_the_filter_of_an_alias,
        a_repeated_reindex_changes_nothing,
        a_reindex_that_is_refused_has_failed,
    ]
    memory: Memory::default();
    #[ignore = "needs OpenSearch: ./dev test"] opensearch: crate::world::opensearch().await;
}

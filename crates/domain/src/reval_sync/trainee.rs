//! Trainees: the extract of a run (4.2) and single updates (5.3).

use chrono::NaiveDate;

use super::{Document, GmcNumber, Refused, Slot, Slots, Text, Tis, body, number};

/// What a trainee message says (2.4), but for its end marker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trainee {
    /// `gmcReferenceNumber` as received.
    pub number: Option<Text>,
    /// Forenames.
    pub first_name: Option<Text>,
    /// Surname.
    pub last_name: Option<Text>,
    /// What the training system owns, the person id among it.
    pub tis: Tis,
    /// `designatedBody`; today's sender has none.
    pub body: Option<Text>,
    /// `submissionDate`; ignored in the extract (R-TCS-1).
    pub submission: Option<NaiveDate>,
}

/// Applies one trainee of the extract (R-TCS-1…10). Twice is the same as once.
///
/// # Errors
/// Without usable number and person id nothing tells whom it is about (R-TCS-4).
pub fn extract(slots: &mut Slots, trainee: &Trainee) -> Result<(), Refused> {
    let number = GmcNumber::usable(trainee.number.as_deref());
    let candidates = match (&number, trainee.tis.person) {
        (Some(number), Some(person)) => known_by_both(slots, number, person),
        (None, Some(person)) => slots.of_person(person),
        (Some(number), None) => slots.of_number(number),
        (None, None) => return Err(Refused("no_identity")),
    };
    if candidates.is_empty() {
        insert(slots, trainee, number.as_ref());
    }
    for slot in candidates {
        slots.change(slot, |document| merge(document, trainee, number.is_some()));
    }
    if let (Some(number), Some(person)) = (&number, trainee.tis.person) {
        for slot in others_of(slots, person, number) {
            detach(slots, slot);
            if slots.get(slot).is_some_and(|document| !document.is_known_to_gmc()) {
                slots.remove(slot);
            }
        }
    }
    Ok(())
}

/// Applies one trainee update (R-CDC-6…10). Twice is the same as once.
///
/// # Errors
/// Without person id (R-CDC-10).
pub fn update(slots: &mut Slots, trainee: &Trainee) -> Result<(), Refused> {
    let person = trainee.tis.person.ok_or(Refused("no_person"))?;
    let Some(number) = GmcNumber::usable(trainee.number.as_deref()) else {
        // the person no longer qualifies; its documents stay (R-CDC-8)
        slots.of_person(person).into_iter().for_each(|slot| detach(slots, slot));
        return Ok(());
    };
    let of_number = slots.of_number(&number);
    let own: Vec<Slot> = of_number.iter().copied().filter(|slot| is_of(slots, *slot, person)).collect();
    let candidates = match (own.is_empty(), of_number.is_empty()) {
        (false, _) => own,
        (true, false) => of_number,
        (true, true) => vec![slots.insert(Document::default())],
    };
    for slot in candidates {
        slots.change(slot, |document| replace(document, trainee));
    }
    for slot in others_of(slots, person, &number) {
        detach(slots, slot);
    }
    Ok(())
}

/// R-TCS-2 with both: documents of both; else one that has the number and no person; else those of the person that have no usable number.
fn known_by_both(slots: &Slots, number: &GmcNumber, person: i64) -> Vec<Slot> {
    let of_number = slots.of_number(number);
    let both: Vec<Slot> = of_number.iter().copied().filter(|slot| is_of(slots, *slot, person)).collect();
    if !both.is_empty() {
        return both;
    }
    let nobody = |slot: &Slot| slots.get(*slot).is_some_and(|document| document.tis.person.is_none());
    if let Some(slot) = of_number.into_iter().find(nobody) {
        return vec![slot];
    }
    let unnumbered = |slot: &Slot| slots.get(*slot).is_some_and(|document| document.usable_number().is_none());
    slots.of_person(person).into_iter().filter(unnumbered).collect()
}

fn is_of(slots: &Slots, slot: Slot, person: i64) -> bool {
    slots.get(slot).is_some_and(|document| document.tis.person == Some(person))
}

/// The other documents of the person: those with a different, an absent or an unusable number.
fn others_of(slots: &Slots, person: i64, number: &GmcNumber) -> Vec<Slot> {
    let other =
        |slot: &Slot| slots.get(*slot).is_some_and(|document| document.usable_number().as_ref() != Some(number));
    slots.of_person(person).into_iter().filter(other).collect()
}

fn detach(slots: &mut Slots, slot: Slot) {
    slots.change(slot, |document| document.tis = Tis::default());
}

/// A new document. What is known about its number, whoever has it, holds for it too (R-TCS-10).
fn insert(slots: &mut Slots, trainee: &Trainee, number: Option<&GmcNumber>) {
    let facts = number.and_then(|number| {
        let known = |slot: &Slot| slots.get(*slot).is_some_and(Document::is_known_to_gmc);
        let slot = slots.of_number(number).into_iter().find(known)?;
        let Document { first_name, last_name, gmc, updated_by, last_connection, hidden, .. } = slots.get(slot)?.clone();
        Some(Document { first_name, last_name, gmc, updated_by, last_connection, hidden, ..Document::default() })
    });
    let mut document = facts.unwrap_or_default();
    merge(&mut document, trainee, number.is_some());
    slots.insert(document);
}

/// R-TCS-3 and R-TCS-7: what is said replaces what is stored, but facts of the GMC are never replaced by the training system's view of them.
fn merge(document: &mut Document, trainee: &Trainee, usable: bool) {
    let known_to_gmc = document.is_known_to_gmc();
    let number = trainee.number.as_deref().and_then(number::stored);
    let replaces_number = if known_to_gmc { document.usable_number().is_none() } else { true };
    if (usable && replaces_number) || document.number.is_none() {
        set(&mut document.number, number.map(Text::from).as_ref());
    }
    for (stored, said) in
        [(&mut document.first_name, &trainee.first_name), (&mut document.last_name, &trainee.last_name)]
    {
        if !known_to_gmc || stored.is_none() {
            set(stored, said.as_ref());
        }
    }
    if !known_to_gmc {
        set(&mut document.gmc.body, body(trainee.body.clone()).as_ref());
    }
    let Tis { person, programme, membership, owner, body: tis_body, start, end, curriculum_end, grade } = &trainee.tis;
    let tis = &mut document.tis;
    set(&mut tis.person, person.as_ref());
    set(&mut tis.programme, programme.as_ref());
    set(&mut tis.membership, membership.as_ref());
    set(&mut tis.owner, owner.as_ref());
    set(&mut tis.body, body(tis_body.clone()).as_ref());
    set(&mut tis.start, start.as_ref());
    set(&mut tis.end, end.as_ref());
    set(&mut tis.curriculum_end, curriculum_end.as_ref());
    set(&mut tis.grade, grade.as_ref());
}

/// R-CDC-7: what the training system owns is set also to null, the rest where it is said.
fn replace(document: &mut Document, trainee: &Trainee) {
    set(&mut document.number, trainee.number.as_deref().and_then(number::stored).map(Text::from).as_ref());
    set(&mut document.first_name, trainee.first_name.as_ref());
    set(&mut document.last_name, trainee.last_name.as_ref());
    set(&mut document.gmc.submission, trainee.submission.as_ref());
    set(&mut document.gmc.body, body(trainee.body.clone()).as_ref());
    document.tis = Tis { body: body(trainee.tis.body.clone()), ..trainee.tis.clone() };
}

fn set<T: Clone>(stored: &mut Option<T>, said: Option<&T>) {
    if let Some(said) = said {
        *stored = Some(said.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reval_sync::{Gmc, doctor, hidden};

    const NUMBER: &str = "7012345";

    fn trainee(number: impl Into<Option<&'static str>>, person: impl Into<Option<i64>>) -> Trainee {
        let tis = Tis { person: person.into(), programme: Some("Core Surgical Training".into()), ..Tis::default() };
        Trainee { number: number.into().map(Text::from), last_name: Some("Tisname".into()), tis, ..Trainee::default() }
    }

    fn known_to_gmc(slots: &mut Slots, number: &str) {
        let gmc = Gmc { body: Some("1-1RSSQ05".into()), ..Gmc::default() };
        let last_name = Some("Gmcname".into());
        let summary = doctor::Summary { number: Some(number.into()), last_name, gmc, ..doctor::Summary::default() };
        doctor::apply(slots, &summary, doctor::Outcome::Told).unwrap();
    }

    type Seen<'s> = (Option<&'s str>, Option<i64>, Option<&'s str>, Option<&'s str>);

    /// Number, person, surname and body of each document.
    fn seen(slots: &Slots) -> Vec<Seen<'_>> {
        fn of(document: &Document) -> Seen<'_> {
            let Document { number, last_name, tis, gmc, .. } = document;
            (number.as_deref(), tis.person, last_name.as_deref(), gmc.body.as_deref())
        }
        slots.iter().map(of).collect()
    }

    #[test]
    fn a_document_of_the_gmc_alone_is_adopted_and_keeps_its_facts() {
        let mut slots = Slots::default();
        known_to_gmc(&mut slots, NUMBER);
        extract(&mut slots, &Trainee { body: Some("1-OTHER".into()), ..trainee(NUMBER, 1) }).unwrap();
        assert_eq!(seen(&slots), [(Some(NUMBER), Some(1), Some("Gmcname"), Some("1-1RSSQ05"))]);
    }

    #[test]
    fn a_second_person_of_a_number_gets_the_facts_about_the_number() {
        let mut slots = Slots::default();
        extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
        known_to_gmc(&mut slots, NUMBER);
        let entry = hidden::Hidden { number: Some(NUMBER.into()), ..hidden::Hidden::default() };
        hidden::add(&mut slots, &entry).unwrap();
        extract(&mut slots, &trainee(NUMBER, 2)).unwrap();
        let facts = (Some("Gmcname"), Some("1-1RSSQ05"));
        assert_eq!(
            seen(&slots),
            [(Some(NUMBER), Some(1), facts.0, facts.1), (Some(NUMBER), Some(2), facts.0, facts.1)]
        );
        assert!(slots.iter().all(|document| document.hidden.len() == 1));
    }

    #[test]
    fn a_person_whose_number_changed_leaves_no_document_behind_that_only_it_had() {
        let mut slots = Slots::default();
        extract(&mut slots, &trainee("7000001", 1)).unwrap();
        extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
        assert_eq!(seen(&slots), [(Some(NUMBER), Some(1), Some("Tisname"), None)]);
    }

    #[test]
    fn a_person_whose_number_changed_leaves_the_doctor_of_the_old_number() {
        let mut slots = Slots::default();
        known_to_gmc(&mut slots, "7000001");
        extract(&mut slots, &trainee("7000001", 1)).unwrap();
        extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
        assert_eq!(
            seen(&slots),
            [
                (Some("7000001"), None, Some("Gmcname"), Some("1-1RSSQ05")),
                (Some(NUMBER), Some(1), Some("Tisname"), None)
            ]
        );
    }

    #[test]
    fn a_number_takes_the_place_of_none_and_of_an_unusable_one_but_not_the_other_way_round() {
        for unusable in [None, Some("UNKNOWN"), Some(" ")] {
            let mut slots = Slots::default();
            extract(&mut slots, &trainee(unusable, 1)).unwrap();
            extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
            extract(&mut slots, &trainee(unusable, 1)).unwrap();
            assert_eq!(seen(&slots), [(Some(NUMBER), Some(1), Some("Tisname"), None)], "{unusable:?}");
        }
    }

    #[test]
    fn what_is_not_said_in_the_extract_stays() {
        let mut slots = Slots::default();
        extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
        let bare = Trainee { tis: Tis { person: Some(1), ..Tis::default() }, last_name: None, ..trainee(NUMBER, 1) };
        extract(&mut slots, &bare).unwrap();
        assert_eq!(slots.iter().next().unwrap().tis.programme.as_deref(), Some("Core Surgical Training"));
    }

    #[test]
    fn without_number_and_person_it_is_refused() {
        for number in [None, Some("n/a")] {
            let mut slots = Slots::default();
            assert_eq!(extract(&mut slots, &trainee(number, None)), Err(Refused("no_identity")));
            assert_eq!(update(&mut slots, &trainee(number, None)), Err(Refused("no_person")));
            assert_eq!(slots.iter().count(), 0);
        }
    }

    #[test]
    fn an_update_takes_a_number_over_from_whoever_had_it() {
        let mut slots = Slots::default();
        extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
        extract(&mut slots, &trainee(NUMBER, 2)).unwrap();
        update(&mut slots, &trainee(NUMBER, 3)).unwrap();
        let persons: Vec<_> = slots.iter().map(|document| document.tis.person).collect();
        assert_eq!(persons, [Some(3), Some(3)]);
    }

    #[test]
    fn an_update_without_usable_number_detaches_and_removes_nothing() {
        for number in [None, Some("UNKNOWN")] {
            let mut slots = Slots::default();
            extract(&mut slots, &trainee(NUMBER, 1)).unwrap();
            update(&mut slots, &trainee(number, 1)).unwrap();
            assert_eq!(seen(&slots), [(Some(NUMBER), None, Some("Tisname"), None)]);
            assert_eq!(slots.iter().next().unwrap().tis, Tis::default());
        }
    }

    #[test]
    fn an_update_of_another_number_detaches_the_old_document() {
        let mut slots = Slots::default();
        extract(&mut slots, &trainee("7000001", 1)).unwrap();
        update(&mut slots, &trainee(NUMBER, 1)).unwrap();
        let persons: Vec<_> = slots.iter().map(|document| document.tis.person).collect();
        assert_eq!(persons, [None, Some(1)]);
    }
}

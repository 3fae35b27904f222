//! Doctors as the GMC knows them: the stage of a run (4.3) and doctor events (R-CDC-2).

use super::{Document, Gmc, GmcNumber, Refused, Slots, Text, body, number};

/// What is said of one doctor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// `gmcReferenceNumber`, or the key of the document.
    pub number: Option<Text>,
    /// Forenames.
    pub first_name: Option<Text>,
    /// Surname.
    pub last_name: Option<Text>,
    /// The facts; the outcome among them is used by the stage only.
    pub gmc: Gmc,
}

/// What a summary says of the outcome of the doctor's recommendation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the summary: the stage of a run.
    Told,
    /// Nothing: a doctor event, which leaves `gmcStatus` as it is.
    NotTold,
}

/// Applies one doctor to every document with that number, or as a new one (R-GMC-1…5, R-CDC-2). Twice is the same as once.
///
/// # Errors
/// Without usable number (R-GMC-5).
pub fn apply(slots: &mut Slots, summary: &Summary, outcome: Outcome) -> Result<(), Refused> {
    let number = GmcNumber::usable(summary.number.as_deref()).ok_or(Refused("no_number"))?;
    let mut known = slots.of_number(&number);
    if known.is_empty() {
        let number = summary.number.as_deref().and_then(number::stored).map(Text::from);
        known.push(slots.insert(Document { number, ..Document::default() }));
    }
    for slot in known {
        slots.change(slot, |document| {
            // a partial record of a new connection has no names (R-GMC-4)
            for (stored, said) in
                [(&mut document.first_name, &summary.first_name), (&mut document.last_name, &summary.last_name)]
            {
                if said.is_some() {
                    stored.clone_from(said);
                }
            }
            let outcome = match outcome {
                Outcome::Told => summary.gmc.outcome.clone(),
                Outcome::NotTold => document.gmc.outcome.take(),
            };
            document.gmc = Gmc { body: body(summary.gmc.body.clone()), outcome, ..summary.gmc.clone() };
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(number: &str, name: Option<&str>, outcome: Option<&str>) -> Summary {
        let gmc = Gmc { outcome: outcome.map(Text::from), body: Some(" ".into()), ..Gmc::default() };
        Summary { number: Some(number.into()), last_name: name.map(Text::from), gmc, ..Summary::default() }
    }

    #[test]
    fn every_document_of_the_number_is_overwritten_also_with_nothing_but_for_names() {
        let mut slots = Slots::default();
        for person in [1, 2] {
            let tis = super::super::Tis { person: Some(person), ..Default::default() };
            let gmc = Gmc { admin: Some("ro.admin@example.org".into()), ..Gmc::default() };
            slots.load(Document {
                number: Some("7012345".into()),
                last_name: Some("Okafor".into()),
                tis,
                gmc,
                ..Document::default()
            });
        }
        apply(&mut slots, &summary(" 7012345", None, Some("Approved")), Outcome::Told).unwrap();
        for document in slots.iter() {
            assert_eq!(document.gmc, Gmc { outcome: Some("Approved".into()), ..Gmc::default() });
            assert_eq!(document.last_name.as_deref(), Some("Okafor"));
        }
    }

    #[test]
    fn an_event_leaves_the_outcome_as_it_is() {
        let mut slots = Slots::default();
        apply(&mut slots, &summary("7012345", Some("Okafor"), Some("Rejected")), Outcome::Told).unwrap();
        apply(&mut slots, &summary("7012345", None, Some("Approved")), Outcome::NotTold).unwrap();
        assert_eq!(slots.iter().next().unwrap().gmc.outcome.as_deref(), Some("Rejected"));
    }

    #[test]
    fn without_usable_number_it_is_refused() {
        for number in ["", "UNKNOWN"] {
            assert_eq!(
                apply(&mut Slots::default(), &summary(number, None, None), Outcome::Told),
                Err(Refused("no_number"))
            );
        }
    }
}

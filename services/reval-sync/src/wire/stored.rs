//! Doctors, recommendations, logs and hidden discrepancies: as items of an export, as documents of a store, as documents of an event.

use chrono::NaiveDateTime;
use domain::reval_sync::{
    Gmc, Text,
    connection::{self, Log},
    doctor::{self, Summary},
    hidden::Hidden,
    recommendation::{Outcome, Recommendation},
    run::Stage,
};
use serde_json::{Map, Value, json};

use super::{
    Change, Unreadable,
    fields::{self, Fields},
};

/// What an item of a stage's export does.
pub(super) fn item(stage: Stage, body: &[u8]) -> Result<Change, Unreadable> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Unreadable::json(&error))?;
    let change = match stage {
        Stage::Tcs => return Err(Unreadable::new("wrong_type", "trainees come one by one")),
        Stage::Gmc => {
            let fields = Fields::of(&value)?;
            let none = Value::Object(Map::new());
            let mut summary = summary(Fields::of(fields.get("doctor").unwrap_or(&none))?)?;
            summary.gmc.outcome = fields.text("gmcOutcome")?;
            Change::Doctor(Box::new(summary), doctor::Outcome::Told)
        }
        Stage::ConnectionLogs => Change::Connection(log(Fields::of(&value)?, "eventDateTime")?),
        Stage::HiddenDiscrepancies => {
            let fields = Fields::of(&value)?;
            Change::Hide(Box::new(hidden(fields, key(fields, "id").or_else(|| key(fields, "_id")))?))
        }
    };
    change.check()?;
    Ok(change)
}

/// A document of `doctorsForDB`, read from the store: without `existsInGmc` it counts as existing, with null it does not (R-GMC-7).
///
/// # Errors
/// It can never be read.
pub fn doctor(value: &Value) -> Result<Summary, Unreadable> {
    let fields = Fields::of(value)?;
    let mut summary = summary(fields)?;
    if !fields.has("existsInGmc") {
        summary.gmc.exists = Some(true);
    }
    Ok(summary)
}

/// The item of an export for a doctor and the label of the outcome; null values are left out (R-EXP-2).
#[must_use]
pub fn summary_item(value: &Value, summary: &Summary, outcome: Option<Outcome>) -> Value {
    let text = |name: &str| value.get(name).and_then(fields::text).map(|text| json!(text));
    let date = |name: &str| value.get(name).and_then(super::dates::date).map(|date| json!(date));
    let gmc = &summary.gmc;
    let members = [
        ("gmcReferenceNumber", summary.number.as_ref().map(|text| json!(text))),
        ("doctorFirstName", summary.first_name.as_ref().map(|text| json!(text))),
        ("doctorLastName", summary.last_name.as_ref().map(|text| json!(text))),
        ("submissionDate", gmc.submission.map(|date| json!(date))),
        ("dateAdded", date("dateAdded")),
        ("underNotice", gmc.under_notice.as_ref().map(|text| json!(text))),
        ("sanction", text("sanction")),
        ("doctorStatus", gmc.tis_status.as_ref().map(|text| json!(text))),
        ("lastUpdatedDate", gmc.last_updated.map(|date| json!(date))),
        ("designatedBodyCode", gmc.body.as_ref().map(|text| json!(text))),
        ("admin", gmc.admin.as_ref().map(|text| json!(text))),
        ("existsInGmc", gmc.exists.map(|flag| json!(flag))),
    ];
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut item = Map::from_iter([("doctor".to_owned(), Value::Object(members.collect()))]);
    if let Some(outcome) = outcome {
        item.insert("gmcOutcome".to_owned(), outcome.label().into());
    }
    Value::Object(item)
}

/// The doctor's number and the recommendation; `None` for one without number. An outcome that is not known is none (12.3).
///
/// # Errors
/// It can never be read.
pub fn recommendation(value: &Value) -> Result<Option<(Text, Recommendation)>, Unreadable> {
    let fields = Fields::of(value)?;
    let Some(number) = fields.text("gmcNumber")?.filter(|number| !number.trim().is_empty()) else { return Ok(None) };
    let recommendation = Recommendation {
        id: key(fields, "_id").unwrap_or_default(),
        gmc_submission: fields.date("gmcSubmissionDate")?,
        actual_submission: fields.date("actualSubmissionDate")?,
        outcome: fields.text("outcome")?.as_deref().and_then(Outcome::named),
    };
    Ok(Some((number, recommendation)))
}

/// A document of `connectionLogs` with its key; `None` for one that does not count (R-CON-2): its response code is there and not `0`.
///
/// # Errors
/// It can never be read.
pub fn connection_log(value: &Value) -> Result<Option<(Text, Log)>, Unreadable> {
    let fields = Fields::of(value)?;
    let code = fields.text("responseCode")?;
    // absent counts, null does not
    if (fields.has("responseCode") && code.is_none()) || !connection::counts(code.as_deref()) {
        return Ok(None);
    }
    let log = log(fields, "requestTime")?;
    Change::Connection(log.clone()).check()?;
    Ok(Some((key(fields, "_id").unwrap_or_default(), log)))
}

/// A document of `hiddenDiscrepancy`.
///
/// # Errors
/// It can never be read.
pub fn hidden_discrepancy(value: &Value) -> Result<Hidden, Unreadable> {
    let fields = Fields::of(value)?;
    let entry = hidden(fields, key(fields, "_id").or_else(|| key(fields, "id")))?;
    Change::Hide(Box::new(entry.clone())).check()?;
    Ok(entry)
}

/// The number, the time and the message of a document of `exceptionLogs`; `None` for one that says nothing (R-VIEW-7).
#[must_use]
pub fn exception(value: &Value) -> Option<(Text, Option<NaiveDateTime>, Text)> {
    let fields = Fields::of(value).ok()?;
    let number = fields.text("gmcId").ok().flatten().or_else(|| key(fields, "_id"))?;
    let message = fields.text("errorMessage").ok()??;
    (!message.trim().is_empty()).then(|| (number, fields.time("timestamp").ok().flatten(), message))
}

/// The effect of an event's document (5.2).
pub(super) fn of_event(collection: crate::sources::Collection, value: &Value) -> Result<Option<Change>, Unreadable> {
    use crate::sources::Collection;
    let fields = Fields::of(value)?;
    let change = match collection {
        Collection::Doctors => Change::Doctor(Box::new(summary(fields)?), doctor::Outcome::NotTold),
        Collection::Recommendations => {
            let outcome = fields.text("outcome")?;
            let named = outcome.as_deref().map(|name| {
                Outcome::named(name).ok_or_else(|| Unreadable::new("unknown_outcome", "outcome is none of the three"))
            });
            Change::Recommendation {
                number: fields.text("gmcNumber")?,
                admin: fields.text("admin")?,
                outcome: named.transpose()?,
            }
        }
        Collection::ConnectionLogs => {
            let (code, by) = (fields.text("responseCode")?, fields.text("updatedBy")?);
            if !connection::event_counts(code.as_deref(), by.as_deref()) {
                return Ok(None);
            }
            Change::Connection(log(fields, "requestTime")?)
        }
        Collection::HiddenDiscrepancies => Change::Hide(Box::new(hidden(fields, key(fields, "_id"))?)),
        Collection::ExceptionLogs => return Ok(None),
    };
    change.check()?;
    Ok(Some(change))
}

/// A key as text; an object id by its hex digits.
#[must_use]
pub fn key_text(value: &Value) -> Option<Text> {
    match value {
        Value::Object(members) => {
            let inner = ["$oid", "$numberLong", "$numberInt"].into_iter().find_map(|name| members.get(name));
            Some(match inner.and_then(Value::as_str) {
                Some(text) => text.into(),
                None => value.to_string().into(), // a key of several fields
            })
        }
        value => fields::text(value),
    }
}

fn key(fields: Fields<'_>, name: &str) -> Option<Text> {
    fields.get(name).and_then(key_text)
}

fn summary(fields: Fields<'_>) -> Result<Summary, Unreadable> {
    let number = fields.text("gmcReferenceNumber")?;
    Ok(Summary {
        number: number.or_else(|| key(fields, "_id")),
        first_name: fields.text("doctorFirstName")?,
        last_name: fields.text("doctorLastName")?,
        gmc: Gmc {
            body: fields.text("designatedBodyCode")?,
            submission: fields.date("submissionDate")?,
            tis_status: fields.text("doctorStatus")?,
            outcome: None,
            admin: fields.text("admin")?,
            last_updated: fields.date("lastUpdatedDate")?,
            under_notice: fields.text("underNotice")?,
            exists: fields.flag("existsInGmc")?,
        },
    })
}

fn log(fields: Fields<'_>, time: &str) -> Result<Log, Unreadable> {
    Ok(Log { number: fields.text("gmcId")?, updated_by: fields.text("updatedBy")?, time: fields.time(time)? })
}

fn hidden(fields: Fields<'_>, id: Option<Text>) -> Result<Hidden, Unreadable> {
    Ok(Hidden {
        id,
        number: fields.text("gmcId")?,
        for_body: fields.text("hiddenForDesignatedBodyCode")?,
        by: fields.text("hiddenBy")?,
        reason: fields.text("reason")?,
        since: fields.time("hiddenDateTime")?,
    })
}

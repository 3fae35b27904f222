//! Documents as the index has them (3.2).

use std::collections::BTreeMap;

use domain::reval_sync::{Document, Gmc, Text, Tis, hidden::Hidden};
use serde_json::{Map, Value, json};

use super::{Unreadable, dates, fields::Fields};

/// The fields of a master document that the service writes, but for `syncMeta`.
pub const MASTER_FIELDS: [&str; 23] = [
    "tcsPersonId",
    "gmcReferenceNumber",
    "doctorFirstName",
    "doctorLastName",
    "programmeName",
    "membershipType",
    "programmeOwner",
    "tcsDesignatedBody",
    "membershipStartDate",
    "membershipEndDate",
    "curriculumEndDate",
    "placementGrade",
    "submissionDate",
    "lastUpdatedDate",
    "designatedBody",
    "underNotice",
    "tisStatus",
    "gmcStatus",
    "admin",
    "existsInGmc",
    "updatedBy",
    "lastConnectionDateTime",
    "hiddenDiscrepancies",
];

/// What a document remembers of its making (`syncMeta`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The run that made its generation, if one did.
    pub run: Option<String>,
    /// The order token of the last event of each document key that touched it.
    pub tokens: BTreeMap<String, String>,
}

/// Reads a document of the index and what it remembers. By-products of other writers are left out.
///
/// # Errors
/// A field of ours holds what is none.
pub fn from_source(id: &str, source: &Map<String, Value>) -> Result<(Document, Meta), Unreadable> {
    let value = Value::Object(source.clone());
    let fields = Fields::of(&value)?;
    let hidden = match fields.get("hiddenDiscrepancies") {
        Some(Value::Array(entries)) => entries.iter().map(entry).collect::<Result<_, _>>()?,
        Some(one) => vec![entry(one)?],
        None => Vec::new(),
    };
    let document = Document {
        id: Some(id.into()),
        number: fields.text("gmcReferenceNumber")?,
        first_name: fields.text("doctorFirstName")?,
        last_name: fields.text("doctorLastName")?,
        tis: Tis {
            person: fields.whole("tcsPersonId")?,
            programme: fields.text("programmeName")?,
            membership: fields.text("membershipType")?,
            owner: fields.text("programmeOwner")?,
            body: fields.text("tcsDesignatedBody")?,
            start: fields.date("membershipStartDate")?,
            end: fields.date("membershipEndDate")?,
            curriculum_end: fields.date("curriculumEndDate")?,
            grade: fields.text("placementGrade")?,
        },
        gmc: Gmc {
            body: fields.text("designatedBody")?,
            submission: fields.date("submissionDate")?,
            tis_status: fields.text("tisStatus")?,
            outcome: fields.text("gmcStatus")?,
            admin: fields.text("admin")?,
            last_updated: fields.date("lastUpdatedDate")?,
            under_notice: fields.text("underNotice")?,
            exists: fields.flag("existsInGmc")?,
        },
        updated_by: fields.text("updatedBy")?,
        last_connection: fields.time("lastConnectionDateTime")?,
        hidden,
    };
    Ok((document, meta(fields.get("syncMeta"))))
}

fn meta(value: Option<&Value>) -> Meta {
    let Some(value) = value else { return Meta::default() };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let tokens = value.get("tokens").and_then(Value::as_object).into_iter().flatten();
    Meta {
        run: value.get("runId").and_then(text),
        tokens: tokens.filter_map(|(key, token)| Some((key.clone(), text(token)?))).collect(),
    }
}

fn entry(value: &Value) -> Result<Hidden, Unreadable> {
    let fields = Fields::of(value)?;
    Ok(Hidden {
        id: fields.text("id")?,
        number: fields.text("gmcId")?,
        for_body: fields.text("hiddenForDesignatedBodyCode")?,
        by: fields.text("hiddenBy")?,
        reason: fields.text("reason")?,
        since: fields.time("hiddenDateTime")?,
    })
}

/// A document as it is written; what it has not is left out.
#[must_use]
pub fn to_source(document: &Document, meta: &Meta) -> Map<String, Value> {
    let mut source = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            source.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<Text>| text.as_ref().map(|text| json!(text));
    let Document { id: _, number, first_name, last_name, tis, gmc, updated_by, last_connection, hidden } = document;
    put("tcsPersonId", tis.person.map(Into::into));
    put("gmcReferenceNumber", text(number));
    put("doctorFirstName", text(first_name));
    put("doctorLastName", text(last_name));
    put("programmeName", text(&tis.programme));
    put("membershipType", text(&tis.membership));
    put("programmeOwner", text(&tis.owner));
    put("tcsDesignatedBody", text(&tis.body));
    put("membershipStartDate", tis.start.map(|date| json!(date)));
    put("membershipEndDate", tis.end.map(|date| json!(date)));
    put("curriculumEndDate", tis.curriculum_end.map(|date| json!(date)));
    put("placementGrade", text(&tis.grade));
    put("submissionDate", gmc.submission.map(|date| json!(date)));
    put("lastUpdatedDate", gmc.last_updated.map(|date| json!(date)));
    put("designatedBody", text(&gmc.body));
    put("underNotice", text(&gmc.under_notice));
    put("tisStatus", text(&gmc.tis_status));
    put("gmcStatus", text(&gmc.outcome));
    put("admin", text(&gmc.admin));
    put("existsInGmc", gmc.exists.map(Into::into));
    put("updatedBy", text(updated_by));
    put("lastConnectionDateTime", last_connection.map(|at| dates::shown(at).into()));
    put("hiddenDiscrepancies", (!hidden.is_empty()).then(|| hidden.iter().map(hidden_source).collect()));
    put("syncMeta", (*meta != Meta::default()).then(|| meta_source(meta)));
    source
}

fn meta_source(meta: &Meta) -> Value {
    let mut members = Map::new();
    if let Some(run) = &meta.run {
        members.insert("runId".to_owned(), run.as_str().into());
    }
    if !meta.tokens.is_empty() {
        members.insert("tokens".to_owned(), json!(meta.tokens));
    }
    Value::Object(members)
}

fn hidden_source(entry: &Hidden) -> Value {
    let Hidden { id, number, for_body, by, reason, since } = entry;
    let members = [
        ("id", id.as_ref().map(|text| json!(text))),
        ("gmcId", number.as_ref().map(|text| json!(text))),
        ("hiddenForDesignatedBodyCode", for_body.as_ref().map(|text| json!(text))),
        ("hiddenBy", by.as_ref().map(|text| json!(text))),
        ("reason", reason.as_ref().map(|text| json!(text))),
        ("hiddenDateTime", since.map(|at| dates::shown(at).into())),
    ];
    Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back_as_it_was_written() {
        let source = json!({
            "tcsPersonId": 41001, "gmcReferenceNumber": "7012345", "doctorFirstName": "Asha", "doctorLastName": "Okafor",
            "programmeName": "Core Surgical Training", "membershipType": "SUBSTANTIVE", "programmeOwner": "East of England",
            "tcsDesignatedBody": "1-1RSSQ05", "membershipStartDate": "2024-08-07", "membershipEndDate": "2026-08-04",
            "curriculumEndDate": "2026-08-04", "placementGrade": "281", "submissionDate": "2026-02-10",
            "lastUpdatedDate": "2025-06-15", "designatedBody": "1-1RSSQ05", "underNotice": "NO", "tisStatus": "DRAFT",
            "gmcStatus": "Approved", "admin": "ro.admin@example.org", "existsInGmc": true, "updatedBy": "admin.one@example.org",
            "lastConnectionDateTime": "2025-03-04T05:06:07.089",
            "hiddenDiscrepancies": [{"id": "665f1c0000000000000000aa", "gmcId": "7012345",
                "hiddenForDesignatedBodyCode": "1-1RSSQ05", "hiddenBy": "admin.two@example.org",
                "reason": "Awaiting transfer", "hiddenDateTime": "2025-05-08T09:56:33.453"}],
            "syncMeta": {"runId": "20250616T090000Z-4f2a", "tokens": {"doctorsForDB/7012345": "0168"}},
        });
        let source = source.as_object().unwrap();
        let (document, meta) = from_source("t41001", source).unwrap();
        assert_eq!(to_source(&document, &meta), *source);
        let named: Vec<&str> = MASTER_FIELDS.into_iter().chain(["syncMeta"]).collect();
        assert!(source.keys().all(|name| named.contains(&name.as_str())) && source.len() == named.len());
    }

    #[test]
    fn by_products_of_other_writers_are_left_out() {
        let source = json!({"_class": "x", "id": "y", "gmcReferenceNumber": "7012345", "connectionStatus": "Yes"});
        let (document, meta) = from_source("a", source.as_object().unwrap()).unwrap();
        assert_eq!(Value::Object(to_source(&document, &meta)), json!({"gmcReferenceNumber": "7012345"}));
    }
}

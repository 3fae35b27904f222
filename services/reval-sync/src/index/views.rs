//! Derived indices (3.5).

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime};
use domain::reval_sync::{GmcNumber, Text};
use search::engine::{Query, Reindex, Source};
use serde_json::Value;

use super::Generation;
use crate::wire;

/// A derived index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `recommendationindex`
    Recommendations,
    /// `connectedindex`
    Connected,
    /// `disconnectedindex`
    Disconnected,
    /// `exceptionindex`
    Exceptions,
}

const CONNECTIONS: [&str; 12] = [
    "tcsPersonId",
    "gmcReferenceNumber",
    "doctorFirstName",
    "doctorLastName",
    "submissionDate",
    "programmeName",
    "membershipType",
    "designatedBody",
    "tcsDesignatedBody",
    "programmeOwner",
    "membershipStartDate",
    "membershipEndDate",
];

const RECOMMENDATIONS: [&str; 15] = [
    "tcsPersonId",
    "gmcReferenceNumber",
    "doctorFirstName",
    "doctorLastName",
    "designatedBody",
    "submissionDate",
    "gmcStatus",
    "tisStatus",
    "programmeName",
    "membershipType",
    "curriculumEndDate",
    "admin",
    "lastUpdatedDate",
    "underNotice",
    "existsInGmc",
];

impl View {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Recommendations, Self::Connected, Self::Disconnected, Self::Exceptions];

    /// What readers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recommendations => "recommendationindex",
            Self::Connected => "connectedindex",
            Self::Disconnected => "disconnectedindex",
            Self::Exceptions => "exceptionindex",
        }
    }

    pub(super) fn mapping(self) -> &'static str {
        match self {
            Self::Recommendations => include_str!("../mappings/recommendations.json"),
            Self::Connected | Self::Disconnected | Self::Exceptions => include_str!("../mappings/connections.json"),
        }
    }

    /// The fields that are taken from the master document.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Recommendations => &RECOMMENDATIONS,
            Self::Connected | Self::Disconnected | Self::Exceptions => &CONNECTIONS,
        }
    }

    /// The copies inside the engine that fill it; the exceptions come from two, for the two values of `connectionStatus`.
    #[must_use]
    pub fn copies(self, generation: &Generation, today: NaiveDate, exceptions: &Exceptions) -> Vec<Reindex> {
        let body = || "designatedBody".to_owned();
        let copy = |query, status: Option<&str>| Reindex {
            source: generation.master(),
            destination: generation.derived(self),
            query,
            fields: self.fields().iter().map(|field| (*field).to_owned()).collect(),
            constants: status.map(|status| ("connectionStatus".to_owned(), status.into())).into_iter().collect(),
        };
        match self {
            Self::Recommendations => vec![copy(Query::All, None)],
            Self::Connected => vec![copy(Query::Exists(body()), Some("Yes"))],
            Self::Disconnected => vec![copy(Query::Missing(body()), Some("No"))],
            Self::Exceptions => {
                let visitor = Query::Match("membershipType".to_owned(), "visitor".to_owned());
                let failed = super::with_numbers(&exceptions.numbers());
                let expired = Query::Below("membershipEndDate".to_owned(), today.to_string().into());
                let connected = Query::Any(vec![visitor.clone(), expired, failed.clone()]);
                vec![
                    copy(Query::Every(vec![Query::Exists(body()), connected]), Some("Yes")),
                    copy(Query::Every(vec![Query::Missing(body()), Query::Any(vec![visitor, failed])]), Some("No")),
                ]
            }
        }
    }
}

/// Why updates at the GMC failed: the newest message of each number (R-VIEW-7).
#[derive(Debug, Default)]
pub struct Exceptions(HashMap<GmcNumber, (Option<NaiveDateTime>, Text)>);

impl Exceptions {
    /// Takes a document of `exceptionLogs`; one that says nothing changes nothing.
    pub fn add(&mut self, document: &Value) {
        let Some((number, at, message)) = wire::exception(document) else { return };
        let Some(number) = GmcNumber::usable(Some(&number)) else { return };
        let newest = self.0.get(&number).is_none_or(|(known, _)| at >= *known);
        if newest {
            self.0.insert(number, (at, message));
        }
    }

    /// The message of a number.
    #[must_use]
    pub fn reason(&self, number: Option<&GmcNumber>) -> Option<&Text> {
        self.0.get(number?).map(|(_, message)| message)
    }

    fn numbers(&self) -> Vec<String> {
        self.0.keys().map(|number| number.as_str().to_owned()).collect()
    }
}

/// What a derived index has of a master document, with the reason of an exception; `None` where it is not in it.
#[must_use]
pub fn projected(view: View, master: &Source, reason: Option<&Text>, today: NaiveDate) -> Option<Source> {
    let text = |name: &str| master.get(name).and_then(Value::as_str);
    let connected = text("designatedBody").is_some_and(|body| !body.trim().is_empty());
    let visitor = text("membershipType").is_some_and(|membership| membership.eq_ignore_ascii_case("visitor"));
    let ended = text("membershipEndDate").and_then(|end| end.parse::<NaiveDate>().ok()).is_some_and(|end| end < today);
    let is_in = match view {
        View::Recommendations => true,
        View::Connected => connected,
        View::Disconnected => !connected,
        View::Exceptions => visitor || (connected && ended) || reason.is_some(),
    };
    let fields = view.fields().iter();
    let mut source: Source = fields.filter_map(|name| Some(((*name).to_owned(), master.get(*name)?.clone()))).collect();
    if view != View::Recommendations {
        source.insert("connectionStatus".to_owned(), if connected { "Yes" } else { "No" }.into());
        if let Some(reason) = reason {
            source.insert("exceptionReason".to_owned(), reason.to_string().into());
        }
    }
    is_in.then_some(source)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn views(master: &Value, reason: Option<&str>) -> Vec<View> {
        let today = "2025-06-16".parse().unwrap();
        let reason = reason.map(Text::from);
        let is_in = |view: &View| projected(*view, master.as_object().unwrap(), reason.as_ref(), today).is_some();
        View::ALL.into_iter().filter(is_in).collect()
    }

    #[test]
    fn a_membership_that_ends_today_has_not_ended() {
        use View::{Connected, Disconnected, Exceptions, Recommendations};
        let connected = |end: &str| json!({"designatedBody": "1-1RSSQ05", "membershipEndDate": end});
        assert_eq!(views(&connected("2025-06-16"), None), [Recommendations, Connected]);
        assert_eq!(views(&connected("2025-06-15"), None), [Recommendations, Connected, Exceptions]);
        assert_eq!(views(&json!({"membershipEndDate": "2025-06-15"}), None), [Recommendations, Disconnected]);
        assert_eq!(views(&json!({"membershipType": "vISITOR"}), None), [Recommendations, Disconnected, Exceptions]);
        assert_eq!(views(&json!({}), Some("refused")), [Recommendations, Disconnected, Exceptions]);
    }

    #[test]
    fn the_newest_message_of_a_number_counts_under_either_key() {
        let mut exceptions = Exceptions::default();
        exceptions
            .add(&json!({"_id": "a", "gmcId": "7012345", "errorMessage": "new", "timestamp": "2025-06-02T00:00:00"}));
        exceptions
            .add(&json!({"_id": "b", "gmcId": "7012345", "errorMessage": "old", "timestamp": "2025-06-01T00:00:00"}));
        exceptions.add(&json!({"_id": "7012346", "errorMessage": "other"}));
        exceptions.add(&json!({"_id": "7012347", "errorMessage": " "}));
        let reason = |number| exceptions.reason(GmcNumber::usable(Some(number)).as_ref()).map(|text| text.to_string());
        assert_eq!(reason("7012345").as_deref(), Some("new"));
        assert_eq!(reason("7012346").as_deref(), Some("other"));
        assert_eq!(reason("7012347"), None);
    }
}

//! A document of the master index (3.2).

use chrono::{NaiveDate, NaiveDateTime};

use super::{GmcNumber, Text, hidden::Hidden};

/// What readers see of one doctor or trainee.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its id, from its first write on; never derived again (R-ID-3).
    pub id: Option<Text>,
    /// The GMC number as it is stored: trimmed, perhaps unusable.
    pub number: Option<Text>,
    /// Forenames.
    pub first_name: Option<Text>,
    /// Surname.
    pub last_name: Option<Text>,
    /// What the training system owns.
    pub tis: Tis,
    /// What the GMC owns.
    pub gmc: Gmc,
    /// Who last changed the connection.
    pub updated_by: Option<Text>,
    /// When the connection last changed; local time without zone, to the millisecond.
    pub last_connection: Option<NaiveDateTime>,
    /// Discrepancies that are out of sight, in order of arrival.
    pub hidden: Vec<Hidden>,
}

/// The fields that the training system owns: they go when a person is detached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tis {
    /// `tcsPersonId`
    pub person: Option<i64>,
    /// `programmeName`
    pub programme: Option<Text>,
    /// `membershipType`
    pub membership: Option<Text>,
    /// `programmeOwner`
    pub owner: Option<Text>,
    /// `tcsDesignatedBody`; never blank.
    pub body: Option<Text>,
    /// `membershipStartDate`
    pub start: Option<NaiveDate>,
    /// `membershipEndDate`, inclusive.
    pub end: Option<NaiveDate>,
    /// `curriculumEndDate`, inclusive.
    pub curriculum_end: Option<NaiveDate>,
    /// `placementGrade`
    pub grade: Option<Text>,
}

/// The fields that the GMC owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gmc {
    /// `designatedBody`; never blank.
    pub body: Option<Text>,
    /// `submissionDate`
    pub submission: Option<NaiveDate>,
    /// `tisStatus`
    pub tis_status: Option<Text>,
    /// `gmcStatus`, a label (12.3) or a text as received.
    pub outcome: Option<Text>,
    /// `admin`
    pub admin: Option<Text>,
    /// `lastUpdatedDate`
    pub last_updated: Option<NaiveDate>,
    /// `underNotice`
    pub under_notice: Option<Text>,
    /// `existsInGmc`
    pub exists: Option<bool>,
}

impl Document {
    /// The number, where it is usable.
    #[must_use]
    pub fn usable_number(&self) -> Option<GmcNumber> {
        GmcNumber::usable(self.number.as_deref())
    }

    /// Whether it holds anything that the GMC owns.
    #[must_use]
    pub fn is_known_to_gmc(&self) -> bool {
        self.gmc != Gmc::default()
    }

    /// Whether it is in `current_connections` (R-VIEW-2).
    #[must_use]
    pub fn is_current_connection(&self) -> bool {
        self.gmc.exists == Some(true)
    }

    /// Whether it is in `discrepancies` (R-VIEW-3): both absent is equal, one absent is not.
    #[must_use]
    pub fn is_discrepancy(&self) -> bool {
        self.tis.body != self.gmc.body
    }
}

/// A designated body as it is written: blank is absent (R-WIRE-7).
#[must_use]
pub fn body(text: Option<Text>) -> Option<Text> {
    text.filter(|text| !text.trim().is_empty())
}

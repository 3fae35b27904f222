//! Arena's codes: kinds of measure, participant statuses, reasons. All are exact and case-sensitive.

/// A kind of measure whose participants may be stored, by Arena's code (5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// `INDOPPFAG`, follow-up.
    Indoppfag,
    /// `ARBFORB`, work-preparation training.
    Arbforb,
    /// `AVKLARAG`, assessment.
    Avklarag,
    /// `VASV`, permanent adapted work.
    Vasv,
    /// `ARBRRHDAG`, work-oriented rehabilitation.
    Arbrrhdag,
    /// `DIGIOPPARB`, digital job-seeking course.
    Digiopparb,
    /// `JOBBK`, job club.
    Jobbk,
    /// `GRUPPEAMO`, group labour-market training.
    Gruppeamo,
    /// `GRUFAGYRKE`, group vocational training.
    Grufagyrke,
    /// `ENKELAMO`, single-place labour-market training.
    Enkelamo,
    /// `ENKFAGYRKE`, single-place vocational training.
    Enkfagyrke,
    /// `HOYEREUTD`, higher education.
    Hoyereutd,
}

impl Measure {
    /// All of them, in the order of 5.5.
    pub const ALL: [Self; 12] = [
        Self::Indoppfag,
        Self::Arbforb,
        Self::Avklarag,
        Self::Vasv,
        Self::Arbrrhdag,
        Self::Digiopparb,
        Self::Jobbk,
        Self::Gruppeamo,
        Self::Grufagyrke,
        Self::Enkelamo,
        Self::Enkfagyrke,
        Self::Hoyereutd,
    ];

    /// Arena's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Indoppfag => "INDOPPFAG",
            Self::Arbforb => "ARBFORB",
            Self::Avklarag => "AVKLARAG",
            Self::Vasv => "VASV",
            Self::Arbrrhdag => "ARBRRHDAG",
            Self::Digiopparb => "DIGIOPPARB",
            Self::Jobbk => "JOBBK",
            Self::Gruppeamo => "GRUPPEAMO",
            Self::Grufagyrke => "GRUFAGYRKE",
            Self::Enkelamo => "ENKELAMO",
            Self::Enkfagyrke => "ENKFAGYRKE",
            Self::Hoyereutd => "HOYEREUTD",
        }
    }

    /// The measure with this Arena code; `None` when it is not supported.
    #[must_use]
    pub fn named(arena_code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.code() == arena_code)
    }

    /// Whether participants of measures with this Arena code may be stored.
    #[must_use]
    pub fn supported(arena_code: &str) -> bool {
        Self::named(arena_code).is_some()
    }

    /// The measure that the course register calls `tiltakskode` (5.3); `None` when it cannot come from Arena.
    #[must_use]
    pub fn of_tiltakskode(tiltakskode: &str) -> Option<Self> {
        Some(match tiltakskode {
            "ARBEIDSFORBEREDENDE_TRENING" => Self::Arbforb,
            "ARBEIDSRETTET_REHABILITERING" => Self::Arbrrhdag,
            "AVKLARING" => Self::Avklarag,
            "DIGITALT_OPPFOLGINGSTILTAK" => Self::Digiopparb,
            "GRUPPE_ARBEIDSMARKEDSOPPLAERING"
            | "ARBEIDSMARKEDSOPPLAERING"
            | "NORSKOPPLAERING_GRUNNLEGGENDE_FERDIGHETER_FOV"
            | "STUDIESPESIALISERING" => Self::Gruppeamo,
            "GRUPPE_FAG_OG_YRKESOPPLAERING" | "FAG_OG_YRKESOPPLAERING" | "HOYERE_YRKESFAGLIG_UTDANNING" => {
                Self::Grufagyrke
            }
            "JOBBKLUBB" => Self::Jobbk,
            "OPPFOLGING" => Self::Indoppfag,
            "VARIG_TILRETTELAGT_ARBEID_SKJERMET" => Self::Vasv,
            "ENKELTPLASS_ARBEIDSMARKEDSOPPLAERING" => Self::Enkelamo,
            "ENKELTPLASS_FAG_OG_YRKESOPPLAERING" => Self::Enkfagyrke,
            "HOYERE_UTDANNING" => Self::Hoyereutd,
            _ => return None,
        })
    }

    /// Whether a course of this measure has exactly one participant (*enkeltplass*, 5.3).
    #[must_use]
    pub fn is_single_place(self) -> bool {
        matches!(self, Self::Enkelamo | Self::Enkfagyrke | Self::Hoyereutd)
    }
}

/// `DELTAKERSTATUSKODE`, how Arena sees a participation (5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArenaStatus {
    /// `AKTUELL`, relevant (applied).
    Aktuell,
    /// `AVSLAG`, refused.
    Avslag,
    /// `DELAVB`, participation interrupted.
    Delavb,
    /// `FEILREG`, registered by mistake.
    Feilreg,
    /// `FULLF`, completed.
    Fullf,
    /// `GJENN`, in progress.
    Gjenn,
    /// `GJENN_AVB`, course aborted.
    GjennAvb,
    /// `GJENN_AVL`, course cancelled.
    GjennAvl,
    /// `IKKAKTUELL`, not relevant.
    Ikkaktuell,
    /// `IKKEM`, did not show up.
    Ikkem,
    /// `INFOMOETE`, information meeting.
    Infomoete,
    /// `JATAKK`, accepted the offer.
    Jatakk,
    /// `NEITAKK`, declined the offer.
    Neitakk,
    /// `TILBUD`, place approved.
    Tilbud,
    /// `VENTELISTE`, waiting list.
    Venteliste,
}

impl ArenaStatus {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Aktuell,
        Self::Avslag,
        Self::Delavb,
        Self::Feilreg,
        Self::Fullf,
        Self::Gjenn,
        Self::GjennAvb,
        Self::GjennAvl,
        Self::Ikkaktuell,
        Self::Ikkem,
        Self::Infomoete,
        Self::Jatakk,
        Self::Neitakk,
        Self::Tilbud,
        Self::Venteliste,
    ];

    /// Arena's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Aktuell => "AKTUELL",
            Self::Avslag => "AVSLAG",
            Self::Delavb => "DELAVB",
            Self::Feilreg => "FEILREG",
            Self::Fullf => "FULLF",
            Self::Gjenn => "GJENN",
            Self::GjennAvb => "GJENN_AVB",
            Self::GjennAvl => "GJENN_AVL",
            Self::Ikkaktuell => "IKKAKTUELL",
            Self::Ikkem => "IKKEM",
            Self::Infomoete => "INFOMOETE",
            Self::Jatakk => "JATAKK",
            Self::Neitakk => "NEITAKK",
            Self::Tilbud => "TILBUD",
            Self::Venteliste => "VENTELISTE",
        }
    }

    /// The status with this code.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

/// `AARSAKVERDIKODE_STATUS`, why Arena's status is what it is (5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArenaReason {
    /// `ANN`, other.
    Ann,
    /// `BEGA`, started work.
    Bega,
    /// `FRISM`, recovered.
    Frism,
    /// `FTOAT`, offered another measure.
    Ftoat,
    /// `HENLU`, closed after assessment.
    Henlu,
    /// `SYK`, ill.
    Syk,
    /// `UTV`, expelled.
    Utv,
}

impl ArenaReason {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Ann, Self::Bega, Self::Frism, Self::Ftoat, Self::Henlu, Self::Syk, Self::Utv];

    /// Arena's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Ann => "ANN",
            Self::Bega => "BEGA",
            Self::Frism => "FRISM",
            Self::Ftoat => "FTOAT",
            Self::Henlu => "HENLU",
            Self::Syk => "SYK",
            Self::Utv => "UTV",
        }
    }

    /// The reason with this code.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_itself_and_nothing_else() {
        for measure in Measure::ALL {
            assert_eq!(Measure::named(measure.code()), Some(measure));
        }
        for status in ArenaStatus::ALL {
            assert_eq!(ArenaStatus::named(status.code()), Some(status));
        }
        for reason in ArenaReason::ALL {
            assert_eq!(ArenaReason::named(reason.code()), Some(reason));
        }
    }

    #[test]
    fn codes_are_exact() {
        for text in ["", "indoppfag", " INDOPPFAG", "INDOPPFAG ", "INDOPP", "MENTOR"] {
            assert!(!Measure::supported(text), "{text:?}");
        }
        assert_eq!(ArenaStatus::named("gjenn"), None);
        assert_eq!(ArenaStatus::named("GJENN "), None);
        assert_eq!(ArenaReason::named("syk"), None);
    }

    #[test]
    fn a_tiltakskode_that_cannot_come_from_arena_has_no_measure() {
        for text in ["TILPASSET_JOBBSTOTTE", "", "INDOPPFAG", "oppfolging", "MENTOR"] {
            assert_eq!(Measure::of_tiltakskode(text), None, "{text:?}");
        }
    }

    #[test]
    fn three_measures_have_single_places() {
        let single: Vec<_> = Measure::ALL.into_iter().filter(|measure| measure.is_single_place()).collect();
        assert_eq!(single, [Measure::Enkelamo, Measure::Enkfagyrke, Measure::Hoyereutd]);
    }

    #[test]
    fn codes_that_were_split_in_the_register_come_together_again() {
        for text in
            ["ARBEIDSMARKEDSOPPLAERING", "NORSKOPPLAERING_GRUNNLEGGENDE_FERDIGHETER_FOV", "STUDIESPESIALISERING"]
        {
            assert_eq!(Measure::of_tiltakskode(text), Some(Measure::Gruppeamo), "{text}");
        }
        for text in ["FAG_OG_YRKESOPPLAERING", "HOYERE_YRKESFAGLIG_UTDANNING"] {
            assert_eq!(Measure::of_tiltakskode(text), Some(Measure::Grufagyrke), "{text}");
        }
    }
}

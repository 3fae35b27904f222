use domain::arena_acl::{NationalId, ParticipantStatus, Reason};

use super::*;

fn at(day: u32, hour: u32, micros: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, day).unwrap().and_hms_micro_opt(hour, 15, 0, micros).unwrap()
}

fn publication(topic: Topic) -> Publication {
    Publication {
        topic,
        operation: PublishedOperation::Created,
        transaction: "7d0f4f0e-58f4-4d8a-9a43-0c1d5f0b7a11".parse().unwrap(),
        at: at(10, 12, 204_500),
        participant: PublishedParticipant {
            id: "0f3ad0c2-1c7b-4f1e-8b0e-6a5a9a2b7c01".parse().unwrap(),
            course: "a1000bb9-0000-4000-8000-000000000bb9".parse().unwrap(),
            national_id: NationalId::new("90000005001"),
            start: NaiveDate::from_ymd_opt(2025, 4, 1),
            end: NaiveDate::from_ymd_opt(2025, 9, 30),
            status: ParticipantStatus::VenterPaOppstart,
            reason: None,
            days_per_week: Some(2.5),
            part_time_percent: Some(80.0),
            registered: at(1, 8, 0),
            status_changed: Some(at(2, 9, 0)),
            order_text: Some("Ønsker \"oppfølging\"\n".into()),
        },
    }
}

#[test]
fn participants_of_group_measures_leave_in_a_wrapper() {
    insta::assert_snapshot!(render(&publication(Topic::Group)), @r#"{"transactionId":"7d0f4f0e-58f4-4d8a-9a43-0c1d5f0b7a11","source":"AMT_ARENA_ACL","type":"DELTAKER","timestamp":"2025-03-10T12:15:00.2045","operation":"CREATED","payload":{"id":"0f3ad0c2-1c7b-4f1e-8b0e-6a5a9a2b7c01","gjennomforingId":"a1000bb9-0000-4000-8000-000000000bb9","personIdent":"90000005001","startDato":"2025-04-01","sluttDato":"2025-09-30","status":"VENTER_PA_OPPSTART","statusAarsak":null,"dagerPerUke":2.5,"prosentDeltid":80.0,"registrertDato":"2025-03-01T08:15:00","statusEndretDato":"2025-03-02T09:15:00","innsokBegrunnelse":"Ønsker \"oppfølging\"\n"}}"#);
}

#[test]
fn participants_of_single_place_measures_leave_bare() {
    insta::assert_snapshot!(render(&publication(Topic::SinglePlace)), @r#"{"id":"0f3ad0c2-1c7b-4f1e-8b0e-6a5a9a2b7c01","gjennomforingId":"a1000bb9-0000-4000-8000-000000000bb9","personIdent":"90000005001","startDato":"2025-04-01","sluttDato":"2025-09-30","status":"VENTER_PA_OPPSTART","statusAarsak":null,"dagerPerUke":2.5,"prosentDeltid":80.0,"registrertDato":"2025-03-01T08:15:00","statusEndretDato":"2025-03-02T09:15:00","innsokBegrunnelse":"Ønsker \"oppfølging\"\n"}"#);
}

#[test]
fn nothing_is_left_out_when_it_is_null() {
    let full = publication(Topic::Group);
    let participant = PublishedParticipant {
        start: None,
        end: None,
        status: ParticipantStatus::IkkeAktuell,
        reason: Some(Reason::FikkIkkePlass),
        days_per_week: None,
        part_time_percent: None,
        status_changed: None,
        order_text: None,
        ..full.participant
    };
    let message = render(&Publication { operation: PublishedOperation::Modified, participant, ..full });
    insta::assert_snapshot!(message, @r#"{"transactionId":"7d0f4f0e-58f4-4d8a-9a43-0c1d5f0b7a11","source":"AMT_ARENA_ACL","type":"DELTAKER","timestamp":"2025-03-10T12:15:00.2045","operation":"MODIFIED","payload":{"id":"0f3ad0c2-1c7b-4f1e-8b0e-6a5a9a2b7c01","gjennomforingId":"a1000bb9-0000-4000-8000-000000000bb9","personIdent":"90000005001","startDato":null,"sluttDato":null,"status":"IKKE_AKTUELL","statusAarsak":"FIKK_IKKE_PLASS","dagerPerUke":null,"prosentDeltid":null,"registrertDato":"2025-03-01T08:15:00","statusEndretDato":null,"innsokBegrunnelse":null}}"#);
}

#[test]
fn a_fraction_is_written_only_as_far_as_it_goes() {
    for (micros, text) in [
        (0, "2025-03-01T08:15:00"),
        (500_000, "2025-03-01T08:15:00.5"),
        (204_518, "2025-03-01T08:15:00.204518"),
        (1, "2025-03-01T08:15:00.000001"),
    ] {
        assert_eq!(local_date_time(at(1, 8, micros)), text);
    }
    let early = NaiveDate::from_ymd_opt(1, 1, 1).unwrap().and_hms_nano_opt(0, 0, 0, 10).unwrap();
    assert_eq!(local_date_time(early), "0001-01-01T00:00:00.00000001");
}

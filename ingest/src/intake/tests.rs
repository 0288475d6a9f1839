//! Messages over HTTP and letters that are taken again, against a journal in memory.

use std::sync::{Arc, Mutex};

use telemetry::{
    BoxFuture, DeviceGate, Grant, JournalRecord, JournalWriter, ManualClock, Offset, OpenGate,
    PortError, Scope, SignalLimits,
};

use super::*;
use crate::{
    Decoder, IngestStats, Quotas,
    decode::testing::{Declared, NOW, rows},
};

/// Keeps what is appended, or is full.
#[derive(Debug, Default)]
struct Journal {
    records: Mutex<Vec<JournalRecord>>,
    full: bool,
}

impl JournalWriter for Journal {
    fn append(&self, record: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(async move {
            if self.full {
                return Err(PortError::Unavailable {
                    what: "journal",
                    source: None,
                });
            }
            let mut records = self.records.lock().unwrap();
            records.push(record);
            Ok(Offset(records.len() as u64))
        })
    }
}

fn intake(journal: &Arc<Journal>, gate: impl DeviceGate + 'static) -> (Intake, Arc<IngestStats>) {
    let stats = Arc::new(IngestStats::new());
    let parts = Parts {
        journal: Arc::clone(journal) as _,
        gate: Arc::new(gate),
        clock: Arc::new(ManualClock::at(NOW)),
        decoder: Arc::new(Decoder::default().with_stats(Arc::clone(&stats))),
        stats: Arc::clone(&stats),
        quotas: Quotas::default(),
    };
    (Intake::new(parts), stats)
}

#[tokio::test]
async fn an_answer_tells_what_was_committed_and_what_was_refused() {
    let journal = Arc::new(Journal::default());
    let (intake, stats) = intake(&journal, OpenGate);
    let grant = Arc::new(Grant::ANYONE);
    let message = Message::new("telemetry/p1", br#"{"a":1,"b":"x"}"#, NOW);
    let submitted = intake.submit(message, &grant).await.unwrap();
    assert_eq!((submitted.readings, submitted.offset), (1, Some(Offset(1))));
    assert_eq!(submitted.dead_letters[0].0, DeadLetterReason::InvalidValue);
    assert_eq!(stats.snapshot().readings_acknowledged, 1);
    let large = format!(
        "[{}]",
        vec![r#"{"a":1,"pad":null,"padding":null,"more":null}"#; 9_000].join(",")
    );
    assert!(large.len() > 256 * 1024);
    let submitted = intake
        .submit(Message::new("telemetry/p1", large.as_bytes(), NOW), &grant)
        .await
        .unwrap();
    assert_eq!(submitted.readings, 9_000);
}

#[tokio::test]
async fn a_full_journal_is_an_error_and_nothing_counts_as_taken() {
    let journal = Arc::new(Journal {
        full: true,
        ..Journal::default()
    });
    let (intake, stats) = intake(&journal, OpenGate);
    let message = Message::new("telemetry/p1", br#"{"a":1}"#, NOW);
    let error = intake
        .submit(message, &Arc::new(Grant::ANYONE))
        .await
        .unwrap_err();
    assert!(error.is_transient());
    let snapshot = stats.snapshot();
    assert_eq!(
        (snapshot.readings_acknowledged, snapshot.journal_errors),
        (0, 1)
    );
}

#[tokio::test]
async fn without_a_topic_the_body_names_its_devices_and_each_must_be_covered() {
    let gateway = Scope::Gateway {
        client: DeviceId::new("gw").unwrap(),
        topic_prefix: "telemetry/hall-3.".into(),
    };
    let own = Scope::Device(DeviceId::new("hall-3.p1").unwrap());
    let line = "reading,device=hall-3.p1 a=1 1000000\nreading,device=hall-4.p1 a=2 1000000\nreading a=3 1000000\nreading a=4";
    let senml =
        r#"[{"bt":1583748000,"n":"hall-3.p1/a","v":1},{"n":"hall-4.p1/a","v":2},{"n":"a","v":3}]"#;
    for (scope, body, readings, refused) in [
        (Scope::Anyone, line, 2, "unknown_topic"),
        (gateway.clone(), line, 1, "not_authorized unknown_topic"),
        (own.clone(), line, 1, "not_authorized unknown_topic"),
        (Scope::Anyone, senml, 2, "unknown_topic"),
        (gateway, senml, 1, "not_authorized unknown_topic"),
        (own, senml, 1, "not_authorized unknown_topic"),
    ] {
        let journal = Arc::new(Journal::default());
        let (intake, stats) = intake(&journal, OpenGate);
        let grant = Arc::new(Grant {
            scope,
            ..Grant::ANYONE
        });
        let message = Message::new("", body.as_bytes(), NOW);
        let submitted = intake.submit(message, &grant).await.unwrap();
        let reasons: Vec<_> = submitted
            .dead_letters
            .iter()
            .map(|l| l.0.as_str())
            .collect();
        assert_eq!(submitted.readings, readings, "{grant:?} {body}");
        assert_eq!(reasons.join(" "), refused, "{grant:?} {body}");
        assert_eq!(stats.snapshot().messages_received, 1);
        // What was kept of the message is taken again in the same way.
        let letter = journal.records.lock().unwrap()[0].dead_letters[0].clone();
        let again = intake.replay(&letter).await.unwrap();
        assert_eq!((again.readings, again.still.len()), (2, 1), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_names_nobody_is_told_so_and_not_kept() {
    let journal = Arc::new(Journal::default());
    let (intake, stats) = intake(&journal, OpenGate);
    let grant = Arc::new(Grant::ANYONE);
    for body in [
        r#"{"a":1}"#,
        "reading a=1",
        r#"[{"n":"a","v":1}]"#,
        "21.5",
        "",
    ] {
        let message = Message::new("", body.as_bytes(), NOW);
        let submitted = intake.submit(message, &grant).await.unwrap();
        assert!(submitted.is_nobodys(), "{body}: {submitted:?}");
    }
    assert!(journal.records.lock().unwrap().is_empty());
    assert_eq!(stats.snapshot().messages_received, 0);
    // What is wrong with the body itself is kept, whoever sent it.
    let broken = Message {
        content_type: Some("application/senml+json"),
        ..Message::new("", b"[{", NOW)
    };
    let submitted = intake.submit(broken, &grant).await.unwrap();
    assert!(!submitted.is_nobodys());
    assert_eq!(
        submitted.dead_letters[0].0,
        DeadLetterReason::MalformedPayload
    );
}

#[tokio::test]
async fn a_letter_taken_again_after_a_fix_gives_its_readings_and_no_second_letter() {
    let journal = Arc::new(Journal::default());
    let narrow = SignalLimits {
        max: Some(10.0),
        ..SignalLimits::default()
    };
    let before = Declared::one("v", "v", (None, None), narrow);
    let (first, _) = intake(&journal, before);
    let message = Message::new("telemetry/p1", br#"{"ts":1000,"v":50,"w":"x"}"#, NOW);
    let submitted = first
        .submit(message, &Arc::new(Grant::ANYONE))
        .await
        .unwrap();
    assert_eq!(submitted.readings, 0);
    let letters = journal.records.lock().unwrap()[0].dead_letters.clone();
    assert_eq!(letters.len(), 2);
    let again = first.replay(&letters[0]).await.unwrap();
    assert_eq!(again.still.len(), 2, "nothing was fixed");

    let (fixed, stats) = intake(&journal, OpenGate);
    let again = fixed.replay(&letters[1]).await.unwrap();
    assert_eq!((again.readings, again.still.len()), (1, 1));
    assert!(again.resolves(DeadLetterReason::OutOfRange));
    assert!(!again.resolves(DeadLetterReason::InvalidValue));
    let records = journal.records.lock().unwrap();
    assert_eq!(records.len(), 2);
    assert!(
        records[1].dead_letters.is_empty(),
        "the letter is there already"
    );
    assert_eq!(rows(&records[1]), ["p1 -1583748872: v=50"]);
    assert_eq!(stats.snapshot().readings_acknowledged, 1);
}

#[tokio::test]
async fn a_letter_that_was_cut_cannot_be_taken_again() {
    let journal = Arc::new(Journal::default());
    let (intake, _) = intake(&journal, OpenGate);
    let message = Message::new("telemetry/p1", br#"{"a":"x"}"#, NOW);
    intake
        .submit(message, &Arc::new(Grant::ANYONE))
        .await
        .unwrap();
    let mut letter = journal.records.lock().unwrap()[0].dead_letters[0].clone();
    letter.payload.truncate(3);
    let again = intake.replay(&letter).await.unwrap();
    assert_eq!(again.still.len(), 1);
    assert_eq!(journal.records.lock().unwrap().len(), 1);
}

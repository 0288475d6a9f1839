//! How cases are treated, against the file.

use std::{path::PathBuf, sync::Arc, time::Duration};

use telemetry::{ManualClock, SiteId, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::{
    CaseEventKind as Event, Matcher, NewSilence, Ranked, SuppressionReason,
    testing::{Plant, Probe, Surroundings, asset, order, probe, t},
};

/// A plant that keeps up with the clock, on a file of its own.
struct Bench {
    _folder: TempDir,
    path: PathBuf,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("cases.db"),
            clock: ManualClock::at(Surroundings::default().now),
            _folder: folder,
        }
    }

    async fn open(&self) -> CaseDesk {
        let clock = Arc::new(self.clock.clone());
        let settings = Surroundings::default().settings;
        CaseDesk::open(&self.path, settings, Arc::new(Plant), clock)
            .await
            .unwrap()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An alarm that rises now.
    async fn alarm(&self, desk: &CaseDesk, of: &Probe, mode: &str) -> Case {
        let secs = self.now().as_millis() / 1_000;
        let changes = desk
            .observe(&[of.alarm(secs, secs, mode, 1.5)])
            .await
            .unwrap();
        changes[0].case.clone()
    }
}

fn reason(case: &Case) -> Option<SuppressionReason> {
    case.suppressed.as_ref().map(|why| why.reason)
}

#[tokio::test]
async fn a_shelved_case_is_quiet_until_its_time_also_over_a_restart() {
    let bench = Bench::new();
    let desk = bench.open().await;
    let case = bench
        .alarm(&desk, &probe("hall-3_pump-1", "d"), "cavitation")
        .await;
    let hour = bench.now() + Duration::from_hours(1);
    let shelved = desk
        .shelve(&case.id, hour, " Mei ", "after the shift")
        .await
        .unwrap();
    assert_eq!(reason(&shelved), Some(SuppressionReason::Shelved));
    assert!(desk.pending_advisories().await.unwrap().is_empty());
    for until in [bench.now(), bench.now() + Duration::from_hours(31 * 24)] {
        let refused = desk.shelve(&case.id, until, "Mei", "").await.unwrap_err();
        assert!(matches!(
            refused,
            AlertingError::Invalid { field: "until", .. }
        ));
    }
    desk.close().await;

    let desk = bench.open().await;
    let kept = desk.get(&case.id).await.unwrap().unwrap();
    assert_eq!(kept.case, shelved);
    assert_eq!(kept.events.last().unwrap().kind, Event::Suppressed);
    bench.clock.set(hour);
    let changes = desk.review().await.unwrap();
    let events: Vec<Event> = changes.iter().map(|change| change.event).collect();
    assert_eq!(events, [Event::Unshelved, Event::Unsuppressed]);
    assert_eq!(desk.pending_advisories().await.unwrap().len(), 1);
    assert!(desk.review().await.unwrap().is_empty());
    let unshelved = desk.unshelve(&case.id, "Jo").await.unwrap();
    assert_eq!(
        reason(&unshelved),
        None,
        "one that is on no shelf stays as it is"
    );
}

#[tokio::test]
async fn a_silence_is_kept_in_the_file_and_ends_when_a_person_ends_it() {
    let bench = Bench::new();
    let desk = bench.open().await;
    let new = |matcher: Matcher, hours: u64| NewSilence {
        matcher,
        from: bench.now(),
        until: bench.now() + Duration::from_hours(hours),
        by: "Mei".to_owned(),
        note: "roof works".to_owned(),
    };
    let hall = Matcher {
        site: Some(SiteId::new("hall-3").unwrap()),
        ..Matcher::default()
    };
    assert!(
        desk.silence(new(Matcher::default(), 1)).await.is_err(),
        "everything"
    );
    assert!(
        desk.silence(new(hall.clone(), 0)).await.is_err(),
        "no time at all"
    );
    let silence = desk.silence(new(hall.clone(), 2)).await.unwrap();
    let case = bench
        .alarm(&desk, &probe("hall-3_pump-1", "d"), "cavitation")
        .await;
    let case = desk.get(&case.id).await.unwrap().unwrap().case;
    assert_eq!(reason(&case), Some(SuppressionReason::Silenced));
    assert_eq!(desk.matched([hall]).await.unwrap(), [1]);
    desk.close().await;

    let desk = bench.open().await;
    assert_eq!(
        desk.silences(false, None, 10).await.unwrap(),
        std::slice::from_ref(&silence)
    );
    assert!(
        desk.review().await.unwrap().is_empty(),
        "it is still in force"
    );
    let ended = desk.end_silence(silence.id, "Jo").await.unwrap();
    assert_eq!(ended.ended_by.as_deref(), Some("Jo"));
    assert_eq!(desk.review().await.unwrap()[0].event, Event::Unsuppressed);
    assert!(desk.silences(false, None, 10).await.unwrap().is_empty());
    assert_eq!(desk.silences(true, None, 10).await.unwrap().len(), 1);
    let missing = desk.end_silence(99, "Jo").await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no silence 99");
}

#[tokio::test]
async fn the_watch_list_says_since_when_and_why_and_an_order_ends_it() {
    let bench = Bench::new();
    let desk = bench.open().await;
    let case = bench
        .alarm(&desk, &probe("hall-3_pump-1", "d"), "cavitation")
        .await;
    let words = telemetry::Explanation {
        en: "no crew".to_owned(),
        zh: "没有班组".to_owned(),
    };
    let ranked = |cost: f64, waits: bool| Ranked {
        case: case.id.clone(),
        expected_avoided_cost: Some((cost, "CNY".to_owned())),
        waits: waits.then(|| words.clone()),
    };
    let changes = desk.ranked(&[ranked(1_000.0, true)]).await.unwrap();
    assert_eq!(changes[0].event, Event::WatchListed);
    assert!(
        desk.ranked(&[ranked(1_001.0, true)])
            .await
            .unwrap()
            .is_empty(),
        "no news"
    );
    assert_eq!(
        desk.ranked(&[ranked(1_200.0, true)]).await.unwrap()[0].event,
        Event::Refreshed
    );
    let query = CaseQuery {
        watch_list: Some(true),
        ..CaseQuery::default()
    };
    let listed = desk.list(query).await.unwrap();
    assert_eq!(listed[0].watch_list.as_ref().unwrap().since, bench.now());
    assert_eq!(listed[0].currency.as_deref(), Some("CNY"));
    assert_eq!(desk.undecided().await.unwrap(), 0);
    assert_eq!(desk.waiting().await.unwrap().len(), 1, "it is asked again");
    let now = bench.now();
    let ordered = desk
        .order_raised(&case.id, &order("WO-000001"), now)
        .await
        .unwrap();
    assert_eq!(ordered.watch_list, None);
}

#[tokio::test]
async fn an_order_taken_back_ends_its_case_and_the_next_round_has_another() {
    let bench = Bench::new();
    let desk = bench.open().await;
    let pump = probe("hall-3_pump-1", "d");
    let case = bench.alarm(&desk, &pump, "cavitation").await;
    desk.order_raised(&case.id, &order("WO-000001"), bench.now())
        .await
        .unwrap();
    bench.clock.advance(Duration::from_mins(5));
    let secs = bench.now().as_millis() / 1_000;
    desk.observe(&[pump.normal(secs, secs)]).await.unwrap();
    assert!(desk.withdrawals().await.unwrap().is_empty());
    bench.clock.advance(Duration::from_hours(24));
    let back = desk.withdrawals().await.unwrap();
    assert_eq!(back.len(), 1);
    desk.withdrawn(&back[0]).await.unwrap();
    desk.withdrawn(&back[0]).await.unwrap();
    let ended = desk.get(&case.id).await.unwrap().unwrap();
    assert_eq!(ended.events.last().unwrap().kind, Event::Withdrawn);
    assert_eq!(ended.case.status, crate::CaseStatus::Closed);

    let again = bench.alarm(&desk, &pump, "cavitation").await;
    assert_eq!((again.id.clone(), again.round), (case.id.clone(), 2));
    // What the service system still says of the first order means nothing any more.
    let late = crate::testing::ended("WO-000001", &pump.asset, Some(&case.id), None, secs);
    desk.record(&late).await.unwrap();
    let advisories = desk.pending_advisories().await.unwrap();
    assert_eq!(
        (advisories[0].case.clone(), advisories[0].round),
        (case.id, 2)
    );
}

#[tokio::test]
async fn two_evaluators_of_one_flood_agree_on_the_case_that_stands_for_it() {
    let bench = Bench::new();
    let (one, other) = (bench.open().await, bench.open().await);
    let secs = bench.now().as_millis() / 1_000;
    let findings: Vec<_> = (0..60)
        .map(|fan| {
            probe(&format!("hall-3_fan-{fan}"), &format!("d-{fan}")).alarm(
                secs,
                secs,
                "power-loss",
                1.5,
            )
        })
        .collect();
    let mut tasks = Vec::new();
    for (at, call) in findings.chunks(7).enumerate() {
        // Each piece is handed to both, as a second process would by mistake.
        for desk in if at % 2 == 0 {
            [&one, &other]
        } else {
            [&other, &one]
        } {
            let (desk, call) = (desk.clone(), call.to_vec());
            tasks.push(tokio::spawn(async move {
                desk.observe(&call).await.unwrap().len()
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one.counts().await.unwrap().open, 60);
    for desk in [&one, &other] {
        desk.review().await.unwrap();
        assert_eq!(desk.pending_advisories().await.unwrap().len(), 1);
    }
    let groups = one.groups().await.unwrap();
    assert_eq!((groups.len(), groups[0].children), (1, 59));
    let children = CaseQuery {
        parent: Some(groups[0].head.clone()),
        suppressed: Some(true),
        site: Some(SiteId::new("hall-3").unwrap()),
        ..CaseQuery::default()
    };
    assert_eq!(other.list(children).await.unwrap().len(), 59);
    let rates = one.alarm_rates(t(0), bench.now()).await.unwrap();
    assert_eq!(rates[0].alarms + rates[0].suppressed, 60);
    assert!(rates[0].alarms <= 10, "{}", rates[0].alarms);
    let of_one = one
        .open_cases(Some(&[asset("hall-3_fan-7")]))
        .await
        .unwrap();
    assert_eq!(of_one.values().map(Vec::len).sum::<usize>(), 1);
    assert_eq!(one.open_cases(None).await.unwrap().len(), 60);
}

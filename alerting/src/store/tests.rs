use std::{path::PathBuf, time::Duration};

use proptest::prelude::*;
use sqlx::Row;
use telemetry::{Outcome, Severity};
use tempfile::TempDir;

use super::*;
use crate::{
    CaseEventKind as Event, CaseStatus, StatusFilter, lifecycle,
    testing::{Probe, asset, ended, open, order, probe, t},
};

/// A file in a folder of its own.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerting.db");
    (folder, path)
}

/// Opens a case and returns it.
async fn opened(cases: &CaseDesk, probe: &Probe, since: i64, mode: &str) -> Case {
    let changes = cases
        .observe(&[probe.alarm(since, since + 10, mode, 1.5)])
        .await
        .unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].event, Event::Opened);
    changes[0].case.clone()
}

/// Everything in the file as text, but the marks: how far they reach beyond the latest change
/// depends on how findings were cut into calls.
/// What the file holds. When a case is kept quiet follows the clock and comes once a call, so of
/// that only the end counts, not where it stands in the log.
async fn dump(cases: &CaseDesk) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, all) in [
        (
            "case",
            "SELECT json_array(number, id, asset, device, failure_mode, signal, severity, status, opened_at, updated_at, cleared_at, closed_at, score, peak_score, scored_at, evidence, prognosis, forecast_at, work_order, deferred, outcome, round, verdict, parent, suppressed) FROM cases ORDER BY number",
        ),
        (
            "event",
            "SELECT json_array(case_id, at, kind, actor, detail) FROM case_events
                 WHERE kind NOT IN ('suppressed', 'unsuppressed') ORDER BY number",
        ),
        (
            "episode",
            "SELECT json_array(asset, device, signal, since, case_id, active) FROM episodes ORDER BY asset, device, signal",
        ),
        (
            "order",
            "SELECT json_array(work_order, at) FROM ended_orders ORDER BY work_order",
        ),
    ] {
        for row in sqlx::query(all).fetch_all(&cases.inner.read).await.unwrap() {
            lines.push(format!("{name} {}", row.get::<String, _>(0)));
        }
    }
    lines
}

#[tokio::test]
async fn a_case_is_read_back_as_it_was_told_also_by_the_next_process() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let pump = probe("pump-1", "dev-1");
    let changes = cases
        .observe(&[
            pump.alarm(100, 130, "cavitation", 1.0 / 3.0),
            pump.health(130, 12.0),
            pump.forecast(130, 1e5 / 3.0, 2e5 / 3.0),
        ])
        .await
        .unwrap();
    let kinds: Vec<Event> = changes.iter().map(|change| change.event).collect();
    assert_eq!(
        kinds,
        [Event::Opened, Event::SeverityRaised, Event::Refreshed]
    );
    let told = changes.last().unwrap().case.clone();
    cases.close().await;

    let cases = open(&path).await.unwrap();
    let detail = cases.get(&told.id).await.unwrap().unwrap();
    assert_eq!(detail.case, told);
    let logged: Vec<Event> = detail.events.iter().map(|event| event.kind).collect();
    assert_eq!(logged, [Event::Opened, Event::SeverityRaised]);
    assert_eq!(
        detail.events[1].detail.as_ref().unwrap()["to"],
        serde_json::json!("critical")
    );
    assert_eq!(cases.list(CaseQuery::default()).await.unwrap(), [told]);
}

#[tokio::test]
async fn the_log_of_every_case_gives_its_status() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let pump = probe("pump-1", "dev-1");
    let case = opened(&cases, &pump, 100, "cavitation").await;
    let mut seen = vec![];
    let mut check = async |cases: &CaseDesk| {
        let detail = cases.get(&case.id).await.unwrap().unwrap();
        let log = detail.events.iter().map(|event| event.kind);
        assert_eq!(lifecycle::replay(log).unwrap(), Some(detail.case.status));
        seen.push(detail.case.status);
    };
    check(&cases).await;
    cases
        .order_raised(&case.id, &order("WO-000001"), t(500))
        .await
        .unwrap();
    check(&cases).await;
    cases
        .acknowledge(&case.id, " Mei Lin ", t(510))
        .await
        .unwrap();
    check(&cases).await;
    cases.observe(&[pump.normal(600, 610)]).await.unwrap();
    check(&cases).await;
    let end = ended(
        "WO-000001",
        &pump.asset,
        Some(&case.id),
        Some(Outcome::Confirmed),
        700,
    );
    cases.record(&end).await.unwrap();
    check(&cases).await;
    assert_eq!(
        seen,
        [
            CaseStatus::Open,
            CaseStatus::Open,
            CaseStatus::Acknowledged,
            CaseStatus::Acknowledged,
            CaseStatus::Closed
        ]
    );
    let detail = cases.get(&case.id).await.unwrap().unwrap();
    assert_eq!(detail.events[2].by.as_deref(), Some("Mei Lin"));
    assert_eq!(detail.case.closed_at, Some(t(700)));
    assert_eq!(detail.case.cleared_at, Some(t(600)));
}

#[tokio::test]
async fn each_outcome_ends_the_case_as_it_should() {
    for (outcome, status, event) in [
        (
            Some(Outcome::Confirmed),
            CaseStatus::Closed,
            Event::OrderCompleted,
        ),
        (
            Some(Outcome::NoFaultFound),
            CaseStatus::Closed,
            Event::OrderCompleted,
        ),
        (
            Some(Outcome::SensorFault),
            CaseStatus::Closed,
            Event::OrderCompleted,
        ),
        (
            Some(Outcome::OtherFaultFound),
            CaseStatus::Closed,
            Event::OrderCompleted,
        ),
        (
            Some(Outcome::Duplicate),
            CaseStatus::Closed,
            Event::OrderCompleted,
        ),
        (
            Some(Outcome::Deferred),
            CaseStatus::Open,
            Event::OrderDeferred,
        ),
        (None, CaseStatus::Closed, Event::OrderCancelled),
    ] {
        let (_folder, path) = file();
        let cases = open(&path).await.unwrap();
        let pump = probe("pump-1", "dev-1");
        let case = opened(&cases, &pump, 100, "cavitation").await;
        // The process died before it could record the order.
        let end = ended("WO-000001", &pump.asset, Some(&case.id), outcome, 700);
        cases.record(&end).await.unwrap();
        let before = dump(&cases).await;
        cases.record(&end).await.unwrap();
        let recorded = cases
            .order_raised(&case.id, &order("WO-000001"), t(900))
            .await
            .unwrap();
        assert_eq!(dump(&cases).await, before, "twice is once: {outcome:?}");

        let detail = cases.get(&case.id).await.unwrap().unwrap();
        assert_eq!(recorded, detail.case);
        assert_eq!(detail.case.status, status, "{outcome:?}");
        assert_eq!(detail.case.work_order, Some(order("WO-000001")));
        let kept = outcome.filter(|_| status == CaseStatus::Closed);
        assert_eq!(detail.case.outcome, kept, "{outcome:?}");
        let logged: Vec<Event> = detail.events.iter().map(|event| event.kind).collect();
        assert_eq!(logged, [Event::Opened, Event::OrderRaised, event]);
        assert!(cases.pending_advisories().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_advisory_waits_until_its_order_is_recorded() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let case = opened(&cases, &probe("pump-1", "dev-1"), 100, "cavitation").await;
    let waiting = cases.pending_advisories().await.unwrap();
    assert_eq!(waiting, [case.advisory()]);
    assert_eq!(waiting[0].severity, Severity::Warning);
    cases.close().await;

    let cases = open(&path).await.unwrap();
    assert_eq!(cases.pending_advisories().await.unwrap(), waiting);
    let first = cases
        .order_raised(&case.id, &order("WO-000007"), t(1))
        .await
        .unwrap();
    assert!(cases.pending_advisories().await.unwrap().is_empty());
    let second = cases
        .order_raised(&case.id, &order("WO-000007"), t(2))
        .await
        .unwrap();
    assert_eq!(first, second);
    let refused = cases
        .order_raised(&case.id, &order("WO-000008"), t(3))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "case {} already has work order WO-000007, so WO-000008 cannot be recorded on it",
            case.id
        )
    );
}

#[tokio::test]
async fn a_refused_step_names_the_case_and_its_status_and_changes_nothing() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let pump = probe("pump-1", "dev-1");
    let case = opened(&cases, &pump, 100, "cavitation").await;
    let unknown = CaseId::new("C-NONE").unwrap();
    let error = cases.acknowledge(&unknown, "Mei", t(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no case C-NONE");
    for by in ["", "  ", "a\nb"] {
        let error = cases.acknowledge(&case.id, by, t(1)).await.unwrap_err();
        assert!(
            matches!(error, AlertingError::Invalid { field: "by", .. }),
            "{by:?}"
        );
    }
    cases.acknowledge(&case.id, "Mei", t(1)).await.unwrap();
    let before = dump(&cases).await;
    let error = cases.acknowledge(&case.id, "Jo", t(2)).await.unwrap_err();
    assert!(
        error.to_string().ends_with("the case is acknowledged"),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(dump(&cases).await, before);

    cases
        .record(&ended("WO-000001", &pump.asset, Some(&case.id), None, 5))
        .await
        .unwrap();
    let error = cases.acknowledge(&case.id, "Jo", t(6)).await.unwrap_err();
    assert!(error.to_string().ends_with("the case is closed"), "{error}");
    let refused = cases
        .record(&ended("WO-000002", &pump.asset, Some(&unknown), None, 7))
        .await;
    assert!(!refused.unwrap_err().is_transient());
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let pump = probe("pump-1", "dev-1");
    let mut ids = Vec::new();
    for (number, mode) in ["a", "b", "c"].into_iter().enumerate() {
        let device = probe("pump-1", &format!("dev-{number}"));
        ids.push(opened(&cases, &device, 100, mode).await.id);
    }
    ids.push(opened(&cases, &probe("pump-2", "dev-9"), 50, "a").await.id);
    cases
        .record(&ended("WO-000001", &pump.asset, Some(&ids[1]), None, 5))
        .await
        .unwrap();
    cases.acknowledge(&ids[2], "Mei", t(6)).await.unwrap();

    let list = async |query: CaseQuery| -> Vec<CaseId> {
        let found = cases.list(query).await.unwrap();
        found.into_iter().map(|case| case.id).collect()
    };
    let all = CaseQuery::default;
    let newest_first: Vec<CaseId> = ids.iter().rev().cloned().collect();
    assert_eq!(list(all()).await, newest_first);
    for (status, expected) in [
        (StatusFilter::Open, vec![&ids[3], &ids[2], &ids[0]]),
        (StatusFilter::Closed, vec![&ids[1]]),
    ] {
        let found = list(CaseQuery { status, ..all() }).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
    let of_pump = CaseQuery {
        asset: Some(asset("pump-1")),
        ..all()
    };
    assert_eq!(list(of_pump).await, newest_first[1..]);
    let mut paged = Vec::new();
    while let Some(page) = Some(
        list(CaseQuery {
            after: paged.last().cloned(),
            limit: 3,
            ..all()
        })
        .await,
    )
    .filter(|page| !page.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, newest_first);
    let counts = cases.counts().await.unwrap();
    assert_eq!((counts.open, counts.acknowledged, counts.closed), (2, 1, 1));
    assert_eq!(counts.total(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_observers_of_one_alarm_open_one_case() {
    let (_folder, path) = file();
    let shared = open(&path).await.unwrap();
    let other = open(&path).await.unwrap();
    for round in 0..10 {
        let mut tasks = Vec::new();
        for number in 0..8 {
            // Clones of one desk, and a second desk on the same file, as by mistake.
            let cases = if number % 2 == 0 {
                shared.clone()
            } else {
                other.clone()
            };
            // One device told twice, and several devices of the same asset.
            let probe = probe(&format!("pump-{round}"), &format!("dev-{}", number / 4));
            tasks.push(tokio::spawn(async move {
                cases
                    .observe(&[probe.alarm(100, 130, "cavitation", 1.4)])
                    .await
                    .unwrap()
            }));
        }
        let mut changes = Vec::new();
        for task in tasks {
            changes.extend(task.await.unwrap());
        }
        assert_eq!(changes.len(), 1, "round {round}");
        assert_eq!(changes[0].event, Event::Opened);
    }
    assert_eq!(shared.counts().await.unwrap().open, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_reports_of_one_outcome_are_taken_in_once() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    let pump = probe("pump-1", "dev-1");
    let case = opened(&cases, &pump, 100, "cavitation").await;
    let end = ended(
        "WO-000001",
        &pump.asset,
        Some(&case.id),
        Some(Outcome::Deferred),
        5,
    );
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (cases, end) = (cases.clone(), end.clone());
            tokio::spawn(async move { cases.record(&end).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let detail = cases.get(&case.id).await.unwrap().unwrap();
    let deferred = detail
        .events
        .iter()
        .filter(|event| event.kind == Event::OrderDeferred);
    assert_eq!(deferred.count(), 1);
}

#[tokio::test]
async fn the_file_itself_refuses_a_second_open_case() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    opened(&cases, &probe("pump-1", "dev-1"), 100, "cavitation").await;
    let copy =
        "INSERT INTO cases (id, asset, device, failure_mode, signal, severity, status, opened_at,
            updated_at, score, peak_score, scored_at, evidence, forecast_at)
        SELECT 'C-OTHER', asset, device, failure_mode, signal, severity, status, opened_at,
            updated_at, score, peak_score, scored_at, evidence, forecast_at FROM cases";
    let refused = sqlx::query(copy)
        .execute(&cases.inner.write)
        .await
        .unwrap_err();
    assert!(refused.as_database_error().unwrap().is_unique_violation());
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_leaves_all_or_nothing() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    for number in 0..40_u64 {
        let probe = probe(&format!("pump-{number}"), "dev");
        let findings = [
            probe.alarm(100, 130, "cavitation", 1.4),
            probe.health(130, 5.0),
        ];
        let patience = Duration::from_micros(number * 50);
        let first = tokio::time::timeout(patience, cases.observe(&findings)).await;
        let told = first.map_or(0, |changes| changes.unwrap().len());
        let again = cases.observe(&findings).await.unwrap().len();
        assert!(
            (told, again) == (2, 0) || told == 0 && (again == 0 || again == 2),
            "{told} {again}"
        );
        let list = cases.list(CaseQuery {
            asset: Some(probe.asset.clone()),
            ..CaseQuery::default()
        });
        let kept = list.await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].severity, Severity::Critical);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_its_path() {
    let (_folder, path) = file();
    std::fs::write(
        &path,
        "this is no database, and long enough to be looked at as one".repeat(20),
    )
    .unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(error.to_string().contains("alerting.db"), "{error}");
    assert!(!error.is_transient());
}

/// A full disk ends the transaction behind the driver's back. The connection is replaced, so what
/// could not be written is written when there is room again; the limit was one of the old one.
#[tokio::test]
async fn after_the_disk_was_full_cases_are_kept_again() {
    let (_folder, path) = file();
    let cases = open(&path).await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(&cases.inner.write)
        .await
        .unwrap();
    let alarm = |number: i64| {
        let probe = probe(&format!("pump-{number}"), &format!("dev-{number}"));
        probe.alarm(number, number + 1, "cavitation", 2.0)
    };
    let findings: Vec<Finding> = (0..500).map(alarm).collect();
    let error = cases.observe(&findings).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let opened = cases.observe(&findings).await.unwrap();
    assert!(opened.len() >= findings.len(), "{} changes", opened.len());
}

/// What one device of two goes through: (device, seconds on, alarm, score, health).
fn steps() -> impl Strategy<Value = Vec<(usize, i64, bool, f64, f64)>> {
    let step = (
        0..2_usize,
        1..100_i64,
        any::<bool>(),
        0.5..9.0_f64,
        0.0..100.0_f64,
    );
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The file is closed at each crash and opened again, and findings come again from an
    /// earlier point on, cut into other calls than before.
    #[test]
    fn a_crash_and_a_replay_leave_the_file_as_an_uninterrupted_run_does(
        steps in steps(),
        crashes in prop::collection::vec((1..25_usize, 0..25_usize), 1..4),
        calls in prop::collection::vec(1..4_usize, 1..10),
    ) {
        let mut clocks = [0, 40];
        let mut states = [(false, 0); 2];
        let findings: Vec<Vec<Finding>> = steps.into_iter().map(|(which, step, alarm, score, health)| {
            let probe = probe("pump-1", &format!("dev-{which}"));
            clocks[which] += step;
            let at = clocks[which];
            if states[which].0 != alarm {
                states[which] = (alarm, at);
            }
            let since = states[which].1;
            let condition = if alarm { probe.alarm(since, at, "cavitation", score) } else { probe.normal(since, at) };
            vec![condition, probe.health(at, health), probe.forecast(at, score * 1e4, score * 2e4)]
        }).collect();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (whole, broken) = runtime.block_on(async {
            let (_folder, path) = file();
            let cases = open(&path).await.unwrap();
            for row in &findings {
                cases.observe(row).await.unwrap();
            }
            let whole = dump(&cases).await;

            let (_folder, path) = file();
            let mut cases = open(&path).await.unwrap();
            let mut crashes = crashes.into_iter();
            let mut crash = crashes.next();
            let mut calls = calls.iter().cycle();
            let mut next = 0;
            while next < findings.len() {
                let end = findings.len().min(next + calls.next().unwrap());
                cases.observe(&findings[next..end].concat()).await.unwrap();
                next = end;
                if let Some((at, back)) = crash && next >= at {
                    cases.close().await;
                    cases = open(&path).await.unwrap();
                    next = next.saturating_sub(back);
                    crash = crashes.next();
                }
            }
            (whole, dump(&cases).await)
        });
        prop_assert_eq!(whole, broken);
    }
}

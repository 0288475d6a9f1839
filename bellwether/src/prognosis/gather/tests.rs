use std::{fmt::Write as _, time::Duration};

use analytics::prognosis::life::LifeData;
use service::{HistoryKind, HistoryOptions, LivesQuery, ServiceConfig};
use telemetry::{Clock, ManualClock};

use super::*;

const DAY: i64 = 86_400_000_000;

/// Machines of two variants that were installed one after the other, each with a life that ended and
/// one that lasts.
fn tables() -> [(HistoryKind, String); 2] {
    let mut assets = "asset,model,installed_at,variant,size\n".to_owned();
    let mut failures = "asset,at\n".to_owned();
    let at = |days: i64| Timestamp::from_micros(days * DAY).to_string();
    for machine in 0..40 {
        let (variant, lasts) = [("frail", 40), ("sturdy", 90)][machine as usize % 2];
        let installed = machine % 7;
        let _ = writeln!(
            assets,
            "m{machine},fan,{},{variant},{}",
            at(installed),
            machine % 3
        );
        for end in [lasts + machine % 11, 2 * lasts + machine % 13] {
            let _ = writeln!(failures, "m{machine},{}", at(installed + end));
        }
    }
    [
        (HistoryKind::Assets, assets),
        (HistoryKind::Failures, failures),
    ]
}

/// What a running program hears through the journal makes the same row as the archive that the
/// training reads: for every machine, and also of one that has a fact nobody told.
#[tokio::test]
async fn training_and_serving_see_the_same_covariates() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_micros(400 * DAY)));
    let config = ServiceConfig {
        models: Arc::new(crate::models::by_id(None).unwrap()),
        ..ServiceConfig::default()
    };
    let service = Service::open(&folder.path().join("service.db"), config, clock.clone())
        .await
        .unwrap();
    let mut live: BTreeMap<AssetId, Diary> = BTreeMap::new();
    for (kind, csv) in tables() {
        let options = HistoryOptions::default();
        let taken = service.import_history(kind, csv.as_bytes(), &options).await;
        assert!(taken.unwrap().applied);
        let (number, events) = service.untold_history().await.unwrap().unwrap();
        service.history_told(number).await.unwrap();
        for event in events {
            if let Event::Recorded { asset, at, what } = event {
                let diary = live.entry(asset).or_insert_with(|| Diary::new(10));
                diary.hear(at.as_micros(), &what);
            }
        }
    }
    let kind = AssetModelId::new("fan").unwrap();
    let query = LivesQuery {
        model: kind.clone(),
        component: None,
    };
    let recorded = service.lives(&query).await.unwrap();
    let archive = diaries(&service, &kind, &recorded, &[]).await.unwrap();
    let past = past_lives(
        &recorded,
        &archive,
        Duration::from_hours(24).as_secs_f64(),
        clock.now(),
    );
    assert_eq!(past.len(), 80);
    let (data, report) = LifeData::fit(&past, 86_400.0, 1).unwrap();
    assert!(report.with_covariates, "{report:#?}");
    let names = data.covariates.names();
    assert!(
        names.len() >= 4 && names.contains(&"earlier_lives".to_owned()),
        "{names:?}"
    );
    let mut seen = std::collections::BTreeSet::new();
    for life in &past {
        let asset = AssetId::new(&life.asset).unwrap();
        let trained = data.covariates.row(&[&*life.diary], Some(life.began));
        let served = data.covariates.row(&[&live[&asset]], Some(life.began));
        assert_eq!(trained, served, "{asset} {names:?}");
        assert!(trained.iter().all(|value| value.is_finite()), "{trained:?}");
        seen.insert(format!("{trained:?}"));
    }
    assert!(seen.len() > 12, "rows that are all alike prove nothing");
    let nobody = data.covariates.row(&[&Diary::new(10)], None);
    assert!(nobody.iter().all(|value| value.is_nan()), "{nobody:?}");
}

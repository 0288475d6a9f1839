use super::*;
use telemetry::{BoxFuture, Event, JournalRecord, JournalWriter, Offset, PortError, Recorded};

use crate::{HistoryKind, HistoryOptions, HistoryReport, LivesQuery, RecordedLife};

const FAILURES: &str = "asset,at,component\npump-1,1970-01-01T00:20:00Z,seal\n\
                        pump-9,1970-01-01T00:10:00Z,\n";

/// What came of an import, and what it told.
async fn imported(
    service: &Service,
    kind: HistoryKind,
    csv: &[u8],
    options: &HistoryOptions,
) -> Result<(HistoryReport, Vec<Event>), ServiceError> {
    let report = service.import_history(kind, csv, options).await?;
    let journal = Told::default();
    service.tell_history(&journal).await.unwrap();
    let events = journal.0.lock().unwrap().drain(..).collect();
    Ok((report, events))
}

/// A journal that remembers, and refuses while it is broken.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<Event>>, std::sync::atomic::AtomicBool);

impl JournalWriter for Told {
    fn append(&self, record: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(async move {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(PortError::Unavailable {
                    what: "the journal",
                    source: None,
                });
            }
            let mut told = self.0.lock().unwrap();
            told.extend(record.events);
            Ok(Offset(told.len() as u64))
        })
    }
}

/// A service system that knows pumps whose remaining life is forecast.
async fn of_forecast_pumps(bench: &Bench) -> Service {
    let mut model = two_parts();
    model.prognosis = Some(telemetry::PrognosisSpec::default());
    let config = ServiceConfig {
        models: Arc::new(BTreeMap::from([(model.id.clone(), Arc::new(model))])),
        ..ServiceConfig::default()
    };
    let clock = Arc::new(bench.clock.clone());
    Service::open(&bench.path, config, clock).await.unwrap()
}

fn dry() -> HistoryOptions {
    HistoryOptions {
        dry_run: true,
        ..HistoryOptions::default()
    }
}

#[tokio::test]
async fn a_history_is_taken_once_whole_and_not_at_all_when_it_is_only_asked_for() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let (kind, csv) = (HistoryKind::Failures, FAILURES.as_bytes());
    let (asked, events) = imported(&service, kind, csv, &dry()).await.unwrap();
    assert_eq!((asked.applied, asked.new, asked.rows), (false, 2, 2));
    assert_eq!(events, []);
    assert_eq!(service.history(None, 10).await.unwrap(), []);
    let options = HistoryOptions::default();
    let (first, _) = imported(&service, kind, csv, &options).await.unwrap();
    let (again, _) = imported(&service, kind, csv, &options).await.unwrap();
    assert_eq!((first.new, first.unchanged), (2, 0));
    assert_eq!((again.new, again.unchanged), (0, 2));
    let bad = format!("{FAILURES},1970-01-01T00:30:00Z,seal\n");
    let (refused, _) = imported(&service, kind, bad.as_bytes(), &options)
        .await
        .unwrap();
    assert_eq!((refused.applied, refused.errors.len()), (false, 1));
    let kept = service.history(None, 10).await.unwrap();
    let assets: Vec<&str> = kept.iter().map(|record| record.asset.as_str()).collect();
    assert_eq!(assets, ["pump-9", "pump-1"]);
}

/// What was imported and what orders found make one row of lives.
#[tokio::test]
async fn lives_come_from_the_history_and_from_orders() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let assets = "asset,model,installed_at\npump-1,centrifugal-pump,1970-01-01T00:05:00Z\n";
    let options = HistoryOptions::default();
    for (kind, csv) in [
        (HistoryKind::Assets, assets),
        (HistoryKind::Failures, FAILURES),
    ] {
        let report = imported(&service, kind, csv.as_bytes(), &options).await;
        assert_eq!(report.unwrap().0.errors, []);
    }
    let raised = advisory("C-1", "pump-1", Severity::Critical);
    let id = service.submit(&raised).await.unwrap();
    let (mei, none) = (name("Mei"), Note::empty());
    service.approve(&id, &mei, &none).await.unwrap();
    let jo = engineer(&service).await;
    service
        .schedule(&id, &mei, &jo, t(7_000), &none)
        .await
        .unwrap();
    service.start(&id, &mei, &none).await.unwrap();
    bench.clock.set(t(8_500));
    let outcome = Outcome::OtherFaultFound;
    service.complete(&id, &mei, outcome, &none).await.unwrap();
    let mut query = LivesQuery {
        model: AssetModelId::new("centrifugal-pump").unwrap(),
        component: None,
    };
    let lives = service.lives(&query).await.unwrap();
    assert_eq!(lives.len(), 1);
    let life = |from, to: Option<i64>, failed| RecordedLife {
        from: Some(t(from)),
        to: to.map(t),
        failed,
    };
    // The order comes soon after the failure: it is the repair of it.
    assert_eq!(
        lives[0].lives,
        [life(300, Some(1_200), true), life(8_500, None, false)]
    );
    // The failure was of another component.
    query.component = telemetry::ComponentId::new("impeller").ok();
    let lives = service.lives(&query).await.unwrap();
    assert_eq!(lives[0].lives[0], life(300, Some(8_500), false));
}

/// A life of one component ends when that one was mended, by the clock of the machine.
#[tokio::test]
async fn an_order_ends_the_life_of_what_was_mended_when_the_machine_says_so() {
    let bench = Bench::new();
    let model = two_parts();
    let models = BTreeMap::from([(model.id.clone(), Arc::new(model))]);
    let config = ServiceConfig {
        models: Arc::new(models),
        ..ServiceConfig::default()
    };
    let clock = Arc::new(bench.clock.clone());
    let service = Service::open(&bench.path, config, clock).await.unwrap();
    let assets = "asset,model,installed_at\npump-1,centrifugal-pump,1970-01-01T00:05:00Z\n";
    let options = HistoryOptions::default();
    let kind = HistoryKind::Assets;
    imported(&service, kind, assets.as_bytes(), &options)
        .await
        .unwrap();
    let (mei, none) = (name("Mei"), Note::empty());
    let jo = engineer(&service).await;
    for (case, found_mode, done_at) in [
        ("C-1", None, 1_000),
        ("C-2", FailureMode::new("seal-leak").ok(), 2_000),
    ] {
        let id = service
            .submit(&advisory(case, "pump-1", Severity::Critical))
            .await
            .unwrap();
        service.approve(&id, &mei, &none).await.unwrap();
        service
            .schedule(&id, &mei, &jo, t(7_000), &none)
            .await
            .unwrap();
        service.start(&id, &mei, &none).await.unwrap();
        let found = Found {
            failure_mode: found_mode,
            done_at: Some(t(done_at)),
            ..Found::of(Outcome::Confirmed)
        };
        let done = Step::Complete(found);
        service.step(&id, &mei, done, &none).await.unwrap();
    }
    for (of, ends) in [
        (Some("bearing"), vec![1_000]),
        (Some("seal"), vec![2_000]),
        (None, vec![1_000, 2_000]),
    ] {
        let query = LivesQuery {
            model: AssetModelId::new("centrifugal-pump").unwrap(),
            component: of.map(component),
        };
        let lives = service.lives(&query).await.unwrap();
        let ended: Vec<_> = lives[0].lives.iter().filter_map(|life| life.to).collect();
        assert_eq!(ended, ends.into_iter().map(t).collect::<Vec<_>>(), "{of:?}");
    }
}

/// What was said, renewed and known of machines comes back as it was told, once.
#[tokio::test]
async fn what_is_on_record_beside_failures_is_told_once_and_kept() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let options = HistoryOptions::default();
    let files = [
        (
            HistoryKind::Assets,
            "asset,model,year\npump-1,centrifugal-pump,2011\n",
        ),
        (
            HistoryKind::Errors,
            "asset,at,code\npump-1,1970-01-01T00:01:00Z,error3\n",
        ),
        (
            HistoryKind::Maintenance,
            "asset,at,component,action\npump-1,1970-01-01T00:02:00Z,seal,replace\n\
             pump-1,1970-01-01T00:03:00Z,seal,inspect\n",
        ),
    ];
    let mut told = Vec::new();
    for (kind, csv) in files {
        let (_, events) = imported(&service, kind, csv.as_bytes(), &options)
            .await
            .unwrap();
        told.extend(events);
        let again = imported(&service, kind, csv.as_bytes(), &options).await;
        assert_eq!(again.unwrap().1, []);
    }
    let told: Vec<_> = told
        .into_iter()
        .filter_map(|event| match event {
            Event::Recorded { at, what, .. } => Some((at, what)),
            _ => None,
        })
        .collect();
    let code = Recorded::Code {
        code: "error3".to_owned(),
    };
    let renewed = Recorded::Renewed {
        component: "seal".to_owned(),
    };
    assert_eq!(
        told[1..],
        [(t(60), code.clone()), (t(120), renewed.clone())]
    );
    let kind = AssetModelId::new("centrifugal-pump").unwrap();
    let kept = service.recorded(&kind).await.unwrap();
    let kept: Vec<_> = kept.into_iter().map(|(_, _, what)| what).collect();
    assert_eq!(kept[1..], [code, renewed]);
    assert!(matches!(&kept[0], Recorded::Facts { facts } if facts["year"] == "2011"));
}

/// A pump of which two parts fail, each in its own way.
fn two_parts() -> telemetry::AssetModel {
    let mut model = telemetry::AssetModel::new(
        AssetModelId::new("centrifugal-pump").unwrap(),
        "Pump",
        "泵",
        Vec::new(),
    );
    for (id, mode) in [("bearing", "bearing-wear"), ("seal", "seal-leak")] {
        model.components.push(telemetry::Component {
            id: component(id),
            name_en: id.to_owned(),
            name_zh: id.to_owned(),
            weight: 1.0,
        });
        let mode = FailureMode::new(mode).unwrap();
        model.failure_modes.push(telemetry::FailureModeSignature {
            component: Some(component(id)),
            ..telemetry::FailureModeSignature::new(mode, id, id, Vec::new())
        });
    }
    model
}

fn component(id: &str) -> telemetry::ComponentId {
    telemetry::ComponentId::new(id).unwrap()
}

/// What tells lives apart is told to those who watch: when a machine was installed, and the ends of
/// its lives, each once.
#[tokio::test]
async fn an_import_tells_when_machines_were_installed_and_when_their_lives_ended() {
    let bench = Bench::new();
    let service = of_forecast_pumps(&bench).await;
    let options = HistoryOptions::default();
    let assets = "asset,model,installed_at\npump-1,centrifugal-pump,1970-01-01T00:05:00Z\n";
    let take = async |kind, csv: &str| {
        let taken = imported(&service, kind, csv.as_bytes(), &options).await;
        taken.unwrap().1
    };
    let told = take(HistoryKind::Assets, assets).await;
    let facts = told.iter().find_map(|event| match event {
        Event::Recorded {
            what: Recorded::Facts { facts },
            ..
        } => Some(facts.clone()),
        _ => None,
    });
    assert_eq!(
        facts.unwrap()[telemetry::INSTALLED_AT],
        "1970-01-01T00:05:00Z"
    );
    let ends = |events: &[Event]| -> Vec<Timestamp> {
        let end = |event: &Event| match event {
            Event::Recorded {
                at,
                what: Recorded::LifeEnded,
                ..
            } => Some(*at),
            _ => None,
        };
        events.iter().filter_map(end).collect()
    };
    assert_eq!(ends(&told), []);
    let failures = "asset,at\npump-1,1970-01-01T00:20:00Z\n";
    assert_eq!(
        ends(&take(HistoryKind::Failures, failures).await),
        [t(1_200)]
    );
    let more = "asset,at\npump-1,1970-01-01T00:20:00Z\npump-1,1970-01-01T00:40:00Z\n";
    assert_eq!(ends(&take(HistoryKind::Failures, more).await), [t(2_400)]);
    // Nobody keeps this machine, so after its last failure it does not live on.
    let query = LivesQuery {
        model: AssetModelId::new("centrifugal-pump").unwrap(),
        component: None,
    };
    let lives = service.lives(&query).await.unwrap();
    let ended: Vec<_> = lives[0].lives.iter().map(|life| life.to).collect();
    assert_eq!(ended, [Some(t(1_200)), Some(t(2_400))]);
}

/// A program that dies when the database has an import and the journal has not, and one whose
/// journal refuses, lose nothing of what it tells.
#[tokio::test]
async fn what_an_import_has_to_tell_outlives_the_program() {
    let bench = Bench::new();
    let options = HistoryOptions::default();
    let assets = "asset,model,installed_at\npump-1,centrifugal-pump,1970-01-01T00:05:00Z\n";
    let errors = "asset,at,code\npump-1,1970-01-01T00:10:00Z,error3\n";
    let journal = Told::default();
    let service = of_forecast_pumps(&bench).await;
    // The import is committed, and nobody tells the journal: the program ends here.
    let (kind, csv) = (HistoryKind::Assets, assets.as_bytes());
    assert!(
        service
            .import_history(kind, csv, &options)
            .await
            .unwrap()
            .applied
    );
    service.close().await;
    let service = of_forecast_pumps(&bench).await;
    let (kind, csv) = (HistoryKind::Errors, errors.as_bytes());
    assert!(
        service
            .import_history(kind, csv, &options)
            .await
            .unwrap()
            .applied
    );
    journal.1.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(service.tell_history(&journal).await.is_err());
    journal.1.store(false, std::sync::atomic::Ordering::Relaxed);
    service.tell_history(&journal).await.unwrap();
    let told = |journal: &Told| -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::Recorded {
                what: Recorded::Facts { .. },
                ..
            } => "facts",
            Event::Recorded {
                what: Recorded::Code { .. },
                ..
            } => "code",
            Event::LifeBegan { .. } => "began",
            _ => "other",
        };
        journal.0.lock().unwrap().iter().map(word).collect()
    };
    assert_eq!(told(&journal), ["facts", "began", "code"]);
    // All is told: another look, and the same file again, tell nothing more.
    service.tell_history(&journal).await.unwrap();
    assert_eq!(imported(&service, kind, csv, &options).await.unwrap().1, []);
    assert_eq!(told(&journal).len(), 3);
}

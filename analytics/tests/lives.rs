//! The course of a life and the model that looks ahead, seen from outside, with a model that
//! only counts.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

use std::{collections::BTreeMap, sync::Arc};

use analytics::{
    Assignment, Config, Fleet,
    prognosis::{
        cycles::CycleSpec,
        diary::Diary,
        lives::CycleRow,
        moment::Moment,
        serving::{Forecaster, ModelId, Outlook},
    },
};
use telemetry::{
    AssetId, AssetModel, AssetModelId, ComponentId, DeviceId, Event, FailureMode,
    FailureModeSignature, Finding, ForecastDetail, JournalRecord, Outcome, Prognosis,
    PrognosisFamily, PrognosisOutcome, PrognosisSpec, ReadingBatch, Recorded, SignalName,
    SignalSpec, Timestamp, Unit, WorkOrderId,
};

const HOUR: i64 = 3_600;

/// Says that a life lasts a hundred cycles; its state is the age, and whether that is known.
#[derive(Debug)]
struct Hundred {
    id: ModelId,
    cycles: CycleSpec,
}

impl Hundred {
    fn version(version: u32) -> Arc<dyn Forecaster> {
        Arc::new(Self {
            id: ModelId {
                asset_model: kind(),
                version,
                checksum: format!("{version:064}"),
            },
            cycles: CycleSpec::of(&model()).unwrap(),
        })
    }
}

impl Forecaster for Hundred {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn cycles(&self) -> &CycleSpec {
        &self.cycles
    }

    fn start(&self, age: Option<f64>) -> Vec<u8> {
        vec![0, u8::from(age.is_some())]
    }

    fn push(&self, state: &mut Vec<u8>, row: &CycleRow) {
        assert_eq!(row.values.len(), 1);
        state[0] += 1;
    }

    fn outlook(&self, state: &[u8], cycle_s: f64, _: &Moment<'_>) -> Option<Outlook> {
        let left = f64::from(100 - state[0]) * cycle_s;
        let notes = if state[1] == 0 {
            &["window_only"][..]
        } else {
            &[]
        };
        (state[0] >= 3).then(|| Outlook {
            family: PrognosisFamily::Fleet,
            quantiles_s: [left * 0.9, left, left * 1.1],
            detail: ForecastDetail {
                notes: notes.iter().map(|note| (*note).to_owned()).collect(),
                ..ForecastDetail::default()
            },
        })
    }

    fn explain(&self, state: &[u8], _: f64, detail: &mut ForecastDetail) {
        detail.contributions.push(telemetry::ForecastContribution {
            feature: "age".to_owned(),
            rul_s: -f64::from(state[0]),
        });
    }
}

fn kind() -> AssetModelId {
    AssetModelId::new("grinder").unwrap()
}

fn model() -> AssetModel {
    let vibration = SignalSpec {
        name: SignalName::new("vibration_mm_s").unwrap(),
        unit: Unit::parse("mm/s").unwrap(),
        label_en: "Vibration".to_owned(),
        label_zh: "振动".to_owned(),
        limits: telemetry::SignalLimits::default(),
        range: None,
        counter: false,
    };
    AssetModel {
        prognosis: Some(PrognosisSpec::default()),
        ..AssetModel::new(kind(), "Grinder", "磨床", vec![vibration])
    }
}

fn asset() -> AssetId {
    AssetId::new("grinder-1").unwrap()
}

/// A row each ten minutes of some hours.
fn hours(range: std::ops::Range<i64>) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    let device = readings.device(&DeviceId::new("grinder-1").unwrap());
    let signal = readings.signal(&SignalName::new("vibration_mm_s").unwrap());
    for row in range.start * 6..range.end * 6 {
        readings.push_value(signal, 2.0 + ((row * 7_919) % 101) as f64 / 500.0);
        let at = Timestamp::from_secs(row * 600);
        readings.finish_row(device, at, at);
    }
    JournalRecord {
        readings,
        ..JournalRecord::default()
    }
}

fn event(event: Event) -> JournalRecord {
    JournalRecord {
        events: vec![event],
        ..JournalRecord::default()
    }
}

fn began(at_h: i64) -> JournalRecord {
    event(Event::LifeBegan {
        asset: asset(),
        at: Timestamp::from_secs(at_h * HOUR),
    })
}

fn fleet(cycles_kept: u32) -> Fleet {
    let config = Config {
        learning_rows: 100,
        cycles_kept,
        ..Config::default()
    };
    Fleet::new(config).unwrap()
}

/// What was told of remaining life.
fn apply(fleet: &mut Fleet, record: &JournalRecord) -> Vec<PrognosisOutcome> {
    let model = Arc::new(model());
    let mut findings = Vec::new();
    let mut assign = |_: &DeviceId| {
        Some(Assignment {
            asset: asset(),
            model: Some(Arc::clone(&model)),
        })
    };
    fleet.apply(record, &mut assign, &mut findings);
    let told = findings.into_iter().filter_map(|finding| match finding {
        Finding::Prognosis(outcome) => Some(outcome),
        _ => None,
    });
    told.collect()
}

fn last(told: &[PrognosisOutcome]) -> &Prognosis {
    let forecast = told.iter().rev().find_map(|outcome| match outcome {
        PrognosisOutcome::Forecast(forecast) => Some(forecast),
        PrognosisOutcome::None(_) => None,
    });
    forecast.expect("a forecast")
}

#[test]
fn a_promoted_model_is_shown_the_life_from_its_beginning_and_speaks_instead_of_the_trend() {
    let (mut early, mut late) = (fleet(512), fleet(512));
    early.serve(&kind(), Some(Hundred::version(1)));
    let mut said = Vec::new();
    for fleet in [&mut early, &mut late] {
        apply(fleet, &began(0));
        said = apply(fleet, &hours(0..40));
    }
    assert!(
        said.iter()
            .all(|one| matches!(one, PrognosisOutcome::None(_)))
    );
    late.serve(&kind(), Some(Hundred::version(1)));
    let (from_the_start, since) = (
        apply(&mut early, &hours(40..65)),
        apply(&mut late, &hours(40..65)),
    );
    let ends = |told: &[PrognosisOutcome]| {
        let forecast = last(told);
        forecast.date_of(forecast.rul_p50_s).as_secs_f64()
    };
    assert!((ends(&from_the_start) - ends(&since)).abs() < 60.0);
    let forecast = last(&since);
    assert_eq!(
        (forecast.family, forecast.limit),
        (PrognosisFamily::Fleet, None)
    );
    assert_eq!(forecast.model, "grinder/1");
    assert_eq!(forecast.detail.notes, [""; 0]);
    // What is told is what stands, and it was explained.
    assert_eq!(forecast.detail.contributions.len(), 1);
    let view = late.latest(&asset()).unwrap();
    assert_eq!(view.devices[0].prognosis.as_ref(), since.last());
    // A life of a hundred cycles of an hour, whose last cycle is over at the next hour.
    let ends_h = forecast.date_of(forecast.rul_p50_s).as_secs_f64() / HOUR as f64;
    assert!((ends_h - 100.0).abs() < 1.0, "{ends_h}");
}

#[test]
fn a_life_whose_beginning_is_unknown_or_forgotten_is_forecast_from_windows() {
    let mut unknown = fleet(512);
    unknown.serve(&kind(), Some(Hundred::version(1)));
    let told = apply(&mut unknown, &hours(0..40));
    assert_eq!(last(&told).detail.notes, ["window_only"]);
    let mut forgetful = fleet(10);
    apply(&mut forgetful, &began(0));
    apply(&mut forgetful, &hours(0..40));
    forgetful.serve(&kind(), Some(Hundred::version(1)));
    let told = apply(&mut forgetful, &hours(40..45));
    assert_eq!(last(&told).detail.notes, ["window_only"]);
}

#[test]
fn a_repair_starts_a_new_life_and_an_inspection_does_not() {
    for (outcome, age_h) in [(Outcome::Confirmed, 0), (Outcome::NoFaultFound, 40)] {
        let mut fleet = fleet(512);
        fleet.serve(&kind(), Some(Hundred::version(1)));
        apply(&mut fleet, &began(0));
        apply(&mut fleet, &hours(0..40));
        let closed = Event::WorkOrderClosed {
            asset: asset(),
            case: None,
            work_order: WorkOrderId::new("WO-000001").unwrap(),
            outcome,
            failure_mode: None,
            part: None,
            at: Timestamp::from_secs(40 * HOUR),
        };
        apply(&mut fleet, &event(closed));
        let told = apply(&mut fleet, &hours(40..70));
        let forecast = last(&told);
        let lived_h = forecast.at.as_secs_f64() / HOUR as f64 - 40.0 + f64::from(age_h);
        let left_h = forecast.rul_p50_s / HOUR as f64;
        assert!(
            (lived_h + left_h - 100.0).abs() < 1.5,
            "{outcome}: {lived_h} {left_h}"
        );
    }
}

/// The model says whose life it looks at; mending another component ends no life of that one.
#[test]
fn a_repair_of_another_component_leaves_the_life_as_it_is() {
    let part = |id: &str| telemetry::Component {
        id: ComponentId::new(id).unwrap(),
        name_en: id.to_owned(),
        name_zh: id.to_owned(),
        weight: 1.0,
    };
    let mode = |mode: &str, component: Option<&str>| FailureModeSignature {
        component: component.map(|id| ComponentId::new(id).unwrap()),
        ..FailureModeSignature::new(FailureMode::new(mode).unwrap(), mode, mode, Vec::new())
    };
    let mut of_wheel = model();
    of_wheel.components = vec![part("wheel"), part("belt")];
    of_wheel.failure_modes = vec![
        mode("worn-wheel", Some("wheel")),
        mode("slack-belt", Some("belt")),
        mode("loose-base", None),
    ];
    of_wheel.prognosis.as_mut().unwrap().component = ComponentId::new("wheel").ok();
    let of_wheel = Arc::new(of_wheel);
    for (found, cycles_left) in [
        (Some("worn-wheel"), 0),
        (Some("slack-belt"), 39),
        (Some("loose-base"), 0),
        (None, 0),
    ] {
        let mut fleet = fleet(512);
        let mut apply = |record: &JournalRecord| {
            let mut assign = |_: &DeviceId| {
                Some(Assignment {
                    asset: asset(),
                    model: Some(Arc::clone(&of_wheel)),
                })
            };
            fleet.apply(record, &mut assign, &mut Vec::new());
        };
        apply(&hours(0..40));
        apply(&event(Event::WorkOrderClosed {
            asset: asset(),
            case: None,
            work_order: WorkOrderId::new("WO-000001").unwrap(),
            outcome: Outcome::Confirmed,
            failure_mode: found.map(|mode| FailureMode::new(mode).unwrap()),
            part: None,
            at: Timestamp::EPOCH,
        }));
        let kept: usize = fleet
            .lives(&asset())
            .iter()
            .map(|life| life.cycles.len())
            .sum();
        assert_eq!(kept, cycles_left, "{found:?}");
    }
}

/// Rows that were measured before the life began belong to the life before.
#[test]
fn a_beginning_that_is_told_late_cuts_the_course() {
    let mut fleet = fleet(512);
    apply(&mut fleet, &hours(0..40));
    apply(&mut fleet, &began(30));
    let lives = fleet.lives(&asset());
    assert_eq!(lives[0].age, Some(0.0));
    assert!(lives[0].cycles.len() <= 10 && lives[0].cycles[0].from >= 30 * HOUR * 1_000_000);
}

/// Whatever order the saved parts come back in.
#[test]
fn a_fleet_that_is_saved_and_restored_goes_on_bit_for_bit() {
    let mut straight = fleet(512);
    straight.serve(&kind(), Some(Hundred::version(1)));
    let mut saved: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    apply(&mut straight, &began(0));
    for hour in 0..30 {
        // Not at the end of a cycle.
        apply(&mut straight, &hours(hour..hour + 1));
        saved.extend(straight.take_dirty().unwrap());
    }
    assert_eq!(saved.len(), 3, "{:?}", saved.keys());
    let (mut forth, mut back) = (fleet(512), fleet(512));
    for (key, bytes) in &saved {
        forth.restore(key, bytes).unwrap();
    }
    for (key, bytes) in saved.iter().rev() {
        back.restore(key, bytes).unwrap();
    }
    let rest = hours(30..70);
    let expected = apply(&mut straight, &rest);
    assert!(!expected.is_empty());
    for fleet in [&mut forth, &mut back] {
        fleet.serve(&kind(), Some(Hundred::version(1)));
        assert_eq!(apply(fleet, &rest), expected);
        assert_eq!(fleet.latest(&asset()), straight.latest(&asset()));
        assert_eq!(
            fleet.lives(&asset())[0].cycles,
            straight.lives(&asset())[0].cycles
        );
    }
}

#[test]
fn a_rollback_lets_the_earlier_version_speak_at_the_next_cycle() {
    let mut fleet = fleet(512);
    fleet.serve(&kind(), Some(Hundred::version(2)));
    apply(&mut fleet, &hours(0..20));
    fleet.serve(&kind(), Some(Hundred::version(1)));
    let told = apply(&mut fleet, &hours(20..23));
    assert_eq!(last(&told).model, "grinder/1");
    fleet.serve(&kind(), None);
    let told = apply(&mut fleet, &hours(23..60));
    let trained = |one: &&PrognosisOutcome| matches!(one, PrognosisOutcome::Forecast(forecast) if forecast.detail.version.is_some());
    assert_eq!(told.iter().find(trained), None);
}

/// An imported failure renewed the machine: what was normal for the old one is none of the new.
#[test]
fn a_new_life_has_a_new_normal_and_one_that_began_before_the_normal_keeps_it() {
    let mut fleet = fleet(512);
    apply(&mut fleet, &hours(0..40));
    assert_eq!(fleet.stats().learning, 0);
    // Installed before it was ever measured: nothing of the normal is another machine's.
    apply(&mut fleet, &began(0));
    assert_eq!(fleet.stats().learning, 0);
    apply(&mut fleet, &began(39));
    assert_eq!(fleet.stats().learning, 1);
    apply(&mut fleet, &hours(40..60));
    assert_eq!(fleet.stats().learning, 0);
    // Heard again, as after a second import.
    apply(&mut fleet, &began(39));
    assert_eq!(fleet.stats().learning, 0);
}

/// Notes how many codes it is shown, and when the seal was renewed.
#[derive(Debug)]
struct Listening(Arc<dyn Forecaster>);

impl Forecaster for Listening {
    fn id(&self) -> &ModelId {
        self.0.id()
    }

    fn cycles(&self) -> &CycleSpec {
        self.0.cycles()
    }

    fn start(&self, age: Option<f64>) -> Vec<u8> {
        self.0.start(age)
    }

    fn push(&self, state: &mut Vec<u8>, row: &CycleRow) {
        self.0.push(state, row);
    }

    fn outlook(&self, state: &[u8], cycle_s: f64, moment: &Moment<'_>) -> Option<Outlook> {
        let mut outlook = self.0.outlook(state, cycle_s, moment)?;
        let codes = |diary: &&Diary| diary.codes(i64::MIN, moment.at).count();
        outlook.detail.notes = vec![
            format!("codes {}", moment.diaries.iter().map(codes).sum::<usize>()),
            format!(
                "cycles {:?}",
                moment.counters.map(|counters| counters.cycles)
            ),
        ];
        Some(outlook)
    }

    fn explain(&self, _: &[u8], _: f64, _: &mut ForecastDetail) {}
}

/// Codes come from the records of another system and from a signal of the device itself, also of
/// a machine that has not been heard before, and over a restart.
#[test]
fn what_is_written_about_a_machine_reaches_the_model() {
    let recorded = |at_h: i64| {
        event(Event::Recorded {
            asset: asset(),
            at: Timestamp::from_secs(at_h * HOUR),
            what: Recorded::Code {
                code: "error3".to_owned(),
            },
        })
    };
    let mut whole = fleet(512);
    let mut cut = fleet(512);
    let listening = || -> Arc<dyn Forecaster> { Arc::new(Listening(Hundred::version(1))) };
    let mut saved: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for fleet in [&mut whole, &mut cut] {
        fleet.serve(&kind(), Some(listening()));
        apply(fleet, &recorded(1));
        apply(fleet, &began(0));
        apply(fleet, &hours(0..8));
        apply(fleet, &recorded(9));
        apply(fleet, &recorded(9));
        saved = fleet.take_dirty().unwrap().into_iter().collect();
    }
    let mut restored = fleet(512);
    restored.serve(&kind(), Some(listening()));
    for (key, bytes) in &saved {
        restored.restore(key, bytes).unwrap();
    }
    let told = apply(&mut whole, &hours(8..40));
    assert_eq!(apply(&mut restored, &hours(8..40)), told);
    let notes = &last(&told).detail.notes;
    assert_eq!(notes[0], "codes 2");
    assert!(notes[1].starts_with("cycles Some("), "{notes:?}");
}

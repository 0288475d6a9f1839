use std::sync::Arc;

use telemetry::{PrognosisFamily, Shown, SignalName};

use super::*;
use crate::prognosis::{
    diary::{Diary, LIVE_CODES},
    lives::CycleRow,
    moment::{Moment, Past},
    serving::{Forecaster, ModelId},
};

/// Nothing is known beside the rows.
const NOTHING: Moment<'static> = Moment {
    at: 0,
    began: None,
    counters: None,
    recent: &[],
    diaries: &[],
};

fn material(lives: Vec<Life>) -> Material {
    let names = ["vibration", "repair_code"].map(|name| SignalName::new(name).unwrap());
    Material {
        cycles: CycleSpec {
            cycle_s: 3_600.0,
            settings: Vec::new(),
            signals: names.to_vec(),
            starts: None,
            codes: Vec::new(),
        },
        component: None,
        horizons_s: vec![86_400.0],
        cap: 125.0,
        lives,
        watched: Vec::new(),
        records: Vec::new(),
        cycle_s: 3_600.0,
        fleet: FleetConfig {
            ensembles: 1,
            kernel_features: 32,
            folds: 3,
            ..FleetConfig::default()
        },
        seed: 1,
    }
}

/// Seven machines whose vibration rises with the fourth power of age, to six times its
/// level at the end.
fn wearing() -> Material {
    let life = |asset: u32| {
        let length = 60 + 9 * asset;
        let row = |row: u32| {
            let age = f64::from(row) / f64::from(length);
            let noise = f64::from((row * 7_919 + asset * 31) % 101) / 500.0;
            CycleRow {
                settings: Vec::new(),
                values: vec![1.0 + 5.0 * age.powi(4) + noise, 20.0 + noise],
            }
        };
        Life {
            asset: asset.to_string(),
            age: Some(0.0),
            rows: (0..length).map(row).collect(),
            end: LifeEnd::Failed,
        }
    };
    Material {
        cap: 40.0,
        ..material((0..7).map(life).collect())
    }
}

#[test]
fn a_model_comes_back_from_its_bytes_and_serves_what_it_learned() {
    let material = wearing();
    let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let again = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let bytes = trained.model.encode().unwrap();
    assert_eq!(bytes, again.model.encode().unwrap());
    let model = TrainedModel::decode(&bytes).unwrap();
    assert_eq!(model, trained.model);
    assert!(trained.rmse < 0.5 * trained.baseline_rmse, "{trained:?}");
    let id = ModelId {
        asset_model: telemetry::AssetModelId::new("grinder").unwrap(),
        version: 1,
        checksum: String::new(),
    };
    let serving = Serving::new(id, model);
    let life = &material.lives[3];
    let mut state = serving.start(Some(0.0));
    let end = life.rows.len() - 10;
    for row in &life.rows[..end] {
        serving.push(&mut state, row);
    }
    let mut outlook = serving.outlook(&state, 7_200.0, &NOTHING).unwrap();
    let [low, middle, high] = outlook.quantiles_s.map(|rul_s| rul_s / 7_200.0);
    assert!(
        low <= middle && middle <= high && (2.0..20.0).contains(&middle),
        "{middle}"
    );
    // Six lives are too few for a probability.
    let within = &outlook.detail.within[0];
    assert_eq!((within.probability, within.shown), (None, Shown::Rank));
    assert!(
        within.reason.is_some() && within.rank > Some(0.5),
        "{within:?}"
    );
    serving.explain(&state, 7_200.0, &mut outlook.detail);
    assert!(!outlook.detail.contributions.is_empty() && !outlook.detail.similar.is_empty());
    // Bytes of nobody's state start over with an unknown age.
    let mut foreign = vec![0xff; 3];
    serving.push(&mut foreign, &life.rows[0]);
    assert_eq!(serving.outlook(&foreign, 7_200.0, &NOTHING), None);
}

/// A code that somebody enters when the machine has failed tells nothing before.
#[test]
fn a_signal_that_is_known_because_of_the_failure_is_refused_by_name() {
    let life = |asset: u32| Life {
        asset: asset.to_string(),
        age: Some(0.0),
        rows: (0..40)
            .map(|row| CycleRow {
                settings: Vec::new(),
                values: vec![f64::from(row), if row == 39 { 7.0 } else { f64::NAN }],
            })
            .collect(),
        end: LifeEnd::Failed,
    };
    let refused = TrainedModel::fit(&material((0..6).map(life).collect()), &mut |_| {
        ControlFlow::Continue(())
    });
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("repair_code"), "{message}");
    assert!(message.contains("because of the failure"), "{message}");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    assert!(TrainedModel::decode(b"").is_err());
    assert!(TrainedModel::decode(&[0xff; 64]).is_err());
}

const HOUR: i64 = 3_600_000_000;

/// Thirty machines that wear without a sign: two hours to five before the end they say a code,
/// and now and then another one that means nothing.
fn telling() -> Material {
    let (mut lives, mut watched) = (Vec::new(), Vec::new());
    for asset in 0..30_i64 {
        let length = 40 + (asset * 7_919) % 37;
        let row = |row: i64| CycleRow {
            settings: Vec::new(),
            values: vec![((row * 31 + asset * 17) % 101) as f64 / 100.0, 20.0],
        };
        lives.push(Life {
            asset: asset.to_string(),
            age: Some(0.0),
            rows: (0..length).map(row).collect(),
            end: LifeEnd::Failed,
        });
        let mut diary = Diary::new(LIVE_CODES);
        diary.code(HOUR, "idle");
        diary.code((5 + asset % 20) * HOUR, "idle");
        diary.code((length - 2 - asset % 4) * HOUR, "dying");
        watched.push(Watched {
            began: Some(0),
            ends: (1..=length).map(|cycle| cycle * HOUR).collect(),
            starts: vec![0; length as usize],
            failed_at: Some(length * HOUR + HOUR / 2),
            known_until: length * HOUR,
            diary: Arc::new(diary),
        });
    }
    Material {
        cap: 40.0,
        horizons_s: vec![5.0 * 3_600.0],
        watched,
        ..material(lives)
    }
}

/// What is within five hours of the end after each cycle of a life, as it is served.
fn served(serving: &Serving, material: &Material, life: usize) -> Vec<telemetry::FailureWithin> {
    let watched = &material.watched[life];
    let mut state = serving.start(Some(0.0));
    let rows = &material.lives[life].rows;
    let means: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| row.values.iter().map(|value| *value as f32).collect())
        .collect();
    let past: Vec<Past<'_>> = watched
        .ends
        .iter()
        .zip(&means)
        .map(|(at, values)| Past { at: *at, values })
        .collect();
    let mut told = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        serving.push(&mut state, row);
        let moment = Moment {
            at: watched.ends[index],
            began: Some(0),
            counters: None,
            recent: &past[index.saturating_sub(31)..=index],
            diaries: &[&watched.diary],
        };
        if let Some(outlook) = serving.outlook(&state, 3_600.0, &moment) {
            told.push(outlook.detail.within[0].clone());
        }
    }
    told
}

#[test]
fn what_codes_tell_of_failure_serves_where_measurements_tell_nothing() {
    let material = telling();
    let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let contest = &trained.contests[0];
    assert_eq!(contest.family, PrognosisFamily::Classifier, "{contest:?}");
    assert!(contest.brier_classifier < contest.brier_distribution.map(|b| 0.7 * b));
    let model = TrainedModel::decode(&trained.model.encode().unwrap()).unwrap();
    let id = ModelId {
        asset_model: telemetry::AssetModelId::new("grinder").unwrap(),
        version: 1,
        checksum: String::new(),
    };
    let serving = Serving::new(id, model);
    let told = served(&serving, &material, 3);
    let (before, last) = (&told[told.len() - 12], &told[told.len() - 1]);
    assert_eq!(last.family, Some(PrognosisFamily::Classifier));
    assert_eq!(last.shown, Shown::Calibrated, "{last:?}");
    assert!(
        last.probability > Some(0.6) && before.probability < Some(0.25),
        "{before:?} {last:?}"
    );
    // Without the diary it knows no more than the base rate does.
    let mut deaf = material.clone();
    deaf.watched[3].diary = Arc::new(Diary::new(LIVE_CODES));
    let deaf = served(&serving, &deaf, 3);
    assert!(deaf.last().unwrap().probability < Some(0.5), "{deaf:?}");
}

#[test]
fn without_records_the_distribution_serves_alone() {
    let mut material = telling();
    for watched in &mut material.watched {
        watched.diary = Arc::new(Diary::new(LIVE_CODES));
    }
    let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(trained.contests.is_empty());
}

/// Codes that are written only when the machine has failed are known to no row before: they help no
/// more than if nobody had written them.
#[test]
fn a_code_of_the_failure_itself_teaches_nothing() {
    let [with, without] = [true, false].map(|is_written| {
        let mut material = telling();
        for watched in &mut material.watched {
            let mut diary = Diary::new(LIVE_CODES);
            diary.code(HOUR, "idle");
            if is_written {
                diary.code(watched.failed_at.unwrap(), "dead");
            }
            watched.diary = Arc::new(diary);
        }
        let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
        trained.contests[0].brier_classifier.unwrap()
    });
    assert!((with - without).abs() < 0.002, "{with} {without}");
}

/// A hundred and twenty machines on record and no measurement of any: the sturdy ones last twice as
/// long.
fn only_orders() -> Material {
    let past = |at: u32| {
        let is_frail = at.is_multiple_of(2);
        let word = if is_frail { "frail" } else { "sturdy" };
        let facts = [("variant".to_owned(), word.to_owned())];
        let mut diary = Diary::new(LIVE_CODES);
        let facts = facts.into_iter().collect();
        diary.hear(0, &telemetry::Recorded::Facts { facts });
        let usual = if is_frail { 400.0_f64 } else { 800.0 };
        // Weibull by inversion at sixty even levels a kind, shape 3.
        let level = (f64::from(at / 2 * 17 % 60) + 0.5) / 60.0;
        PastLife {
            asset: format!("m{at}"),
            began: 0,
            duration: usual * (-(1.0 - level).ln()).cbrt(),
            failed: true,
            watchable: 3_000.0,
            diary: Arc::new(diary),
        }
    };
    Material {
        horizons_s: vec![300.0 * 3_600.0],
        records: (0..120).map(past).collect(),
        ..material(Vec::new())
    }
}

#[test]
fn orders_alone_make_a_model_and_a_frail_machine_is_foreseen_to_fail_sooner() {
    let material = only_orders();
    let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let report = trained.life.unwrap();
    assert!(
        report.with_covariates && trained.fleet_problem.is_some(),
        "{report:?}"
    );
    assert!(
        trained.rmse < trained.baseline_rmse,
        "{} {}",
        trained.rmse,
        trained.baseline_rmse
    );
    let model = TrainedModel::decode(&trained.model.encode().unwrap()).unwrap();
    assert_eq!(
        (&model, model.features()),
        (&trained.model, vec!["variant is sturdy".to_owned()])
    );
    assert_eq!(model.served(), Served::Probability);
    let id = ModelId {
        asset_model: telemetry::AssetModelId::new("grinder").unwrap(),
        version: 1,
        checksum: String::new(),
    };
    let serving = Serving::new(id, model);
    // A hundred hours old; the calendar counts, whatever the pace of cycles is.
    let outlook = |at: usize, began: Option<i64>| {
        let moment = Moment {
            at: 100 * 3_600_000_000,
            began,
            diaries: &[&*material.records[at].diary],
            ..NOTHING
        };
        serving.outlook(&serving.start(Some(0.0)), 9_999.0, &moment)
    };
    let (frail, sturdy) = (outlook(0, Some(0)).unwrap(), outlook(1, Some(0)).unwrap());
    assert_eq!(frail.family, PrognosisFamily::LifeData);
    assert!(
        2.0 * frail.quantiles_s[1] < sturdy.quantiles_s[1] * 1.2,
        "{frail:?} {sturdy:?}"
    );
    let probability = |outlook: &crate::prognosis::serving::Outlook| {
        outlook.detail.within[0].probability.unwrap()
    };
    assert!(
        probability(&frail) > 2.0 * probability(&sturdy),
        "{frail:?} {sturdy:?}"
    );
    let why = &frail.detail.contributions[0];
    assert!(
        why.feature == "record/variant is sturdy" && why.rul_s < 0.0,
        "{why:?}"
    );
    assert_eq!(outlook(0, None), None);
}

#[test]
fn a_model_of_the_format_before_still_serves_as_it_did() {
    let records = only_orders().records.into_iter();
    let material = Material {
        records: records
            .map(|life| PastLife {
                duration: life.duration / 6.0,
                ..life
            })
            .collect(),
        ..wearing()
    };
    let model = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(()))
        .unwrap()
        .model;
    let plain: Vec<_> = material
        .records
        .iter()
        .map(|life| crate::prognosis::life::LifeRecord {
            entered: 0.0,
            duration: life.duration,
            failed: true,
            covariates: Vec::new(),
        })
        .collect();
    let config = crate::prognosis::life::LifeConfig::default();
    let life = crate::prognosis::life::LifeModel::fit(&[], &plain, &config).unwrap();
    let old = super::file::BeforeCovariates {
        format: 2,
        cycles: model.cycles.clone(),
        component: None,
        horizons_s: model.horizons_s.clone(),
        fleet: model.fleet.clone().unwrap(),
        life: Some(life.clone()),
        warnings: None,
        doubt: model.doubt.clone(),
        ranks: model.ranks.clone(),
        inputs: model.inputs.clone(),
    };
    let read = TrainedModel::decode(&postcard::to_allocvec(&old).unwrap()).unwrap();
    let kept = read.life().unwrap();
    assert_eq!((&kept.model, kept.covariates.is_empty()), (&life, true));
    assert_eq!((&read.fleet, &read.ranks), (&model.fleet, &model.ranks));
    // What it is written as now is read again too.
    assert_eq!(TrainedModel::decode(&read.encode().unwrap()).unwrap(), read);
    assert!(TrainedModel::decode(&[7, 0, 0]).is_err());
}

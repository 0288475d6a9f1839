//! Covariates are taken where they help, and only there.

use std::{collections::BTreeMap, sync::Arc};

use telemetry::{INSTALLED_AT, Recorded, Timestamp};

use super::*;
use crate::prognosis::{
    chance::Chance,
    diary::{Diary, LIVE_CODES},
};

const DAY: i64 = 86_400_000_000;
/// Shape and characteristic life (days) of the simulated machines; a frail one lasts half as long.
const SHAPE: f64 = 2.0;
const SCALE: f64 = 100.0;

fn diary(facts: &[(&str, &str)]) -> Arc<Diary> {
    let facts: BTreeMap<String, String> = facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut diary = Diary::new(LIVE_CODES);
    diary.hear(0, &Recorded::Facts { facts });
    Arc::new(diary)
}

/// Lives drawn by inversion from the Weibull distribution, t = scale·(−ln u)^(1/shape), each watched
/// for at most 150 days; `frail` says which machines last half as long.
fn simulated(
    machines: u32,
    frail: impl Fn(u32) -> bool,
    word: impl Fn(u32) -> bool,
) -> Vec<PastLife> {
    let mut chance = Chance::new(5, 1);
    let mut lives = Vec::new();
    for machine in 0..machines {
        let word = if word(machine) { "frail" } else { "sturdy" };
        let diary = diary(&[
            ("variant", word),
            ("hall", "H2"),
            ("serial", &format!("S-{machine}")),
        ]);
        let scale = if frail(machine) { SCALE / 2.0 } else { SCALE };
        let lasts = scale * (-(1.0 - chance.uniform()).ln()).powf(1.0 / SHAPE);
        lives.push(PastLife {
            asset: format!("machine-{machine}"),
            began: 0,
            duration: lasts.min(150.0),
            failed: lasts < 150.0,
            watchable: 150.0,
            diary,
        });
    }
    lives
}

#[test]
fn a_known_effect_is_found_with_its_size() {
    let frail = |machine: u32| machine.is_multiple_of(2);
    let (data, report) = LifeData::fit(&simulated(200, frail, frail), 86_400.0, 1).unwrap();
    assert!(report.with_covariates, "{report:#?}");
    // The reference is the more common value, here the first by name of two equally common ones.
    let effect = &report.effects[0];
    assert_eq!(
        (report.effects.len(), &*effect.name),
        (1, "variant is sturdy")
    );
    // Half the life: a time ratio of 2 for the sturdy ones, a hazard ratio of 2^-shape = 1/4.
    // 180 failures give ln HR a standard error near 2/sqrt(180) = 0.15: three of them.
    assert!(
        (effect.time_ratio / 2.0).ln().abs() < 0.45 / SHAPE,
        "{effect:?}"
    );
    assert!((effect.hazard_ratio / 0.25).ln().abs() < 0.45, "{effect:?}");
    assert!(
        effect.hazard_ratio_low < 0.25 && 0.25 < effect.hazard_ratio_high,
        "{effect:?}"
    );
    let within = |word: &str| {
        let row = data
            .covariates
            .row(&[&*diary(&[("variant", word)])], Some(0));
        data.model.remaining(0.0, &row).probability_within(40.0)
    };
    // F(40) = 1 − exp(−(40/scale)²): 0.473 and 0.148.
    assert!(
        (within("frail") - 0.473).abs() < 0.08,
        "{}",
        within("frail")
    );
    assert!(
        (within("sturdy") - 0.148).abs() < 0.06,
        "{}",
        within("sturdy")
    );
    let unknown = within("");
    assert!(within("sturdy") < unknown && unknown < within("frail"));
}

#[test]
fn a_word_that_says_nothing_is_turned_down() {
    // The words of the same machines dealt anew: no life depends on them.
    let mut taken = 0;
    for deal in 0..20 {
        let frail = |machine: u32| machine.is_multiple_of(2);
        let dealt = |machine: u32| Chance::new(u64::from(machine), 100 + deal).uniform() < 0.5;
        let lives = simulated(80, frail, dealt);
        let (data, report) = LifeData::fit(&lives, 86_400.0, deal).unwrap();
        taken += u32::from(report.with_covariates);
        if !report.with_covariates {
            // The forecast is then to the bit that of a model that never heard of covariates.
            let records: Vec<LifeRecord> = lives.iter().map(|l| l.record(Vec::new())).collect();
            let plain = LifeModel::fit(&[], &records, &LifeConfig::default()).unwrap();
            assert_eq!(data.model, plain);
        }
    }
    // One standard error is passed by chance in less than one of six.
    assert!(taken <= 3, "{taken} of 20");
}

#[test]
fn the_scales_of_two_groups_are_those_of_the_closed_form() {
    // For a given shape k the likelihood of uncensored lives is largest at scale^k = Σ t^k / n in
    // each group (Lawless 2003, section 4.1).
    let groups = [[20.0, 35.0, 41.0, 60.0], [55.0, 90.0, 130.0, 150.0]];
    let mut records = Vec::new();
    for (group, times) in groups.iter().enumerate() {
        records.extend(times.iter().map(|t| LifeRecord {
            entered: 0.0,
            duration: *t,
            failed: true,
            covariates: vec![group as f64],
        }));
    }
    let config = LifeConfig { ridge: 0.0 };
    let model = LifeModel::fit(&["group".to_owned()], &records, &config).unwrap();
    let k = model.shape();
    for (group, times) in groups.iter().enumerate() {
        let mean = times.iter().map(|t: &f64| t.powf(k)).sum::<f64>() / times.len() as f64;
        let expected = mean.powf(1.0 / k);
        let got = model.scale(&[group as f64]);
        assert!((got / expected - 1.0).abs() < 1e-6, "{got} {expected}");
        // And the median of a new part is scale·(ln 2)^(1/k).
        let median = expected * std::f64::consts::LN_2.powf(1.0 / k);
        assert!((model.median_left(0.0, &[group as f64]) / median - 1.0).abs() < 1e-6);
    }
    // What the model says of each life adds up to its own log-likelihood.
    let told: f64 = records.iter().map(|r| model.log_likelihood_of(r)).sum();
    assert!(
        (told - model.log_likelihood).abs() < 1e-6,
        "{told} {}",
        model.log_likelihood
    );
}

#[test]
fn what_is_constant_rare_or_a_name_is_left_out_and_told() {
    let frail = |machine: u32| machine.is_multiple_of(2);
    let (_, report) = LifeData::fit(&simulated(60, frail, frail), 86_400.0, 1).unwrap();
    let why = |name: &str| {
        report
            .left_out
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.why)
    };
    assert_eq!(why("serial"), Some(WhyNot::TooManyValues));
    assert_eq!(why("age_at_start_days"), Some(WhyNot::TooSeldomKnown));
    assert_eq!(why("earlier_lives"), Some(WhyNot::TooRare));
    // One value of all machines has no column at all; the word is one, and used.
    assert_eq!(why("hall is H2"), None);
    assert_eq!(report.effects.len(), 1);
    // Twelve failures carry one column: of two the one that tells more is taken.
    let mut few = simulated(14, frail, frail);
    for (at, life) in few.iter_mut().enumerate() {
        let word = if at % 2 == 0 { "frail" } else { "sturdy" };
        life.diary = diary(&[("variant", word), ("size", ["3", "5", "4"][at % 3])]);
    }
    let (_, report) = LifeData::fit(&few, 86_400.0, 1).unwrap();
    assert_eq!(report.effects.len(), 1, "{report:#?}");
    let other = report.left_out.iter().find(|one| one.name == "size");
    assert_eq!(other.map(|one| one.why), Some(WhyNot::TooFewFailures));
}

#[test]
fn a_fact_written_down_because_of_a_failure_is_not_looked_at() {
    let frail = |machine: u32| machine.is_multiple_of(2);
    let mut lives = simulated(80, frail, frail);
    for (at, life) in lives.iter_mut().enumerate() {
        let cause = if life.failed {
            ["wear", "heat"][at % 2]
        } else {
            ""
        };
        life.diary = diary(&[("cause", cause)]);
    }
    let (_, report) = LifeData::fit(&lives, 86_400.0, 1).unwrap();
    let left_out = &report.left_out;
    let cause = left_out.iter().find(|one| one.name.starts_with("cause is"));
    assert_eq!(
        cause.map(|one| one.why),
        Some(WhyNot::TooSeldomKnown),
        "{report:#?}"
    );
    assert!(!report.with_covariates);
}

#[test]
fn age_and_earlier_lives_are_read_as_of_the_start_of_the_life() {
    let mut diary = Diary::new(LIVE_CODES);
    let installed = Timestamp::from_micros(10 * DAY).to_string();
    let facts = BTreeMap::from([(INSTALLED_AT.to_owned(), installed)]);
    diary.hear(0, &Recorded::Facts { facts });
    for end in [40, 70, 90] {
        diary.hear(end * DAY, &Recorded::LifeEnded);
    }
    let diary = Arc::new(diary);
    let mut lives = Vec::new();
    for machine in 0..8 {
        for (began, lasts) in [(10, 30.0), (40, 30.0), (70, 20.0)] {
            lives.push(PastLife {
                asset: format!("m{machine}"),
                began: began * DAY,
                duration: lasts + f64::from(machine),
                failed: true,
                watchable: 200.0,
                diary: Arc::clone(&diary),
            });
        }
    }
    let (columns, _) = Covariates::of(&lives);
    assert_eq!(columns.names(), ["age_at_start_days", "earlier_lives"]);
    let row = |began: i64| columns.row(&[&diary], Some(began * DAY));
    assert_eq!(
        [row(10), row(40), row(70)],
        [[0.0, 0.0], [30.0, 1.0], [60.0, 2.0]]
    );
    // The end of a life is not known while it lasts, and nobody is older than when it was built.
    assert_eq!(row(69), [59.0, 1.0]);
    assert!(row(9)[0].is_nan());
}

#[test]
fn forecasts_of_held_out_machines_cover_what_they_say() {
    let frail = |machine: u32| machine.is_multiple_of(2);
    let mut lives = simulated(400, frail, frail);
    for life in &mut lives {
        life.watchable = 1_000.0;
    }
    let (data, report) = LifeData::fit(&lives, 86_400.0, 1).unwrap();
    assert!(report.with_covariates);
    let rows = data.held_out(&lives, 1);
    let covered = rows.iter().filter(|row| {
        let (low, high) = row.distribution.interval(0.8);
        low <= row.truth && row.truth <= high
    });
    // 80 % where both ends lie within the reach, 90 % where the upper one does not; some 300
    // forecasts leave a standard error of about 2 %.
    let covered = covered.count() as f64 / rows.len() as f64;
    assert!((0.76..0.94).contains(&covered), "{covered}");
    // A life that was replaced before it could be watched so far tells nothing of its end.
    for life in &mut lives {
        life.watchable = life.duration;
    }
    let rows = data.held_out(&lives, 1);
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|row| row.truth.is_infinite() || row.truth >= data.reach)
    );
}

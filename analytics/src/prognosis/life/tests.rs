use proptest::prelude::*;

use super::*;

/// Weeks of remission of leukaemia patients (Freireich et al. 1963, as printed in Gehan,
/// Biometrika 52, 1965): 21 treated with 6-mercaptopurine (0 = censored), 21 with a placebo.
const TREATED: [(f64, u8); 21] = [
    (6.0, 1),
    (6.0, 1),
    (6.0, 1),
    (6.0, 0),
    (7.0, 1),
    (9.0, 0),
    (10.0, 1),
    (10.0, 0),
    (11.0, 0),
    (13.0, 1),
    (16.0, 1),
    (17.0, 0),
    (19.0, 0),
    (20.0, 0),
    (22.0, 1),
    (23.0, 1),
    (25.0, 0),
    (32.0, 0),
    (32.0, 0),
    (34.0, 0),
    (35.0, 0),
];
const PLACEBO: [f64; 21] = [
    1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0, 5.0, 8.0, 8.0, 8.0, 8.0, 11.0, 11.0, 12.0, 12.0, 15.0,
    17.0, 22.0, 23.0,
];

fn record(duration: f64, failed: bool, covariates: &[f64]) -> LifeRecord {
    LifeRecord {
        entered: 0.0,
        duration,
        failed,
        covariates: covariates.to_vec(),
    }
}

fn treated() -> Vec<LifeRecord> {
    TREATED
        .iter()
        .map(|(t, e)| record(*t, *e == 1, &[]))
        .collect()
}

fn both() -> Vec<LifeRecord> {
    let treated = TREATED.iter().map(|(t, e)| record(*t, *e == 1, &[1.0]));
    treated
        .chain(PLACEBO.iter().map(|t| record(*t, true, &[0.0])))
        .collect()
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|at| format!("x{at}")).collect()
}

fn plain() -> LifeConfig {
    LifeConfig { ridge: 0.0 }
}

fn near(got: f64, expected: f64, relative: f64) {
    assert!(
        (got / expected - 1.0).abs() < relative,
        "{got} is not {expected}"
    );
}

#[test]
fn the_curve_of_the_6_mp_patients_is_the_published_one() {
    // Kalbfleisch & Prentice (2002), table 1.2 and the limits of lifelines 0.30: survival, and
    // the limits on the scale log(−log S).
    let curve = kaplan_meier(&treated());
    for (age, at_risk, survival, low, high) in [
        (6.0, 21, 0.857_143, 0.619_718, 0.951_552),
        (7.0, 17, 0.806_723, 0.563_147, 0.922_809),
        (10.0, 15, 0.752_941, 0.503_200, 0.889_362),
        (13.0, 12, 0.690_196, 0.431_610, 0.849_066),
        (16.0, 11, 0.627_451, 0.367_511, 0.804_912),
        (22.0, 7, 0.537_815, 0.267_779, 0.746_791),
        (23.0, 6, 0.448_179, 0.188_052, 0.680_143),
    ] {
        let step = curve
            .steps
            .iter()
            .find(|step| (step.age - age).abs() < 1e-9)
            .unwrap();
        assert_eq!(step.at_risk, at_risk);
        near(step.survival, survival, 2e-6);
        let limits = curve.interval(age, 0.95);
        near(limits.0, low, 5e-6);
        near(limits.1, high, 5e-6);
    }
    assert_eq!(curve.steps.len(), 7);
    assert_eq!(curve.median(), Some(23.0));
    // Greenwood's standard error at 10 weeks, printed as 0.0963.
    let step = curve.steps[2];
    near(step.survival * step.relative_variance.sqrt(), 0.096_3, 1e-3);
    assert_eq!(
        (curve.survival(5.9), curve.interval(5.9, 0.95)),
        (1.0, (1.0, 1.0))
    );
}

#[test]
fn late_entries_are_at_risk_from_their_entry_on() {
    let mut records = vec![
        record(2.0, true, &[]),
        record(4.0, true, &[]),
        record(9.0, false, &[]),
    ];
    records.push(LifeRecord {
        entered: 3.0,
        ..record(5.0, true, &[])
    });
    let curve = kaplan_meier(&records);
    let at_risk: Vec<u32> = curve.steps.iter().map(|step| step.at_risk).collect();
    assert_eq!(at_risk, [3, 3, 2]);
    near(curve.survival(5.0), (2.0 / 3.0) * (2.0 / 3.0) * 0.5, 1e-12);
}

#[test]
fn what_is_left_of_a_curve_is_conditional_on_the_age() {
    let curve = kaplan_meier(&treated());
    let left = curve.remaining(10.0).unwrap();
    // 0.690196 / 0.752941: 8.33 % fail within three weeks more.
    near(left.probability_within(3.0), 0.08, 0.05);
    near(left.quantile(0.05), 3.0, 1e-12);
    assert!(left.quantile(0.5).is_infinite(), "censored: nobody knows");
    let all = kaplan_meier(&[record(3.0, true, &[]), record(5.0, true, &[])]);
    assert_eq!(all.remaining(5.0), None);
    near(all.remaining(4.0).unwrap().quantile(0.3), 1.0, 1e-12);
}

#[test]
fn the_weibull_fit_of_the_6_mp_patients_is_the_published_one() {
    // lifelines 0.30 (WeibullFitter, WeibullAFTFitter); the second also Venables & Ripley,
    // "Modern Applied Statistics with S" (2002), section 13.2: survreg gives intercept 3.516,
    // treatment −1.267, scale 0.732, log-likelihood −106.6.
    let model = LifeModel::fit(&[], &treated(), &plain()).unwrap();
    near(model.scale(&[]), 33.765_194, 5e-6);
    near(model.shape(), 1.353_732, 5e-6);
    near(model.log_likelihood, -41.658_678, 1e-7);
    let model = LifeModel::fit(&names(1), &both(), &plain()).unwrap();
    near(1.0 / model.shape(), 0.732_194, 1e-6);
    near(model.scale(&[1.0]).ln(), 3.515_68, 1e-5);
    near(
        model.scale(&[0.0]) / model.scale(&[1.0]),
        (-1.267_332_f64).exp(),
        1e-5,
    );
    near(model.log_likelihood, -106.579_492, 1e-7);
    near(model.coefficients[0].log_hazard_ratio, -1.730_872, 1e-6);
}

#[test]
fn entries_and_the_ridge_are_in_the_likelihood() {
    // The same likelihoods maximised by scipy 1.17 (Nelder–Mead).
    let mut late = both();
    for record in &mut late {
        record.entered = (record.duration - 0.5).min(3.0);
    }
    let model = LifeModel::fit(&names(1), &late, &plain()).unwrap();
    near(model.shape(), 0.590_930_3, 1e-5);
    near(model.scale(&[0.0]), 2.250_052, 1e-5);
    near(model.log_likelihood, -98.350_613, 1e-7);
    // There the ridge is on the raw 0/1 covariate; here on a standardised one, spread 1/2.
    let model = LifeModel::fit(&names(1), &both(), &LifeConfig { ridge: 4.0 }).unwrap();
    near(model.shape(), 1.333_594_3, 1e-5);
    near(model.coefficients[0].log_hazard_ratio, -1.487_028_7, 1e-5);
    near(
        model.log_likelihood,
        -107.864_137 + 1.487_028_7_f64.powi(2) / 2.0,
        1e-5,
    );
}

#[test]
fn remaining_life_shortens_with_age_and_follows_the_asset() {
    let model = LifeModel::fit(&names(1), &both(), &LifeConfig::default()).unwrap();
    let median = |age: f64, x: f64| model.remaining(age, &[x]).quantile(0.5);
    assert!(median(0.0, 1.0) > 2.0 * median(0.0, 0.0));
    assert!(
        median(20.0, 0.0) < median(0.0, 0.0),
        "wears out: shape {}",
        model.shape()
    );
    let unknown = model.remaining(0.0, &[]).quantile(0.5);
    assert!(median(0.0, 0.0) < unknown && unknown < median(0.0, 1.0));
    let ancient = model.remaining(1e6, &[0.0]);
    assert!(ancient.quantile(1.0).is_finite() && ancient.quantile(0.5) < 1e5);
}

#[test]
fn with_many_lives_the_forecast_is_the_plain_curve_and_with_few_it_is_wider() {
    // Weibull of shape 2.5 and scale 100 at even levels.
    let lives = |n: usize| -> Vec<LifeRecord> {
        let level = |at: usize| (at as f64 + 0.5) / n as f64;
        let age = |at: usize| 100.0 * (-(1.0 - level(at)).ln()).powf(0.4);
        (0..n).map(|at| record(age(at), true, &[])).collect()
    };
    let many = LifeModel::fit(&[], &lives(4_000), &plain()).unwrap();
    near(many.shape(), 2.5, 0.01);
    let left = many.remaining(50.0, &[]);
    for level in [0.1_f64, 0.5, 0.9] {
        let at_50 = 0.5_f64.powf(2.5);
        let expected = 100.0 * (at_50 - (1.0 - level).ln()).powf(0.4) - 50.0;
        near(left.quantile(level), expected, 0.01);
    }
    // Six lives: wider than the curve of the fitted parameters taken for the truth.
    let few = LifeModel::fit(&[], &lives(6), &plain()).unwrap();
    let plug_in = |level: f64| {
        let (scale, shape) = (few.scale(&[]), few.shape());
        scale * ((50.0 / scale).powf(shape) - (1.0 - level).ln()).powf(1.0 / shape) - 50.0
    };
    let (low, high) = few.remaining(50.0, &[]).interval(0.8);
    let plain_width = plug_in(0.9) - plug_in(0.1);
    assert!(high - low > 1.1 * plain_width, "{low} {high} {plain_width}");
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let too_few = [
        record(3.0, true, &[]),
        record(4.0, false, &[]),
        record(5.0, true, &[]),
    ];
    let error = LifeModel::fit(&[], &too_few, &plain())
        .unwrap_err()
        .to_string();
    assert!(error.contains("2 failures among 3 lives"), "{error}");
    let bad = vec![record(3.0, true, &[1.0]); 5];
    assert!(LifeModel::fit(&[], &bad, &plain()).is_err());
    let bad = vec![record(f64::NAN, true, &[]); 5];
    assert!(LifeModel::fit(&[], &bad, &plain()).is_err());
    let bad = vec![record(0.0, true, &[]); 5];
    assert!(LifeModel::fit(&[], &bad, &plain()).is_err());
    // Equal ages and a constant covariate: a wall, not a crash.
    let equal = vec![record(7.0, true, &[3.0]); 5];
    let model = LifeModel::fit(&names(1), &equal, &plain()).unwrap();
    assert!(
        model.shape() >= 29.0 && model.shape() < 40.0,
        "{}",
        model.shape()
    );
    assert!(model.coefficients[0].log_hazard_ratio.abs() < 1e-12);
    near(model.remaining(0.0, &[9.0]).quantile(0.5), 7.0, 0.1);
}

#[test]
fn a_history_becomes_lives_with_honest_ends() {
    let event = |at: f64, failed: bool| LifeEvent { at, failed };
    let events = [
        event(50.0, true),
        event(10.0, false),
        event(50.0, false),
        event(70.0, false),
    ];
    // New at −5, watched from 0: the first life was entered at age 5.
    let lives = records_of(&events, Some(-5.0), (0.0, 100.0), &[2.0]);
    let told: Vec<(f64, f64, bool)> = lives
        .iter()
        .map(|r| (r.entered, r.duration, r.failed))
        .collect();
    assert_eq!(
        told,
        [
            (5.0, 15.0, false),
            (0.0, 40.0, true),
            (0.0, 20.0, false),
            (0.0, 30.0, false)
        ]
    );
    // Without a date of installation the first life has no age.
    assert_eq!(records_of(&events, None, (0.0, 100.0), &[]).len(), 3);
    assert_eq!(records_of(&[], Some(0.0), (0.0, 100.0), &[]).len(), 1);
    assert_eq!(records_of(&[], None, (0.0, 100.0), &[]), []);
    let levels = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    assert_eq!(one_hot(&levels, "c"), [0.0, 1.0]);
    assert_eq!(one_hot(&levels, "a"), [0.0, 0.0]);
}

fn lives() -> impl Strategy<Value = Vec<LifeRecord>> {
    let life = (1.0..500.0_f64, proptest::bool::weighted(0.7), -2.0..2.0_f64);
    proptest::collection::vec(life, 8..40)
        .prop_map(|rows| {
            rows.into_iter()
                .map(|(t, f, x)| record(t, f, &[x]))
                .collect()
        })
        .prop_filter("enough failures", |records: &Vec<LifeRecord>| {
            records.iter().filter(|r| r.failed).count() >= 5
        })
}

proptest! {
    #[test]
    fn censoring_a_life_only_lowers_the_hazard(records in lives(), pick in 0..1_000_usize) {
        let failed: Vec<usize> = (0..records.len()).filter(|at| records[*at].failed).collect();
        let mut censored = records.clone();
        censored[failed[pick % failed.len()]].failed = false;
        let (before, after) = (kaplan_meier(&records), kaplan_meier(&censored));
        for age in [1.0, 50.0, 100.0, 200.0, 400.0, 500.0] {
            prop_assert!(after.survival(age) >= before.survival(age) - 1e-12);
        }
        // The likelihood equations say that the hazards of all lives sum to the failures.
        let sum = |records: &[LifeRecord]| -> f64 {
            let model = LifeModel::fit(&names(1), records, &plain()).unwrap();
            let hazard = |r: &LifeRecord| model.cumulative_hazard(r.duration, &r.covariates);
            records.iter().map(hazard).sum()
        };
        prop_assert!((sum(&records) - failed.len() as f64).abs() < 1e-4);
        prop_assert!((sum(&censored) - (failed.len() - 1) as f64).abs() < 1e-4);
    }

    #[test]
    fn hours_or_days_make_no_difference(records in lives(), age in 0.0..400.0_f64) {
        let model = LifeModel::fit(&names(1), &records, &LifeConfig::default()).unwrap();
        let days: Vec<LifeRecord> = records
            .iter()
            .map(|r| LifeRecord { duration: r.duration / 24.0, ..r.clone() })
            .collect();
        let there = LifeModel::fit(&names(1), &days, &LifeConfig::default()).unwrap();
        for level in [0.1, 0.5, 0.9] {
            let here = model.remaining(age, &[0.5]).quantile(level);
            let other = there.remaining(age / 24.0, &[0.5]).quantile(level) * 24.0;
            prop_assert!((here - other).abs() < 1e-3 * (1.0 + here), "{here} {other}");
        }
    }
}

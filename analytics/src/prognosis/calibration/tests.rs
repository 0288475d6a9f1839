use super::*;

fn uniform(low: f64, high: f64) -> RulDistribution {
    RulDistribution::from_quantile_function(|u| low + u * (high - low)).unwrap()
}

/// Forecasts "between 0 and 100" of `assets` assets, ten of each, whose truths are these levels
/// of it.
fn rows(forecast: &RulDistribution, assets: u32, truth: impl Fn(f64) -> f64) -> Vec<Checked<'_>> {
    let all = assets * 10;
    let row = |at: u32| Checked {
        asset: at % assets,
        // A stride coprime to the number spreads the levels over the assets.
        truth: truth((f64::from((at * 7_919) % all) + 0.5) / f64::from(all)),
        forecast,
    };
    (0..all).map(row).collect()
}

#[test]
fn an_honest_forecast_may_speak_of_probability() {
    let forecast = uniform(0.0, 100.0);
    let checked = rows(&forecast, 60, |u| 100.0 * u);
    let calibration = Calibration::of(&checked, &[20.0, 50.0]).unwrap();
    assert_eq!((calibration.assets, calibration.rows), (60, 600));
    assert!((calibration.coverage - 0.8).abs() < 0.01, "{calibration:?}");
    assert!((calibration.width - 80.0).abs() < 1e-9);
    assert!(calibration.pit_p > 0.05, "{calibration:?}");
    assert!(
        calibration
            .pit
            .iter()
            .all(|share| (share - 0.1).abs() < 0.01)
    );
    assert!((calibration.horizons[0].reliability.base_rate - 0.2).abs() < 0.01);
    // "20 % within 20" said of everybody is true, and of no use.
    let Served::Rank { reason } = calibration.judge() else {
        panic!("the base rate is no forecast");
    };
    assert!(
        reason.en.contains("no better than the base rate"),
        "{reason:?}"
    );
    let no_horizon = Calibration::of(&checked, &[]).unwrap();
    assert_eq!(no_horizon.judge(), Served::Probability);
}

#[test]
fn who_is_too_sure_too_vague_or_biased_is_not_believed() {
    for (forecast, truth, words) in [
        (uniform(40.0, 60.0), 100.0, "held 16 %"),
        (uniform(-900.0, 1_000.0), 100.0, "held 100 %"),
        (uniform(0.0, 100.0), 45.0, "p ="),
        (uniform(0.0, 100.0), 300.0, "held"),
    ] {
        let checked = rows(&forecast, 60, |u| truth * u);
        let Served::Rank { reason } = Calibration::of(&checked, &[]).unwrap().judge() else {
            panic!("{words}");
        };
        assert!(reason.en.contains(words), "{reason:?}");
    }
    let few = rows(&uniform(0.0, 100.0), 5, |u| 100.0 * u).len();
    assert_eq!(few, 50);
    let forecast = uniform(0.0, 100.0);
    let few = Calibration::of(&rows(&forecast, 5, |u| 100.0 * u), &[]).unwrap();
    assert!(matches!(few.judge(), Served::Rank { reason } if reason.en.contains("5 lives")));
    assert!(Calibration::of(&[], &[]).is_none());
}

#[test]
fn an_end_that_nobody_saw_does_not_speak_against_a_forecast() {
    // Half of the forecast has no end, and half of the truths are beyond what it names.
    let forecast = RulDistribution::from_cdf(&[(0.0, 0.0), (50.0, 0.5)]).unwrap();
    let checked = rows(&forecast, 60, |u| 100.0 * u);
    let calibration = Calibration::of(&checked, &[]).unwrap();
    assert!(calibration.pit_p > 0.05, "{calibration:?}");
    assert!((calibration.pit[9] - 0.1).abs() < 0.04, "{calibration:?}");
    let always = rows(&forecast, 60, |u| 51.0 + u);
    assert!(Calibration::of(&always, &[]).unwrap().pit_p < 1e-6);
}

#[test]
fn a_probability_of_its_own_is_judged_by_its_table() {
    let table = |said: fn(u32) -> f64| {
        let happens = |at: u32| (at * 7) % 10 < (at % 10);
        Reliability::of((0..1_000).map(|at| (said(at), happens(at)))).unwrap()
    };
    let rate = |tenth: u32| {
        f64::from(
            (0..1_000)
                .filter(|at| at % 10 == tenth && (at * 7) % 10 < tenth)
                .count() as u32,
        ) / 100.0
    };
    assert!((0..10).map(rate).sum::<f64>() > 1.0, "the case is one");
    let right = Reliability::of((0..1_000_u32).map(|at| (rate(at % 10), (at * 7) % 10 < at % 10)));
    assert_eq!(right.unwrap().judge(), Served::Probability);
    assert!(matches!(table(|_| 0.99).judge(), Served::Rank { .. }));
    let rare = Reliability::of((0..1_000).map(|at| (0.001, at == 0))).unwrap();
    assert!(matches!(rare.judge(), Served::Rank { reason } if reason.en.contains("1 cases")));
}

#[test]
fn the_test_of_evenness_agrees_with_scipy() {
    // scipy.stats.kstest(mode="exact") 1.17; the limiting form is good to a few percent.
    for (n, power, expected) in [(20, 1.6, 0.375_857), (50, 1.4, 0.309_526)] {
        let value = |at: i32| ((f64::from(at) + 0.5) / f64::from(n)).powf(power);
        let mut sample: Vec<f64> = (0..n).map(value).collect();
        let p = kolmogorov_p(&mut sample);
        assert!((p / expected - 1.0).abs() < 0.05, "{p} {expected}");
    }
    let p = kolmogorov_p(&mut [0.1, 0.15, 0.2, 0.22, 0.3, 0.41, 0.5, 0.55]);
    assert!((p / 0.053_607 - 1.0).abs() < 0.1, "{p}");
    assert!((kolmogorov_p(&mut []) - 1.0).abs() < 1e-12);
}

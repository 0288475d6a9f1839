use proptest::prelude::*;

use super::*;

fn uniform(high: f64) -> RulDistribution {
    RulDistribution::from_quantile_function(|level| high * level).unwrap()
}

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() <= tolerance,
        "{got} is not {expected}"
    );
}

#[test]
fn quantiles_of_a_sample_are_those_of_numpy() {
    // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], level), method "linear".
    let d = RulDistribution::from_samples(&mut [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]).unwrap();
    for (level, expected) in [
        (0.0, 1.0),
        (0.1, 1.0),
        (0.25, 1.75),
        (0.5, 3.5),
        (0.9, 6.9),
        (1.0, 9.0),
    ] {
        near(d.quantile(level), expected, 1e-12);
    }
    assert_eq!(RulDistribution::from_samples(&mut []), None);
    assert_eq!(RulDistribution::from_samples(&mut [1.0, f64::NAN]), None);
    let past = RulDistribution::from_samples(&mut [-3.0, -1.0]).unwrap();
    near(past.quantile(0.9), 0.0, 0.0);
}

#[test]
fn what_was_never_seen_to_end_has_no_end() {
    let seen = [10.0, 20.0, 30.0, f64::INFINITY, f64::INFINITY];
    let d = RulDistribution::from_samples(&mut seen.clone()).unwrap();
    near(d.probability_within(20.0), 0.25, 1e-12);
    near(d.probability_within(1e9), 0.5, 1e-12);
    assert!(d.quantile(0.9).is_infinite());
    assert!(d.crps(15.0).is_infinite() && d.capped(40.0).crps(15.0).is_finite());
    // Half of the mass is a straight line from 10 to 30, half is the cap.
    near(d.mean_capped(40.0), 0.5 * 20.0 + 0.5 * 40.0, 1e-9);
    let json = serde_json::to_string(&d).unwrap();
    assert_eq!(serde_json::from_str::<RulDistribution>(&json).unwrap(), d);
    let bytes = postcard::to_allocvec(&d).unwrap();
    assert_eq!(postcard::from_bytes::<RulDistribution>(&bytes).unwrap(), d);
    assert!(serde_json::from_str::<RulDistribution>("[1.0, 2.0]").is_err());
    let falling = serde_json::to_string(&vec![2.0; 100])
        .unwrap()
        .replace(']', ",1.0]");
    assert!(serde_json::from_str::<RulDistribution>(&falling).is_err());
}

#[test]
fn the_score_is_the_closed_form_of_known_distributions() {
    // Uniform on 0..1: (y³ + (1−y)³)/3, times the width. Outside: distance + width/3.
    let d = uniform(10.0);
    for y in [0.0, 1.234, 4.0, 5.005, 10.0] {
        let u = y / 10.0;
        near(
            d.crps(y),
            10.0 * (u * u * u + (1.0 - u).powi(3)) / 3.0,
            1e-12,
        );
    }
    near(d.crps(13.0), 3.0 + 10.0 / 3.0, 1e-12);
    // Exponential of mean 50: y − 2·50·F(y) + 25 (Jordan, Krüger & Lerch, "Evaluating
    // probabilistic forecasts with scoringRules", 2019, appendix).
    let exponential = |level: f64| -50.0 * (1.0 - level.min(1.0 - 1e-9)).ln();
    let d = RulDistribution::from_quantile_function(exponential)
        .unwrap()
        .capped(330.0);
    for y in [0.0, 20.0, 80.0] {
        let expected = y - 100.0 * (1.0 - (-y / 50.0_f64).exp()) + 25.0;
        near(d.crps(y), expected, 0.05);
    }
    // A certain forecast: the absolute error.
    let certain = RulDistribution::from_samples(&mut [7.0]).unwrap();
    near(certain.crps(10.0), 3.0, 1e-12);
    near(certain.crps(7.0), 0.0, 0.0);
}

#[test]
fn probabilities_jump_at_atoms_and_pit_takes_the_middle() {
    // One life in five ends at once, three at 100.
    let d = RulDistribution::from_quantile_function(|u| if u < 0.2 { 0.0 } else { 100.0 }).unwrap();
    near(d.probability_within(0.0), 0.19, 1e-12);
    near(d.probability_within(-1.0), 0.0, 0.0);
    near(d.probability_within(100.0), 1.0, 0.0);
    near(d.pit(0.0), 0.095, 1e-12);
    near(d.pit(100.0), 0.6, 1e-12);
    near(uniform(10.0).pit(2.5), 0.25, 1e-12);
    assert!(d.hazard_now().is_infinite());
    // Uniform on 0..100: a twentieth has passed after 5.
    near(
        uniform(100.0).hazard_now(),
        0.051_293_294_387_550_58 / 5.0,
        1e-12,
    );
}

#[test]
fn losses_and_intervals_are_those_of_the_definition() {
    let d = uniform(100.0);
    near(d.pinball(0.9, 95.0), 0.9 * 5.0, 1e-12);
    near(d.pinball(0.9, 80.0), 0.1 * 10.0, 1e-12);
    let (low, high) = d.interval(0.8);
    near(low, 10.0, 1e-9);
    near(high, 90.0, 1e-9);
}

#[test]
fn a_mixture_is_one_in_its_probabilities() {
    let (a, b) = (
        uniform(10.0),
        RulDistribution::from_samples(&mut [30.0]).unwrap(),
    );
    let mixed = a.mixed(&b, 0.25);
    near(mixed.probability_within(5.0), 0.375, 1e-9);
    near(mixed.probability_within(29.0), 0.75, 0.01);
    near(mixed.quantile(0.9), 30.0, 1e-9);
    assert_eq!(a.mixed(&b, 0.0).quantiles().len(), LEVELS);
    for level in [0.0, 0.13, 0.5, 1.0] {
        near(a.mixed(&b, 0.0).quantile(level), a.quantile(level), 1e-9);
        near(a.mixed(&b, 1.0).quantile(level), b.quantile(level), 1e-9);
    }
    let endless = RulDistribution::from_cdf(&[(0.0, 0.0), (10.0, 0.5)]).unwrap();
    near(endless.quantile(0.25), 5.0, 1e-9);
    assert!(endless.quantile(0.51).is_infinite());
    assert_eq!(RulDistribution::from_cdf(&[]), None);
}

#[test]
fn a_life_that_went_on_counts_from_then() {
    let left = uniform(100.0).survived(40.0);
    near(left.quantile(0.5), 30.0, 1e-9);
    near(left.quantile(1.0), 60.0, 1e-9);
    near(uniform(100.0).survived(200.0).quantile(1.0), 0.0, 0.0);
}

fn any_distribution() -> impl Strategy<Value = RulDistribution> {
    let life = prop_oneof![4 => 0.0..1e4_f64, 1 => Just(0.0), 1 => Just(f64::INFINITY)];
    proptest::collection::vec(life, 1..60)
        .prop_map(|mut sample| RulDistribution::from_samples(&mut sample).unwrap())
}

proptest! {
    #[test]
    fn the_distribution_function_never_falls(d in any_distribution(), a in 0.0..2e4_f64, b in 0.0..2e4_f64) {
        let (low, high) = (a.min(b), a.max(b));
        let (p, q) = (d.probability_within(low), d.probability_within(high));
        prop_assert!((0.0..=1.0).contains(&p) && p <= q && q <= 1.0);
        prop_assert!(d.quantile(p) <= low.max(d.quantile(0.0)) + 1e-6);
    }

    #[test]
    fn another_unit_changes_the_numbers_and_nothing_else(d in any_distribution(), truth in 0.0..1e4_f64) {
        let hours = d.scaled(1.0 / 3_600.0);
        let p = d.probability_within(truth);
        prop_assert!((hours.probability_within(truth / 3_600.0) - p).abs() < 1e-6);
        let (here, there) = (d.capped(1e4).crps(truth), hours.capped(1e4 / 3_600.0).crps(truth / 3_600.0));
        prop_assert!((here - there * 3_600.0).abs() < 1e-6 * (1.0 + here));
    }

    #[test]
    fn a_mixture_lies_between_what_it_mixes(a in any_distribution(), b in any_distribution(), w in 0.0..=1.0_f64, t in 0.0..2e4_f64) {
        let mixed = a.mixed(&b, w);
        let (p, q) = (a.probability_within(t), b.probability_within(t));
        let m = mixed.probability_within(t);
        prop_assert!(m >= p.min(q) - 0.0101 && m <= p.max(q) + 0.0101, "{p} {m} {q}");
        prop_assert!(mixed.quantiles().is_sorted());
    }

    #[test]
    fn honest_forecasts_score_best(d in any_distribution(), shift in 1.0..100.0_f64) {
        // The truth drawn from the forecast itself, level by level.
        let capped = d.capped(1e4);
        let moved = RulDistribution::from_quantile_function(|u| capped.quantile(u) + shift).unwrap();
        let mean = |f: &RulDistribution| -> f64 {
            (0..200).map(|i| f.crps(capped.quantile((f64::from(i) + 0.5) / 200.0))).sum()
        };
        prop_assert!(mean(&capped) <= mean(&moved) + 1e-6);
    }
}

#[test]
fn a_life_that_was_not_seen_to_end_lies_anywhere_beyond_what_was_foreseen() {
    // 60 % of the ends are foreseen within 100; what comes later, or never, is the other 40 %.
    let said = RulDistribution::from_cdf(&[(0.0, 0.0), (100.0, 0.6)]).unwrap();
    for late in [101.0, 1e9, f64::INFINITY] {
        let (low, high) = said.jump(late);
        assert!(
            (low - 0.6).abs() < 0.011 && high >= 1.0,
            "{late}: {low} {high}"
        );
    }
    let beyond = said.endless_beyond(50.0);
    assert!((beyond.probability_within(50.0) - 0.3).abs() < 0.011);
    assert!((beyond.jump(f64::INFINITY).0 - 0.3).abs() < 0.011);
    assert!(beyond.quantile(0.5).is_infinite());
}

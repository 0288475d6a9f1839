//! The features against the plain formulas, and against what must not matter.

use proptest::prelude::*;

use super::{Feature, SignalFeatures, window::WINDOW};

const SECOND: i64 = 1_000_000;

fn fed(values: &[f64]) -> SignalFeatures {
    let mut features = SignalFeatures::new();
    for (at, value) in values.iter().enumerate() {
        features.update(at as i64 * SECOND, *value);
    }
    features
}

fn near(got: f64, expected: f64, scale: f64) -> bool {
    (got - expected).abs() <= 1e-5 * scale.max(1e-9)
}

/// The batch formulas over the last values at one a second: mean, std, min, max, slope, crest,
/// skewness, kurtosis.
fn batch(values: &[f64]) -> [f64; 8] {
    let last = &values[values.len().saturating_sub(WINDOW)..];
    let n = last.len() as f64;
    let mean = last.iter().sum::<f64>() / n;
    let moment = |k: i32| last.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let rms = moment(2).sqrt();
    let times: Vec<f64> = (0..last.len()).map(|t| t as f64).collect();
    let middle = times.iter().sum::<f64>() / n;
    let tx: f64 = times
        .iter()
        .zip(last)
        .map(|(t, x)| (t - middle) * (x - mean))
        .sum();
    let tt: f64 = times.iter().map(|t| (t - middle).powi(2)).sum();
    let far = last.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
    let min = last.iter().copied().fold(f64::INFINITY, f64::min);
    let max = last.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let std = rms * (n / (n - 1.0)).sqrt();
    [
        mean,
        std,
        min,
        max,
        tx / tt,
        far / rms,
        moment(3) / rms.powi(3),
        moment(4) / rms.powi(4),
    ]
}

const BATCHED: [Feature; 8] = [
    Feature::Mean,
    Feature::Std,
    Feature::Min,
    Feature::Max,
    Feature::Slope,
    Feature::Crest,
    Feature::Skewness,
    Feature::Kurtosis,
];

proptest! {
    #[test]
    fn the_window_is_the_batch_formula(
        values in prop::collection::vec(-1e3_f64..1e3, 10..300),
        level in -1e6_f64..1e6,
    ) {
        let values: Vec<f64> = values.iter().map(|value| level + value).collect();
        let features = fed(&values);
        let expected = batch(&values);
        // 32-bit floats relative to the first value: a few parts in ten million of the spread.
        for (feature, expected) in BATCHED.into_iter().zip(expected) {
            let got = features.get(feature).unwrap();
            let scale = if feature.unit(None).is_some() { expected.abs().max(1.0) } else { 1e3 };
            prop_assert!(near(got, expected, scale), "{feature:?}: {got} {expected}");
        }
        let step = values[values.len() - 1] - values[values.len() - 2];
        prop_assert!(near(features.get(Feature::Rate).unwrap(), step, 2e3));
    }

    #[test]
    fn another_unit_gives_the_same_features_in_that_unit(
        values in prop::collection::vec(-50.0_f64..50.0, 30..200),
    ) {
        let celsius = fed(&values);
        let converted: Vec<f64> = values.iter().map(|c| c * 1.8 + 32.0).collect();
        let fahrenheit = fed(&converted);
        for (feature, value) in celsius.values() {
            let other = fahrenheit.get(feature).unwrap();
            let expected = match feature {
                Feature::Crest | Feature::Skewness | Feature::Kurtosis => value,
                _ if feature.is_level() => value * 1.8 + 32.0,
                _ => value * 1.8,
            };
            prop_assert!((other - expected).abs() < 2e-3, "{feature:?}: {other} {expected}");
        }
    }

    #[test]
    fn what_is_not_a_number_changes_nothing(
        values in prop::collection::vec(-50.0_f64..50.0, 10..100),
        hole in 1_usize..9,
    ) {
        let mut holed = SignalFeatures::new();
        for (at, value) in values.iter().enumerate() {
            let at = at as i64 * SECOND;
            holed.update(at, *value);
            if at % hole as i64 == 0 {
                holed.update(at + 1, f64::NAN);
                holed.update(at + 2, f64::INFINITY);
                holed.update(at, *value + 1.0);
            }
        }
        prop_assert_eq!(holed, fed(&values));
    }

    #[test]
    fn a_saved_state_goes_on_as_if_nothing_had_happened(
        values in prop::collection::vec(-1e6_f64..1e6, 2..300),
        cut in 0_usize..300,
    ) {
        let cut = cut.min(values.len());
        let before = fed(&values[..cut]);
        let bytes = postcard::to_stdvec(&before).unwrap();
        let mut after: SignalFeatures = postcard::from_bytes(&bytes).unwrap();
        prop_assert!(after.is_consistent());
        for (at, value) in values.iter().enumerate().skip(cut) {
            after.update(at as i64 * SECOND, *value);
        }
        prop_assert_eq!(after, fed(&values));
    }
}

#[test]
fn a_constant_has_levels_and_no_shape() {
    let features = fed(&[21.5; 100]);
    for feature in [
        Feature::Ewma,
        Feature::Mean,
        Feature::Min,
        Feature::Max,
        Feature::P50,
    ] {
        assert_eq!(features.get(feature), Some(21.5), "{feature:?}");
    }
    for feature in [
        Feature::Std,
        Feature::Range,
        Feature::Slope,
        Feature::Rate,
        Feature::EwmaStd,
    ] {
        assert_eq!(features.get(feature), Some(0.0), "{feature:?}");
    }
    for feature in [
        Feature::Crest,
        Feature::Kurtosis,
        Feature::Skewness,
        Feature::HourNormal,
    ] {
        assert_eq!(features.get(feature), None, "{feature:?}");
    }
    assert_eq!(SignalFeatures::new().values(), []);
}

#[test]
fn a_gap_empties_the_window_and_recursions_go_on() {
    let mut features = fed(&[1.0; 100]);
    features.update(103 * SECOND, 2.0);
    assert_eq!(
        features.get(Feature::Min),
        Some(1.0),
        "a few lost messages are no gap"
    );
    features.update(200 * SECOND, 9.0);
    assert_eq!(features.get(Feature::Min), Some(9.0));
    assert_eq!(features.get(Feature::Rate), None, "no rate across a gap");
    assert_eq!(features.get(Feature::Slope), None);
    let ewma = features.get(Feature::Ewma).unwrap();
    assert!((1.0..3.0).contains(&ewma), "{ewma}");
    features.update(5 * SECOND, 4.0);
    assert_eq!(
        features.get(Feature::Max),
        Some(4.0),
        "nor does time run backwards in a window"
    );
}

#[test]
fn an_hour_is_compared_with_itself_on_earlier_days() {
    // Ten degrees more in the hours from 8 to 16, each day; on the eighth the day shift is late.
    let mut features = SignalFeatures::new();
    let minutes = 7 * 24 * 60 + 8 * 60 + 30;
    for minute in 0..minutes {
        let hour = minute / 60 % 24;
        let value = if (8..16).contains(&hour) && minute < 7 * 24 * 60 {
            30.0
        } else {
            20.0
        };
        features.update(minute * 60 * SECOND, value);
    }
    assert_eq!(features.get(Feature::HourNormal), Some(30.0));
    assert_eq!(features.get(Feature::HourDeviation), Some(-10.0));
    // The same day of the week before was warmer on the whole than this one until half past 8.
    let day = features.get(Feature::WeekdayDeviation).unwrap();
    assert!((day - -(10.0 * 8.0 / 24.0)).abs() < 1e-3, "{day}");
}

#[test]
fn the_features_of_three_signals_leave_most_of_the_budget_to_detection() {
    let features = fed(&(0..1000).map(f64::from).collect::<Vec<_>>());
    let saved = postcard::to_stdvec(&features).unwrap().len();
    let held = size_of::<SignalFeatures>() + 2 * WINDOW * size_of::<f32>() + 31 * 8;
    assert!(3 * saved.max(held) < 4 * 1024, "{saved} {held}");
}

#[test]
fn names_are_unique_and_units_follow_the_signal() {
    let mut names: Vec<&str> = Feature::ALL.iter().map(|one| one.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Feature::ALL.len());
    let bar = Some(telemetry::Unit::Bar);
    assert_eq!(Feature::Slope.unit(bar).as_deref(), Some("bar/s"));
    assert_eq!(Feature::Std.unit(bar).as_deref(), Some("bar"));
    assert_eq!(Feature::Kurtosis.unit(bar).as_deref(), Some("1"));
    assert_eq!(Feature::Mean.unit(None), None);
}

use proptest::prelude::*;

use super::*;

fn costs() -> Costs {
    Costs {
        planned: 1.0,
        failure: 5.0,
        lead_time: 0.0,
        inspection: 1.0,
        cost_rate: 0.08,
        windows: Vec::new(),
    }
}

/// Fails for certain within 100, at any time alike.
fn uniform() -> Fan {
    Fan::new([(0.25, 25.0), (0.5, 50.0), (1.0, 100.0)]).unwrap()
}

#[test]
fn a_fan_is_the_distribution_its_quantiles_draw() {
    // By hand: lines through (0, 0), (10, 0.1), (50, 0.5), (90, 0.9), flat behind.
    let fan = Fan::new([(0.1, 10.0), (0.5, 50.0), (0.9, 90.0)]).unwrap();
    for (time, probability, mean) in [
        (-1.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (5.0, 0.05, 5.0 - 0.125),
        (50.0, 0.5, 50.0 - 12.5),
        (90.0, 0.9, 90.0 - 40.5),
        // A tenth outlives all that is known.
        (190.0, 0.9, 90.0 - 40.5 + 10.0),
    ] {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(
            close(fan.probability_within(time), probability),
            "{time}: {}",
            fan.probability_within(time)
        );
        assert!(
            close(fan.mean_capped(time.max(0.0)), mean),
            "{time}: {}",
            fan.mean_capped(time)
        );
    }
    let quantile = fan.quantile(0.3).unwrap();
    assert!((quantile - 30.0).abs() < 1e-9, "{quantile}");
    assert_eq!(fan.quantile(0.95), None);
    assert!((fan.last_known() - 90.0).abs() < 1e-9);
}

#[test]
fn a_fan_that_falls_is_lifted_and_an_empty_one_is_none() {
    let fan = Fan::new([(0.5, 20.0), (0.1, 30.0), (0.9, f64::INFINITY)]).unwrap();
    assert!((fan.last_known() - 30.0).abs() < 1e-9);
    assert!((fan.probability_within(30.0) - 0.5).abs() < 1e-9);
    assert_eq!(Fan::new([(0.5, f64::NAN)]), None);
    assert_eq!(Fan::new([]), None);
}

#[test]
fn what_has_survived_is_counted_from_then() {
    let later = uniform().survived(60.0).unwrap();
    // Uniform on 0..100 given more than 60 is uniform on 0..40.
    assert!((later.probability_within(20.0) - 0.5).abs() < 1e-9);
    assert!((later.last_known() - 40.0).abs() < 1e-9);
    assert_eq!(uniform().survived(100.0), None);
}

#[test]
fn the_best_time_on_a_fan_is_the_one_found_by_hand() {
    // Uniform on 0..100: C'(t) = (5 − 1)/100 − g (1 − t/100) is 0 at t = 50 for g = 0.08.
    let decision = decide(&uniform(), &costs());
    assert_eq!(decision.replace_at, Some(50.0));
}

#[test]
fn a_visit_that_saves_the_journey_draws_the_date_to_it() {
    // C(t) is flat around its minimum: at 40 it is 0.04 above that at 50, by integration.
    let day = |at: f64| if (at - 40.0).abs() < 0.5 { 0.9 } else { 1.0 };
    assert_eq!(decide_by(&uniform(), &costs(), day).replace_at, Some(40.0));
    let hardly = |at: f64| if (at - 40.0).abs() < 0.5 { 0.95 } else { 1.0 };
    assert_eq!(
        decide_by(&uniform(), &costs(), hardly).replace_at,
        Some(50.0)
    );
}

fn fans() -> impl Strategy<Value = Fan> {
    prop::collection::vec((0.0..=1.0_f64, 0.0..1e7_f64), 1..12)
        .prop_map(|quantiles| Fan::new(quantiles).unwrap())
}

proptest! {
    #[test]
    fn any_fan_gives_a_distribution_function(fan in fans(), a in 0.0..2e7_f64, b in 0.0..2e7_f64) {
        let (early, late) = (a.min(b), a.max(b));
        let (p, q) = (fan.probability_within(early), fan.probability_within(late));
        prop_assert!((0.0..=1.0).contains(&p) && p <= q, "{p} {q}");
        let (m, n) = (fan.mean_capped(early), fan.mean_capped(late));
        prop_assert!(m <= n + 1e-6 && n <= late + 1e-6, "{m} {n}");
        // The mean grows by no more than the time between.
        prop_assert!(n - m <= late - early + 1e-6);
    }

    #[test]
    fn a_dearer_failure_never_dates_the_work_later(fan in fans(), more in 0.0..20.0_f64) {
        let slow = Costs { inspection: 86_400.0, cost_rate: 1e-7, ..costs() };
        let at = |failure: f64| {
            let decision = decide(&fan, &Costs { failure, ..slow.clone() });
            decision.replace_at.unwrap_or(f64::INFINITY)
        };
        prop_assert!(at(5.0 + more) <= at(5.0));
    }
}

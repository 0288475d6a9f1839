use proptest::prelude::*;

use super::*;

fn uniform(high: f64) -> RulDistribution {
    RulDistribution::from_quantile_function(|level| high * level).unwrap()
}

fn certain(at: f64) -> RulDistribution {
    RulDistribution::from_samples(&mut [at]).unwrap()
}

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

#[test]
fn the_best_time_is_the_one_found_by_hand() {
    // Uniform on 0..100: C'(t) = (5 − 1)/100 − g (1 − t/100) is 0 at t = 50 for g = 0.08.
    let decision = decide(&uniform(100.0), &costs());
    assert_eq!(decision.replace_at, Some(50.0));
    assert_eq!(decision.order_at, Some(50.0));
    assert!(
        decision.cost_of_waiting.unwrap() < 0.0,
        "waiting is worth money"
    );
    // And the rate itself is that of replacing new parts at 50: (1 + 4·0.5) / (50 − 12.5).
    let (age, rate) = age_replacement(&uniform(100.0), 1.0, 5.0).unwrap();
    assert!(
        (age - 50.0).abs() < 1e-9 && (rate - 0.08).abs() < 1e-9,
        "{age} {rate}"
    );
    // What fails for certain at 10.5 is replaced at the last inspection before.
    assert_eq!(decide(&certain(10.5), &costs()).replace_at, Some(10.0));
}

#[test]
fn the_best_age_of_a_weibull_life_agrees_with_an_independent_minimum() {
    // Shape 2: minimum of (f F + p S) / ∫S by scipy 1.17 (quad, minimize_scalar) for
    // f = 5, p = 1, scale 100: age 51.0655, cost per unit of time 0.040 852 4.
    let life = RulDistribution::from_quantile_function(|level| {
        100.0 * (-(1.0 - level.min(1.0 - 1e-9)).ln()).sqrt()
    });
    let (age, rate) = age_replacement(&life.unwrap(), 1.0, 5.0).unwrap();
    assert!((age / 51.065_5 - 1.0).abs() < 0.02, "{age}");
    assert!((rate / 0.040_852_4 - 1.0).abs() < 0.002, "{rate}");
    // Chance failures are not prevented by replacing.
    let chance = |level: f64| -100.0 * (1.0 - level.min(1.0 - 1e-6)).ln();
    let life = RulDistribution::from_quantile_function(chance).unwrap();
    assert!(age_replacement(&life, 1.0, 5.0).unwrap().0.is_infinite());
    assert_eq!(age_replacement(&RulDistribution::endless(), 1.0, 5.0), None);
}

#[test]
fn lead_time_and_windows_bound_what_can_be_done() {
    let late = Costs {
        lead_time: 60.0,
        ..costs()
    };
    let decision = decide(&uniform(100.0), &late);
    assert_eq!(
        (decision.replace_at, decision.order_at),
        (Some(60.0), Some(0.0))
    );
    assert!(decision.cost_of_waiting.unwrap() > 0.0);
    let early = Costs {
        lead_time: 20.0,
        ..costs()
    };
    assert_eq!(decide(&uniform(100.0), &early).order_at, Some(30.0));
    let windows = Costs {
        windows: vec![(5.0, 7.0), (56.5, 58.0), (90.0, 95.0)],
        ..costs()
    };
    assert_eq!(decide(&uniform(100.0), &windows).replace_at, Some(56.5));
    let missed = Costs {
        windows: vec![(1.0, 2.0)],
        lead_time: 5.0,
        ..costs()
    };
    let decision = decide(&uniform(100.0), &missed);
    assert_eq!(
        (decision.replace_at, decision.cost_of_waiting),
        (None, None)
    );
    assert!(
        decide(&RulDistribution::endless(), &costs())
            .replace_at
            .is_none()
    );
}

#[test]
fn costs_that_make_no_sense_are_refused() {
    assert!(costs().check().is_ok());
    for bad in [
        Costs {
            planned: 0.0,
            ..costs()
        },
        Costs {
            failure: 0.5,
            ..costs()
        },
        Costs {
            inspection: 0.0,
            ..costs()
        },
        Costs {
            lead_time: f64::NAN,
            ..costs()
        },
        Costs {
            cost_rate: -1.0,
            ..costs()
        },
        Costs {
            windows: vec![(2.0, 1.0)],
            ..costs()
        },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}

/// Twenty machines, forecasts every third unit of age.
fn fleet(forecast: impl Fn(f64, f64) -> f64) -> Vec<(u32, f64, f64, f64, RulDistribution)> {
    let mut rows = Vec::new();
    for asset in 0..20_u32 {
        let end = 100.0 + f64::from((asset * 7) % 20) * 10.0;
        for step in 1..100 {
            let age = f64::from(step) * 3.0;
            if age < end {
                let point = forecast(age, end);
                rows.push((asset, age, end, point, certain(point)));
            }
        }
    }
    rows
}

fn score(rows: &[(u32, f64, f64, f64, RulDistribution)]) -> Backtest {
    let rows: Vec<BacktestRow<'_>> = rows
        .iter()
        .map(|(asset, age, end, point, distribution)| BacktestRow {
            asset: *asset,
            age: *age,
            end: *end,
            point: *point,
            distribution,
        })
        .collect();
    backtest(
        &rows,
        &Costs {
            inspection: 3.0,
            ..costs()
        },
    )
    .unwrap()
}

#[test]
fn a_perfect_forecast_costs_what_the_oracle_does_and_a_permuted_one_is_worth_nothing() {
    let perfect = score(&fleet(|age, end| end - age));
    assert_eq!((perfect.machines, perfect.run_to_failure.failed), (20, 1.0));
    let mean_life = 100.0 + 95.0;
    assert!((perfect.run_to_failure.cost_rate - 5.0 / mean_life).abs() < 1e-9);
    assert!(
        (perfect.rule.cost_rate / perfect.oracle.cost_rate - 1.0).abs() < 0.01,
        "{perfect:?}"
    );
    assert!(
        perfect.rule.cost_rate < 0.8 * perfect.fixed_interval.cost_rate,
        "{perfect:?}"
    );
    assert!(perfect.rule.failed < 1e-12);
    // The forecast of another machine of the fleet.
    let wrong = score(&fleet(|age, end| (400.0 - end - age).max(0.0)));
    assert!(
        wrong.rule.cost_rate > 1.3 * perfect.rule.cost_rate,
        "{wrong:?}"
    );
    assert!(
        wrong.rule.cost_rate > wrong.fixed_interval.cost_rate,
        "{wrong:?}"
    );
    assert!(backtest(&[], &costs()).is_none());
}

proptest! {
    #[test]
    fn a_dearer_failure_never_means_acting_later(high in 10.0..300.0_f64, more in 0.0..20.0_f64) {
        let at = |failure: f64| {
            let decision = decide(&uniform(high), &Costs { failure, ..costs() });
            decision.replace_at.unwrap_or(f64::INFINITY)
        };
        prop_assert!(at(5.0 + more) <= at(5.0));
    }

    #[test]
    fn another_unit_moves_the_date_and_not_the_decision(high in 10.0..300.0_f64) {
        let here = decide(&uniform(high), &costs());
        let seconds = Costs { inspection: 60.0, cost_rate: 0.08 / 60.0, ..costs() };
        let there = decide(&uniform(high).scaled(60.0), &seconds);
        let minutes = there.replace_at.map(|at| at / 60.0);
        prop_assert_eq!(here.replace_at.map(f64::round), minutes.map(f64::round));
    }
}

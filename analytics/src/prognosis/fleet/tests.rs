//! Claims about fleet models, on a fleet that wears in a known way.

use std::ops::ControlFlow;

use super::*;
use crate::{
    AnalyticsError,
    prognosis::{
        chance::Chance,
        lives::{Life, LifeEnd},
        path::{features::Aspect, tests::fleet},
    },
};

fn names() -> Vec<String> {
    ["load", "flow", "noise", "heat", "still"]
        .map(str::to_owned)
        .to_vec()
}

fn small() -> FleetConfig {
    FleetConfig {
        cap: 80.0,
        most_rows: 3_000,
        ensembles: 1,
        kernels: 1,
        kernel_features: 200,
        trees: TreesConfig {
            rounds: 80,
            rate: 0.1,
            min_rows: 20,
            ..TreesConfig::default()
        },
        ..FleetConfig::default()
    }
}

fn fit(lives: &[Life], config: &FleetConfig) -> Result<Fitted, AnalyticsError> {
    FleetModel::fit(&names(), lives, config, &mut |_| ControlFlow::Continue(()))
}

fn forecast(model: &FleetModel, life: &Life, cycles: usize, age: Option<f64>) -> Option<Forecast> {
    let mut state = model.start(age);
    life.rows[..cycles]
        .iter()
        .for_each(|row| model.push(&mut state, row));
    model.predict(&state)
}

fn rmse(model: &FleetModel, lives: &[Life], age: Option<f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for life in lives {
        for cycles in (20..life.rows.len()).step_by(7) {
            let truth = life.remaining(cycles - 1).min(model.cap());
            sum += (forecast(model, life, cycles, age).unwrap().point - truth).powi(2);
            count += 1.0;
        }
    }
    f64::sqrt(sum / count)
}

#[test]
fn unseen_lives_are_forecast_and_the_error_is_what_cross_validation_said() {
    let fitted = fit(&fleet(40, 1), &small()).unwrap();
    let unseen = fleet(30, 99);
    let metrics = fitted.model.metrics();
    let (full, window) = (metrics.full_history.clone().unwrap(), &metrics.window_only);
    assert!(full.rmse < 0.55 * full.rmse_mean, "{full:?}");
    let error = rmse(&fitted.model, &unseen, Some(0.0));
    assert!((error / full.rmse - 1.0).abs() < 0.25, "{error} {full:?}");
    let without_age = rmse(&fitted.model, &unseen, None);
    assert!(
        without_age < 0.8 * window.rmse_mean,
        "{without_age} {window:?}"
    );
    assert!((0.7..0.95).contains(&full.coverage), "{full:?}");
}

#[test]
fn lives_in_a_random_order_teach_nothing() {
    // The same rows of the same lives, each life in a random order: what is seen no longer
    // tells what remains, and windows know no age.
    let mut lives = fleet(40, 1);
    let mut chance = Chance::new(5, 5);
    for life in &mut lives {
        for at in (1..life.rows.len()).rev() {
            life.rows.swap(at, chance.below(at + 1));
        }
    }
    let fitted = fit(&lives, &small()).unwrap();
    let window = &fitted.model.metrics().window_only;
    assert!(window.rmse > 0.93 * window.rmse_mean, "{window:?}");
}

#[test]
fn a_fit_is_the_same_for_a_seed_whatever_the_number_of_threads() {
    let lives = fleet(16, 2);
    let one = fit(
        &lives,
        &FleetConfig {
            threads: 1,
            ..small()
        },
    )
    .unwrap();
    let two = fit(
        &lives,
        &FleetConfig {
            threads: 3,
            ..small()
        },
    )
    .unwrap();
    assert_eq!(one.model, two.model);
    assert_eq!(one.out_of_fold, two.out_of_fold);
    let other = fit(&lives, &FleetConfig { seed: 9, ..small() }).unwrap();
    assert_ne!(one.model, other.model);
}

#[test]
fn a_stored_model_and_state_go_on_bit_equal() {
    let lives = fleet(16, 2);
    let model = fit(&lives, &small()).unwrap().model;
    let bytes = postcard::to_stdvec(&model).unwrap();
    let back: FleetModel = postcard::from_bytes(&bytes).unwrap();
    assert!(back.is_consistent());
    assert_eq!(back, model);
    let mut state = model.start(Some(0.0));
    let rows = &lives[0].rows;
    rows[..50]
        .iter()
        .for_each(|row| model.push(&mut state, row));
    let stored = postcard::to_stdvec(&state).unwrap();
    let mut restored: FleetState = postcard::from_bytes(&stored).unwrap();
    assert!(back.fits(&restored));
    rows[50..].iter().for_each(|row| {
        model.push(&mut state, row);
        back.push(&mut restored, row);
    });
    assert_eq!(back.predict(&restored), model.predict(&state));
}

#[test]
fn units_of_signals_do_not_move_a_forecast_by_more_than_rounding() {
    let lives = fleet(16, 3);
    let change = |x: &f64| 1.8 * x + 32.0;
    let changed: Vec<Life> = lives
        .iter()
        .map(|life| Life {
            rows: life
                .rows
                .iter()
                .map(|row| CycleRow {
                    settings: row.settings.clone(),
                    values: row.values.iter().map(change).collect(),
                })
                .collect(),
            ..life.clone()
        })
        .collect();
    let a = fit(&lives, &small()).unwrap().model;
    let b = fit(&changed, &small()).unwrap().model;
    for (one, other) in lives.iter().zip(&changed) {
        let (p, q) = (
            forecast(&a, one, 70, Some(0.0)).unwrap().point,
            forecast(&b, other, 70, Some(0.0)).unwrap().point,
        );
        // A value on the edge of a bin may fall to the other side.
        assert!((p - q).abs() < 2.0, "{p} {q}");
    }
}

#[test]
fn what_a_forecast_rests_on_is_said() {
    let lives = fleet(16, 2);
    let model = fit(&lives, &small()).unwrap().model;
    let basis = |age| forecast(&model, &lives[0], 60, age).unwrap().basis;
    assert_eq!(basis(Some(0.0)), Basis::FullHistory);
    assert_eq!(basis(Some(40.0)), Basis::WindowOnly);
    assert_eq!(basis(None), Basis::WindowOnly);
    assert_eq!(forecast(&model, &lives[0], 9, Some(0.0)), None);
    // Without a life that was watched from its beginning there is no other basis.
    let mut late = lives.clone();
    for life in &mut late {
        life.age = None;
    }
    let model = fit(&late, &small()).unwrap().model;
    assert!(model.metrics().full_history.is_none() && model.is_consistent());
    let said = forecast(&model, &lives[0], 60, Some(0.0)).unwrap();
    assert_eq!(said.basis, Basis::WindowOnly);
}

#[test]
fn a_life_that_was_cut_short_teaches_only_that_it_was_longer_than_the_cap() {
    let mut lives = fleet(24, 4);
    lives.iter_mut().skip(12).for_each(|life| {
        life.end = LifeEnd::Censored;
        life.rows.truncate(life.rows.len() * 3 / 4);
    });
    let fitted = fit(&lives, &small()).unwrap();
    assert_eq!(fitted.model.metrics().failed, 12);
    let censored = fitted.out_of_fold.iter().filter(|row| row.life >= 12);
    assert!(censored.clone().count() > 0);
    assert!(censored.clone().all(|row| row.truth == f64::INFINITY));
}

#[test]
fn what_cannot_be_learned_from_is_refused_and_learning_can_be_stopped() {
    assert!(fit(&[], &small()).is_err());
    assert!(fit(&fleet(3, 1), &small()).is_err());
    let bad = FleetConfig {
        cap: f64::NAN,
        ..small()
    };
    assert!(fit(&fleet(10, 1), &bad).is_err());
    let mut asked = 0;
    let stopped = FleetModel::fit(&names(), &fleet(10, 1), &small(), &mut |_| {
        asked += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(AnalyticsError::Stopped)));
    assert!(asked >= 1);
}

#[test]
fn an_explanation_adds_up_and_names_what_wears() {
    let lives = fleet(40, 1);
    let model = fit(&lives, &small()).unwrap().model;
    let unseen = &fleet(3, 77)[1];
    let cycles = unseen.rows.len() - 5;
    let mut state = model.start(Some(0.0));
    unseen.rows[..cycles]
        .iter()
        .for_each(|row| model.push(&mut state, row));
    let why = model.explain(&state).unwrap();
    let said = model.predict(&state).unwrap();
    let sum: f64 = why.contributions.iter().map(|c| c.cycles).sum();
    assert!((why.average + sum + why.unexplained - said.point).abs() < 1e-9);
    assert!(why.unexplained.abs() < 6.0, "{why:?}");
    assert!(
        why.contributions
            .is_sorted_by(|a, b| a.cycles.abs() >= b.cycles.abs())
    );
    let of = |name: &str| -> f64 {
        let own = why.contributions.iter();
        own.filter(|c| c.signal.as_deref() == Some(name))
            .map(|c| c.cycles)
            .sum()
    };
    // At the end of life the worn signals take cycles away, far more than pure noise does.
    assert!(of("load") + of("heat") + of("flow") < -10.0, "{why:?}");
    assert!(of("noise").abs() < 0.5 * of("load").abs(), "{why:?}");
    assert!(
        why.contributions
            .iter()
            .any(|c| c.aspect == Aspect::Age && c.signal.is_none())
    );
    assert!(!why.similar.is_empty() && why.similar.len() <= 5);
    assert!(why.similar.is_sorted_by(|a, b| a.distance <= b.distance));
    let median = why.similar[why.similar.len() / 2].remained;
    assert!(median < 30, "{:?}", why.similar);
}

#[test]
fn of_many_components_the_kernel_sees_as_many_as_do_it_good() {
    // Five signals that wander slowly, each on its own, and one that wears: all are components.
    let mut lives = fleet(20, 6);
    let mut chance = Chance::new(6, 6);
    for life in &mut lives {
        let mut wander = [0.0; 5];
        for row in &mut life.rows {
            for x in &mut wander {
                *x = 0.98 * *x + 0.2 * chance.normal();
            }
            row.settings.clear();
            row.values[2] = wander[4];
            row.values[0] = row.values[3];
            row.values[1] = wander[0];
            row.values[3] = wander[1] + row.values[0];
            row.values[4] = wander[2] + 0.1 * wander[3];
        }
    }
    let fitted = fit(&lives, &small()).unwrap();
    let metrics = fitted.model.metrics();
    assert!(metrics.components.len() > 3, "{metrics:?}");
    let full = metrics.full_history.clone().unwrap();
    let all = 1 + 16 * metrics.components.len();
    assert!([49, all].contains(&full.kernel_inputs), "{full:?}");
    assert!(full.rmse < full.rmse_mean && fitted.model.is_consistent());
}

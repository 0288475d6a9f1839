//! Claims about features of histories.

use proptest::prelude::*;

use super::*;
use crate::prognosis::{chance::Chance, lives::LifeEnd};

/// A fleet that wears: two settings make three conditions; signals follow wear, load and noise;
/// the last one never moves.
pub(crate) fn fleet(lives: usize, seed: u64) -> Vec<Life> {
    let mut chance = Chance::new(seed, 0);
    let life = |asset: usize, chance: &mut Chance| {
        let length = 80 + chance.below(120);
        let row = |at: usize, chance: &mut Chance| {
            let load = chance.below(3) as f64;
            let wear = (at as f64 / length as f64).powi(3) * 6.0;
            let values = vec![
                100.0 * load + (1.0 + load) * (wear + chance.normal()),
                40.0 - 10.0 * load - 0.5 * wear + 0.6 * chance.normal(),
                chance.normal(),
                3.0 * wear * wear / 6.0 + 2.0 * chance.normal() + load,
                7.25,
            ];
            let settings = vec![10.0 * load + 0.01 * chance.normal(), 0.25 * load];
            CycleRow { settings, values }
        };
        Life {
            asset: format!("unit {asset}"),
            age: Some(0.0),
            rows: (0..length).map(|at| row(at, chance)).collect(),
            end: LifeEnd::Failed,
        }
    };
    (0..lives).map(|asset| life(asset, &mut chance)).collect()
}

fn features(model: &PathModel, rows: &[CycleRow]) -> Vec<f32> {
    let mut state = model.start(Some(0.0));
    for row in rows {
        model.push(&mut state, row);
    }
    model.features(&state)
}

#[test]
fn conditions_are_found_when_they_explain_the_signals_and_constants_are_dropped() {
    let lives = fleet(10, 1);
    let model = PathModel::fit(5, &lives).unwrap();
    assert_eq!(model.conditions().count(), 3);
    assert_eq!(model.conditions().kept(), [0, 1, 2, 3]);
    assert_eq!(model.layout().signals, 4);
    assert!(model.fusion().ratios()[0] > 3.0);
    // The same settings, but signals that do not care: one condition.
    let mut idle = lives;
    let rows = idle.iter_mut().flat_map(|life| &mut life.rows);
    rows.for_each(|row| row.values = vec![row.values[2]]);
    assert_eq!(PathModel::fit(1, &idle).unwrap().conditions().count(), 1);
}

#[test]
fn normalised_values_are_standard_in_every_condition() {
    let lives = fleet(10, 1);
    let model = PathModel::fit(5, &lives).unwrap();
    let rows: Vec<&CycleRow> = lives.iter().flat_map(|life| &life.rows).collect();
    for condition in 0..3 {
        let own = rows
            .iter()
            .filter(|row| model.conditions().of(row) == condition);
        let values: Vec<Vec<f64>> = own
            .map(|row| model.conditions().normalised(row).collect())
            .collect();
        let n = values.len() as f64;
        for signal in 0..4 {
            let mean = values.iter().map(|v| v[signal]).sum::<f64>() / n;
            let square = values.iter().map(|v| v[signal].powi(2)).sum::<f64>() / n;
            assert!(mean.abs() < 1e-9 && (square - 1.0).abs() < 1e-9);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What a history says at cycle k is the same whatever comes after k.
    #[test]
    fn features_do_not_know_what_comes_later(cut in 1_usize..80, seed in 0_u64..4) {
        let lives = fleet(4, seed);
        let model = PathModel::fit(5, &lives).unwrap();
        let rows = &lives[0].rows;
        let cut_short = features(&model, &rows[..cut]);
        let mut state = model.start(Some(0.0));
        let mut on_the_way = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            model.push(&mut state, row);
            if at + 1 == cut {
                on_the_way = model.features(&state);
            }
        }
        prop_assert_eq!(cut_short, on_the_way);
    }

    /// A state that is saved and restored anywhere goes on bit-equal.
    #[test]
    fn a_restart_changes_nothing(cut in 0_usize..80) {
        let lives = fleet(4, 1);
        let model = PathModel::fit(5, &lives).unwrap();
        let rows = &lives[1].rows;
        let mut state = model.start(Some(0.0));
        rows[..cut].iter().for_each(|row| model.push(&mut state, row));
        let bytes = postcard::to_stdvec(&state).unwrap();
        let mut back: PathState = postcard::from_bytes(&bytes).unwrap();
        prop_assert!(model.is_consistent(&back));
        rows[cut..].iter().for_each(|row| model.push(&mut back, row));
        prop_assert_eq!(model.features(&back), features(&model, rows));
    }

    /// Other units and offsets of signals and settings change no feature.
    #[test]
    fn units_do_not_matter(factor in 0.01_f64..1e3, offset in -1e3_f64..1e3) {
        let lives = fleet(6, 2);
        let change = |x: &f64| x * factor + offset;
        let changed: Vec<Life> = lives.iter().map(|life| Life {
            rows: life.rows.iter().map(|row| CycleRow {
                settings: row.settings.iter().map(change).collect(),
                values: row.values.iter().map(change).collect(),
            }).collect(),
            ..life.clone()
        }).collect();
        let (a, b) = (PathModel::fit(5, &lives).unwrap(), PathModel::fit(5, &changed).unwrap());
        prop_assert_eq!(a.layout(), b.layout());
        let (a, b) = (features(&a, &lives[0].rows), features(&b, &changed[0].rows));
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() <= 2e-4 * (1.0 + a.abs()), "{} {}", a, b);
        }
    }

    /// Whatever is measured, features are finite.
    #[test]
    fn features_are_finite(values in prop::collection::vec(
        prop::collection::vec(prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(-1e300), -1e3_f64..1e3
        ], 0..7), 1..40)) {
        let model = PathModel::fit(5, &fleet(4, 1)).unwrap();
        let rows: Vec<CycleRow> = values.iter().map(|v| CycleRow {
            settings: v.iter().take(2).copied().collect(),
            values: v.clone(),
        }).collect();
        prop_assert!(features(&model, &rows).iter().all(|x| x.is_finite()));
    }
}

#[test]
fn a_missing_value_counts_as_the_last_one() {
    let lives = fleet(4, 1);
    let model = PathModel::fit(5, &lives).unwrap();
    let mut rows = lives[0].rows[..40].to_vec();
    // The same condition twice, so that the last value reads the same.
    rows[30].settings = rows[29].settings.clone();
    rows[30].values = rows[29].values.clone();
    let repeated = features(&model, &rows);
    rows[30].values = vec![f64::NAN; 5];
    assert_eq!(features(&model, &rows), repeated);
    rows[30].values.clear();
    assert_eq!(features(&model, &rows), repeated);
}

#[test]
fn an_onset_is_dated_when_the_machine_leaves_its_beginning() {
    let lives = fleet(30, 3);
    let model = PathModel::fit(5, &lives).unwrap();
    let mut dated = 0;
    for life in &lives {
        let mut state = model.start(Some(0.0));
        let mut early = false;
        for (at, row) in life.rows.iter().enumerate() {
            model.push(&mut state, row);
            early |= at < life.rows.len() / 4 && state.onset().is_some();
        }
        let onset = state
            .onset()
            .map(|row| f64::from(row) / life.rows.len() as f64);
        dated += usize::from(!early && onset.is_some_and(|part| (0.3..0.95).contains(&part)));
    }
    assert!(dated >= 28, "{dated} of 30");
}

#[test]
fn what_never_moves_cannot_be_learned_from() {
    let row = CycleRow {
        settings: vec![],
        values: vec![1.0, f64::NAN],
    };
    let life = Life {
        asset: "a".into(),
        age: None,
        rows: vec![row; 50],
        end: LifeEnd::Failed,
    };
    assert!(PathModel::fit(2, &[life]).is_err());
    assert!(PathModel::fit(2, &[]).is_err());
}

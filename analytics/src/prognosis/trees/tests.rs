//! Claims about ensembles, against values computed another way.

use ndarray::Array2;

use super::*;
use crate::prognosis::chance::Chance;

/// A table of uniform values and a target with an interaction and a step.
fn example(rows: usize, seed: u64) -> (Array2<f32>, Vec<f32>) {
    let mut chance = Chance::new(seed, 1);
    let x = Array2::from_shape_fn((rows, 5), |_| chance.uniform() as f32);
    let y = x
        .rows()
        .into_iter()
        .map(|r| 3.0 * r[0] * r[1] + if r[2] > 0.4 { 2.0 } else { 0.0 } - r[3])
        .collect();
    (x, y)
}

fn small(seed: u64) -> TreesConfig {
    TreesConfig {
        rounds: 40,
        rate: 0.3,
        leaves: 8,
        min_rows: 5,
        columns: 0.8,
        seed,
        ..TreesConfig::default()
    }
}

fn mean_squared(trees: &Trees, x: &Array2<f32>, y: &[f32]) -> f64 {
    let each = x.rows().into_iter().zip(y).map(|(row, &y)| {
        let error = trees.predict(row.as_slice().unwrap()) - f64::from(y);
        error * error
    });
    each.sum::<f64>() / y.len() as f64
}

#[test]
fn one_tree_finds_the_best_step_that_can_be_found() {
    // By hand: 4 rows of 0 and 6 of 10; means 0 and 10, split between 3 and 4.
    let x = Array2::from_shape_fn((10, 1), |(row, _)| row as f32);
    let y: Vec<f32> = (0..10)
        .map(|row| if row < 4 { 0.0 } else { 10.0 })
        .collect();
    let config = TreesConfig {
        rounds: 1,
        rate: 1.0,
        leaves: 2,
        min_rows: 1,
        columns: 1.0,
        rows: 1.0,
        l2: 0.0,
        ..TreesConfig::default()
    };
    let trees = Trees::fit(x.view(), &y, Loss::Squared, &config).unwrap();
    assert_eq!(trees.nodes.len(), 3);
    assert!((trees.nodes[0].threshold - 3.5).abs() < 1e-6);
    assert!(trees.predict(&[3.4]).abs() < 1e-6);
    assert!((trees.predict(&[3.6]) - 10.0).abs() < 1e-6);
    // With l2 = 4 the value of a leaf of n rows shrinks by n / (n + 4): from the mean of 6
    // the left leaf is 6 - 6 * 4 / 8 = 3, the right one 6 + 4 * 6 / 10 = 8.4.
    let config = TreesConfig { l2: 4.0, ..config };
    let trees = Trees::fit(x.view(), &y, Loss::Squared, &config).unwrap();
    assert!((trees.predict(&[0.0]) - 3.0).abs() < 1e-6);
    assert!((trees.predict(&[9.0]) - 8.4).abs() < 1e-6);
}

#[test]
fn an_ensemble_learns_what_was_not_shown_and_nothing_from_noise() {
    let (x, y) = example(2_000, 1);
    let (unseen, truth) = example(1_000, 2);
    let trees = Trees::fit(x.view(), &y, Loss::Squared, &small(3)).unwrap();
    let mean = y.iter().sum::<f32>() / y.len() as f32;
    let spread = truth
        .iter()
        .map(|y| f64::from((y - mean).powi(2)))
        .sum::<f64>()
        / 1_000.0;
    let error = mean_squared(&trees, &unseen, &truth);
    assert!(error < 0.03 * spread, "{error} of {spread}");
    let mut chance = Chance::new(4, 0);
    let noise: Vec<f32> = y.iter().map(|_| y[chance.below(y.len())]).collect();
    let blind = Trees::fit(x.view(), &noise, Loss::Squared, &small(3)).unwrap();
    assert!(mean_squared(&blind, &unseen, &truth) > 0.9 * spread);
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_one_another_ensemble() {
    let (x, y) = example(500, 1);
    let fit = |seed| Trees::fit(x.view(), &y, Loss::Squared, &small(seed)).unwrap();
    assert_eq!(fit(5), fit(5));
    assert_ne!(fit(5), fit(6));
    let bytes = postcard::to_stdvec(&fit(5)).unwrap();
    let back: Trees = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(back, fit(5));
    assert!(back.is_consistent());
}

#[test]
fn a_rising_change_of_units_changes_no_prediction() {
    let (x, y) = example(500, 1);
    let scaled = x.mapv(|v| 1_024.0 * v - 64.0);
    let plain = Trees::fit(x.view(), &y, Loss::Squared, &small(5)).unwrap();
    let other = Trees::fit(scaled.view(), &y, Loss::Squared, &small(5)).unwrap();
    for (a, b) in x.rows().into_iter().zip(scaled.rows()) {
        let (a, b) = (a.to_vec(), b.to_vec());
        assert!((plain.predict(&a) - other.predict(&b)).abs() < 1e-9);
    }
}

#[test]
fn log_odds_of_a_label_agree_with_its_frequency() {
    let mut chance = Chance::new(8, 0);
    let x = Array2::from_shape_fn((4_000, 2), |_| chance.uniform() as f32);
    let p = |v: f32| if v > 0.5 { 0.8 } else { 0.1 };
    let y: Vec<f32> = (0..4_000)
        .map(|row| f32::from(u8::from(chance.uniform() < p(x[(row, 0)]))))
        .collect();
    let config = TreesConfig {
        leaves: 3,
        min_rows: 200,
        ..small(1)
    };
    let trees = Trees::fit(x.view(), &y, Loss::Logistic, &config).unwrap();
    assert!((trees.probability(&[0.9, 0.5]) - 0.8).abs() < 0.08);
    assert!((trees.probability(&[0.1, 0.5]) - 0.1).abs() < 0.08);
}

#[test]
fn a_missing_value_is_a_value_of_its_own() {
    let x = Array2::from_shape_fn(
        (300, 1),
        |(row, _)| {
            if row % 3 == 0 { f32::NAN } else { row as f32 }
        },
    );
    let y: Vec<f32> = (0..300)
        .map(|row| f32::from(u8::from(row % 3 == 0)))
        .collect();
    let config = TreesConfig {
        columns: 1.0,
        ..small(1)
    };
    let trees = Trees::fit(x.view(), &y, Loss::Squared, &config).unwrap();
    assert!(trees.predict(&[f32::NAN]) > 0.95 && trees.predict(&[150.0]) < 0.05);
    let (absent, missing) = (trees.predict(&[]), trees.predict(&[f32::NAN]));
    assert_eq!(absent.to_bits(), missing.to_bits());
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    let (x, y) = example(20, 1);
    let none = Array2::<f32>::zeros((0, 5));
    let bad = |x: &Array2<f32>, y: &[f32], loss, config: &TreesConfig| {
        Trees::fit(x.view(), y, loss, config).is_err()
    };
    assert!(bad(&none, &[], Loss::Squared, &small(1)));
    assert!(bad(&x, &y[1..], Loss::Squared, &small(1)));
    assert!(bad(&x, &[f32::NAN; 20], Loss::Squared, &small(1)));
    assert!(bad(&x, &[0.5; 20], Loss::Logistic, &small(1)));
    let rate = TreesConfig {
        rate: 0.0,
        ..small(1)
    };
    assert!(bad(&x, &y, Loss::Squared, &rate));
    // A constant target or constant features are no error: the mean is all there is.
    let constant = Array2::<f32>::ones((20, 5));
    let trees = Trees::fit(constant.view(), &[7.0; 20], Loss::Squared, &small(1)).unwrap();
    assert!((trees.predict(&[1.0; 5]) - 7.0).abs() < 1e-5);
}

/// The Shapley value by its definition: over all orders of the features.
fn brute_force(trees: &Trees, row: &[f32]) -> Vec<f64> {
    fn value(trees: &Trees, at: usize, row: &[f32], known: usize) -> f64 {
        let node = trees.nodes[at];
        let left = node.left as usize;
        if left == at {
            return f64::from(trees.values[at]);
        }
        let feature = usize::from(node.feature);
        if known >> feature & 1 == 1 {
            let is_right = row[feature] > node.threshold;
            return value(trees, left + usize::from(is_right), row, known);
        }
        let share = |child: usize| f64::from(trees.covers[child]) / f64::from(trees.covers[at]);
        share(left) * value(trees, left, row, known)
            + share(left + 1) * value(trees, left + 1, row, known)
    }
    let n = trees.features;
    let all = |known: usize| -> f64 {
        let roots = trees.roots.iter();
        roots
            .map(|root| value(trees, root.node as usize, row, known))
            .sum()
    };
    let factorial = |k: u32| (1..=k).map(f64::from).product::<f64>();
    let of = |feature: usize| {
        (0..1_usize << n)
            .filter(|known| known >> feature & 1 == 0)
            .map(|known| {
                let size = known.count_ones();
                let weight = factorial(size) * factorial(n as u32 - size - 1) / factorial(n as u32);
                weight * (all(known | 1 << feature) - all(known))
            })
            .sum()
    };
    (0..n).map(of).collect()
}

#[test]
fn contributions_are_the_shapley_values_of_the_definition_and_add_up() {
    let (x, y) = example(400, 7);
    let config = TreesConfig {
        rounds: 12,
        leaves: 12,
        ..small(2)
    };
    let trees = Trees::fit(x.view(), &y, Loss::Squared, &config).unwrap();
    for row in x.rows().into_iter().take(20) {
        let row = row.to_vec();
        let got = trees.shap(&row);
        for (got, expected) in got.iter().zip(brute_force(&trees, &row)) {
            assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
        }
        let sum: f64 = trees.expected() + got.iter().sum::<f64>();
        assert!((sum - trees.predict(&row)).abs() < 1e-9);
    }
}

#[test]
fn the_mean_of_ensembles_predicts_the_mean() {
    let (x, y) = example(300, 1);
    let fit = |seed| Trees::fit(x.view(), &y, Loss::Squared, &small(seed)).unwrap();
    let mean = Trees::mean(vec![fit(1), fit(2), fit(3)]).unwrap();
    assert!(mean.is_consistent());
    for row in x.rows() {
        let row = row.to_vec();
        let expected = (1..=3).map(|seed| fit(seed).predict(&row)).sum::<f64>() / 3.0;
        assert!((mean.predict(&row) - expected).abs() < 1e-5);
    }
}

//! Claims about the kernel, against exact kernels and derivatives.

use super::*;
use crate::prognosis::chance::Chance;

fn example(rows: usize) -> (Array2<f32>, Vec<f32>) {
    let mut chance = Chance::new(1, 0);
    let x = Array2::from_shape_fn((rows, 3), |_| chance.normal() as f32);
    let y = x
        .rows()
        .into_iter()
        .map(|r| 10.0 + (1.5 * r[0]).sin() + r[1] * r[2])
        .collect();
    (x, y)
}

fn fit(x: &Array2<f32>, y: &[f32], features: usize, used: &[bool]) -> Fitted {
    let rows: Vec<u32> = (0..y.len() as u32).collect();
    let scale = Scale::fit(x.view(), &[0, 1, 2], &rows);
    let fold: Vec<u8> = (0..y.len()).map(|row| (row % 4) as u8).collect();
    let z = scale.table(x.view());
    let task = Task {
        z: z.view(),
        y,
        fold: &fold,
        folds: 4,
        used,
        features,
        seed: 7,
    };
    task.fit(&scale).unwrap()
}

#[test]
fn the_cosine_is_right_to_single_precision() {
    for at in -4_000..4_000 {
        let u = at as f32 * 0.001_37;
        let exact = (std::f64::consts::TAU * f64::from(u)).cos();
        assert!((f64::from(cos_of_turns(u)) - exact).abs() < 1e-6, "{u}");
    }
}

#[test]
fn random_features_approximate_the_gaussian_kernel() {
    // exp(−|a − b|²/(2 d)) for d inputs; the error of 20,000 features is about 1/√10,000.
    let draw = Draw::new(3, 20_000, 5);
    let z = ndarray::array![[0.0_f32, 0.5, -1.0], [1.0, 0.0, -2.0], [3.0, -3.0, 2.0]];
    let phi = draw.features(z.view());
    for (i, a) in z.rows().into_iter().enumerate() {
        for (j, b) in z.rows().into_iter().enumerate() {
            let square: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            let product = phi.row(i).dot(&phi.row(j));
            let linear: f32 = a.iter().zip(b).map(|(a, b)| LINEAR * LINEAR * a * b).sum();
            let got = product - linear;
            assert!((got - (-square / 6.0).exp()).abs() < 0.03);
        }
    }
}

#[test]
fn what_is_learned_without_a_fold_is_what_a_fit_to_the_others_gives() {
    let (x, y) = example(400);
    let all = fit(&x, &y, 64, &[true; 400]);
    let without: Vec<bool> = (0..400).map(|row| row % 4 != 2).collect();
    let rows: Vec<u32> = (0..400).collect();
    let scale = Scale::fit(x.view(), &[0, 1, 2], &rows);
    let z = scale.table(x.view());
    let fold: Vec<u8> = (0..400).map(|row| (row % 4) as u8).collect();
    let others = Task {
        z: z.view(),
        y: &y,
        fold: &fold,
        folds: 4,
        used: &without,
        features: 64,
        seed: 7,
    };
    let others = others.fit(&scale).unwrap().kernel;
    for row in (2..400).step_by(4) {
        let expected = others.predict(&x.row(row).to_vec());
        assert!((f64::from(all.out_of_fold[row]) - expected).abs() < 1e-3);
    }
}

#[test]
fn a_smooth_function_is_learned() {
    let (x, y) = example(2_000);
    let fitted = fit(&x, &y, 600, &[true; 2_000]);
    let error = |p: f32, y: f32| f64::from((p - y) * (p - y));
    let each = fitted
        .out_of_fold
        .iter()
        .zip(&y)
        .map(|(p, y)| error(*p, *y));
    let error = each.sum::<f64>() / 2_000.0;
    // The variance of the target is about 1.5.
    assert!(error < 0.02, "{error}");
}

#[test]
fn contributions_add_up_and_follow_the_features_that_matter() {
    let (x, y) = example(1_000);
    let y: Vec<f32> = x
        .rows()
        .into_iter()
        .zip(&y)
        .map(|(r, _)| 2.0 * r[0])
        .collect();
    let kernel = fit(&x, &y, 300, &[true; 1_000]).kernel;
    for row in x.rows().into_iter().take(10) {
        let row = row.to_vec();
        let parts = kernel.contributions(&row);
        let sum: f64 = parts.iter().map(|(_, part)| part).sum();
        assert!((kernel.expected() + sum - kernel.predict(&row)).abs() < 0.02);
        let others = parts[1].1.abs() + parts[2].1.abs();
        assert!((parts[0].1 - 2.0 * f64::from(row[0])).abs() < 0.3 && others < 0.4);
    }
}

#[test]
fn the_mean_of_kernels_predicts_the_mean_and_survives_being_stored() {
    let (x, y) = example(300);
    let (a, b) = (fit(&x, &y, 50, &[true; 300]), fit(&x, &y, 70, &[true; 300]));
    let (a, b) = (a.kernel, b.kernel);
    let mean = Kernel::mean(vec![a.clone(), b.clone()]).unwrap();
    assert!(mean.is_consistent(3));
    let bytes = postcard::to_stdvec(&mean).unwrap();
    assert_eq!(postcard::from_bytes::<Kernel>(&bytes).unwrap(), mean);
    for row in x.rows().into_iter().take(20) {
        let row = row.to_vec();
        let expected = f64::midpoint(a.predict(&row), b.predict(&row));
        assert!((mean.predict(&row) - expected).abs() < 1e-4);
    }
    // What is missing is the average; what is far away is cut.
    let far = mean.predict(&[1e30, f32::NAN, 0.0]);
    assert!(far.is_finite() && (far - mean.predict(&[1e6, f32::NAN, 0.0])).abs() < 1e-9);
}

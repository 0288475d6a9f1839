//! Solving large symmetric systems, and small ones with weights that must not be negative.
//!
//! linfa-linalg's Cholesky goes element by element; at the fifteen hundred unknowns of a
//! kernel it takes most of a fit. This one does the same in blocks, with matrix products.

use std::ops::Range;

use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, Slice, linalg::general_mat_mul,
};

/// Columns of a block: the products stay in the second cache.
const BLOCK: usize = 64;

/// Factorises a symmetric positive definite matrix in place into L L'; the strict upper
/// triangle is left as it was. False when it is not positive definite.
pub(crate) fn cholesky(a: &mut Array2<f64>) -> bool {
    let n = a.nrows();
    for from in (0..n).step_by(BLOCK) {
        let to = (from + BLOCK).min(n);
        if !factor_block(a, from, to) {
            return false;
        }
        solve_panel(a, from, to);
        let panel = part(a.view(), to..n, from..to).to_owned();
        for column in (to..n).step_by(4 * BLOCK) {
            let end = (column + 4 * BLOCK).min(n);
            let rows = part(panel.view(), column - to..n - to, 0..to - from);
            let columns = part(panel.view(), column - to..end - to, 0..to - from);
            let mut rest = part_mut(a.view_mut(), column..n, column..end);
            general_mat_mul(-1.0, &rows, &columns.t(), 1.0, &mut rest);
        }
    }
    true
}

fn factor_block(a: &mut Array2<f64>, from: usize, to: usize) -> bool {
    for row in from..to {
        for column in from..=row {
            let mut rest = a[(row, column)];
            for at in from..column {
                rest -= a[(row, at)] * a[(column, at)];
            }
            a[(row, column)] = if row != column {
                rest / a[(column, column)]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return false;
            };
        }
    }
    true
}

/// The rows below a factorised block: X L' = A.
fn solve_panel(a: &mut Array2<f64>, from: usize, to: usize) {
    let n = a.nrows();
    let block = part(a.view(), from..to, from..to).to_owned();
    let mut panel = part_mut(a.view_mut(), to..n, from..to);
    for mut row in panel.rows_mut() {
        for column in 0..to - from {
            let mut rest = row[column];
            for at in 0..column {
                rest -= row[at] * block[(column, at)];
            }
            row[column] = rest / block[(column, column)];
        }
    }
}

/// Solves L L' x = b.
pub(crate) fn solve(lower: &Array2<f64>, mut b: Array1<f64>) -> Array1<f64> {
    let n = b.len();
    for row in 0..n {
        let products = lower.row(row).into_iter().zip(&b).take(row);
        let known: f64 = products.map(|(l, x)| l * x).sum();
        b[row] = (b[row] - known) / lower[(row, row)];
    }
    for row in (0..n).rev() {
        let x = b[row] / lower[(row, row)];
        b[row] = x;
        let above = b.iter_mut().zip(lower.row(row)).take(row);
        above.for_each(|(b, l)| *b -= x * l);
    }
    b
}

/// A rectangle of a matrix.
pub(crate) fn part<T>(
    mut all: ArrayView2<'_, T>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, T> {
    all.slice_axis_inplace(Axis(0), Slice::from(rows));
    all.slice_axis_inplace(Axis(1), Slice::from(columns));
    all
}

/// The same to write to.
pub(crate) fn part_mut<T>(
    mut all: ArrayViewMut2<'_, T>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'_, T> {
    all.slice_axis_inplace(Axis(0), Slice::from(rows));
    all.slice_axis_inplace(Axis(1), Slice::from(columns));
    all
}

/// Most columns of [`nonnegative`], which looks at all subsets.
const MOST_COLUMNS: usize = 8;

/// The weights, none negative, whose weighted sum of the columns of `x` is nearest to `y`:
/// shape `(n_samples, n_columns)`, at most eight columns. Exact, because every subset of
/// columns is tried; zeros when none helps.
///
/// # Source
/// The problem of Lawson & Hanson, "Solving Least Squares Problems" (1974), chapter 23.
pub(crate) fn nonnegative(x: ArrayView2<f64>, y: ArrayView1<f64>) -> Vec<f64> {
    let count = x.ncols().min(MOST_COLUMNS);
    let (gram, target) = (x.t().dot(&x), x.t().dot(&y));
    let mut best = (0.0, vec![0.0; x.ncols()]);
    for subset in 1_usize..1 << count {
        let chosen: Vec<usize> = (0..count).filter(|at| subset >> at & 1 == 1).collect();
        let mut a = Array2::from_shape_fn((chosen.len(), chosen.len()), |(i, j)| {
            gram[(chosen[i], chosen[j])]
        });
        if !cholesky(&mut a) {
            continue;
        }
        let b = chosen.iter().map(|&at| target[at]).collect();
        let weights = solve(&a, b);
        if weights.iter().any(|w| *w < 0.0) {
            continue;
        }
        // |y − Xw|² − |y|² = −w'X'y at the minimum.
        let gain: f64 = chosen
            .iter()
            .zip(&weights)
            .map(|(&at, w)| w * target[at])
            .sum();
        if gain > best.0 {
            let mut all = vec![0.0; x.ncols()];
            chosen
                .iter()
                .zip(&weights)
                .for_each(|(&at, w)| all[at] = *w);
            best = (gain, all);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prognosis::chance::Chance;

    #[test]
    fn a_system_larger_than_a_block_is_solved() {
        let mut chance = Chance::new(1, 0);
        let n = 3 * BLOCK + 17;
        let b = Array2::from_shape_fn((n + 9, n), |_| chance.normal());
        let a = b.t().dot(&b) + Array2::<f64>::eye(n) * 0.1;
        let x = Array1::from_shape_fn(n, |_| chance.normal());
        let mut lower = a.clone();
        assert!(cholesky(&mut lower));
        let solved = solve(&lower, a.dot(&x));
        let error = (&solved - &x).mapv(f64::abs).sum() / n as f64;
        assert!(error < 1e-9, "{error}");
    }

    #[test]
    fn the_kernel_solve_agrees_with_the_hilbert_matrix() {
        // The inverse of the 5 × 5 Hilbert matrix has integer entries; its row sums are
        // known: H x = 1 has x = (5, −120, 630, −1120, 630).
        let mut hilbert = Array2::from_shape_fn((5, 5), |(i, j)| 1.0 / (i + j + 1) as f64);
        assert!(cholesky(&mut hilbert));
        let x = solve(&hilbert, Array1::ones(5));
        for (got, expected) in x.iter().zip([5.0, -120.0, 630.0, -1_120.0, 630.0]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let mut a = ndarray::array![[1.0, 2.0], [2.0, 1.0]];
        assert!(!cholesky(&mut a));
        let mut nan = ndarray::array![[f64::NAN]];
        assert!(!cholesky(&mut nan));
    }

    #[test]
    fn weights_are_those_of_scipy() {
        // scipy.optimize.nnls; unconstrained the second weight of the second case is negative.
        let x = ndarray::array![
            [1.0, 2.0, 0.0],
            [2.0, 1.0, 1.0],
            [3.0, 5.0, 2.0],
            [4.0, 3.0, 1.0],
            [5.0, 8.0, 2.0],
            [6.0, 4.0, 4.0]
        ];
        for (y, expected) in [
            (
                [3.0, 4.0, 8.0, 7.0, 12.0, 11.0],
                [1.149_214_66, 0.725_130_890_1, 0.337_696_335_1],
            ),
            ([3.0, 1.0, 4.0, 6.0, 5.0, 9.0], [1.256, 0.0, 0.124]),
            ([-1.0, -2.0, -1.0, -3.0, -2.0, -4.0], [0.0, 0.0, 0.0]),
        ] {
            let got = nonnegative(x.view(), ndarray::aview1(&y));
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-8, "{got} is not {expected}");
            }
        }
    }
}

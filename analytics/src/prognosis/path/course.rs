//! The course of a whole history as a cubic in Legendre polynomials, from moments alone.
//!
//! Time runs from −1 at the first cycle to 1 at the present one. A small ridge keeps short
//! histories from bending.

use super::track::Track;

/// Coefficients of a course.
pub(super) const TERMS: usize = 4;
/// Added to the diagonal of the normal equations.
const RIDGE: f64 = 0.5;

/// The normal equations of one age, factorised; the same for all signals.
pub(super) struct Course {
    /// Time in (i/k) is stretched by `.0` and shifted by `.1`.
    stretch: (f64, f64),
    /// Lower triangle of the Cholesky factor.
    factor: [[f64; TERMS]; TERMS],
}

impl Course {
    /// For a history of `rows` cycles.
    pub(super) fn new(rows: u32) -> Self {
        let k = f64::from(rows.max(2));
        let stretch = (2.0 * k / (k - 1.0), -2.0 / (k - 1.0) - 1.0);
        let mut powers = [0.0; 7];
        for (p, power) in powers.iter_mut().enumerate() {
            *power = power_sum(p, k);
        }
        let t: [f64; 7] = std::array::from_fn(|p| stretched(stretch, &powers, p));
        // ∫ over the grid of products of P0 = 1, P1 = t, P2 = (3t²−1)/2, P3 = (5t³−3t)/2.
        let mut factor = [[0.0; TERMS]; TERMS];
        for row in 0..TERMS {
            for column in 0..=row {
                let mut sum = if row == column { RIDGE } else { 0.0 };
                for (i, a) in LEGENDRE[row].iter().enumerate() {
                    for (j, b) in LEGENDRE[column].iter().enumerate() {
                        sum += a * b * t[i + j];
                    }
                }
                factor[row][column] = sum;
            }
        }
        cholesky(&mut factor);
        Self { stretch, factor }
    }

    /// The coefficients of a track.
    pub(super) fn of(&self, track: &Track) -> [f64; TERMS] {
        let moments = track.moments();
        let t: [f64; TERMS] = std::array::from_fn(|p| stretched(self.stretch, &moments, p));
        let mut x: [f64; TERMS] =
            std::array::from_fn(|row| LEGENDRE[row].iter().zip(t).map(|(a, t)| a * t).sum());
        let l = &self.factor;
        for row in 0..TERMS {
            let known: f64 = (0..row).map(|at| l[row][at] * x[at]).sum();
            x[row] = (x[row] - known) / l[row][row];
        }
        for row in (0..TERMS).rev() {
            let known: f64 = (row + 1..TERMS).map(|at| l[at][row] * x[at]).sum();
            x[row] = (x[row] - known) / l[row][row];
        }
        x
    }
}

/// Coefficients of the powers of t in P0 to P3.
const LEGENDRE: [[f64; TERMS]; TERMS] = [
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [-0.5, 0.0, 1.5, 0.0],
    [0.0, -1.5, 0.0, 2.5],
];

/// Σ (i/k)^p over i = 1..=k (Faulhaber).
fn power_sum(p: usize, k: f64) -> f64 {
    match p {
        0 => k,
        1 => k / 2.0 + 1.0 / 2.0,
        2 => k / 3.0 + 1.0 / 2.0 + 1.0 / (6.0 * k),
        3 => k / 4.0 + 1.0 / 2.0 + 1.0 / (4.0 * k),
        4 => k / 5.0 + 1.0 / 2.0 + 1.0 / (3.0 * k) - 1.0 / (30.0 * k.powi(3)),
        5 => k / 6.0 + 1.0 / 2.0 + 5.0 / (12.0 * k) - 1.0 / (12.0 * k.powi(3)),
        _ => {
            k / 7.0 + 1.0 / 2.0 + 1.0 / (2.0 * k) - 1.0 / (6.0 * k.powi(3))
                + 1.0 / (42.0 * k.powi(5))
        }
    }
}

/// Σ t^p x from Σ u^p x with t = a u + c.
fn stretched((a, c): (f64, f64), moments: &[f64], p: usize) -> f64 {
    let mut sum = 0.0;
    let mut binomial = 1.0;
    for (q, moment) in moments.iter().enumerate().take(p + 1) {
        sum += binomial * a.powi(q as i32) * c.powi((p - q) as i32) * moment;
        binomial *= (p - q) as f64 / (q + 1) as f64;
    }
    sum
}

fn cholesky(a: &mut [[f64; TERMS]; TERMS]) {
    for row in 0..TERMS {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| a[row][at] * a[column][at]).sum();
            let rest = a[row][column] - known;
            a[row][column] = if row == column {
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / a[column][column]
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(values: &[f64]) -> [f64; TERMS] {
        let mut track = Track::new();
        for value in values {
            track.push(*value, 30);
        }
        Course::new(values.len() as u32).of(&track)
    }

    #[test]
    fn the_coefficients_agree_with_an_independent_evaluation() {
        // numpy: V = legendre.legvander(linspace(-1, 1, n), 3);
        // solve(V'V + 0.5 I, V'x) for x_i = ((i * 37) % 23), i = 0..n.
        for (n, expected) in COURSES {
            let values: Vec<f64> = (0..n).map(|i| f64::from((i * 37) % 23)).collect();
            for (got, expected) in course(&values).iter().zip(expected) {
                assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
            }
        }
    }

    #[test]
    fn a_long_straight_line_has_a_level_and_a_slope_only() {
        let values: Vec<f64> = (0..100_000)
            .map(|i| 1.0 + f64::from(i) / 99_999.0)
            .collect();
        let expected = [1.5, 0.5, 0.0, 0.0];
        for (got, expected) in course(&values).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{got} is not {expected}");
        }
    }

    const COURSES: [(i32, [f64; TERMS]); 3] = [
        (
            3,
            [
                7.491_525_423_73,
                1.111_111_111_11,
                -4.813_559_322_03,
                1.111_111_111_11,
            ],
        ),
        (
            12,
            [
                9.659_012_697_52,
                1.366_331_494_5,
                -1.592_853_825_73,
                2.885_079_793_43,
            ],
        ),
        (
            200,
            [
                10.904_450_005_8,
                0.061_541_788_071_1,
                -0.340_515_031_691,
                0.204_718_404_773,
            ],
        ),
    ];
}

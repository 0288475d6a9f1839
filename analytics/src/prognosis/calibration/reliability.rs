//! Of what was said with probability p, how much happened?

use serde::{Deserialize, Serialize};

/// Bins of a reliability table, of equal width.
pub const BINS: usize = 10;

/// Rows whose probability fell into one bin.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Rows.
    pub rows: u64,
    /// Mean probability that was said.
    pub said: f64,
    /// Share of the rows at which it happened.
    pub happened: f64,
}

/// A reliability table with its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// [`BINS`] bins from 0 to 1.
    pub bins: Vec<Bin>,
    /// Rows in all.
    pub rows: u64,
    /// Share of the rows at which it happened.
    pub base_rate: f64,
    /// Mean squared difference between what was said and what happened, 0 to 1.
    pub brier: f64,
    /// The same if the base rate had been said each time.
    pub brier_of_base_rate: f64,
    /// Expected calibration error: the mean distance between said and happened over the bins,
    /// weighed by their rows.
    pub ece: f64,
}

impl Reliability {
    /// The table of (probability, whether it happened); none without rows.
    pub fn of(rows: impl Iterator<Item = (f64, bool)>) -> Option<Self> {
        let mut bins = vec![Bin::default(); BINS];
        let (mut n, mut brier, mut happened) = (0_u64, 0.0, 0.0);
        for (p, y) in rows {
            let y = f64::from(u8::from(y));
            let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
            bin.rows += 1;
            bin.said += p;
            bin.happened += y;
            n += 1;
            brier += (p - y) * (p - y);
            happened += y;
        }
        if n == 0 {
            return None;
        }
        let all = n as f64;
        let base_rate = happened / all;
        let gap: f64 = bins.iter().map(|bin| (bin.said - bin.happened).abs()).sum();
        for bin in bins.iter_mut().filter(|bin| bin.rows > 0) {
            bin.said /= bin.rows as f64;
            bin.happened /= bin.rows as f64;
        }
        Some(Self {
            bins,
            rows: n,
            base_rate,
            brier: brier / all,
            brier_of_base_rate: base_rate * (1.0 - base_rate),
            ece: gap / all,
        })
    }

    /// The calibration error that chance makes of so few rows where every probability is honest: the
    /// mean distance of a share from its expectation, √(2/π) of its standard error, over the bins.
    pub fn ece_by_chance(&self) -> f64 {
        let gap = |bin: &Bin| {
            let p = bin.said.clamp(0.0, 1.0);
            (std::f64::consts::FRAC_2_PI * bin.rows as f64 * p * (1.0 - p)).sqrt()
        };
        self.bins.iter().map(gap).sum::<f64>() / self.rows.max(1) as f64
    }

    /// Brier skill: 1 is perfect, 0 is no better than saying the base rate each time, and less
    /// is worse. 0 when it happened always or never.
    pub fn skill(&self) -> f64 {
        if self.brier_of_base_rate > 0.0 {
            1.0 - self.brier / self.brier_of_base_rate
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_are_those_of_the_definition() {
        let rows = [
            (0.1, false),
            (0.15, true),
            (0.8, true),
            (0.85, true),
            (1.0, true),
        ];
        let table = Reliability::of(rows.into_iter()).unwrap();
        assert_eq!(
            table.bins.iter().map(|b| b.rows).collect::<Vec<_>>(),
            [0, 2, 0, 0, 0, 0, 0, 0, 2, 1]
        );
        // By hand: (0.01 + 0.7225 + 0.04 + 0.0225 + 0) / 5.
        assert!((table.brier - 0.159).abs() < 1e-12);
        // |0.25 − 1| + |1.65 − 2| + 0, over 5.
        assert!((table.ece - 0.22).abs() < 1e-12);
        assert!((table.brier_of_base_rate - 0.16).abs() < 1e-12);
        assert!((table.skill() - (1.0 - 0.159 / 0.16)).abs() < 1e-12);
        assert!(Reliability::of(std::iter::empty()).is_none());
        // A hundred rows at one half: √(2/π · 0.25/100) = 0.0399.
        let even = (0..100).map(|at| (0.5, at % 2 == 0));
        let chance = Reliability::of(even).unwrap().ece_by_chance();
        assert!((chance - 0.0399).abs() < 1e-4, "{chance}");
    }
}

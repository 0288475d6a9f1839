//! A table of numbers as bins of bytes, column by column.
//!
//! Bin 0 holds what is missing; bins 1 to 255 hold rising ranges with about equally many
//! rows each, or one value each where there are few.

use ndarray::ArrayView2;

use super::{MAX_FEATURES, MAX_ROWS};
use crate::AnalyticsError;

/// Bins of a column, the one for missing values included.
pub(crate) const BINS: usize = 256;
/// Rows that the limits of the bins are taken from; more do not move a quantile by a bin.
const MOST_ROWS_LOOKED_AT: usize = 200_000;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Binned {
    rows: usize,
    columns: Vec<Column>,
}

/// A column in bins.
#[derive(Debug)]
pub(crate) struct Column {
    /// The bin of each row.
    pub(crate) bins: Vec<u8>,
    /// `limits[b - 1]` is the largest value of bin b; the last bin has none.
    limits: Vec<f32>,
}

impl Binned {
    /// Puts the named columns of a table of shape `(n_samples, n_features)` into bins.
    pub(crate) fn new(x: ArrayView2<f32>, columns: &[usize]) -> Result<Self, AnalyticsError> {
        let refuse = |problem: String| AnalyticsError::Learning {
            what: "boosted trees",
            problem,
        };
        if columns.len() > MAX_FEATURES || columns.is_empty() {
            return Err(refuse(format!("{} features", columns.len())));
        }
        if x.nrows() > MAX_ROWS {
            return Err(refuse(format!("{} rows, at most {MAX_ROWS}", x.nrows())));
        }
        let column = |&at: &usize| {
            let values: Vec<f32> = x.column(at).to_vec();
            Column::new(&values)
        };
        Ok(Self {
            rows: x.nrows(),
            columns: columns.iter().map(column).collect(),
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl Column {
    fn new(values: &[f32]) -> Self {
        let step = values.len().div_ceil(MOST_ROWS_LOOKED_AT).max(1);
        let mut sorted: Vec<f32> = values
            .iter()
            .step_by(step)
            .copied()
            .filter(|v| !v.is_nan())
            // One zero is enough.
            .map(|v| v + 0.0)
            .collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let limits = limits(&sorted);
        let bin = |v: &f32| {
            if v.is_nan() {
                0
            } else {
                1 + limits.partition_point(|limit| limit < v) as u8
            }
        };
        Self {
            bins: values.iter().map(bin).collect(),
            limits,
        }
    }

    /// Bins in use: 1 + the highest possible.
    pub(crate) fn len(&self) -> usize {
        self.limits.len() + 2
    }

    /// The value that bins up to `bin` do not exceed and all higher ones do.
    pub(crate) fn threshold(&self, bin: u8) -> f32 {
        match usize::from(bin) {
            0 => f32::NEG_INFINITY,
            bin => self.limits.get(bin - 1).copied().unwrap_or(f32::MAX),
        }
    }
}

/// Limits halfway between different values that stand about equally many rows apart.
fn limits(sorted: &[f32]) -> Vec<f32> {
    let mut limits = Vec::new();
    let mut counts = sorted
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(<[f32]>::len);
    let different = counts.clone().count();
    let most = BINS - 2;
    let share = if different <= most + 1 {
        0.0
    } else {
        sorted.len() as f64 / (most + 1) as f64
    };
    let Some(mut end) = counts.next() else {
        return limits;
    };
    let mut begin = 0;
    for count in counts {
        if (end - begin) as f64 >= share && limits.len() < most {
            let (low, high) = (sorted[end - 1], sorted[end]);
            let middle = f32::midpoint(low, high);
            // Neighbouring floats have no middle: the lower one separates them too.
            limits.push(if middle < high { middle } else { low });
            begin = end;
        }
        end += count;
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_a_bin_each_and_missing_ones_their_own() {
        let column = Column::new(&[3.0, f32::NAN, 1.0, 2.0, 2.0]);
        assert_eq!(column.bins, [3, 0, 1, 2, 2]);
        let thresholds = [0, 1, 2].map(|bin| column.threshold(bin).to_string());
        assert_eq!(thresholds, ["-inf", "1.5", "2.5"]);
        assert_eq!(column.len(), 4);
    }

    #[test]
    fn many_values_share_bins_of_about_equal_size() {
        let values: Vec<f32> = (0..10_000).map(|i| ((i * 7_919) % 10_007) as f32).collect();
        let column = Column::new(&values);
        let mut counts = [0_usize; BINS];
        column
            .bins
            .iter()
            .for_each(|b| counts[usize::from(*b)] += 1);
        assert!(column.len() > 200 && column.len() <= BINS);
        let used = &counts[1..column.len()];
        assert!(used.iter().all(|n| (1..=120).contains(n)), "{used:?}");
    }

    #[test]
    fn a_bin_and_its_threshold_agree_for_every_value() {
        let values: Vec<f32> = (0..3_000).map(|i| ((i * 131) % 997) as f32 * 0.1).collect();
        let column = Column::new(&values);
        for (value, &bin) in values.iter().zip(&column.bins) {
            assert!(*value <= column.threshold(bin));
            assert!(*value > column.threshold(bin - 1));
        }
    }

    #[test]
    fn constant_empty_and_missing_columns_have_no_limit() {
        for values in [&[5.0; 9][..], &[], &[f32::NAN; 4]] {
            assert_eq!(Column::new(values).limits, [0.0; 0]);
        }
    }
}

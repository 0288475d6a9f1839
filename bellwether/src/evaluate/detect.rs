//! The production detectors over a recording: learn its first rows, then score the rest.

use analytics::detection::{any::Kind, learned::Learned};

/// Scores by row; 0 while learning and where too few signals were there. None when nothing
/// could be learned.
///
/// `columns` holds one series a signal; `times` are microseconds.
pub(crate) fn scores(
    kind: Kind,
    learning_rows: usize,
    times: &[i64],
    columns: &[&[f64]],
) -> Option<Vec<f64>> {
    let learning_rows = learning_rows.min(times.len());
    let mut learned = Learned::new(learning_rows as u32, columns.len());
    for (row, &at) in times[..learning_rows].iter().enumerate() {
        learned.push(at, |slot| columns[slot][row]);
    }
    let order: Vec<usize> = (0..columns.len()).collect();
    let mut detector = kind.fit(&learned, &order)?;
    let mut scores = vec![0.0; learning_rows];
    for (row, &at) in times.iter().enumerate().skip(learning_rows) {
        let score = detector.score(at, |slot| columns[slot][row]);
        scores.push(score.unwrap_or(0.0));
    }
    Some(scores)
}

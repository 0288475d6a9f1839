//! How the Numenta benchmark weighs alarms.
//!
//! An alarm inside a labelled window earns the more the earlier it is, only the best of a
//! window counts, and a window without any costs. An alarm outside costs, less so shortly
//! after a window. The first rows of a recording (probation) are not looked at. A sum is told
//! on a scale where 0 is "never alarms" and 100 is "finds every window in its first row, and
//! nothing else".
//!
//! # Source
//! Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015, and the
//! rules of release 1.1.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Rows of a recording that are not looked at, as a part of it and at most.
const PROBATION: (f64, usize) = (0.15, 750);
/// Beyond this many window lengths after a window a false alarm costs all.
const FURTHEST: f64 = 3.0;

/// What hits and errors weigh.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Costs {
    #[serde(rename = "tpWeight")]
    pub(crate) hit: f64,
    #[serde(rename = "fpWeight")]
    pub(crate) false_alarm: f64,
    #[serde(rename = "fnWeight")]
    pub(crate) miss: f64,
}

/// The rows of a recording that are not looked at.
pub(crate) fn probation(rows: usize) -> usize {
    ((PROBATION.0 * rows as f64) as usize).min(PROBATION.1)
}

/// From 1 at the beginning of a window over 0 at its end towards −1.
fn sigmoid(place: f64) -> f64 {
    if place > FURTHEST {
        -1.0
    } else {
        2.0 / (1.0 + (5.0 * place).exp()) - 1.0
    }
}

/// The labelled windows of a recording as row ranges, both ends inclusive, in order.
pub(crate) fn windows(times: &[String], labels: &[[String; 2]]) -> Option<Vec<(usize, usize)>> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, time) in times.iter().enumerate() {
        first.entry(time.get(..19).unwrap_or(time)).or_insert(row);
    }
    let row = |time: &String| first.get(time.get(..19).unwrap_or(time)).copied();
    let window = |[begin, end]: &[String; 2]| Some((row(begin)?, row(end)?));
    labels.iter().map(window).collect()
}

/// What an alarm in this row is worth, unweighted, and the window it lies in.
fn worth(row: usize, windows: &[(usize, usize)]) -> (f64, Option<usize>) {
    let length = |(begin, end): (usize, usize)| (end - begin + 1) as f64;
    let inside = windows
        .iter()
        .position(|&(begin, end)| (begin..=end).contains(&row));
    if let Some(at) = inside {
        let (_, end) = windows[at];
        let place = -((end - row + 1) as f64) / length(windows[at]);
        return (sigmoid(place) / sigmoid(-1.0), Some(at));
    }
    let before = windows.iter().rev().find(|&&(_, end)| end < row);
    let value = before.map_or(-1.0, |&window| {
        let place = (row - window.1) as f64 / (length(window) - 1.0).max(1.0);
        sigmoid(place)
    });
    (value, None)
}

/// One recording: which rows are windows, and which rows alarm.
pub(crate) struct Judged<'a> {
    pub(crate) rows: usize,
    pub(crate) windows: &'a [(usize, usize)],
    pub(crate) alarms: &'a [usize],
}

/// The score of all recordings together; 100 is perfect, 0 is never an alarm.
pub(crate) fn score(recordings: &[Judged<'_>], costs: Costs) -> f64 {
    let (mut total, mut count) = (0.0, 0);
    for recording in recordings {
        let first = probation(recording.rows);
        let seen = |window: &(usize, usize)| window.1 >= first;
        let mut best: Vec<Option<f64>> = vec![None; recording.windows.len()];
        for &row in recording.alarms.iter().filter(|row| **row >= first) {
            match worth(row, recording.windows) {
                (value, Some(at)) => {
                    best[at] = Some(best[at].map_or(value, |b: f64| b.max(value)));
                }
                (value, None) => total += costs.false_alarm * value,
            }
        }
        let judged = recording
            .windows
            .iter()
            .zip(&best)
            .filter(|(window, _)| seen(window));
        for (_, best) in judged {
            // A hit late in its window is worth next to nothing, and never less than a miss.
            total += best.map_or(-costs.miss, |value| (costs.hit * value).max(-costs.miss));
            count += 1;
        }
    }
    let null = -costs.miss * f64::from(count);
    100.0 * (total - null) / (f64::from(count) * costs.hit - null)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Costs = Costs {
        hit: 1.0,
        false_alarm: 0.11,
        miss: 1.0,
    };

    fn judge(alarms: &[usize]) -> f64 {
        let windows = [(400, 499)];
        let one = Judged {
            rows: 1_000,
            windows: &windows,
            alarms,
        };
        score(&[one], STANDARD)
    }

    #[test]
    fn the_scale_ends_at_never_and_at_the_first_row_of_each_window() {
        assert!((judge(&[400]) - 100.0).abs() < 1e-9);
        assert!(judge(&[]).abs() < 1e-9);
        assert!(judge(&[10]).abs() < 1e-9, "probation is not looked at");
        assert!(
            (judge(&[400, 450, 499]) - 100.0).abs() < 1e-9,
            "only the best counts"
        );
    }

    #[test]
    fn false_alarms_cost_less_shortly_after_a_window() {
        // 2σ(−5·(1/99)) − 1 = −0.02525; 0.11 of it on a scale of two is −0.139 %.
        let soon = judge(&[400, 500]);
        let late = judge(&[400, 990]);
        assert!((soon - 99.861).abs() < 1e-3, "{soon}");
        assert!((late - (100.0 - 0.11 * 50.0)).abs() < 0.01, "{late}");
        assert!(judge(&[450]) < 100.0 && judge(&[450]) > judge(&[490]));
    }
}

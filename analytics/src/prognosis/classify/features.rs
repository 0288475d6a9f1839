//! What was known at a moment, as one row of numbers.
//!
//! | feature | of |
//! |---|---|
//! | mean and standard deviation over the last 3, 12 and 24 units | each signal |
//! | how often in the last 24 units | each error code |
//! | days since it was last replaced | each component |
//! | as given | each static fact |
//!
//! A unit is an hour, or a cycle of the machine where lives are counted in cycles: what is fast for
//! a starter is slow for a bearing. What is not known is NaN: also a code that was not heard on the first day of the watch, for
//! nobody knows what was said before. A state takes what happened in the order of time and never looks
//! ahead, so a row computed while it happens and one computed from an archive are the same.
//! What a repair or a failure reveals (its code, its date, what was found) is not a feature of
//! the moments before it, because it was not known then: only replacements that lie behind
//! count, as ages.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// A day in microseconds.
pub(crate) const DAY: f64 = 86_400e6;
/// The windows in units; of hours a shift's part, half a day and a day, so that fast and slow
/// changes tell apart.
const WINDOWS: [i64; 3] = [3, 12, 24];
/// The longest window in units.
pub(crate) const LONGEST: i64 = 24;
/// Rows kept of the longest window: one a minute of a day. Of more the oldest are forgotten.
const MAX_ROWS: usize = 1_440;
/// Codes kept of the longest window; a machine that says more has told enough.
const MAX_CODES: usize = 1_000;

/// What there is to know of a machine, by name and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Signals.
    pub signals: Vec<String>,
    /// Error codes.
    pub codes: Vec<String>,
    /// Components that are replaced.
    pub components: Vec<String>,
    /// Static facts, such as the year it was built.
    pub facts: Vec<String>,
    /// The unit of the windows, in seconds.
    pub unit_s: u32,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            signals: Vec::new(),
            codes: Vec::new(),
            components: Vec::new(),
            facts: Vec::new(),
            unit_s: 3_600,
        }
    }
}

/// A length of time as a feature's name has it: in the largest unit that tells it evenly.
fn length(seconds: i64) -> String {
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        // A day is told as 24 hours, as everybody says it.
        if seconds % unit == 0 && (unit < 86_400 || seconds > 3 * unit) {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
}

impl Catalog {
    /// A window of so many units in microseconds.
    fn window(&self, units: i64) -> i64 {
        units * i64::from(self.unit_s.max(1)) * 1_000_000
    }

    /// The longest window in microseconds.
    pub(crate) fn longest(&self) -> i64 {
        self.window(LONGEST)
    }

    /// The names of the features, in order.
    pub fn features(&self) -> Vec<String> {
        let told = |units: i64| length(units * i64::from(self.unit_s.max(1)));
        let windows = self.signals.iter().flat_map(|signal| {
            WINDOWS.iter().flat_map(move |units| {
                let window = told(*units);
                [
                    format!("{signal} mean {window}"),
                    format!("{signal} spread {window}"),
                ]
            })
        });
        let longest = told(LONGEST);
        let codes = self.codes.iter().map(|code| format!("{code} in {longest}"));
        let since = self
            .components
            .iter()
            .map(|c| format!("days since {c} was replaced"));
        windows
            .chain(codes)
            .chain(since)
            .chain(self.facts.iter().cloned())
            .collect()
    }
}

/// What was seen of one machine, as far as features need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureState {
    rows: VecDeque<(i64, Vec<f32>)>,
    codes: VecDeque<(i64, u16)>,
    replaced: Vec<Option<i64>>,
    code_count: usize,
    signals: usize,
    /// The windows in microseconds.
    windows: [i64; 3],
    /// When the first row or code came.
    began: Option<i64>,
}

impl FeatureState {
    /// Nothing was seen yet.
    pub fn new(catalog: &Catalog) -> Self {
        Self {
            rows: VecDeque::new(),
            codes: VecDeque::new(),
            replaced: vec![None; catalog.components.len()],
            code_count: catalog.codes.len(),
            signals: catalog.signals.len(),
            windows: WINDOWS.map(|units| catalog.window(units)),
            began: None,
        }
    }

    fn longest(&self) -> i64 {
        self.windows[2]
    }

    /// Codes are heard since then, whenever rows came; never, if none.
    pub(crate) fn listening_since(&mut self, since: Option<i64>) {
        self.began = Some(since.unwrap_or(i64::MAX));
    }

    /// The signals at a time in microseconds, in the catalog's order; NaN where there is none.
    /// Times must not fall.
    pub fn row(&mut self, at: i64, values: &[f64]) {
        self.began.get_or_insert(at);
        if self.rows.len() == MAX_ROWS {
            self.rows.pop_front();
        }
        let mut row: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        row.resize(self.signals, f32::NAN);
        self.rows.push_back((at, row));
        while self
            .rows
            .front()
            .is_some_and(|row| row.0 <= at.saturating_sub(self.longest()))
        {
            self.rows.pop_front();
        }
    }

    /// The machine said an error code (an index into the catalog's).
    pub fn code(&mut self, at: i64, code: usize) {
        self.began.get_or_insert(at);
        while self.codes.len() >= MAX_CODES
            || self
                .codes
                .front()
                .is_some_and(|c| c.0 <= at.saturating_sub(self.longest()))
        {
            self.codes.pop_front();
        }
        if code < self.code_count {
            self.codes.push_back((at, code as u16));
        }
    }

    /// A component (an index into the catalog's) is new since then.
    pub fn replaced(&mut self, at: i64, component: usize) {
        if let Some(since) = self.replaced.get_mut(component) {
            *since = Some(since.map_or(at, |before| before.max(at)));
        }
    }

    /// Days since a component was replaced; none when nobody knows.
    pub fn age_days(&self, now: i64, component: usize) -> Option<f64> {
        let since = self.replaced.get(component).copied().flatten()?;
        Some(now.saturating_sub(since) as f64 / DAY)
    }

    /// Appends the features at a time to `out`; see the module documentation. What came later
    /// than `now` must not have been told yet.
    pub fn features(&self, now: i64, facts: &[f64], out: &mut Vec<f32>) {
        for signal in 0..self.signals {
            for window in self.windows {
                let from = now.saturating_sub(window);
                let recent = self.rows.iter().rev().take_while(|row| row.0 > from);
                let (mean, spread) = moments(recent.map(|row| row.1[signal]));
                out.extend([mean, spread]);
            }
        }
        let from = now.saturating_sub(self.longest());
        let mut counts = vec![0.0_f32; self.code_count];
        for (_, code) in self.codes.iter().rev().take_while(|code| code.0 > from) {
            counts[usize::from(*code)] += 1.0;
        }
        let is_known = self.began.is_some_and(|began| began <= from);
        let told = |count: f32| {
            if is_known || count > 0.0 {
                count
            } else {
                f32::NAN
            }
        };
        out.extend(counts.into_iter().map(told));
        let ages = (0..self.replaced.len()).map(|c| self.age_days(now, c).unwrap_or(f64::NAN));
        out.extend(ages.map(|age| age as f32));
        out.extend(facts.iter().map(|fact| *fact as f32));
    }
}

/// Mean and standard deviation (of the population) of what is a number; NaN without any.
fn moments(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut n, mut mean, mut sum) = (0.0, 0.0, 0.0);
    for value in values.filter(|v| v.is_finite()).map(f64::from) {
        // Welford's update: no cancellation when a signal is large and steady.
        n += 1.0;
        let away = value - mean;
        mean += away / n;
        sum += away * (value - mean);
    }
    if n == 0.0 {
        return (f32::NAN, f32::NAN);
    }
    (mean as f32, (sum / n).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn catalog() -> Catalog {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Catalog {
            signals: names(&["volt"]),
            codes: names(&["e1", "e2"]),
            components: names(&["pump"]),
            facts: names(&["age"]),
            ..Catalog::default()
        }
    }

    /// An hour in microseconds.
    const HOUR: i64 = 3_600_000_000;

    fn features(state: &FeatureState, now: i64) -> Vec<f32> {
        let mut out = Vec::new();
        state.features(now, &[7.0], &mut out);
        out
    }

    #[test]
    fn a_row_says_what_the_windows_held() {
        let catalog = catalog();
        let mut state = FeatureState::new(&catalog);
        let empty = features(&state, 0);
        assert!(empty[..9].iter().all(|v| v.is_nan()));
        state.replaced(-48 * HOUR, 0);
        for hour in 0..30 {
            state.row(hour * HOUR, &[hour as f64]);
        }
        state.code(2 * HOUR, 0);
        // On the first day a code that was not heard may have come before the watch began.
        let first_day = features(&state, 20 * HOUR);
        assert!((first_day[6] - 1.0).abs() < 1e-6 && first_day[7].is_nan());
        state.code(28 * HOUR, 0);
        state.code(29 * HOUR, 1);
        state.code(29 * HOUR, 9);
        let row = features(&state, 29 * HOUR);
        // The last 3, 12 and 24 hours: numpy.mean and numpy.std of 27..29, 18..29, 6..29.
        let expected = [
            28.0,
            0.816_496_6,
            23.5,
            3.452_052_5,
            17.5,
            6.922_186_6,
            1.0,
            1.0,
        ];
        for (got, expected) in row.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{row:?}");
        }
        assert!(
            (row[8] - 77.0 / 24.0).abs() < 1e-5 && (row[9] - 7.0).abs() < 1e-6,
            "{row:?}"
        );
        assert_eq!(catalog.features().len(), row.len());
        assert_eq!(catalog.features()[5], "volt spread 24 h");
        for (unit_s, name) in [
            (60, "volt mean 3 min"),
            (5, "volt mean 15 s"),
            (172_800, "volt mean 6 d"),
        ] {
            let catalog = Catalog {
                unit_s,
                ..catalog.clone()
            };
            assert_eq!(catalog.features()[0], name);
        }
    }

    proptest! {
        #[test]
        fn what_comes_later_changes_nothing_before(values in proptest::collection::vec(-1e3..1e3_f64, 10..60), cut in 5..9_usize) {
            let run = |upto: usize| {
                let mut state = FeatureState::new(&catalog());
                let mut rows = Vec::new();
                for (hour, value) in values[..upto].iter().enumerate() {
                    let at = hour as i64 * HOUR;
                    state.row(at, &[*value]);
                    if hour % 4 == 0 { state.code(at, hour % 2) }
                    if hour == 7 { state.replaced(at, 0) }
                    rows.push(features(&state, at).iter().map(|v| v.to_bits()).collect::<Vec<_>>());
                }
                (state, rows)
            };
            let (state, all) = run(values.len());
            let (_, part) = run(cut);
            prop_assert_eq!(&all[..cut], &part[..]);
            let bytes = postcard::to_allocvec(&state).unwrap();
            prop_assert_eq!(postcard::from_bytes::<FeatureState>(&bytes).unwrap(), state);
        }
    }
}

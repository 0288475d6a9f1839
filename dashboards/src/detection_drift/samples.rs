//! The two samples of a quantity, and what a device said that decides what belongs to them.

use std::collections::BTreeMap;

use analytics::{
    drift::{Psi, Word, psi},
    is_fixed_limit,
};
use service::Asset;
use telemetry::{Condition, ConditionState, DeviceId, Evidence, Timestamp};

use super::{WEEK, WHOLE};
use crate::api::drifts::DriftSample;

pub(super) type Span = (Timestamp, Timestamp);

/// The samples of a quantity, the reference first, with the times they are from.
pub(super) struct Samples {
    pub(super) spans: [Span; 2],
    pub(super) values: [Vec<f64>; 2],
}

impl Samples {
    /// How far they lie apart, as far as that can be said.
    pub(super) fn judge(&self) -> Option<Psi> {
        let [reference, recent] = self.spans.map(|(from, to)| to.since(from));
        if recent < WHOLE {
            return None;
        }
        let mut found = psi(&self.values[0], &self.values[1])?;
        if reference < WHOLE {
            found.word = found.word.min(Word::Moving);
        }
        Some(found)
    }

    pub(super) fn told(&self, number: usize) -> DriftSample {
        let (from, to) = self.spans[number];
        DriftSample {
            from,
            to,
            points: self.values[number].len(),
        }
    }
}

/// What a device said of itself.
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) has_baseline: bool,
    pub(super) alarm: bool,
    /// Of the detectors with this normal, in their own unit: a limit that moves changes nothing.
    pub(super) score: Option<f64>,
}

impl Told {
    pub(super) fn of(condition: &Condition, baseline_from: Timestamp) -> Self {
        let evidence = condition.evidence.as_ref();
        let of_this = evidence.filter(|evidence| evidence.baseline_from == baseline_from);
        let views = of_this.into_iter().flat_map(|evidence| &evidence.views);
        let scores = views
            .filter(|view| !is_fixed_limit(view))
            .map(|view| view.score);
        Self {
            at: condition.at,
            has_baseline: condition.operating.has_baseline(),
            alarm: condition.state == ConditionState::Alarm,
            score: scores.reduce(f64::max),
        }
    }
}

/// Whether the machine ran all through a span, as far as was told.
pub(super) fn ran(told: &[Told], (from, to): Span) -> bool {
    let first = told.partition_point(|one| one.at <= from).saturating_sub(1);
    let mut within = told[first..].iter().take_while(|one| one.at < to);
    within.all(|one| one.has_baseline)
}

/// A device with what it learned.
pub(super) struct Watched<'a> {
    pub(super) asset: &'a Asset,
    pub(super) device: &'a DeviceId,
    pub(super) evidence: &'a Evidence,
    /// One past its newest reading.
    pub(super) end: Timestamp,
    /// What it said while it learned and in the week after that, and lately.
    pub(super) then: Vec<Told>,
    pub(super) lately: Vec<Told>,
}

impl Watched<'_> {
    pub(super) fn learned(&self) -> Span {
        (self.evidence.baseline_from, self.evidence.baseline_to)
    }

    /// The last week before `end`, without what was learned from.
    pub(super) fn recent(&self, end: Timestamp) -> Span {
        ((end - WEEK).max(self.evidence.baseline_to), end)
    }

    /// The last score of each hour with a normal; hours are about what a quiet device tells.
    fn scores(told: &[Told], (from, to): Span) -> Vec<f64> {
        let within = told.iter().filter(|one| one.at >= from && one.at < to);
        let running = within.filter(|one| one.has_baseline);
        let hour = |one: &Told| one.at.as_micros().div_euclid(3_600_000_000);
        let hours: BTreeMap<i64, f64> = running
            .filter_map(|one| Some((hour(one), one.score?)))
            .collect();
        hours.into_values().collect()
    }

    /// Scores from the end of learning until the first alarm, a week at most, and the recent ones.
    pub(super) fn score_samples(&self, end: Timestamp) -> Samples {
        let (_, from) = self.learned();
        let recent = self.recent(end);
        let alarms = self.then.iter().filter(|one| one.alarm && one.at > from);
        let alarm = alarms.map(|one| one.at).next();
        let to = (from + WEEK).min(recent.0).min(alarm.unwrap_or(recent.0));
        Samples {
            spans: [(from, to), recent],
            values: [
                Self::scores(&self.then, (from, to)),
                Self::scores(&self.lately, recent),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at: i64, has_baseline: bool) -> Told {
        Told {
            at: Timestamp::from_secs(at),
            has_baseline,
            alarm: false,
            score: Some(at as f64),
        }
    }

    #[test]
    fn what_a_machine_did_holds_until_it_does_something_else() {
        let said = [told(0, true), told(100, false), told(200, true)];
        for (from, to, ran_through) in [
            (-50, 0, true),
            (10, 100, true),
            (10, 101, false),
            (120, 150, false),
            (150, 250, false),
            (200, 300, true),
            (250, 900, true),
        ] {
            let span = (Timestamp::from_secs(from), Timestamp::from_secs(to));
            assert_eq!(ran(&said, span), ran_through, "{from} to {to}");
        }
        assert!(ran(&[], (Timestamp::EPOCH, Timestamp::from_secs(9))));
    }

    #[test]
    fn a_score_counts_once_an_hour_and_only_while_it_ran() {
        let said = [
            told(10, true),
            told(3_000, true),
            told(3_700, false),
            told(7_300, true),
            told(20_000, true),
        ];
        let span = (Timestamp::EPOCH, Timestamp::from_secs(20_000));
        assert_eq!(Watched::scores(&said, span), [3_000.0, 7_300.0]);
    }
}

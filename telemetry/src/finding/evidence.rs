//! What a verdict about a machine rests on, and how it is put into words.

use serde::{Deserialize, Serialize};

use crate::{FailureMode, SignalName, Timestamp};

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OperatingState {
    /// It stands still.
    Off,
    /// It turns without load.
    Idle,
    /// It was switched on a short while ago.
    StartUp,
    /// It works.
    Running {
        /// The load regime, counted from 0; a machine with one way of running has only that.
        regime: u8,
    },
    /// It is on its way from one state to another, and what it measures belongs to neither.
    Transition,
    /// Nobody has said how to tell.
    #[default]
    Unknown,
}

impl OperatingState {
    /// The state in one word, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Idle => "idle",
            Self::StartUp => "start_up",
            Self::Running { .. } => "running",
            Self::Transition => "transition",
            Self::Unknown => "unknown",
        }
    }

    /// Whether there is a normal to compare with in this state.
    pub const fn has_baseline(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Unknown)
    }
}

/// What a verdict rests on. Frozen into a case when the case opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredEvidence")]
pub struct Evidence {
    /// The detectors that were asked and their versions, such as `level/1+innovation/1`.
    pub model: String,
    /// First row of the window the verdict looked at, in event time.
    pub window_from: Timestamp,
    /// Last row of that window.
    pub window_to: Timestamp,
    /// First row the baseline was learned from.
    pub baseline_from: Timestamp,
    /// Last row the baseline was learned from.
    pub baseline_to: Timestamp,
    /// Rows the baseline was learned from.
    pub baseline_rows: u32,
    /// The state whose baseline was compared with.
    pub operating: OperatingState,
    /// The fused score with its limits.
    pub statistics: Statistics,
    /// What each detector said.
    pub views: Vec<ViewScore>,
    /// The failure mode whose signature fits best, or `unclassified`.
    pub failure_mode: FailureMode,
    /// How well that signature fits: cosine between signature and deviations, 0 to 1; 0 when unclassified.
    pub failure_mode_fit: f64,
    /// Every signal of the baseline, largest share first.
    pub contributions: Vec<Contribution>,
    /// Signals that were left out because their sensors cannot be believed.
    pub suspects: Vec<SignalName>,
    /// The machines of the same model and load regime that it was compared with, 0 when they
    /// were too few to tell; none where nobody asked for the comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
}

/// The fused score of a row and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// One number for all views: 1 is the alarm limit, above is beyond it.
    pub score: f64,
    /// The score at which an alarm begins.
    pub on: f64,
    /// The score at which an alarm ends.
    pub off: f64,
}

/// What one detector says about a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewScore {
    /// The detector, such as `level`.
    pub view: String,
    /// Its version.
    pub version: u32,
    /// What it measured, in its own unit.
    pub score: f64,
    /// Where its own alarm begins, in the same unit.
    pub limit: f64,
}

/// How much one signal takes part in a deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The signal.
    pub signal: SignalName,
    /// Its share of the deviation; all shares add up to 1.
    pub share: f64,
    /// How far it is from its normal, signed, in healthy spreads.
    pub deviation: f64,
    /// Its present smoothed value, in the signal's unit.
    pub value: f64,
    /// Its normal value, in the signal's unit.
    pub normal: f64,
    /// The lower end of its normal range, in the signal's unit.
    pub normal_low: f64,
    /// The upper end of its normal range, in the signal's unit.
    pub normal_high: f64,
}

/// A verdict in words and numbers, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// English.
    pub en: String,
    /// 简体中文.
    pub zh: String,
}

/// Evidence as it may lie on disk: cases keep theirs for years, so what the first detector
/// wrote, T² and Q beside the score, is read into the views it would fill today.
#[derive(Deserialize)]
struct StoredEvidence {
    model: String,
    window_from: Timestamp,
    window_to: Timestamp,
    baseline_from: Timestamp,
    baseline_to: Timestamp,
    baseline_rows: u32,
    #[serde(default)]
    operating: OperatingState,
    statistics: StoredStatistics,
    #[serde(default)]
    views: Vec<ViewScore>,
    failure_mode: FailureMode,
    failure_mode_fit: f64,
    contributions: Vec<Contribution>,
    #[serde(default)]
    suspects: Vec<SignalName>,
    peers: Option<u32>,
}

#[derive(Deserialize)]
struct StoredStatistics {
    score: f64,
    on: f64,
    off: f64,
    t2: Option<f64>,
    t2_limit: Option<f64>,
    q: Option<f64>,
    q_limit: Option<f64>,
}

impl From<StoredEvidence> for Evidence {
    fn from(stored: StoredEvidence) -> Self {
        let StoredStatistics { score, on, off, .. } = stored.statistics;
        let old = |view: &str, score: Option<f64>, limit: Option<f64>| {
            Some(ViewScore {
                view: view.to_owned(),
                version: 1,
                score: score?,
                limit: limit?,
            })
        };
        let numbers = &stored.statistics;
        let old = [
            old("t2", numbers.t2, numbers.t2_limit),
            old("q", numbers.q, numbers.q_limit),
        ];
        let mut views = stored.views;
        views.extend(old.into_iter().flatten());
        Self {
            model: stored.model,
            window_from: stored.window_from,
            window_to: stored.window_to,
            baseline_from: stored.baseline_from,
            baseline_to: stored.baseline_to,
            baseline_rows: stored.baseline_rows,
            operating: stored.operating,
            statistics: Statistics { score, on, off },
            views,
            failure_mode: stored.failure_mode,
            failure_mode_fit: stored.failure_mode_fit,
            contributions: stored.contributions,
            suspects: stored.suspects,
            peers: stored.peers,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As release 0.1 wrote it into cases.
    fn first() -> serde_json::Value {
        json!({
            "model": "pca-t2-q/1", "window_from": 0, "window_to": 0, "baseline_from": 0,
            "baseline_to": 0, "baseline_rows": 400,
            "statistics": {"t2": 20.5, "t2_limit": 12.5, "q": 0.1, "q_limit": 3.0,
                           "score": 1.3, "on": 1.0, "off": 0.8},
            "failure_mode": "cavitation", "failure_mode_fit": 0.9, "contributions": []
        })
    }

    #[test]
    fn evidence_of_the_first_detector_is_still_read_with_its_numbers() {
        let mut value = first();
        let at = serde_json::to_value(Timestamp::EPOCH).unwrap();
        for key in ["window_from", "window_to", "baseline_from", "baseline_to"] {
            value[key] = at.clone();
        }
        let read: Evidence = serde_json::from_value(value).unwrap();
        let views: Vec<_> = read
            .views
            .iter()
            .map(|v| (&*v.view, v.score, v.limit))
            .collect();
        assert_eq!(views, [("t2", 20.5, 12.5), ("q", 0.1, 3.0)]);
        assert_eq!(read.operating, OperatingState::Unknown);
        let again: Evidence = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn an_operating_state_is_told_by_its_word() {
        for (state, text) in [
            (OperatingState::Off, r#"{"name":"off"}"#),
            (OperatingState::StartUp, r#"{"name":"start_up"}"#),
            (
                OperatingState::Running { regime: 2 },
                r#"{"name":"running","regime":2}"#,
            ),
            (OperatingState::Unknown, r#"{"name":"unknown"}"#),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<OperatingState>(text).unwrap(), state);
            assert!(text.contains(state.as_str()));
        }
    }
}

//! What watches a machine: views, limits, and signals that know of each other.

use serde::{Deserialize, Serialize};

use crate::SignalName;

/// A way to look at a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Levels of all signals against their learned, slowly followed normal.
    Level,
    /// What the last sample did not lead to expect.
    Innovation,
    /// Principal components: Hotelling's T² and Q.
    Pca,
    /// One-sided cumulative sums of growth, for bearings.
    Cusum,
    /// Tail-calibrated statistics of single signals.
    Tails,
    /// The machine against its peers of the same model and regime, beside whatever else runs.
    Fleet,
    /// Fixed limits, as declared; needs some in [`Detection::limits`], which are watched beside
    /// whatever else runs.
    Limits,
}

/// What runs for a machine. Without any of it the default runs: it needs no configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// The views that run. Without one that learns (all but `fleet` and `limits`) the default
    /// for the number of signals runs.
    pub views: Vec<View>,
    /// Fixed limits; they are watched whenever there are any. At most [`MAX_LIMITS`].
    pub limits: Vec<Limit>,
}

impl Detection {
    /// Whether a file need not mention it.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A fixed limit of one signal; exactly one of `above` and `below`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The signal, or a feature of it as `signal.feature`.
    pub signal: SignalName,
    /// The limit is crossed above this, in the unit of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// The limit is crossed below this, in the unit of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// The level at which the crossing ends, on the good side of the limit; the limit itself
    /// when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<f64>,
    /// Seconds beyond the limit before it counts.
    #[serde(default)]
    pub on_delay_s: f64,
    /// Seconds on the good side of `off` before it is over.
    #[serde(default)]
    pub off_delay_s: f64,
    /// What crossing it means.
    #[serde(default)]
    pub state: LimitState,
    /// Whether it is watched in every operating state; else only while the machine runs.
    #[serde(default)]
    pub always: bool,
}

/// Most fixed limits of a model: each keeps its course for every device of the kind.
pub const MAX_LIMITS: usize = 64;
/// Most features of signals in all signatures of a model: each keeps its normal for every device.
pub const MAX_FEATURES: usize = 32;

/// The features of a signal that a model may name as `signal.feature`.
pub const FEATURES: [&str; 18] = [
    "ewma",
    "ewma_std",
    "mean",
    "std",
    "min",
    "max",
    "range",
    "slope",
    "rate",
    "crest",
    "skewness",
    "kurtosis",
    "p05",
    "p50",
    "p95",
    "hour_normal",
    "hour_deviation",
    "weekday_deviation",
];

/// What crossing a limit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// Somebody should look.
    Watch,
    /// Somebody must act.
    #[default]
    Alarm,
}

/// Signals that move together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelatedSignals {
    /// Two signals or more.
    pub signals: Vec<SignalName>,
    /// Whether they rise together.
    #[serde(default)]
    pub sign: RelationSign,
    /// Whether they measure the same quantity, so that any lasting difference is a sensor's.
    #[serde(default)]
    pub redundant: bool,
}

/// Whether related signals rise together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationSign {
    /// All rise together.
    #[default]
    Same,
    /// The others fall when the first rises.
    Opposite,
}

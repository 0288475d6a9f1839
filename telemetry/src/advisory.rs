//! From a case to the service system and back: the advisory and the outcome of its order.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    AssetId, CaseId, DeviceId, Evidence, FailureMode, Prognosis, SignalName, Timestamp, WorkOrderId,
};

/// How urgent a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth an eye; no order yet.
    Watch,
    /// Plan the work.
    Warning,
    /// Act soon.
    Critical,
}

/// What the engineer found when the order was done (close-out code).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The predicted fault was there.
    Confirmed,
    /// Nothing was wrong.
    NoFaultFound,
    /// The sensor was wrong, not the machine.
    SensorFault,
    /// Another order already covers it.
    Duplicate,
    /// Put off; the problem remains.
    Deferred,
    /// Something else was wrong.
    OtherFaultFound,
}

/// A text that is none of the words it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}; use one of {known}")]
pub struct UnknownWord {
    /// What was asked for.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
    /// What may be given.
    pub known: &'static str,
}

macro_rules! words {
    ($type:ident, $kind:literal, $known:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in storage, API and configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        kind: $kind,
                        text: text.chars().take(40).collect(),
                        known: $known,
                    }),
                }
            }
        }
    };
}

words!(
    Severity,
    "severity",
    "watch, warning, critical",
    Watch = "watch",
    Warning = "warning",
    Critical = "critical",
);
words!(
    Outcome,
    "outcome",
    "confirmed, no_fault_found, sensor_fault, duplicate, deferred, other_fault_found",
    Confirmed = "confirmed",
    NoFaultFound = "no_fault_found",
    SensorFault = "sensor_fault",
    Duplicate = "duplicate",
    Deferred = "deferred",
    OtherFaultFound = "other_fault_found",
);

impl Outcome {
    /// Whether the machine or its sensors were inspected and left as they should be, so that
    /// normal may have to be learned anew. A duplicate or deferred order changed nothing.
    pub const fn starts_new_baseline(self) -> bool {
        !matches!(self, Self::Duplicate | Self::Deferred)
    }

    /// Whether the machine was repaired, so that the life that is forecast starts over.
    pub const fn starts_new_life(self) -> bool {
        matches!(self, Self::Confirmed | Self::OtherFaultFound)
    }
}

/// What alerting asks of the service system (AG): consider this work, for these reasons.
/// Handing in the same case twice gives the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// The case; with the round the idempotency key.
    pub case: CaseId,
    /// How often the case has come to life: 1 at first, one more each time it was opened again
    /// after its order had been withdrawn or cancelled. Each round has one order.
    #[serde(default = "first_round")]
    pub round: u32,
    /// The asset to work on.
    pub asset: AssetId,
    /// The device whose signals told.
    pub device: DeviceId,
    /// What is failing.
    pub failure_mode: FailureMode,
    /// The signal whose sensor cannot be believed; none for a problem of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
    /// How urgent it is.
    pub severity: Severity,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// What the case rests on.
    pub evidence: Evidence,
    /// When it may fail, if that can be said.
    pub prognosis: Option<Prognosis>,
}

const fn first_round() -> u32 {
    1
}

/// The end of a work order, as the service system reports it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrderClosed {
    /// The order.
    pub work_order: WorkOrderId,
    /// The asset it was for.
    pub asset: AssetId,
    /// The case it came from, when it came from one.
    pub case: Option<CaseId>,
    /// What was found; none when the order was cancelled.
    pub outcome: Option<Outcome>,
    /// What really failed; none when nothing did or nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_mode: Option<FailureMode>,
    /// The part that was replaced or repaired, as the person who closed it named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// When it ended.
    pub at: Timestamp,
    /// What the person who closed it wrote.
    pub note: String,
}

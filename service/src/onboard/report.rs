//! What came of it.

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, CustomerId, DeviceId, SiteId};

use crate::IssuedToken;

/// Errors that are listed one by one; the rest is counted. A file with more has one mistake
/// many times.
const MAX_LISTED_ERRORS: usize = 10_000;
/// Characters of a cell that an error repeats: enough to find it.
const MAX_SHOWN_CHARS: usize = 80;

/// What onboarding did or, in a dry run, would do. With any error nothing was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnboardReport {
    /// Whether it was only asked what would happen.
    pub dry_run: bool,
    /// Whether it was done.
    pub applied: bool,
    /// Rows of the file without its header.
    pub rows: u64,
    /// Rows that say what is so already.
    pub unchanged: u64,
    /// What is new.
    pub created: Created,
    /// What was there and is different now.
    pub changed: Changed,
    /// Devices of the file that have no valid credential, not counting those in `tokens`.
    pub without_credential: u64,
    /// The tokens that were made, by device. This is the only time they are seen.
    pub tokens: Vec<IssuedToken>,
    /// What is wrong, by line and column.
    pub errors: Vec<OnboardError>,
    /// Errors beyond those that are listed.
    pub more_errors: u64,
}

/// What is new, each by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Created {
    /// Customers.
    pub customers: Vec<CustomerId>,
    /// Sites.
    pub sites: Vec<SiteId>,
    /// Assets.
    pub assets: Vec<AssetId>,
    /// Devices.
    pub devices: Vec<DeviceId>,
}

/// What is different now, each by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changed {
    /// Assets.
    pub assets: Vec<AssetId>,
    /// Devices: moved, declared anew or with another certificate.
    pub devices: Vec<DeviceId>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardError {
    /// The line its row begins in; the header is line 1.
    pub line: u64,
    /// The number of the column, from 1.
    pub column_number: u64,
    /// The name of the column; empty when it has none.
    pub column: String,
    /// What stands there, cut to its first 80 characters.
    pub value: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl std::fmt::Display for OnboardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column_number)?;
        if !self.column.is_empty() {
            write!(f, " ({})", self.column)?;
        }
        if !self.value.is_empty() {
            write!(f, ", {:?}", self.value)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At<'a> {
    pub(crate) line: u64,
    pub(crate) number: u64,
    pub(crate) name: &'a str,
}

/// The errors so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    listed: Vec<OnboardError>,
    more: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, at: At<'_>, value: &str, problem: impl Into<String>) {
        if self.listed.len() == MAX_LISTED_ERRORS {
            self.more += 1;
            return;
        }
        self.listed.push(OnboardError {
            line: at.line,
            column_number: at.number,
            column: at.name.to_owned(),
            value: value.chars().take(MAX_SHOWN_CHARS).collect(),
            problem: problem.into(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The errors by place, and how many were not listed.
    pub(crate) fn into_sorted(mut self) -> (Vec<OnboardError>, u64) {
        self.listed
            .sort_by_key(|error| (error.line, error.column_number));
        (self.listed, self.more)
    }
}

//! What the writer tells about itself, for `/status` and `/metrics`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use telemetry::{Offset, Timestamp};

use crate::journal::lock;

/// Refused points that are listed, newest first; all of them are counted. A page to look at, and
/// small enough to be saved with the position.
pub(crate) const LISTED_REFUSALS: usize = 100;

/// How the writer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InfluxState {
    /// It has not spoken to the server yet.
    #[default]
    Starting,
    /// The last write was taken.
    Running,
    /// The server cannot be reached, is overloaded or failing; the journal keeps what arrives.
    Retrying,
    /// The server does not accept the token (401, 403).
    Unauthorized,
    /// The server knows no such bucket or organisation (404).
    NotFound,
    /// The writer has been shut down.
    Stopped,
}

/// A point the server will never take, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When it was refused.
    pub at: Timestamp,
    /// The line, cut to 500 characters; the first of `readings` when a whole batch was refused.
    pub line: String,
    /// What the server said.
    pub reason: String,
    /// How many readings were refused for it.
    pub readings: u64,
}

/// A picture of the writer at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct InfluxStatus {
    /// How it is doing.
    pub state: InfluxState,
    /// The last journal offset that is wholly in the server.
    pub position: Offset,
    /// The last committed offset of the journal; the lag is the distance.
    pub committed: Offset,
    /// Readings written since the program started.
    pub points_written: u64,
    /// Requests the server took since the program started.
    pub batches_written: u64,
    /// Requests that had to be made again since the program started.
    pub retries: u64,
    /// Readings the server will never take, ever.
    pub refused: u64,
    /// The last of these, newest first.
    pub refusals: Vec<Refusal>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// When the server took something last.
    pub last_write_at: Option<Timestamp>,
}

impl InfluxStatus {
    /// Journal records that are not wholly in the server yet.
    pub fn lag(&self) -> u64 {
        self.committed.0.saturating_sub(self.position.0)
    }
}

/// Shows the writer's status while it runs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InfluxMonitor(Arc<Mutex<InfluxStatus>>);

impl InfluxMonitor {
    /// The status now.
    pub fn status(&self) -> InfluxStatus {
        lock(&self.0).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut InfluxStatus)) {
        change(&mut lock(&self.0));
    }
}

/// What is saved of refusals together with the position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusals {
    pub(crate) count: u64,
    pub(crate) listed: VecDeque<Refusal>,
}

impl Refusals {
    pub(crate) fn add(&mut self, refusal: Refusal) {
        self.count += refusal.readings;
        self.listed.push_front(refusal);
        self.listed.truncate(LISTED_REFUSALS);
    }
}

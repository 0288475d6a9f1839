//! `/healthz` and `/readyz`: whether the process lives, and whether it does its work.
//!
//! Ready means that a reading sent now would be acknowledged and would show: the journal
//! commits, and no reader of it stands still while there is something to read.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Shared,
    status::{self, ReaderView},
};

/// How long a reader may stand still while it is behind. Readers save their position once
/// a minute at the latest; twice that is no accident.
const STUCK_AFTER: Duration = Duration::from_mins(2);

/// Whether the program is alive or ready.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Readiness {
    /// `ok` or `unavailable`.
    pub status: String,
    /// Why it is not ready.
    pub reasons: Vec<String>,
}

impl Readiness {
    fn of(reasons: Vec<String>) -> Self {
        let status = if reasons.is_empty() {
            "ok"
        } else {
            "unavailable"
        };
        Self {
            status: status.to_owned(),
            reasons,
        }
    }
}

/// Tell that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "system",
    responses((status = 200, body = Readiness)))]
pub(crate) async fn healthz() -> Json<Readiness> {
    Json(Readiness::of(Vec::new()))
}

/// Tell whether readings would be acknowledged and shown.
#[utoipa::path(get, path = "/readyz", tag = "system",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn readyz(State(api): State<Shared>) -> Response {
    let health = Readiness::of(api.reasons());
    let code = if health.reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(health)).into_response()
}

/// Remembers when each reader last moved and whether the last commit failed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    readers: BTreeMap<String, (u64, Instant)>,
    failed: u64,
    commits: u64,
    journal_fails: bool,
}

impl Watch {
    /// Takes in where the readers are.
    pub(crate) fn see_readers(&mut self, readers: &[ReaderView], now: Instant) {
        self.readers
            .retain(|name, _| readers.iter().any(|reader| reader.name == *name));
        // InfluxDB keeps a copy; that it lags costs no reading and is told by the status.
        let needed = readers
            .iter()
            .filter(|one| one.name != status::INFLUX_READER);
        for reader in needed {
            let seen = self
                .readers
                .entry(reader.name.clone())
                .or_insert((reader.position, now));
            if seen.0 != reader.position || reader.lag == 0 {
                *seen = (reader.position, now);
            }
        }
    }

    /// Takes in how many commits succeeded and failed so far. The journal counts as failing
    /// from a failed commit until the next good one.
    pub(crate) fn see_commits(&mut self, commits: u64, failed: u64) {
        if failed > self.failed {
            self.journal_fails = true;
        } else if commits > self.commits {
            self.journal_fails = false;
        }
        (self.commits, self.failed) = (commits, failed);
    }

    /// Why the program is not ready; empty when it is.
    pub(crate) fn reasons(&self, now: Instant) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.journal_fails {
            reasons.push("the journal cannot commit: is the disk full?".to_owned());
        }
        for (name, (position, moved_at)) in &self.readers {
            let still = now.duration_since(*moved_at);
            if still >= STUCK_AFTER {
                reasons.push(format!(
                    "reader {name} has stood at offset {position} for {} s",
                    still.as_secs()
                ));
            }
        }
        reasons
    }
}

impl super::Api {
    /// Looks at readers and commits; called a few times a second and by each `/readyz`.
    pub(crate) fn watch_readers(self: &Shared) {
        let (_, readers) = status::readers(self);
        let stats = self.parts.journal.stats();
        let mut watch = self.watch();
        watch.see_readers(&readers, Instant::now());
        watch.see_commits(stats.commits, stats.failed_commits);
    }

    fn reasons(self: &Shared) -> Vec<String> {
        self.watch_readers();
        let mut reasons = self.watch().reasons(Instant::now());
        if self.parts.shutdown.is_cancelled() {
            reasons.push("the program is shutting down".to_owned());
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(position: u64, committed: u64) -> Vec<ReaderView> {
        vec![ReaderView {
            name: "analytics".to_owned(),
            position,
            lag: committed - position,
        }]
    }

    #[test]
    fn a_reader_is_stuck_when_it_stands_still_with_work_before_it() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut watch = Watch::default();
        watch.see_readers(&reader(5, 9), at(0));
        watch.see_readers(&reader(5, 9), at(119));
        assert!(watch.reasons(at(119)).is_empty());
        let reasons = watch.reasons(at(121));
        assert!(
            reasons[0].contains("analytics") && reasons[0].contains("offset 5"),
            "{reasons:?}"
        );
        watch.see_readers(&reader(6, 9), at(122));
        assert!(watch.reasons(at(130)).is_empty());
        for (secs, position) in [(200, 9), (400, 9)] {
            watch.see_readers(&reader(position, 9), at(secs));
        }
        assert!(
            watch.reasons(at(401)).is_empty(),
            "nothing to read is no standstill"
        );
        let influx = [ReaderView {
            name: status::INFLUX_READER.to_owned(),
            position: 1,
            lag: 8,
        }];
        for secs in [500, 800] {
            watch.see_readers(&influx, at(secs));
        }
        assert!(
            watch.reasons(at(801)).is_empty(),
            "a copy is not waited for"
        );
        watch.see_readers(&[], at(900));
        assert!(
            watch.reasons(at(900)).is_empty(),
            "a reader that left is not waited for"
        );
    }

    #[test]
    fn the_journal_fails_from_a_failed_commit_to_the_next_good_one() {
        let mut watch = Watch::default();
        for (commits, failed, ready) in [
            (1, 0, true),
            (1, 1, false),
            (1, 1, false),
            (1, 2, false),
            (2, 2, true),
            (2, 2, true),
        ] {
            watch.see_commits(commits, failed);
            let reasons = watch.reasons(Instant::now());
            assert_eq!(reasons.is_empty(), ready, "{commits} {failed}");
        }
    }
}

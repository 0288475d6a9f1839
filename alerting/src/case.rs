//! The case: what is wrong with an asset, since when, on which evidence, and what became of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use telemetry::{
    Advisory, AssetId, CaseId, DeviceId, Evidence, Explanation, FailureMode, Outcome, PersonId,
    Prognosis, Severity, SignalName, SiteId, Timestamp, Verdict, WorkOrderId,
};

use crate::{CaseSource, Suppression, WatchListed, lifecycle::CaseEventKind};

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// Nobody has looked at it yet.
    Open,
    /// A person has seen it.
    Acknowledged,
    /// Its work order has ended.
    Closed,
}

impl CaseStatus {
    /// Every status, in order.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Closed];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the case still asks for something.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// One problem of one asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// See [`case_id`].
    pub id: CaseId,
    /// The asset that has the problem.
    pub asset: AssetId,
    /// The device whose signals opened the case.
    pub device: DeviceId,
    /// What seems to be failing, as the evidence had it at opening.
    pub failure_mode: FailureMode,
    /// The signal whose sensor cannot be believed; none for a problem of the machine.
    pub signal: Option<SignalName>,
    /// How urgent it is; while the case is open it only rises.
    pub severity: Severity,
    /// Where it stands.
    pub status: CaseStatus,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// The time of the latest change: event time when a finding made it, the caller's time otherwise.
    pub updated_at: Timestamp,
    /// When the alarm last ended, in event time; none while it stands.
    pub cleared_at: Option<Timestamp>,
    /// When the work order ended.
    pub closed_at: Option<Timestamp>,
    /// The detection score at the latest refresh; 1 is the alarm limit.
    pub score: f64,
    /// The highest score seen at a refresh.
    pub peak_score: f64,
    /// What the case rests on, frozen at opening.
    pub evidence: Evidence,
    /// The latest prognosis, when one can be made.
    pub prognosis: Option<Prognosis>,
    /// The person who has it in hand.
    pub assignee: Option<PersonId>,
    /// The work order raised for it in this round.
    pub work_order: Option<WorkOrderId>,
    /// What was found when the order was completed; none while open and after a cancelled order.
    pub outcome: Option<Outcome>,
    /// Who raised it.
    pub source: CaseSource,
    /// What kind of problem it is; only a problem of the machine or of a sensor gets an order.
    pub verdict: Verdict,
    /// Why that is the verdict.
    pub why: Option<Explanation>,
    /// How often it came to life: 1 at first, one more each time it was opened again.
    pub round: u32,
    /// When this round was opened, by the caller's clock.
    pub seen_at: Timestamp,
    /// Where the asset stood then; none for an asset the ledger did not know.
    pub site: Option<SiteId>,
    /// Whether all that was heard of it so far came late.
    pub stale: bool,
    /// Why it asks for nothing at present; none when it asks.
    pub suppressed: Option<Suppression>,
    /// The case that stands for it: the first of its group, or that of the asset above.
    pub parent: Option<CaseId>,
    /// Set while it waits for its order behind more valuable cases.
    pub watch_list: Option<WatchListed>,
    /// What acting in time is expected to save, in `currency`; none before it was estimated.
    pub expected_avoided_cost: Option<f64>,
    /// The currency of `expected_avoided_cost`, such as `CNY`.
    pub currency: Option<String>,
}

impl Case {
    /// What the service system is asked to do about this case.
    pub fn advisory(&self) -> Advisory {
        Advisory {
            case: self.id.clone(),
            round: self.round,
            asset: self.asset.clone(),
            device: self.device.clone(),
            failure_mode: self.failure_mode.clone(),
            signal: self.signal.clone(),
            severity: self.severity,
            opened_at: self.opened_at,
            evidence: self.evidence.clone(),
            prognosis: self.prognosis.clone(),
        }
    }

    /// Whether the service system has still to be told: open, asking, a problem that work
    /// mends, serious enough, and no order yet. A sensor is never serious, and nobody but the
    /// service system would ever see to it; a machine that only seems to be failing because of
    /// a sensor is mended with the sensor.
    pub fn wants_order(&self) -> bool {
        let is_worth_one = match self.verdict {
            Verdict::Sensor => self.signal.is_some(),
            Verdict::Operating => false,
            Verdict::Machine => self.severity >= Severity::Warning,
        };
        self.status.is_open()
            && is_worth_one
            && self.work_order.is_none()
            && self.suppressed.is_none()
    }

    /// How far beyond its limit the alarm was when it rose, as a multiple of it.
    pub fn first_score(&self) -> f64 {
        let statistics = &self.evidence.statistics;
        statistics.score / statistics.on.max(f64::MIN_POSITIVE)
    }

    /// The latest event time that is known of it.
    pub(crate) fn last_event_at(&self) -> Timestamp {
        let cleared = self.cleared_at.unwrap_or(self.opened_at);
        cleared.max(self.opened_at)
    }
}

/// One line of a case's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseEvent {
    /// When it happened: event time for what findings did, the caller's time for the rest.
    pub at: Timestamp,
    /// What happened.
    pub kind: CaseEventKind,
    /// The person who did it, when it was a person.
    pub by: Option<String>,
    /// What else belongs to it, such as the order or both severities.
    pub detail: Option<serde_json::Value>,
}

/// A case with its log, oldest entry first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseDetail {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// Its log. Folding [`crate::lifecycle::next`] over it gives the status of the case.
    pub events: Vec<CaseEvent>,
}

/// A case that changed, and what changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseChange {
    /// The case as it is now.
    pub case: Case,
    /// What happened to it.
    pub event: CaseEventKind,
}

/// Which cases by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Every case.
    #[default]
    All,
    /// Open and acknowledged ones.
    Open,
    /// Closed ones.
    Closed,
}

/// Which cases to list. Newest first, by the order in which they were opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseQuery {
    /// By status.
    pub status: StatusFilter,
    /// Of this asset only.
    pub asset: Option<AssetId>,
    /// Of assets at this site only.
    pub site: Option<SiteId>,
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
    /// Only those that are suppressed, or only those that are not.
    pub suppressed: Option<bool>,
    /// Only those on the watch list, or only those that are not.
    pub watch_list: Option<bool>,
    /// Only those this case stands for.
    pub parent: Option<CaseId>,
    /// Continue behind this case, the last one of the page before.
    pub after: Option<CaseId>,
    /// At most this many; cut to [`CaseQuery::MAX_LIMIT`].
    pub limit: u32,
}

impl CaseQuery {
    /// A page that a browser still draws at once.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// Evidence is a few kB a case, so a page of this many stays below about 10 MB.
    pub const MAX_LIMIT: u32 = 1_000;
}

impl Default for CaseQuery {
    fn default() -> Self {
        Self {
            status: StatusFilter::All,
            asset: None,
            site: None,
            verdict: None,
            suppressed: None,
            watch_list: None,
            parent: None,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }
}

/// How many cases there are in each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Nobody has looked at them.
    pub open: u64,
    /// Seen by a person, not closed.
    pub acknowledged: u64,
    /// Closed.
    pub closed: u64,
}

impl CaseCounts {
    /// Every case that was ever opened.
    pub const fn total(&self) -> u64 {
        self.open + self.acknowledged + self.closed
    }
}

/// Crockford's base 32: no I, L, O or U, so an id survives being read out on the telephone.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Base 32 digits in a case id: 60 bits, so that even a million cases meet by chance with a
/// probability below one in a million.
const ID_DIGITS: usize = 12;

/// The id of a case: `C-` and the first 60 bits of SHA-256 over asset, device, failure mode,
/// the event time of the alarm and, for a sensor, its signal, in Crockford's base 32.
///
/// It is a function of what opened the case, so that a replay of the same findings finds the
/// same case, and the service system recognises an advisory that is handed in twice. One
/// device has one alarm at a time, and a sensor one fault, hence they never occur twice together.
///
/// # Panics
/// Never: the text that is made here keeps the rule for ids.
pub fn case_id(
    asset: &AssetId,
    device: &DeviceId,
    failure_mode: &FailureMode,
    opened_at: Timestamp,
    signal: Option<&SignalName>,
) -> CaseId {
    let mut hash = Sha256::new();
    for part in [asset.as_str(), device.as_str(), failure_mode.as_str()] {
        hash.update(part.as_bytes());
        // Ids hold no zero byte, so the parts cannot run into each other.
        hash.update([0]);
    }
    hash.update(opened_at.as_micros().to_be_bytes());
    if let Some(signal) = signal {
        hash.update(signal.as_str().as_bytes());
    }
    let digest = hash.finalize();
    let head = digest[..8]
        .iter()
        .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    let mut text = String::with_capacity(2 + ID_DIGITS);
    text.push_str("C-");
    for digit in 0..ID_DIGITS {
        let at = (head >> (59 - 5 * digit)) & 31;
        text.push(char::from(BASE32[at as usize]));
    }
    CaseId::new(&text).expect("C- and base 32 digits are always a valid id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(asset: &str, device: &str, mode: &str, micros: i64) -> String {
        of_signal(asset, device, mode, micros, None)
    }

    fn of_signal(asset: &str, device: &str, mode: &str, micros: i64, of: Option<&str>) -> String {
        case_id(
            &AssetId::new(asset).unwrap(),
            &DeviceId::new(device).unwrap(),
            &FailureMode::new(mode).unwrap(),
            Timestamp::from_micros(micros),
            of.map(|signal| SignalName::new(signal).unwrap()).as_ref(),
        )
        .to_string()
    }

    #[test]
    fn a_case_id_depends_on_each_part_and_on_nothing_else() {
        let base = id("pump-1", "dev-1", "cavitation", 1);
        assert_eq!(base, id("pump-1", "dev-1", "cavitation", 1));
        for other in [
            id("pump-2", "dev-1", "cavitation", 1),
            id("pump-1", "dev-2", "cavitation", 1),
            id("pump-1", "dev-1", "imbalance", 1),
            id("pump-1", "dev-1", "cavitation", 2),
            id("pump-1dev", "-1", "cavitation", 1),
            of_signal("pump-1", "dev-1", "cavitation", 1, Some("flow")),
            of_signal("pump-1", "dev-1", "cavitation", 1, Some("speed")),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn case_ids_stay_the_same_over_versions() {
        // Python: hashlib.sha256(b"pump-1\0dev-1\0cavitation\0" + (1583748873000000).to_bytes(8, "big")),
        // first 60 bits in Crockford's alphabet.
        assert_eq!(
            id("pump-1", "dev-1", "cavitation", 1_583_748_873_000_000),
            "C-NJVW7F1694N4"
        );
    }
}

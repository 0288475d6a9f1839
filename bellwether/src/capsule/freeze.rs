//! Making capsules while the pipeline runs.

use std::{collections::BTreeMap, sync::Arc};

use alerting::{Case, CaseChange, CaseDesk, CaseEventKind};
use analytics::{Assignment, Config, Fleet};
use anyhow::{Context, Result};
use historian::{Journal, Snapshot};
use service::Service;
use telemetry::{AssetModel, AssetModelId, CaseId, DeviceId, Finding, JournalRecord, Offset};

use super::{Bytes, Capsule, FORMAT, Watched};
use crate::pipeline::READER;

/// The most a capsule may hold of rows. A device sends some hundred bytes between two saved
/// positions; what is beyond this was sent faster than any machine does, by an import for one.
const MAX_INPUT_BYTES: usize = 8 << 20;
/// Bytes of journal read in one go.
const READ_BYTES: usize = 2 << 20;

/// Makes a capsule for each case that opens.
#[derive(Debug)]
pub(crate) struct Freezer {
    journal: Journal,
    cases: CaseDesk,
    config: Config,
    /// Open cases that have none yet: a crash came between opening and freezing, and the records
    /// that opened them come again.
    waiting: BTreeMap<CaseId, Case>,
}

/// The devices a case rests on, with what they watch.
#[derive(Debug, Default)]
pub(crate) struct Involved {
    watched: BTreeMap<DeviceId, Watched>,
    models: BTreeMap<AssetModelId, AssetModel>,
}

impl Involved {
    /// The device of a case, and those it is compared with.
    pub(crate) fn of(
        case: &Case,
        fleet: &Fleet,
        service: &Service,
        models: &BTreeMap<AssetModelId, Arc<AssetModel>>,
    ) -> Self {
        let mut involved = Self::default();
        let peers = fleet.company(&case.device);
        for device in std::iter::once(case.device.clone()).chain(peers) {
            let Some((asset, model)) = service.assignment(&device) else {
                continue;
            };
            let model = models.get(&model).map(|known| {
                let frozen = involved.models.entry(model.clone());
                frozen.or_insert_with(|| AssetModel::clone(known));
                model
            });
            involved.watched.insert(device, Watched { asset, model });
        }
        involved
    }

    /// The keys under which their states may be saved.
    fn keys(&self) -> Vec<String> {
        let devices = self.watched.keys();
        let own =
            devices.flat_map(|device| [device.to_string(), alerting::rules::state_key(device)]);
        let shared = alerting::rules::SHARED_KEYS.map(str::to_owned);
        own.chain(shared).collect()
    }
}

impl Freezer {
    /// Looks for cases that were opened and not frozen.
    ///
    /// # Errors
    /// When the cases cannot be read.
    pub(crate) async fn open(journal: Journal, cases: CaseDesk, config: Config) -> Result<Self> {
        let waiting = cases.open_without_capsule().await?;
        Ok(Self {
            journal,
            cases,
            config,
            waiting: waiting
                .into_iter()
                .map(|case| (case.id.clone(), case))
                .collect(),
        })
    }

    /// The cases that these findings open, the ones that were opened just now and those that were
    /// opened by the same findings before a crash.
    pub(crate) fn opened_by(&self, changes: &[CaseChange], findings: &[Finding]) -> Vec<Case> {
        let opened = changes
            .iter()
            .filter(|change| change.event == CaseEventKind::Opened);
        let mut cases: Vec<Case> = opened.map(|change| change.case.clone()).collect();
        let told = |case: &&Case| {
            let mut findings = findings.iter();
            findings.any(|finding| {
                finding.device() == &case.device && finding.at() == case.evidence.window_to
            })
        };
        cases.extend(self.waiting.values().filter(told).cloned());
        cases
    }

    /// The states have moved on: what has not been frozen by now cannot be any more.
    pub(crate) fn saved(&mut self) {
        self.waiting.clear();
    }

    /// Freezes what a case was opened from: the states as saved at `from`, and the records behind
    /// it up to `to`. The case itself is none the worse when that fails.
    pub(crate) async fn freeze(&mut self, cases: Vec<(Case, Involved)>, from: Offset, to: Offset) {
        for (case, _) in &cases {
            self.waiting.remove(&case.id);
        }
        if let Err(error) = self.try_freeze(cases, from, to).await {
            let error = format!("{error:#}");
            tracing::warn!(error, "a case is kept without its capsule");
        }
    }

    async fn try_freeze(
        &self,
        cases: Vec<(Case, Involved)>,
        from: Offset,
        to: Offset,
    ) -> Result<()> {
        let mut makings: Vec<Making> = cases.into_iter().map(Making::new).collect();
        for making in &mut makings {
            let keys = making.involved.keys();
            making.states = self.journal.load_snapshots_of(READER, keys).await?;
        }
        let mut at = from;
        while at < to {
            let records = self.journal.read(at, READ_BYTES).await?;
            let Some((last, _)) = records.last() else {
                break;
            };
            at = *last;
            for (_, record) in records.iter().filter(|(offset, _)| *offset <= to) {
                for making in &mut makings {
                    making.take(record)?;
                }
            }
        }
        for making in makings {
            if let Some(capsule) = making.finish(&self.config) {
                let bytes = capsule.encode()?;
                self.cases.keep_capsule(&capsule.case, &bytes).await?;
            }
        }
        Ok(())
    }
}

/// A capsule that is being filled.
struct Making {
    case: Case,
    involved: Involved,
    states: Vec<Snapshot>,
    records: Vec<Bytes>,
    bytes: usize,
    rows: u64,
}

impl Making {
    fn new((case, involved): (Case, Involved)) -> Self {
        Self {
            case,
            involved,
            states: Vec::new(),
            records: Vec::new(),
            bytes: 0,
            rows: 0,
        }
    }

    fn take(&mut self, record: &JournalRecord) -> Result<()> {
        if self.bytes > MAX_INPUT_BYTES {
            return Ok(());
        }
        let watched = &self.involved.watched;
        let part = record.part_of(
            |device| watched.contains_key(device),
            |asset| watched.values().any(|of| of.asset == *asset),
        );
        if part.is_empty() {
            return Ok(());
        }
        self.rows += part.readings.row_count() as u64;
        let bytes = historian::journal::to_bytes(&part).context("a record cannot be encoded")?;
        self.bytes += bytes.len();
        self.records.push(Bytes(bytes));
        Ok(())
    }

    fn finish(self, config: &Config) -> Option<Capsule> {
        if self.bytes > MAX_INPUT_BYTES {
            let (case, bytes) = (&self.case.id, self.bytes);
            tracing::warn!(%case, bytes, limit = MAX_INPUT_BYTES, "too much came at once for a capsule");
            return None;
        }
        let states = self.states.into_iter();
        Some(Capsule {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            case: self.case.id,
            opened_at: self.case.opened_at,
            evidence: self.case.evidence,
            config: config.clone(),
            watched: self.involved.watched,
            models: self.involved.models,
            states: states
                .map(|state| (state.key, Bytes(state.bytes)))
                .collect(),
            records: self.records,
            rows: self.rows,
        })
    }
}

impl Capsule {
    /// How analytics and rules know a device.
    pub(super) fn assignment(
        &self,
        device: &DeviceId,
        models: &BTreeMap<AssetModelId, Arc<AssetModel>>,
    ) -> Option<Assignment> {
        let watched = self.watched.get(device)?;
        let model = watched
            .model
            .as_ref()
            .and_then(|id| models.get(id))
            .cloned();
        Some(Assignment {
            asset: watched.asset.clone(),
            model,
        })
    }
}

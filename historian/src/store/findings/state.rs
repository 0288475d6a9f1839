//! What is known in memory of findings: who says them, and those not packed yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rusqlite::Connection;
use rustc_hash::FxHashMap;
use telemetry::{AssetId, DeviceId, Finding};

use super::{FindingKind, chunk::Source, words::Words};

/// The findings of a store beside their file. The locks are taken in this order.
pub(crate) struct Findings {
    /// Whoever changes findings holds it from the first to the last step.
    pub(crate) packer: Mutex<Packer>,
    pub(crate) state: RwLock<State>,
    /// The words for queries. They are shown before a chunk that needs them can be seen.
    pub(crate) words: RwLock<Arc<Words>>,
}

/// What only the one who changes findings needs.
pub(crate) struct Packer {
    pub(crate) words: Arc<Words>,
    /// How many words and sources the file knows.
    pub(crate) words_on_disk: usize,
    pub(crate) sources_on_disk: usize,
    /// Reads the chunks that are packed anew; opened when it is first needed.
    pub(crate) reader: Option<Connection>,
}

/// Everybody who has said something. A source is known by its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) list: Vec<Source>,
    numbers: FxHashMap<AssetId, FxHashMap<DeviceId, u32>>,
}

impl Sources {
    pub(crate) fn find(&self, asset: &AssetId, device: &DeviceId) -> Option<u32> {
        self.numbers.get(asset)?.get(device).copied()
    }

    pub(crate) fn push(&mut self, source: Source) -> u32 {
        let number = self.list.len() as u32;
        let devices = self.numbers.entry(source.asset.clone()).or_default();
        devices.insert(source.device.clone(), number);
        self.list.push(source);
        number
    }

    /// The numbers of those a query asks for; none when it asks for all.
    pub(crate) fn matching(
        &self,
        asset: Option<&AssetId>,
        device: Option<&DeviceId>,
    ) -> Option<Vec<u32>> {
        match (asset, device) {
            (None, None) => None,
            (Some(asset), device) => {
                let devices = self.numbers.get(asset).into_iter().flatten();
                let devices = devices.filter(|(of, _)| device.is_none_or(|device| device == *of));
                Some(devices.map(|(_, number)| *number).collect())
            }
            (None, Some(device)) => {
                let sources = self.list.iter().enumerate();
                let of_device = sources.filter(|(_, source)| source.device == *device);
                Some(of_device.map(|(number, _)| number as u32).collect())
            }
        }
    }
}

/// The findings of one instant.
pub(crate) type Instant = [Option<Finding>; FindingKind::COUNT];

/// Sources, and what they have said since findings were packed last.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sources: Arc<Sources>,
    pub(crate) tail: FxHashMap<u32, BTreeMap<i64, Instant>>,
    /// The number of findings in the tail, those that were replaced counted as well.
    pub(crate) tail_findings: usize,
    /// The last batch of the log that is in the tail.
    pub(crate) logged: i64,
    /// Batches of the log that could not be read, and why, until their bytes are set aside.
    pub(crate) damaged: Vec<(i64, String)>,
}

impl State {
    /// Takes a finding in; it replaces the one with the same key.
    pub(crate) fn add(&mut self, finding: Finding) {
        let (asset, device) = (finding.asset(), finding.device());
        let number = self.sources.find(asset, device).unwrap_or_else(|| {
            let source = Source {
                asset: asset.clone(),
                device: device.clone(),
            };
            Arc::make_mut(&mut self.sources).push(source)
        });
        let at = finding.at().as_micros();
        let instant = self.tail.entry(number).or_default().entry(at).or_default();
        let kind = FindingKind::of(&finding).number();
        instant[kind] = Some(finding);
        self.tail_findings += 1;
    }
}

impl Findings {
    pub(crate) fn new(words: Words, sources: Sources) -> Self {
        let words = Arc::new(words);
        Self {
            packer: Mutex::new(Packer {
                words_on_disk: words.len(),
                sources_on_disk: sources.list.len(),
                words: Arc::clone(&words),
                reader: None,
            }),
            state: RwLock::new(State {
                sources: Arc::new(sources),
                ..State::default()
            }),
            words: RwLock::new(words),
        }
    }

    pub(crate) fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn words(&self) -> Arc<Words> {
        Arc::clone(&self.words.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn show_words(&self, words: &Arc<Words>) {
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(words);
    }
}

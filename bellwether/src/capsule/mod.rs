//! The evidence capsule: everything a case was opened from, frozen with it.
//!
//! A case is doubted months later, when the journal has been trimmed and the program has learned
//! on. So the pipeline freezes, when a case opens, what the verdict was computed from: the states
//! of the devices that took part as they were last saved, and every row they sent from there up to
//! the alarm. The same code over the same states and rows gives the same findings to the bit, so a
//! capsule can be replayed anywhere and must open the same case with the same evidence.
//!
//! ```text
//! saved states ──┐
//! rows since ────┼──▶ Fleet ─▶ rules ─▶ desk ──▶ the case again
//! model, rules ──┘
//! ```
//!
//! A state holds the baseline, the features and what is known of each sensor; the model of the
//! machine is frozen as it was, and the rules in force are a state too. A machine that is compared
//! with its peers takes along the devices of those peers, at most 64 machines.

mod freeze;
mod recompute;

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
};

use analytics::Config;
use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModel, AssetModelId, CaseId, DeviceId, Evidence, Timestamp};

pub(crate) use freeze::{Freezer, Involved};
pub(crate) use recompute::Replays;

/// The form of a capsule; rises with every change of it.
const FORMAT: u32 = 1;

/// No capsule unpacks to more: rows and the states of 64 machines, as text.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// What a case was opened from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Capsule {
    /// [`FORMAT`] of the program that made it.
    format: u32,
    /// The version of that program: another one may compute otherwise.
    program: String,
    /// The case.
    case: CaseId,
    /// When the alarm rose, in event time.
    opened_at: Timestamp,
    /// What the case rests on, as it was opened with.
    evidence: Evidence,
    /// How the analytics was configured.
    config: Config,
    /// Whose rows are here: the device of the case first, then those it was compared with.
    watched: BTreeMap<DeviceId, Watched>,
    /// The models of their machines, as they were.
    models: BTreeMap<AssetModelId, AssetModel>,
    /// The states they started from, by key.
    states: BTreeMap<String, Bytes>,
    /// What they sent since, record by record, in the journal's encoding.
    records: Vec<Bytes>,
    /// Rows among these.
    rows: u64,
}

/// What a device watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Watched {
    asset: AssetId,
    model: Option<AssetModelId>,
}

/// Bytes as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl Capsule {
    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// When it is no capsule, or one of a later program.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let text = GzDecoder::new(bytes).take(MAX_TEXT_BYTES);
        let capsule: Self =
            serde_json::from_reader(BufReader::new(text)).context("the capsule cannot be read")?;
        anyhow::ensure!(
            capsule.format == FORMAT,
            "the capsule has format {}, this program reads format {FORMAT}",
            capsule.format
        );
        Ok(capsule)
    }

    /// The capsule as JSON, compressed with gzip, so that people can look into it as well.
    ///
    /// # Errors
    /// Never in practice: its numbers are finite.
    fn encode(&self) -> Result<Vec<u8>> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut out, self).context("the capsule cannot be written")?;
        out.finish().context("the capsule cannot be compressed")
    }
}

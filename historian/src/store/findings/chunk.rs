//! A run of findings about one asset from one device as bytes, and back.
//!
//! A row is an instant; it holds at most one finding of each kind. The keys (times, and which kinds
//! there are at each) lie apart from the columns, so that a list over the whole fleet can choose
//! what it shows before it reads any of it. What every finding says of itself (kind, asset, device
//! and time) is part of the keys and not of the columns.
//!
//! Columns are read back and compared before they are trusted; where they differ, the findings are
//! kept as deflated JSON, which is ten times longer and never wrong.

use std::sync::Arc;

use serde_json::Value;
use telemetry::{AssetId, DeviceId, Finding, Timestamp};

use super::{
    FindingKind, column,
    shred::{bytes_of, deflate, inflate},
    tree::Tree,
    unshred::Shreds,
    words::Words,
};
use crate::store::columns;

/// The most instants in a chunk: its columns are decoded in some milliseconds.
pub(crate) const MAX_ROWS: usize = 4_096;

/// The most JSON values in a chunk, some 30 MB while it is made: devices with many signals have
/// fewer instants in one.
pub(crate) const MAX_LEAVES: usize = 300_000;

/// The most bytes of JSON a chunk of that codec unpacks to.
const MAX_JSON_BYTES: usize = 256 << 20;

const JSON: u8 = 0;
const COLUMNS: u8 = 1;

/// The fields that are part of the key.
pub(super) const KEY_FIELDS: [&str; 4] = ["kind", "asset", "device", "at"];

/// Who said it, about what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) asset: AssetId,
    pub(crate) device: DeviceId,
}

/// The findings of one instant: for each kind, by its number, the finding without its key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Row {
    pub(crate) at: i64,
    pub(crate) findings: [Option<Value>; FindingKind::COUNT],
}

impl Row {
    /// Which kinds there are, a bit each.
    pub(crate) fn kinds(&self) -> u8 {
        let kinds = self.findings.iter().enumerate();
        kinds.fold(0, |kinds, (kind, finding)| {
            kinds | u8::from(finding.is_some()) << kind
        })
    }

    /// About how many JSON values it holds.
    pub(crate) fn leaves(&self) -> usize {
        self.findings.iter().flatten().map(leaves).sum()
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(leaves).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(leaves).sum::<usize>(),
        _ => 1,
    }
}

/// A finding without its key.
pub(crate) fn stripped(finding: &Finding) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(finding)?;
    if let Some(fields) = value.as_object_mut() {
        for field in KEY_FIELDS {
            fields.remove(field);
        }
    }
    Ok(value)
}

/// The finding a value was made of.
pub(crate) fn restored(
    mut value: Value,
    kind: FindingKind,
    source: &Source,
    at: i64,
) -> Result<Finding, String> {
    let fields = value.as_object_mut().ok_or("a finding is no object")?;
    let key = [
        kind.as_str().to_owned(),
        source.asset.to_string(),
        source.device.to_string(),
        Timestamp::from_micros(at).to_string(),
    ];
    for (field, text) in KEY_FIELDS.into_iter().zip(key) {
        fields.insert(field.to_owned(), text.into());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A chunk as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packed {
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) rows: u32,
    /// Which kinds there are in it, a bit each.
    pub(crate) kinds: u8,
    pub(crate) codec: u8,
    pub(crate) keys: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// The instants of a chunk and the kinds at each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keys {
    pub(crate) times: Vec<i64>,
    pub(crate) kinds: Vec<u8>,
}

impl Packed {
    /// Packs between one and [`MAX_ROWS`] rows in order of time; none for no rows.
    pub(crate) fn of(rows: &[Row], words: &mut Arc<Words>) -> Option<Self> {
        let (first, last) = (rows.first()?, rows.last()?);
        let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
        let kinds: Vec<i64> = rows.iter().map(|row| i64::from(row.kinds())).collect();
        let mut packed = Self {
            t_min: first.at,
            t_max: last.at,
            rows: rows.len() as u32,
            kinds: rows.iter().fold(0, |kinds, row| kinds | row.kinds()),
            codec: COLUMNS,
            keys: keys_of(&times, &kinds),
            data: Vec::new(),
        };
        let values = rows.iter().enumerate().flat_map(|(number, row)| {
            let findings = row.findings.iter().zip(FindingKind::ALL);
            findings.filter_map(move |(finding, kind)| {
                Some((number as u32, kind.as_str(), finding.as_ref()?))
            })
        });
        let tree = Tree::of(values);
        packed.data = bytes_of(&tree, &times, words);
        let back = packed.rows(words);
        if back.is_ok_and(|back| back == rows) {
            return Some(packed);
        }
        let json = rows.iter().map(|row| &row.findings).collect::<Vec<_>>();
        packed.codec = JSON;
        packed.data = deflate(&serde_json::to_vec(&json).ok()?);
        Some(packed)
    }

    /// The instants, and the kinds at each.
    pub(crate) fn keys(&self) -> Result<Keys, String> {
        let rows = self.rows as usize;
        if rows == 0 || rows > MAX_ROWS {
            return Err(format!("it claims {rows} rows"));
        }
        let (&codecs, mut rest) = self.keys.split_first().ok_or("it has no keys")?;
        let length = columns::take_varint(&mut rest)? as usize;
        let (times, kinds) = rest
            .split_at_checked(length)
            .ok_or("its keys are cut short")?;
        let times = columns::expand_times(codecs & 15, times, rows)?;
        let kinds = column::expand(codecs >> 4, kinds, rows)?;
        let rising = times.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || times.first() != Some(&self.t_min) || times.last() != Some(&self.t_max) {
            return Err("its times are not those it was stored with".into());
        }
        let kinds = kinds.into_iter().map(|kinds| kinds as u8).collect();
        Ok(Keys { times, kinds })
    }

    /// The findings of one kind at some of the rows, in their order.
    pub(crate) fn findings(
        &self,
        keys: &Keys,
        wanted: &[(usize, FindingKind)],
        words: &Words,
    ) -> Result<Vec<Value>, String> {
        let missing = || "a finding of it is missing".to_owned();
        if self.codec == JSON {
            let mut rows = self.json_rows()?;
            let take = |(row, kind): &(usize, FindingKind)| {
                rows.get_mut(*row)
                    .and_then(|row| row[kind.number()].take())
                    .ok_or_else(missing)
            };
            return wanted.iter().map(take).collect();
        }
        if self.codec != COLUMNS {
            return Err(format!("codec {} is unknown", self.codec));
        }
        let shreds = Shreds::read(&self.data, &keys.times, words)?;
        let value = |(row, kind): &(usize, FindingKind)| {
            let value = shreds.value(kind.as_str(), *row)?;
            // A finding that says nothing but its key has left no columns.
            Ok(value.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
        };
        wanted.iter().map(value).collect()
    }

    /// Everything in it.
    pub(crate) fn rows(&self, words: &Words) -> Result<Vec<Row>, String> {
        let keys = self.keys()?;
        let mut wanted = Vec::new();
        for (row, kinds) in keys.kinds.iter().enumerate() {
            let of_row = FindingKind::ALL
                .into_iter()
                .filter(|kind| kinds >> kind.number() & 1 == 1);
            wanted.extend(of_row.map(|kind| (row, kind)));
        }
        let values = self.findings(&keys, &wanted, words)?;
        let mut rows: Vec<Row> = keys
            .times
            .iter()
            .map(|at| Row {
                at: *at,
                ..Row::default()
            })
            .collect();
        for ((row, kind), value) in wanted.into_iter().zip(values) {
            rows[row].findings[kind.number()] = Some(value);
        }
        Ok(rows)
    }

    fn json_rows(&self) -> Result<Vec<[Option<Value>; FindingKind::COUNT]>, String> {
        let json = inflate(&self.data, MAX_JSON_BYTES)?;
        let rows: Vec<Vec<Option<Value>>> =
            serde_json::from_slice(&json).map_err(|error| error.to_string())?;
        // What was written when there were fewer kinds has none of the later ones.
        let whole = |mut row: Vec<Option<Value>>| {
            row.resize(FindingKind::COUNT.max(row.len()), None);
            <[Option<Value>; FindingKind::COUNT]>::try_from(row)
                .map_err(|row| format!("a row of it holds {} kinds", row.len()))
        };
        rows.into_iter().map(whole).collect()
    }

    /// The checksum over everything.
    pub(crate) fn checksum(&self, source: u32) -> u32 {
        crc32c::crc32c_append(self.keys_checksum(source), &self.data)
    }

    /// The checksum over the keys and all that is known about them.
    pub(crate) fn keys_checksum(&self, source: u32) -> u32 {
        let mut crc = crc32c::crc32c(&source.to_le_bytes());
        for part in [
            &self.t_min.to_le_bytes()[..],
            &self.t_max.to_le_bytes(),
            &self.rows.to_le_bytes(),
            &[self.kinds, self.codec],
            &self.keys,
        ] {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc
    }
}

fn keys_of(times: &[i64], kinds: &[i64]) -> Vec<u8> {
    let (times_codec, times) = columns::compress_times(times);
    let (kinds_codec, kinds) = column::compress(kinds);
    let mut keys = vec![times_codec | kinds_codec << 4];
    columns::put_varint(&mut keys, times.len() as u64);
    keys.extend(times);
    keys.extend(kinds);
    keys
}

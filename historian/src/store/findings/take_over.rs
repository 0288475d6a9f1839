//! Findings of a file of version 2, where each was a row with its JSON.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;
use telemetry::{AssetId, DeviceId};

use super::{
    FindingKind,
    chunk::{KEY_FIELDS, MAX_ROWS, Row, Source},
    disk,
    pack::packed,
    state::{Findings, Sources},
    words::Words,
};
use crate::{
    error::{During, HistorianError},
    store::Inner,
};

const ACTION: &str = "take over findings of an earlier version";

/// Packs the findings of a file of version 2. What cannot be read is set aside with its bytes.
pub(crate) fn take_over(tx: &Transaction<'_>) -> Result<(), HistorianError> {
    let (mut words, mut sources) = (std::sync::Arc::new(Words::default()), Sources::default());
    for source in old_sources(tx)? {
        let number = sources.push(source.clone());
        take_over_source(tx, number, &source, &mut words)?;
    }
    disk::insert_words(tx, &words, 0)?;
    disk::insert_sources(tx, &sources, 0)?;
    tx.execute_batch("DROP TABLE findings").during(ACTION)
}

fn old_sources(tx: &Transaction<'_>) -> Result<Vec<Source>, HistorianError> {
    let mut select = tx
        .prepare("SELECT DISTINCT asset, device FROM findings")
        .during(ACTION)?;
    let mut rows = select.query([]).during(ACTION)?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        let (asset, device): (String, String) =
            (row.get(0).during(ACTION)?, row.get(1).during(ACTION)?);
        let corrupt = |reason: String| HistorianError::corrupt("source of findings", 0, reason);
        sources.push(Source {
            asset: AssetId::new(&asset).map_err(|error| corrupt(error.to_string()))?,
            device: DeviceId::new(&device).map_err(|error| corrupt(error.to_string()))?,
        });
    }
    Ok(sources)
}

fn take_over_source(
    tx: &Transaction<'_>,
    number: u32,
    source: &Source,
    words: &mut std::sync::Arc<Words>,
) -> Result<(), HistorianError> {
    // Only the index is read for this: what is sorted is two numbers a finding.
    let mut select = tx
        .prepare("SELECT rowid FROM findings WHERE asset = ?1 AND device = ?2 ORDER BY at")
        .during(ACTION)?;
    let ids = select.query_map([source.asset.as_str(), source.device.as_str()], |row| {
        row.get(0)
    });
    let (mut rows, mut newest) = (Vec::<Row>::new(), i64::MIN);
    for id in ids.during(ACTION)? {
        let id: i64 = id.during(ACTION)?;
        let Some((at, kind, stored_at, finding)) = old_finding(tx, id, number)? else {
            continue;
        };
        if rows.last().is_none_or(|row| row.at != at) {
            if rows.len() == MAX_ROWS {
                write(tx, number, newest, &rows, words)?;
                rows.clear();
            }
            rows.push(Row {
                at,
                ..Row::default()
            });
        }
        if let Some(row) = rows.last_mut() {
            row.findings[kind.number()] = Some(finding);
        }
        newest = newest.max(stored_at);
    }
    write(tx, number, newest, &rows, words)
}

fn write(
    tx: &Transaction<'_>,
    source: u32,
    stored_at: i64,
    rows: &[Row],
    words: &mut std::sync::Arc<Words>,
) -> Result<(), HistorianError> {
    for chunk in packed(rows, words) {
        disk::insert_chunk(tx, source, stored_at, &chunk)?;
    }
    Ok(())
}

/// Time, kind, when it was stored, and the finding without its key; none when it was set aside.
fn old_finding(
    tx: &Transaction<'_>,
    id: i64,
    source: u32,
) -> Result<Option<(i64, FindingKind, i64, Value)>, HistorianError> {
    let sql = "SELECT at, kind, stored_at, crc, body FROM findings WHERE rowid = ?1";
    let found = tx.prepare_cached(sql).and_then(|mut select| {
        let found = select.query_row([id], |row| {
            let (kind, body): (String, Vec<u8>) = (row.get(1)?, row.get(4)?);
            Ok((row.get(0)?, kind, row.get(2)?, row.get::<_, u32>(3)?, body))
        });
        found.optional()
    });
    let Some((at, kind, stored_at, crc, body)) = found.during(ACTION)? else {
        return Ok(None);
    };
    let kind = FindingKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind);
    let value = serde_json::from_slice::<Value>(&body).ok();
    let (Some(kind), Some(Value::Object(mut fields)), true) =
        (kind, value, crc32c::crc32c(&body) == crc)
    else {
        let sql = "INSERT INTO damaged_findings (source, t_min, t_max, rows, found_at, reason, keys, data)
                   VALUES (?1, ?2, ?2, 1, ?3, 'its checksum differs', x'', ?4)";
        tx.execute(sql, params![source, at, stored_at, body])
            .during(ACTION)?;
        return Ok(None);
    };
    for field in KEY_FIELDS {
        fields.remove(field);
    }
    Ok(Some((at, kind, stored_at, Value::Object(fields))))
}

impl Findings {
    /// What a file knows of findings, with its log in memory.
    pub(crate) fn load(connection: &Connection) -> Result<Self, HistorianError> {
        let findings = Self::new(
            disk::load_words(connection)?,
            disk::load_sources(connection)?,
        );
        {
            let mut state = findings.state_mut();
            disk::load_log(connection, |id, batch| {
                state.logged = id;
                match batch {
                    Ok(batch) => batch.into_iter().for_each(|finding| state.add(finding)),
                    Err(reason) => state.damaged.push((id, reason)),
                }
            })?;
        }
        Ok(findings)
    }
}

impl Inner {
    /// Keeps the bytes of batches of the log that could not be read.
    pub(crate) fn set_batches_aside(&self) -> Result<(), HistorianError> {
        let damaged = std::mem::take(&mut self.findings.state_mut().damaged);
        let mut connection = crate::journal::lock(&self.connection);
        for (id, reason) in damaged {
            disk::set_batch_aside(connection.get()?, id, self.now(), &reason)?;
            tracing::error!(id, %reason, "a damaged batch of findings was set aside");
        }
        Ok(())
    }
}

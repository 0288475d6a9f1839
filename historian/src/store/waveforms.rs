//! Waveforms: kept whole, once, with a retention of their own.
//!
//! The key is (device, signal, axis, measured at), and the first stays. They are written when
//! they are applied, in a transaction of their own: a crash before the store's position is saved
//! applies them again and changes nothing. Samples are compressed by `pco` and compared bit for
//! bit; noise that it cannot shorten is stored as it came.

use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};
use telemetry::{DeviceId, JournalRecord, Offset, SignalName, Timestamp, Unit, Waveform};

use super::{Store, columns, follow::Follower, late};
use crate::{
    error::{During, HistorianError},
    journal::{axis_of, lock},
    sqlite,
};

/// What is known of a stored waveform besides its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveformInfo {
    /// Its number; never reused.
    pub id: u64,
    /// Who measured.
    pub device: DeviceId,
    /// What was measured.
    pub signal: SignalName,
    /// The direction of the sensor, when it was told.
    pub axis: Option<Arc<str>>,
    /// When the first sample was taken.
    pub measured_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Samples a second.
    pub sample_rate_hz: f64,
    /// The unit of the samples.
    pub unit: Option<Unit>,
    /// The number of samples.
    pub samples: u32,
    /// The root mean square of the samples; 0 without samples.
    pub rms: f64,
    /// The greatest sample without its sign; 0 without samples.
    pub peak: f64,
    /// Bytes the samples take on disk.
    pub stored_bytes: u64,
}

/// Which waveforms to list. [`WaveformQuery::default`] lists nothing: its limit is 0.
#[derive(Debug, Clone, Default)]
pub struct WaveformQuery {
    /// Only from this device.
    pub device: Option<DeviceId>,
    /// Only of this signal.
    pub signal: Option<SignalName>,
    /// Only in this direction.
    pub axis: Option<String>,
    /// Only measured then or later.
    pub from: Option<Timestamp>,
    /// Only measured before then.
    pub to: Option<Timestamp>,
    /// Only those that come after this one in the list: time and number of the last of the
    /// page before.
    pub before: Option<(Timestamp, u64)>,
    /// At most this many.
    pub limit: usize,
}

impl Store {
    /// Lists waveforms, the latest measured first.
    pub async fn waveforms(
        &self,
        query: WaveformQuery,
    ) -> Result<Vec<WaveformInfo>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select(connection, &query))
            .await
    }

    /// What is known of one waveform; none when there is no such waveform, or no longer.
    pub async fn waveform_info(&self, id: u64) -> Result<Option<WaveformInfo>, HistorianError> {
        let found = self
            .0
            .pool
            .run(move |connection| select_one(connection, id));
        Ok(found.await?.map(|(info, _)| info))
    }

    /// One waveform with its samples, bit for bit as they came.
    pub async fn waveform(&self, id: u64) -> Result<Option<Waveform>, HistorianError> {
        let found = self
            .0
            .pool
            .run(move |connection| select_one(connection, id));
        Ok(found.await?.map(|(info, samples)| Waveform {
            device: info.device,
            signal: info.signal,
            axis: info.axis,
            measured_at: info.measured_at,
            received_at: info.received_at,
            sample_rate_hz: info.sample_rate_hz,
            unit: info.unit,
            samples: samples.into(),
        }))
    }
}

impl Follower {
    /// Stores the waveforms and late marks of records, each once.
    pub(crate) fn keep_waveforms_and_marks(
        &self,
        entries: &[(Offset, Arc<JournalRecord>)],
    ) -> Result<(), HistorianError> {
        let holds = |record: &JournalRecord| !record.waveforms.is_empty() || has_marks(record);
        if !entries.iter().any(|(_, record)| holds(record)) {
            return Ok(());
        }
        let encoded: Vec<(&Waveform, u8, Vec<u8>)> = entries
            .iter()
            .flat_map(|(_, record)| &record.waveforms)
            .map(|waveform| {
                let (codec, bytes) = columns::compress_samples(&waveform.samples);
                (waveform, codec, bytes)
            })
            .collect();
        let stored_at = self.inner.now();
        let mut connection = lock(&self.inner.connection);
        let tx = sqlite::begin(connection.get()?)?;
        for (waveform, codec, bytes) in &encoded {
            insert(&tx, waveform, *codec, bytes, stored_at)?;
        }
        for (offset, record) in entries {
            for (place, event) in record.events.iter().enumerate() {
                late::insert(&tx, self.inner.journal_id, offset.0, place, event)?;
            }
        }
        tx.commit().during("store waveforms")
    }
}

fn has_marks(record: &JournalRecord) -> bool {
    let late = |event: &telemetry::Event| matches!(event, telemetry::Event::LateReadings { .. });
    record.events.iter().any(late)
}

fn insert(
    tx: &Transaction<'_>,
    waveform: &Waveform,
    codec: u8,
    bytes: &[u8],
    stored_at: Timestamp,
) -> Result<(), HistorianError> {
    let squares: f64 = waveform.samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let rms = (squares / waveform.samples.len().max(1) as f64).sqrt();
    let peak = waveform
        .samples
        .iter()
        .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    tx.prepare_cached(
        "INSERT OR IGNORE INTO waveforms
             (device, signal, axis, measured_at, received_at, stored_at, rate_bits, unit, samples,
              rms, peak, crc, codec, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            waveform.device.as_str(),
            waveform.signal.as_str(),
            axis_of(waveform),
            waveform.measured_at.as_micros(),
            waveform.received_at.as_micros(),
            stored_at.as_micros(),
            waveform.sample_rate_hz.to_bits() as i64,
            waveform.unit.map_or("", Unit::symbol),
            waveform.samples.len() as i64,
            rms,
            f64::from(peak),
            crc32c::crc32c(bytes),
            codec,
            bytes,
        ])
    })
    .during("store a waveform")?;
    Ok(())
}

const COLUMNS: &str = "id, device, signal, axis, measured_at, received_at, rate_bits, unit, \
     samples, rms, peak, octet_length(data)";

fn select(
    connection: &Connection,
    query: &WaveformQuery,
) -> Result<Vec<WaveformInfo>, HistorianError> {
    const ACTION: &str = "list waveforms";
    // With a device the unique index narrows the search, without one the index by time.
    let sql = format!(
        "SELECT {COLUMNS} FROM waveforms
         WHERE {} AND (?2 IS NULL OR signal = ?2) AND (?3 IS NULL OR axis = ?3)
           AND measured_at >= ?4 AND measured_at < ?5 AND (measured_at, id) < (?6, ?7)
         ORDER BY measured_at DESC, id DESC LIMIT ?8",
        if query.device.is_some() {
            "device = ?1"
        } else {
            "?1 IS NULL"
        },
    );
    let mut select = connection.prepare(&sql).during(ACTION)?;
    let before = query.before.unwrap_or((Timestamp::MAX, u64::MAX));
    let mut rows = select
        .query(params![
            query.device.as_ref().map(DeviceId::as_str),
            query.signal.as_ref().map(SignalName::as_str),
            query.axis,
            query.from.unwrap_or(Timestamp::MIN).as_micros(),
            query.to.unwrap_or(Timestamp::MAX).as_micros(),
            before.0.as_micros(),
            i64::try_from(before.1).unwrap_or(i64::MAX),
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ])
        .during(ACTION)?;
    let mut infos = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        infos.push(info(row)?);
    }
    Ok(infos)
}

fn select_one(
    connection: &Connection,
    id: u64,
) -> Result<Option<(WaveformInfo, Vec<f32>)>, HistorianError> {
    const ACTION: &str = "read a waveform";
    let Ok(number) = i64::try_from(id) else {
        return Ok(None);
    };
    let sql = format!("SELECT {COLUMNS}, crc, codec, data FROM waveforms WHERE id = ?1");
    let mut select = connection.prepare(&sql).during(ACTION)?;
    let mut rows = select.query([number]).during(ACTION)?;
    let Some(row) = rows.next().during(ACTION)? else {
        return Ok(None);
    };
    let info = info(row)?;
    let corrupt = |reason: String| HistorianError::corrupt("waveform", id, reason);
    let crc: u32 = row.get(12).during(ACTION)?;
    let codec: u8 = row.get(13).during(ACTION)?;
    let bytes: Vec<u8> = row.get(14).during(ACTION)?;
    if crc32c::crc32c(&bytes) != crc || info.samples as usize > Waveform::MAX_SAMPLES {
        return Err(corrupt("its checksum differs".into()));
    }
    let samples = columns::expand_samples(codec, &bytes, info.samples as usize).map_err(corrupt)?;
    Ok(Some((info, samples)))
}

fn info(row: &Row<'_>) -> Result<WaveformInfo, HistorianError> {
    const ACTION: &str = "read a waveform";
    let id = row.get::<_, i64>(0).during(ACTION)? as u64;
    let corrupt = |reason: String| HistorianError::corrupt("waveform", id, reason);
    let text = |column| row.get::<_, String>(column).during(ACTION);
    let time = |column| Ok(Timestamp::from_micros(row.get(column).during(ACTION)?));
    let axis = Some(text(3)?).filter(|axis| !axis.is_empty());
    let unit = Some(text(7)?).filter(|unit| !unit.is_empty());
    let unit = unit.map(|unit| Unit::parse(&unit)).transpose();
    Ok(WaveformInfo {
        id,
        device: DeviceId::new(&text(1)?).map_err(|error| corrupt(error.to_string()))?,
        signal: SignalName::new(&text(2)?).map_err(|error| corrupt(error.to_string()))?,
        axis: axis.map(Into::into),
        measured_at: time(4)?,
        received_at: time(5)?,
        sample_rate_hz: f64::from_bits(row.get::<_, i64>(6).during(ACTION)? as u64),
        unit: unit.map_err(|error| corrupt(error.to_string()))?,
        samples: row.get(8).during(ACTION)?,
        rms: row.get(9).during(ACTION)?,
        peak: row.get(10).during(ACTION)?,
        stored_bytes: row.get::<_, i64>(11).during(ACTION)? as u64,
    })
}

/// Deletes waveforms by the rule of retention: both when they were measured and when they were
/// stored lie before `cutoff`, and times in the future count for nothing.
pub(crate) fn delete_old(
    connection: &Connection,
    now: i64,
    cutoff: i64,
) -> Result<(), HistorianError> {
    connection
        .execute(
            "DELETE FROM waveforms
             WHERE stored_at < ?2 AND (measured_at < ?2 OR measured_at > ?1)",
            params![now, cutoff],
        )
        .during("delete old waveforms")?;
    Ok(())
}

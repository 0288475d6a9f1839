//! The tables of the store and the statements on them.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rustc_hash::FxHashMap;
use telemetry::{DeviceId, Offset, SignalName};

use super::{
    SeriesKey,
    chunk::{Encoded, GONE, Points},
    findings::{self, added_in_version_3},
    rollup::{self, Row},
    shared_times,
    state::{Chunk, State},
    tier::{Tier, Tiers},
};
use crate::{
    error::{During, HistorianError},
    sqlite::Layout,
};

/// What version 2 added, for new files and old ones alike: version 1 kept readings only.
///
/// `rollups.id` is four times the number of the chunk plus the number of the tier. `damaged`
/// keeps the bytes of what could not be read, in case somebody can.
macro_rules! added_in_version_2 {
    () => {
        "
        CREATE TABLE rollups (
            id INTEGER PRIMARY KEY,
            crc INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE damaged (
            chunk INTEGER NOT NULL,
            tier INTEGER NOT NULL,
            series INTEGER NOT NULL,
            t_min INTEGER NOT NULL,
            t_max INTEGER NOT NULL,
            count INTEGER NOT NULL,
            found_at INTEGER NOT NULL,
            reason TEXT NOT NULL,
            crc INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            times BLOB NOT NULL,
            data BLOB NOT NULL,
            UNIQUE (chunk, tier)
        ) STRICT;
        CREATE TABLE waveforms (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            device TEXT NOT NULL,
            signal TEXT NOT NULL,
            axis TEXT NOT NULL,
            measured_at INTEGER NOT NULL,
            received_at INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            rate_bits INTEGER NOT NULL,
            unit TEXT NOT NULL,
            samples INTEGER NOT NULL,
            rms REAL NOT NULL,
            peak REAL NOT NULL,
            crc INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            data BLOB NOT NULL,
            UNIQUE (device, signal, axis, measured_at)
        ) STRICT;
        CREATE INDEX waveforms_by_time ON waveforms (measured_at, id);
        CREATE TABLE late_readings (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            journal INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            place INTEGER NOT NULL,
            device TEXT NOT NULL,
            readings INTEGER NOT NULL,
            t_min INTEGER NOT NULL,
            t_max INTEGER NOT NULL,
            newest INTEGER NOT NULL,
            at INTEGER NOT NULL,
            UNIQUE (journal, offset, place)
        ) STRICT;
        "
    };
}

/// What version 5 added: see [`shared_times`].
macro_rules! added_in_version_5 {
    () => {
        "
        CREATE TABLE shared_times (
            id INTEGER PRIMARY KEY,
            users INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        ALTER TABLE chunks ADD COLUMN shared INTEGER;
        "
    };
}

/// What version 4 dropped: an index over the names of series, which nothing ever asked. All of them are
/// in memory, where each is looked up before it is added.
const WITHOUT_INDEX_OF_NAMES: &str = "
    CREATE TABLE names (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        signal TEXT NOT NULL
    ) STRICT;
    INSERT INTO names SELECT id, device, signal FROM series ORDER BY id;
    DROP TABLE series;
    ALTER TABLE names RENAME TO series;
";

/// Numbers of series are places in a list, so `series.id` counts from 0 without gaps.
/// `last_bits` are the bits of a float: SQLite would not keep the sign of zero.
pub(crate) const LAYOUT: Layout = Layout {
    what: "store",
    application_id: 0x4257_5354,
    version: 5,
    migrations: &[
        (added_in_version_2!(), None),
        (added_in_version_3!(), Some(findings::take_over)),
        (WITHOUT_INDEX_OF_NAMES, None),
        (added_in_version_5!(), None),
    ],
    shrinks: true,
    page_bytes: 1 << 10,
    checkpoint_bytes: 32 << 20,
    schema: concat!(
        "
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            device TEXT NOT NULL,
            signal TEXT NOT NULL
        ) STRICT;
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            series INTEGER NOT NULL,
            t_min INTEGER NOT NULL,
            t_max INTEGER NOT NULL,
            count INTEGER NOT NULL,
            last_bits INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            times BLOB NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE applied (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            journal INTEGER NOT NULL,
            offset INTEGER NOT NULL
        ) STRICT;
        ",
        added_in_version_2!(),
        added_in_version_3!(),
        added_in_version_5!()
    ),
};

/// Reads the catalogue of series and chunks.
pub(crate) fn load(connection: &Connection) -> Result<State, HistorianError> {
    let mut state = State::default();
    load_series(connection, &mut state)?;
    load_chunks(connection, &mut state)?;
    for series in &mut state.series {
        series.replace(&[], &[]);
    }
    Ok(state)
}

const LOAD: &str = "load the catalogue of series";

fn load_series(connection: &Connection, state: &mut State) -> Result<(), HistorianError> {
    let mut select = connection
        .prepare("SELECT id, device, signal FROM series ORDER BY id")
        .during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    while let Some(row) = rows.next().during(LOAD)? {
        let id = row.get::<_, i64>(0).during(LOAD)? as u64;
        let corrupt = |reason: String| HistorianError::corrupt("series", id, reason);
        let device: String = row.get(1).during(LOAD)?;
        let signal: String = row.get(2).during(LOAD)?;
        let key = SeriesKey {
            device: DeviceId::new(&device).map_err(|error| corrupt(error.to_string()))?,
            signal: SignalName::new(&signal).map_err(|error| corrupt(error.to_string()))?,
        };
        if state.find(&key.device, &key.signal).is_some() {
            return Err(corrupt("another one has its name".into()));
        }
        if u64::from(state.add(key, true)) != id {
            return Err(corrupt("a series before it is missing".into()));
        }
    }
    Ok(())
}

/// The roll-ups there are, by chunk.
fn load_tiers(connection: &Connection) -> Result<FxHashMap<i64, Tiers>, HistorianError> {
    let mut select = connection.prepare("SELECT id FROM rollups").during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    let mut tiers: FxHashMap<i64, Tiers> = FxHashMap::default();
    while let Some(row) = rows.next().during(LOAD)? {
        let id: i64 = row.get(0).during(LOAD)?;
        if let Some(tier) = Tier::ALL.get((id & 3) as usize) {
            let of_chunk = tiers.entry(id >> 2).or_default();
            *of_chunk = of_chunk.with(*tier);
        }
    }
    Ok(tiers)
}

fn load_chunks(connection: &Connection, state: &mut State) -> Result<(), HistorianError> {
    let roll_ups = load_tiers(connection)?;
    let mut select = connection
        .prepare(
            "SELECT id, series, t_min, t_max, count, stored_at, last_bits, codec FROM chunks
             ORDER BY series, t_min",
        )
        .during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    while let Some(row) = rows.next().during(LOAD)? {
        let id = row.get(0).during(LOAD)?;
        let mut tiers = roll_ups.get(&id).copied().unwrap_or_default();
        if row.get::<_, u8>(7).during(LOAD)? != GONE {
            tiers = tiers.with(Tier::Raw);
        }
        let chunk = Chunk {
            id,
            t_min: row.get(2).during(LOAD)?,
            t_max: row.get(3).during(LOAD)?,
            count: row.get(4).during(LOAD)?,
            stored_at: row.get(5).during(LOAD)?,
            last_value: f64::from_bits(row.get::<_, i64>(6).during(LOAD)? as u64),
            tiers,
        };
        let corrupt = |reason| HistorianError::corrupt("chunk", chunk.id as u64, reason);
        let number: u32 = row.get(1).during(LOAD)?;
        let series = state.series.get_mut(number as usize);
        let series = series.ok_or_else(|| corrupt("its series is missing"))?;
        if series
            .chunks
            .last()
            .is_some_and(|last| last.t_max >= chunk.t_min)
        {
            return Err(corrupt("it overlaps the chunk before it"));
        }
        series.chunks.push(chunk);
    }
    Ok(())
}

/// The journal that was followed last, and the offset up to which it is in chunks.
pub(crate) fn journal_link(
    connection: &Connection,
) -> Result<Option<(u64, Offset)>, HistorianError> {
    connection
        .query_row("SELECT journal, offset FROM applied", [], |row| {
            let (journal, offset): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((journal as u64, Offset(offset as u64)))
        })
        .optional()
        .during("read the applied offset")
}

pub(crate) fn set_journal_link(
    tx: &Transaction<'_>,
    journal: u64,
    applied: Offset,
) -> Result<(), HistorianError> {
    tx.execute(
        "INSERT INTO applied (only, journal, offset) VALUES (1, ?1, ?2)
         ON CONFLICT (only) DO UPDATE SET journal = excluded.journal, offset = excluded.offset",
        params![journal as i64, applied.0 as i64],
    )
    .during("save the applied offset")?;
    Ok(())
}

pub(crate) fn insert_series(
    tx: &Transaction<'_>,
    number: u32,
    key: &SeriesKey,
) -> Result<(), HistorianError> {
    tx.prepare("INSERT INTO series (id, device, signal) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| {
            insert.execute(params![number, key.device.as_str(), key.signal.as_str()])
        })
        .during("add a series")?;
    Ok(())
}

pub(crate) fn delete_chunks(
    tx: &Transaction<'_>,
    ids: impl Iterator<Item = i64>,
) -> Result<(), HistorianError> {
    const ACTION: &str = "delete chunks";
    let mut delete = tx
        .prepare_cached("DELETE FROM chunks WHERE id = ?1")
        .during(ACTION)?;
    let mut delete_roll_ups = tx
        .prepare_cached("DELETE FROM rollups WHERE id BETWEEN ?1 * 4 AND ?1 * 4 + 3")
        .during(ACTION)?;
    for id in ids {
        shared_times::release(tx, id)?;
        delete.execute([id]).during(ACTION)?;
        delete_roll_ups.execute([id]).during(ACTION)?;
    }
    Ok(())
}

/// Lets the readings of a chunk go; its roll-ups stay.
pub(crate) fn delete_readings(tx: &Transaction<'_>, id: i64) -> Result<(), HistorianError> {
    shared_times::release(tx, id)?;
    let sql = "UPDATE chunks SET codec = ?2, times = x'', data = x'', shared = NULL WHERE id = ?1";
    tx.prepare_cached(sql)
        .and_then(|mut update| update.execute(params![id, GONE]))
        .during("delete readings")?;
    Ok(())
}

fn roll_up_id(chunk: i64, tier: Tier) -> i64 {
    chunk * 4 + tier.number() as i64
}

fn roll_up_checksum(id: i64, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), data)
}

pub(crate) fn insert_roll_up(
    tx: &Transaction<'_>,
    chunk: i64,
    tier: Tier,
    data: &[u8],
) -> Result<(), HistorianError> {
    let id = roll_up_id(chunk, tier);
    tx.prepare_cached("INSERT INTO rollups (id, crc, data) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![id, roll_up_checksum(id, data), data]))
        .during("write a roll-up")?;
    Ok(())
}

pub(crate) fn delete_roll_up(
    tx: &Transaction<'_>,
    chunk: i64,
    tier: Tier,
) -> Result<(), HistorianError> {
    tx.prepare_cached("DELETE FROM rollups WHERE id = ?1")
        .and_then(|mut delete| delete.execute([roll_up_id(chunk, tier)]))
        .during("delete a roll-up")?;
    Ok(())
}

/// Reads and checks a roll-up of a chunk; none when it is no longer there.
pub(crate) fn roll_up(
    connection: &Connection,
    chunk: i64,
    tier: Tier,
) -> Result<Option<Vec<Row>>, HistorianError> {
    const ACTION: &str = "read a roll-up";
    let id = roll_up_id(chunk, tier);
    let mut select = connection
        .prepare_cached("SELECT crc, data FROM rollups WHERE id = ?1")
        .during(ACTION)?;
    let mut found = select.query([id]).during(ACTION)?;
    let Some(row) = found.next().during(ACTION)? else {
        return Ok(None);
    };
    let corrupt = |reason: String| HistorianError::corrupt("roll-up", id as u64, reason);
    let crc: u32 = row.get(0).during(ACTION)?;
    let data = row.get_ref(1).during(ACTION)?;
    let data = data.as_blob().map_err(|error| corrupt(error.to_string()))?;
    if roll_up_checksum(id, data) != crc {
        return Err(corrupt("its checksum differs".into()));
    }
    rollup::decode(data, tier).map(Some).map_err(corrupt)
}

/// Writes chunks and gives what to remember of each, in the same order.
pub(crate) fn insert_chunks(
    tx: &Transaction<'_>,
    chunks: &[Encoded],
    stored_at: i64,
) -> Result<Vec<Chunk>, HistorianError> {
    const ACTION: &str = "write chunks";
    let mut insert = tx
        .prepare_cached(
            "INSERT INTO chunks
                 (series, t_min, t_max, count, last_bits, stored_at, crc, codec, times, data, shared)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .during(ACTION)?;
    let mut written = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let shared = shared_times::share(tx, chunk)?;
        insert
            .execute(params![
                chunk.series,
                chunk.t_min,
                chunk.t_max,
                chunk.count,
                chunk.last_value.to_bits() as i64,
                stored_at,
                chunk.checksum(),
                chunk.codec,
                if shared.is_some() {
                    &[]
                } else {
                    &chunk.times[..]
                },
                chunk.values,
                shared,
            ])
            .during(ACTION)?;
        let id = tx.last_insert_rowid();
        for (tier, data) in &chunk.roll_ups {
            insert_roll_up(tx, id, *tier, data)?;
        }
        written.push(Chunk::of(chunk, id, stored_at));
    }
    Ok(written)
}

/// Reads and checks the points of a chunk; none when they are no longer there.
pub(crate) fn points(connection: &Connection, id: i64) -> Result<Option<Points>, HistorianError> {
    const ACTION: &str = "read a chunk";
    let mut select = connection
        .prepare_cached(
            "SELECT series, t_min, t_max, count, last_bits, crc, codec,
                    coalesce(shared_times.data, times), chunks.data
             FROM chunks LEFT JOIN shared_times ON shared_times.id = chunks.shared
             WHERE chunks.id = ?1",
        )
        .during(ACTION)?;
    let found = select
        .query_row([id], |row| {
            let chunk = Encoded {
                series: row.get(0)?,
                t_min: row.get(1)?,
                t_max: row.get(2)?,
                count: row.get(3)?,
                last_value: f64::from_bits(row.get::<_, i64>(4)? as u64),
                codec: row.get(6)?,
                times: row.get(7)?,
                values: row.get(8)?,
                roll_ups: Vec::new(),
            };
            Ok((chunk, row.get::<_, u32>(5)?))
        })
        .optional()
        .during(ACTION)?;
    let Some((chunk, crc)) = found.filter(|(chunk, _)| chunk.codec != GONE) else {
        return Ok(None);
    };
    let points = chunk.decode(crc);
    let corrupt = |reason| HistorianError::corrupt("chunk", id as u64, reason);
    points.map(Some).map_err(corrupt)
}

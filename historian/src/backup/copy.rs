//! Copying one file of a backup, and saying what is in it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::{Counts, ManifestFile};
use crate::{
    error::{During, HistorianError},
    sqlite,
};

/// Bytes read at once while a file is hashed.
const PIECE: usize = 1 << 20;

pub(super) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(std::io::Error) -> HistorianError + 'a {
    move |source| HistorianError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Copies a database as one transaction sees it; its writers go on meanwhile.
pub(super) fn database(from: &Path, to: &Path) -> Result<(), HistorianError> {
    let connection = sqlite::open_reader(from)?;
    connection
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .during("copy a database")?;
    Ok(())
}

fn open(path: &Path) -> Result<Connection, HistorianError> {
    Connection::open(path).during("open a copy")
}

fn number(connection: &Connection, sql: &str) -> Result<u64, HistorianError> {
    let found: Option<Option<i64>> = connection
        .query_row(sql, [], |row| row.get(0))
        .optional()
        .during("count what is in a copy")?;
    Ok(found.flatten().unwrap_or(0) as u64)
}

/// Counts what is in the copy of a journal.
pub(super) fn count_journal(path: &Path, counts: &mut Counts) -> Result<(), HistorianError> {
    let copy = open(path)?;
    counts.journal_committed = number(&copy, "SELECT max(offset) FROM journal")?;
    counts.readings_acknowledged = number(&copy, "SELECT max(total_readings) FROM journal")?;
    counts.dead_letters = number(&copy, "SELECT count(*) FROM dead_letters")?;
    Ok(())
}

/// Sets the copy of a store back to where the copied journal ends, and counts what is in it.
/// Offsets beyond that end will be given to other records, so nothing may be filed under them.
pub(super) fn fit_store(path: &Path, counts: &mut Counts) -> Result<(), HistorianError> {
    let mut copy = open(path)?;
    let end = counts.journal_committed as i64;
    let tx = sqlite::begin(&mut copy)?;
    tx.execute("UPDATE applied SET offset = min(offset, ?1)", [end])
        .during("set the copy of the store back")?;
    let has = |table: &str| {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        tx.query_row(sql, [table], |row| row.get::<_, i64>(0))
            .during("look into the copy of the store")
    };
    let (late, waveforms) = (has("late_readings")?, has("waveforms")?);
    if late > 0 {
        tx.execute("DELETE FROM late_readings WHERE offset > ?1", [end])
            .during("set the copy of the store back")?;
    }
    tx.commit().during("set the copy of the store back")?;
    let gone = i64::from(crate::store::GONE);
    let sql = format!("SELECT sum(count) FROM chunks WHERE codec <> {gone}");
    counts.readings_stored = number(&copy, &sql)?;
    if waveforms > 0 {
        counts.waveforms = number(&copy, "SELECT count(*) FROM waveforms")?;
    }
    Ok(())
}

/// Size and checksum of a file, which is on disk afterwards.
pub(super) fn described(path: &Path, name: &str) -> Result<ManifestFile, HistorianError> {
    let mut file = File::open(path).map_err(io("open", path))?;
    file.sync_all().map_err(io("sync", path))?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut piece).map_err(io("read", path))?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        bytes += read as u64;
    }
    let mut sha256 = String::new();
    for byte in hash.finalize() {
        // Writing to a text cannot fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(ManifestFile {
        name: name.to_owned(),
        bytes,
        sha256,
    })
}

/// Writes a small file to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), HistorianError> {
    let mut file = File::create_new(path).map_err(io("make", path))?;
    file.write_all(bytes).map_err(io("write", path))?;
    file.sync_all().map_err(io("sync", path))
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), HistorianError> {
    let open = File::open(folder).map_err(io("open", folder))?;
    open.sync_all().map_err(io("sync", folder))
}

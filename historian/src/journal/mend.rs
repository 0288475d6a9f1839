//! After a failed write: a new descriptor, never the old one again.
//!
//! When a sync fails, the kernel may take the unwritten pages for clean, and the next sync on the
//! same descriptor then reports success for bytes that never reached the disk. So after an I/O
//! error the writer lets go of its connection, without the checkpoint that closing would bring,
//! and opens the file anew before the next write.
//!
//! What must not happen meanwhile is that the log is recovered from what the kernel still holds
//! in memory: it could show the failed commit as whole, and later commits would be appended
//! behind frames that are not on the disk. A second connection, which only reads, therefore
//! stays open and keeps the index of the log alive. It ends before the failed frames, and the
//! next commit writes over them.

use std::{mem, path::Path};

use rusqlite::{Connection, ErrorCode, config::DbConfig};
use telemetry::Offset;

use super::{dead_letters, disk, writer::Writer};
use crate::{
    error::{During, HistorianError},
    sqlite,
};

/// A connection that reads, and holds the index of the log for as long as it lives.
pub(super) fn guard(path: &Path) -> Result<Connection, HistorianError> {
    let guard = sqlite::open_reader(path)?;
    guard
        .query_row("SELECT id FROM identity", [], |row| row.get::<_, i64>(0))
        .during("hold the log of the journal")?;
    Ok(guard)
}

impl Writer {
    /// Notes whether what was done ended in an error of the disk.
    pub(super) fn noting<T>(
        &mut self,
        done: Result<T, HistorianError>,
    ) -> Result<T, HistorianError> {
        if let Err(HistorianError::Sqlite { source, .. }) = &done
            && source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
        {
            self.tainted = true;
        }
        done
    }

    /// Opens the file anew when the last write ended in an error of the disk.
    pub(super) fn mend(&mut self) -> Result<(), HistorianError> {
        if !self.tainted {
            return Ok(());
        }
        let stand_in = Connection::open_in_memory().during("let go of the journal")?;
        let mut old = mem::replace(&mut self.connection, stand_in);
        let_go(&mut old);
        drop(old);
        let connection = sqlite::open_writer(&self.path, &disk::LAYOUT)?;
        let standing = disk::standing(&connection)?;
        let room = dead_letters::room(&connection)?;
        self.connection = connection;
        self.tainted = false;
        self.applied_max_file_bytes = 0;
        if standing.committed != self.committed {
            // The failed commit is there after all. Its sender sends it again.
            self.committed = standing.committed;
            self.oldest = standing.oldest;
            self.total_readings = standing.total_readings;
            self.readers = standing.readers;
            self.dead_letter_room = room;
            self.shared
                .committed
                .send_replace(Offset(standing.committed));
        }
        tracing::info!("the journal was opened anew after an error of the disk");
        Ok(())
    }
}

/// Keeps the close of a connection from writing or syncing anything.
pub(super) fn let_go(connection: &mut Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

//! What can go wrong between a reading and the disk.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use telemetry::Offset;

/// Why the journal or the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HistorianError {
    /// SQLite refused or failed.
    #[error("sqlite failed to {action}")]
    Sqlite {
        /// What was attempted.
        action: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The SQLite linked into this program has a known way to lose data.
    #[error(
        "sqlite {found} is linked in, but only 3.51.3 and later keep a write-ahead log safe when it is reset"
    )]
    SqliteTooOld {
        /// The version found.
        found: &'static str,
    },
    /// The file belongs to another program or a later version of this one.
    #[error("{path} is no {what} of this version (found {found})")]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// Which markers were found.
        found: String,
    },
    /// A later version of this program has written the file.
    #[error(
        "{path} was written by a later version of this program (layout {found} of the {what}; this one knows up to {known})"
    )]
    LaterFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// Its layout.
        found: i32,
        /// The latest layout known here.
        known: i32,
    },
    /// Another process has the file open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be reached.
    #[error("failed to {action} {path}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{what} {id} is damaged: {reason}")]
    Corrupt {
        /// What kind of thing: `journal record`, `chunk`, ….
        what: &'static str,
        /// Its offset or number.
        id: u64,
        /// What does not fit.
        reason: String,
    },
    /// What was asked for has been trimmed away.
    #[error("the journal starts at offset {oldest}, so what follows offset {after} is incomplete")]
    Trimmed {
        /// The offset a reader wanted to continue after.
        after: Offset,
        /// The oldest offset still there.
        oldest: Offset,
    },
    /// A position that the journal has not reached; taking it would skip what comes next.
    #[error(
        "position {position} of reader {reader} lies beyond the end of the journal {committed}"
    )]
    BeyondEnd {
        /// Who reads.
        reader: String,
        /// The position given.
        position: Offset,
        /// The last committed offset.
        committed: Offset,
    },
    /// Too much was asked for in one piece.
    #[error("{what} of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A value could not be turned into bytes.
    #[error("{what} cannot be encoded")]
    Encode {
        /// What was to be written.
        what: &'static str,
        /// What the encoder said.
        #[source]
        source: serde_json::Error,
    },
    /// Chunks kept changing under a query.
    #[error("the chunks of a series kept changing while they were read")]
    Busy,
    /// `InfluxDB` refused or failed.
    #[error("InfluxDB failed to {action}: {problem}")]
    Influx {
        /// What was attempted.
        action: &'static str,
        /// What it said.
        problem: String,
        /// Whether the same call may succeed later.
        transient: bool,
    },
    /// A backup cannot be made or restored this way.
    #[error("{path}: {problem}")]
    Backup {
        /// The folder or file it is about.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The journal has been closed.
    #[error("the {what} has been shut down")]
    Closed {
        /// Which part.
        what: &'static str,
    },
    /// A worker ended without an answer: the program is shutting down or has a defect.
    #[error("a storage worker ended without an answer")]
    Worker(#[source] Option<tokio::task::JoinError>),
}

impl HistorianError {
    /// Whether the same call may succeed later: a full or failing disk, a lock held by someone else.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::OutOfMemory
                        | ErrorCode::CannotOpen
                )
            ),
            Self::Busy | Self::Io { .. } => true,
            Self::Influx { transient, .. } => *transient,
            _ => false,
        }
    }

    pub(crate) fn corrupt(what: &'static str, id: u64, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what,
            id,
            reason: reason.to_string(),
        }
    }
}

/// Says what was attempted when SQLite fails.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> Result<T, HistorianError>;
}

impl<T> During<T> for Result<T, rusqlite::Error> {
    fn during(self, action: &'static str) -> Result<T, HistorianError> {
        self.map_err(|source| HistorianError::Sqlite { action, source })
    }
}

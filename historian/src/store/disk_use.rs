//! Where the bytes of a store's file are, by what they are for.

use std::path::Path;

use crate::{
    error::{During, HistorianError},
    sqlite,
};

/// The bytes of a store's file. Pages that are free or the file's own count as overhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// Readings: their chunks and roll-ups, and the names of their series.
    pub readings: u64,
    /// What analytics has found.
    pub findings: u64,
    /// The file as a whole.
    pub file: u64,
}

impl DiskUse {
    /// Counts the pages of a store that nobody writes at the moment.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(path: &Path) -> Result<Self, HistorianError> {
        let connection = sqlite::open_reader(path)?;
        let bytes = |query: &str| {
            let counted = connection.query_row(query, [], |row| row.get::<_, i64>(0));
            counted.map(i64::unsigned_abs)
        };
        // An index counts for its table.
        let pages = |tables: &str| {
            let sum = format!(
                "SELECT coalesce(sum(d.pgsize), 0) FROM dbstat AS d
                 JOIN sqlite_schema AS s ON s.name = d.name
                 WHERE d.aggregate = TRUE AND {tables}"
            );
            bytes(&sum)
        };
        let count = || {
            Ok(Self {
                readings: pages("s.tbl_name IN ('series', 'chunks', 'shared_times', 'rollups')")?,
                findings: pages("s.tbl_name LIKE 'finding%'")?,
                file: bytes(
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                )?,
            })
        };
        count().during("count the pages of a store")
    }
}

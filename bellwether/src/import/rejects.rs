//! What could not be imported, as a CSV beside the notes: line, column, name, reason, row.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::piece::Reject;

/// The reject file of one imported file; made when there is something to put into it.
pub(crate) struct Rejects {
    path: PathBuf,
    bytes: u64,
}

impl Rejects {
    /// Goes on after `bytes`: what a killed run wrote beyond them is written again.
    pub(crate) fn open(path: &Path, bytes: u64) -> Result<Self> {
        if path.exists() {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(bytes))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Appends what a piece could not take and gives the length of the file.
    pub(crate) fn add(&mut self, rejects: &[Reject]) -> Result<u64> {
        if rejects.is_empty() {
            return Ok(self.bytes);
        }
        self.append(rejects)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(self.bytes)
    }

    fn append(&mut self, rejects: &[Reject]) -> Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        let mut writer = csv::Writer::from_writer(&file);
        if self.bytes == 0 {
            writer.write_record(["line", "column", "name", "reason", "row"])?;
        }
        for reject in rejects {
            let line = reject.line.to_string();
            let column = reject
                .column
                .map(|column| column.to_string())
                .unwrap_or_default();
            let text = reject.text.trim_end();
            writer.write_record([&*line, &*column, &*reject.name, &*reject.reason, text])?;
        }
        writer.flush()?;
        drop(writer);
        self.bytes = File::metadata(&file)?.len();
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

//! A copy of everything a server keeps, taken while it runs, and the way back.
//!
//! ```text
//! D/journal.db ─▶ TARGET.partial-PID/journal.db      1. the journal, as one moment saw it
//! D/historian.db, … ─▶ …                             2. what follows it, each as a later moment saw it
//!                      manifest.json                 3. sizes and checksums; everything fsynced
//!                   ─▶ TARGET                        4. one rename makes it a backup
//! ```
//!
//! * **Consistent.** Each file is copied as one transaction sees it (`VACUUM INTO`), from outside
//!   the server, which is not held up. The journal comes first, so every reading that was
//!   acknowledged before the backup began is in its copy, or has been trimmed from it because it
//!   is in the store's. Whatever follows the journal is idempotent and may be ahead of it: in the
//!   copy of the store the applied offset is set back to where the copied journal ends.
//! * **Whole or nothing.** A backup that was cut off lies beside the target under another name and
//!   has no manifest; [`restore`] refuses it. [`restore`] in turn fills a folder under another
//!   name, checks every byte against the manifest and renames it last.
//! * **Versioned.** The manifest has a format of its own; the files keep their layouts, and an
//!   older layout is migrated when the restored files are opened.

mod copy;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use telemetry::Timestamp;

use crate::error::HistorianError;

/// The journal in a data directory.
pub const JOURNAL_FILE: &str = "journal.db";
/// The store in a data directory.
pub const STORE_FILE: &str = "historian.db";

/// The file that makes a folder a backup.
const MANIFEST: &str = "manifest.json";

/// The format this program writes and the latest it reads.
const FORMAT: u32 = 1;

/// A manifest is some hundred bytes long; what is longer is none.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u32,
    /// The program that made it, with its version.
    pub program: String,
    /// When it began: everything acknowledged before is in it.
    pub created_at: Timestamp,
    /// The files, in the order in which they were copied.
    pub files: Vec<ManifestFile>,
    /// What is in them.
    pub counts: Counts,
}

/// What every manifest begins with: a later format may have other fields otherwise.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name, the same as in the data directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes in hexadecimal digits.
    pub sha256: String,
}

/// What is in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// The last offset of the journal.
    pub journal_committed: u64,
    /// Readings acknowledged since the journal was created.
    pub readings_acknowledged: u64,
    /// Readings in chunks; those that are only in the journal yet come on top.
    pub readings_stored: u64,
    /// Waveforms in the store.
    pub waveforms: u64,
    /// Refused messages in the list.
    pub dead_letters: u64,
}

/// Copies the journal, the store and then `others` (whatever follows the journal) of a data
/// directory into a new folder. The server may be running. Blocks for as long as that takes.
///
/// # Errors
/// [`HistorianError::Backup`] when the target exists or there is no data directory; whatever
/// the disk says. No folder named `target` is left behind then.
pub fn backup(
    data_dir: &Path,
    target: &Path,
    others: &[&str],
    program: &str,
    now: Timestamp,
) -> Result<Manifest, HistorianError> {
    if !data_dir.join(JOURNAL_FILE).is_file() {
        return Err(refused(data_dir, "there is no journal.db in it"));
    }
    if fs::symlink_metadata(target).is_ok() {
        return Err(refused(target, "it exists already; give a new name"));
    }
    let partial = Partial::beside(target)?;
    let (mut files, mut counts) = (Vec::new(), Counts::default());
    for name in [JOURNAL_FILE, STORE_FILE].iter().chain(others) {
        let source = data_dir.join(name);
        if !source.is_file() {
            continue;
        }
        let copied = partial.0.join(name);
        copy::database(&source, &copied)?;
        match *name {
            JOURNAL_FILE => copy::count_journal(&copied, &mut counts)?,
            STORE_FILE => copy::fit_store(&copied, &mut counts)?,
            _ => {}
        }
        files.push(copy::described(&copied, name)?);
    }
    let manifest = Manifest {
        format: FORMAT,
        program: program.to_owned(),
        created_at: now,
        files,
        counts,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|source| HistorianError::Encode {
        what: "the manifest of a backup",
        source,
    })?;
    copy::write(&partial.0.join(MANIFEST), &text)?;
    partial.becomes(target)?;
    Ok(manifest)
}

/// Reads and checks the manifest of a backup.
///
/// # Errors
/// [`HistorianError::Backup`] when there is none, it is cut off, or a later version wrote it.
pub fn manifest(source: &Path) -> Result<Manifest, HistorianError> {
    let path = source.join(MANIFEST);
    let known = fs::metadata(&path).map_err(|error| {
        refused(
            source,
            format!("it is no backup, or one that was cut off: manifest.json: {error}"),
        )
    })?;
    if known.len() > MAX_MANIFEST_BYTES {
        return Err(refused(&path, "it is too long for a manifest"));
    }
    let bytes = fs::read(&path).map_err(copy::io("read", &path))?;
    let Format { format } = serde_json::from_slice(&bytes)
        .map_err(|error| refused(&path, format!("it is no manifest of a backup: {error}")))?;
    if format != FORMAT {
        let problem = format!(
            "its format is {format} and this program reads format {FORMAT}; use the version that made it"
        );
        return Err(refused(&path, problem));
    }
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| refused(&path, format!("it is no manifest of a backup: {error}")))?;
    for file in &manifest.files {
        let plain = Path::new(&file.name)
            .file_name()
            .is_some_and(|name| name == file.name.as_str());
        if !plain {
            return Err(refused(
                &path,
                format!("{:?} is no name of a file", file.name),
            ));
        }
    }
    Ok(manifest)
}

/// Fills a data directory, which must be empty or missing, from a backup.
///
/// # Errors
/// [`HistorianError::Backup`] when the data directory holds something, a file of the backup is
/// missing or not what the manifest says. The data directory is then as it was.
pub fn restore(source: &Path, data_dir: &Path) -> Result<Manifest, HistorianError> {
    let manifest = manifest(source)?;
    match fs::read_dir(data_dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let problem = "it is not empty; restore fills an empty or missing folder only";
                return Err(refused(data_dir, problem));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(copy::io("look into", data_dir)(error)),
    }
    let partial = Partial::beside(data_dir)?;
    for file in &manifest.files {
        let from = source.join(&file.name);
        let to = partial.0.join(&file.name);
        fs::copy(&from, &to).map_err(copy::io("copy", &from))?;
        let found = copy::described(&to, &file.name)?;
        if found != *file {
            let problem = format!(
                "it is damaged: {} bytes with SHA-256 {}, but the manifest says {} and {}",
                found.bytes, found.sha256, file.bytes, file.sha256
            );
            return Err(refused(&from, problem));
        }
    }
    partial.becomes(data_dir)?;
    Ok(manifest)
}

fn refused(path: &Path, problem: impl Into<String>) -> HistorianError {
    HistorianError::Backup {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// A folder being filled. It is removed unless it becomes what it was meant to be.
struct Partial(PathBuf);

impl Partial {
    /// Beside its target, so that a rename can move it there.
    fn beside(target: &Path) -> Result<Self, HistorianError> {
        let Some(name) = target.file_name() else {
            return Err(refused(target, "it has no name"));
        };
        let parent = parent_of(target);
        fs::create_dir_all(parent).map_err(copy::io("make", parent))?;
        let mut partial = name.to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let path = parent.join(partial);
        fs::create_dir(&path).map_err(copy::io("make", &path))?;
        Ok(Self(path))
    }

    /// Moves the folder to its target, which is missing or empty, once all of it is on disk.
    fn becomes(self, target: &Path) -> Result<(), HistorianError> {
        copy::sync(&self.0)?;
        if target.is_dir() {
            fs::remove_dir(target).map_err(copy::io("replace", target))?;
        }
        fs::rename(&self.0, target).map_err(copy::io("rename to", target))?;
        copy::sync(parent_of(target))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing left of this name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

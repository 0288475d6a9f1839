//! How far each file has been imported, so that a second run goes on where the first one ended.
//!
//! The note is written after a piece has been committed. A kill in between repeats one piece, and
//! a reading that is there already changes nothing. A file is known by where it lies, by how it is
//! read, and by its first bytes; one that has grown since is read on from where it ended.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Options, piece::Place};

/// Bytes at the start of a file by which it is known again.
const HEAD_BYTES: u64 = 64 << 10;

/// What is noted of one file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The file, for people.
    pub(crate) file: PathBuf,
    /// Up to where it has been imported.
    pub(crate) place: Place,
    /// Readings imported so far.
    pub(crate) readings: u64,
    /// Rows and cells refused so far.
    pub(crate) rejected: u64,
    /// How long the reject file was then.
    pub(crate) reject_bytes: u64,
    /// Whether the end was reached.
    pub(crate) done: bool,
    head_bytes: u64,
    head_hash: u64,
}

/// The note of one file, on disk.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    /// What is noted.
    pub(crate) note: Note,
}

impl Checkpoint {
    /// Finds the note of a file, or begins one; `again` begins anew in any case.
    pub(crate) fn open(folder: &Path, file: &Path, options: &Options, again: bool) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let whole =
            fs::canonicalize(file).with_context(|| format!("cannot open {}", file.display()))?;
        let mut hasher = DefaultHasher::new();
        (&whole, options.reading()).hash(&mut hasher);
        let stem = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let stem: String = stem.unwrap_or_default().chars().take(80).collect();
        let path = folder.join(format!("{stem}.{:016x}.json", hasher.finish()));
        let known = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok())
            .filter(|_| !again);
        if let Some(note) = known
            && head_hash(&whole, note.head_bytes)? == Some(note.head_hash)
        {
            return Ok(Self { path, note });
        }
        let head_bytes = fs::metadata(&whole)?.len().min(HEAD_BYTES);
        let note = Note {
            file: whole.clone(),
            head_bytes,
            head_hash: head_hash(&whole, head_bytes)?.unwrap_or(0),
            ..Note::default()
        };
        Ok(Self { path, note })
    }

    /// A short name of file and options, for requests that may be made twice.
    pub(crate) fn key(&self) -> String {
        let name = self
            .path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let hash = name.rsplit('.').next().unwrap_or_default();
        format!("import-{hash}")
    }

    /// Where refused rows of the file go, when nothing else is said.
    pub(crate) fn reject_file(&self) -> PathBuf {
        self.path.with_extension("rejected.csv")
    }

    /// Puts the note on disk: whole, or as it was before.
    pub(crate) fn save(&self) -> Result<()> {
        let next = self.path.with_extension("json.next");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&next)?;
            file.write_all(&serde_json::to_vec(&self.note)?)?;
            file.sync_data()?;
            fs::rename(&next, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A hash over the first bytes; none when the file is shorter.
fn head_hash(file: &Path, bytes: u64) -> Result<Option<u64>> {
    let mut head = Vec::new();
    File::open(file)?.take(bytes).read_to_end(&mut head)?;
    let mut hasher = DefaultHasher::new();
    head.hash(&mut hasher);
    Ok((head.len() as u64 == bytes).then(|| hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_until_its_beginning_or_the_way_it_is_read_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (notes, file) = (folder.path().join("notes"), folder.path().join("a.csv"));
        fs::write(&file, "time,a\n1,2\n").unwrap();
        let options = Options::default();
        let mut first = Checkpoint::open(&notes, &file, &options, false).unwrap();
        first.note.place.offset = 7;
        first.save().unwrap();
        let offset = |options: &Options, again| {
            Checkpoint::open(&notes, &file, options, again)
                .unwrap()
                .note
                .place
                .offset
        };
        assert_eq!(offset(&options, false), 7);
        assert_eq!(offset(&options, true), 0);
        let other = Options {
            ignore: vec!["a".to_owned()],
            ..Options::default()
        };
        assert_eq!(offset(&other, false), 0);
        fs::write(&file, "time,a\n1,2\n3,4\n").unwrap();
        assert_eq!(offset(&options, false), 7, "it has grown");
        fs::write(&file, "time,a\n9,2\n3,4\n").unwrap();
        assert_eq!(offset(&options, false), 0, "it is another one");
    }
}

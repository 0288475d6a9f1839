//! The ledger: what a load generator was told is stored, in its own hand.
//!
//! The promise under test is "acknowledged is stored, once". So the other side of the wire
//! writes down every acknowledged `(device, ts)` in a file of its own and syncs it before it
//! counts, and afterwards the two books are compared. One line is one acknowledged message:
//!
//! ```text
//! press-1 1700000000123
//! ```
//!
//! A line without its end is the torn tail of a crash: it never counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// What has been acknowledged, by device.
pub type Acknowledged = BTreeMap<String, BTreeSet<i64>>;

/// An append-only file of acknowledgements.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
}

impl Ledger {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            file: file.with_context(|| format!("open the ledger {}", path.display()))?,
            path: path.to_owned(),
        })
    }

    /// Writes down acknowledged times of a device and syncs. Only after this do they count.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record(&mut self, device: &str, times: &[i64]) -> Result<()> {
        let mut lines = String::with_capacity(times.len() * (device.len() + 16));
        for at in times {
            writeln!(lines, "{device} {at}")?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Reads back from the disk what counts.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(&self) -> Result<Acknowledged> {
        parse(&std::fs::read_to_string(&self.path)?)
    }
}

fn parse(text: &str) -> Result<Acknowledged> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut book = Acknowledged::new();
    for line in whole.lines() {
        let (device, at) = line
            .split_once(' ')
            .with_context(|| format!("ledger line {line:?}"))?;
        let at = at
            .parse()
            .with_context(|| format!("ledger line {line:?}"))?;
        book.entry(device.to_owned()).or_default().insert(at);
    }
    Ok(book)
}

/// The comparison of one device's book with what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Acknowledged, yet not stored: the promise is broken.
    pub lost: Vec<i64>,
    /// Stored more than once.
    pub doubled: Vec<i64>,
    /// Stored, and never sent: it came from nowhere.
    pub invented: Vec<i64>,
    /// Stored without an acknowledgement having arrived: allowed, and the reason why devices
    /// send again.
    pub unacknowledged: Vec<i64>,
}

impl Balance {
    /// Compares a device's acknowledged times with the stored ones, which come from pages and
    /// may hold anything; `sent` says whether a time was ever sent.
    pub fn of(acknowledged: &BTreeSet<i64>, stored: &[i64], sent: impl Fn(i64) -> bool) -> Self {
        let mut balance = Self::default();
        let mut seen = BTreeSet::new();
        for &at in stored {
            if !seen.insert(at) {
                balance.doubled.push(at);
            } else if !sent(at) {
                balance.invented.push(at);
            } else if !acknowledged.contains(&at) {
                balance.unacknowledged.push(at);
            }
        }
        balance.lost.extend(acknowledged.difference(&seen));
        balance
    }

    /// Whether the promise holds.
    pub fn is_kept(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.invented.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ledger_reads_back_what_it_was_told_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Ledger::open(&path).unwrap().record("a", &[3, 1]).unwrap();
        let mut again = Ledger::open(&path).unwrap();
        again.record("b", &[-7]).unwrap();
        let book = again.read().unwrap();
        assert_eq!(book["a"], BTreeSet::from([1, 3]));
        assert_eq!(book["b"], BTreeSet::from([-7]));
    }

    #[test]
    fn a_torn_last_line_does_not_count_and_nonsense_is_no_ledger() {
        assert_eq!(parse("a 1\na 23").unwrap()["a"], BTreeSet::from([1]));
        assert!(parse("a 1").unwrap().is_empty());
        assert!(parse("a one\n").is_err());
        assert!(parse("a\n").is_err());
    }

    #[test]
    fn each_way_to_break_the_promise_is_told_apart() {
        let acknowledged = BTreeSet::from([1, 2, 3]);
        let balance = Balance::of(&acknowledged, &[1, 3, 3, 4, 99], |at| at < 50);
        assert_eq!(
            balance,
            Balance {
                lost: vec![2],
                doubled: vec![3],
                invented: vec![99],
                unacknowledged: vec![4],
            }
        );
        assert!(!balance.is_kept());
    }

    proptest! {
        #[test]
        fn a_store_that_holds_all_and_perhaps_some_in_flight_keeps_the_promise(
            acknowledged in prop::collection::btree_set(0..500_i64, 0..60),
            in_flight in prop::collection::btree_set(500..600_i64, 0..10),
        ) {
            let stored: Vec<i64> = acknowledged.iter().chain(&in_flight).copied().collect();
            let balance = Balance::of(&acknowledged, &stored, |at| at < 600);
            prop_assert!(balance.is_kept());
            prop_assert_eq!(balance.unacknowledged.len(), in_flight.len());
        }

        #[test]
        fn one_missing_reading_is_always_found(
            acknowledged in prop::collection::btree_set(0..500_i64, 1..60),
            pick in any::<prop::sample::Index>(),
        ) {
            let mut stored: Vec<i64> = acknowledged.iter().copied().collect();
            let missing = stored.remove(pick.index(stored.len()));
            prop_assert_eq!(Balance::of(&acknowledged, &stored, |_| true).lost, vec![missing]);
        }
    }
}

//! The first line of a table.

use std::io::Read;

use anyhow::{Context, Result, bail};

/// Separators recorders use.
const SEPARATORS: [u8; 4] = [b';', b',', b'\t', b'|'];
/// Names of time columns in the order they are looked for; case does not matter.
const TIME_COLUMNS: [&str; 9] = [
    "datetime",
    "timestamp",
    "measured_at",
    "date_time",
    "date time",
    "time",
    "ts",
    "date",
    "_time",
];

/// The separator that occurs most in the header, outside quotes.
pub(crate) fn sniff(header: &str) -> Option<u8> {
    let mut counts = [0usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in header.bytes() {
        quoted ^= byte == b'"';
        if let Some(at) = SEPARATORS
            .iter()
            .position(|&separator| separator == byte && !quoted)
        {
            counts[at] += 1;
        }
    }
    let most = counts.iter().copied().max().filter(|&most| most > 0)?;
    let at = counts.iter().position(|&count| count == most)?;
    Some(SEPARATORS[at])
}

/// Reads the first line byte by byte: it is short, and what follows must stay in the source.
pub(crate) fn read_line(source: &mut impl Read) -> Result<String> {
    /// A header longer than this is no header.
    const MAX_HEADER_BYTES: usize = 64 * 1024;
    let mut line = Vec::new();
    let mut byte = [0u8];
    while source.read(&mut byte)? == 1 {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
        if line.len() > MAX_HEADER_BYTES {
            bail!("the first line is longer than {MAX_HEADER_BYTES} bytes");
        }
    }
    String::from_utf8(line).context("the first line is not UTF-8 text")
}

/// The time column: the one that is wanted, or the first that looks like one.
pub(crate) fn find_time(names: &[String], wanted: Option<&str>) -> Result<usize> {
    let found = match wanted {
        Some(name) => position(names, name),
        None => TIME_COLUMNS.iter().find_map(|name| position(names, name)),
    };
    found.with_context(|| {
        let columns = names.join(", ");
        match wanted {
            Some(name) => format!("there is no column {name:?}; the columns are {columns}"),
            None => {
                format!("no column looks like a time; name it with --time-column, one of {columns}")
            }
        }
    })
}

/// Where a column stands; case does not matter.
pub(crate) fn position(names: &[String], wanted: &str) -> Option<usize> {
    names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(wanted))
}

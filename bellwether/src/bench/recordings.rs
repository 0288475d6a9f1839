//! Recordings of real machines as line protocol: numbers go over the wire as they are written in
//! the file, so that every store gets the same text.
//!
//! A time that a file holds twice is sent once, because stores treat a second value differently.

use std::{
    collections::HashSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use chrono::NaiveDateTime;

/// Lines in a request: what every store takes at once.
const LINES: usize = 5_000;

/// One folder of recordings.
#[derive(Debug)]
pub(super) struct Recording {
    /// Its name.
    pub(super) name: &'static str,
    /// Request bodies.
    pub(super) bodies: Vec<Vec<u8>>,
    /// Values in them.
    pub(super) values: u64,
}

/// The folders that are there.
///
/// # Errors
/// When none is, or a file is not what it should be.
pub(super) fn all(folder: &Path) -> Result<Vec<Recording>> {
    let mut found = Vec::new();
    for name in ["skab", "nab", "femto", "azure-pdm"] {
        let root = folder.join(name);
        if root.is_dir() {
            found.push(read(name, &root)?);
        }
    }
    ensure!(!found.is_empty(), "no recordings in {}", folder.display());
    Ok(found)
}

/// How the columns of a kind of file are read.
struct Shape {
    delimiter: u8,
    /// The column with the time; seconds from the start of the file when its name ends in `_s`.
    time: &'static str,
    /// A column that names the device besides the file.
    device: Option<&'static str>,
    /// Columns that are no readings.
    leave_out: &'static [&'static str],
}

fn shape(name: &str) -> Shape {
    let (delimiter, time, device, leave_out): (u8, _, _, &[&str]) = match name {
        "skab" => (b';', "datetime", None, &["anomaly", "changepoint"]),
        "nab" => (b',', "timestamp", None, &[]),
        "femto" => (
            b',',
            "t_s",
            None,
            &["snapshot", "minute", "clock_hms", "n_samples"],
        ),
        _ => (b',', "datetime", Some("machineID"), &[]),
    };
    Shape {
        delimiter,
        time,
        device,
        leave_out,
    }
}

fn read(name: &'static str, root: &Path) -> Result<Recording> {
    let mut recording = Recording {
        name,
        bodies: Vec::new(),
        values: 0,
    };
    let mut body = String::new();
    let mut lines = 0;
    for file in files(root)? {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let rows = rows(&file, &stem, &shape(name));
        for (line, values) in rows.with_context(|| file.display().to_string())? {
            body += &line;
            recording.values += values;
            lines += 1;
            if lines % LINES == 0 {
                recording
                    .bodies
                    .push(std::mem::take(&mut body).into_bytes());
            }
        }
    }
    recording.bodies.push(body.into_bytes());
    Ok(recording)
}

/// Every file of readings below a folder, in the order of names.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "csv")
                && !name.ends_with("summary.csv")
            {
                // Of azure-pdm only the telemetry holds readings.
                if !name.contains("PdM_") || name.contains("PdM_telemetry") {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

fn rows(file: &Path, stem: &str, shape: &Shape) -> Result<Vec<(String, u64)>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(shape.delimiter)
        .from_path(file)?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let time = column(shape.time).with_context(|| format!("no column {}", shape.time))?;
    let device = shape.device.and_then(column);
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    for row in reader.records() {
        let row = row?;
        let at = millis(&row[time])?;
        let device = device.map_or_else(
            || plain(stem),
            |column| format!("{}-{}", plain(stem), plain(&row[column])),
        );
        if !seen.insert((device.clone(), at)) {
            continue;
        }
        let (mut line, mut values) = (format!("reading,device={device} "), 0);
        for (name, text) in headers.iter().zip(&row) {
            let is_reading = name != shape.time
                && Some(name) != shape.device
                && !shape.leave_out.contains(&name)
                && text.parse::<f64>().is_ok_and(f64::is_finite);
            if is_reading {
                let comma = if values == 0 { "" } else { "," };
                write!(line, "{comma}{}={text}", plain(name))?;
                values += 1;
            }
        }
        if values > 0 {
            writeln!(line, " {at}000000")?;
            lines.push((line, values));
        }
    }
    Ok(lines)
}

/// Milliseconds since the epoch; plain seconds count from 2024-01-01.
fn millis(text: &str) -> Result<i64> {
    const FROM: i64 = 1_704_067_200_000;
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(FROM + (seconds * 1e3).round() as i64);
    }
    let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .with_context(|| format!("{text} is no time"))?;
    Ok(at.and_utc().timestamp_millis())
}

/// A name that needs no escape anywhere.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_written_and_a_time_is_sent_once() {
        let folder = tempfile::tempdir().unwrap();
        let nab = folder.path().join("nab");
        fs::create_dir(&nab).unwrap();
        let text = "timestamp,value\n2014-01-01 00:00:00,1.50\n2014-01-01 00:00:00,2\n2014-01-01 00:05:00,7e-3\n";
        fs::write(nab.join("cpu 1.csv"), text).unwrap();
        let found = all(folder.path()).unwrap();
        assert_eq!((found.len(), found[0].values), (1, 2));
        assert_eq!(
            String::from_utf8(found[0].bodies.concat()).unwrap(),
            "reading,device=cpu_1 value=1.50 1388534400000000000\n\
             reading,device=cpu_1 value=7e-3 1388534700000000000\n"
        );
    }
}

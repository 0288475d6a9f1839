//! Recordings with labels, as the suites write them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Most bytes of a recording that is read: the suites' largest has 6 MB.
const MAX_BYTES: u64 = 256 << 20;

/// A table of numbers, one column a name.
pub(crate) struct Table {
    pub(crate) names: Vec<String>,
    /// Per row the text of the first column that is a time, if there is one.
    pub(crate) times: Vec<String>,
    /// Per column its values; what is no number is NaN.
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Table {
    /// Reads a CSV with a header. `time` names the column that is kept as text.
    pub(crate) fn read(path: &Path, separator: u8, time: &str) -> Result<Self> {
        let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if size.len() > MAX_BYTES {
            bail!("{}: larger than {MAX_BYTES} bytes", path.display());
        }
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .from_path(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let time = names.iter().position(|name| name == time);
        let mut table = Self {
            columns: vec![Vec::new(); names.len()],
            times: Vec::new(),
            names,
        };
        for record in reader.records() {
            let record = record.with_context(|| format!("cannot read {}", path.display()))?;
            for (at, column) in table.columns.iter_mut().enumerate() {
                let text = record.get(at).unwrap_or_default();
                if Some(at) == time {
                    table.times.push(text.to_owned());
                }
                column.push(fast_float2::parse(text).unwrap_or(f64::NAN));
            }
        }
        if table.rows() == 0 {
            bail!("{}: no rows", path.display());
        }
        Ok(table)
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// A column by name.
    pub(crate) fn column(&self, name: &str) -> Option<&[f64]> {
        let at = self.names.iter().position(|known| known == name)?;
        Some(&self.columns[at])
    }

    /// The measured times in microseconds, from `YYYY-MM-DD HH:MM:SS` taken as UTC.
    pub(crate) fn micros(&self) -> Result<Vec<i64>> {
        let parse = |text: &String| {
            let seconds = text.get(..19).unwrap_or(text);
            chrono::NaiveDateTime::parse_from_str(seconds, "%Y-%m-%d %H:%M:%S")
                .map(|time| time.and_utc().timestamp_micros())
                .with_context(|| format!("no time: {text:?}"))
        };
        self.times.iter().map(parse).collect()
    }
}

/// The CSV files of a folder, by name with numbers in their order; none when there is no folder.
pub(crate) fn csv_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    files.sort_by(|a, b| (number(a), a).cmp(&(number(b), b)));
    Ok(files)
}

/// Writes a prediction file, making its folder.
pub(crate) fn write(path: &Path, header: &str, rows: impl Iterator<Item = String>) -> Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file =
        fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "{header}")?;
    for row in rows {
        writeln!(out, "{row}")?;
    }
    out.flush()
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The last parts of a path as the name of a recording.
pub(crate) fn name_of(path: &Path, root: &Path) -> String {
    let name = path.strip_prefix(root).unwrap_or(path);
    name.to_string_lossy().replace('\\', "/")
}

//! Reading the public recordings of a pump beside the repository.

use std::path::{Path, PathBuf};

use telemetry::{SignalName, Timestamp};

/// One recording.
pub(crate) struct Recording {
    /// Its signals, in the order of the values.
    pub(crate) signals: Vec<SignalName>,
    /// Its rows.
    pub(crate) rows: Vec<(Timestamp, Vec<f64>)>,
}

/// The folder, or none and a word about it.
pub(crate) fn recordings() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/skab");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("no recordings at {}: passing over them", folder.display());
    None
}

impl Recording {
    /// Reads a file; label columns are left out.
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b';')
            .from_path(path)
            .unwrap();
        let header = reader.headers().unwrap().clone();
        let is_label = |name: &str| matches!(name, "datetime" | "anomaly" | "changepoint");
        let columns: Vec<usize> = (0..header.len())
            .filter(|at| !is_label(&header[*at]))
            .collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.unwrap();
            let at = Timestamp::parse(&format!("{}Z", record[0].replace(' ', "T"))).unwrap();
            let values = columns
                .iter()
                .map(|column| record[*column].parse().unwrap());
            rows.push((at, values.collect()));
        }
        let names = columns.iter().map(|at| SignalName::new(&header[*at]));
        Self {
            signals: names.collect::<Result<_, _>>().unwrap(),
            rows,
        }
    }
}

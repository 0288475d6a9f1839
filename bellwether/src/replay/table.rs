//! A recorded table: which separator, which column is the time, how a row becomes a payload.

use std::{collections::HashSet, fmt::Write, io::Read};

use anyhow::{Context, Result, bail};
use telemetry::{SignalName, Timestamp};

use crate::recorded::{
    header::{find_time, read_line, sniff},
    number::{Cell, parse_number},
    time::parse_time,
};

/// A table that is being read.
pub(crate) struct Table<R> {
    reader: csv::Reader<R>,
    time: usize,
    signals: Vec<(usize, SignalName)>,
    absent: Vec<String>,
    decimal_comma: bool,
    row: csv::StringRecord,
}

/// A row as it is published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// When it was measured.
    pub(crate) at: Timestamp,
    /// The default JSON payload.
    pub(crate) json: String,
    /// How many readings it holds; a row of empty cells holds none.
    pub(crate) readings: u32,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct BadRow {
    pub(crate) line: u64,
    pub(crate) problem: String,
}

impl<R: Read> Table<R> {
    /// Reads the header. `ignore` names columns to leave out; `time` names the time column when
    /// its name is unusual.
    ///
    /// # Errors
    /// When there is no header, no time column, or nothing to publish.
    pub(crate) fn open(
        mut source: R,
        ignore: &[String],
        time: Option<&str>,
    ) -> Result<Table<impl Read>> {
        let header = read_line(&mut source).context("cannot read the header")?;
        let header = header.trim_start_matches('\u{feff}').to_owned();
        let Some(separator) = sniff(&header) else {
            bail!("the first line is no header of a table with ; or , between columns: {header:?}");
        };
        let whole = std::io::Cursor::new(header.into_bytes()).chain(source);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(whole);
        let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let time = find_time(&names, time)?;
        let ignored: HashSet<&str> = ignore.iter().map(String::as_str).collect();
        let absent = ignore.iter().filter(|name| !names.contains(name));
        let absent = absent.cloned().collect();
        let mut signals = Vec::new();
        for (at, name) in names.iter().enumerate() {
            if at != time && !ignored.contains(name.as_str()) {
                let signal = SignalName::new(name).with_context(|| {
                    format!(
                        "column {} cannot be a signal; leave it out with --ignore",
                        at + 1
                    )
                })?;
                signals.push((at, signal));
            }
        }
        if signals.is_empty() {
            bail!(
                "no column is left to publish besides the time {:?}",
                names[time]
            );
        }
        Ok(Table {
            reader,
            time,
            signals,
            absent,
            decimal_comma: separator != b',',
            row: csv::StringRecord::new(),
        })
    }

    /// Columns that were to be left out and are not there: harmless in a loop over recordings of
    /// which only some are labelled, but worth a word, for it may be a slip of the pen.
    pub(crate) fn absent(&self) -> &[String] {
        &self.absent
    }

    /// The next row; none at the end.
    pub(crate) fn next_row(&mut self) -> Option<Result<Row, BadRow>> {
        let line = self.reader.position().line();
        let bad = |line, problem: String| Some(Err(BadRow { line, problem }));
        match self.reader.read_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.row.position().map_or(line, csv::Position::line);
                Some(self.payload().map_err(|problem| BadRow { line, problem }))
            }
            Err(error) => bad(line, error.to_string()),
        }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    fn payload(&self) -> Result<Row, String> {
        let cell = self.row.get(self.time).unwrap_or_default();
        let at = parse_time(cell).ok_or_else(|| format!("{cell:?} is no time"))?;
        let mut json = if at.as_micros() % 1_000 == 0 {
            format!("{{\"ts\":{}", at.as_millis())
        } else {
            format!("{{\"ts\":\"{at}\"")
        };
        let mut readings = 0;
        for (column, signal) in &self.signals {
            let Some(cell) = self.row.get(*column) else {
                return Err(format!("the row ends before column {:?}", signal.as_str()));
            };
            let number = parse_number(cell, self.decimal_comma).ok_or_else(|| {
                let name = signal.as_str();
                format!("column {name:?} holds {cell:?}, which is no number; --ignore leaves a column out")
            })?;
            if let Cell::Number(number) = number {
                let number =
                    serde_json::Number::from_f64(number).ok_or("a number is not finite")?;
                // Writing to a String cannot fail.
                let _ = write!(
                    json,
                    ",{}:{number}",
                    serde_json::Value::from(signal.as_str())
                );
                readings += 1;
            }
        }
        json.push('}');
        Ok(Row { at, json, readings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, ignore: &[&str]) -> Result<Vec<Result<Row, BadRow>>> {
        let ignore: Vec<String> = ignore.iter().map(|&name| name.to_owned()).collect();
        let mut table = Table::open(text.as_bytes(), &ignore, None)?;
        Ok(std::iter::from_fn(|| table.next_row()).collect())
    }

    #[test]
    fn separators_and_time_columns_are_found() {
        let wanted = r#"{"ts":1583748873000,"Pressure":0.05,"Volume Flow RateRMS":32.0}"#;
        for (text, ignore) in [
            (
                "datetime;Pressure;Volume Flow RateRMS;anomaly\n2020-03-09 10:14:33;0.05;32.0;1.0\n",
                &["anomaly"][..],
            ),
            (
                "Pressure,Volume Flow RateRMS,timestamp\r\n0.05,32,2020-03-09T10:14:33Z\r\n",
                &[],
            ),
            (
                "ts\tPressure\tVolume Flow RateRMS\n1583748873\t5e-2\t32\n",
                &[],
            ),
            (
                "\u{feff}\"Time\";\"Pressure\";\"Volume Flow RateRMS\"\n1583748873000;0,05;32,0\n",
                &[],
            ),
            (
                "label,\"Date\",Pressure,Volume Flow RateRMS\nfine,2020-03-09 11:14:33+01:00,0.05,32\n",
                &["label"],
            ),
            // A time column of the first name wins over one of a later name.
            (
                "date,datetime,Pressure,Volume Flow RateRMS\n2020,2020-03-09 10:14:33,0.05,32\n",
                &["date"],
            ),
        ] {
            let rows = rows(text, ignore).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            assert_eq!(rows.len(), 1, "{text}");
            let row = rows[0]
                .as_ref()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((row.json.as_str(), row.readings), (wanted, 2), "{text}");
        }
    }

    #[test]
    fn an_absent_column_is_left_out_and_named() {
        let ignore = ["label".to_owned(), "a".to_owned()];
        let table = Table::open("time,a,b\n1,2,3\n".as_bytes(), &ignore, None).unwrap();
        assert_eq!(table.absent(), ["label"]);
        assert_eq!(table.signals.len(), 1);
    }

    #[test]
    fn tables_that_cannot_be_replayed_say_why() {
        for (text, ignore, wanted) in [
            ("just text\n", &[][..], "header"),
            ("a,b\n1,2\n", &[], "--time-column, one of a, b"),
            ("time,a\n1,2\n", &["a"], "no column is left"),
            ("time,a/b\n1,2\n", &[], "--ignore"),
        ] {
            let error = format!("{:#}", rows(text, ignore).err().unwrap());
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn rows_that_cannot_be_read_are_told_with_their_line_and_the_rest_is_read() {
        let text = "time,a,b\n1,1,1\nsoon,1,1\n2,one,1\n3,,NaN\n4\n5,2,2\n";
        let rows = rows(text, &[]).unwrap();
        let told: Vec<String> = rows
            .iter()
            .map(|row| match row {
                Ok(row) => row.readings.to_string(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(told.len(), 6, "{told:?}");
        assert_eq!((&*told[0], &*told[3], &*told[5]), ("2", "0", "2"));
        assert!(
            told[1].starts_with("line 3: \"soon\" is no time"),
            "{}",
            told[1]
        );
        assert!(
            told[2].starts_with("line 4: column \"a\" holds \"one\""),
            "{}",
            told[2]
        );
        assert!(
            told[4].starts_with("line 6: the row ends before"),
            "{}",
            told[4]
        );
    }
}

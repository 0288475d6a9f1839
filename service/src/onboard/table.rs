//! From bytes to cells, each with its place.
//!
//! A reader of our own, because the errors have to name line and column of everything: a quote
//! that is never closed, text behind a closing quote, a row that is too short, a byte that is
//! no UTF-8. Libraries read most of these without a word.

use super::{
    MAX_ONBOARD_BYTES, MAX_ONBOARD_ROWS,
    report::{At, Problems},
};

/// Cells of one row: four times the columns there are.
const MAX_CELLS: usize = 64;

/// A header and rows of the same length.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<TableRow>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct TableRow {
    /// The line it begins in, from 1.
    pub(crate) line: u64,
    /// As many as the header has; none for a cell that was complained about.
    pub(crate) cells: Vec<Option<String>>,
}

/// One record as it was cut, before its length was checked.
struct Record {
    line: u64,
    /// None for bytes that are no UTF-8; complained about when the columns have names.
    cells: Vec<Result<String, String>>,
    /// A quoting mistake in the cell of this number, from 0.
    broken: Option<(usize, &'static str)>,
}

impl Record {
    fn is_blank(&self) -> bool {
        let blank =
            |cell: &Result<String, String>| cell.as_ref().is_ok_and(|text| text.trim().is_empty());
        self.broken.is_none() && self.cells.iter().all(blank)
    }
}

/// Reads a file that needs at least the columns of `needed`; none when not even a header can be
/// read.
pub(crate) fn read(csv: &[u8], needed: &str, problems: &mut Problems) -> Option<Table> {
    let start = At {
        line: 1,
        number: 1,
        name: "",
    };
    if csv.len() > MAX_ONBOARD_BYTES {
        let problem = format!(
            "the file has {} bytes; the limit is {MAX_ONBOARD_BYTES}: divide it",
            csv.len()
        );
        problems.add(start, "", problem);
        return None;
    }
    if csv.starts_with(&[0xff, 0xfe]) || csv.starts_with(&[0xfe, 0xff]) {
        problems.add(start, "", "the file is UTF-16; save it as CSV UTF-8");
        return None;
    }
    let csv = csv.strip_prefix("\u{feff}".as_bytes()).unwrap_or(csv);
    let mut cutter = Cutter {
        rest: csv,
        separator: separator(csv),
        line: 1,
    };
    let Some(first) = cutter.next_filled() else {
        problems.add(
            start,
            "",
            format!("the file is empty; write a header with at least: {needed}"),
        );
        return None;
    };
    let line = first.line;
    let header: Vec<String> = checked(first, &[], problems)
        .into_iter()
        .map(|cell| cell.unwrap_or_default().trim().to_lowercase())
        .collect();
    let mut rows = Vec::new();
    while let Some(record) = cutter.next_filled() {
        if rows.len() == MAX_ONBOARD_ROWS {
            let at = At {
                line: record.line,
                ..start
            };
            let problem = format!("there are more than {MAX_ONBOARD_ROWS} rows; divide the file");
            problems.add(at, "", problem);
            break;
        }
        let line = record.line;
        let quoted_well = record.broken.is_none();
        let mut cells = checked(record, &header, problems);
        if quoted_well {
            check_length(line, &cells, &header, problems);
        }
        cells.resize(header.len(), None);
        rows.push(TableRow { line, cells });
    }
    if rows.is_empty() {
        problems.add(At { line, ..start }, "", "there is a header and no row");
    }
    Some(Table { header, rows })
}

/// The sign the first line has most of.
fn separator(csv: &[u8]) -> u8 {
    let end = csv.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let first = &csv[..end.unwrap_or(csv.len())];
    let count = |sign: u8| first.split(|byte| *byte == sign).count();
    // `max_by_key` takes the last of equals: comma when there is none of any.
    let signs = [b'\t', b';', b','];
    signs
        .into_iter()
        .max_by_key(|sign| count(*sign))
        .unwrap_or(b',')
}

fn checked(record: Record, header: &[String], problems: &mut Problems) -> Vec<Option<String>> {
    let at = |cell: usize| At {
        line: record.line,
        number: cell as u64 + 1,
        name: header.get(cell).map_or("", String::as_str),
    };
    let broken = record.broken.map(|(cell, problem)| {
        problems.add(at(cell), "", problem);
        cell
    });
    let mut cells = Vec::with_capacity(record.cells.len());
    for (number, cell) in record.cells.into_iter().enumerate() {
        let place = At {
            line: record.line,
            number: number as u64 + 1,
            name: header.get(number).map_or("", String::as_str),
        };
        match cell {
            _ if broken == Some(number) => cells.push(None),
            Ok(text) => cells.push(Some(text)),
            Err(shown) => {
                problems.add(
                    place,
                    &shown,
                    "this is not UTF-8; save the file as CSV UTF-8",
                );
                cells.push(None);
            }
        }
    }
    cells
}

fn check_length(line: u64, cells: &[Option<String>], header: &[String], problems: &mut Problems) {
    let (has, wanted) = (cells.len(), header.len());
    if has == wanted {
        return;
    }
    let number = has.min(wanted);
    let at = At {
        line,
        number: number as u64 + 1,
        name: header.get(number).map_or("", String::as_str),
    };
    let value = cells
        .get(number)
        .and_then(Option::as_deref)
        .unwrap_or_default();
    let problem = format!("the row has {has} cells and the header has {wanted}");
    problems.add(at, value, problem);
}

/// Cuts records off the front.
struct Cutter<'a> {
    rest: &'a [u8],
    separator: u8,
    line: u64,
}

/// Where a cell ended.
#[derive(PartialEq, Eq)]
enum End {
    Cell,
    Record,
}

impl Cutter<'_> {
    /// The next record that is not blank: spreadsheets like to append rows of empty cells.
    fn next_filled(&mut self) -> Option<Record> {
        loop {
            let record = self.next_record()?;
            if !record.is_blank() {
                return Some(record);
            }
        }
    }

    fn next_record(&mut self) -> Option<Record> {
        if self.rest.is_empty() {
            return None;
        }
        let mut record = Record {
            line: self.line,
            cells: Vec::new(),
            broken: None,
        };
        loop {
            let cell = record.cells.len();
            if cell == MAX_CELLS {
                record.broken = Some((cell, "a row has at most 64 cells"));
                self.skip_line();
                return Some(record);
            }
            let (bytes, end) = match self.cell() {
                Ok(cut) => cut,
                Err(problem) => {
                    record.cells.push(Ok(String::new()));
                    record.broken = Some((cell, problem));
                    self.skip_line();
                    return Some(record);
                }
            };
            record.cells.push(
                String::from_utf8(bytes)
                    .map_err(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            );
            if end == End::Record {
                return Some(record);
            }
        }
    }

    fn cell(&mut self) -> Result<(Vec<u8>, End), &'static str> {
        if self.rest.first() == Some(&b'"') {
            self.rest = &self.rest[1..];
            return self.quoted();
        }
        let separator = self.separator;
        let stop = |byte: &u8| *byte == separator || matches!(byte, b'\n' | b'\r' | b'"');
        let end = self.rest.iter().position(stop).unwrap_or(self.rest.len());
        let bytes = self.rest[..end].to_vec();
        if self.rest.get(end) == Some(&b'"') {
            return Err(
                "a quote stands inside a cell that does not begin with one; put the cell in quotes and double those in it",
            );
        }
        self.rest = &self.rest[end..];
        Ok((bytes, self.end()))
    }

    fn quoted(&mut self) -> Result<(Vec<u8>, End), &'static str> {
        let mut bytes = Vec::new();
        loop {
            let Some(at) = self.rest.iter().position(|byte| *byte == b'"') else {
                self.rest = &[];
                return Err("the quote this cell begins with is never closed");
            };
            self.line += line_breaks(&self.rest[..at]);
            bytes.extend_from_slice(&self.rest[..at]);
            self.rest = &self.rest[at + 1..];
            if self.rest.first() != Some(&b'"') {
                break;
            }
            bytes.push(b'"');
            self.rest = &self.rest[1..];
        }
        match self.rest.first() {
            None | Some(b'\n' | b'\r') => Ok((bytes, self.end())),
            Some(byte) if *byte == self.separator => Ok((bytes, self.end())),
            Some(_) => Err("text stands behind the quote that closes this cell"),
        }
    }

    /// Steps over the separator or the line break that comes next.
    fn end(&mut self) -> End {
        let breaks = match self.rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            [_, ..] => {
                self.rest = &self.rest[1..];
                // A separator at the very end of the file is followed by an empty cell.
                return End::Cell;
            }
            [] => return End::Record,
        };
        self.rest = &self.rest[breaks..];
        self.line += 1;
        End::Record
    }

    fn skip_line(&mut self) {
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'));
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        self.end();
    }
}

/// Lines that end inside: LF, CRLF and CR each count once.
fn line_breaks(bytes: &[u8]) -> u64 {
    let mut breaks = 0;
    let mut last = 0;
    for byte in bytes {
        if *byte == b'\r' || (*byte == b'\n' && last != b'\r') {
            breaks += 1;
        }
        last = *byte;
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(csv: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let mut problems = Problems::default();
        let table = read(csv.as_bytes(), "device", &mut problems);
        let rows = table.map(|table| {
            let rows = table.rows.into_iter();
            rows.map(|row| {
                row.cells
                    .into_iter()
                    .map(Option::unwrap_or_default)
                    .collect()
            })
            .collect()
        });
        let errors = problems.into_sorted().0;
        (
            rows.unwrap_or_default(),
            errors.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn separators_quotes_and_line_ends_are_read_as_spreadsheets_write_them() {
        for csv in [
            "device,asset\np1,\"a, \"\"b\"\"\"\n",
            "\u{feff}device;asset\r\np1;\"a, \"\"b\"\"\"\r\n;\r\n\r\n",
            "device\tasset\rp1\t\"a, \"\"b\"\"\"",
        ] {
            let (rows, errors) = cells(csv);
            assert!(errors.is_empty(), "{csv:?}: {errors:?}");
            assert_eq!(rows, [["p1", "a, \"b\""]], "{csv:?}");
        }
    }

    #[test]
    fn mistakes_of_form_are_told_with_their_line_and_column() {
        for (csv, expected) in [
            ("", vec!["line 1, column 1: the file is empty"]),
            (
                "device\n",
                vec!["line 1, column 1: there is a header and no row"],
            ),
            (
                "device,asset\np1,a,x\n\np2\n",
                vec![
                    "line 2, column 3, \"x\": the row has 3 cells and the header has 2",
                    "line 4, column 2 (asset): the row has 1 cells and the header has 2",
                ],
            ),
            (
                // The row after a cell with a line break has the line it begins in.
                "device,asset\n\"p\r\n1\",a\np\"2,a\n\"p3\"x,a\np4,\"a\n",
                vec![
                    "line 4, column 1 (device): a quote stands inside",
                    "line 5, column 1 (device): text stands behind",
                    "line 6, column 2 (asset): the quote this cell begins with is never closed",
                ],
            ),
        ] {
            let (_, errors) = cells(csv);
            assert_eq!(errors.len(), expected.len(), "{csv:?}: {errors:?}");
            for (error, expected) in errors.iter().zip(expected) {
                assert!(error.starts_with(expected), "{error}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_found_in_their_cell() {
        let mut problems = Problems::default();
        let table = read(
            b"device,asset\np1,a\np2,M\xfcnchen\n",
            "device",
            &mut problems,
        )
        .unwrap();
        assert_eq!(table.rows.len(), 2);
        let errors = problems.into_sorted().0;
        assert_eq!(errors.len(), 1);
        let error = errors[0].to_string();
        assert!(error.starts_with("line 3, column 2 (asset)"), "{error}");
        assert!(error.contains("UTF-8"), "{error}");
        let mut problems = Problems::default();
        assert!(read(&[0xff, 0xfe, b'd', 0], "device", &mut problems).is_none());
        assert!(problems.into_sorted().0[0].problem.contains("UTF-16"));
    }
}

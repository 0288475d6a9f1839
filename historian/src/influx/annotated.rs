//! Annotated CSV, which is how Flux answers.
//!
//! ```text
//! #datatype,string,long,dateTime:RFC3339,double
//! #group,false,false,false,false
//! #default,_result,,,
//! ,result,table,_time,_value
//! ,,0,2026-01-01T00:00:00Z,61.25
//! ```
//!
//! A body is a sequence of such sections, each with its own columns: one query may yield several
//! results, and one result several schemas. An empty cell means the column's default, and when
//! that is empty too, null. What the server found wrong after it had begun to answer comes as a
//! section with the columns `error` and `reference`. A body that was cut off may look whole, so
//! it has to end with a line end, outside quotes, and every record must have its section's
//! number of cells. Nothing here panics, whatever the bytes are.

use telemetry::Timestamp;

/// A body that cannot be read, or that tells of an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnnotatedError {
    /// The server reported an error inside the body.
    #[error("the server says: {0}")]
    Reported(String),
    /// The body ends in the middle of a record.
    #[error("the body was cut off at line {line}")]
    CutOff {
        /// The line that is not whole.
        line: usize,
    },
    /// A record does not fit what was announced.
    #[error("line {line}: {problem}")]
    Malformed {
        /// Where.
        line: usize,
        /// What does not fit.
        problem: String,
    },
}

/// One record with its section's columns.
pub(crate) struct Record<'a> {
    columns: &'a [String],
    defaults: &'a [String],
    cells: &'a [String],
    line: usize,
}

/// What the annotations said of the section being read.
#[derive(Default)]
struct Section {
    columns: Vec<String>,
    defaults: Vec<String>,
    /// Annotations come before the header.
    has_header: bool,
}

/// Calls `visit` with every record in order.
///
/// # Errors
/// The first thing that does not fit, or the error the server reported.
pub(crate) fn read(
    body: &str,
    mut visit: impl FnMut(&Record<'_>) -> Result<(), AnnotatedError>,
) -> Result<(), AnnotatedError> {
    let mut lexer = Lexer {
        rest: body.as_bytes(),
        line: 0,
    };
    let mut section = Section::default();
    let mut cells = Vec::new();
    while lexer.record(&mut cells)? {
        let line = lexer.line;
        let first = cells.first().map_or("", String::as_str);
        if first.is_empty() && cells.len() <= 1 {
            // An empty line ends a section; the next one announces itself.
            section = Section::default();
        } else if let Some(annotation) = first.strip_prefix('#') {
            if section.has_header {
                section = Section::default();
            }
            if annotation == "default" {
                section.defaults.clone_from(&cells);
            }
        } else if !section.has_header {
            section.columns = std::mem::take(&mut cells);
            section.has_header = true;
        } else if cells.len() != section.columns.len() {
            return Err(AnnotatedError::Malformed {
                line,
                problem: format!(
                    "{} cells under {} columns",
                    cells.len(),
                    section.columns.len()
                ),
            });
        } else {
            let record = Record {
                columns: &section.columns,
                defaults: &section.defaults,
                cells: &cells,
                line,
            };
            if let Some(error) = record.text("error") {
                return Err(AnnotatedError::Reported(error.chars().take(500).collect()));
            }
            visit(&record)?;
        }
    }
    Ok(())
}

impl<'a> Record<'a> {
    /// A cell by the name of its column; none when it is null or there is no such column.
    pub(crate) fn text(&self, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|name| name == column)?;
        [self.cells, self.defaults]
            .into_iter()
            .filter_map(|cells| cells.get(at))
            .map(String::as_str)
            .find(|cell| !cell.is_empty())
    }

    /// Which of the yielded results this belongs to.
    pub(crate) fn result(&self) -> &'a str {
        self.text("result").unwrap_or("_result")
    }

    /// A number; none when it is null.
    pub(crate) fn number(&self, column: &str) -> Result<Option<f64>, AnnotatedError> {
        self.parsed(column, |cell| cell.parse().ok())
    }

    /// A count; none when it is null.
    pub(crate) fn count(&self, column: &str) -> Result<Option<u64>, AnnotatedError> {
        self.parsed(column, |cell| cell.parse().ok())
    }

    /// A time, cut to microseconds; none when it is null.
    pub(crate) fn time(&self, column: &str) -> Result<Option<Timestamp>, AnnotatedError> {
        self.parsed(column, |cell| Timestamp::parse(cell).ok())
    }

    fn parsed<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, AnnotatedError> {
        let Some(cell) = self.text(column) else {
            return Ok(None);
        };
        parse(cell)
            .map(Some)
            .ok_or_else(|| AnnotatedError::Malformed {
                line: self.line,
                problem: format!(
                    "column {column:?} holds {:?}",
                    cell.chars().take(80).collect::<String>()
                ),
            })
    }
}

/// Cuts a body into records by RFC 4180, with LF beside CRLF.
struct Lexer<'a> {
    rest: &'a [u8],
    line: usize,
}

impl Lexer<'_> {
    /// The cells of the next record; says no at the end.
    fn record(&mut self, cells: &mut Vec<String>) -> Result<bool, AnnotatedError> {
        cells.clear();
        if self.rest.is_empty() {
            return Ok(false);
        }
        self.line += 1;
        loop {
            cells.push(self.cell()?);
            match self.rest {
                [b',', rest @ ..] => self.rest = rest,
                [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => {
                    self.rest = rest;
                    return Ok(true);
                }
                [] | [b'\r'] => return Err(AnnotatedError::CutOff { line: self.line }),
                _ => return Err(self.malformed("text follows a quoted cell")),
            }
        }
    }

    fn cell(&mut self) -> Result<String, AnnotatedError> {
        if let [b'"', rest @ ..] = self.rest {
            self.rest = rest;
            return self.quoted();
        }
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'\n'))
            .unwrap_or(self.rest.len());
        let end = match self.rest.get(..end) {
            Some([.., b'\r']) if self.rest.get(end) == Some(&b'\n') => end - 1,
            _ => end,
        };
        let (cell, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.to_text(cell)
    }

    fn quoted(&mut self) -> Result<String, AnnotatedError> {
        let started = self.line;
        let mut cell = Vec::new();
        loop {
            let Some(end) = self.rest.iter().position(|&byte| byte == b'"') else {
                return Err(AnnotatedError::CutOff { line: started });
            };
            let (part, rest) = self.rest.split_at(end);
            self.line += part.split(|&byte| byte == b'\n').count() - 1;
            cell.extend_from_slice(part);
            match &rest[1..] {
                [b'"', rest @ ..] => {
                    cell.push(b'"');
                    self.rest = rest;
                }
                rest => {
                    self.rest = rest;
                    return self.to_text(&cell);
                }
            }
        }
    }

    fn to_text(&self, cell: &[u8]) -> Result<String, AnnotatedError> {
        match std::str::from_utf8(cell) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.malformed("a cell is not UTF-8")),
        }
    }

    fn malformed(&self, problem: &str) -> AnnotatedError {
        AnnotatedError::Malformed {
            line: self.line,
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    type Plain = (String, Option<String>, Option<String>);

    /// Result, time and value of every record.
    fn rows(body: &str) -> Result<Vec<Plain>, AnnotatedError> {
        let mut rows = Vec::new();
        read(body, |record| {
            let own = |column| record.text(column).map(str::to_owned);
            rows.push((record.result().to_owned(), own("_time"), own("_value")));
            Ok(())
        })?;
        Ok(rows)
    }

    /// The example of the specification, with two sections and two results.
    const TWO_RESULTS: &str = "#datatype,string,long,dateTime:RFC3339,double\r\n\
        #group,false,false,false,false\r\n\
        #default,mean,,,\r\n\
        ,result,table,_time,_value\r\n\
        ,,0,2026-01-01T00:00:00Z,61.25\r\n\
        ,,0,2026-01-01T00:01:00Z,\r\n\
        \r\n\
        #datatype,string,long,dateTime:RFC3339,string\r\n\
        #group,false,false,false,false\r\n\
        #default,names,,,none\r\n\
        ,result,table,_time,_value\r\n\
        ,,1,2026-01-01T00:02:00Z,\"a, \"\"b\"\"\r\nc\"\r\n\
        ,,1,,\r\n\
        \r\n";

    #[test]
    fn sections_results_defaults_nulls_and_quotes_are_read() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            rows(TWO_RESULTS).unwrap(),
            [
                (
                    "mean".to_owned(),
                    some("2026-01-01T00:00:00Z"),
                    some("61.25")
                ),
                ("mean".to_owned(), some("2026-01-01T00:01:00Z"), None),
                (
                    "names".to_owned(),
                    some("2026-01-01T00:02:00Z"),
                    some("a, \"b\"\r\nc")
                ),
                ("names".to_owned(), None, some("none")),
            ]
        );
        assert_eq!(rows("").unwrap(), []);
        assert_eq!(rows("\r\n").unwrap(), []);
    }

    #[test]
    fn cells_have_types() {
        let body = "#default,_result,,,\n,result,_time,n,c\n\
                    ,,2026-01-01T00:00:00.123456789Z,-1.5e3,7\n,,soon,x,-1\n,,,,\n";
        let mut seen = Vec::new();
        read(body, |record| {
            seen.push((record.time("_time"), record.number("n"), record.count("c")));
            Ok(())
        })
        .unwrap();
        let at = Timestamp::parse("2026-01-01T00:00:00.123456Z").unwrap();
        assert_eq!(seen[0], (Ok(Some(at)), Ok(Some(-1500.0)), Ok(Some(7))));
        assert!(seen[1].0.is_err() && seen[1].1.is_err() && seen[1].2.is_err());
        assert_eq!(seen[2], (Ok(None), Ok(None), Ok(None)));
    }

    #[test]
    fn an_error_table_is_the_answer() {
        let body = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n\
                    ,error,reference\r\n,\"runtime error: cannot divide\",897\r\n";
        let first = rows(body).unwrap_err();
        assert_eq!(
            first,
            AnnotatedError::Reported("runtime error: cannot divide".into())
        );
        let later = format!("{TWO_RESULTS}{body}");
        assert_eq!(
            rows(&later).unwrap_err(),
            first,
            "after a part of the answer"
        );
    }

    #[test]
    fn what_does_not_fit_is_named_by_line() {
        for (body, expected) in [
            (",result,_time\n,,1,2\n", "line 2: 4 cells under 3 columns"),
            (
                ",result,_time\n,,\"1\"2\n",
                "line 2: text follows a quoted cell",
            ),
            (",result,_time\n,,1", "the body was cut off at line 2"),
            (
                ",result,_time\n,,\"1\n2\n",
                "the body was cut off at line 2",
            ),
        ] {
            assert_eq!(rows(body).unwrap_err().to_string(), expected, "{body:?}");
        }
    }

    #[test]
    fn a_body_cut_anywhere_inside_a_record_is_noticed() {
        for end in 1..TWO_RESULTS.len() {
            let cut = &TWO_RESULTS[..end];
            let whole_lines = cut.ends_with('\n') && cut.matches('"').count().is_multiple_of(2);
            assert_eq!(
                rows(cut).is_ok(),
                whole_lines,
                "{end}: {:?}",
                &cut[end.saturating_sub(20)..]
            );
        }
    }

    fn quoted(cell: &str) -> String {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }

    proptest! {
        #[test]
        fn every_cell_comes_back(
            table in prop::collection::vec(("[a-c\",\n\r °]{0,8}", any::<f64>()), 0..20),
            crlf in any::<bool>(),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut body = format!("#default,r,,{end},result,_time,_value{end}");
            for (cell, number) in &table {
                let _ = write!(body, ",,{},{number}{end}", quoted(cell));
            }
            let mut back = Vec::new();
            read(&body, |record| {
                back.push((record.text("_time").unwrap_or("").to_owned(), record.number("_value")?));
                Ok(())
            }).unwrap();
            prop_assert_eq!(back.len(), table.len());
            for ((cell, number), (cell_back, number_back)) in table.iter().zip(&back) {
                prop_assert_eq!(cell, cell_back);
                let back = number_back.unwrap();
                prop_assert!(back.to_bits() == number.to_bits() || back.is_nan() && number.is_nan());
            }
        }

        #[test]
        fn no_text_makes_it_panic(body in "[#a,\"\r\n0]{0,60}") {
            let _ = rows(&body);
        }
    }
}

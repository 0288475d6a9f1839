//! Lists as CSV, for people who go on in a spreadsheet.
//!
//! RFC 4180 with a header row, in UTF-8 with a byte order mark, without which a spreadsheet
//! garbles Chinese. The next page, when there is one, is in the `Link` header (RFC 8288),
//! because a table has no place for it.

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Words that a person or a device wrote.
    Text(String),
    /// A number or a time; never taken for a formula.
    Plain(String),
}

impl Cell {
    /// A number, a time or a code word.
    pub(crate) fn plain(value: impl std::fmt::Display) -> Self {
        Self::Plain(value.to_string())
    }

    /// The same when there may be none; an empty cell then.
    pub(crate) fn maybe(value: Option<impl std::fmt::Display>) -> Self {
        value.map_or_else(|| Self::Plain(String::new()), Self::plain)
    }

    /// Words that a person or a device wrote.
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// What is written. A spreadsheet runs text that begins like a formula, so that gets a
    /// leading apostrophe.
    fn written(self) -> String {
        match self {
            Self::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
                format!("'{text}")
            }
            Self::Plain(text) | Self::Text(text) => text,
        }
    }
}

/// Whether the answer is wanted as CSV.
///
/// # Errors
/// A problem when `format` is neither `json` nor `csv`.
pub(crate) fn wants_csv(format: Option<&str>, headers: &HeaderMap) -> Result<bool, Problem> {
    match format {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(other) => Err(Problem::invalid_parameter(
            "format",
            format!("format is json or csv, not {other:?}"),
        )),
        None => Ok(headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(prefers_csv)),
    }
}

/// Whether CSV comes before JSON in an Accept header; browsers' `*/*` means JSON.
fn prefers_csv(accept: &str) -> bool {
    accept
        .split(',')
        .filter_map(|range| range.split(';').next().map(str::trim))
        .find(|range| matches!(*range, "text/csv" | "application/json" | "*/*"))
        == Some("text/csv")
}

/// The response for a table.
pub(crate) fn respond(
    name: &str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<Cell>>,
    next: Option<&str>,
    uri: &Uri,
) -> Response {
    let bytes = match write(header, rows) {
        Ok(bytes) => bytes,
        Err(error) => return Problem::from_failure(&error, false).into_response(),
    };
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    let mut response = (
        [
            (
                header::CONTENT_TYPE,
                "text/csv; charset=utf-8; header=present",
            ),
            (header::CACHE_CONTROL, "no-store"),
        ],
        bytes,
    )
        .into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if let Some(value) = next.and_then(|next| HeaderValue::from_str(&link(uri, next)).ok()) {
        headers.insert(header::LINK, value);
    }
    response
}

fn write(header: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.into_iter().map(Cell::written))?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(std::io::Error::from(error.error().kind())))
}

/// The link to the next page, relative to the request: the same filters, another cursor.
fn link(uri: &Uri, next: &str) -> String {
    let others: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .collect();
    let cursor = format!("cursor={next}");
    let query = [others.as_slice(), &[cursor.as_str()]].concat().join("&");
    format!("<?{query}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_never_run_as_formulas() {
        let rows = [
            vec![Cell::text("=1+2"), Cell::plain(-4.5)],
            vec![Cell::text("say \"hi\", pump"), Cell::maybe(None::<f64>)],
            vec![Cell::text("主泵"), Cell::plain("2026-03-01T08:30:00Z")],
        ];
        let text = String::from_utf8(write(&["name", "value"], rows.into_iter()).unwrap()).unwrap();
        assert_eq!(
            text,
            "\u{feff}name,value\r\n'=1+2,-4.5\r\n\"say \"\"hi\"\", pump\",\r\n主泵,2026-03-01T08:30:00Z\r\n"
        );
    }

    #[test]
    fn the_format_parameter_wins_over_the_accept_header() {
        for (format, accept, expected) in [
            (None, "text/csv", Some(true)),
            (None, "text/csv;q=0.9, application/json", Some(true)),
            (None, "application/json, text/csv", Some(false)),
            (None, "text/html,*/*;q=0.8", Some(false)),
            (Some("csv"), "application/json", Some(true)),
            (Some("json"), "text/csv", Some(false)),
            (Some("xml"), "text/csv", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            let got = wants_csv(format, &headers);
            assert_eq!(got.ok(), expected, "{format:?} {accept}");
        }
    }

    #[test]
    fn the_link_to_the_next_page_keeps_the_filters() {
        let uri: Uri = "/api/v1/cases?status=open&cursor=old&limit=2"
            .parse()
            .unwrap();
        assert_eq!(
            link(&uri, "new"),
            "<?status=open&limit=2&cursor=new>; rel=\"next\""
        );
    }
}

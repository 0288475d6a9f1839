//! Reading requests: query, path and JSON body into checked types, or a problem that names
//! the place.
//!
//! axum's own extractors answer in plain text and without the parameter's name; these wrap
//! the same parsers. An unknown query parameter is refused, because a mistyped filter that
//! is ignored gives an answer that looks right. An empty one (`?state=`) counts as absent,
//! which is what a form with an unset filter sends.

use axum::{
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, rejection::BytesRejection,
    },
    http::{HeaderMap, StatusCode, header, request},
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query of a request, checked.
#[derive(Debug, Clone)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

pub(crate) fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let given: Vec<&str> = query
        .split('&')
        .filter(|pair| pair.contains('=') && !pair.ends_with('='))
        .collect();
    let given = given.join("&");
    let pairs = serde_urlencoded::Deserializer::new(form_pairs(&given));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let text = error.into_inner().to_string();
        // Unknown and doubled names are reported by the struct, not by a field: their name
        // stands in backticks in the message.
        let named = text.split('`').nth(1).unwrap_or("query");
        let whole = path == "." || path == "?" || path.is_empty();
        let parameter = if whole { named.to_owned() } else { path };
        let detail = match text.strip_prefix("unknown field") {
            Some(rest) => format!("unknown parameter{rest}"),
            None => format!("{parameter}: {}", text.replace("field", "parameter")),
        };
        Problem::invalid_parameter(parameter, detail)
    })
}

fn form_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

/// One path parameter called `id`, checked.
#[derive(Debug, Clone)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: std::str::FromStr<Err = telemetry::InvalidId> + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::invalid_parameter("id", error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: telemetry::InvalidId| {
                Problem::invalid_parameter("id", error.to_string())
            })
    }
}

/// One path parameter called `id` that is a number, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        Path::<u64>::from_request_parts(parts, state)
            .await
            .map(|Path(number)| Self(number))
            .map_err(|_| Problem::invalid_parameter("id", "the id is a whole number"))
    }
}

/// A JSON body, checked.
#[derive(Debug, Clone)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type(
                "send the body with Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| unreadable(&error, super::MAX_BODY_BYTES))?;
        parse_body(&bytes).map(Self)
    }
}

/// The bytes of a body of any kind, at most so many.
#[derive(Debug, Clone)]
pub(crate) struct Raw<const MOST: usize>(pub(crate) Bytes);

impl<S: Send + Sync, const MOST: usize> FromRequest<S> for Raw<MOST> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(MOST).apply(&mut request);
        Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(|error| unreadable(&error, MOST))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .is_some_and(|mime| {
            mime.eq_ignore_ascii_case("application/json") || mime.ends_with("+json")
        })
}

fn unreadable(error: &BytesRejection, most: usize) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large(format!("the body may hold at most {most} bytes"))
    } else {
        Problem::bad_request(format!("the body cannot be read: {}", error.body_text()))
    }
}

fn parse_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let located = |error: serde_json::Error, field: Option<String>| {
        let mut problem = Problem::malformed_body(error.to_string());
        problem.line = u32::try_from(error.line()).ok();
        problem.column = u32::try_from(error.column()).ok();
        problem.field = field.map(Into::into);
        problem
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let field = (path != "." && path != "?").then_some(path);
        located(error.into_inner(), field)
    })?;
    reader.end().map_err(|error| located(error, None))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use telemetry::{AssetId, Timestamp};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Query {
        asset: Option<AssetId>,
        from: Option<Timestamp>,
        limit: Option<u32>,
    }

    #[test]
    fn a_bad_query_names_its_parameter() {
        for (query, parameter, says) in [
            ("limit=many", "limit", "invalid digit"),
            ("limit=-1", "limit", "invalid digit"),
            ("asset=a%2Fb", "asset", "asset id"),
            ("from=yesterday", "from", "RFC 3339"),
            (
                "assets=pump-1",
                "assets",
                "unknown parameter `assets`, expected one of",
            ),
            ("limit=1&limit=2", "limit", "duplicate parameter"),
        ] {
            let problem = parse_query::<Query>(query).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(parameter), "{query}");
            assert!(problem.detail.contains(says), "{query}: {}", problem.detail);
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        for query in ["", "asset=&limit=", "&&", "asset"] {
            let parsed: Query = parse_query(query).unwrap();
            assert_eq!(
                parsed,
                Query {
                    asset: None,
                    from: None,
                    limit: None
                },
                "{query}"
            );
        }
        let parsed: Query = parse_query("from=2026-03-01T08%3A30%3A00%2B01%3A00").unwrap();
        assert_eq!(
            parsed.from,
            Some(Timestamp::parse("2026-03-01T07:30:00Z").unwrap())
        );
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        by: String,
        #[expect(dead_code, reason = "only its parsing is looked at")]
        skills: Vec<u32>,
    }

    #[test]
    fn a_bad_body_says_where() {
        for (body, line, column, field) in [
            ("{", 1, 1, None),
            (
                "{\n  \"by\": \"a\",\n  \"skills\": [1, \"x\"]}",
                3,
                19,
                Some("skills[1]"),
            ),
            ("{\"by\": \"a\", \"skills\": []} x", 1, 27, None),
            ("", 1, 0, None),
        ] {
            let problem = parse_body::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.status, 400, "{body}");
            assert_eq!(
                (problem.line, problem.column),
                (Some(line), Some(column)),
                "{body}"
            );
            assert_eq!(problem.field.as_deref(), field, "{body}");
        }
    }
}

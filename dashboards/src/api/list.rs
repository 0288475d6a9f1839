//! What every list of the API shares: filters and paging out of the query, a page of JSON or
//! the same page as a table.
//!
//! A resource says what its filters are, how a page of it is read, and what a row of its
//! table holds ([`Listed`]); [`Listing`] does the rest, so that no list can forget its limit,
//! take a foreign cursor or export other columns than it promises.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{Uri, request},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::{
    extract::parse_query,
    page::{DEFAULT_LIMIT, MAX_LIMIT, Page, Window},
    problem::Problem,
    table::{self, Cell},
};

/// An item of a list that is also a row of a table.
pub(crate) trait Listed: Serialize {
    /// The name of the exported file, without its ending.
    const NAME: &'static str;
    /// The columns of the table.
    const COLUMNS: &'static [&'static str];

    /// The cells of its row, one a column.
    fn row(self) -> Vec<Cell>;
}

/// What every list takes besides its filters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
    /// `json` or `csv`; the Accept header decides when it is missing.
    format: Option<String>,
}

/// The names in [`PageParams`].
const PAGING: [&str; 3] = ["limit", "cursor", "format"];

/// The filters of a list that has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoFilter {}

/// A request for a page of a list.
#[derive(Debug)]
pub(crate) struct Listing<F, const MOST: u32 = MAX_LIMIT> {
    /// Its filters.
    pub(crate) filter: F,
    /// Which page.
    pub(crate) window: Window,
    /// Whether it is wanted as a table.
    pub(crate) csv: bool,
    uri: Uri,
}

impl<F, S, const MOST: u32> FromRequestParts<S> for Listing<F, MOST>
where
    F: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let is_paging = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            PAGING.contains(&name)
        };
        let (paging, filters): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_paging);
        let filter = parse_query(&repeated_as_list(&filters)).map_err(also_paging)?;
        let paging: PageParams = parse_query(&paging.join("&"))?;
        let csv = table::wants_csv(paging.format.as_deref(), &parts.headers)?;
        // An export that stops after a screenful would surprise.
        let default = if csv { MOST } else { DEFAULT_LIMIT };
        let cursor = paging.cursor.as_deref();
        Ok(Self {
            filter,
            window: Window::with_default(paging.limit, cursor, default, MOST)?,
            csv,
            uri: parts.uri.clone(),
        })
    }
}

/// A repeated `signal` means several, as if they had been written with commas.
fn repeated_as_list(pairs: &[&str]) -> String {
    const NAME: &str = "signal=";
    let (signals, others): (Vec<&str>, Vec<&str>) =
        pairs.iter().partition(|pair| pair.starts_with(NAME));
    let names: Vec<&str> = signals.iter().map(|pair| &pair[NAME.len()..]).collect();
    let signals = format!("{NAME}{}", names.join(","));
    [others.as_slice(), &[signals.as_str()]].concat().join("&")
}

/// The list of known parameters in the problem of an unknown one, completed.
fn also_paging(mut problem: Problem) -> Problem {
    if problem.detail.starts_with("unknown parameter") {
        problem.detail =
            format!("{}; every list takes {}", problem.detail, PAGING.join(", ")).into();
    }
    problem
}

impl<F, const MOST: u32> Listing<F, MOST> {
    /// The page as it was asked for.
    pub(crate) fn answer<T: Listed>(&self, page: Page<T>) -> Response {
        if !self.csv {
            return Json(page).into_response();
        }
        let rows = page.items.into_iter().map(T::row);
        self.table(T::NAME, T::COLUMNS, rows, page.next.as_deref())
    }

    /// A table that is no plain list of items.
    pub(crate) fn table(
        &self,
        name: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Cell>>,
        next: Option<&str>,
    ) -> Response {
        table::respond(name, columns, rows, next, &self.uri)
    }

    /// The answer out of a whole list that is sorted by its key.
    pub(crate) fn cut<T: Listed>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Response {
        self.answer(self.window.cut(items, key))
    }
}

/// Reads a page and one item more, which tells whether there is a next page, from a source
/// that gives no more than a whole page at once.
///
/// # Errors
/// What the source says.
pub(crate) async fn one_more<T, K, E, Fetched>(
    window: &Window,
    after: Option<K>,
    key: impl Fn(&T) -> K,
    fetch: impl Fn(Option<K>, u32) -> Fetched,
) -> Result<Vec<T>, E>
where
    Fetched: Future<Output = Result<Vec<T>, E>>,
{
    let mut items = fetch(after, window.limit as u32).await?;
    if items.len() == window.limit
        && let Some(last) = items.last().map(key)
    {
        items.extend(fetch(Some(last), 1).await?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::Request};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        colour: Option<String>,
    }

    #[derive(Debug, Serialize)]
    struct Thing(&'static str);

    impl Listed for Thing {
        const NAME: &'static str = "things";
        const COLUMNS: &'static [&'static str] = &["name"];

        fn row(self) -> Vec<Cell> {
            vec![Cell::text(self.0)]
        }
    }

    async fn ask(uri: &str) -> Result<Listing<Filter, 50>, Problem> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        Listing::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn filters_and_paging_are_told_apart_and_checked() {
        let list = ask("/things?limit=7&colour=red&cursor=").await.unwrap();
        assert_eq!(list.filter.colour.as_deref(), Some("red"));
        assert_eq!((list.window.limit, list.csv), (7, false));
        assert_eq!(ask("/things?format=csv").await.unwrap().window.limit, 50);
        for (uri, parameter, says) in [
            ("/things?limit=51", "limit", "1 to 50"),
            ("/things?limit=1&limit=2", "limit", "duplicate"),
            ("/things?color=red", "color", "colour"),
            ("/things?color=red", "color", "limit, cursor, format"),
        ] {
            let problem = ask(uri).await.unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(parameter), "{uri}");
            assert!(problem.detail.contains(says), "{uri}: {}", problem.detail);
        }
    }

    #[tokio::test]
    async fn a_page_is_json_or_a_table_of_the_same_items() {
        for (uri, expected) in [
            ("/things?limit=2", r#"{"items":["a","b"],"next":"Yg"}"#),
            ("/things?limit=2&format=csv", "\u{feff}name\r\na\r\nb\r\n"),
        ] {
            let things = vec![Thing("a"), Thing("b"), Thing("c")];
            let response = ask(uri)
                .await
                .unwrap()
                .cut(things, |thing| thing.0.to_owned());
            let body = to_bytes(response.into_body(), 1_000).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&body), expected);
        }
    }

    #[tokio::test]
    async fn one_item_more_is_fetched_only_after_a_full_page() {
        let source = |after: Option<u32>, limit: u32| {
            let from = after.map_or(0, |after| after + 1);
            let items: Vec<u32> = (from..7).take(limit as usize).collect();
            std::future::ready(Ok::<_, ()>(items))
        };
        for (limit, after, expected) in [
            (3, None, vec![0, 1, 2, 3]),
            (3, Some(3), vec![4, 5, 6]),
            (9, None, vec![0, 1, 2, 3, 4, 5, 6]),
        ] {
            let window = Window { limit, after: None };
            let got = one_more(&window, after, |item| *item, source).await;
            assert_eq!(got, Ok(expected), "{limit} {after:?}");
        }
    }
}

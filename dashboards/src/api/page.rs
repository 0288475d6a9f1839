//! Lists in pages.
//!
//! A page continues from the key of its last item (keyset paging), so inserting while a
//! client walks neither repeats nor skips what was there when the walk began. The cursor is
//! that key in base64: opaque to clients, and free to change.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;

/// Items of a page when `limit` is not given: a screen or two.
pub const DEFAULT_LIMIT: u32 = 100;
/// Most items of a page: about a megabyte of the largest kind.
pub const MAX_LIMIT: u32 = 1_000;
/// Most readings of a page: a reading is fifty bytes.
pub const MAX_READINGS: u32 = 10_000;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; null on the last page.
    pub next: Option<String>,
}

/// A page's bounds, from `limit` and `cursor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Most items.
    pub limit: usize,
    /// The key of the last item of the page before.
    pub after: Option<String>,
}

impl Window {
    /// Checks `limit` and `cursor` as they were given.
    ///
    /// # Errors
    /// A problem that names the parameter.
    pub fn new(limit: Option<u32>, cursor: Option<&str>, most: u32) -> Result<Self, Problem> {
        Self::with_default(limit, cursor, DEFAULT_LIMIT, most)
    }

    /// The same with another default, such as the most for an export.
    ///
    /// # Errors
    /// A problem that names the parameter.
    pub fn with_default(
        limit: Option<u32>,
        cursor: Option<&str>,
        default: u32,
        most: u32,
    ) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(default);
        if !(1..=most).contains(&limit) {
            return Err(Problem::invalid_parameter(
                "limit",
                format!("limit is 1 to {most}, not {limit}"),
            ));
        }
        Ok(Self {
            limit: limit as usize,
            after: cursor.map(decode_cursor).transpose()?,
        })
    }

    /// The key after which the page begins, parsed.
    ///
    /// # Errors
    /// A problem that names the cursor when its key is none of this list.
    pub fn after_as<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        self.after
            .as_deref()
            .map(|key| key.parse().map_err(|_| foreign_cursor()))
            .transpose()
    }

    /// Makes the page of items that were fetched with one more than the limit; the extra one
    /// tells that there is a next page.
    pub fn page<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| encode_cursor(&key(last)));
        Page { items, next }
    }

    /// Makes the page out of a whole list that is sorted by its key.
    pub fn cut<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let items = items
            .into_iter()
            .filter(|item| self.after.as_ref().is_none_or(|after| key(item) > *after))
            .take(self.limit + 1)
            .collect();
        self.page(items, key)
    }
}

/// The cursor that continues after a key.
pub fn encode_cursor(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

fn decode_cursor(cursor: &str) -> Result<String, Problem> {
    BASE64_URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(foreign_cursor)
}

/// The problem of a cursor that this list did not give out.
pub fn foreign_cursor() -> Problem {
    Problem::invalid_parameter(
        "cursor",
        "the cursor was not given out by this list; leave it out to begin at the first page",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_sees_every_item_once_though_others_are_inserted_and_removed() {
        let mut list: Vec<String> = (0..50).map(|n| format!("{:03}", n * 10)).collect();
        let there_from_the_start = list.clone();
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for round in 0.. {
            let window = Window::new(Some(7), cursor.as_deref(), MAX_LIMIT).unwrap();
            let page = window.cut(list.clone(), Clone::clone);
            assert!(page.items.len() <= 7);
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            for key in [round * 13 % 500, round * 31 % 500] {
                list.push(format!("{key:03}x"));
            }
            list.sort();
        }
        seen.retain(|key| !key.ends_with('x'));
        assert_eq!(seen, there_from_the_start);
    }

    #[test]
    fn limits_and_cursors_out_of_range_name_the_parameter() {
        for (limit, cursor, parameter) in [
            (Some(0), None, "limit"),
            (Some(1_001), None, "limit"),
            (None, Some("not base64!"), "cursor"),
            (None, Some("_-8"), "cursor"),
        ] {
            let problem = Window::new(limit, cursor, MAX_LIMIT).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(parameter));
        }
        let text = Window::new(None, Some(&encode_cursor("pump-1")), MAX_LIMIT).unwrap();
        assert!(text.after_as::<u64>().is_err());
        assert_eq!(text.limit, 100);
    }

    #[test]
    fn the_last_page_has_no_next_even_when_it_is_full() {
        let window = Window {
            limit: 3,
            after: None,
        };
        let page = window.cut(vec!["a", "b", "c"], ToString::to_string);
        assert_eq!((page.items.len(), page.next), (3, None));
        let page = window.cut(Vec::<String>::new(), Clone::clone);
        assert_eq!((page.items.len(), page.next), (0, None));
    }
}

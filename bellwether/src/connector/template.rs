//! Templates: what another system wants to be told, with places for what is known of an order.
//!
//! A template is JSON in which `{{name}}` stands for a fact of the order and `{{name|map}}` for the
//! word that a table of the mapping gives for it. A text that is nothing but one place becomes the
//! fact as it is, a number or null; otherwise facts are written into the text. Facts are put into
//! parsed JSON and into encoded addresses, never into their text, so none can break out.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// Facts by name.
pub(crate) type Facts = BTreeMap<&'static str, Value>;
/// Words by table, then by fact.
pub(crate) type Words = BTreeMap<String, BTreeMap<String, Value>>;

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Place { name: &'a str, map: Option<&'a str> },
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find("}}") else {
            bail!("{text:?} opens a place with {{{{ that it does not close");
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let inside = &from[2..end];
        let (name, map) = match inside.split_once('|') {
            Some((name, map)) => (name.trim(), Some(map.trim())),
            None => (inside.trim(), None),
        };
        pieces.push(Piece::Place { name, map });
        rest = &from[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Refuses places that no order fills and tables that the mapping does not have.
///
/// # Errors
/// The first that is wrong, in words.
pub(crate) fn check_text(text: &str, names: &[&str], words: &Words) -> Result<()> {
    for piece in pieces(text)? {
        if let Piece::Place { name, map } = piece {
            if !names.contains(&name) {
                bail!(
                    "{{{{{name}}}}} is no fact of an order; there are {}",
                    names.join(", ")
                );
            }
            if let Some(map) = map.filter(|map| !words.contains_key(*map)) {
                bail!("there is no table [words.{map}]");
            }
        }
    }
    Ok(())
}

/// [`check_text`] for each text of a template.
///
/// # Errors
/// Likewise.
pub(crate) fn check(template: &Value, names: &[&str], words: &Words) -> Result<()> {
    match template {
        Value::String(text) => check_text(text, names, words),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, names, words)),
        Value::Object(fields) => fields
            .values()
            .try_for_each(|item| check(item, names, words)),
        _ => Ok(()),
    }
}

fn fact(facts: &Facts, words: &Words, name: &str, map: Option<&str>) -> Value {
    let value = facts.get(name).cloned().unwrap_or(Value::Null);
    let Some(map) = map else {
        return value;
    };
    let told = words.get(map).and_then(|words| {
        // Whatever no word is told for may have one of its own.
        words.get(&text_of(&value)).or_else(|| words.get("*"))
    });
    told.cloned().unwrap_or(value)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn filled(text: &str, facts: &Facts, words: &Words, encode: fn(&str) -> String) -> Value {
    // Templates are checked when they are read, so that this one can be taken apart.
    let pieces = pieces(text).unwrap_or_default();
    if let [Piece::Place { name, map }] = pieces.as_slice() {
        return fact(facts, words, name, *map);
    }
    let mut told = String::with_capacity(text.len());
    for piece in pieces {
        match piece {
            Piece::Text(text) => told.push_str(text),
            Piece::Place { name, map } => {
                told.push_str(&encode(&text_of(&fact(facts, words, name, map))));
            }
        }
    }
    Value::String(told)
}

/// A template with its places filled.
pub(crate) fn fill(template: &Value, facts: &Facts, words: &Words) -> Value {
    match template {
        Value::String(text) => filled(text, facts, words, str::to_owned),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill(item, facts, words)).collect())
        }
        Value::Object(fields) => {
            let filled = fields
                .iter()
                .map(|(name, item)| (name.clone(), fill(item, facts, words)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// A path with its places filled and encoded.
pub(crate) fn fill_path(path: &str, facts: &Facts, words: &Words) -> String {
    match filled(path, facts, words, percent) {
        Value::String(text) => text,
        other => percent(&text_of(&other)),
    }
}

/// A header with its places filled; what no header may hold is left out.
pub(crate) fn fill_header(text: &str, facts: &Facts, words: &Words) -> String {
    let told = text_of(&filled(text, facts, words, str::to_owned));
    told.chars().filter(|c| (' '..='~').contains(c)).collect()
}

/// Everything but what RFC 3986 leaves unreserved.
fn percent(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            told.push(char::from(byte));
        } else {
            let _ = write!(told, "%{byte:02X}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Facts {
        Facts::from([
            ("title", json!("Renew \"it\"}} {{case}}")),
            ("priority", json!(2)),
            ("due", Value::Null),
            ("case", json!("C-1/ä&x")),
        ])
    }

    fn words() -> Words {
        let table = |pairs: &[(&str, Value)]| {
            pairs
                .iter()
                .map(|(from, to)| ((*from).to_owned(), to.clone()))
                .collect()
        };
        Words::from([(
            "p".to_owned(),
            table(&[("2", json!("high")), ("*", json!("low"))]),
        )])
    }

    #[test]
    fn facts_keep_their_type_alone_and_become_text_among_text() {
        let template = json!({ "a": "{{priority}}", "b": ["P{{priority}}", "{{due}}", "-{{due}}-"],
            "c": "{{ priority | p }}", "d": "{{due|p}}", "e": 7 });
        let told = fill(&template, &facts(), &words());
        assert_eq!(
            told,
            json!({ "a": 2, "b": ["P2", null, "--"], "c": "high", "d": "low", "e": 7 })
        );
    }

    #[test]
    fn no_fact_breaks_out_of_its_place() {
        let told = fill(&json!({ "t": "<{{title}}>" }), &facts(), &words());
        assert_eq!(told["t"], "<Renew \"it\"}} {{case}}>");
        let path = fill_path("/o?where=ref=\"{{case}}\"", &facts(), &words());
        assert_eq!(path, "/o?where=ref=\"C-1%2F%C3%A4%26x\"");
        let header = fill_header("{{case}}\r\nx: 1", &facts(), &words());
        assert_eq!(header, "C-1/&xx: 1");
    }

    #[test]
    fn what_no_order_fills_is_refused() {
        let names = ["case", "priority"];
        for (text, good) in [
            ("{{case}} {{priority|p}}", true),
            ("no place", true),
            ("{{cse}}", false),
            ("{{case|q}}", false),
            ("{{case", false),
        ] {
            let checked = check(&json!([{ "x": text }]), &names, &words());
            assert_eq!(checked.is_ok(), good, "{text}");
        }
    }
}

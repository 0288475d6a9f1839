//! The rich part of a mail: a few elements, all values escaped, no script, style sheet or image.

use std::fmt::Write as _;

use super::super::words::Words;

/// The message as HTML.
pub fn html(words: &Words) -> String {
    let mut page = String::from("<!doctype html><html><body>");
    let _ = write!(page, "<h3>{}</h3>", escape(&words.subject));
    if !words.text.is_empty() {
        let _ = write!(page, "<p>{}</p>", escape(&words.text));
    }
    page.push_str("<table>");
    for (label, value) in &words.lines {
        let (label, value) = (escape(label), escape(value));
        let _ = write!(
            page,
            "<tr><th align=\"left\">{label}</th><td>{value}</td></tr>"
        );
    }
    page.push_str("</table>");
    if let Some((name, url)) = &words.link {
        let _ = write!(
            page,
            "<p><a href=\"{}\">{}</a></p>",
            escape(url),
            escape(name)
        );
    }
    let _ = write!(
        page,
        "<p><small>{}</small></p></body></html>",
        escape(&words.id)
    );
    page
}

/// A text that means itself between tags and inside of quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

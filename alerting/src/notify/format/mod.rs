//! A message as each channel wants it. Every value is escaped for the markup of its format; what
//! people typed can neither add a link, nor a mention, nor a tag.

mod chat;
mod cloudevent;
mod html;
#[cfg(test)]
mod tests;

pub use chat::{dingtalk, feishu, slack, teams, wecom};
pub use cloudevent::{MEDIA_TYPE, cloudevent};
pub use html::html;

use std::fmt::Write as _;

use super::words::Words;

/// The message as plain text, for mail and for clients that show nothing else.
pub fn plain(words: &Words) -> String {
    let mut text = String::new();
    if !words.text.is_empty() {
        text.push_str(&words.text);
        text.push_str("\n\n");
    }
    for (label, value) in &words.lines {
        text.push_str(label);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
    if let Some((name, url)) = &words.link {
        let _ = writeln!(text, "\n{name}: {url}");
    }
    let _ = writeln!(text, "\n{}", words.id);
    text
}

/// The first `most` bytes of a text, cut between characters, with a sign that it was cut.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

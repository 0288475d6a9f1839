//! Writing calendars: the few properties that every program reads, folded and escaped.
//!
//! # Source
//! RFC 5545, sections 3.1 (lines of at most 75 octets), 3.3.11 (text) and 3.6.1 (events); RFC 7986
//! for `REFRESH-INTERVAL`.

use std::time::Duration;

use telemetry::Timestamp;

/// Octets of a line without its end.
const MAX_LINE: usize = 75;
/// How long a visit is in the calendar when nobody has said how long it takes.
const VISIT: Duration = Duration::from_hours(2);

/// Whether an entry still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It does.
    Confirmed,
    /// It was called off; calendars strike it out.
    Cancelled,
}

/// One visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The same however often the visit changes.
    pub(super) uid: String,
    /// When it changed last.
    pub(super) changed_at: Timestamp,
    /// When it begins.
    pub(super) from: Timestamp,
    /// What it is.
    pub(super) title: String,
    /// What else there is to know; may have several lines.
    pub(super) text: String,
    /// Where.
    pub(super) place: Option<String>,
    /// Where to read on.
    pub(super) url: Option<String>,
    /// Whether it still holds.
    pub(super) status: Status,
}

/// A calendar of these entries.
pub(super) fn calendar(name: &str, entries: &[Entry]) -> String {
    let mut lines = Lines(String::new());
    lines.put("BEGIN:VCALENDAR");
    lines.put("VERSION:2.0");
    lines.put("PRODID:-//Bellwether//Planned visits//EN");
    lines.put("CALSCALE:GREGORIAN");
    lines.put("METHOD:PUBLISH");
    lines.text("X-WR-CALNAME", name);
    lines.put("REFRESH-INTERVAL;VALUE=DURATION:PT15M");
    for entry in entries {
        lines.put("BEGIN:VEVENT");
        lines.text("UID", &entry.uid);
        lines.put(&format!("DTSTAMP:{}", time(entry.changed_at)));
        lines.put(&format!("LAST-MODIFIED:{}", time(entry.changed_at)));
        // A number that rises with every change, so that programs take the newer one.
        let sequence = entry.changed_at.as_millis() / 1_000;
        lines.put(&format!(
            "SEQUENCE:{}",
            sequence.clamp(0, i64::from(i32::MAX))
        ));
        lines.put(&format!("DTSTART:{}", time(entry.from)));
        lines.put(&format!("DTEND:{}", time(entry.from + VISIT)));
        lines.text("SUMMARY", &entry.title);
        if !entry.text.is_empty() {
            lines.text("DESCRIPTION", &entry.text);
        }
        if let Some(place) = &entry.place {
            lines.text("LOCATION", place);
        }
        if let Some(url) = entry
            .url
            .as_ref()
            .filter(|url| !url.chars().any(char::is_control))
        {
            lines.put(&format!("URL:{url}"));
        }
        lines.put(match entry.status {
            Status::Confirmed => "STATUS:CONFIRMED",
            Status::Cancelled => "STATUS:CANCELLED",
        });
        lines.put("END:VEVENT");
    }
    lines.put("END:VCALENDAR");
    lines.0
}

fn time(at: Timestamp) -> String {
    at.to_utc().format("%Y%m%dT%H%M%SZ").to_string()
}

struct Lines(String);

impl Lines {
    /// A property whose value is text.
    fn text(&mut self, name: &str, value: &str) {
        self.put(&format!("{name}:{}", escaped(value)));
    }

    /// A line, folded between characters: what follows begins with a space, which counts.
    fn put(&mut self, line: &str) {
        let mut used = 0;
        for c in line.chars() {
            if used + c.len_utf8() > MAX_LINE {
                self.0.push_str("\r\n ");
                used = 1;
            }
            self.0.push(c);
            used += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

/// A text in which nothing ends the value or the line.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' | ';' | ',' => {
                safe.push('\\');
                safe.push(c);
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => safe.push_str("\\n"),
            '\t' => safe.push(' '),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            uid: "WO-000001@bellwether".to_owned(),
            changed_at: Timestamp::parse("2026-03-01T08:30:00Z").unwrap(),
            from: Timestamp::parse("2026-03-29T00:30:00Z").unwrap(),
            title: "WO-000001 Pump 7; hall, 3".to_owned(),
            text: "bearing-wear\r\nEND:VEVENT\nc:\\temp".to_owned(),
            place: Some(
                "上海泵站，二号车间，靠近东门的冷却水循环泵房，请联系值班人员办理入场手续"
                    .to_owned(),
            ),
            url: Some("https://bellwether.example/work-orders/WO-000001".to_owned()),
            status: Status::Confirmed,
        }
    }

    /// What a reader does first (RFC 5545, 3.1): joins what was folded.
    fn unfolded(text: &str) -> Vec<String> {
        let joined = text.replace("\r\n ", "");
        joined.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_calendar_is_read_back_as_it_was_meant() {
        let text = calendar("Bellwether", &[entry()]);
        let lines = unfolded(&text);
        for line in [
            "UID:WO-000001@bellwether",
            "DTSTAMP:20260301T083000Z",
            "DTSTART:20260329T003000Z",
            "DTEND:20260329T023000Z",
            "SUMMARY:WO-000001 Pump 7\\; hall\\, 3",
            "DESCRIPTION:bearing-wear\\nEND:VEVENT\\nc:\\\\temp",
            "URL:https://bellwether.example/work-orders/WO-000001",
            "STATUS:CONFIRMED",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}\n{text}");
        }
        let place = entry().place.unwrap();
        assert!(lines.contains(&format!("LOCATION:{place}")), "{text}");
        // What a note says ends no event.
        let ends = lines.iter().filter(|line| *line == "END:VEVENT").count();
        assert_eq!(ends, 1);
    }

    #[test]
    fn no_line_is_longer_than_75_octets_and_each_ends_as_it_must() {
        let text = calendar("Bellwether", &[entry(), entry()]);
        assert!(text.ends_with("END:VCALENDAR\r\n"));
        for line in text.split("\r\n") {
            assert!(line.len() <= 75, "{} {line}", line.len());
            assert!(!line.contains(['\r', '\n']));
        }
    }

    #[test]
    fn what_was_called_off_says_so() {
        let mut called_off = entry();
        called_off.status = Status::Cancelled;
        assert!(calendar("B", &[called_off]).contains("\r\nSTATUS:CANCELLED\r\n"));
    }
}

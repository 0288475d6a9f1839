//! What a payload is: by what the sender said, or by what it unmistakably is.
//!
//! | content type | read as |
//! |---|---|
//! | none, `text/plain`, `application/octet-stream`, `application/x-www-form-urlencoded` | sniffed |
//! | `application/json`, `…+json` | JSON |
//! | `application/senml+json`, `application/sensml+json`, the same with `+cbor` | `SenML` |
//! | a subtype with `influx` or `line-protocol` | line protocol |
//! | `application/vnd.bellwether.waveform` | waveform |
//! | `application/gzip`, or any of these with `+gzip` | unpacked, then as above |
//!
//! Everything else is refused as `unsupported_format`. Sniffing never guesses: an array whose
//! first object has a text under `bn` or `n` is `SenML`, for in the default JSON every value is
//! a number; bytes that cannot begin UTF-8 text and are a CBOR array of maps are `SenML` in
//! CBOR; a property `sample_rate_hz` comes with waveforms only; a word, a space and `key=` are
//! line protocol.
//!
//! gzip is unpacked piece by piece, and given up at 100 times its size or 4 MiB, whichever
//! comes first, so that a bomb never takes more memory than that.

use std::{borrow::Cow, io::Read};

use flate2::read::MultiGzDecoder;
use telemetry::DeadLetterReason as Reason;

use super::{Format, Message, refuse::quote, scan::Scanner, senml::Encoding};

/// Unpacked bytes at most: as much as a dead letter can keep.
pub(super) const MAX_UNPACKED_BYTES: usize = 4 << 20;

/// Unpacked bytes for each packed one at most. Telemetry text packs about 10:1; deflate can
/// reach 1,032:1.
const MAX_RATIO: usize = 100;

/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// What kind of payload it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Number,
    Senml(Encoding),
    Line,
    Waveform,
}

/// A payload, unpacked.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) content: Content,
}

/// What is wrong with a payload.
type Wrong = (Reason, String);

/// What a content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    packed: bool,
    /// None means that the payload has to be looked at.
    content: Option<Content>,
}

/// Unpacks a payload and finds out what it is.
pub(super) fn open<'a>(
    message: Message<'a>,
    format: &Format,
    names_signal: bool,
) -> Result<Payload<'a>, Wrong> {
    let auto = *format == Format::Auto;
    let said = match message.content_type {
        None | Some("") => None,
        Some(text) => match said(text) {
            Ok(said) => Some(said),
            // The pattern says what it is, whatever the sender calls it.
            Err(_) if !auto => None,
            Err(wrong) => return Err(wrong),
        },
    };
    let packed = said.is_some_and(|said| said.packed);
    let bytes = if packed {
        Cow::Owned(gunzip(message.payload)?)
    } else {
        unpack(message, auto)?
    };
    let told = said.and_then(|said| said.content);
    let content = match format {
        Format::Auto => match told {
            Some(Content::Json) if names_signal => Content::Number,
            Some(content) => content,
            None => sniff(&message, &bytes, names_signal),
        },
        Format::Number => Content::Number,
        Format::Senml => match told {
            Some(Content::Senml(encoding)) => Content::Senml(encoding),
            _ => Content::Senml(Encoding::sniff(&bytes)),
        },
        Format::LineProtocol(_) => Content::Line,
        Format::Waveform => Content::Waveform,
        Format::Json | Format::JsonPaths(_) | Format::Sparkplug => Content::Json,
    };
    Ok(Payload { bytes, content })
}

/// Unpacks a payload whose property `content-encoding` says so, or that begins like gzip.
pub(super) fn unpack(message: Message<'_>, by_magic: bool) -> Result<Cow<'_, [u8]>, Wrong> {
    let encoding = if message.properties.is_empty() {
        None
    } else {
        message.property("content-encoding")
    };
    match encoding {
        Some(text) if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") => {
            gunzip(message.payload).map(Cow::Owned)
        }
        Some(text) if !text.is_empty() && !text.eq_ignore_ascii_case("identity") => Err((
            Reason::UnsupportedFormat,
            format!(
                "the encoding {} is none that is understood; send gzip or nothing",
                quote(text)
            ),
        )),
        _ if by_magic && message.payload.starts_with(&[0x1f, 0x8b]) => {
            gunzip(message.payload).map(Cow::Owned)
        }
        _ => Ok(Cow::Borrowed(message.payload)),
    }
}

fn said(text: &str) -> Result<Said, Wrong> {
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    let unsupported = |what: &str, value: &str| {
        let value = quote(value);
        Err((
            Reason::UnsupportedFormat,
            format!(
                "the {what} {value} is none that is understood; send application/json, application/senml+json, application/senml+cbor, text/vnd.influx.line-protocol or application/vnd.bellwether.waveform"
            ),
        ))
    };
    if let Some(charset) = charset
        && !matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")
    {
        return unsupported("charset", &charset);
    }
    let (plain, packed) = match kind.strip_suffix("+gzip") {
        Some(plain) => (plain, true),
        None => (kind.as_str(), false),
    };
    let content = match plain {
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
            None
        }
        "application/gzip" | "application/x-gzip" => {
            return Ok(Said {
                packed: true,
                content: None,
            });
        }
        "application/senml+json" | "application/sensml+json" => {
            Some(Content::Senml(Encoding::Json))
        }
        "application/senml+cbor" | "application/sensml+cbor" => {
            Some(Content::Senml(Encoding::Cbor))
        }
        "application/vnd.bellwether.waveform" => Some(Content::Waveform),
        "application/json" | "text/json" => Some(Content::Json),
        other if other.ends_with("+json") => Some(Content::Json),
        other if other.contains("influx") || other.contains("line-protocol") => Some(Content::Line),
        _ => return unsupported("content type", text),
    };
    Ok(Said { packed, content })
}

fn sniff(message: &Message<'_>, bytes: &[u8], names_signal: bool) -> Content {
    if !message.properties.is_empty() && message.property("sample_rate_hz").is_some() {
        return Content::Waveform;
    }
    let json = if names_signal {
        Content::Number
    } else {
        Content::Json
    };
    let start = bytes
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(bytes.len());
    match bytes[start..] {
        [b'[', ..] if is_senml_json(&bytes[start..]) => Content::Senml(Encoding::Json),
        [0x81..=0x9f, 0xa0..=0xbf, ..] => Content::Senml(Encoding::Cbor),
        [b'{' | b'[' | b'"', ..] => json,
        _ if looks_like_line(&bytes[start..]) => Content::Line,
        _ => json,
    }
}

/// Whether the first object of an array has a text under `bn` or `n`.
fn is_senml_json(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(MAX_SNIFFED_BYTES)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    // What comes first in an object of signals is rarely a label of SenML.
    let first = text.trim_start_matches(['[', ' ', '\t', '\r', '\n']);
    let first = first.trim_start_matches(['{', ' ', '\t', '\r', '\n']);
    if !LABELS.iter().any(|label| first.starts_with(label)) {
        return false;
    }
    let mut scanner = Scanner::new(text);
    if !scanner.take(b'[') || !scanner.take(b'{') {
        return false;
    }
    loop {
        let (Ok(key), Ok(value)) = (scanner.key(), scanner.value()) else {
            return false;
        };
        if matches!(key.raw, "bn" | "n") && matches!(value, super::scan::Value::Text(_)) {
            return true;
        }
        if !scanner.take(b',') {
            return false;
        }
    }
}

/// The labels of RFC 8428, as they begin in JSON.
const LABELS: [&str; 14] = [
    "\"bn\"", "\"bt\"", "\"bu\"", "\"bv\"", "\"bs\"", "\"bver\"", "\"n\"", "\"u\"", "\"v\"",
    "\"vs\"", "\"vb\"", "\"vd\"", "\"s\"", "\"t\"",
];

/// Enough for the first record of any pack, whose texts are short.
const MAX_SNIFFED_BYTES: usize = 4_096;

/// Whether the first line that says anything has a word, a space, and `key=`.
fn looks_like_line(bytes: &[u8]) -> bool {
    let Some(line) = bytes
        .split(|&byte| byte == b'\n')
        .find(|line| !line.is_empty() && line[0] != b'#')
    else {
        return false;
    };
    let line = &line[..line.len().min(MAX_SNIFFED_BYTES)];
    let mut escaped = false;
    let space = line.iter().position(|&byte| {
        let found = byte == b' ' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    });
    let Some(space) = space else {
        return false;
    };
    let fields = &line[space + 1..];
    fields
        .iter()
        .position(|&byte| byte == b'=')
        .is_some_and(|equals| equals > 0 && !fields[..equals].contains(&b' '))
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, Wrong> {
    let limit = MAX_UNPACKED_BYTES.min(packed.len().saturating_mul(MAX_RATIO));
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(packed);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match reader.read(&mut piece) {
            Ok(0) => return Ok(unpacked),
            Ok(count) => count,
            Err(error) => {
                return Err((
                    Reason::MalformedPayload,
                    format!("the payload is no whole gzip stream: {error}; send it again"),
                ));
            }
        };
        if unpacked.len() + count > limit {
            return Err((
                Reason::TooLarge,
                format!(
                    "the payload unpacks to more than {limit} bytes (at most {MAX_RATIO} times its size and {MAX_UNPACKED_BYTES} bytes); send smaller batches"
                ),
            ));
        }
        if unpacked.capacity() < unpacked.len() + count {
            let more = unpacked.len().max(count).min(limit - unpacked.len());
            unpacked.reserve_exact(more);
        }
        unpacked.extend_from_slice(&piece[..count]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use telemetry::Timestamp;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_given_up_at_a_hundred_times_its_size() {
        let bomb = gzip(&vec![b' '; 3 << 20]);
        assert!(bomb.len() < 4_000, "it is a bomb");
        assert_eq!(gunzip(&bomb).unwrap_err().0, Reason::TooLarge);

        let mut noise = vec![0_u8; 5 << 20];
        let mut state = 1_u32;
        for byte in &mut noise {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = b' ' + (state >> 29) as u8;
        }
        let large = gzip(&noise);
        assert!(large.len() * MAX_RATIO > noise.len(), "the ratio is fine");
        assert_eq!(gunzip(&large).unwrap_err().0, Reason::TooLarge);
        let fits = gzip(&noise[..MAX_UNPACKED_BYTES]);
        let unpacked = gunzip(&fits).unwrap();
        assert_eq!(unpacked, noise[..MAX_UNPACKED_BYTES]);
        assert!(unpacked.capacity() <= MAX_UNPACKED_BYTES + PIECE_BYTES);
    }

    #[test]
    fn a_cut_or_spoiled_stream_is_malformed() {
        let whole = gzip(b"{\"a\":1}");
        assert_eq!(gunzip(&whole).unwrap(), b"{\"a\":1}");
        for cut in 0..whole.len() {
            let got = gunzip(&whole[..cut]);
            assert!(got.is_err() || cut == 0, "cut at {cut}: {got:?}");
        }
        let mut spoiled = whole.clone();
        let last = spoiled.len() - 5;
        spoiled[last] ^= 1;
        assert_eq!(gunzip(&spoiled).unwrap_err().0, Reason::MalformedPayload);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn content_types_and_sniffing_say_what_a_payload_is() {
        use Content::{Json, Line, Number, Senml, Waveform};
        let auto = |content_type, payload: &[u8], signal| {
            let mut message = Message::new("t", payload, Timestamp::EPOCH);
            message.content_type = content_type;
            open(message, &Format::Auto, signal)
                .map(|payload| payload.content)
                .map_err(|(reason, _)| reason)
        };
        for (content_type, payload, signal, expected) in [
            (None, &b"{\"a\":1}"[..], false, Ok(Json)),
            (None, b" [ {\"a\":1}]", false, Ok(Json)),
            (None, b"[{\"n\":1}]", false, Ok(Json)),
            (None, b"[{\"v\":230.1,\"a\":2}]", false, Ok(Json)),
            (
                None,
                b"[{\"n\":\"t\",\"v\":1}]",
                false,
                Ok(Senml(Encoding::Json)),
            ),
            (
                None,
                b"[{\"v\":1, \"n\":\"t\"}]",
                false,
                Ok(Senml(Encoding::Json)),
            ),
            (
                None,
                b"[ { \"bt\":1,\"bn\":\"x\"}]",
                false,
                Ok(Senml(Encoding::Json)),
            ),
            (None, b"\x81\xa1\x00\x61", false, Ok(Senml(Encoding::Cbor))),
            (None, b"cpu,device=a usage=1", false, Ok(Line)),
            (None, b"# c\ncpu usage=1i 5", false, Ok(Line)),
            (None, b"hello world", false, Ok(Json)),
            (None, b"21.5", true, Ok(Number)),
            (None, b"{\"value\":1}", true, Ok(Number)),
            (None, b"", false, Ok(Json)),
            (
                Some("application/json; charset=UTF-8"),
                b"x",
                false,
                Ok(Json),
            ),
            (Some("application/json"), b"1", true, Ok(Number)),
            (Some("application/vnd.acme+json"), b"x", false, Ok(Json)),
            (
                Some("Application/SenML+CBOR"),
                b"x",
                false,
                Ok(Senml(Encoding::Cbor)),
            ),
            (Some("text/vnd.influx.line-protocol"), b"x", false, Ok(Line)),
            (
                Some("application/vnd.bellwether.waveform"),
                b"x",
                false,
                Ok(Waveform),
            ),
            (Some("text/plain"), b"cpu usage=1", false, Ok(Line)),
            (
                Some("application/json; charset=latin1"),
                b"{}",
                false,
                Err(Reason::UnsupportedFormat),
            ),
            (
                Some("image/png"),
                b"{}",
                false,
                Err(Reason::UnsupportedFormat),
            ),
            (
                Some("application/gzip"),
                b"{}",
                false,
                Err(Reason::MalformedPayload),
            ),
        ] {
            let text = String::from_utf8_lossy(payload);
            assert_eq!(
                auto(content_type, payload, signal),
                expected,
                "{content_type:?} {text}"
            );
        }
        assert_eq!(
            auto(None, &gzip(b"[{\"bn\":\"x\"}]"), false),
            Ok(Senml(Encoding::Json))
        );
        assert_eq!(
            auto(Some("application/json+gzip"), &gzip(b"{}"), false),
            Ok(Json)
        );
    }
}

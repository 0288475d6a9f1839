//! `SenML` records in CBOR (RFC 8428, section 6), read without a tree and with every length
//! checked against what is there.

use super::{BadPack, MAX_RECORDS, Record};

/// Items inside items in what is skipped.
const MAX_DEPTH: u32 = 16;

/// Pairs of one record; there are fourteen labels.
const MAX_PAIRS: u64 = 64;

type Read<T> = Result<T, &'static str>;

pub(super) fn records(payload: &[u8]) -> Result<Vec<Record>, BadPack> {
    let mut reader = Reader {
        bytes: payload,
        at: 0,
    };
    reader
        .pack()
        .map_err(|problem| BadPack(format!("{problem} at byte {}", reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The head of an item: its major type and what its count says; none when it is indefinite.
type Head = (u8, Option<u64>);

/// The break that ends items of indefinite length.
const BREAK: u8 = 0xff;

/// A key of a record.
enum Label<'a> {
    Number(i64),
    Text(&'a str),
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Read<u8> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or("the payload ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, len: u64) -> Read<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let taken = rest.get(..len).ok_or("the payload ends too early")?;
        self.at += len;
        Ok(taken)
    }

    fn head(&mut self) -> Read<Head> {
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let count = match info {
            0..=23 => u64::from(info),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                bytes
                    .iter()
                    .fold(0, |count, &byte| count << 8 | u64::from(byte))
            }
            31 if matches!(major, 2..=5) => return Ok((major, None)),
            _ => return Err("a length that CBOR does not have"),
        };
        Ok((major, Some(count)))
    }

    /// Whether the container ends here: after so many items, or at a break.
    fn ends(&mut self, count: Option<u64>, done: u64) -> bool {
        if let Some(count) = count {
            return done >= count;
        }
        let found = self.bytes.get(self.at) == Some(&BREAK);
        self.at += usize::from(found);
        found
    }

    fn pack(&mut self) -> Read<Vec<Record>> {
        let (4, count) = self.head()? else {
            return Err("the pack is no array");
        };
        let mut records = Vec::new();
        while !self.ends(count, records.len() as u64) {
            if records.len() >= MAX_RECORDS {
                return Err("more than 10000 records");
            }
            records.push(self.record()?);
        }
        if self.at < self.bytes.len() {
            return Err("something follows the pack");
        }
        Ok(records)
    }

    fn record(&mut self) -> Read<Record> {
        let (5, count) = self.head()? else {
            return Err("a record is no map");
        };
        let mut record = Record::default();
        let mut pairs = 0;
        while !self.ends(count, pairs) {
            if pairs >= MAX_PAIRS {
                return Err("a record has more than 64 fields");
            }
            pairs += 1;
            let label = self.label()?;
            self.field(&label, &mut record)?;
        }
        if record.value.is_some() && record.other.is_some() {
            return Err("v stands beside another value");
        }
        Ok(record)
    }

    fn label(&mut self) -> Read<Label<'a>> {
        let start = self.at;
        match self.head()? {
            (0, Some(count)) => Ok(Label::Number(i64::try_from(count).unwrap_or(i64::MAX))),
            (1, Some(count)) => Ok(Label::Number(
                -1 - i64::try_from(count).unwrap_or(i64::MAX - 1),
            )),
            (3, Some(len)) => std::str::from_utf8(self.take(len)?)
                .map(Label::Text)
                .map_err(|_| "a label is no UTF-8 text"),
            _ => {
                self.at = start;
                Err("a label is neither a whole number nor a text")
            }
        }
    }

    /// The labels of table 4.
    fn field(&mut self, label: &Label<'_>, record: &mut Record) -> Read<()> {
        match label {
            Label::Number(-2) => record.base_name = Some(self.text()?),
            Label::Number(-3) => record.base_time = Some(self.number()?),
            Label::Number(-4) => record.base_unit = Some(self.text()?),
            Label::Number(-5) => record.base_value = Some(self.number()?),
            Label::Number(-6) => record.base_sum = Some(self.number()?),
            Label::Number(-1) => {
                let (0, Some(version)) = self.head()? else {
                    return Err("the version is no whole number");
                };
                record.version = Some(i64::try_from(version).unwrap_or(i64::MAX));
            }
            Label::Number(0) => record.name = Some(self.text()?),
            Label::Number(1) => record.unit = Some(self.text()?),
            Label::Number(2) => record.value = Some(self.number()?),
            Label::Number(5) => record.sum = Some(self.number()?),
            Label::Number(6) => record.time = Some(self.number()?),
            Label::Number(label @ (3 | 4 | 8)) => {
                record.other = Some(match label {
                    3 => "a text",
                    4 => "true or false",
                    _ => "data",
                });
                self.skip(0)?;
            }
            Label::Text(text) if text.ends_with('_') => {
                return Err("a label that must be understood is not");
            }
            Label::Number(_) | Label::Text(_) => self.skip(0)?,
        }
        Ok(())
    }

    fn text(&mut self) -> Read<String> {
        let (3, Some(len)) = self.head()? else {
            return Err("expected a text of definite length");
        };
        std::str::from_utf8(self.take(len)?)
            .map(str::to_owned)
            .map_err(|_| "a text is no UTF-8")
    }

    /// A whole number, a float of any width, or a decimal fraction (tag 4).
    fn number(&mut self) -> Read<f64> {
        let first = *self
            .bytes
            .get(self.at)
            .ok_or("the payload ends too early")?;
        let (major, count) = self.head()?;
        let count = count.ok_or("expected a number")?;
        match (major, first) {
            (0, _) => Ok(count as f64),
            (1, _) => Ok(-1.0 - count as f64),
            (6, _) if count == 4 => self.decimal(),
            (7, 0xf9) => Ok(half(count as u16)),
            (7, 0xfa) => Ok(f64::from(f32::from_bits(count as u32))),
            (7, 0xfb) => Ok(f64::from_bits(count)),
            _ => Err("expected a number"),
        }
    }

    fn decimal(&mut self) -> Read<f64> {
        let (4, Some(2)) = self.head()? else {
            return Err("a decimal fraction is an array of two");
        };
        let (exponent, mantissa) = (self.whole()?, self.whole()?);
        // The text form is what rounds to the nearest value.
        format!("{mantissa}e{exponent}")
            .parse()
            .map_err(|_| "a decimal fraction that is none")
    }

    fn whole(&mut self) -> Read<i128> {
        match self.head()? {
            (0, Some(count)) => Ok(i128::from(count)),
            (1, Some(count)) => Ok(-1 - i128::from(count)),
            _ => Err("expected a whole number"),
        }
    }

    fn skip(&mut self, depth: u32) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err("nested deeper than 16 levels");
        }
        let (major, count) = self.head()?;
        match (major, count) {
            (2 | 3, Some(len)) => {
                self.take(len)?;
            }
            (2..=5, count) => {
                let items = if major == 5 {
                    count.map(|pairs| pairs.saturating_mul(2))
                } else {
                    count
                };
                let mut done = 0;
                while !self.ends(items, done) {
                    self.skip(depth + 1)?;
                    done += 1;
                }
            }
            (6, _) => self.skip(depth + 1)?,
            _ => {}
        }
        Ok(())
    }
}

/// A 16-bit float (RFC 8949, appendix D).
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1_024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read() {
        // RFC 8949, appendix A.
        for (bytes, expected) in [
            (&[0x00][..], 0.0),
            (&[0x18, 0x64], 100.0),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], 1_000_000.0),
            (&[0x20], -1.0),
            (&[0x39, 0x03, 0xe7], -1_000.0),
            (&[0xf9, 0x3e, 0x00], 1.5),
            (&[0xf9, 0x7b, 0xff], 65_504.0),
            (&[0xf9, 0x00, 0x01], 5.960_464_477_539_063e-8),
            (&[0xf9, 0xc4, 0x00], -4.0),
            (&[0xfa, 0x47, 0xc3, 0x50, 0x00], 100_000.0),
            (&[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], 1.1),
            // RFC 8949, section 3.4.4: 273.15.
            (&[0xc4, 0x82, 0x21, 0x19, 0x6a, 0xb3], 273.15),
        ] {
            let mut reader = Reader { bytes, at: 0 };
            let got: f64 = reader.number().unwrap();
            assert_eq!(got.to_bits(), f64::to_bits(expected), "{bytes:x?}");
            assert_eq!(reader.at, bytes.len());
        }
    }

    #[test]
    fn lengths_beyond_the_payload_are_refused_without_reserving() {
        for bytes in [
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x81, 0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[
                0x81, 0xa1, 0x00, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[
                0x81, 0xa1, 0x08, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[0x9f],
            &[0x81, 0xbf],
            &[0x9f; 10_000],
            &[0x81, 0xa1, 0x08, 0xff],
        ] {
            assert!(records(bytes).is_err(), "{bytes:x?}");
        }
    }
}

//! A strict JSON scanner over bytes that were already checked to be UTF-8.
//!
//! Telemetry payloads are short and flat, so the scanner hands out one token after the other
//! without building a tree and without allocating. It accepts exactly the grammar of RFC 8259,
//! and besides recognises `NaN` and `Infinity`, which many encoders write, so that the
//! refusal can name the key instead of a byte position.

/// Deeper nesting is refused; nothing this crate understands is deeper than two.
pub(super) const MAX_DEPTH: u32 = 32;

/// Where the text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Byte position in the payload.
    pub(super) at: usize,
    /// What stands there against the grammar.
    pub(super) problem: &'static str,
}

/// A string token as it is written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

/// A value; nested ones are skipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Number(Number),
    Text(Text<'a>),
    Bool,
    Null,
    Nested,
    /// `NaN`, `Infinity`, `-Infinity`: no JSON, but common.
    NotFinite,
}

/// A number token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    /// The nearest `f64`; infinite when the number is too large for one.
    pub(super) value: f64,
    /// The exact value when it is written as an integer that fits.
    pub(super) integer: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

type Scan<T> = Result<T, Syntax>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    pub(super) fn fail<T>(&self, problem: &'static str) -> Scan<T> {
        Err(Syntax {
            at: self.at,
            problem,
        })
    }

    /// The next byte that is no white space, which stays.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return Some(byte),
            }
        }
        None
    }

    /// Takes the byte that [`Self::peek`] returned.
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes `byte` if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8, problem: &'static str) -> Scan<()> {
        if self.take(byte) {
            Ok(())
        } else {
            self.fail(problem)
        }
    }

    /// Checks that only white space is left.
    pub(super) fn end(&mut self) -> Scan<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("text after the end of the value"),
        }
    }

    /// A key with the colon after it.
    pub(super) fn key(&mut self) -> Scan<Text<'a>> {
        self.expect(b'"', "expected a key in double quotes")?;
        let key = self.string_body()?;
        self.expect(b':', "expected a colon after the key")?;
        Ok(key)
    }

    /// Any value.
    pub(super) fn value(&mut self) -> Scan<Value<'a>> {
        self.value_at(0)
    }

    /// Any value inside an object whose opening bracket was taken.
    pub(super) fn nested_value(&mut self) -> Scan<Value<'a>> {
        self.value_at(1)
    }

    fn value_at(&mut self, depth: u32) -> Scan<Value<'a>> {
        match self.peek() {
            Some(b'-') if self.bytes.get(self.at + 1) == Some(&b'I') => {
                self.at += 1;
                self.word("Infinity", Value::NotFinite)
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'"') => {
                self.at += 1;
                self.string_body().map(Value::Text)
            }
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool),
            Some(b'f') => self.word("false", Value::Bool),
            Some(b'N') => self.word("NaN", Value::NotFinite),
            Some(b'I') => self.word("Infinity", Value::NotFinite),
            Some(b'{' | b'[') => self.nested(depth + 1),
            Some(_) => self.fail("expected a value"),
            None => self.fail("the text ends where a value is expected"),
        }
    }

    fn nested(&mut self, depth: u32) -> Scan<Value<'a>> {
        if depth > MAX_DEPTH {
            return self.fail("nested deeper than 32 levels");
        }
        let object = self.bytes[self.at] == b'{';
        let close = if object { b'}' } else { b']' };
        self.at += 1;
        if self.take(close) {
            return Ok(Value::Nested);
        }
        loop {
            if object {
                self.key()?;
            }
            self.value_at(depth)?;
            if self.take(close) {
                return Ok(Value::Nested);
            }
            self.expect(b',', "expected a comma or the closing bracket")?;
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Scan<Value<'a>> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            self.fail("expected a value")
        }
    }

    /// The rest of a string whose opening quote was taken.
    fn string_body(&mut self) -> Scan<Text<'a>> {
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(0..=0x1f) => return self.fail("a control character inside a string"),
                Some(_) => self.at += 1,
                None => return self.fail("the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fail("\\u needs four hexadecimal digits");
                }
                self.at += 5;
            }
            _ => return self.fail("an escape that JSON does not know"),
        }
        Ok(())
    }

    fn digits(&mut self, mut mantissa: u64, count: &mut u32) -> u64 {
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            *count += 1;
            self.at += 1;
        }
        mantissa
    }

    fn number(&mut self) -> Scan<Number> {
        let start = self.at;
        let negative = self.bytes[self.at] == b'-';
        self.at += usize::from(negative);
        let first = self.bytes.get(self.at).copied();
        let mut count = 0;
        let mut mantissa = self.digits(0, &mut count);
        if count == 0 {
            return self.fail("expected a digit");
        }
        if first == Some(b'0') && count > 1 {
            return self.fail("a number must not start with 0");
        }
        let mut exponent = 0_i32;
        let mut integer = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            let before = count;
            mantissa = self.digits(mantissa, &mut count);
            if count == before {
                return self.fail("expected a digit after the point");
            }
            exponent = -((count - before) as i32);
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            integer = false;
            self.at += 1;
            exponent = exponent.saturating_add(self.exponent()?);
        }
        // 19 digits always fit an u64; more may have wrapped.
        let exact = count <= MAX_EXACT_DIGITS;
        let value = match exact.then(|| exact_product(mantissa, exponent)).flatten() {
            Some(value) if negative => -value,
            Some(value) => value,
            // The grammar above is a subset of what `f64` reads, so this cannot fail.
            None => self.text[start..self.at].parse().unwrap_or(f64::INFINITY),
        };
        let whole = (integer && exact)
            .then(|| i64::try_from(mantissa).ok())
            .flatten();
        Ok(Number {
            value,
            integer: whole.map(|whole| if negative { -whole } else { whole }),
        })
    }

    fn exponent(&mut self) -> Scan<i32> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        if let Some(b'+' | b'-') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let mut count = 0;
        let start = self.at;
        self.digits(0, &mut count);
        if count == 0 {
            return self.fail("expected a digit in the exponent");
        }
        // Beyond four digits only the sign matters: the value is zero or infinite.
        let size = self.text[start..self.at].parse().unwrap_or(i32::MAX / 2);
        Ok(if negative { -size } else { size })
    }
}

/// The most decimal digits that never overflow an `u64`.
const MAX_EXACT_DIGITS: u32 = 19;

/// `mantissa * 10^exponent` where both factors are exact in `f64`, so that one rounding gives
/// the nearest value (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990).
fn exact_product(mantissa: u64, exponent: i32) -> Option<f64> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    if mantissa > 1 << 53 {
        return None;
    }
    let power = *POWERS.get(exponent.unsigned_abs() as usize)?;
    let mantissa = mantissa as f64;
    Some(if exponent < 0 {
        mantissa / power
    } else {
        mantissa * power
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(text: &str) -> Scan<Value<'_>> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
    }

    /// Whether the text is plain JSON to both, leaving out what differs by design: the words
    /// for not finite numbers, numbers beyond `f64`, depth, lone surrogates.
    fn agree(text: &str) {
        let ours = scan(text);
        let theirs = serde_json::from_str::<serde_json::Value>(text);
        match (&ours, &theirs) {
            (Ok(Value::NotFinite | Value::Nested), Err(_)) => {}
            (Ok(Value::Number(number)), Err(_)) => assert!(number.value.is_infinite(), "{text}"),
            (Ok(Value::Text(string)), Err(_)) => assert!(string.raw.contains("\\u"), "{text}"),
            _ => assert_eq!(
                ours.is_ok(),
                theirs.is_ok(),
                "{text:?}: {ours:?} {theirs:?}"
            ),
        }
        if let (Ok(Value::Number(number)), Ok(theirs)) = (ours, theirs) {
            let expected = theirs.as_f64().unwrap();
            assert_eq!(number.value.to_bits(), expected.to_bits(), "{text}");
            if let Some(integer) = number.integer {
                assert!(integer == 0 || theirs.as_i64() == Some(integer), "{text}");
            }
        }
    }

    const TEXTS: &[&str] = &[
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "10",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1.e3",
        "1e",
        "1e+",
        "1e5",
        "1E-5",
        "1e+5",
        "1.5e3",
        "0e0",
        "0.1",
        "0.3",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e309",
        "1e-400",
        "5e-324",
        "2e-324",
        "2.2250738585072011e-308",
        "1e99999",
        "1e-99999",
        "1e999999999999",
        "0e999999999999",
        "0.1000000000000000055511151231257827021181583404541015625",
        "--1",
        "+1",
        "1_000",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "-NaN",
        "inf",
        "nul",
        "tru",
        "null",
        "true",
        "false",
        "\"a\"",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00e9\"",
        "\"\t\"",
        "[]",
        "[1,]",
        "[,1]",
        "{}",
        "{\"a\":1}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":1,}",
        "[1 2]",
        "1 2",
        "",
        " ",
        "\u{feff}1",
        "[{\"a\":[]}]",
    ];

    #[test]
    fn numbers_follow_the_grammar_and_round_to_the_nearest() {
        for text in TEXTS {
            agree(text);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(scan(&deep(32)).is_ok());
        assert!(scan(&deep(33)).is_err());
        assert!(scan(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_finite_number_reads_as_serde_json_reads_it(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                agree(&format!("{value}"));
                agree(&format!("{value:e}"));
                agree(&format!("{value:.3}"));
            }
        }

        #[test]
        fn short_decimals_read_as_serde_json_reads_them(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
            agree(&text);
        }

        #[test]
        fn almost_json_is_judged_as_serde_json_judges_it(text in "[\\[\\]{}:,\" 0-9ae.\\-\\\\ntu]{0,24}") {
            agree(&text);
        }
    }
}

//! Values and times of line protocol.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Parsed {
    Number(f64),
    NotFinite,
    Boolean,
    Text,
    Bad,
}

/// Reads a field's value and says how many bytes it takes; none when there is none.
pub(super) fn read(bytes: &[u8]) -> Option<(Parsed, usize)> {
    if bytes.first() == Some(&b'"') {
        return Some(text(bytes));
    }
    if let Some((value, len)) = plain(bytes) {
        return Some((Parsed::Number(value), len));
    }
    let len = bytes
        .iter()
        .position(|byte| matches!(byte, b',' | b' '))
        .unwrap_or(bytes.len());
    (len > 0).then(|| (slow(&bytes[..len]), len))
}

/// A quoted text; one that is never closed takes the rest.
fn text(bytes: &[u8]) -> (Parsed, usize) {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return (Parsed::Text, at + 1),
            _ => at += 1,
        }
    }
    (Parsed::Bad, bytes.len())
}

/// A decimal number of few digits, which nearly every value is; none for anything else. Both
/// factors are exact in `f64`, so that one rounding gives the nearest value (W. D. Clinger,
/// "How to Read Floating Point Numbers Accurately", 1990).
fn plain(bytes: &[u8]) -> Option<(f64, usize)> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut at, mut mantissa, mut point) = (start, 0_u64, None);
    loop {
        match bytes.get(at) {
            Some(digit @ b'0'..=b'9') => {
                mantissa = mantissa * 10 + u64::from(digit - b'0');
                at += 1;
                // 15 digits stay below 2^53.
                if at - start > 16 {
                    return None;
                }
            }
            Some(b'.') if point.is_none() && at > start => {
                point = Some(at);
                at += 1;
            }
            Some(b',' | b' ') | None => break,
            Some(b'i' | b'u') if point.is_none() && at > start => {
                if bytes[at] == b'u' && negative
                    || !matches!(bytes.get(at + 1), Some(b',' | b' ') | None)
                {
                    return None;
                }
                let value = whole(mantissa, at - start)?;
                return Some((if negative { -value } else { value }, at + 1));
            }
            Some(_) => return None,
        }
    }
    let decimals = point.map_or(0, |point| at - point - 1);
    let digits = at - start - usize::from(point.is_some());
    if digits == 0 || (point.is_some() && decimals == 0) {
        return None;
    }
    let value = whole(mantissa, digits)? / POWERS.get(decimals)?;
    Some((if negative { -value } else { value }, at))
}

fn whole(mantissa: u64, digits: usize) -> Option<f64> {
    (digits <= 15).then_some(mantissa as f64)
}

/// Everything that [`plain`] leaves.
fn slow(bytes: &[u8]) -> Parsed {
    let (digits, suffix) = match bytes {
        [digits @ .., b'i'] => (digits, b'i'),
        [digits @ .., b'u'] => (digits, b'u'),
        _ => (bytes, 0),
    };
    let Ok(text) = std::str::from_utf8(digits) else {
        return Parsed::Bad;
    };
    match suffix {
        b'i' => {
            return text
                .parse::<i64>()
                .map_or(Parsed::Bad, |value| Parsed::Number(value as f64));
        }
        b'u' => {
            return text
                .parse::<u64>()
                .map_or(Parsed::Bad, |value| Parsed::Number(value as f64));
        }
        _ => {}
    }
    if matches!(
        text,
        "t" | "T" | "true" | "True" | "TRUE" | "f" | "F" | "false" | "False" | "FALSE"
    ) {
        return Parsed::Boolean;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Parsed::Number(value),
        Ok(_) => Parsed::NotFinite,
        Err(_) => Parsed::Bad,
    }
}

/// A whole number with a sign.
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 10)?;
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_what_line_protocol_says() {
        use Parsed::{Bad, Boolean, NotFinite, Number, Text};
        for (text, parsed, rest) in [
            ("1", Number(1.0), ""),
            ("-1.5,b=2", Number(-1.5), ",b=2"),
            ("5i 10", Number(5.0), " 10"),
            ("-5i", Number(-5.0), ""),
            ("5u", Number(5.0), ""),
            ("-5u", Bad, ""),
            (
                "9223372036854775807i",
                Number(9_223_372_036_854_775_807_i64 as f64),
                "",
            ),
            ("9223372036854775808i", Bad, ""),
            (
                "18446744073709551615u",
                Number(18_446_744_073_709_551_615_u64 as f64),
                "",
            ),
            ("1e3", Number(1_000.0), ""),
            ("1.", Number(1.0), ""),
            (".5", Number(0.5), ""),
            ("+5", Number(5.0), ""),
            ("1e999", NotFinite, ""),
            ("NaN", NotFinite, ""),
            ("-inf", NotFinite, ""),
            ("t", Boolean, ""),
            ("FALSE,b=1", Boolean, ",b=1"),
            ("\"a, b\\\" c\" 5", Text, " 5"),
            ("\"open", Bad, ""),
            ("abc", Bad, ""),
            ("1.5i", Bad, ""),
            ("1_000", Bad, ""),
        ] {
            let (got, len) = read(text.as_bytes()).unwrap();
            assert_eq!((got, &text[len..]), (parsed, rest), "{text}");
        }
        assert_eq!(read(b""), None);
        assert_eq!(read(b",a=1"), None);
    }

    proptest! {
        #[test]
        fn any_decimal_reads_as_the_standard_library_reads_it(text in "-?[0-9]{1,18}(\\.[0-9]{1,18})?(e-?[0-9]{1,2})?") {
            let (Parsed::Number(value), len) = read(text.as_bytes()).unwrap() else { panic!("{text}") };
            prop_assert_eq!(len, text.len());
            prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn any_time_reads_as_the_standard_library_reads_it(text in "-?[0-9]{0,20}") {
            prop_assert_eq!(integer(text.as_bytes()), text.parse::<i64>().ok().filter(|&v| v != i64::MIN));
        }
    }
}

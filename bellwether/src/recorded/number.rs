//! Numbers as recorders write them.

/// What a cell of a signal holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// Nothing was measured.
    Empty,
    /// A finite number.
    Number(f64),
}

/// Reads a cell; none when it holds something else than a number.
pub(crate) fn parse_number(cell: &str, decimal_comma: bool) -> Option<Cell> {
    const EMPTY: [&str; 7] = ["", "nan", "na", "n/a", "null", "none", "-"];
    if EMPTY.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        return Some(Cell::Empty);
    }
    let number = cell.parse::<f64>().ok().or_else(|| {
        let one_comma = decimal_comma && cell.matches(',').count() == 1;
        one_comma
            .then(|| cell.replace(',', ".").parse().ok())
            .flatten()
    });
    number.filter(|number| number.is_finite()).map(Cell::Number)
}

/// [`parse_number`] on bytes, with spaces around allowed: plain numbers, which nearly every cell
/// holds, take a short way.
pub(crate) fn parse_cell(cell: &[u8], decimal_comma: bool) -> Option<Cell> {
    let plain = matches!(cell.first(), Some(b'0'..=b'9' | b'-'));
    if plain
        && let Ok(number) = fast_float2::parse::<f64, _>(cell)
        && number.is_finite()
    {
        return Some(Cell::Number(number));
    }
    let text = std::str::from_utf8(cell).ok()?;
    parse_number(text.trim(), decimal_comma)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_read_as_recorders_write_them() {
        for (cell, comma, expected) in [
            ("1.5", false, Some(Cell::Number(1.5))),
            (" -2e-3 ", false, Some(Cell::Number(-0.002))),
            ("+7", false, Some(Cell::Number(7.0))),
            ("0,05", true, Some(Cell::Number(0.05))),
            ("0,05", false, None),
            ("1,234,567", true, None),
            ("", false, Some(Cell::Empty)),
            ("NaN", false, Some(Cell::Empty)),
            ("-", false, Some(Cell::Empty)),
            ("inf", false, None),
            ("-inf", false, None),
            ("1e999", false, None),
            ("one", false, None),
            ("1.5x", false, None),
            ("0x10", false, None),
        ] {
            assert_eq!(parse_cell(cell.as_bytes(), comma), expected, "{cell:?}");
        }
        assert_eq!(parse_cell(b"\xff", false), None);
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_bits(number in any::<f64>(), form in 0u8..3) {
            let text = match form {
                0 => format!("{number:?}"),
                1 => format!("{number:e}"),
                _ => format!("{number:.6}"),
            };
            let bits = |cell| match cell {
                Some(Cell::Number(number)) => Some(f64::to_bits(number)),
                Some(Cell::Empty) => Some(0x7ff8_dead_beef_0000),
                None => None,
            };
            prop_assert_eq!(bits(parse_cell(text.as_bytes(), false)), bits(parse_number(&text, false)));
        }

        #[test]
        fn both_ways_agree_on_any_text(text in "[-+0-9.,eEnaif ]{0,12}", comma in any::<bool>()) {
            let bits = |cell| match cell {
                Some(Cell::Number(number)) => Some(Some(f64::to_bits(number))),
                Some(Cell::Empty) => Some(None),
                None => None,
            };
            prop_assert_eq!(
                bits(parse_cell(text.as_bytes(), comma)),
                bits(parse_number(text.trim(), comma))
            );
        }
    }
}

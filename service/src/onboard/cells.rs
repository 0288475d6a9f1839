//! What stands in the cells of signals, units and limits.

use telemetry::{SignalLimits, SignalName, Unit};

use crate::DeviceSignal;

/// The items of a cell. A separator at the end adds none.
pub(super) fn items(cell: &str) -> Vec<&str> {
    let mut items: Vec<&str> = cell.split([';', '|']).map(str::trim).collect();
    if items.len() > 1 && items.last() == Some(&"") {
        items.pop();
    }
    items
}

/// `sent name -> stored name = unit [limits]`.
pub(crate) fn signal(item: &str) -> Result<DeviceSignal, String> {
    let (rest, limits) = match item.strip_suffix(']') {
        Some(open) => {
            let (rest, inside) = open
                .rsplit_once('[')
                .ok_or_else(|| format!("{item:?} has a ] without a ["))?;
            (rest, self::limits(inside)?)
        }
        None => (item, SignalLimits::default()),
    };
    let (names, unit) = match rest.rsplit_once('=') {
        Some((names, unit)) => (names, self::unit(unit)?),
        None => (rest, None),
    };
    let name = |text: &str| SignalName::new(text.trim()).map_err(|error| error.to_string());
    let (name, signal) = match names.split_once("->") {
        Some((sent, stored)) => (name(sent)?, Some(name(stored)?)),
        None => (name(names)?, None),
    };
    Ok(DeviceSignal {
        signal: signal.filter(|signal| *signal != name),
        name,
        unit,
        limits,
    })
}

/// A unit; none for an empty item and for `-`.
pub(super) fn unit(item: &str) -> Result<Option<Unit>, String> {
    match item.trim() {
        "" | "-" => Ok(None),
        symbol => Unit::parse(symbol)
            .map(Some)
            .map_err(|error| error.to_string()),
    }
}

/// `min..max rate R stuck S`, each part of it optional.
pub(super) fn limits(item: &str) -> Result<SignalLimits, String> {
    let inner = item.trim();
    let inner = inner
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(inner);
    let mut limits = SignalLimits::default();
    let mut words = inner.split_whitespace().filter(|word| *word != "-");
    while let Some(word) = words.next() {
        let mut after = |what: &str| {
            let number = words
                .next()
                .ok_or_else(|| format!("a number is missing after {what}"))?;
            self::number(number).map(Some)
        };
        match word {
            "rate" if limits.max_rate_per_s.is_none() => limits.max_rate_per_s = after("rate")?,
            "stuck" if limits.stuck_after_s.is_none() => limits.stuck_after_s = after("stuck")?,
            range if limits.min.is_none() && limits.max.is_none() => {
                let (min, max) = range.split_once("..").ok_or_else(|| {
                    format!("{range:?} is no limit; write limits as in -40..250 rate 5 stuck 3600")
                })?;
                limits.min = side(min)?;
                limits.max = side(max)?;
            }
            again => return Err(format!("{again:?} comes twice or is no limit")),
        }
    }
    limits.problem().map_or(Ok(limits), Err)
}

fn side(text: &str) -> Result<Option<f64>, String> {
    match text {
        "" => Ok(None),
        text => number(text).map(Some),
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected = (
        &'static str,
        Option<&'static str>,
        Option<Unit>,
        [Option<f64>; 4],
    );

    #[test]
    fn a_signal_is_its_name_and_what_else_is_written() {
        let none = [None; 4];
        let table: &[(&str, Expected)] = &[
            ("t", ("t", None, None, none)),
            (
                "bearing_temperature_c=°F[-40..250]",
                (
                    "bearing_temperature_c",
                    None,
                    Some(Unit::Fahrenheit),
                    [Some(-40.0), Some(250.0), None, None],
                ),
            ),
            (
                "t2 -> winding_temperature_c [..180 rate 5 stuck 3600]",
                (
                    "t2",
                    Some("winding_temperature_c"),
                    None,
                    [None, Some(180.0), Some(5.0), Some(3600.0)],
                ),
            ),
            (
                "Volume Flow RateRMS = L/min",
                (
                    "Volume Flow RateRMS",
                    None,
                    Some(Unit::LitrePerMinute),
                    none,
                ),
            ),
            (
                "p=bar[0..]",
                ("p", None, Some(Unit::Bar), [Some(0.0), None, None, None]),
            ),
            (
                "p=-[stuck 60]",
                ("p", None, None, [None, None, None, Some(60.0)]),
            ),
            // Stored under the name it is sent: nothing to say about it.
            ("p->p", ("p", None, None, none)),
        ];
        for (item, (name, stored, unit, [min, max, rate, stuck])) in table {
            let signal = signal(item).unwrap();
            assert_eq!(signal.name.as_str(), *name, "{item}");
            assert_eq!(
                signal.signal.as_ref().map(SignalName::as_str),
                *stored,
                "{item}"
            );
            assert_eq!(signal.unit, *unit, "{item}");
            let limits = signal.limits;
            assert_eq!(
                [
                    limits.min,
                    limits.max,
                    limits.max_rate_per_s,
                    limits.stuck_after_s
                ],
                [*min, *max, *rate, *stuck],
                "{item}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_is_wrong() {
        for (item, expected) in [
            ("", "signal name"),
            ("a/b", "signal name"),
            ("t = furlong", "unknown unit \"furlong\""),
            ("t]", "without a ["),
            ("t[5..5]", "min 5 is not below max 5"),
            ("t[9..1]", "min 9 is not below max 1"),
            ("t[warm]", "\"warm\" is no limit"),
            ("t[1..2 3..4]", "comes twice"),
            ("t[a..2]", "\"a\" is no number"),
            ("t[0..inf]", "is no number"),
            ("t[rate]", "a number is missing after rate"),
            ("t[rate -1]", "max_rate_per_s must be above zero"),
        ] {
            let problem = signal(item).unwrap_err();
            assert!(problem.contains(expected), "{item}: {problem}");
        }
    }
}

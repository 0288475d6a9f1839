//! Which part of time an answer is about.

use std::time::Duration;

use telemetry::Timestamp;

use crate::api::{page, problem::Problem};

/// The span shown when none is asked for, back from the newest reading.
const DEFAULT_SPAN: Duration = Duration::from_hours(24);
/// The smallest step of event time.
pub(super) const STEP: Duration = Duration::from_micros(1);

/// The span of an answer and where the page begins in it. The cursor carries all three, so
/// that a walk keeps its span while new readings arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) next: Timestamp,
}

impl Span {
    /// The span that was asked for, back from the newest reading when nothing else is said;
    /// none when neither the query nor the store gives one.
    pub(super) fn asked(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        newest: Option<Timestamp>,
    ) -> Result<Option<Self>, Problem> {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::invalid_parameter("to", "to lies before from"));
        }
        let end = to.or_else(|| newest.map(|newest| newest + STEP));
        let start = from.or_else(|| end.map(|end| end - DEFAULT_SPAN));
        // A start after everything that is stored gives an empty span.
        Ok(start.map(|start| Self {
            from: start,
            to: end.map_or(start, |end| end.max(start)),
            next: start,
        }))
    }

    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut numbers = text.split(' ').map(str::parse::<i64>);
        let mut at = || match numbers.next() {
            Some(Ok(micros)) => Ok(Timestamp::from_micros(micros)),
            _ => Err(page::foreign_cursor()),
        };
        Ok(Self {
            from: at()?,
            to: at()?,
            next: at()?,
        })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [from, to, next] = [self.from, self.to, self.next].map(Timestamp::as_micros);
        write!(f, "{from} {to} {next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_span_defaults_to_the_last_day_of_the_series() {
        let newest = at(200_000);
        let end = newest + STEP;
        let day = DEFAULT_SPAN;
        for (from, to, known, expected) in [
            (None, None, true, Some((end - day, end))),
            (Some(at(10)), None, true, Some((at(10), end))),
            (
                None,
                Some(at(90_000)),
                true,
                Some((at(90_000) - day, at(90_000))),
            ),
            (Some(at(10)), Some(at(20)), true, Some((at(10), at(20)))),
            (
                Some(at(300_000)),
                None,
                true,
                Some((at(300_000), at(300_000))),
            ),
            (None, None, false, None),
            (Some(at(5)), None, false, Some((at(5), at(5)))),
        ] {
            let span = Span::asked(from, to, known.then_some(newest)).unwrap();
            assert_eq!(
                span.map(|span| (span.from, span.to)),
                expected,
                "{from:?} {to:?}"
            );
        }
        let wrong = Span::asked(Some(at(20)), Some(at(10)), Some(newest)).unwrap_err();
        assert_eq!(wrong.parameter.as_deref(), Some("to"));
    }

    #[test]
    fn a_cursor_carries_the_span_and_refuses_anything_else() {
        let span = Span {
            from: at(-5),
            to: at(10),
            next: at(3),
        };
        assert_eq!(Span::parse(&span.to_string()).unwrap(), span);
        for foreign in ["", "1 2", "pump-1", "1 2 x"] {
            assert!(Span::parse(foreign).is_err(), "{foreign:?}");
        }
    }
}

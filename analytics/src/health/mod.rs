//! Health assessment (HA): the health index of a score, and of each component ([`components`]);
//! what it rests on in words ([`explanation`]).
//!
//! ```text
//! health = 100 / (1 + (score / 2)^1.25)
//! ```
//!
//! | score | 0 | 0.3 | 0.66 | 1 (alarm limit) | 1.45 | 2 | 4 | 11.6 |
//! |---|---|---|---|---|---|---|---|---|
//! | health | 100 | 91 | 80 | 70 | 60 | 50 | 30 | 10 |
//!
//! The curve falls all the way, so a fault that grows always shows as a trend. It is half at
//! twice the alarm limit, and the failure limit of 30 lies at four times the alarm limit. The
//! index rests on deviation from the machine's own normal, not on a damage law: two machines
//! with equal health deviate equally far, measured in their own healthy spreads.
//!
//! While an alarm stands the index is at most [`ALARM_CEILING`], just below the healthy zone:
//! the delay that ends an alarm must not show a healthy machine with an alarm.

pub(crate) mod components;
pub(crate) mod explanation;
mod sensor_words;

use telemetry::HealthIndex;

/// The score at which health is half.
const HALF_SCORE: f64 = 2.0;
/// The highest index while an alarm stands.
const ALARM_CEILING: f64 = 79.9;

/// The health index of a score.
///
/// The exponent 1.25 puts the alarm limit at 70, in the middle of the watch zone, and 30 at
/// four times the alarm limit. It is made of square roots, which round alike on every machine.
pub(crate) fn index(score: f64, alarm: bool) -> HealthIndex {
    let part = score.clamp(0.0, f64::INFINITY) / HALF_SCORE;
    let health = 100.0 / (1.0 + part * part.sqrt().sqrt());
    HealthIndex::new(if alarm && health > ALARM_CEILING {
        ALARM_CEILING
    } else {
        health
    })
}

#[cfg(test)]
mod tests {
    use telemetry::Zone;

    use super::*;

    #[test]
    fn health_falls_with_the_score_through_the_documented_points() {
        for (score, health) in [
            (0.0, 100.0),
            (0.3, 91.5),
            (0.66, 80.0),
            (1.0, 70.4),
            (1.45, 59.9),
            (2.0, 50.0),
            (4.0, 29.6),
            (11.6, 10.0),
            (f64::INFINITY, 0.0),
            (f64::NAN, 0.0),
        ] {
            let got = index(score, false).get();
            assert!((got - health).abs() < 0.1, "{score}: {got}");
        }
    }

    #[test]
    fn an_alarm_is_never_healthy() {
        assert_eq!(index(0.1, true).zone(), Zone::Watch);
        assert_eq!(index(1.0, false).zone(), Zone::Watch);
        assert_eq!(index(3.0, true), index(3.0, false));
    }
}

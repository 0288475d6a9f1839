//! What is asked of a machine besides the demand: some are switched off at night, some run at
//! two loads.

use telemetry::Timestamp;

const DAY_S: f64 = 86_400.0;

/// How a machine is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Duty {
    /// It follows the demand round the clock.
    Steady,
    /// It stands still from 22:00 to 04:00.
    Days,
    /// It runs at one load from 06:00 to 18:00 and at another at night.
    TwoLoads {
        /// Share of the rated load by day.
        day: f64,
        /// The same at night.
        night: f64,
    },
}

impl Duty {
    /// The load at an instant when the demand asks for `demand`; none when it stands still.
    pub(crate) fn load(self, at: Timestamp, demand: f64) -> Option<f64> {
        let hour = (at.as_secs_f64() / DAY_S).rem_euclid(1.0) * 24.0;
        match self {
            Self::Steady => Some(demand),
            Self::Days => (4.0..22.0).contains(&hour).then_some(demand),
            Self::TwoLoads { day, night } => {
                // The demand still swings it a little: a tenth of what it would.
                let set = if (6.0..18.0).contains(&hour) {
                    day
                } else {
                    night
                };
                Some((set + 0.1 * (demand - 0.72)).clamp(0.3, 1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_duty_has_its_hours() {
        let midnight = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let hour = |hour: u64| midnight + Duration::from_secs(hour * 3_600 + 60);
        let two = Duty::TwoLoads {
            day: 0.9,
            night: 0.5,
        };
        for (duty, at, load) in [
            (Duty::Steady, 2, Some(0.72)),
            (Duty::Days, 2, None),
            (Duty::Days, 4, Some(0.72)),
            (Duty::Days, 21, Some(0.72)),
            (Duty::Days, 22, None),
            (two, 5, Some(0.5)),
            (two, 6, Some(0.9)),
            (two, 17, Some(0.9)),
            (two, 18, Some(0.5)),
        ] {
            assert_eq!(duty.load(hour(at), 0.72), load, "{duty:?} at {at}");
        }
    }
}

//! What is unusual and no fault: a heat wave, a campaign at another load, a neighbour that shakes
//! the floor. A plant over a year is full of it, and an alarm for it is a false one.

use std::time::Duration;

use telemetry::Timestamp;

use super::machine::{Signal, Surroundings, rms};

const YEAR_S: f64 = 365.25 * 86_400.0;
/// The hottest day of a northern year, seconds after its beginning: the 20th of July.
const HOTTEST_S: f64 = 200.0 * 86_400.0;
/// The year that seasons are counted from: 2026-01-01.
const A_NEW_YEAR_S: i64 = 1_767_225_600;
/// An upset comes and goes within this part of it.
const RAMP: f64 = 0.1;

/// A healthy disturbance for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Upset {
    /// From when.
    pub(crate) from: Timestamp,
    /// How long.
    pub(crate) lasts: Duration,
    /// Air temperature on top, °C.
    pub(crate) ambient_c: f64,
    /// Load on top, as a share of the rated one.
    pub(crate) load: f64,
    /// Vibration that comes through the floor, mm/s.
    pub(crate) vibration_mm_s: f64,
}

impl Upset {
    /// How much of it there is at an instant, 0 to 1.
    fn part(&self, at: Timestamp) -> f64 {
        let through = at.secs_from(self.from) / self.lasts.as_secs_f64().max(1.0);
        if !(0.0..=1.0).contains(&through) {
            return 0.0;
        }
        (through / RAMP).min((1.0 - through) / RAMP).min(1.0)
    }
}

/// What surrounds one machine besides the weather and the demand of every day.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Circumstances {
    /// How much warmer the hottest day is than the middle of the year, °C.
    pub(crate) season_c: f64,
    /// What disturbs it.
    pub(crate) upsets: Vec<Upset>,
}

impl Circumstances {
    /// The surroundings with all of it.
    pub(super) fn around(&self, mut around: Surroundings, at: Timestamp) -> Surroundings {
        let of_year = at.secs_from(Timestamp::from_secs(A_NEW_YEAR_S)) - HOTTEST_S;
        around.ambient_c += self.season_c * (std::f64::consts::TAU * of_year / YEAR_S).cos();
        for upset in &self.upsets {
            let part = upset.part(at);
            around.ambient_c += part * upset.ambient_c;
            around.load += part * upset.load;
        }
        around.load = around.load.clamp(0.3, 1.0);
        around
    }

    /// Lets the floor shake the machine: independent vibrations add as powers.
    pub(super) fn shake(&self, signals: &mut [Signal], at: Timestamp) {
        let through_floor = self
            .upsets
            .iter()
            .map(|upset| upset.part(at) * upset.vibration_mm_s);
        let floor_mm_s = rms(&through_floor.collect::<Vec<_>>());
        if floor_mm_s > 0.0 {
            let felt = signals
                .iter_mut()
                .find(|signal| signal.name == "vibration_mm_s");
            if let Some(signal) = felt {
                signal.value = rms(&[signal.value, floor_mm_s]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::machine::signal;

    fn day(day: f64) -> Timestamp {
        Timestamp::from_secs(A_NEW_YEAR_S) + Duration::from_secs_f64(day * 86_400.0)
    }

    #[test]
    fn an_upset_comes_stays_and_goes_and_changes_nothing_outside() {
        let upset = Upset {
            from: day(100.0),
            lasts: Duration::from_hours(240),
            ambient_c: 8.0,
            load: 0.2,
            vibration_mm_s: 3.0,
        };
        let around = Surroundings {
            ambient_c: 20.0,
            load: 0.7,
        };
        let one = Circumstances {
            season_c: 0.0,
            upsets: vec![upset],
        };
        for (at, part) in [
            (99.9, 0.0),
            (100.5, 0.5),
            (105.0, 1.0),
            (109.5, 0.5),
            (110.1, 0.0),
        ] {
            let now = one.around(around, day(at));
            assert!((now.ambient_c - 20.0 - 8.0 * part).abs() < 1e-6, "{at}");
            assert!((now.load - 0.7 - 0.2 * part).abs() < 1e-6, "{at}");
            let mut signals = vec![
                signal("flow_l_min", 5.0, 1.0),
                signal("vibration_mm_s", 4.0, 0.1),
            ];
            one.shake(&mut signals, day(at));
            let felt = (16.0 + 9.0 * part * part).sqrt();
            assert!(
                (signals[1].value - felt).abs() < 1e-9
                    && signals[0].value.to_bits() == 5.0_f64.to_bits(),
                "{at}"
            );
        }
    }

    #[test]
    fn summer_is_warmer_than_winter() {
        let season = Circumstances {
            season_c: 9.0,
            upsets: Vec::new(),
        };
        let around = Surroundings {
            ambient_c: 20.0,
            load: 0.7,
        };
        let summer = season.around(around, day(200.0)).ambient_c;
        let winter = season.around(around, day(17.0)).ambient_c;
        assert!(
            (summer - 29.0).abs() < 0.01 && (winter - 11.0).abs() < 0.1,
            "{summer} {winter}"
        );
    }
}

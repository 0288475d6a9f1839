//! Weather and demand over event time, without any memory: the same instant always gives the
//! same surroundings, so any machine can be simulated from any start.

use std::f64::consts::TAU;

use telemetry::Timestamp;

use super::machine::Surroundings;

const DAY_S: f64 = 86_400.0;

/// The surroundings of a machine whose demand curve is shifted by `phase` (0 to 1 of a day).
/// A plant that runs round the clock: two shifts a day ask for more than the night, and the
/// process adds swings of some hours. Weekends look like other days.
pub(crate) fn surroundings(at: Timestamp, phase: f64) -> Surroundings {
    let days = at.as_secs_f64() / DAY_S;
    // Warmest at 15:00, coldest at 03:00; weather fronts come and go in days.
    let daily = (TAU * (days - 15.0 / 24.0)).cos();
    let front = (TAU * days / 1.31 + 1.0).sin() + (TAU * days / 0.83).sin();
    let ambient_c = 21.0 + 4.0 * daily + 0.5 * front;
    let shifts = (TAU * (days - 13.0 / 24.0 + 0.08 * (phase - 0.5))).cos();
    let swings =
        (TAU * (days * 5.3 + phase)).sin() + 0.7 * (TAU * (days * 11.7 + 2.0 * phase)).sin();
    let load = 0.72 + 0.14 * shifts + 0.05 * swings;
    Surroundings {
        ambient_c,
        load: load.clamp(0.3, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn demand_and_weather_have_a_day_and_stay_in_range() {
        let start = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let hour = |hour: u64| surroundings(start + Duration::from_secs(hour * 3_600), 0.5);
        let mean = |hours: std::ops::Range<u64>, pick: fn(Surroundings) -> f64| {
            let count = hours.clone().count() as f64;
            hours.map(|h| pick(hour(h))).sum::<f64>() / count
        };
        // Averages over a week by the time of day.
        let by_day = |from: u64, to: u64, pick: fn(Surroundings) -> f64| {
            (0..7)
                .map(|d| mean(d * 24 + from..d * 24 + to, pick))
                .sum::<f64>()
                / 7.0
        };
        let ambient = |s: Surroundings| s.ambient_c;
        let load = |s: Surroundings| s.load;
        assert!(by_day(13, 17, ambient) > by_day(1, 5, ambient) + 5.0);
        assert!(by_day(10, 16, load) > by_day(0, 4, load) + 0.15);
        for h in 0..24 * 60 {
            let here = hour(h);
            assert!((0.3..=1.0).contains(&here.load), "{here:?}");
            assert!((10.0..=32.0).contains(&here.ambient_c), "{here:?}");
        }
    }
}

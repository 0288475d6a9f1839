//! The clock that retention goes by: the machine's, but never believed at once when it jumps ahead.
//!
//! What retention deletes is gone, so a clock that is wrong by a year for an hour must not be enough.
//! This one follows the machine's at most [`max_clock_rate`](super::StoreConfig::max_clock_rate) times
//! as fast as real time passes, and follows it at once when it is set back. A clock that has gone
//! evenly for a day is right, as far as can be known, and is believed altogether. Where it stands is
//! kept in the file, so that neither a restart nor a night without power is a jump.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use telemetry::Timestamp;

use crate::error::{During, HistorianError};

/// How long a clock has to go evenly before a jump ahead is believed.
const BELIEVED_AFTER: Duration = Duration::from_hours(24);

/// How far a clock may be from even between two looks: what NTP mends without a jump.
const EVEN_WITHIN: Duration = Duration::from_secs(5);

/// Further behind the machine's clock than this is said aloud.
const WORTH_A_WORD: Duration = Duration::from_hours(1);

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CautiousClock {
    at: Timestamp,
    /// What the machine's clock showed at the last look.
    seen: Timestamp,
    even_for: Duration,
    max_rate: Option<u32>,
}

impl CautiousClock {
    /// The clock a store left at `at`, for a machine that shows `seen` now.
    pub(crate) fn new(at: Option<Timestamp>, seen: Timestamp, max_rate: Option<u32>) -> Self {
        Self {
            at: at.unwrap_or(seen).min(seen),
            seen,
            even_for: Duration::ZERO,
            max_rate,
        }
    }

    /// The time to go by when the machine shows `wall`, and `passed` of real time since the last look.
    pub(crate) fn look(&mut self, wall: Timestamp, passed: Duration) -> Timestamp {
        let expected = self.seen + passed;
        let off = wall.as_micros().abs_diff(expected.as_micros());
        self.even_for = if u128::from(off) > EVEN_WITHIN.as_micros() + passed.as_micros() / 100 {
            Duration::ZERO
        } else {
            self.even_for.saturating_add(passed)
        };
        self.seen = wall;
        self.at = match self.max_rate {
            Some(rate) if self.even_for < BELIEVED_AFTER => {
                wall.min(self.at + passed * rate.max(1))
            }
            _ => wall,
        };
        if wall > self.at + WORTH_A_WORD {
            tracing::warn!(
                clock = %wall, retention = %self.at,
                "the clock has jumped ahead; retention follows it slowly until it has gone evenly for a day"
            );
        }
        self.at
    }
}

/// Where the clock of retention stood; for a file that has not kept it, when something was stored
/// last.
pub(crate) fn load(connection: &Connection) -> Result<Option<Timestamp>, HistorianError> {
    let sql = "SELECT at FROM retention_clock UNION ALL
               SELECT max(stored_at) FROM chunks HAVING max(stored_at) IS NOT NULL LIMIT 1";
    let at = connection.query_row(sql, [], |row| row.get(0)).optional();
    Ok(at
        .during("read the clock of retention")?
        .map(Timestamp::from_micros))
}

pub(crate) fn save(connection: &Connection, at: Timestamp) -> Result<(), HistorianError> {
    let sql = "INSERT INTO retention_clock (only, at) VALUES (1, ?1)
               ON CONFLICT (only) DO UPDATE SET at = excluded.at";
    let saved = connection.execute(sql, [at.as_micros()]);
    saved.during("save the clock of retention").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn hours(hours: u64) -> Timestamp {
        Timestamp::EPOCH + HOUR * hours as u32
    }

    /// Looks every hour; gives what the clock goes by after each look, in hours.
    fn looks(clock: &mut CautiousClock, walls: impl Iterator<Item = u64>) -> Vec<u64> {
        walls
            .map(|wall| clock.look(hours(wall), HOUR).as_micros() as u64 / 3_600_000_000)
            .collect()
    }

    #[test]
    fn an_even_clock_is_followed_and_a_jump_ahead_only_slowly() {
        let mut clock = CautiousClock::new(None, hours(1_000), Some(24));
        assert_eq!(looks(&mut clock, 1_001..1_004), [1_001, 1_002, 1_003]);
        // Wrong by 400 days for three hours, then right again.
        let jump = 1_003 + 400 * 24;
        assert_eq!(looks(&mut clock, jump + 1..jump + 4), [1_027, 1_051, 1_075]);
        assert_eq!(looks(&mut clock, 1_007..1_009), [1_007, 1_008]);
    }

    #[test]
    fn a_clock_that_went_evenly_for_a_day_is_believed() {
        let mut clock = CautiousClock::new(Some(hours(1_000)), hours(50_000), Some(24));
        let followed = looks(&mut clock, 50_001..50_026);
        assert_eq!(followed[22], 1_000 + 23 * 24);
        assert_eq!(followed[23..], [50_024, 50_025]);
    }

    #[test]
    fn a_night_without_power_is_caught_up_with_in_half_an_hour() {
        let mut clock = CautiousClock::new(Some(hours(1_000)), hours(1_012), Some(24));
        let half = HOUR / 2;
        assert_eq!(clock.look(hours(1_012) + half, half), hours(1_012));
        assert_eq!(clock.look(hours(1_013), half), hours(1_013));
    }

    #[test]
    fn without_a_rate_the_machine_is_believed() {
        let mut clock = CautiousClock::new(Some(hours(1)), hours(9_000), None);
        assert_eq!(looks(&mut clock, 9_001..9_002), [9_001]);
    }
}

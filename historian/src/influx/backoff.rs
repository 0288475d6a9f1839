//! How long to wait before a request is made again.

use std::time::Duration;

use rand::RngExt;

/// The first pause; a server that restarts is back after a few of these.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause of our own: how late we may notice that the server is back.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest pause a server may ask for by `Retry-After`; beyond it we look again.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// A pause that doubles with every failure in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause: what the server asked for, else between half and all of the doubled one,
    /// so that many writers do not come back in the same moment.
    pub(crate) fn next(&mut self, asked: Option<Duration>, rng: &mut impl rand::Rng) -> Duration {
        let doubled = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let own = doubled.mul_f64(rng.random_range(0.5..=1.0));
        match asked {
            Some(asked) => asked.min(LONGEST_ASKED).max(own.min(FIRST)),
            None => own,
        }
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_success() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..40 {
            let pause = backoff.next(None, &mut rng);
            assert!(
                pause >= expected / 2 && pause <= expected,
                "{pause:?} of {expected:?}"
            );
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next(None, &mut rng) <= FIRST);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_up_to_a_bound() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(asked), &mut rng), asked);
        let day = Duration::from_hours(24);
        assert_eq!(backoff.next(Some(day), &mut rng), LONGEST_ASKED);
        assert!(
            backoff.next(Some(Duration::ZERO), &mut rng) > Duration::ZERO,
            "never a busy loop"
        );
    }
}

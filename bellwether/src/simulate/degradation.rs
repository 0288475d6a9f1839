//! How wear grows: a fault has an onset, a life from there to functional failure, and a shape.

use telemetry::Timestamp;

use super::machine::Mode;

/// One fault of one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    /// What is failing.
    pub(crate) mode: Mode,
    /// When the first damage is done.
    pub(crate) onset: Timestamp,
    /// Days from onset to functional failure.
    pub(crate) life_days: f64,
}

/// Damage that feeds on itself grows as exp(3x): the last third of the life does most of it.
const SELF_FEEDING: f64 = 3.0;
/// Deposits and leaks grow a little faster than evenly.
const GRADUAL: f64 = 1.3;

impl Fault {
    /// The severity at an instant: 0 before the onset, never falling, 1 from the end of the life on.
    pub(crate) fn severity(&self, at: Timestamp) -> f64 {
        let lived = at.secs_from(self.onset) / (self.life_days * 86_400.0);
        let x = lived.clamp(0.0, 1.0);
        match self.mode {
            Mode::BearingWear | Mode::Imbalance => {
                ((SELF_FEEDING * x).exp() - 1.0) / (SELF_FEEDING.exp() - 1.0)
            }
            Mode::Cavitation | Mode::SealLeak | Mode::FouledCooler => x.powf(GRADUAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fault_goes_from_nothing_to_failure_over_its_life() {
        let onset = Timestamp::from_secs(1_000_000);
        for mode in Mode::ALL {
            let fault = Fault {
                mode,
                onset,
                life_days: 2.0,
            };
            assert!(fault.severity(onset - Duration::from_secs(1)) <= 0.0);
            assert!(fault.severity(onset) <= 0.0);
            let end = onset + Duration::from_hours(48);
            assert!((fault.severity(end) - 1.0).abs() < 1e-12);
            assert!((fault.severity(Timestamp::MAX) - 1.0).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn severity_never_falls(a in 0u64..2_000_000, b in 0u64..2_000_000, life in 0.1f64..20.0) {
            let at = |secs: u64| Timestamp::from_secs(secs as i64);
            for mode in Mode::ALL {
                let fault = Fault { mode, onset: at(500_000), life_days: life };
                let (early, late) = (fault.severity(at(a.min(b))), fault.severity(at(a.max(b))));
                prop_assert!((0.0..=1.0).contains(&early) && early <= late);
            }
        }
    }
}

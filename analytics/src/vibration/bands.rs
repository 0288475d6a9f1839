//! Bands of frequency, and the ones the standards name.

use crate::AnalyticsError;

/// A band of frequency; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The lower end in hertz.
    pub low_hz: f64,
    /// The upper end in hertz.
    pub high_hz: f64,
}

/// The band vibration severity is judged in: 10 Hz to 1 kHz (ISO 20816-3:2022 and
/// ISO 10816-3:2009, clause 4.1, for speeds from 600 rpm on).
pub const SEVERITY_BAND: Band = Band {
    low_hz: 10.0,
    high_hz: 1000.0,
};
/// The same for machines below 600 rpm: from 2 Hz on.
pub const SLOW_SEVERITY_BAND: Band = Band {
    low_hz: 2.0,
    high_hz: 1000.0,
};
/// The band acceleration is told in: from the same lower end up to 10 kHz, where the mounting
/// of common sensors begins to resonate (ISO 13373-1, annex on accelerometer mounting).
pub const ACCELERATION_BAND: Band = Band {
    low_hz: 10.0,
    high_hz: 10_000.0,
};

impl Band {
    /// A band from `low_hz` to `high_hz`.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] unless 0 <= low < high, both finite.
    pub fn new(low_hz: f64, high_hz: f64) -> Result<Self, AnalyticsError> {
        if low_hz >= 0.0 && low_hz < high_hz && high_hz.is_finite() {
            return Ok(Self { low_hz, high_hz });
        }
        Err(AnalyticsError::Waveform {
            problem: format!("{low_hz} Hz to {high_hz} Hz is no band"),
        })
    }

    /// What of the band lies below the highest frequency of a trace; none when nothing does.
    pub fn below(self, highest_hz: f64) -> Option<Self> {
        let high_hz = self.high_hz.min(highest_hz);
        (high_hz > self.low_hz).then_some(Self { high_hz, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_has_two_ends_in_order_and_ends_with_the_trace() {
        assert!(Band::new(10.0, 1000.0).is_ok());
        for (low, high) in [
            (10.0, 10.0),
            (-1.0, 5.0),
            (0.0, f64::INFINITY),
            (f64::NAN, 1.0),
        ] {
            assert!(Band::new(low, high).is_err(), "{low} {high}");
        }
        assert_eq!(SEVERITY_BAND.below(400.0).map(|b| b.high_hz), Some(400.0));
        assert_eq!(SEVERITY_BAND.below(9.0), None);
    }
}

//! How the store is kept, and for how long.

use std::{path::PathBuf, time::Duration};

use super::{SeriesKey, tier::Tier};

/// How the store is kept. [`StoreConfig::at`] gives the defaults.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// How long readings, their roll-ups and waveforms stay.
    pub retention: Retention,
    /// How often the tail is written to chunks. After a crash at most this much of the journal
    /// is read again; shorter means more, smaller chunks to merge later.
    pub flush_interval: Duration,
    /// Points in memory at which the tail is written to chunks at once: 16 bytes each. While the
    /// journal holds more to apply there may be twice as many.
    pub max_tail_points: usize,
    /// How much faster than real time the clock of retention follows that of the machine; none
    /// believes the machine at once. A clock that jumps ahead by a year and is wrong for an hour
    /// then costs an hour times this of what is kept, instead of everything.
    pub max_clock_rate: Option<u32>,
}

impl StoreConfig {
    /// The defaults for a file: no retention, a flush a minute or every four million points (64 MB).
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            retention: Retention::default(),
            flush_interval: Duration::from_mins(1),
            max_tail_points: 4_000_000,
            // After a winter without power it takes a week to let go of what has outlived it.
            max_clock_rate: Some(24),
        }
    }
}

/// How long each tier stays, counted in event time and, for recordings of the past, from when
/// it was stored. None means for ever; zero means that the tier goes with the finer one. The
/// default keeps everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retention {
    /// Readings as they came. Findings and late marks go with them.
    pub raw: Option<Duration>,
    /// Roll-ups of a minute.
    pub minute: Option<Duration>,
    /// Roll-ups of an hour.
    pub hour: Option<Duration>,
    /// Roll-ups of a day.
    pub day: Option<Duration>,
    /// Waveforms.
    pub waveforms: Option<Duration>,
    /// Exceptions; the first pattern that fits a series decides.
    pub by_signal: Vec<SignalRetention>,
}

/// What is kept otherwise for some signals.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SignalRetention {
    /// Which signals: `*` stands for any text. A pattern with a slash is held against
    /// `device/signal`, any other against the signal alone.
    pub pattern: String,
    /// Readings and the three roll-ups in the order of [`Tier`]; none leaves a tier as it is
    /// for all signals, `Some(None)` keeps it for ever.
    pub tiers: [Option<Option<Duration>>; 4],
}

impl Retention {
    /// Keeps readings and everything made of them for `kept`, and nothing beyond.
    pub fn all(kept: Duration) -> Self {
        let tier = Some(Duration::ZERO);
        Self {
            raw: Some(kept),
            minute: tier,
            hour: tier,
            day: tier,
            waveforms: Some(kept),
            by_signal: Vec::new(),
        }
    }

    /// Whether everything is kept for ever.
    pub(crate) fn keeps_all(&self) -> bool {
        *self == Self::default()
    }

    /// How long the tiers of a series stay, finest first. A coarser one stays at least as long
    /// as a finer one: it is what a query would rather read.
    pub(crate) fn of(&self, series: &SeriesKey) -> [Option<Duration>; 4] {
        let mut tiers = [self.raw, self.minute, self.hour, self.day];
        let exception = self.by_signal.iter().find(|entry| entry.fits(series));
        if let Some(exception) = exception {
            for (tier, own) in tiers.iter_mut().zip(exception.tiers) {
                *tier = own.unwrap_or(*tier);
            }
        }
        tiers
    }
}

impl SignalRetention {
    /// An exception for readings as they came, roll-ups as for all.
    pub fn raw(pattern: impl Into<String>, kept: Option<Duration>) -> Self {
        let mut tiers = [None; 4];
        tiers[Tier::Raw.number()] = Some(kept);
        Self {
            pattern: pattern.into(),
            tiers,
        }
    }

    fn fits(&self, series: &SeriesKey) -> bool {
        if self.pattern.contains('/') {
            let name = format!("{}/{}", series.device, series.signal);
            matches(self.pattern.as_bytes(), name.as_bytes())
        } else {
            matches(self.pattern.as_bytes(), series.signal.as_str().as_bytes())
        }
    }
}

/// Whether `text` is `pattern` with any text for each `*`. Going back to the last star only is
/// enough, so the time is at most the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use telemetry::{DeviceId, SignalName};

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("vibration_*", "vibration_x", true),
            ("vibration_*", "pressure", false),
            ("*_c", "oil_c_c", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "a", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn the_first_pattern_that_fits_decides_tier_by_tier() {
        let day = |days: u64| Some(Duration::from_hours(24 * days));
        let key = |device: &str, signal: &str| SeriesKey {
            device: DeviceId::new(device).unwrap(),
            signal: SignalName::new(signal).unwrap(),
        };
        let retention = Retention {
            raw: day(30),
            minute: day(60),
            by_signal: vec![
                SignalRetention::raw("pump-1/vibration_*", day(7)),
                SignalRetention::raw("vibration_*", None),
            ],
            ..Retention::default()
        };
        for (device, signal, raw) in [
            ("pump-1", "pressure", day(30)),
            ("pump-1", "vibration_x", day(7)),
            ("pump-2", "vibration_x", None),
        ] {
            let tiers = retention.of(&key(device, signal));
            assert_eq!(tiers, [raw, day(60), None, None], "{device} {signal}");
        }
    }
}

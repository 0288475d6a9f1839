//! Features of one signal: what its last values and its history say, in a few numbers.
//!
//! | feature | unit | over |
//! |---|---|---|
//! | `ewma`, `ewma_std` | the signal's | all values, each with a tenth of what is left |
//! | `mean`, `std`, `min`, `max`, `range` | the signal's | the last 64 values |
//! | `slope` | the signal's per second | the last 64 values, least squares over their times |
//! | `rate` | the signal's per second | the last two values |
//! | `crest`, `skewness`, `kurtosis` | 1 | the last 64 values, about their mean |
//! | `p05`, `p50`, `p95` | the signal's | all values, older ones with half the weight every 65,536 |
//! | `hour_normal`, `hour_deviation` | the signal's | this hour of the day (UTC) on earlier days |
//! | `weekday_deviation` | the signal's | this day of the week (UTC) in earlier weeks |
//!
//! Rules of time, which hold for every feature:
//!
//! - Values are taken at the pace of the device and in event time; nothing is interpolated.
//!   Windows count values, and times enter only where a unit says so (slope and rate). Signals
//!   of different pace meet in the frame, which holds the slower one.
//! - A gap of more than five usual periods, or a step back in time, empties the window: a
//!   slope across it would be one between two different days. Recursive features go on.
//! - What is not finite is passed over, and so is a second value of one instant.
//! - A feature is missing rather than made up: a constant window has no crest factor, an hour
//!   that was never seen before has no normal.
//!
//! An update writes one value into a ring and turns a few recursions, whatever the window; the
//! figures of the window are worked out when somebody reads them, from the values themselves,
//! so that no sums drift. Values are kept as 32-bit floats relative to the first one, which is
//! good to 10⁻⁷ of what the signal has moved since.

mod kind;
mod profile;
mod quantiles;
mod window;

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, SignalName};

pub use kind::Feature;

use self::{profile::Profile, quantiles::Quantiles, window::Recent};
use super::frame::Usual;

/// How many usual periods without a value are a gap. The frame holds a value as long.
const GAP_PERIODS: f64 = 5.0;
/// Weight of a new value in the recursive features: the same tenth that detection smooths by.
const WEIGHT: f32 = 0.1;

/// The features of one signal; about 900 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalFeatures {
    /// The first value: everything below is relative to it.
    origin: Option<f64>,
    /// The time of the last value in microseconds.
    at: i64,
    period: Usual,
    ewma: f32,
    variance: f32,
    recent: Recent,
    quantiles: Quantiles,
    profile: Profile,
}

impl Default for SignalFeatures {
    fn default() -> Self {
        Self::new()
    }
}

impl SignalFeatures {
    /// Features of a signal without values.
    pub fn new() -> Self {
        Self {
            origin: None,
            at: i64::MIN,
            period: Usual::default(),
            ewma: 0.0,
            variance: 0.0,
            recent: Recent::new(),
            quantiles: Quantiles::new(),
            profile: Profile::new(),
        }
    }

    /// Takes the value at `at` microseconds.
    pub fn update(&mut self, at: i64, value: f64) {
        if !value.is_finite() || at == self.at {
            return;
        }
        let Some(origin) = self.origin else {
            self.origin = Some(value);
            self.follow(at, 0.0);
            return;
        };
        let passed = at.saturating_sub(self.at);
        let usual = self.period.micros();
        if passed < 0 || (usual > 0.0 && passed as f64 > GAP_PERIODS * usual) {
            self.recent.clear();
        }
        self.period.observe(passed);
        let x = ((value - origin) as f32).clamp(-f32::MAX, f32::MAX);
        let step = x - self.ewma;
        self.ewma += WEIGHT * step;
        self.variance = (1.0 - WEIGHT) * (self.variance + WEIGHT * step * step);
        self.follow(at, x);
    }

    fn follow(&mut self, at: i64, x: f32) {
        self.at = at;
        self.recent.push(at, x);
        self.quantiles.push(x);
        self.profile.push(at, x);
    }

    /// A feature now; none while it cannot be said.
    pub fn get(&self, feature: Feature) -> Option<f64> {
        let found = self.values().into_iter().find(|(one, _)| *one == feature);
        found.map(|(_, value)| value)
    }

    /// Every feature that can be said now, in the order of [`Feature::ALL`].
    pub fn values(&self) -> Vec<(Feature, f64)> {
        let Some(origin) = self.origin else {
            return Vec::new();
        };
        let figures = self.recent.figures();
        let [low, middle, high] = self.quantiles.values();
        let (normal, hour) = self.profile.hour();
        let value = |feature: Feature| {
            let relative = match feature {
                Feature::Ewma => Some(f64::from(self.ewma)),
                Feature::EwmaStd => Some(f64::from(self.variance.max(0.0)).sqrt()),
                Feature::Mean => Some(figures.mean),
                Feature::Std => Some(figures.std),
                Feature::Min => Some(figures.min),
                Feature::Max => Some(figures.max),
                Feature::Range => Some(figures.max - figures.min),
                Feature::Slope => figures.slope,
                Feature::Rate => self.recent.rate(),
                Feature::Crest => figures.crest,
                Feature::Skewness => figures.skewness,
                Feature::Kurtosis => figures.kurtosis,
                Feature::P05 => low,
                Feature::P50 => middle,
                Feature::P95 => high,
                Feature::HourNormal => normal,
                Feature::HourDeviation => hour,
                Feature::WeekdayDeviation => self.profile.weekday(),
            };
            let shift = if feature.is_level() { origin } else { 0.0 };
            relative
                .map(|value| (feature, value + shift))
                .filter(|(_, value)| value.is_finite())
        };
        Feature::ALL.into_iter().filter_map(value).collect()
    }

    /// A feature for a device's slots; none while it cannot be said.
    pub(crate) fn of(all: &[Self], slot: usize, feature: Feature) -> Option<f64> {
        all.get(slot)?.get(feature)
    }

    /// Whether a state from outside can be worked with.
    pub fn is_consistent(&self) -> bool {
        self.recent.is_consistent()
            && self.quantiles.is_consistent()
            && self.profile.is_consistent()
    }
}

/// Where a name of a model is found: the slot of the signal and the feature of it, if the
/// name is `signal.feature`. None when the device does not have it.
pub(crate) fn place_of(
    name: &SignalName,
    model: &AssetModel,
    signals: &[SignalName],
) -> Option<(usize, Option<Feature>)> {
    let slot = |name: &str| signals.iter().position(|known| known.as_str() == name);
    if let Some(slot) = slot(name.as_str()) {
        return Some((slot, None));
    }
    let (signal, feature) = model.resolve(name)?;
    Some((slot(signal)?, Some(Feature::from_name(feature?)?)))
}

#[cfg(test)]
mod tests;

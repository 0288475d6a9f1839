//! Vibration snapshots: many samples of one sensor at a fixed rate.

use std::sync::Arc;

use crate::{DeviceId, SignalName, Timestamp, Unit};

/// A burst of samples that were taken at a fixed rate, kept whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Who measured.
    pub device: DeviceId,
    /// What was measured, such as `bearing_acceleration_g`.
    pub signal: SignalName,
    /// The direction of the sensor, such as `x` or `radial`, when it was told.
    pub axis: Option<Arc<str>>,
    /// When the first sample was taken.
    pub measured_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Samples a second; finite and above zero.
    pub sample_rate_hz: f64,
    /// The unit of the samples, when it was told or declared.
    pub unit: Option<Unit>,
    /// The samples in order; finite.
    pub samples: Arc<[f32]>,
}

impl Waveform {
    /// The most samples of one waveform: 4 MiB of 32-bit floats, 20 s at 51.2 kHz.
    pub const MAX_SAMPLES: usize = 1 << 20;
    /// The longest name of an axis in bytes.
    pub const MAX_AXIS_BYTES: usize = 32;

    /// How long it lasted, in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / self.sample_rate_hz
    }
}

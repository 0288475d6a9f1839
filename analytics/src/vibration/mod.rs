//! Vibration: what a snapshot of a bearing housing says about the machine. Pure.
//!
//! ```text
//! samples + rate + unit -> Trace -+-> Shape      crest factor, kurtosis of the samples as they are
//!                                 +-> Spectrum   velocity and acceleration by band, peaks, zone
//!                                 +-> Envelope   band -> amplitude over time -> Spectrum, bearing lines
//!                                 +-> Angular    speed -> samples by angle -> Spectrum by order
//! ```
//!
//! Conventions, so that a figure can be checked by hand:
//!
//! - Displacement is in µm, velocity in mm/s, acceleration in m/s², whatever the device sent. A
//!   trace without a declared unit keeps its numbers; it gets no velocity and no zone.
//! - Spectra are one-sided power densities (unit²/Hz). The root mean square of a band is the
//!   root of the density summed over it, which is Parseval's theorem for the window's mean
//!   power. The amplitude of a line is a *peak* amplitude and allows for the window's gain.
//! - Integration from acceleration to velocity happens in the frequency domain, by 2πf.
//! - Transforms use the longest prefix whose length has no prime factor above 5, at most
//!   a few percent shorter than the snapshot: a prime length would cost several times as much.
//! - A constant trace has an RMS of zero and neither crest factor nor kurtosis.
//!
//! The parts know neither devices nor files nor time of day, so that a gateway can use them;
//! an [`Analyser`] keeps the plans of its transforms.

mod bands;
mod bearing;
mod envelope;
mod features;
mod kurtogram;
mod machine;
mod order;
mod severity;
mod shape;
mod spectrum;
#[cfg(test)]
mod testing;
mod trace;
mod transform;
mod window;

pub use bands::{ACCELERATION_BAND, Band, SEVERITY_BAND, SLOW_SEVERITY_BAND};
pub use bearing::{Bearing, BearingLines, Defect, DefectLines, DefectOrders, Line};
pub use envelope::Envelope;
pub use features::{WaveformFeatures, WaveformSignal, envelope_band};
pub use machine::MachineVibration;
pub use order::{Angular, SpeedProfile};
pub use severity::{
    Foundation, Limits, MachineClass, MachineGroup, Severity, SeverityZone,
    band_for as severity_band_for,
};
pub use shape::Shape;
pub use spectrum::{Peak, Spectrum};
pub use trace::{MAX_SAMPLES, MIN_SAMPLES, Motion, Trace};
pub use transform::Analyser;
pub use window::Window;

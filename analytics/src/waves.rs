//! From waveforms to rows: a vibration snapshot becomes a few signals that are watched like any
//! other.
//!
//! A device's snapshots are watched apart from its other signals, under the name
//! `<device>.waveform`: they come every few minutes instead of every second, so they are learned
//! from [`Config::learning_rows`] or [`LEARNING_SNAPSHOTS`] rows, whichever is less, and an
//! alarm needs fewer of them. In one row with signals of every second a snapshot would be one
//! value held for hundreds of rows, which has no spread to be judged by.
//!
//! A row's time is the end of its snapshot: that is when it is known. The speed its bearing
//! lines are looked for at is the last value of the model's speed signal of the same device
//! within a minute of that time, or else the rated speed.
//!
//! All of it is a function of the journal, as everything here is; transforms use the widest
//! instructions a processor has, so the last bits of a feature may differ between two kinds of
//! processor, and features are rounded to seven digits before they are compared or learned from.

use std::sync::Arc;

use telemetry::{
    AssetModel, DERIVED_PREFIX, DeviceId, ReadingBatch, SignalName, Timestamp, View, Waveform,
};

use crate::{
    Config,
    vibration::{Analyser, MachineVibration, Trace, WaveformFeatures},
};

/// Snapshots a baseline is learned from at most: 100 are what growth of bearing features was
/// found to need on run-to-failure recordings (FEMTO, IMS), and a day at one a quarter hour.
const LEARNING_SNAPSHOTS: u32 = 100;
/// Snapshots over the limit before a watch becomes an alarm: one may be a passing truck.
const ON_DELAY_SNAPSHOTS: u32 = 3;
/// Snapshots below before it ends.
const OFF_DELAY_SNAPSHOTS: u32 = 5;
/// How far from the end of a snapshot its speed may have been measured, in microseconds.
const SPEED_WITHIN_US: i64 = 60_000_000;
/// How the features of snapshots are watched, whatever the model wants for its readings: wear
/// makes them grow, and a machine that stands still makes all of them small, which is no fault.
pub(crate) const VIEWS: &[View] = &[View::Cusum];
/// What is put after the name of a device for its snapshots.
const SUFFIX: &str = ".waveform";

/// The name a device's vibration snapshots are watched under, apart from its readings; none
/// when it would be too long for one.
pub fn waveforms_of(device: &DeviceId) -> Option<DeviceId> {
    DeviceId::new(&format!("{device}{SUFFIX}")).ok()
}

/// Whether snapshots are watched under this name.
pub(crate) fn is_watched_as(device: &DeviceId) -> bool {
    device.as_str().ends_with(SUFFIX)
}

/// Whether a signal is a feature of snapshots.
pub(crate) fn is_feature(signal: &SignalName) -> bool {
    signal.as_str().starts_with(DERIVED_PREFIX)
}

/// How snapshots are watched.
pub(crate) fn config(config: &Config) -> Config {
    Config {
        learning_rows: config.learning_rows.min(LEARNING_SNAPSHOTS),
        on_delay_rows: config.on_delay_rows.min(ON_DELAY_SNAPSHOTS),
        off_delay_rows: config.off_delay_rows.min(OFF_DELAY_SNAPSHOTS),
        ..config.clone()
    }
}

/// A row out of one snapshot; none when it cannot be analysed or says nothing.
pub(crate) fn row(
    analyser: &mut Analyser,
    waveform: &Waveform,
    model: Option<&Arc<AssetModel>>,
    last: impl FnOnce(&SignalName) -> Option<(i64, f64)>,
) -> Option<ReadingBatch> {
    let device = waveforms_of(&waveform.device)?;
    let trace = Trace::of_waveform(waveform).ok()?;
    let declared = model.and_then(|model| model.machine.as_ref());
    let machine = declared.map(MachineVibration::from).unwrap_or_default();
    let end = waveform.measured_at.as_micros();
    let end = end.saturating_add((trace.duration_s() * 1e6) as i64);
    let speed = declared
        .and_then(|machine| machine.speed_signal.as_ref())
        .and_then(last)
        .filter(|(at, rpm)| *rpm > 0.0 && at.abs_diff(end) <= SPEED_WITHIN_US as u64)
        .map(|(_, rpm)| rpm)
        .or(machine.rated_speed_rpm);
    let class = machine.class.as_ref();
    let features = WaveformFeatures::of(analyser, &trace, class, &machine.bearings, speed);
    let signals = features.signals(waveform.axis.as_deref());
    if signals.is_empty() {
        return None;
    }
    let mut row = ReadingBatch::new();
    let place = row.device(&device);
    for signal in signals {
        let name = row.signal(&signal.name);
        row.push_value(name, rounded(signal.value));
    }
    row.finish_row(place, Timestamp::from_micros(end), waveform.received_at);
    Some(row)
}

/// Seven digits, so that the last bits, which hang on the processor, do not matter.
fn rounded(value: f64) -> f64 {
    f64::from(value as f32)
}

//! What must hold of a reading besides its form.
//!
//! | check | what happens |
//! |---|---|
//! | unit unknown or of another quantity | quarantined, `unit_mismatch` |
//! | outside the physical range | quarantined, `out_of_range` |
//! | changed faster than physically possible | quarantined, `rate_of_change`, until `RATE_CONFIRMATIONS` readings in a row agree on the new level |
//! | measured more than [`CheckConfig::clock_ahead`] after now | quarantined, `clock_ahead` |
//! | more new devices or signals a minute than believed | quarantined, `cardinality_limit` |
//! | more than [`CheckConfig::late_after`] behind the device's newest reading | stored, counted, and [`Event::LateReadings`](telemetry::Event::LateReadings) |
//! | the same time again, an earlier time than the last, an unchanged value | stored and counted |
//!
//! An old date as such is no error: devices buffer, and people replay recordings.
//!
//! Of a waveform the same is checked, whole: unit, range, clock, new names, lateness. Changes and
//! standstill are what its samples are there to show.
//!
//! What is remembered of a device stands behind one lock, which a message takes once. Names
//! are found in the order in which the device sent them last time, so that a steady device
//! costs one comparison of names a value and no hash.

mod device;
mod judge;
#[cfg(test)]
mod tests;
mod window;

use std::{
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustc_hash::{FxBuildHasher, FxHashMap};
use telemetry::{DeviceId, Event, SignalName, Timestamp};

pub(crate) use device::DeviceState;
pub(crate) use judge::{Judge, Noted, Told, ToldUnit, mismatch};

use window::Window;

/// Settings of the checks that are not declared for a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckConfig {
    /// How far clocks may differ: what was measured further in the future is quarantined.
    pub clock_ahead: Duration,
    /// Readings further behind the newest one of their device are stored and marked late.
    pub late_after: Duration,
    /// New devices believed in a minute; zero means no limit.
    pub new_devices_per_minute: u32,
    /// New signals, of all devices together, believed in a minute; zero means no limit.
    pub new_signals_per_minute: u32,
}

impl Default for CheckConfig {
    /// The two limits let a plant of 10,000 devices with ten signals each appear at once.
    fn default() -> Self {
        Self {
            clock_ahead: Duration::from_mins(5),
            late_after: Duration::from_hours(7 * 24),
            new_devices_per_minute: 10_000,
            new_signals_per_minute: 100_000,
        }
    }
}

/// Locks over all devices, so that connections seldom wait for each other.
const SHARDS: usize = 64;

/// Devices remembered at most, twice as many as can be registered. Beyond it a shard forgets
/// one of its devices, which then is learned anew.
const MAX_DEVICES: usize = 200_000;

/// Signals remembered over all devices, about 200 bytes each. Signals beyond it are stored
/// without the checks that need a memory.
const MAX_SIGNALS: usize = 2_000_000;

/// One device's memory.
pub(crate) type Entry = Arc<Mutex<DeviceState>>;

type Shard = FxHashMap<DeviceId, Entry>;

/// What is remembered over all devices.
#[derive(Debug)]
pub(crate) struct Checks {
    config: CheckConfig,
    shards: Vec<Mutex<Shard>>,
    new_devices: Mutex<Window>,
    new_signals: Mutex<Window>,
    signals: AtomicUsize,
}

impl Checks {
    pub(crate) fn new(config: CheckConfig) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            new_devices: Mutex::new(Window::new(config.new_devices_per_minute)),
            new_signals: Mutex::new(Window::new(config.new_signals_per_minute)),
            signals: AtomicUsize::new(0),
            config,
        }
    }

    pub(crate) fn config(&self) -> &CheckConfig {
        &self.config
    }

    fn shard(&self, device: &DeviceId) -> MutexGuard<'_, Shard> {
        let hash = FxBuildHasher.hash_one(device.as_str());
        lock(&self.shards[(hash >> 40) as usize % SHARDS])
    }

    /// What is remembered of a device, if anything is.
    pub(crate) fn known(&self, device: &DeviceId) -> Option<Entry> {
        self.shard(device).get(device).cloned()
    }

    /// Begins to remember a device; the limit when too many appeared in this minute. A device
    /// of which something is declared is not new.
    pub(crate) fn meet(
        &self,
        device: &DeviceId,
        declared: bool,
        now: Timestamp,
    ) -> Result<Entry, u32> {
        let mut shard = self.shard(device);
        if let Some(known) = shard.get(device) {
            return Ok(Arc::clone(known));
        }
        if !declared && !lock(&self.new_devices).admit(now) {
            return Err(self.config.new_devices_per_minute);
        }
        Ok(self.insert(&mut shard, device))
    }

    fn insert(&self, shard: &mut Shard, device: &DeviceId) -> Entry {
        if shard.len() >= MAX_DEVICES / SHARDS
            && let Some(victim) = shard.keys().next().cloned()
            && let Some(entry) = shard.remove(&victim)
        {
            let signals = lock(&entry).signal_count();
            self.signals.fetch_sub(signals, Ordering::Relaxed);
        }
        Arc::clone(shard.entry(device.clone()).or_default())
    }

    /// Whether one more signal may be remembered, and if so counts it.
    fn take_room(&self) -> bool {
        let room = self.signals.load(Ordering::Relaxed) < MAX_SIGNALS;
        if room {
            self.signals.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// Begins to remember a signal and returns its place; none when there is no room for it.
    ///
    /// # Errors
    /// What to tell the sender when too many new signals came in this minute.
    fn meet_signal(
        &self,
        state: &mut DeviceState,
        device: &DeviceId,
        name: &SignalName,
        now: Timestamp,
    ) -> Result<Option<usize>, String> {
        if !state.has_room() {
            return Ok(None);
        }
        if state.rule(name.as_str()).is_none() && !lock(&self.new_signals).admit(now) {
            let limit = self.config.new_signals_per_minute;
            return Err(format!(
                "signal {name} of device {device} is new, and more than {limit} new signals came in this minute; take it again later or raise new_signals_per_minute"
            ));
        }
        Ok(self.take_room().then(|| state.add(name)))
    }

    /// Whether a waveform's signal is believed; `sent_as` is its name in payloads.
    ///
    /// # Errors
    /// What to tell the sender when too many new signals came in this minute.
    pub(crate) fn believe_waveform(
        &self,
        state: &mut DeviceState,
        (device, sent_as): (&DeviceId, &SignalName),
        now: Timestamp,
    ) -> Result<(), String> {
        if state.find(sent_as).is_none() {
            self.meet_signal(state, device, sent_as, now)?;
        }
        Ok(())
    }

    /// Notes that a waveform of this time was kept; the mark to leave when it is late.
    pub(crate) fn waveform_kept(
        &self,
        state: &mut DeviceState,
        device: &DeviceId,
        (at, now): (Timestamp, Timestamp),
    ) -> Option<Event> {
        if !state.arrived(at, self.config.late_after) {
            return None;
        }
        Some(Event::LateReadings {
            device: device.clone(),
            readings: 1,
            from: at,
            to: at,
            newest: state.newest,
            at: now,
        })
    }

    /// Takes over what was stored before this process started.
    pub(crate) fn seed(&self, known: impl Iterator<Item = (DeviceId, SignalName, Timestamp, f64)>) {
        for (device, signal, at, value) in known {
            let entry = {
                let mut shard = self.shard(&device);
                match shard.get(&device) {
                    Some(known) => Arc::clone(known),
                    None => self.insert(&mut shard, &device),
                }
            };
            let mut state = lock(&entry);
            if state.knows(signal.as_str()) || self.take_room() {
                state.seed(&signal, at, value);
            }
        }
    }
}

/// What a holder that panicked left behind are counters and times, which stay usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

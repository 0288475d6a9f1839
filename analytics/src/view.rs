//! What is known about an asset right now, for people who look rather than wait for findings.

use crate::{Feature, detection::calibration::Rate};

use telemetry::{
    Assessment, AssetId, Condition, DeviceId, PrognosisOutcome, SensorReport, SignalName, Timestamp,
};

/// An asset as analytics sees it now.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetView {
    /// The asset.
    pub asset: AssetId,
    /// Its devices that have sent readings, by id.
    pub devices: Vec<DeviceView>,
}

/// One device of an asset.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// The device.
    pub device: DeviceId,
    /// Its condition as of its last row, also while learning.
    pub condition: Condition,
    /// The sensors that cannot be believed; none when all are good, or while learning.
    pub sensors: Option<SensorReport>,
    /// The health of the asset as this device tells it; none while learning.
    pub assessment: Option<Assessment>,
    /// The last prognosis, or why there is none; none while learning.
    pub prognosis: Option<PrognosisOutcome>,
    /// The false alarms measured since commissioning.
    pub false_alarms: FalseAlarms,
    /// The newest event time seen, also of rows that still wait for late ones.
    pub last_measured_at: Timestamp,
    /// Every signal looked at, in the order of first appearance.
    pub signals: Vec<SignalView>,
}

/// How often a device alarms while its machine is healthy, and what is done about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FalseAlarms {
    /// What was measured at the usual limit on healthy running after commissioning; none
    /// before a day was watched.
    pub measured: Option<Rate>,
    /// Alarms a month that are bearable, as configured.
    pub budget_per_month: f64,
    /// The alarm limit that keeps the budget, as a factor of the usual one; 1 or above.
    pub limit: f64,
}

/// One signal of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalView {
    /// The signal.
    pub signal: SignalName,
    /// Its newest value that left the reorder buffer.
    pub last: Option<(Timestamp, f64)>,
    /// Its normal range; none while learning and for a signal outside the baseline.
    pub normal: Option<NormalRange>,
    /// Whether it only counts up, such as operating hours, and says nothing of the machine; not
    /// known while learning.
    pub is_counter: bool,
    /// The features of it that can be said now.
    pub features: Vec<(Feature, f64)>,
}

/// Where the smoothed value of a signal lies while all is well: three healthy spreads each
/// way of its present baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalRange {
    /// The lower end, in the unit of the signal.
    pub low: f64,
    /// The upper end, in the unit of the signal.
    pub high: f64,
}

/// Counters of a fleet since it was created or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetStats {
    /// Devices watched.
    pub devices: usize,
    /// Of these, devices whose baseline is being learned.
    pub learning: usize,
    /// Samples that were learned from or scored.
    pub samples: u64,
    /// Rows that came later than the bound and were not scored.
    pub late_rows: u64,
    /// Rows dropped because their time jumped ahead and nothing confirmed it.
    pub implausible_rows: u64,
    /// Values that repeated a measured time of their signal; the first one counts.
    pub duplicate_values: u64,
    /// Samples with fewer than half of the baseline's signals, which are not scored.
    pub thin_samples: u64,
    /// Waveforms that could not be analysed, such as those of fewer than 64 samples, since the
    /// fleet was created.
    pub unreadable_waveforms: u64,
    /// Devices turned away because the fleet was full, counted once a record.
    pub devices_refused: u64,
}

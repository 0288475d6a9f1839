//! What the tests of the chain share: rows in, findings out.

#![allow(
    dead_code,
    reason = "each test is a crate of its own and uses a part of it"
)]

use std::sync::Arc;

use analytics::{Assignment, Fleet};
use telemetry::{
    AssetId, AssetModel, Condition, ConditionState, DeviceId, Finding, JournalRecord, ReadingBatch,
    SensorReport, SignalName, Timestamp,
};

/// A row as a device sends it.
#[derive(Debug, Clone)]
pub(crate) struct Sent<'a> {
    /// The device; the asset has its name.
    pub(crate) device: &'a str,
    /// When it was measured, seconds.
    pub(crate) measured: i64,
    /// When it was received, seconds.
    pub(crate) received: i64,
    /// Its values in the order of the signals; NaN is not sent.
    pub(crate) values: &'a [f64],
}

/// Rows of one device, a second apart and received as they were measured.
pub(crate) fn each_second<const N: usize>(rows: &[[f64; N]]) -> impl Iterator<Item = Sent<'_>> {
    rows.iter().zip(0..).map(|(values, at)| Sent {
        device: "pump-1",
        measured: at,
        received: at,
        values,
    })
}

/// Records of `size` rows with these signals.
pub(crate) fn records<'a>(
    signals: &[&str],
    rows: impl IntoIterator<Item = Sent<'a>>,
    size: usize,
) -> Vec<JournalRecord> {
    let record = |rows: &[Sent<'_>]| {
        let mut readings = ReadingBatch::new();
        for row in rows {
            let device = readings.device(&DeviceId::new(row.device).unwrap());
            for (name, value) in signals.iter().zip(row.values) {
                if !value.is_nan() {
                    let signal = readings.signal(&SignalName::new(name).unwrap());
                    readings.push_value(signal, *value);
                }
            }
            let (measured, received) = (row.measured, row.received);
            let at = Timestamp::from_secs;
            readings.finish_row(device, at(measured), at(received));
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    };
    let rows: Vec<Sent<'_>> = rows.into_iter().collect();
    rows.chunks(size).map(record).collect()
}

/// What follows from records; every device watches the asset of its name.
pub(crate) fn apply(
    fleet: &mut Fleet,
    records: &[JournalRecord],
    model: &Arc<AssetModel>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut assign = |device: &DeviceId| {
        Some(Assignment {
            asset: AssetId::new(device.as_str()).unwrap(),
            model: Some(model.clone()),
        })
    };
    for record in records {
        fleet.apply(record, &mut assign, &mut findings);
    }
    findings
}

pub(crate) fn conditions(findings: &[Finding]) -> impl Iterator<Item = &Condition> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Condition(condition) => Some(condition),
        _ => None,
    })
}

pub(crate) fn reports(findings: &[Finding]) -> impl Iterator<Item = &SensorReport> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Sensor(report) => Some(report),
        _ => None,
    })
}

/// The first alarm.
pub(crate) fn alarm(findings: &[Finding]) -> Option<&Condition> {
    conditions(findings).find(|condition| condition.state == ConditionState::Alarm)
}

/// Exact text: JSON shows every float with all digits it needs to be read back bit by bit.
pub(crate) fn exact(findings: &[Finding]) -> Vec<String> {
    let text = |finding| serde_json::to_string(finding).unwrap();
    findings.iter().map(text).collect()
}

/// The declaration of a signal whose unit its name tells.
pub(crate) fn declared(name: &str) -> serde_json::Value {
    let unit = telemetry::Unit::from_signal_name(name).unwrap();
    serde_json::json!({"name": name, "unit": unit.symbol(), "label_en": name, "label_zh": name})
}

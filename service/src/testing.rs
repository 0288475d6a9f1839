//! Advisories as alerting hands them in, for the tests.

use telemetry::{
    Advisory, AssetId, AssetModel, AssetModelId, CaseId, Contribution, DeviceId, Evidence,
    FailureMode, ForecastDetail, OperatingState, Prognosis, PrognosisFamily, Severity,
    SignalLimits, SignalName, SignalSpec, Statistics, Timestamp, Unit,
};

/// Seconds into the plant's life.
pub(crate) fn t(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// Nine signals, the first with the largest share.
fn contributions() -> Vec<Contribution> {
    let part = |number: u8| Contribution {
        signal: SignalName::new(&format!("signal {number}")).unwrap(),
        share: 1.0 / f64::from(number + 2),
        deviation: 9.5 - f64::from(number),
        value: 1.0,
        normal: 1.0,
        normal_low: 0.9,
        normal_high: 1.1,
    };
    (0..9).map(part).collect()
}

pub(crate) fn advisory(case: &str, asset: &str, severity: Severity) -> Advisory {
    Advisory {
        case: CaseId::new(case).unwrap(),
        round: 1,
        asset: AssetId::new(asset).unwrap(),
        device: DeviceId::new(asset).unwrap(),
        failure_mode: FailureMode::new("bearing-wear").unwrap(),
        signal: None,
        severity,
        opened_at: t(1_000),
        evidence: Evidence {
            model: "pca-t2-q/1".to_owned(),
            window_from: t(900),
            window_to: t(1_000),
            baseline_from: t(0),
            baseline_to: t(800),
            baseline_rows: 400,
            operating: OperatingState::Unknown,
            statistics: Statistics {
                score: 2.0,
                on: 1.0,
                off: 0.7,
            },
            views: Vec::new(),
            failure_mode: FailureMode::new("bearing-wear").unwrap(),
            failure_mode_fit: 0.9,
            contributions: contributions(),
            suspects: Vec::new(),
            peers: None,
        },
        prognosis: None,
    }
}

pub(crate) fn prognosis(asset: &str, at: i64, rul_p10_s: f64) -> Prognosis {
    Prognosis {
        asset: AssetId::new(asset).unwrap(),
        device: DeviceId::new(asset).unwrap(),
        at: t(at),
        model: "theil-sen/1".to_owned(),
        family: PrognosisFamily::Trend,
        limit: Some(30.0),
        rul_p10_s,
        rul_p50_s: 2.0 * rul_p10_s,
        rul_p90_s: 4.0 * rul_p10_s,
        loss_per_day: Some(3.0),
        window_from: t(0),
        p_value: Some(0.01),
        detail: ForecastDetail::default(),
    }
}

/// A model of one signal, `bearing_temperature_c` in °C from -50 to 200.
pub(crate) fn pump_model() -> AssetModel {
    let temperature = SignalSpec {
        name: SignalName::new("bearing_temperature_c").unwrap(),
        unit: Unit::Celsius,
        label_en: "Bearing temperature".to_owned(),
        label_zh: "轴承温度".to_owned(),
        limits: SignalLimits {
            min: Some(-50.0),
            max: Some(200.0),
            ..SignalLimits::default()
        },
        range: None,
        counter: false,
    };
    let id = AssetModelId::new("pump").unwrap();
    AssetModel::new(id, "Pump", "泵", vec![temperature])
}

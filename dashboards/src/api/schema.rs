//! The shapes of other rooms' types in the OpenAPI document.
//!
//! Responses hold those rooms' own types, which know nothing of OpenAPI; these mirrors are
//! only ever described, never sent. A test reads what telemetry writes into them, unknown
//! fields refused, so the two cannot drift apart.

#![allow(dead_code, reason = "described, never built")]

mod backtests;
mod devices;
mod prognosis;
mod rules;
mod sensors;

use serde::Deserialize;
use utoipa::ToSchema;

pub use self::backtests::{
    BacktestCase, BacktestOfRule, BacktestResult, BacktestSide, BacktestVerdict, ShareInterval,
};
pub use self::devices::{
    Limits, NewDevice, NewDeviceSignal, OnboardChanged, OnboardCreated, OnboardError,
    OnboardReport, OnboardToken, Quota,
};
pub use self::prognosis::{
    FailureWithin, FanQuantile, ForecastContribution, ForecastDetail, HistoryReport,
    PrognosisFamily, Shown, SimilarLife,
};
pub use self::rules::{RuleReport, RuleState, RuleVerdict, Verdict};
pub use self::sensors::{SensorFault, SensorReport, SensorState, SensorVerdict};

/// What a verdict rests on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The detectors that were asked and their versions, such as `level/1+innovation/1`.
    model: String,
    /// First row of the window the verdict looked at, in event time.
    #[schema(format = DateTime)]
    window_from: String,
    /// Last row of that window.
    #[schema(format = DateTime)]
    window_to: String,
    /// First row the baseline was learned from.
    #[schema(format = DateTime)]
    baseline_from: String,
    /// Last row the baseline was learned from.
    #[schema(format = DateTime)]
    baseline_to: String,
    /// Rows the baseline was learned from.
    baseline_rows: u32,
    /// The state whose baseline was compared with.
    operating: OperatingState,
    /// The fused score with its limits.
    statistics: Statistics,
    /// What each detector said.
    views: Vec<ViewScore>,
    /// The failure mode whose signature fits best, or `unclassified`.
    failure_mode: String,
    /// How well it fits, 0 to 1.
    failure_mode_fit: f64,
    /// Every signal of the baseline, largest share first.
    contributions: Vec<Contribution>,
    /// Signals that were left out because their sensors cannot be believed.
    suspects: Vec<String>,
    /// Machines of the same model and load regime that it was compared with, 0 when they were
    /// too few to tell; missing where nobody asked for the comparison.
    peers: Option<u32>,
}

/// What a machine is doing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperatingState {
    /// It stands still.
    Off,
    /// It turns without load.
    Idle,
    /// It was switched on a short while ago.
    StartUp,
    /// It works.
    Running {
        /// The load regime, counted from 0.
        regime: u8,
    },
    /// It is on its way from one state to another.
    Transition,
    /// Nobody has said how to tell.
    Unknown,
}

/// What one detector says about a row.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewScore {
    /// The detector, such as `level`.
    view: String,
    /// Its version.
    version: u32,
    /// What it measured, in its own unit.
    score: f64,
    /// Where its own alarm begins, in the same unit.
    limit: f64,
}

/// The fused score of a row and its limits.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// One number for all views: 1 is the alarm limit.
    score: f64,
    /// The score at which an alarm begins.
    on: f64,
    /// The score at which an alarm ends.
    off: f64,
}

/// How much one signal takes part in a deviation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The signal.
    signal: String,
    /// Its share of the deviation; all shares add up to 1.
    share: f64,
    /// How far it is from its normal, signed, in healthy spreads.
    deviation: f64,
    /// Its present smoothed value.
    value: f64,
    /// Its normal value.
    normal: f64,
    /// The lower end of its normal range.
    normal_low: f64,
    /// The upper end of its normal range.
    normal_high: f64,
}

/// State detection: is what a device measures of its asset normal?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The asset.
    asset: String,
    /// The device that measured.
    device: String,
    /// The row this speaks of, in event time.
    #[schema(format = DateTime)]
    at: String,
    /// The verdict.
    state: ConditionState,
    /// When the present state began, in event time.
    #[schema(format = DateTime)]
    since: String,
    /// What the machine is doing. Outside of running there is no verdict and the state stands.
    operating: OperatingState,
    /// The numbers behind the verdict; null while learning.
    evidence: Option<Evidence>,
}

/// The verdict of state detection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConditionState {
    /// The baseline is being learned.
    Learning {
        /// Rows seen so far.
        rows: u32,
        /// Rows the baseline needs.
        needed: u32,
    },
    /// Inside its limits.
    Normal,
    /// Beyond a limit, not yet long enough to say so aloud.
    Watch,
    /// Beyond a limit for long enough.
    Alarm,
}

/// Health assessment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assessment {
    /// The asset.
    asset: String,
    /// The device whose signals were assessed.
    device: String,
    /// The row this speaks of, in event time.
    #[schema(format = DateTime)]
    at: String,
    /// The health index, 0 to 100.
    health: f64,
    /// Its zone.
    zone: Zone,
    /// The detection score it was made from.
    score: f64,
    /// The health of each component the asset model names; empty without a model.
    components: Vec<ComponentHealth>,
}

/// The health of a part of an asset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentHealth {
    /// The component, as the asset model names it.
    component: String,
    /// Its health index, 0 to 100.
    health: f64,
    /// How much it counts against the other components; the weights of an asset add up to 1.
    weight: f64,
}

/// Zones of the health index: 80 to 100, 60 to 80, 30 to 60, below 30.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// 80 to 100.
    Healthy,
    /// 60 to 80.
    Watch,
    /// 30 to 60.
    Warning,
    /// Below 30.
    Critical,
}

/// A prognosis (`outcome` is `forecast`), or the reason why there is none (`none`).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "described, never built")]
pub enum PrognosisOutcome {
    /// A forecast.
    Forecast(Forecast),
    /// Nothing can be said, and why.
    None(NoForecast),
}

/// How much life is left, as a distribution.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The asset.
    asset: String,
    /// The device whose signals were assessed.
    device: String,
    /// The row this was computed at, in event time.
    #[schema(format = DateTime)]
    at: String,
    /// The method and its version.
    model: String,
    /// The kind of model.
    family: PrognosisFamily,
    /// The health index that counts as failure; none where failures of the past say what one is.
    limit: Option<f64>,
    /// Remaining useful life with 10 % of the distribution below it, in seconds.
    rul_p10_s: f64,
    /// The median remaining useful life, in seconds.
    rul_p50_s: f64,
    /// Remaining useful life with 90 % of the distribution below it, in seconds.
    rul_p90_s: f64,
    /// Health lost a day by the median slope; only of a trend.
    loss_per_day: Option<f64>,
    /// First row of the history the forecast rests on.
    #[schema(format = DateTime)]
    window_from: String,
    /// Two-sided p-value of the trend; only of a trend.
    p_value: Option<f64>,
    /// What a trained model adds; left out where there is nothing.
    #[serde(default)]
    detail: Option<ForecastDetail>,
}

/// Why there is no prognosis.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoForecast {
    /// The asset.
    asset: String,
    /// The device whose signals were assessed.
    device: String,
    /// The row this speaks of, in event time.
    #[schema(format = DateTime)]
    at: String,
    /// The reason as a word, such as `no_significant_trend`.
    reason: String,
}

/// How urgent a case is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth an eye; no order yet.
    Watch,
    /// Plan the work.
    Warning,
    /// Act soon.
    Critical,
}

/// What the engineer found when the order was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The predicted fault was there.
    Confirmed,
    /// Nothing was wrong.
    NoFaultFound,
    /// The sensor was wrong, not the machine.
    SensorFault,
    /// Another order already covers it.
    Duplicate,
    /// Put off; the problem remains.
    Deferred,
    /// Something else was wrong.
    OtherFaultFound,
}

/// Where a case stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// Nobody has looked at it yet.
    Open,
    /// A person has seen it.
    Acknowledged,
    /// Its work order has ended.
    Closed,
}

/// Where a work order stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkOrderStatus {
    /// Somebody or something asks for the work.
    Proposed,
    /// A planner agreed.
    Approved,
    /// An engineer and a time are set.
    Scheduled,
    /// The engineer is at it.
    InProgress,
    /// Done, with an outcome.
    Completed,
    /// Will not be done.
    Cancelled,
}

/// Why the work is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkOrderKind {
    /// A case foresees a failure.
    Predictive,
    /// Somebody wants it looked at.
    Inspection,
    /// It has failed.
    Corrective,
    /// Its time or usage has come.
    Preventive,
}

/// One signal's part in the reason for an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderSignal {
    /// The signal.
    signal: String,
    /// How far it was from its normal, signed, in healthy spreads.
    deviation: f64,
    /// Its share of the deviation, 0 to 1.
    share: f64,
}

/// A customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerRef {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
}

/// A place of a customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteRef {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Its IANA time zone.
    time_zone: String,
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use telemetry::{AssetId, DeviceId, FailureMode, HealthIndex, SignalName, Timestamp};

    use super::*;

    fn reads<T: for<'a> Deserialize<'a>>(value: &impl Serialize) {
        let json = serde_json::to_string(value).unwrap();
        if let Err(error) = serde_json::from_str::<T>(&json) {
            panic!(
                "the mirror {} differs: {error}\n{json}",
                std::any::type_name::<T>()
            );
        }
    }

    fn evidence() -> telemetry::Evidence {
        telemetry::Evidence {
            model: "pca-t2-q/1".to_owned(),
            window_from: Timestamp::EPOCH,
            window_to: Timestamp::EPOCH,
            baseline_from: Timestamp::EPOCH,
            baseline_to: Timestamp::EPOCH,
            baseline_rows: 400,
            operating: telemetry::OperatingState::Running { regime: 0 },
            statistics: telemetry::Statistics {
                score: 1.5,
                on: 1.0,
                off: 0.8,
            },
            views: vec![telemetry::ViewScore {
                view: "level".to_owned(),
                version: 1,
                score: 4.5,
                limit: 3.0,
            }],
            failure_mode: FailureMode::unclassified(),
            failure_mode_fit: 0.0,
            contributions: vec![telemetry::Contribution {
                signal: SignalName::new("flow_l_min").unwrap(),
                share: 1.0,
                deviation: -4.0,
                value: 20.0,
                normal: 30.0,
                normal_low: 28.0,
                normal_high: 32.0,
            }],
            suspects: vec![SignalName::new("pressure_bar").unwrap()],
            peers: None,
        }
    }

    #[test]
    fn the_mirrors_describe_what_telemetry_writes() {
        let asset = AssetId::new("pump-1").unwrap();
        let device = DeviceId::new("dev-1").unwrap();
        reads::<Evidence>(&evidence());
        for state in [
            telemetry::ConditionState::Learning { rows: 1, needed: 2 },
            telemetry::ConditionState::Normal,
            telemetry::ConditionState::Watch,
            telemetry::ConditionState::Alarm,
        ] {
            reads::<Condition>(&telemetry::Condition {
                asset: asset.clone(),
                device: device.clone(),
                at: Timestamp::EPOCH,
                state,
                since: Timestamp::EPOCH,
                operating: telemetry::OperatingState::Transition,
                evidence: Some(evidence()),
            });
        }
        reads::<SensorReport>(&telemetry::SensorReport {
            asset: asset.clone(),
            device: device.clone(),
            at: Timestamp::EPOCH,
            verdicts: vec![telemetry::SensorVerdict {
                signal: SignalName::new("pressure_bar").unwrap(),
                state: telemetry::SensorState::Faulty,
                since: Timestamp::EPOCH,
                fault: Some(telemetry::SensorFault::Stuck),
                confidence: 0.9,
                value: Some(1.0),
                expected: None,
                detail: [("rows".to_owned(), 40.0)].into(),
            }],
        });
        for health in [95.0, 70.0, 40.0, 10.0].map(HealthIndex::new) {
            reads::<Assessment>(&telemetry::Assessment {
                asset: asset.clone(),
                device: device.clone(),
                at: Timestamp::EPOCH,
                health,
                zone: health.zone(),
                score: 0.5,
                components: vec![telemetry::ComponentHealth {
                    component: telemetry::ComponentId::new("bearing").unwrap(),
                    health,
                    weight: 1.0,
                }],
            });
        }
        reads::<PrognosisOutcome>(&telemetry::PrognosisOutcome::None(telemetry::NoPrognosis {
            asset: asset.clone(),
            device: device.clone(),
            at: Timestamp::EPOCH,
            reason: "recovered".to_owned(),
        }));
        reads::<PrognosisOutcome>(&forecast(asset, device));
    }

    #[test]
    fn the_mirrors_describe_what_rules_say() {
        let asset = AssetId::new("pump-1").unwrap();
        let device = DeviceId::new("dev-1").unwrap();
        for verdict in telemetry::Verdict::ALL {
            let text = telemetry::Explanation {
                en: "hot".to_owned(),
                zh: "热".to_owned(),
            };
            reads::<RuleReport>(&telemetry::RuleReport {
                asset: asset.clone(),
                device: device.clone(),
                at: Timestamp::EPOCH,
                verdicts: vec![telemetry::RuleVerdict {
                    rule: telemetry::RuleId::new("hot").unwrap(),
                    version: 1,
                    state: telemetry::RuleState::Raised,
                    since: Timestamp::EPOCH,
                    verdict,
                    failure_mode: telemetry::FailureMode::unclassified(),
                    severity: telemetry::Severity::Warning,
                    signal: None,
                    value: Some(81.0),
                    limit: Some(80.0),
                    text,
                }],
            });
        }
    }

    fn forecast(
        asset: telemetry::AssetId,
        device: telemetry::DeviceId,
    ) -> telemetry::PrognosisOutcome {
        telemetry::PrognosisOutcome::Forecast(telemetry::Prognosis {
            asset,
            device,
            at: Timestamp::EPOCH,
            model: "theil-sen/1".to_owned(),
            family: telemetry::PrognosisFamily::Trend,
            limit: Some(30.0),
            rul_p10_s: 1.0,
            rul_p50_s: 2.0,
            rul_p90_s: 3.0,
            loss_per_day: Some(0.1),
            window_from: Timestamp::EPOCH,
            p_value: Some(0.01),
            detail: prognosis::full_detail(),
        })
    }

    #[test]
    fn the_mirrors_hold_every_word() {
        for word in telemetry::PrognosisFamily::ALL {
            reads::<PrognosisFamily>(&word);
        }
        for word in telemetry::SensorState::ALL {
            reads::<SensorState>(&word);
        }
        for word in telemetry::SensorFault::ALL {
            reads::<SensorFault>(&word);
        }
        for word in [
            telemetry::OperatingState::Off,
            telemetry::OperatingState::Idle,
            telemetry::OperatingState::StartUp,
            telemetry::OperatingState::Running { regime: 1 },
            telemetry::OperatingState::Transition,
            telemetry::OperatingState::Unknown,
        ] {
            reads::<OperatingState>(&word);
        }
        for word in telemetry::Severity::ALL {
            reads::<Severity>(word);
        }
        for word in telemetry::Outcome::ALL {
            reads::<Outcome>(word);
        }
        for word in alerting::CaseStatus::ALL {
            reads::<CaseStatus>(&word);
        }
        for word in service::WorkOrderStatus::ALL {
            reads::<WorkOrderStatus>(&word);
        }
        for word in service::WorkOrderKind::ALL {
            reads::<WorkOrderKind>(&word);
        }
    }
}

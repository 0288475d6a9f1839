//! Findings as analytics makes them, for the tests.

use std::sync::Arc;

use telemetry::{
    Assessment, AssetId, AssetModelId, CaseId, Condition, ConditionState, Contribution, CustomerId,
    DeviceId, Evidence, FailureMode, Finding, ForecastDetail, HealthIndex, ManualClock,
    NoPrognosis, OperatingState, Outcome, Place, Places, Prognosis, PrognosisFamily,
    PrognosisOutcome, SensorFault, SensorReport, SensorState, SensorVerdict, SignalName, SiteId,
    Statistics, Timestamp, ViewScore, WorkOrderClosed, WorkOrderId,
};

use crate::{
    Case, CaseSettings, MaintenanceWindow, Silence,
    desk::{Around, Desk},
};

/// Seconds into the plant's life.
pub(crate) fn t(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(crate) fn asset(id: &str) -> AssetId {
    AssetId::new(id).unwrap()
}

pub(crate) fn order(id: &str) -> WorkOrderId {
    WorkOrderId::new(id).unwrap()
}

pub(crate) fn evidence(mode: &str, score: f64) -> Evidence {
    Evidence {
        model: "pca-t2-q/1".to_owned(),
        window_from: t(0),
        window_to: t(10),
        baseline_from: t(-1_000),
        baseline_to: t(-1),
        baseline_rows: 400,
        operating: OperatingState::Unknown,
        statistics: Statistics {
            score,
            on: 1.0,
            off: 0.7,
        },
        views: vec![ViewScore {
            view: "level".to_owned(),
            version: 1,
            score: 3.0 * score,
            limit: 3.0,
        }],
        failure_mode: FailureMode::new(mode).unwrap(),
        failure_mode_fit: 0.93,
        contributions: vec![Contribution {
            signal: SignalName::new("vibration_mm_s").unwrap(),
            share: 1.0,
            deviation: 6.1,
            value: 4.9,
            normal: 2.1,
            normal_low: 1.6,
            normal_high: 2.6,
        }],
        suspects: Vec::new(),
        peers: None,
    }
}

/// A device of an asset, which makes findings about it.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) asset: AssetId,
    pub(crate) device: DeviceId,
}

pub(crate) fn probe(asset_id: &str, device: &str) -> Probe {
    Probe {
        asset: asset(asset_id),
        device: DeviceId::new(device).unwrap(),
    }
}

impl Probe {
    fn condition(
        &self,
        state: ConditionState,
        since: i64,
        at: i64,
        evidence: Option<Evidence>,
    ) -> Finding {
        Finding::Condition(Condition {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: t(at),
            state,
            since: t(since),
            operating: OperatingState::Unknown,
            evidence,
        })
    }

    pub(crate) fn alarm(&self, since: i64, at: i64, mode: &str, score: f64) -> Finding {
        self.condition(
            ConditionState::Alarm,
            since,
            at,
            Some(evidence(mode, score)),
        )
    }

    pub(crate) fn alarm_without_evidence(&self, since: i64, at: i64) -> Finding {
        self.condition(ConditionState::Alarm, since, at, None)
    }

    pub(crate) fn normal(&self, since: i64, at: i64) -> Finding {
        let evidence = Some(evidence(FailureMode::UNCLASSIFIED, 0.3));
        self.condition(ConditionState::Normal, since, at, evidence)
    }

    pub(crate) fn watch(&self, since: i64, at: i64) -> Finding {
        let evidence = Some(evidence(FailureMode::UNCLASSIFIED, 1.1));
        self.condition(ConditionState::Watch, since, at, evidence)
    }

    pub(crate) fn learning(&self, at: i64) -> Finding {
        let state = ConditionState::Learning {
            rows: 3,
            needed: 400,
        };
        self.condition(state, 0, at, None)
    }

    /// A word about one sensor: value 9 where 5 was expected, twice the limit.
    pub(crate) fn sensor(&self, signal: &str, state: SensorState, since: i64, at: i64) -> Finding {
        Finding::Sensor(SensorReport {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: t(at),
            verdicts: vec![SensorVerdict {
                signal: SignalName::new(signal).unwrap(),
                state,
                since: t(since),
                fault: Some(SensorFault::Step),
                confidence: 0.75,
                value: Some(9.0),
                expected: Some(5.0),
                detail: std::collections::BTreeMap::new(),
            }],
        })
    }

    pub(crate) fn health(&self, at: i64, index: f64) -> Finding {
        let health = HealthIndex::new(index);
        Finding::Assessment(Assessment {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: t(at),
            health,
            zone: health.zone(),
            score: 1.0,
            components: Vec::new(),
        })
    }

    pub(crate) fn forecast(&self, at: i64, p10: f64, p50: f64) -> Finding {
        Finding::Prognosis(PrognosisOutcome::Forecast(Prognosis {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: t(at),
            model: "theil-sen/1".to_owned(),
            family: PrognosisFamily::Trend,
            limit: Some(30.0),
            rul_p10_s: p10,
            rul_p50_s: p50,
            rul_p90_s: f64::INFINITY,
            loss_per_day: Some(2.5),
            window_from: t(0),
            p_value: Some(0.001),
            detail: ForecastDetail::default(),
        }))
    }

    pub(crate) fn no_forecast(&self, at: i64) -> Finding {
        Finding::Prognosis(PrognosisOutcome::None(NoPrognosis {
            asset: self.asset.clone(),
            device: self.device.clone(),
            at: t(at),
            reason: "no_significant_trend".to_owned(),
        }))
    }
}

/// The end of an order.
pub(crate) fn ended(
    work_order: &str,
    of: &AssetId,
    case: Option<&CaseId>,
    outcome: Option<Outcome>,
    at: i64,
) -> WorkOrderClosed {
    WorkOrderClosed {
        work_order: order(work_order),
        asset: of.clone(),
        case: case.cloned(),
        outcome,
        failure_mode: None,
        part: None,
        at: t(at),
        note: "seen to".to_owned(),
    }
}

/// A desk on a file, of a recording, whose orders do not wait.
pub(crate) async fn desk(path: &std::path::Path) -> crate::CaseDesk {
    open(path).await.unwrap()
}

/// The same, or why it cannot be opened.
pub(crate) async fn open(path: &std::path::Path) -> Result<crate::CaseDesk, crate::AlertingError> {
    let around = Surroundings::default();
    let clock = Arc::new(ManualClock::at(around.now));
    crate::CaseDesk::open(path, around.settings, Arc::new(Plant), clock).await
}

/// A plant where every asset stands at the site its id begins with, as in `hall-3_pump-1`, and
/// is part of what its id names last, as in `hall-3_pump-1_motor-1`; others stand nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plant;

impl Places for Plant {
    fn place(&self, asset: &AssetId) -> Option<Place> {
        let (site, rest) = asset.as_str().split_once('_')?;
        let parent = rest
            .split_once('_')
            .map(|(_, above)| format!("{site}_{above}"));
        let mut place = place(site, "pump");
        place.parent = parent.map(|parent| AssetId::new(&parent).unwrap());
        Some(place)
    }
}

pub(crate) fn place(site: &str, model: &str) -> Place {
    Place {
        site: SiteId::new(site).unwrap(),
        customer: CustomerId::new("acme").unwrap(),
        model: AssetModelId::new(model).unwrap(),
        parent: None,
        time_zone: "UTC".to_owned(),
        drive_signals: [SignalName::new("speed_rpm").unwrap()].into(),
    }
}

/// What is around a desk whose findings are those of a recording: nothing was punctual, so
/// nothing is late, and orders do not wait.
pub(crate) struct Surroundings {
    pub(crate) now: Timestamp,
    pub(crate) settings: CaseSettings,
    pub(crate) silences: Vec<Silence>,
    pub(crate) windows: Vec<MaintenanceWindow>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            now: t(1_700_000_000),
            settings: CaseSettings {
                settle: std::time::Duration::ZERO,
                ..CaseSettings::default()
            },
            silences: Vec::new(),
            windows: Vec::new(),
        }
    }
}

impl Surroundings {
    pub(crate) fn around(&self) -> Around<'_> {
        Around {
            now: self.now,
            places: &Plant,
            settings: &self.settings,
            silences: &self.silences,
            windows: &self.windows,
        }
    }
}

/// A case that an alarm of this mode opened.
pub(crate) fn case(asset_id: &str, mode: &str) -> Case {
    let mut desk = Desk::default();
    let surroundings = Surroundings::default();
    desk.observe(
        &[probe(asset_id, "dev-1").alarm(100, 130, mode, 1.4)],
        &surroundings.around(),
    );
    let held = desk.open_cases().next().unwrap();
    held.case.clone()
}

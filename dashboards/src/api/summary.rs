//! An asset as the API shows it: ledger, analytics, store, cases and orders put together.
//!
//! Putting together is a pure function of what was fetched ([`summary`]); fetching is done
//! for one asset or for many at once ([`Composer`]).

use std::collections::BTreeMap;

use alerting::OpenCase as OpenCaseBrief;
use analytics::DeviceView;
use serde::Serialize;
use service::{Asset, WorkOrder, WorkOrderQuery, WorkOrderStatus};
use telemetry::{
    AssetId, AssetModel, CaseId, Condition, ConditionState, DeviceId, Evidence, FailureMode,
    ForecastDetail, Prognosis, PrognosisFamily, PrognosisOutcome, Severity, Timestamp, WorkOrderId,
};
use utoipa::ToSchema;

use super::{problem::Problem, schema};
use crate::{
    fleet::AssetLive,
    labels::{self, Text},
    parts::Parts,
    state::{self, AssetState},
};

/// An asset in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetSummary {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AssetId,
    /// Its name.
    pub name: String,
    /// The id of its asset model; `unknown` when nobody has described it.
    pub model: String,
    /// The name of its asset model; null when the model is not known.
    pub model_name: Option<Text>,
    /// Whose it is.
    #[schema(value_type = schema::CustomerRef)]
    pub customer: service::CustomerRef,
    /// Where it stands.
    #[schema(value_type = schema::SiteRef)]
    pub site: service::SiteRef,
    /// The asset it is part of or fed by; null when it stands alone.
    #[schema(value_type = Option<String>)]
    pub parent: Option<AssetId>,
    /// Registered by its first reading and not described by a person since.
    pub discovered: bool,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
    /// How it is, in one word: the worst of its devices.
    pub state: AssetState,
    /// Its health; null while learning.
    pub health: Option<HealthView>,
    /// How far learning has come; null when it is done.
    pub learning: Option<LearningView>,
    /// The verdict of its worst device; null before the first.
    pub condition: Option<ConditionView>,
    /// The forecast that ends first, or why there is none; null while learning.
    pub prognosis: Option<PrognosisView>,
    /// The newest event time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_measured_at: Option<Timestamp>,
    /// When its last reading arrived; null when none did since the start of the program.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_received_at: Option<Timestamp>,
    /// Its open cases: those of the machine, then those of its sensors, each newest first.
    pub open_cases: Vec<OpenCase>,
    /// The unfinished order that comes next.
    pub next_order: Option<NextOrder>,
    /// The devices that watch it.
    pub devices: Vec<DeviceOnline>,
}

/// The health of an asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthView {
    /// From 0 (failed) to 100 (as its baseline).
    pub index: f64,
    /// The zone the index lies in.
    #[schema(value_type = schema::Zone)]
    pub zone: telemetry::Zone,
    /// The event time it speaks of.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// How far learning has come.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct LearningView {
    /// Rows seen so far.
    pub rows: u32,
    /// Rows the baseline needs.
    pub needed: u32,
}

/// The verdict of state detection, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConditionView {
    /// The verdict.
    pub state: ConditionWord,
    /// When it began, in event time.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The row it speaks of.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The detection score, 1 is the alarm limit; null while learning.
    pub score: Option<f64>,
    /// What seems to be failing; null while all is well.
    #[schema(value_type = Option<String>)]
    pub failure_mode: Option<FailureMode>,
    /// Its name.
    pub failure_mode_name: Option<Text>,
}

/// A verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionWord {
    /// The baseline is being learned.
    Learning,
    /// Inside its limits.
    Normal,
    /// Beyond a limit, not yet long enough to say so aloud.
    Watch,
    /// Beyond a limit for long enough.
    Alarm,
}

impl ConditionWord {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Normal => "normal",
            Self::Watch => "watch",
            Self::Alarm => "alarm",
        }
    }
}

impl From<ConditionState> for ConditionWord {
    fn from(state: ConditionState) -> Self {
        match state {
            ConditionState::Learning { .. } => Self::Learning,
            ConditionState::Normal => Self::Normal,
            ConditionState::Watch => Self::Watch,
            ConditionState::Alarm => Self::Alarm,
        }
    }
}

/// A forecast, or the reason why there is none.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(
    clippy::large_enum_variant,
    reason = "made for one answer and written out at once"
)]
pub enum PrognosisView {
    /// A forecast.
    Forecast(ForecastView),
    /// The reason why there is none.
    Reason(ReasonView),
}

/// How much life is left, as a distribution.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ForecastView {
    /// The event time it was computed at.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The method and its version.
    pub model: String,
    /// The kind of model.
    #[schema(value_type = schema::PrognosisFamily)]
    pub family: PrognosisFamily,
    /// The health index that counts as failure; none where failures of the past say what one is.
    pub limit: Option<f64>,
    /// The time before which it fails with a probability of 10 %.
    #[schema(value_type = String, format = DateTime)]
    pub p10: Timestamp,
    /// The time before which it fails with a probability of 50 %.
    #[schema(value_type = String, format = DateTime)]
    pub p50: Timestamp,
    /// The time before which it fails with a probability of 90 %.
    #[schema(value_type = String, format = DateTime)]
    pub p90: Timestamp,
    /// Seconds from `at` to `p10`.
    pub rul_p10_s: f64,
    /// Seconds from `at` to `p50`.
    pub rul_p50_s: f64,
    /// Seconds from `at` to `p90`.
    pub rul_p90_s: f64,
    /// Health lost a day by the median slope; only of a trend.
    pub loss_per_day: Option<f64>,
    /// Two-sided p-value of the trend; only of a trend.
    pub p_value: Option<f64>,
    /// What a trained model adds.
    #[schema(value_type = schema::ForecastDetail)]
    pub detail: ForecastDetail,
}

/// Why there is no forecast.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReasonView {
    /// The reason as a word, such as `no_significant_trend`.
    pub reason: String,
}

impl From<&Prognosis> for PrognosisView {
    fn from(prognosis: &Prognosis) -> Self {
        Self::Forecast(ForecastView {
            at: prognosis.at,
            model: prognosis.model.clone(),
            family: prognosis.family,
            limit: prognosis.limit,
            p10: prognosis.date_of(prognosis.rul_p10_s),
            p50: prognosis.date_of(prognosis.rul_p50_s),
            p90: prognosis.date_of(prognosis.rul_p90_s),
            rul_p10_s: prognosis.rul_p10_s,
            rul_p50_s: prognosis.rul_p50_s,
            rul_p90_s: prognosis.rul_p90_s,
            loss_per_day: prognosis.loss_per_day,
            p_value: prognosis.p_value,
            detail: prognosis.detail.clone(),
        })
    }
}

impl From<&PrognosisOutcome> for PrognosisView {
    fn from(outcome: &PrognosisOutcome) -> Self {
        match outcome {
            PrognosisOutcome::Forecast(prognosis) => prognosis.into(),
            PrognosisOutcome::None(none) => Self::Reason(ReasonView {
                reason: none.reason.clone(),
            }),
        }
    }
}

/// An open case in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OpenCase {
    /// Its id.
    #[schema(value_type = String)]
    pub id: CaseId,
    /// What seems to be failing.
    #[schema(value_type = String)]
    pub failure_mode: FailureMode,
    /// Its name.
    pub failure_mode_name: Option<Text>,
    /// How urgent it is.
    #[schema(value_type = schema::Severity)]
    pub severity: Severity,
    /// When the alarm rose, in event time.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
}

/// An unfinished order in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NextOrder {
    /// Its id.
    #[schema(value_type = String)]
    pub id: WorkOrderId,
    /// Where it stands.
    #[schema(value_type = schema::WorkOrderStatus)]
    pub status: WorkOrderStatus,
    /// When it is to be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub scheduled_for: Option<Timestamp>,
    /// By when it should be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_by: Option<Timestamp>,
}

/// A device and whether it is connected.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceOnline {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// Whether it is connected; null when that is not known.
    pub online: Option<bool>,
}

/// What a summary is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The ledger's entry.
    pub asset: &'a Asset,
    /// Its model, when it is known.
    pub model: Option<&'a AssetModel>,
    /// Its present state, when anything was heard of it.
    pub live: Option<&'a AssetLive>,
    /// The newest stored event time of each of its devices that has readings.
    pub stored: &'a BTreeMap<DeviceId, Timestamp>,
    /// Its open cases, newest first.
    pub cases: &'a [OpenCaseBrief],
    /// Its unfinished orders.
    pub orders: &'a [WorkOrder],
}

/// Puts the summary of an asset together.
pub fn summary(facts: &Facts<'_>) -> AssetSummary {
    let Facts { asset, model, .. } = *facts;
    let views: Vec<_> = lives(facts).filter_map(|live| live.view.as_ref()).collect();
    let conditions = || views.iter().map(|view| &view.condition);
    let health = state::worst_health(views.iter().filter_map(|view| view.assessment.as_ref()));
    let prognosis = state::first_prognosis(views.iter().filter_map(|view| view.prognosis.as_ref()));
    let measured = views.iter().map(|view| view.last_measured_at);
    AssetSummary {
        id: asset.id.clone(),
        name: asset.name.as_str().to_owned(),
        model: asset.model.to_string(),
        model_name: model.map(labels::model_name),
        customer: asset.customer.clone(),
        site: asset.site.clone(),
        parent: asset.parent.clone(),
        discovered: asset.discovered,
        registered_at: asset.registered_at,
        state: asset_state(facts),
        health: health.map(|assessment| HealthView {
            index: assessment.health.get(),
            zone: assessment.zone,
            at: assessment.at,
        }),
        learning: state::slowest_learning(conditions())
            .map(|(rows, needed)| LearningView { rows, needed }),
        condition: state::worst_condition(conditions()).map(|worst| condition_view(worst, model)),
        prognosis: prognosis.map(PrognosisView::from),
        last_measured_at: measured.chain(facts.stored.values().copied()).max(),
        last_received_at: lives(facts).filter_map(|live| live.last_received_at).max(),
        open_cases: open_cases(facts, model),
        next_order: next_order(facts.orders),
        devices: asset
            .devices
            .iter()
            .map(|device| DeviceOnline {
                id: device.clone(),
                online: live_of(facts, device).and_then(|live| live.online),
            })
            .collect(),
    }
}

/// The state of an asset alone.
pub fn asset_state(facts: &Facts<'_>) -> AssetState {
    let words = facts.asset.devices.iter().flat_map(|device| {
        let stored = facts.stored.contains_key(device);
        let own = state::device_word(live_of(facts, device), stored);
        let snapshots = snapshots_of(facts, device).map(|live| state::DeviceWord {
            online: own.online,
            ..state::device_word(Some(live), false)
        });
        std::iter::once(own).chain(snapshots)
    });
    let words: Vec<_> = words.collect();
    state::merge(&words)
}

/// The verdict that the summary shows.
pub fn condition<'a>(facts: &Facts<'a>) -> Option<&'a Condition> {
    let views = views(facts);
    state::worst_condition(views.into_iter().map(|view| &view.condition))
}

/// The evidence of the verdict that the summary shows.
pub fn evidence(facts: &Facts<'_>) -> Option<Evidence> {
    condition(facts).and_then(|worst| worst.evidence.clone())
}

/// What analytics says of each device of the asset that has spoken.
pub fn views<'a>(facts: &Facts<'a>) -> Vec<&'a DeviceView> {
    lives(facts).filter_map(|live| live.view.as_ref()).collect()
}

/// Only devices the ledger gives to this asset speak for it: one that was moved away no longer does.
fn live_of<'a>(facts: &Facts<'a>, device: &DeviceId) -> Option<&'a crate::fleet::DeviceLive> {
    facts.live.and_then(|live| live.devices.get(device))
}

fn lives<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a crate::fleet::DeviceLive> {
    let facts = *facts;
    facts.asset.devices.iter().flat_map(move |device| {
        let own = live_of(&facts, device);
        own.into_iter().chain(snapshots_of(&facts, device))
    })
}

/// What is said of a device's vibration snapshots, which are watched apart from its readings;
/// none while they are learned: at one a quarter hour that takes a day, in which the readings
/// speak for the asset.
fn snapshots_of<'a>(facts: &Facts<'a>, device: &DeviceId) -> Option<&'a crate::fleet::DeviceLive> {
    let live = live_of(facts, &analytics::waveforms_of(device)?)?;
    let view = live.view.as_ref()?;
    let learning = matches!(view.condition.state, ConditionState::Learning { .. });
    (!learning).then_some(live)
}

fn condition_view(condition: &telemetry::Condition, model: Option<&AssetModel>) -> ConditionView {
    let abnormal = matches!(
        condition.state,
        ConditionState::Watch | ConditionState::Alarm
    );
    let evidence = condition.evidence.as_ref();
    let failure_mode = evidence
        .filter(|_| abnormal)
        .map(|evidence| evidence.failure_mode.clone());
    ConditionView {
        state: condition.state.into(),
        since: condition.since,
        at: condition.at,
        score: evidence.map(|evidence| evidence.statistics.score),
        failure_mode_name: failure_mode
            .as_ref()
            .and_then(|mode| labels::failure_mode_name(model, mode)),
        failure_mode,
    }
}

/// The order that comes next: the furthest along, then the earliest due.
fn next_order(orders: &[WorkOrder]) -> Option<NextOrder> {
    let rank = |status| match status {
        WorkOrderStatus::InProgress => 0,
        WorkOrderStatus::Scheduled => 1,
        WorkOrderStatus::Approved => 2,
        _ => 3,
    };
    orders
        .iter()
        .filter(|order| !order.status.is_final())
        .min_by_key(|order| {
            let when = order.scheduled_for.or(order.due_by);
            (
                rank(order.status),
                when.unwrap_or(Timestamp::MAX),
                order.id.clone(),
            )
        })
        .map(|order| NextOrder {
            id: order.id.clone(),
            status: order.status,
            scheduled_for: order.scheduled_for,
            due_by: order.due_by,
        })
}

fn open_cases(facts: &Facts<'_>, model: Option<&AssetModel>) -> Vec<OpenCase> {
    let (machine, sensors): (Vec<_>, Vec<_>) =
        facts.cases.iter().partition(|case| case.signal.is_none());
    let short = |case: &OpenCaseBrief| OpenCase {
        id: case.id.clone(),
        failure_mode: case.failure_mode.clone(),
        failure_mode_name: labels::case_name(model, &case.failure_mode, case.signal.as_ref()),
        severity: case.severity,
        opened_at: case.opened_at,
    };
    machine.into_iter().chain(sensors).map(short).collect()
}

/// Open cases and unfinished orders by asset, fetched once for a whole answer.
#[derive(Debug, Default)]
pub struct Composer {
    cases: BTreeMap<AssetId, Vec<OpenCaseBrief>>,
    orders: BTreeMap<AssetId, Vec<WorkOrder>>,
}

impl Composer {
    /// Fetches what is open for one asset, or for all.
    pub async fn fetch(parts: &Parts, asset: Option<&AssetId>) -> Result<Self, Problem> {
        let mut all = Self {
            cases: parts
                .cases
                .open_cases(asset.map(std::slice::from_ref))
                .await?,
            orders: BTreeMap::new(),
        };
        let mut query = WorkOrderQuery {
            status: WorkOrderQuery::UNFINISHED.to_vec(),
            asset: asset.cloned(),
            limit: WorkOrderQuery::MAX_LIMIT,
            ..WorkOrderQuery::default()
        };
        loop {
            let orders = parts.service.work_orders(query.clone()).await?;
            let more = orders.len() >= query.limit as usize;
            query.after = orders.last().map(|order| order.id.clone());
            for order in orders {
                all.orders
                    .entry(order.asset.clone())
                    .or_default()
                    .push(order);
            }
            if !more {
                break;
            }
        }
        Ok(all)
    }

    /// Hands the facts about an asset to `make`.
    pub fn with<T>(&self, parts: &Parts, asset: &Asset, make: impl FnOnce(&Facts<'_>) -> T) -> T {
        let live = parts.fleet.get(&asset.id);
        let stored = stored(parts, asset);
        make(&Facts {
            asset,
            model: parts.model(&asset.model),
            live: live.as_deref(),
            stored: &stored,
            cases: self.cases.get(&asset.id).map_or(&[], Vec::as_slice),
            orders: self.orders.get(&asset.id).map_or(&[], Vec::as_slice),
        })
    }
}

fn stored(parts: &Parts, asset: &Asset) -> BTreeMap<DeviceId, Timestamp> {
    let mut newest: BTreeMap<DeviceId, Timestamp> = BTreeMap::new();
    for device in &asset.devices {
        for series in parts.store.series(Some(device)) {
            let at = newest.entry(device.clone()).or_insert(series.last_at);
            *at = series.last_at.max(*at);
        }
    }
    newest
}

//! `/prognosis-models/{id}/{version}/drift`: do machines still measure what the model learned from?
//!
//! A model that is asked about values it has never seen answers all the same. The mean of each
//! signal over the last week is held against where the means of cycles lay in training. One
//! signal of one machine outside may be wear; a signal that is outside on much of the fleet is a
//! new sensor, another unit or another duty, and asks for a new training.
//!
//! Whoever trains looks at this now and then for the models that serve and puts what it finds on
//! the [`EventBus`]: it is told on the event stream, by a gauge and here. It makes no case and no
//! order, because no machine is to be looked at; the model is.
//!
//! [`EventBus`]: crate::EventBus

use axum::{Json, extract::State};
use historian::{ModelCard, SeriesInfo, SeriesKey, Store};
use serde::{Deserialize, Serialize};
use service::{AssetQuery, Service};
use telemetry::{AssetId, AssetModelId, DeviceId, SignalName, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    problem::Problem,
    prognosis_models::{self, Version},
};

/// The time that is held against the training.
const WINDOW: std::time::Duration = std::time::Duration::from_hours(7 * 24);
/// Series that are looked at: each is a query of some milliseconds.
const MAX_SERIES: usize = 2_000;

/// A signal drifts when it lies outside on this part of the machines that measure it,
pub const DRIFT_SHARE: f64 = 0.5;
/// and on so many: of a single machine nobody knows whether it wears or its sensor was changed.
pub const DRIFT_MACHINES: usize = 2;

/// Where the means of a signal lay in training.
#[derive(Debug, Clone, Deserialize)]
struct Input {
    signal: SignalName,
    low: f64,
    high: f64,
}

/// A signal of one machine against the training.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriftOfSeries {
    /// The asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// The device that measures it.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// Its mean over the last week of readings.
    pub mean: f64,
    /// Whether that lies outside of what was learned from.
    pub outside: bool,
}

/// A signal against the training.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriftOfSignal {
    /// The signal.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// 1 % of the means of cycles lay below this in training.
    pub low: f64,
    /// 1 % of them lay above this.
    pub high: f64,
    /// The part of the machines whose mean lies outside, 0 to 1; null when none measures it.
    pub outside: Option<f64>,
    /// Whether that is drift: outside on at least half of the machines, and on two.
    pub drifts: bool,
    /// Machine by machine.
    pub machines: Vec<DriftOfSeries>,
}

/// The inputs of a model now against those of its training.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Drift {
    /// Signal by signal.
    pub signals: Vec<DriftOfSignal>,
    /// Whether more is measured than was looked at.
    pub truncated: bool,
    /// What was found when this was last looked at by itself, as long as it stands.
    pub warning: Option<DriftWarning>,
}

/// A model is asked about what it has not learned from.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DriftWarning {
    /// The kind of machine.
    #[schema(value_type = String)]
    pub asset_model: AssetModelId,
    /// The version that serves.
    pub version: u32,
    /// When it was found.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The part of the machines from which on a signal drifts, 0 to 1.
    pub threshold: f64,
    /// The signals that drift.
    pub signals: Vec<DriftingSignal>,
}

/// A signal that lies where the model has not learned.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DriftingSignal {
    /// The signal.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The part of the machines on which it lies outside, 0 to 1.
    pub outside: f64,
    /// Machines that measure it.
    pub machines: usize,
}

impl Drift {
    /// What there is to warn of; nothing when no signal drifts.
    pub fn warning(&self, card: &ModelCard, at: Timestamp) -> Option<DriftWarning> {
        let drifting = self.signals.iter().filter(|signal| signal.drifts);
        let signals: Vec<DriftingSignal> = drifting
            .filter_map(|signal| {
                Some(DriftingSignal {
                    signal: signal.signal.clone(),
                    outside: signal.outside?,
                    machines: signal.machines.len(),
                })
            })
            .collect();
        (!signals.is_empty()).then(|| DriftWarning {
            asset_model: card.asset_model.clone(),
            version: card.version,
            at,
            threshold: DRIFT_SHARE,
            signals,
        })
    }
}

/// Compare what machines measure now with what a version learned from.
#[utoipa::path(get, path = "/prognosis-models/{id}/{version}/drift", tag = "prognosis",
    params(("id" = String, Path, description = "The kind of machine"),
        ("version" = u32, Path, description = "The version")),
    responses((status = 200, body = Drift),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(State(api): State<Shared>, asked: Version) -> Result<Json<Drift>, Problem> {
    let card = prognosis_models::card(&api, &asked).await?;
    let mut drift = drift_of(&api.parts.service, &api.parts.store, &card).await?;
    let standing = api.parts.events.drift(&card.asset_model);
    drift.warning = standing.filter(|warning| warning.version == card.version);
    Ok(Json(drift))
}

/// Compares what machines measure now with what a model learned from.
///
/// # Errors
/// When the ledger or the historian cannot be read.
pub async fn drift_of(
    service: &Service,
    store: &Store,
    card: &ModelCard,
) -> Result<Drift, Problem> {
    // Cards of an earlier release may say nothing about their inputs.
    let inputs = card.metrics.get("inputs").cloned().unwrap_or_default();
    let inputs: Vec<Input> = serde_json::from_value(inputs).unwrap_or_default();
    let mut signals: Vec<DriftOfSignal> = inputs
        .iter()
        .map(|input| DriftOfSignal {
            signal: input.signal.clone(),
            low: input.low,
            high: input.high,
            outside: None,
            drifts: false,
            machines: Vec::new(),
        })
        .collect();
    let (series, truncated) = measured((service, store), &card.asset_model, &inputs).await?;
    for (asset, one) in series {
        let of_signal = signals
            .iter_mut()
            .find(|signal| signal.signal == one.signal);
        let (Some(signal), Some(mean)) = (of_signal, mean(store, &one).await?) else {
            continue;
        };
        signal.machines.push(DriftOfSeries {
            asset,
            device: one.device,
            mean,
            outside: mean < signal.low || mean > signal.high,
        });
    }
    signals.iter_mut().for_each(DriftOfSignal::judge);
    Ok(Drift {
        signals,
        truncated,
        warning: None,
    })
}

impl DriftOfSignal {
    fn judge(&mut self) {
        let all = self.machines.len();
        let outside = self.machines.iter().filter(|one| one.outside).count();
        let share = outside as f64 / all.max(1) as f64;
        self.outside = (all > 0).then_some(share);
        self.drifts = outside >= DRIFT_MACHINES && share >= DRIFT_SHARE;
    }
}

/// The series of the inputs on all machines of a kind.
async fn measured(
    (service, store): (&Service, &Store),
    kind: &AssetModelId,
    inputs: &[Input],
) -> Result<(Vec<(AssetId, SeriesInfo)>, bool), Problem> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let query = AssetQuery {
            after: after.take(),
            limit: AssetQuery::MAX_LIMIT,
            ..AssetQuery::default()
        };
        let page = service.assets(query).await?;
        let full = page.len() == AssetQuery::MAX_LIMIT as usize;
        after = page.last().map(|asset| asset.id.clone());
        for asset in page.into_iter().filter(|asset| asset.model == *kind) {
            for device in &asset.devices {
                for one in store.series(Some(device)) {
                    if !inputs.iter().any(|input| input.signal == one.signal) {
                        continue;
                    }
                    if found.len() == MAX_SERIES {
                        return Ok((found, true));
                    }
                    found.push((asset.id.clone(), one));
                }
            }
        }
        if !full {
            return Ok((found, false));
        }
    }
}

/// The mean of the last week of a series.
async fn mean(store: &Store, series: &SeriesInfo) -> Result<Option<f64>, Problem> {
    let key = SeriesKey {
        device: series.device.clone(),
        signal: series.signal.clone(),
    };
    let to = series.last_at + std::time::Duration::from_micros(1);
    let buckets = store.buckets(&key, to - WINDOW, to, 1).await?;
    Ok(buckets.first().map(|bucket| bucket.mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_wears_and_half_of_a_fleet_drifts() {
        for (outside, inside, share, drifts) in [
            (0, 0, None, false),
            (1, 0, Some(1.0), false),
            (1, 1, Some(0.5), false),
            (2, 2, Some(0.5), true),
            (2, 3, Some(0.4), false),
            (6, 1, Some(6.0 / 7.0), true),
        ] {
            let machine = |outside: bool| DriftOfSeries {
                asset: AssetId::new("pump-1").unwrap(),
                device: DeviceId::new("pump-1").unwrap(),
                mean: 0.0,
                outside,
            };
            let machines = std::iter::repeat_n(machine(true), outside)
                .chain(std::iter::repeat_n(machine(false), inside));
            let mut signal = DriftOfSignal {
                signal: SignalName::new("temperature_c").unwrap(),
                low: 1.0,
                high: 2.0,
                outside: None,
                drifts: false,
                machines: machines.collect(),
            };
            signal.judge();
            assert_eq!((signal.outside, signal.drifts), (share, drifts));
        }
    }
}

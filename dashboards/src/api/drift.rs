//! `/prognosis-models/{id}/{version}/drift`: do machines still measure what the model learned from?
//!
//! A model that is asked about values it has never seen answers all the same. The mean of each
//! signal over the last week is held against where the means of cycles lay in training. One
//! signal of one machine outside may be wear; a signal that is outside on much of the fleet is a
//! new sensor, another unit or another duty, and asks for a new training.

use axum::{Json, extract::State};
use historian::{SeriesInfo, SeriesKey};
use serde::{Deserialize, Serialize};
use service::AssetQuery;
use telemetry::{AssetId, AssetModelId, DeviceId, SignalName};
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
}

/// Compare what machines measure now with what a version learned from.
#[utoipa::path(get, path = "/prognosis-models/{id}/{version}/drift", tag = "prognosis",
    params(("id" = String, Path, description = "The kind of machine"),
        ("version" = u32, Path, description = "The version")),
    responses((status = 200, body = Drift),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(State(api): State<Shared>, asked: Version) -> Result<Json<Drift>, Problem> {
    let card = prognosis_models::card(&api, &asked).await?;
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
            machines: Vec::new(),
        })
        .collect();
    let (series, truncated) = measured(&api, &card.asset_model, &inputs).await?;
    for (asset, one) in series {
        let of_signal = signals
            .iter_mut()
            .find(|signal| signal.signal == one.signal);
        let (Some(signal), Some(mean)) = (of_signal, mean(&api, &one).await?) else {
            continue;
        };
        signal.machines.push(DriftOfSeries {
            asset,
            device: one.device,
            mean,
            outside: mean < signal.low || mean > signal.high,
        });
    }
    for signal in &mut signals {
        let all = signal.machines.len();
        let outside = signal.machines.iter().filter(|one| one.outside).count();
        signal.outside = (all > 0).then(|| outside as f64 / all as f64);
    }
    Ok(Json(Drift { signals, truncated }))
}

/// The series of the inputs on all machines of a kind.
async fn measured(
    api: &Shared,
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
        let page = api.parts.service.assets(query).await?;
        let full = page.len() == AssetQuery::MAX_LIMIT as usize;
        after = page.last().map(|asset| asset.id.clone());
        for asset in page.into_iter().filter(|asset| asset.model == *kind) {
            for device in &asset.devices {
                for one in api.parts.store.series(Some(device)) {
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
async fn mean(api: &Shared, series: &SeriesInfo) -> Result<Option<f64>, Problem> {
    let key = SeriesKey {
        device: series.device.clone(),
        signal: series.signal.clone(),
    };
    let to = series.last_at + std::time::Duration::from_micros(1);
    let buckets = api.parts.store.buckets(&key, to - WINDOW, to, 1).await?;
    Ok(buckets.first().map(|bucket| bucket.mean))
}

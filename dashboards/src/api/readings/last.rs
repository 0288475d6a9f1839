//! `/readings/last`: the newest value of many signals at once.

use axum::{extract::State, response::Response};
use historian::SeriesKey;
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Shared,
        list::{Listed, Listing, PageParams},
        page::{MAX_READINGS, Page},
        problem::Problem,
        signals::{self, device_model},
        table::Cell,
    },
    labels,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LastFilter {
    /// Only of this asset's devices.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// The newest reading of a signal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastReading {
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of the unit; null when it is not known.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

impl Listed for LastReading {
    const NAME: &'static str = "last-readings";
    const COLUMNS: &'static [&'static str] = &["device", "signal", "unit", "at", "value"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.device.to_string()),
            Cell::text(self.signal.as_str()),
            Cell::maybe(self.unit),
            Cell::plain(self.at),
            Cell::plain(self.value),
        ]
    }
}

/// Read the newest value of every signal, by device and name.
#[utoipa::path(get, path = "/readings/last", tag = "readings", params(LastFilter, PageParams),
    responses((status = 200, description = "A page of newest readings", content(
        (Page<LastReading> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<LastFilter, MAX_READINGS>,
) -> Result<Response, Problem> {
    let LastFilter { asset, device } = &list.filter;
    let stored = signals::stored(&api, asset.as_ref(), device.as_ref()).await?;
    let page = list.window.cut(stored, signals::key);
    let keys = page.items.into_iter().map(|series| SeriesKey {
        device: series.device,
        signal: series.signal,
    });
    let keys: Vec<SeriesKey> = keys.collect();
    let newest = api.parts.readings.last(&keys).await?;
    // A series whose last reading fell to the retention meanwhile is left out.
    let items = keys.into_iter().zip(newest).filter_map(|(key, sample)| {
        sample.map(|sample| LastReading {
            unit: labels::unit(device_model(&api, &key.device), &key.signal),
            device: key.device,
            signal: key.signal,
            at: sample.at,
            value: sample.value,
        })
    });
    Ok(list.answer(Page {
        items: items.collect(),
        next: page.next,
    }))
}

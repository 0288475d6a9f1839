//! `/waveforms`: vibration snapshots, kept whole.
//!
//! The list tells what there is without reading any samples. The samples come as 32-bit floats
//! in little-endian order, which numpy, MATLAB and a browser's `DataView` read as they are, as
//! a table, or as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use historian::{WaveformInfo, WaveformQuery};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, SignalName, Timestamp, Unit, Waveform};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Number, Params},
    list::{Listed, Listing, PageParams},
    page::{self, Page, Window},
    problem::Problem,
    table::{self, Cell},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaveformFilter {
    /// Only of this asset's devices.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Only of this signal.
    #[param(value_type = Option<String>)]
    signal: Option<SignalName>,
    /// Only in this direction of the sensor.
    axis: Option<String>,
    /// Only measured then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only measured before then.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// A vibration snapshot without its samples.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WaveformView {
    /// Its number.
    pub id: u64,
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The direction of the sensor, when it was told.
    #[schema(value_type = Option<String>)]
    pub axis: Option<Arc<str>>,
    /// The symbol of the unit of the samples.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// When the first sample was taken.
    #[schema(value_type = String, format = DateTime)]
    pub measured_at: Timestamp,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// Samples a second.
    pub sample_rate_hz: f64,
    /// The number of samples.
    pub samples: u32,
    /// How long it lasted, in seconds.
    pub duration_s: f64,
    /// The root mean square of the samples.
    pub rms: f64,
    /// The greatest sample without its sign.
    pub peak: f64,
    /// Bytes the samples take on disk.
    pub stored_bytes: u64,
}

impl From<WaveformInfo> for WaveformView {
    fn from(info: WaveformInfo) -> Self {
        Self {
            duration_s: f64::from(info.samples) / info.sample_rate_hz,
            id: info.id,
            device: info.device,
            signal: info.signal,
            axis: info.axis,
            unit: info.unit,
            measured_at: info.measured_at,
            received_at: info.received_at,
            sample_rate_hz: info.sample_rate_hz,
            samples: info.samples,
            rms: info.rms,
            peak: info.peak,
            stored_bytes: info.stored_bytes,
        }
    }
}

impl Listed for WaveformView {
    const NAME: &'static str = "waveforms";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "device",
        "signal",
        "axis",
        "unit",
        "measured_at",
        "received_at",
        "sample_rate_hz",
        "samples",
        "duration_s",
        "rms",
        "peak",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::text(self.device.to_string()),
            Cell::text(self.signal.as_str()),
            Cell::text(self.axis.as_deref().unwrap_or_default()),
            Cell::maybe(self.unit),
            Cell::plain(self.measured_at),
            Cell::plain(self.received_at),
            Cell::plain(self.sample_rate_hz),
            Cell::plain(self.samples),
            Cell::plain(self.duration_s),
            Cell::plain(self.rms),
            Cell::plain(self.peak),
        ]
    }
}

/// List waveforms, the latest measured first.
#[utoipa::path(get, path = "/waveforms", tag = "readings", params(WaveformFilter, PageParams),
    responses((status = 200, description = "A page of waveforms", content(
        (Page<WaveformView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<WaveformFilter>,
) -> Result<Response, Problem> {
    let page = page(&api, &list.filter, &list.window).await?;
    Ok(list.answer(page))
}

async fn page(
    api: &Shared,
    filter: &WaveformFilter,
    window: &Window,
) -> Result<Page<WaveformView>, Problem> {
    let query = WaveformQuery {
        device: filter.device.clone(),
        signal: filter.signal.clone(),
        axis: filter.axis.clone(),
        from: filter.from,
        to: filter.to,
        before: window.after.as_deref().map(place).transpose()?,
        limit: window.limit + 1,
    };
    let mut found = Vec::new();
    match &filter.asset {
        None => found = api.parts.store.waveforms(query).await?,
        Some(asset) => {
            let asset = api.parts.service.asset(asset).await?;
            let missing = || Problem::invalid_parameter("asset", "there is no such asset");
            let wanted = |id: &DeviceId| filter.device.as_ref().is_none_or(|device| device == id);
            let devices = asset.ok_or_else(missing)?.devices.into_iter();
            for device in devices.filter(wanted) {
                let device = Some(device);
                let query = WaveformQuery {
                    device,
                    ..query.clone()
                };
                found.extend(api.parts.store.waveforms(query).await?);
            }
            found.sort_by_key(|info| std::cmp::Reverse((info.measured_at, info.id)));
        }
    }
    let found = found.into_iter().map(WaveformView::from).collect();
    Ok(window.page(found, |one: &WaveformView| {
        format!("{} {}", one.measured_at.as_micros(), one.id)
    }))
}

/// The place a cursor of this list stands for.
fn place(key: &str) -> Result<(Timestamp, u64), Problem> {
    let place = key
        .split_once(' ')
        .and_then(|(at, id)| Some((Timestamp::from_micros(at.parse().ok()?), id.parse().ok()?)));
    place.ok_or_else(page::foreign_cursor)
}

/// Get what is known of one waveform.
#[utoipa::path(get, path = "/waveforms/{id}", tag = "readings",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = WaveformView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<WaveformView>, Problem> {
    let info = api.parts.store.waveform_info(id).await?;
    let info = info.ok_or_else(|| Problem::no_such("waveform", id))?;
    Ok(Json(info.into()))
}

/// As what the samples are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SampleParams {
    /// `f32le` (the default), `csv` or `json`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    format: SampleFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SampleFormat {
    #[default]
    F32le,
    Csv,
    Json,
}

/// The samples of a waveform.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Samples {
    /// When the first sample was taken.
    #[schema(value_type = String, format = DateTime)]
    pub measured_at: Timestamp,
    /// Samples a second.
    pub sample_rate_hz: f64,
    /// The symbol of the unit of the samples.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// The samples in order.
    #[schema(value_type = Vec<f32>)]
    pub samples: Arc<[f32]>,
}

/// Get the samples of a waveform.
#[utoipa::path(get, path = "/waveforms/{id}/samples", tag = "readings",
    params(("id" = u64, Path, description = "Its number"), SampleParams),
    responses((status = 200, description = "The samples as 32-bit floats in little-endian order, \
            as a table or as JSON", content(
        (Vec<u8> = "application/octet-stream"), (String = "text/csv"),
        (Samples = "application/json"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn samples(
    State(api): State<Shared>,
    Number(id): Number,
    Params(params): Params<SampleParams>,
    uri: Uri,
) -> Result<Response, Problem> {
    let waveform = api.parts.store.waveform(id).await?;
    let waveform = waveform.ok_or_else(|| Problem::no_such("waveform", id))?;
    // A million samples take a while to write out: not on a thread that others wait for.
    let written = tokio::task::spawn_blocking(move || written(&waveform, params.format, &uri));
    written
        .await
        .map_err(|error| Problem::from_failure(&error, false))
}

fn written(waveform: &Waveform, format: SampleFormat, uri: &Uri) -> Response {
    let name = file_name(waveform);
    match format {
        SampleFormat::F32le => {
            let bytes = waveform
                .samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes());
            let bytes: Vec<u8> = bytes.collect();
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (
                    header::CONTENT_DISPOSITION,
                    format!("attachment; filename=\"{name}.f32\""),
                ),
            ];
            (headers, bytes).into_response()
        }
        SampleFormat::Csv => {
            let rate = waveform.sample_rate_hz;
            let rows = waveform.samples.iter().enumerate();
            let rows =
                rows.map(|(n, value)| vec![Cell::plain(n as f64 / rate), Cell::plain(value)]);
            table::respond(&name, &["seconds", "value"], rows, None, uri)
        }
        SampleFormat::Json => Json(Samples {
            measured_at: waveform.measured_at,
            sample_rate_hz: waveform.sample_rate_hz,
            unit: waveform.unit,
            samples: Arc::clone(&waveform.samples),
        })
        .into_response(),
    }
}

/// Device, signal, axis and time; ids and names hold nothing that a file name may not, and what
/// an axis or a time may hold is replaced.
fn file_name(waveform: &Waveform) -> String {
    let axis = waveform.axis.as_deref().map(|axis| format!("-{axis}"));
    let name = format!(
        "{}-{}{}-{}",
        waveform.device,
        waveform.signal,
        axis.unwrap_or_default(),
        waveform.measured_at
    );
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    name.chars()
        .map(|char| if allowed(char) { char } else { '_' })
        .collect()
}

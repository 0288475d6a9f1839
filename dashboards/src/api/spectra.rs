//! `/waveforms/{id}/spectrum`: what a vibration snapshot says, worked out when it is asked for.
//!
//! Snapshots are kept whole, so spectra need no store of their own: whatever window or band is
//! asked for is made from the samples. A longest snapshot takes a few tenths of a second on one
//! core; so few are worked on at once.

pub mod view;
mod work;

use axum::{Json, extract::State};
use serde::Deserialize;
use telemetry::{Machine, Timestamp, Waveform};
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use self::view::SpectrumView;
use super::{
    Shared,
    extract::{Number, Params},
    problem::Problem,
    signals::device_model,
};
use historian::SeriesKey;

/// Spectra that are worked on at once. Each keeps a core busy and takes some 100 MB for a
/// longest snapshot; requests beyond wait their turn.
const MAX_AT_ONCE: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(MAX_AT_ONCE);
/// The most points of an answer: two for each pixel of a wide screen.
const MAX_POINTS: u32 = 10_000;
/// Points when nobody says how many.
const POINTS: u32 = 2_000;
/// How far from a snapshot its speed may have been measured, in microseconds: a machine whose
/// speed matters is measured every few seconds.
const SPEED_WITHIN_US: i64 = 60_000_000;
/// The most readings of the speed around a snapshot that are looked at.
const MAX_SPEEDS: usize = 2_000;

/// Which spectrum is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Velocity,
    Acceleration,
    Displacement,
    Envelope,
    Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WindowName {
    #[default]
    Hann,
    FlatTop,
    Rectangular,
}

/// The spectrum that is wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpectrumParams {
    /// `velocity` (the default), `acceleration`, `displacement`, `envelope` or `order`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    kind: Kind,
    /// `hann` (the default), `flat_top` or `rectangular`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    window: WindowName,
    /// At most so many points, 100 to 10,000; 2,000 when left out. The highest line of each
    /// part is kept.
    points: Option<u32>,
    /// The number of segments the snapshot is cut into and averaged over, 1 to 64; 1 when left
    /// out: the finest lines.
    segments: Option<u32>,
    /// Points from this frequency (or order) on.
    from: Option<f64>,
    /// Points up to this frequency (or order).
    to: Option<f64>,
    /// The lower end in hertz of the band the envelope is taken of; with `band_high_hz`. When
    /// both are left out the most impulsive band is taken.
    band_low_hz: Option<f64>,
    /// The upper end in hertz of that band.
    band_high_hz: Option<f64>,
    /// The speed of the shaft in rpm, instead of what was measured or the rated speed.
    speed_rpm: Option<f64>,
}

/// Get the spectrum of a waveform: points, peaks, bands, bearing lines and the severity zone.
#[utoipa::path(get, path = "/waveforms/{id}/spectrum", tag = "readings",
    params(("id" = u64, Path, description = "Its number"), SpectrumParams),
    responses((status = 200, body = SpectrumView),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Number(id): Number,
    Params(params): Params<SpectrumParams>,
) -> Result<Json<SpectrumView>, Problem> {
    params.check()?;
    let waveform = api.parts.store.waveform(id).await?;
    let waveform = waveform.ok_or_else(|| Problem::no_such("waveform", id))?;
    let machine = device_model(&api, &waveform.device).and_then(|model| model.machine.clone());
    let speeds = match &machine {
        Some(machine) if params.speed_rpm.is_none() => speeds(&api, machine, &waveform).await?,
        _ => Vec::new(),
    };
    let turn = TURNS.acquire().await;
    let turn = turn.map_err(|_| Problem::unavailable("the server is stopping"))?;
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work::analyse(id, &waveform, machine.as_ref(), &speeds, &params)
    });
    let view = work
        .await
        .map_err(|error| Problem::from_failure(&error, false))?;
    view.map(Json)
        .map_err(|error| Problem::invalid_parameter("kind", error.to_string()))
}

/// The readings of the speed signal during a snapshot, as `(seconds after its first sample,
/// rpm)`; when there is none during it, the nearest within a minute before.
async fn speeds(
    api: &Shared,
    machine: &Machine,
    waveform: &Waveform,
) -> Result<Vec<(f64, f64)>, Problem> {
    let Some(signal) = &machine.speed_signal else {
        return Ok(Vec::new());
    };
    let begin = waveform.measured_at.as_micros();
    let end = begin.saturating_add((waveform.duration_s() * 1e6) as i64);
    let key = SeriesKey {
        device: waveform.device.clone(),
        signal: signal.clone(),
    };
    let from = Timestamp::from_micros(begin.saturating_sub(SPEED_WITHIN_US));
    let to = Timestamp::from_micros(end.saturating_add(1));
    let readings = api.parts.readings.range(&key, from, to, MAX_SPEEDS).await?;
    let after = |at: Timestamp| at.as_micros().saturating_sub(begin) as f64 / 1e6;
    let all = readings
        .iter()
        .map(|sample| (after(sample.at), sample.value));
    let all: Vec<(f64, f64)> = all.filter(|(_, rpm)| *rpm > 0.0).collect();
    // The last one before the snapshot holds until the first one during it.
    let during = all.iter().position(|(at, _)| *at >= 0.0);
    let first = during.unwrap_or(all.len()).saturating_sub(1);
    Ok(all[first.min(all.len())..].to_vec())
}

impl SpectrumParams {
    fn check(&self) -> Result<(), Problem> {
        let bad = |name: &str, detail: &str| Err(Problem::invalid_parameter(name, detail));
        if self
            .points
            .is_some_and(|points| !(100..=MAX_POINTS).contains(&points))
        {
            return bad("points", "use 100 to 10000");
        }
        if self
            .segments
            .is_some_and(|count| !(1..=64).contains(&count))
        {
            return bad("segments", "use 1 to 64");
        }
        if self.speed_rpm.is_some_and(|rpm| !(rpm > 0.0 && rpm <= 1e6)) {
            return bad("speed_rpm", "use a speed above 0 and up to 1000000 rpm");
        }
        let from = self.from.unwrap_or(0.0);
        let to = self.to.unwrap_or(f64::MAX);
        if !from.is_finite() || to.is_nan() || to <= from {
            return bad("to", "use a number above `from`");
        }
        match (self.band_low_hz, self.band_high_hz) {
            (None, None) => Ok(()),
            (Some(low), Some(high)) if low >= 0.0 && low < high && high.is_finite() => Ok(()),
            _ => bad("band_high_hz", "give both ends of a band, the lower first"),
        }
    }
}

//! `/readings`: what was measured, raw or in buckets for a chart.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use historian::{SeriesInfo, SeriesKey};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Params,
    page::{self, DEFAULT_LIMIT, MAX_READINGS, Window},
    problem::Problem,
    signals::device_model,
    table::{self, Cell},
};
use crate::labels;

/// Most buckets of an answer: twice the pixels of the widest screen a chart fills.
const MAX_BUCKETS: u32 = 5_000;
/// The span shown when none is asked for, back from the newest reading of the series.
const DEFAULT_SPAN: Duration = Duration::from_hours(24);
/// The smallest step of event time.
const STEP: Duration = Duration::from_micros(1);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadingParams {
    /// Who measured; this or `asset`.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Whose devices measured; when several measure the signal, name the device.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// What was measured.
    #[param(value_type = String)]
    signal: SignalName,
    /// The first event time; 24 h before the end when it is missing.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// One past the last event time; past the newest reading when it is missing.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Answer with this many buckets at most instead of readings.
    buckets: Option<u32>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before. It keeps `from` and `to`.
    cursor: Option<String>,
    /// `json` or `csv`; the Accept header decides when it is missing.
    format: Option<String>,
}

/// Readings of one series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Readings {
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of the unit; null when it is not known.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// The first event time looked at; null when nothing is stored and nothing was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// One past the last event time looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Readings, or buckets when those were asked for, in order of time.
    pub items: ReadingItems,
    /// Give this as `cursor` for the next page; null on the last page.
    pub next: Option<String>,
}

/// Readings or buckets.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ReadingItems {
    /// As they were measured.
    Raw(Vec<ReadingView>),
    /// Summed up in equal parts of the span; empty parts are left out.
    Buckets(Vec<BucketView>),
}

/// One reading.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReadingView {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// The readings of a part of the span.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BucketView {
    /// Where the part begins.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Where it ends; a reading at this time is in the next part.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Readings in it.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The earliest value.
    pub first: f64,
    /// The latest value.
    pub last: f64,
}

/// Read one series.
#[utoipa::path(get, path = "/readings", tag = "readings", params(ReadingParams),
    responses((status = 200, description = "Readings or buckets", content(
        (Readings = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<ReadingParams>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let csv = table::wants_csv(params.format.as_deref(), &headers)?;
    let default = if csv { MAX_READINGS } else { DEFAULT_LIMIT };
    let window = Window::with_default(
        params.limit,
        params.cursor.as_deref(),
        default,
        MAX_READINGS,
    )?;
    if let Some(count) = params.buckets
        && !(1..=MAX_BUCKETS).contains(&count)
    {
        return Err(Problem::invalid_parameter(
            "buckets",
            format!("buckets is 1 to {MAX_BUCKETS}, not {count}"),
        ));
    }
    let (key, info) = series(&api, &params).await?;
    let answer = read(&api, &params, &window, key, info.as_ref()).await?;
    if csv {
        Ok(as_csv(&answer, &uri))
    } else {
        Ok(Json(answer).into_response())
    }
}

/// The series that is meant.
async fn series(
    api: &Shared,
    params: &ReadingParams,
) -> Result<(SeriesKey, Option<SeriesInfo>), Problem> {
    let devices = match (&params.device, &params.asset) {
        (Some(device), None) => vec![device.clone()],
        (None, Some(asset)) => {
            let asset = api.parts.service.asset(asset).await?;
            let missing = || Problem::invalid_parameter("asset", "there is no such asset");
            asset.ok_or_else(missing)?.devices
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::invalid_parameter(
                "device",
                "name either the device or the asset",
            ));
        }
    };
    let measuring: Vec<SeriesInfo> = devices
        .iter()
        .flat_map(|device| api.parts.store.series(Some(device)))
        .filter(|series| series.signal == params.signal)
        .collect();
    let device = match (measuring.as_slice(), devices.as_slice()) {
        ([one], _) => one.device.clone(),
        ([], [only]) => only.clone(),
        ([], _) => {
            return Err(Problem::invalid_parameter(
                "signal",
                "no device of the asset has sent this signal",
            ));
        }
        ([_, ..], _) => {
            let names: Vec<&str> = measuring.iter().map(|one| one.device.as_str()).collect();
            return Err(Problem::invalid_parameter(
                "device",
                format!(
                    "several devices send this signal ({}); name one",
                    names.join(", ")
                ),
            ));
        }
    };
    let known = api.parts.service.assignment(&device).is_some();
    if measuring.is_empty() && !known && api.parts.store.series(Some(&device)).is_empty() {
        return Err(Problem::no_such("device", &device));
    }
    let key = SeriesKey {
        device,
        signal: params.signal.clone(),
    };
    Ok((key, measuring.into_iter().next()))
}

async fn read(
    api: &Shared,
    params: &ReadingParams,
    window: &Window,
    key: SeriesKey,
    info: Option<&SeriesInfo>,
) -> Result<Readings, Problem> {
    let span = match &window.after {
        Some(cursor) => Some(Span::parse(cursor)?),
        None => Span::asked(params.from, params.to, info)?,
    };
    let mut answer = Readings {
        unit: labels::unit(device_model(api, &key.device), &key.signal),
        from: span.map(|span| span.from),
        to: span.map(|span| span.to),
        items: ReadingItems::Raw(Vec::new()),
        next: None,
        device: key.device.clone(),
        signal: key.signal.clone(),
    };
    let Some(span) = span else {
        return Ok(answer);
    };
    if let Some(count) = params.buckets {
        let buckets = api
            .parts
            .store
            .buckets(&key, span.from, span.to, count)
            .await?;
        answer.items = ReadingItems::Buckets(buckets.into_iter().map(bucket).collect());
        return Ok(answer);
    }
    let mut samples = api
        .parts
        .store
        .range(&key, span.next, span.to, window.limit + 1)
        .await?;
    let more = samples.len() > window.limit;
    samples.truncate(window.limit);
    if let (true, Some(last)) = (more, samples.last()) {
        let rest = Span {
            next: last.at + STEP,
            ..span
        };
        answer.next = Some(page::encode_cursor(&rest.to_string()));
    }
    let readings = samples.into_iter().map(|sample| ReadingView {
        at: sample.at,
        value: sample.value,
    });
    answer.items = ReadingItems::Raw(readings.collect());
    Ok(answer)
}

fn bucket(bucket: historian::Bucket) -> BucketView {
    BucketView {
        from: bucket.from,
        to: bucket.to,
        count: bucket.count,
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean,
        first: bucket.first,
        last: bucket.last,
    }
}

/// The span of an answer and where the page begins in it. The cursor carries all three, so
/// that a walk keeps its span while new readings arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    to: Timestamp,
    next: Timestamp,
}

impl Span {
    /// The span that was asked for; none when neither the query nor the store gives one.
    fn asked(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        info: Option<&SeriesInfo>,
    ) -> Result<Option<Self>, Problem> {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::invalid_parameter("to", "to lies before from"));
        }
        let end = to.or_else(|| info.map(|info| info.last_at + STEP));
        let start = from.or_else(|| end.map(|end| end - DEFAULT_SPAN));
        // A start after everything that is stored gives an empty span.
        Ok(start.map(|start| Self {
            from: start,
            to: end.map_or(start, |end| end.max(start)),
            next: start,
        }))
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let mut numbers = text.split(' ').map(str::parse::<i64>);
        let mut at = || match numbers.next() {
            Some(Ok(micros)) => Ok(Timestamp::from_micros(micros)),
            _ => Err(page::foreign_cursor()),
        };
        Ok(Self {
            from: at()?,
            to: at()?,
            next: at()?,
        })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [from, to, next] = [self.from, self.to, self.next].map(Timestamp::as_micros);
        write!(f, "{from} {to} {next}")
    }
}

fn as_csv(answer: &Readings, uri: &Uri) -> Response {
    let name = format!("readings-{}", answer.device);
    let next = answer.next.as_deref();
    let series = || {
        [
            Cell::text(answer.device.to_string()),
            Cell::text(answer.signal.as_str()),
        ]
    };
    match &answer.items {
        ReadingItems::Raw(readings) => {
            let rows = readings.iter().map(|reading| {
                let [device, signal] = series();
                vec![
                    device,
                    signal,
                    Cell::plain(reading.at),
                    Cell::plain(reading.value),
                ]
            });
            table::respond(&name, &["device", "signal", "at", "value"], rows, next, uri)
        }
        ReadingItems::Buckets(buckets) => {
            let columns = [
                "device", "signal", "from", "to", "count", "min", "max", "mean", "first", "last",
            ];
            let rows = buckets.iter().map(|bucket| {
                let mut row = series().to_vec();
                row.extend([Cell::plain(bucket.from), Cell::plain(bucket.to)]);
                row.push(Cell::plain(bucket.count));
                let numbers = [
                    bucket.min,
                    bucket.max,
                    bucket.mean,
                    bucket.first,
                    bucket.last,
                ];
                row.extend(numbers.map(Cell::plain));
                row
            });
            table::respond(&name, &columns, rows, next, uri)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_span_defaults_to_the_last_day_of_the_series() {
        let info = SeriesInfo {
            device: DeviceId::new("dev-1").unwrap(),
            signal: SignalName::new("flow_l_min").unwrap(),
            count: 2,
            first_at: at(0),
            last_at: at(200_000),
            last_value: 1.0,
        };
        let end = at(200_000) + STEP;
        let day = DEFAULT_SPAN;
        for (from, to, known, expected) in [
            (None, None, true, Some((end - day, end))),
            (Some(at(10)), None, true, Some((at(10), end))),
            (
                None,
                Some(at(90_000)),
                true,
                Some((at(90_000) - day, at(90_000))),
            ),
            (Some(at(10)), Some(at(20)), true, Some((at(10), at(20)))),
            (
                Some(at(300_000)),
                None,
                true,
                Some((at(300_000), at(300_000))),
            ),
            (None, None, false, None),
            (Some(at(5)), None, false, Some((at(5), at(5)))),
        ] {
            let span = Span::asked(from, to, known.then_some(&info)).unwrap();
            assert_eq!(
                span.map(|span| (span.from, span.to)),
                expected,
                "{from:?} {to:?}"
            );
        }
        let wrong = Span::asked(Some(at(20)), Some(at(10)), Some(&info)).unwrap_err();
        assert_eq!(wrong.parameter.as_deref(), Some("to"));
    }

    #[test]
    fn a_cursor_carries_the_span_and_refuses_anything_else() {
        let span = Span {
            from: at(-5),
            to: at(10),
            next: at(3),
        };
        assert_eq!(Span::parse(&span.to_string()).unwrap(), span);
        for foreign in ["", "1 2", "pump-1", "1 2 x"] {
            assert!(Span::parse(foreign).is_err(), "{foreign:?}");
        }
    }
}

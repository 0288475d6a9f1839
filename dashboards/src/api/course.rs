//! `/assets/{id}/course`: what analytics said about an asset over a span, as columns.
//!
//! The findings themselves are under `/conditions`, but a chart needs few words of many of
//! them: the score, how far each signal was from its normal and where that normal lay. Sent
//! whole, a month of a machine with sixty signals is tens of megabytes; as columns, thinned to
//! what a chart can show, it is a few hundred kilobytes at most. A finding holds until the
//! next one of its device, so each column begins with what held at the start of the span.

mod columns;
mod sensors;

use axum::{Json, extract::State};
use historian::{FindingKind, FindingQuery};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, Condition, DeviceId, Finding, SensorReport, SignalName, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Id, Params},
    problem::Problem,
    schema,
};

/// Points of a column unless asked otherwise: one for two pixels of a wide chart.
const DEFAULT_POINTS: u32 = 400;
/// The most points of a column; a screen shows no more.
const MAX_POINTS: u32 = 2_000;
/// Findings of a kind and device read whole: hourly heartbeats of five months, or half a day
/// of a device that moves at every report interval of ten seconds; some ten megabytes.
const MAX_FINDINGS: usize = 4_000;
/// Looks into a span with more findings than that: the newest of each of so many parts.
const LOOKS: i64 = 200;
/// Devices of an asset that are looked at; an asset has one or a few.
const MAX_DEVICES: usize = 32;
/// The span when none is given: as the charts of the web UI open.
const DEFAULT_SPAN_MICROS: i64 = 86_400_000_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CourseParams {
    /// The first event time; a day before `to` when it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// One past the last event time; one past the newest when it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// About how many points a column has, 1 to 2,000; 400 when it is left out.
    points: Option<u32>,
}

/// What analytics said over a span.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Course {
    /// The first event time looked at.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// One past the last event time looked at.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Whether every finding of the span was read; else parts of it were looked at only once.
    pub complete: bool,
    /// What was said of the machine, by device.
    pub devices: Vec<DeviceCourse>,
    /// What was said of the sensors, by device and signal.
    pub sensors: Vec<SensorSpan>,
}

/// What was said of the machine from the readings of one device.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeviceCourse {
    /// The device.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// When each point was said; it holds until the next. The first may lie before the span.
    #[schema(value_type = Vec<String>)]
    pub at: Vec<Timestamp>,
    /// The detection score at each point; null while learning.
    pub score: Vec<Option<f64>>,
    /// The score at which an alarm begins; null while nothing was scored.
    pub limit: Option<f64>,
    /// When it was in alarm.
    pub alarms: Vec<AlarmSpan>,
    /// What the machine was doing: each entry until the next.
    pub operating: Vec<OperatingSpan>,
    /// What it was compared with: each entry until the next.
    pub baselines: Vec<BaselineSpan>,
    /// The signals of the baselines, by name.
    pub signals: Vec<SignalCourse>,
}

/// A stretch of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlarmSpan {
    /// When it rose.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// When it ended; null while it stands.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
}

/// What the machine was doing from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct OperatingSpan {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// What it was doing.
    #[schema(value_type = schema::OperatingState)]
    pub state: telemetry::OperatingState,
}

/// What the machine was compared with from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct BaselineSpan {
    /// Since when it was compared with.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// First row it was learned from.
    #[schema(value_type = String, format = DateTime)]
    pub learned_from: Timestamp,
    /// Last row it was learned from.
    #[schema(value_type = String, format = DateTime)]
    pub learned_to: Timestamp,
    /// Rows it was learned from.
    pub rows: u32,
}

/// How far a signal was from its normal.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SignalCourse {
    /// The signal.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The deviation at each point, signed, in healthy spreads; null where it took no part.
    pub deviation: Vec<Option<f64>>,
    /// Where its normal range lay: each entry until the next.
    pub normal: Vec<NormalSpan>,
}

/// A normal range from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct NormalSpan {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Its lower end, in the unit of the signal.
    pub low: f64,
    /// Its upper end, in the unit of the signal.
    pub high: f64,
}

/// A stretch in which a sensor could not be believed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SensorSpan {
    /// The device.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// When the stretch ended; null while it lasts. It began at `since`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// The last verdict of the stretch.
    #[serde(flatten)]
    #[schema(value_type = schema::SensorVerdict)]
    pub verdict: telemetry::SensorVerdict,
}

/// Get what analytics said about an asset over a span, as columns for charts.
#[utoipa::path(get, path = "/assets/{id}/course", tag = "findings",
    params(("id" = String, Path, description = "Its id"), CourseParams),
    responses((status = 200, body = Course),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<AssetId>,
    Params(params): Params<CourseParams>,
) -> Result<Json<Course>, Problem> {
    let points = params.points.unwrap_or(DEFAULT_POINTS);
    if !(1..=MAX_POINTS).contains(&points) {
        return Err(Problem::invalid_parameter(
            "points",
            format!("points: {points} is not within 1 to {MAX_POINTS}"),
        ));
    }
    let asset = api.parts.service.asset(&id).await?;
    let asset = asset.ok_or_else(|| Problem::no_such("asset", &id))?;
    let span = span(&api, &asset.devices, &params)?;
    let mut course = Course {
        from: span.from,
        to: span.to,
        complete: asset.devices.len() <= MAX_DEVICES,
        devices: Vec::new(),
        sensors: Vec::new(),
    };
    for device in asset.devices.iter().take(MAX_DEVICES) {
        let source = Source {
            api: &api,
            asset: &id,
            device,
            span,
        };
        let conditions = source.read(FindingKind::Condition).await?;
        let reports = source.read(FindingKind::Sensor).await?;
        course.complete &= conditions.whole && reports.whole;
        let conditions: Vec<Condition> = conditions.take(|finding| match finding {
            Finding::Condition(condition) => Some(condition),
            _ => None,
        });
        let reports: Vec<SensorReport> = reports.take(|finding| match finding {
            Finding::Sensor(report) => Some(report),
            _ => None,
        });
        if !conditions.is_empty() {
            let columns = columns::of(device.clone(), &conditions, span, points as usize);
            course.devices.push(columns);
        }
        course.sensors.extend(sensors::spans(device, reports));
    }
    Ok(Json(course))
}

/// The span looked at; never empty.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

fn span(api: &Shared, devices: &[DeviceId], params: &CourseParams) -> Result<Span, Problem> {
    let newest = || {
        let series = devices.iter().flat_map(|device| {
            let series = api.parts.store.series(Some(device));
            series.into_iter().map(|series| series.last_at)
        });
        let newest = series.max().unwrap_or_else(|| api.parts.clock.now());
        Timestamp::from_micros(newest.as_micros().saturating_add(1))
    };
    let to = params.to.unwrap_or_else(newest);
    let day_before = to.as_micros().saturating_sub(DEFAULT_SPAN_MICROS);
    let from = params
        .from
        .unwrap_or_else(|| Timestamp::from_micros(day_before));
    if from >= to {
        return Err(Problem::invalid_parameter("to", "to: must be after from"));
    }
    Ok(Span { from, to })
}

/// Findings of one device, oldest first, the first of them as it held when the span began.
struct Found {
    findings: Vec<Finding>,
    whole: bool,
}

impl Found {
    fn take<T>(self, pick: impl Fn(Finding) -> Option<T>) -> Vec<T> {
        self.findings.into_iter().filter_map(pick).collect()
    }
}

struct Source<'a> {
    api: &'a Shared,
    asset: &'a AssetId,
    device: &'a DeviceId,
    span: Span,
}

impl Source<'_> {
    async fn read(&self, kind: FindingKind) -> Result<Found, Problem> {
        let Span { from, to } = self.span;
        let mut findings = self.newest(kind, Timestamp::MIN, from).await?;
        let mut query = self.query(kind, from, to);
        query.limit = MAX_FINDINGS + 1;
        let inside = self.api.parts.store.findings(query).await?;
        let whole = inside.len() <= MAX_FINDINGS;
        if whole {
            findings.extend(inside);
            return Ok(Found { findings, whole });
        }
        let step = (to.as_micros().saturating_sub(from.as_micros()) / LOOKS).max(1);
        let mut start = from;
        while start < to {
            let end = Timestamp::from_micros(start.as_micros().saturating_add(step)).min(to);
            findings.extend(self.newest(kind, start, end).await?);
            start = end;
        }
        Ok(Found { findings, whole })
    }

    /// The last finding of a part of time, if there is one.
    async fn newest(
        &self,
        kind: FindingKind,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Finding>, Problem> {
        let mut query = self.query(kind, from, to);
        query.newest_first = true;
        query.limit = 1;
        Ok(self.api.parts.store.findings(query).await?)
    }

    fn query(&self, kind: FindingKind, from: Timestamp, to: Timestamp) -> FindingQuery {
        FindingQuery {
            kind: Some(kind),
            asset: Some(self.asset.clone()),
            device: Some(self.device.clone()),
            from: Some(from),
            to: Some(to),
            ..FindingQuery::default()
        }
    }
}

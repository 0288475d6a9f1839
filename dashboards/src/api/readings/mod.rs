//! `/readings`: what was measured, raw or in buckets for a chart.
//!
//! One signal is read raw page by page, or in buckets. Several signals are read in buckets
//! that line up, so that a chart or a model needs no interpolation of its own (`aligned`).
//! `points` leaves the choice to the server: readings as they are while they fit, buckets
//! when there are more.

mod aligned;
pub mod last;
mod span;
mod view;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use historian::{SeriesInfo, SeriesKey};
use serde::Deserialize;
use telemetry::{AssetId, DeviceId, SignalName, Timestamp};
use utoipa::IntoParams;

pub use self::{
    aligned::{AlignedReadings, AlignedSeries},
    view::{BucketView, ReadingItems, ReadingView, Readings, ReadingsAnswer},
};
use self::{
    span::{STEP, Span},
    view::as_csv,
};
use super::{
    Shared,
    list::{Listing, PageParams},
    page::{self, MAX_READINGS, Window},
    problem::Problem,
    signals::device_model,
};
use crate::labels;

/// Most buckets of an answer: twice the pixels of the widest screen a chart fills.
const MAX_BUCKETS: u32 = 5_000;
/// Most signals of one answer: more lines than a person tells apart, and with the most buckets
/// still some ten megabytes.
const MAX_SIGNALS: usize = 32;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadingFilter {
    /// Who measured; this or `asset`.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Whose devices measured; when several measure the signal, name the device.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// What was measured. Several, with commas between them or the parameter repeated, are
    /// answered in buckets that line up.
    signal: String,
    /// The first event time; 24 h before the end when it is missing.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// One past the last event time; past the newest reading when it is missing.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Answer with this many buckets at most instead of readings.
    buckets: Option<u32>,
    /// Answer with this many points at most: the pixels a chart is wide. Readings come as they
    /// are while they fit, and in buckets when there are more.
    points: Option<u32>,
}

/// Read one series, or several in buckets that line up.
#[utoipa::path(get, path = "/readings", tag = "readings", params(ReadingFilter, PageParams),
    responses((status = 200, description = "Readings or buckets", content(
        (ReadingsAnswer = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<ReadingFilter, MAX_READINGS>,
) -> Result<Response, Problem> {
    let filter = &list.filter;
    let budget = filter.budget()?;
    let signals = filter.signals()?;
    let devices = devices(&api, filter.device.as_ref(), filter.asset.as_ref()).await?;
    let mut sought = Vec::with_capacity(signals.len());
    for signal in signals {
        sought.push(series(&api, &devices, signal).await?);
    }
    if sought.len() > 1 {
        let span = Span::asked(filter.from, filter.to, newest(&sought))?;
        let answer = aligned::read(&api, sought, span, budget.count()).await?;
        return Ok(if list.csv {
            let (columns, rows) = answer.table();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            list.table("readings", &columns, rows, None)
        } else {
            Json(ReadingsAnswer::Aligned(answer)).into_response()
        });
    }
    let Some(one) = sought.pop() else {
        return Err(Problem::invalid_parameter("signal", "name a signal"));
    };
    let span = match &list.window.after {
        Some(cursor) => Some(Span::parse(cursor)?),
        None => Span::asked(filter.from, filter.to, one.newest())?,
    };
    let answer = read(&api, one.key, span, &list.window, budget).await?;
    if list.csv {
        return Ok(as_csv(&list, &answer));
    }
    Ok(Json(ReadingsAnswer::One(answer)).into_response())
}

/// How many items an answer may have and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    /// Readings, page by page.
    Raw,
    /// So many buckets.
    Buckets(u32),
    /// So many of either.
    Points(u32),
}

impl Budget {
    /// Buckets of an answer that has to be in buckets.
    fn count(self) -> u32 {
        /// As many as a chart on a usual screen shows.
        const USUAL: u32 = 500;
        match self {
            Self::Raw => USUAL,
            Self::Buckets(count) | Self::Points(count) => count,
        }
    }
}

impl ReadingFilter {
    fn budget(&self) -> Result<Budget, Problem> {
        let checked = |name: &str, count: u32| {
            if (1..=MAX_BUCKETS).contains(&count) {
                return Ok(count);
            }
            let detail = format!("{name} is 1 to {MAX_BUCKETS}, not {count}");
            Err(Problem::invalid_parameter(name, detail))
        };
        match (self.buckets, self.points) {
            (None, None) => Ok(Budget::Raw),
            (Some(count), None) => checked("buckets", count).map(Budget::Buckets),
            (None, Some(count)) => checked("points", count).map(Budget::Points),
            (Some(_), Some(_)) => Err(Problem::invalid_parameter(
                "points",
                "give either buckets or points",
            )),
        }
    }

    /// The signals that are asked for, each once.
    fn signals(&self) -> Result<Vec<SignalName>, Problem> {
        let mut signals: Vec<SignalName> = Vec::new();
        for name in self.signal.split(',').filter(|name| !name.is_empty()) {
            let signal = SignalName::new(name)
                .map_err(|error| Problem::invalid_parameter("signal", error.to_string()))?;
            if !signals.contains(&signal) {
                signals.push(signal);
            }
        }
        if signals.len() > MAX_SIGNALS {
            return Err(Problem::invalid_parameter(
                "signal",
                format!(
                    "ask for {MAX_SIGNALS} signals at most, not {}",
                    signals.len()
                ),
            ));
        }
        Ok(signals)
    }
}

/// A series that is asked for, and what is stored of it.
#[derive(Debug, Clone)]
struct Sought {
    key: SeriesKey,
    info: Option<SeriesInfo>,
}

impl Sought {
    fn newest(&self) -> Option<Timestamp> {
        self.info.as_ref().map(|info| info.last_at)
    }
}

fn newest(sought: &[Sought]) -> Option<Timestamp> {
    sought.iter().filter_map(Sought::newest).max()
}

/// The devices that are meant, by their own id or by their asset's.
pub(crate) async fn devices(
    api: &Shared,
    device: Option<&DeviceId>,
    asset: Option<&AssetId>,
) -> Result<Vec<DeviceId>, Problem> {
    match (device, asset) {
        (Some(device), None) => Ok(vec![device.clone()]),
        (None, Some(asset)) => {
            let asset = api.parts.service.asset(asset).await?;
            let missing = || Problem::invalid_parameter("asset", "there is no such asset");
            Ok(asset.ok_or_else(missing)?.devices)
        }
        (Some(_), Some(_)) | (None, None) => Err(Problem::invalid_parameter(
            "device",
            "name either the device or the asset",
        )),
    }
}

/// The series of a signal among devices.
async fn series(api: &Shared, devices: &[DeviceId], signal: SignalName) -> Result<Sought, Problem> {
    let mut stored = Vec::new();
    for device in devices {
        stored.extend(api.parts.readings.series(Some(device)).await?);
    }
    let nothing_stored = stored.is_empty();
    stored.retain(|series| series.signal == signal);
    let device = match (stored.as_slice(), devices) {
        ([one], _) => one.device.clone(),
        ([], [only]) => only.clone(),
        ([], _) => {
            return Err(Problem::invalid_parameter(
                "signal",
                format!("no device of the asset has sent {signal}"),
            ));
        }
        ([_, ..], _) => {
            let names: Vec<&str> = stored.iter().map(|one| one.device.as_str()).collect();
            return Err(Problem::invalid_parameter(
                "device",
                format!(
                    "several devices send {signal} ({}); name one",
                    names.join(", ")
                ),
            ));
        }
    };
    if nothing_stored && !api.parts.service.knows_device(&device) {
        return Err(Problem::no_such("device", &device));
    }
    let info = stored.into_iter().next();
    let key = SeriesKey { device, signal };
    Ok(Sought { key, info })
}

async fn read(
    api: &Shared,
    key: SeriesKey,
    span: Option<Span>,
    window: &Window,
    budget: Budget,
) -> Result<Readings, Problem> {
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
    let readings = &api.parts.readings;
    let limit = match budget {
        Budget::Raw => window.limit,
        Budget::Points(count) => count as usize,
        Budget::Buckets(_) => 0,
    };
    let mut samples = Vec::new();
    if limit > 0 {
        samples = readings.range(&key, span.next, span.to, limit + 1).await?;
    }
    if matches!(budget, Budget::Buckets(_)) || (budget != Budget::Raw && samples.len() > limit) {
        let buckets = readings.buckets(&key, span.from, span.to, budget.count());
        let buckets = buckets.await?.into_iter().map(BucketView::from);
        answer.items = ReadingItems::Buckets(buckets.collect());
        return Ok(answer);
    }
    let more = samples.len() > limit;
    samples.truncate(limit);
    if let (true, Some(last)) = (more, samples.last()) {
        let rest = Span {
            next: last.at + STEP,
            ..span
        };
        answer.next = Some(page::encode_cursor(&rest.to_string()));
    }
    let samples = samples.into_iter().map(|sample| ReadingView {
        at: sample.at,
        value: sample.value,
    });
    answer.items = ReadingItems::Raw(samples.collect());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(signal: &str, buckets: Option<u32>, points: Option<u32>) -> ReadingFilter {
        ReadingFilter {
            device: None,
            asset: None,
            signal: signal.to_owned(),
            from: None,
            to: None,
            buckets,
            points,
        }
    }

    #[test]
    fn the_budget_is_buckets_or_points_and_bounded() {
        for (buckets, points, expected) in [
            (None, None, Ok(Budget::Raw)),
            (Some(4), None, Ok(Budget::Buckets(4))),
            (None, Some(5_000), Ok(Budget::Points(5_000))),
            (None, Some(0), Err("points")),
            (Some(5_001), None, Err("buckets")),
            (Some(1), Some(1), Err("points")),
        ] {
            let budget = asked("x", buckets, points).budget();
            let budget = budget.map_err(|problem| problem.parameter.unwrap_or_default());
            assert_eq!(
                budget,
                expected.map_err(Into::into),
                "{buckets:?} {points:?}"
            );
        }
    }

    #[test]
    fn signals_are_read_once_each_and_are_bounded() {
        let names = |text: &str| -> Result<Vec<String>, Problem> {
            let signals = asked(text, None, None).signals()?;
            Ok(signals.iter().map(ToString::to_string).collect())
        };
        assert_eq!(names("b,a,b,").unwrap(), ["b", "a"]);
        assert_eq!(names("").unwrap(), Vec::<String>::new());
        assert!(names("a/b").is_err());
        let many: Vec<String> = (0..33).map(|n| format!("s{n}")).collect();
        assert!(names(&many.join(",")).is_err());
        assert_eq!(names(&many[1..].join(",")).unwrap().len(), 32);
    }
}

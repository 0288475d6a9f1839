//! `/conditions`, `/assessments`, `/prognoses`, `/sensor-reports`: what analytics has said, as it said it.

pub(super) mod rules;

use axum::{extract::State, response::Response};
use historian::{FindingKind, FindingQuery};
use serde::Deserialize;
use telemetry::{
    Assessment, AssetId, Condition, DeviceId, Finding, PrognosisOutcome, SensorReport, Timestamp,
    Zone,
};
use utoipa::IntoParams;

use super::{
    Shared,
    list::{Listed, Listing, PageParams},
    page::{self, Page},
    problem::Problem,
    schema,
    summary::ConditionWord,
    table::Cell,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindingFilter {
    /// Only about this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only from this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// The first event time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// One past the last event time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `asc` (the default) or `desc`, by event time.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Asc,
    Desc,
}

/// List conditions by event time.
#[utoipa::path(get, path = "/conditions", tag = "findings", params(FindingFilter, PageParams),
    responses((status = 200, description = "A page of conditions", content(
        (Page<schema::Condition> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn conditions(
    State(api): State<Shared>,
    list: Listing<FindingFilter>,
) -> Result<Response, Problem> {
    answer(
        &api,
        list,
        FindingKind::Condition,
        |finding| match finding {
            Finding::Condition(condition) => Some(condition),
            _ => None,
        },
    )
    .await
}

/// List health assessments by event time.
#[utoipa::path(get, path = "/assessments", tag = "findings", params(FindingFilter, PageParams),
    responses((status = 200, description = "A page of assessments", content(
        (Page<schema::Assessment> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn assessments(
    State(api): State<Shared>,
    list: Listing<FindingFilter>,
) -> Result<Response, Problem> {
    answer(
        &api,
        list,
        FindingKind::Assessment,
        |finding| match finding {
            Finding::Assessment(assessment) => Some(assessment),
            _ => None,
        },
    )
    .await
}

/// List prognoses by event time.
#[utoipa::path(get, path = "/prognoses", tag = "findings", params(FindingFilter, PageParams),
    responses((status = 200, description = "A page of prognoses", content(
        (Page<schema::PrognosisOutcome> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn prognoses(
    State(api): State<Shared>,
    list: Listing<FindingFilter>,
) -> Result<Response, Problem> {
    answer(
        &api,
        list,
        FindingKind::Prognosis,
        |finding| match finding {
            Finding::Prognosis(prognosis) => Some(prognosis),
            _ => None,
        },
    )
    .await
}

/// List what was said about sensors by event time: a report names every signal of a device
/// that could not be believed, and those that had just become good again.
#[utoipa::path(get, path = "/sensor-reports", tag = "findings", params(FindingFilter, PageParams),
    responses((status = 200, description = "A page of sensor reports", content(
        (Page<schema::SensorReport> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn sensor_reports(
    State(api): State<Shared>,
    list: Listing<FindingFilter>,
) -> Result<Response, Problem> {
    answer(&api, list, FindingKind::Sensor, |finding| match finding {
        Finding::Sensor(report) => Some(report),
        _ => None,
    })
    .await
}

async fn answer<T: Listed>(
    api: &Shared,
    list: Listing<FindingFilter>,
    kind: FindingKind,
    take: impl Fn(Finding) -> Option<T>,
) -> Result<Response, Problem> {
    let (filter, window) = (&list.filter, &list.window);
    let newest_first = filter.order == Order::Desc;
    let place = window.after.as_deref().map(Place::parse).transpose()?;
    let mut query = FindingQuery {
        kind: Some(kind),
        asset: filter.asset.clone(),
        device: filter.device.clone(),
        from: filter.from,
        to: filter.to,
        newest_first,
        limit: window.limit + 1,
    };
    let mut skip = 0;
    if let Some(place) = place {
        skip = place.seen;
        query.limit += skip;
        if newest_first {
            query.to = Some(place.at + std::time::Duration::from_micros(1));
        } else {
            query.from = Some(place.at);
        }
    }
    let mut findings = api.parts.store.findings(query).await?;
    findings.drain(..skip.min(findings.len()));
    let more = findings.len() > window.limit;
    findings.truncate(window.limit);
    let next = Place::after(&findings, place)
        .filter(|_| more)
        .map(|place| page::encode_cursor(&place.to_string()));
    Ok(list.answer(Page {
        items: findings.into_iter().filter_map(take).collect(),
        next,
    }))
}

impl Listed for Condition {
    const NAME: &'static str = "conditions";
    const COLUMNS: &'static [&'static str] = &[
        "asset",
        "device",
        "at",
        "state",
        "since",
        "score",
        "failure_mode",
    ];

    fn row(self) -> Vec<Cell> {
        let evidence = self.evidence.as_ref();
        vec![
            Cell::text(self.asset.to_string()),
            Cell::text(self.device.to_string()),
            Cell::plain(self.at),
            Cell::plain(ConditionWord::from(self.state).as_str()),
            Cell::plain(self.since),
            Cell::maybe(evidence.map(|evidence| evidence.statistics.score)),
            Cell::text(evidence.map_or("", |evidence| evidence.failure_mode.as_str())),
        ]
    }
}

impl Listed for Assessment {
    const NAME: &'static str = "assessments";
    const COLUMNS: &'static [&'static str] = &["asset", "device", "at", "health", "zone", "score"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.asset.to_string()),
            Cell::text(self.device.to_string()),
            Cell::plain(self.at),
            Cell::plain(self.health.get()),
            Cell::plain(zone_word(self.zone)),
            Cell::plain(self.score),
        ]
    }
}

impl Listed for SensorReport {
    const NAME: &'static str = "sensor-reports";
    const COLUMNS: &'static [&'static str] = &["asset", "device", "at", "verdicts"];

    fn row(self) -> Vec<Cell> {
        let word = |verdict: &telemetry::SensorVerdict| {
            let fault = verdict.fault.map_or("", |fault| fault.as_str());
            format!("{} {} {fault}", verdict.signal, verdict.state.as_str())
        };
        let verdicts: Vec<String> = self.verdicts.iter().map(word).collect();
        vec![
            Cell::text(self.asset.to_string()),
            Cell::text(self.device.to_string()),
            Cell::plain(self.at),
            Cell::text(verdicts.join("; ")),
        ]
    }
}

fn zone_word(zone: Zone) -> &'static str {
    match zone {
        Zone::Healthy => "healthy",
        Zone::Watch => "watch",
        Zone::Warning => "warning",
        Zone::Critical => "critical",
    }
}

impl Listed for PrognosisOutcome {
    const NAME: &'static str = "prognoses";
    const COLUMNS: &'static [&'static str] =
        &["asset", "device", "at", "p10", "p50", "p90", "reason"];

    fn row(self) -> Vec<Cell> {
        let (asset, device, at) = match &self {
            Self::Forecast(one) => (&one.asset, &one.device, one.at),
            Self::None(none) => (&none.asset, &none.device, none.at),
        };
        let mut row = vec![
            Cell::text(asset.to_string()),
            Cell::text(device.to_string()),
            Cell::plain(at),
        ];
        row.extend(match &self {
            Self::Forecast(one) => [
                Cell::plain(one.date_of(one.rul_p10_s)),
                Cell::plain(one.date_of(one.rul_p50_s)),
                Cell::plain(one.date_of(one.rul_p90_s)),
                Cell::plain(""),
            ],
            Self::None(none) => {
                let nothing = || Cell::plain("");
                [nothing(), nothing(), nothing(), Cell::plain(&none.reason)]
            }
        });
        row
    }
}

/// Where a list by event time continues. Several devices may speak of the same instant, so
/// the time alone is no key: the place is a time and how many of that time were given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    at: Timestamp,
    seen: usize,
}

impl Place {
    /// The place behind a page that began at `before`.
    fn after(page: &[Finding], before: Option<Self>) -> Option<Self> {
        let at = page.last()?.at();
        let here = page.iter().rev().take_while(|finding| finding.at() == at);
        let here = here.count();
        let earlier = before.filter(|before| before.at == at && here == page.len());
        Some(Self {
            at,
            seen: here + earlier.map_or(0, |before| before.seen),
        })
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let parsed = text.split_once(' ').and_then(|(at, seen)| {
            Some(Self {
                at: Timestamp::from_micros(at.parse().ok()?),
                seen: seen
                    .parse()
                    .ok()
                    .filter(|&seen: &usize| seen <= MAX_AT_ONCE)?,
            })
        });
        parsed.ok_or_else(page::foreign_cursor)
    }
}

/// Findings of one instant that a cursor may count; a forged one must not ask for more.
const MAX_AT_ONCE: usize = 100_000;

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.at.as_micros(), self.seen)
    }
}

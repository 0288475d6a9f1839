//! `/alarm-rates`: how many alarms people get, in the measures of ISA-18.2 and EEMUA 191.

use std::time::Duration;

use alerting::rates::{self, AlarmRates, Watcher};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{SiteId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{Shared, extract::Params, problem::Problem};

/// The time that is told of when nobody says: the week that a shift meeting looks back on.
const WEEK: Duration = Duration::from_hours(7 * 24);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RatesFilter {
    /// From when; a week before `to` when it is left out. At most thirteen weeks are counted.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Until when; now when it is left out.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// The alarm rates of a site or an operator.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlarmRatesView {
    /// The site, which is what one operator position watches; null for an operator, and for
    /// assets that stood nowhere.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// The recipient whose messages are counted, such as `person:wang-li`; null for a site.
    pub operator: Option<String>,
    /// Alarms that asked for attention.
    pub alarms: u64,
    /// Alarms that were suppressed.
    pub suppressed: u64,
    /// Alarms in ten minutes, on average.
    pub average_per_10_min: f64,
    /// Alarms in the worst ten minutes.
    pub peak_per_10_min: u64,
    /// The share of time in flood, 0 to 1.
    pub flood_share: f64,
    /// Cases that come and go, now.
    pub chattering: u64,
    /// Alarms that stand and ask for attention, now.
    pub standing: u64,
    /// Of these, for more than a day.
    pub stale: u64,
    /// What is good practice.
    pub target: RateTargets,
    /// The slots of ten minutes with alarms, oldest first.
    pub buckets: Vec<RateBucket>,
}

/// What is good practice.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct RateTargets {
    /// Alarms in ten minutes, on average.
    pub average_per_10_min: f64,
    /// Alarms in the worst ten minutes.
    pub peak_per_10_min: u64,
    /// The share of time in flood, 0 to 1.
    pub flood_share: f64,
}

/// The alarms of ten minutes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RateBucket {
    /// When they begin.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Alarms that asked for attention.
    pub alarms: u64,
}

/// The alarm rates of every site.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AllAlarmRates {
    /// By site, then by operator.
    pub items: Vec<AlarmRatesView>,
    /// Always null: everybody is there.
    pub next: Option<String>,
}

impl From<AlarmRates> for AlarmRatesView {
    fn from(rates: AlarmRates) -> Self {
        let target = rates::TARGETS;
        let (site, operator) = match rates.of {
            Watcher::Site(site) => (site, None),
            Watcher::Operator(operator) => (None, Some(operator)),
        };
        Self {
            site,
            operator,
            alarms: rates.alarms,
            suppressed: rates.suppressed,
            average_per_10_min: rates.average_per_10_min,
            peak_per_10_min: rates.peak_per_10_min,
            flood_share: rates.flood_share,
            chattering: rates.now.chattering,
            standing: rates.now.standing,
            stale: rates.now.stale,
            target: RateTargets {
                average_per_10_min: target.average_per_10_min,
                peak_per_10_min: target.peak_per_10_min,
                flood_share: target.flood_share,
            },
            buckets: rates
                .slots
                .into_iter()
                .map(|(at, alarms)| RateBucket { at, alarms })
                .collect(),
        }
    }
}

/// How many alarms people get at each site.
#[utoipa::path(get, path = "/alarm-rates", tag = "cases", params(RatesFilter),
    responses((status = 200, body = AllAlarmRates),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(filter): Params<RatesFilter>,
) -> Result<Json<AllAlarmRates>, Problem> {
    let to = filter.to.unwrap_or_else(|| api.parts.clock.now());
    let from = filter.from.unwrap_or(to - WEEK);
    if from > to {
        return Err(Problem::invalid_parameter("from", "use a time before to"));
    }
    let rates = api.parts.cases.alarm_rates(from, to).await?;
    Ok(Json(AllAlarmRates {
        items: rates.into_iter().map(AlarmRatesView::from).collect(),
        next: None,
    }))
}

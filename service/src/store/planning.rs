//! Plans, prices and dates of orders, with what the file knows of site and crew.

use std::{sync::Arc, time::Duration};

use chrono_tz::Tz;
use sqlx::{Row, SqliteConnection};
use telemetry::{Advisory, AssetModel, Place, Places as _, SiteId, Timestamp};

use super::{Service, failed};
use crate::{
    Asset, Capacity, DateDecision, Estimate, JobPlan, JobPlans, OrderCosts, PlanningConfig,
    ServiceError,
    planning::{Load, Situation, chance_of, costs_of, decide_date, orders_free},
    work_order::priority_of,
};

/// For how long capacity is counted.
const CAPACITY_SPAN: Duration = Duration::from_hours(7 * 24);
/// Visits of a site that are looked at, at most: more than a year of working days.
const MAX_VISITS: u32 = 400;

/// What is written on an order that is raised.
pub(super) struct Planned {
    pub(super) plan: Option<Arc<JobPlan>>,
    pub(super) costs: OrderCosts,
    pub(super) date: DateDecision,
    pub(super) priority: u8,
}

/// Where the machine of an advisory stands and what kind it is.
struct Setting {
    place: Option<Place>,
    model: Option<Arc<AssetModel>>,
    plan: Option<Arc<JobPlan>>,
}

impl Service {
    /// Every job plan.
    pub fn job_plans(&self) -> &JobPlans {
        &self.inner.plans
    }

    /// How orders are dated and priced.
    pub fn planning(&self) -> &PlanningConfig {
        &self.inner.planning
    }

    /// What acting on an advisory costs, and what it saves on average. With a calibrated forecast
    /// that is the difference between running on and acting on the best date; without one it is
    /// what a failure costs, weighed by a round number for the severity, so that cases can be put
    /// in order. Answered from memory: visits that are planned at the site are not looked at.
    pub fn estimate(&self, advisory: &Advisory) -> Estimate {
        let setting = self.setting(advisory);
        let (costs, date) = self.reckon(advisory, &setting, &[]);
        Estimate {
            planned_cost: costs.planned,
            failure_cost: costs.failure,
            expected_avoided_cost: date.avoided.or(costs.expected_avoided).unwrap_or_default(),
            best: date.chosen,
            currency: costs.currency,
        }
    }

    /// How many more orders crews and planners can take on in the week from now.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn capacity(&self, now: Timestamp) -> Result<Capacity, ServiceError> {
        let doing = "counting the capacity of crews";
        let until = now + CAPACITY_SPAN;
        let mean = self.inner.plans.mean_crew_hours().unwrap_or(4.0);
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM engineers) AS engineers,
                    (SELECT count(*) FROM work_orders WHERE status = 'proposed') AS proposed,
                    (SELECT COALESCE(SUM(COALESCE(plan ->> '$.duration_s' * (plan ->> '$.crew')
                             / 3600.0, ?2)), 0.0)
                     FROM work_orders
                     WHERE status IN ('proposed', 'approved', 'scheduled', 'in_progress')
                       AND COALESCE(scheduled_for, due_by, created_at) < ?1) AS hours",
        )
        .bind(until.as_micros())
        .bind(mean)
        .fetch_one(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let count = |column| -> Result<u32, ServiceError> {
            let number: i64 = row.try_get(column).map_err(failed(doing))?;
            Ok(u32::try_from(number).unwrap_or(u32::MAX))
        };
        let load = Load {
            engineers: count("engineers")?,
            proposed: count("proposed")?,
            hours: row.try_get("hours").map_err(failed(doing))?,
        };
        Ok(Capacity {
            orders_free: orders_free(load, mean, &self.inner.planning),
            until,
        })
    }

    /// What goes on the order of an advisory.
    pub(super) async fn planned(
        &self,
        connection: &mut SqliteConnection,
        advisory: &Advisory,
    ) -> Result<Planned, ServiceError> {
        let setting = self.setting(advisory);
        let visits = match &setting.place {
            Some(place) => visits(connection, &place.site).await?,
            None => Vec::new(),
        };
        let (costs, date) = self.reckon(advisory, &setting, &visits);
        Ok(Planned {
            plan: setting.plan,
            costs,
            date,
            priority: priority_of(advisory),
        })
    }

    /// What an order costs that a person writes: nobody has said yet what is to be done, so it
    /// is priced like the dearest failure that is planned for this kind of machine.
    pub(super) fn costs_by_hand(&self, asset: &Asset) -> OrderCosts {
        let config = &self.inner.planning;
        let own = self.inner.plans.iter();
        let own = own.filter(|plan| plan.asset_model.as_ref() == Some(&asset.model));
        let dearest = own.max_by(|a, b| {
            let cost = |plan: &JobPlan| plan.failure_cost.unwrap_or(0.0);
            cost(a).total_cmp(&cost(b))
        });
        let model = self.inner.registry.models().get(&asset.model);
        let terms = config.terms(Some(&asset.customer.id));
        let dearest = dearest.map(AsRef::as_ref);
        costs_of(dearest, model.map(AsRef::as_ref), terms, config)
    }

    fn setting(&self, advisory: &Advisory) -> Setting {
        let place = self.place(&advisory.asset);
        let id = place.as_ref().map(|place| &place.model);
        let models = self.inner.registry.models();
        Setting {
            model: id.and_then(|id| models.get(id)).cloned(),
            plan: self.inner.plans.find(id, &advisory.failure_mode).cloned(),
            place,
        }
    }

    /// Prices and date.
    fn reckon(
        &self,
        advisory: &Advisory,
        setting: &Setting,
        visits: &[Timestamp],
    ) -> (OrderCosts, DateDecision) {
        let config = &self.inner.planning;
        let place = setting.place.as_ref();
        let terms = config.terms(place.map(|place| &place.customer));
        let plan = setting.plan.as_deref();
        let model = setting.model.as_deref();
        let mut costs = costs_of(plan, model, terms, config);
        let date = decide_date(&Situation {
            advisory,
            plan,
            model,
            costs: &costs,
            travel: config.travel_per_visit,
            terms,
            hours: config.hours_at(place.map(|place| &place.site)),
            zone: zone(place),
            visits,
        });
        let weighed = chance_of(advisory.severity) * costs.failure - costs.planned;
        costs.expected_avoided = Some(date.avoided.unwrap_or(weighed).max(0.0));
        (costs, date)
    }
}

/// The time zone of a site; UTC for one whose name no table knows.
fn zone(place: Option<&Place>) -> Tz {
    let named = place.and_then(|place| place.time_zone.parse().ok());
    named.unwrap_or(Tz::UTC)
}

/// When somebody goes to a site anyway.
async fn visits(
    connection: &mut SqliteConnection,
    site: &SiteId,
) -> Result<Vec<Timestamp>, ServiceError> {
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT w.scheduled_for FROM work_orders w JOIN assets a ON a.id = w.asset
         WHERE a.site = ? AND w.status = 'scheduled' AND w.scheduled_for IS NOT NULL
         ORDER BY w.scheduled_for DESC LIMIT ?",
    )
    .bind(site.as_str())
    .bind(MAX_VISITS)
    .fetch_all(connection)
    .await
    .map_err(failed("reading the visits of a site"))?;
    Ok(found.into_iter().map(Timestamp::from_micros).collect())
}

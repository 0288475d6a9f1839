//! What work costs, what a failure costs, and what an advisory is worth.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, CustomerId, Severity, SiteId, Timestamp};

use super::{JobPlan, OpeningHours};

/// How orders are dated and priced: `[planning]` of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanningConfig {
    /// What every price is counted in, such as `CNY`.
    pub currency: String,
    /// An hour of one engineer.
    pub labour_per_hour: f64,
    /// The way of a crew to a site and back. Saved when somebody goes there that day anyway.
    pub travel_per_visit: f64,
    /// When crews work, in the time of the site.
    pub hours: OpeningHours,
    /// Hours of one engineer in a week that are left for orders, beside ways, holidays and paper.
    pub hours_per_engineer_week: f64,
    /// Hours of all engineers in a week; none counts the engineers.
    pub crew_hours_per_week: Option<f64>,
    /// Proposed orders that planners can look through; no further ones are raised beyond.
    pub proposals_max: u32,
    /// Sites that are open at other hours.
    pub sites: BTreeMap<SiteId, OpeningHours>,
    /// What is agreed with customers.
    pub customers: BTreeMap<CustomerId, CustomerTerms>,
}

/// What is agreed with a customer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CustomerTerms {
    /// Paid to the customer when a machine fails, on top of what the failure costs.
    pub sla_penalty: f64,
    /// How much dearer a failure is there than the plans say: standstill of a line, not of a
    /// machine; 1 is as the plans say.
    pub failure_factor: f64,
    /// Work on critical cases is done within; the rule for everybody when it is none.
    pub critical_within: Option<Duration>,
    /// Work on other cases is done within; likewise.
    pub warning_within: Option<Duration>,
}

impl Default for CustomerTerms {
    fn default() -> Self {
        Self {
            sla_penalty: 0.0,
            failure_factor: 1.0,
            critical_within: None,
            warning_within: None,
        }
    }
}

impl Default for PlanningConfig {
    fn default() -> Self {
        Self {
            currency: "CNY".to_owned(),
            // What an hour of a service engineer is charged at in a Chinese city, roughly.
            labour_per_hour: 150.0,
            travel_per_visit: 400.0,
            hours: OpeningHours::WEEKDAYS,
            hours_per_engineer_week: 30.0,
            crew_hours_per_week: None,
            // A planner looks through some eight proposals a day; a week of them is a backlog.
            proposals_max: 40,
            sites: BTreeMap::new(),
            customers: BTreeMap::new(),
        }
    }
}

impl PlanningConfig {
    /// What is agreed with a customer; nothing in particular with one who is not named.
    pub fn terms(&self, customer: Option<&CustomerId>) -> CustomerTerms {
        let named = customer.and_then(|customer| self.customers.get(customer));
        named.copied().unwrap_or_default()
    }

    /// When work can be done at a site.
    pub fn hours_at(&self, site: Option<&SiteId>) -> OpeningHours {
        let own = site.and_then(|site| self.sites.get(site));
        own.copied().unwrap_or(self.hours)
    }
}

/// What an order costs and is worth, as it was reckoned when it was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCosts {
    /// The planned work: parts, labour, travel.
    pub planned: f64,
    /// A failure with all that follows, the penalty agreed with the customer included.
    pub failure: f64,
    /// Going there and finding nothing: travel and one hour of one engineer.
    pub inspection: f64,
    /// What acting on the case saves against running on, as far as that can be said.
    pub expected_avoided: Option<f64>,
    /// What all of them are counted in.
    pub currency: String,
}

/// A failure without a price of its own costs so many times the planned work. The factor of the
/// asset model's `[prognosis.costs]` goes before; this is the default there too.
const FAILURE_FACTOR: f64 = 5.0;
/// What an hour on site is worth when nothing is known of the job: half a day of one engineer.
const UNKNOWN_JOB_H: f64 = 4.0;
/// Looking and finding nothing takes an hour.
const INSPECTION_H: f64 = 1.0;

/// What a job costs, before anything is known about when it is done.
pub fn costs_of(
    plan: Option<&JobPlan>,
    model: Option<&AssetModel>,
    terms: CustomerTerms,
    config: &PlanningConfig,
) -> OrderCosts {
    let hours = plan.map_or(UNKNOWN_JOB_H, JobPlan::crew_hours);
    let parts = plan.map_or(0.0, JobPlan::parts_cost);
    let planned = parts + hours * config.labour_per_hour + config.travel_per_visit;
    let factor = model
        .and_then(|model| model.prognosis.as_ref())
        .map_or(FAILURE_FACTOR, |spec| {
            spec.costs.failure / spec.costs.planned
        });
    let priced = plan.and_then(|plan| plan.failure_cost);
    let failure = priced.unwrap_or(factor * planned).max(planned);
    OrderCosts {
        planned,
        failure: failure * terms.failure_factor.max(0.0) + terms.sla_penalty.max(0.0),
        inspection: INSPECTION_H * config.labour_per_hour + config.travel_per_visit,
        expected_avoided: None,
        currency: config.currency.clone(),
    }
}

/// What acting on an advisory costs and saves; see [`crate::Service::estimate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The planned work.
    pub planned_cost: f64,
    /// A failure.
    pub failure_cost: f64,
    /// What acting saves on average, 0 or more.
    pub expected_avoided_cost: f64,
    /// When the work is best begun.
    pub best: Timestamp,
    /// What all of them are counted in.
    pub currency: String,
}

/// How likely an alarm of this severity is to end in a failure when nobody acts and no calibrated
/// forecast says it. Round numbers that put cases in order; they are shown to nobody as
/// probabilities.
pub const fn chance_of(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 0.6,
        Severity::Warning => 0.25,
        Severity::Watch => 0.05,
    }
}

/// How many more orders can be worked on; see [`crate::Service::capacity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Orders that may still be raised.
    pub orders_free: u32,
    /// For which time that was counted.
    pub until: telemetry::Timestamp,
}

/// The load that stands against the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Engineers there are.
    pub engineers: u32,
    /// Proposed orders nobody has looked through.
    pub proposed: u32,
    /// Crew hours of unfinished orders that fall into the time.
    pub hours: f64,
}

/// Orders that crews and planners can still take on in a week. Without engineers in the ledger and
/// without hours in the configuration nothing is known of the crew, and planners alone count.
pub fn orders_free(load: Load, mean_hours: f64, config: &PlanningConfig) -> u32 {
    let counted = f64::from(load.engineers) * config.hours_per_engineer_week;
    let known = config
        .crew_hours_per_week
        .or((load.engineers > 0).then_some(counted));
    let crew = known.map_or(u32::MAX, |hours| {
        // A saturating cast: nothing is free below zero.
        ((hours - load.hours) / mean_hours.max(0.1)).floor() as u32
    });
    crew.min(config.proposals_max.saturating_sub(load.proposed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_holds_as_many_orders_as_crew_and_planners_can_take() {
        let config = PlanningConfig::default();
        let load = |engineers, proposed, hours| Load {
            engineers,
            proposed,
            hours,
        };
        for (load, free) in [
            // Two engineers at 30 h, 4 h a job.
            (load(2, 0, 0.0), 15),
            (load(2, 0, 50.0), 2),
            (load(2, 0, 61.0), 0),
            // The planner is the bottleneck.
            (load(2, 38, 0.0), 2),
            (load(2, 41, 0.0), 0),
            // Nobody has entered engineers.
            (load(0, 3, 500.0), 37),
        ] {
            assert_eq!(orders_free(load, 4.0, &config), free, "{load:?}");
        }
        let fixed = PlanningConfig {
            crew_hours_per_week: Some(8.0),
            ..config
        };
        assert_eq!(orders_free(load(9, 0, 0.0), 4.0, &fixed), 2);
    }

    #[test]
    fn a_job_costs_parts_labour_and_travel_and_a_failure_what_the_customer_loses() {
        let config = PlanningConfig::default();
        // Four hours of one engineer and a journey: 4 · 150 + 400; five times that for a failure.
        let costs = costs_of(None, None, CustomerTerms::default(), &config);
        assert!((costs.planned - 1_000.0).abs() < 1e-9, "{costs:?}");
        assert!((costs.failure - 5_000.0).abs() < 1e-9, "{costs:?}");
        assert!((costs.inspection - 550.0).abs() < 1e-9, "{costs:?}");
        let terms = CustomerTerms {
            sla_penalty: 700.0,
            failure_factor: 2.0,
            ..CustomerTerms::default()
        };
        let costs = costs_of(None, None, terms, &config);
        assert!((costs.failure - 10_700.0).abs() < 1e-9, "{costs:?}");
    }
}

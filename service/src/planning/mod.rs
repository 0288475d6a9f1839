//! From a prediction to an order: what is done, what it costs, and when it is best done.
//!
//! Everything here is pure: plans, prices and forecasts in, decisions out. The store asks it when
//! it raises an order and when the forecast behind one moves.

mod costs;
mod date;
mod hours;
mod job_plan;
mod words;

pub use costs::{
    Capacity, CustomerTerms, Estimate, Load, OrderCosts, PlanningConfig, chance_of, costs_of,
    orders_free,
};
pub use date::{Basis, CurvePoint, DateDecision, Situation, decide_date, is_calibrated};
pub use hours::{NoHours, OpeningHours};
pub use job_plan::{InvalidPlan, JobPlan, JobPlans, PlanFile, PlanPart, PlanStep};

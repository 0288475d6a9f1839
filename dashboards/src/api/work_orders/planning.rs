//! What an order will do, what it costs, and how its date was found.

use serde::Serialize;
use service::{DateDecision, OrderCosts, planning::Basis};
use telemetry::Timestamp;
use utoipa::ToSchema;

use crate::labels::Text;

/// What an order costs and is worth, as it was reckoned when it was raised.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CostsView {
    /// The planned work: parts, labour, travel.
    pub planned: f64,
    /// A failure with all that follows, the penalty agreed with the customer included.
    pub failure: f64,
    /// Going there and finding nothing.
    pub inspection: f64,
    /// What acting saves against running on, as far as that can be said.
    pub expected_avoided: Option<f64>,
    /// What all of them are counted in.
    pub currency: String,
}

impl From<OrderCosts> for CostsView {
    fn from(costs: OrderCosts) -> Self {
        Self {
            planned: costs.planned,
            failure: costs.failure,
            inspection: costs.inspection,
            expected_avoided: costs.expected_avoided,
            currency: costs.currency,
        }
    }
}

/// How the date of an order was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DateView {
    /// When the work is best begun.
    #[schema(value_type = String, format = DateTime)]
    pub chosen: Timestamp,
    /// `calibrated` (a calibrated forecast and costs) or `severity` (how serious the case is and
    /// what is agreed with the customer).
    pub basis: String,
    /// Expected cost of acting at a time; empty without a calibrated forecast.
    pub curve: Vec<CurvePointView>,
    /// What a week later costs on average, below zero when it saves; null without a calibrated
    /// forecast.
    pub delay_week_cost: Option<f64>,
    /// What acting then saves against running on; likewise.
    pub avoided: Option<f64>,
    /// The forecast that was looked at, by model.
    pub model: Option<String>,
    /// The decision in words.
    pub words: Text,
    /// What the numbers are counted in.
    pub currency: String,
}

/// The expected cost of acting at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CurvePointView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Of having run on until then.
    pub run_on: f64,
    /// Of the planned work then, with the life that is thrown away.
    pub planned: f64,
    /// Both.
    pub total: f64,
}

impl From<DateDecision> for DateView {
    fn from(date: DateDecision) -> Self {
        let curve = date.curve.into_iter().map(|point| CurvePointView {
            at: point.at,
            run_on: point.run_on,
            planned: point.planned,
            total: point.total,
        });
        let basis = match date.basis {
            Basis::Calibrated => "calibrated",
            Basis::Severity => "severity",
        };
        Self {
            chosen: date.chosen,
            basis: basis.to_owned(),
            curve: curve.collect(),
            delay_week_cost: date.delay_week_cost,
            avoided: date.avoided,
            model: date.model,
            words: Text::of(&date.words),
            currency: date.currency,
        }
    }
}

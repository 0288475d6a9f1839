//! What a back-test found, as it looks in the API.

use serde::Deserialize;
use utoipa::ToSchema;

/// Both rule sets side by side.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestResult {
    /// The rules that were tried.
    proposed: BacktestSide,
    /// The rules in force when it was done.
    in_force: BacktestSide,
    /// The currency of money; empty when costs are given in none.
    currency: String,
    /// Readings gone through.
    readings: u64,
    /// Seconds it took.
    seconds: f64,
}

/// What one rule set would have done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestSide {
    /// Cases opened, sensors included.
    cases: u32,
    /// Orders asked for.
    orders: u32,
    /// The same by the week.
    orders_per_week: f64,
    /// Cases the record confirms.
    confirmed: u32,
    /// Cases nothing was behind.
    false_alarms: u32,
    /// Cases too close to the end of the record.
    unknown: u32,
    /// Problems on record.
    problems: u32,
    /// Of these, problems no case told of.
    missed: u32,
    /// Confirmed among those that were judged.
    precision: Option<ShareInterval>,
    /// Problems that a case told of among all.
    recall: Option<ShareInterval>,
    /// Median time from the first case to the problem, seconds.
    lead_time_s: Option<f64>,
    /// Failures avoided less planned work and visits for nothing; null when nothing is priced.
    net_money: Option<f64>,
    /// By rule, the detectors first.
    by_rule: Vec<BacktestOfRule>,
    /// The cases, oldest first, at most a thousand.
    items: Vec<BacktestCase>,
}

/// A share with its 95 % interval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareInterval {
    /// The share, 0 to 1.
    value: f64,
    /// The lower end.
    low: f64,
    /// The upper end.
    high: f64,
}

/// What one rule would have done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestOfRule {
    /// The rule; null for the detectors.
    rule: Option<String>,
    /// Cases opened.
    cases: u32,
    /// Of these confirmed.
    confirmed: u32,
    /// Of these false.
    false_alarms: u32,
}

/// A case that would have been opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestCase {
    /// The id it would have had.
    case: String,
    /// The asset.
    asset: String,
    /// What would have seemed to be failing.
    failure_mode: String,
    /// The sensor it would have been about.
    signal: Option<String>,
    /// The rule that would have told; null for the detectors.
    rule: Option<String>,
    /// When the alarm would have risen.
    #[schema(format = DateTime)]
    opened_at: String,
    /// Whether an order would have been asked for.
    order: bool,
    /// What the record makes of it.
    verdict: BacktestVerdict,
    /// Seconds from the alert to the problem; null unless confirmed.
    lead_time_s: Option<f64>,
}

/// What an alert turned out to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BacktestVerdict {
    /// The record has the problem within a month.
    Confirmed,
    /// It has nothing within a month, or somebody looked and found nothing.
    False,
    /// The record ends too soon.
    Unknown,
}

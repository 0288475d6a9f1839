//! What watching the machines was worth: failures avoided, false alarms paid for, failures missed.
//!
//! A pure computation over ended orders. Each counted order becomes one entry with its case, so
//! that every figure opens to what it is made of; a figure is nothing but a sum of entries.
//!
//! | an order that ended as …                                        | counts as             | money                |
//! |------------------------------------------------------------------|-----------------------|----------------------|
//! | of a case, a fault found before the machine failed               | avoided               | failure - planned    |
//! | of a case, no fault found, or only a sensor's on a machine's case | false alarm           | - inspection         |
//! | of a sensor's case, the sensor was wrong                         | sensor put right      | - inspection         |
//! | corrective, a fault found, no case stood open for it             | missed                | - (failure - planned) |
//! | corrective, a fault found, a case stood open                     | too late              | - (failure - planned) |
//!
//! Duplicates, put-off and cancelled orders, and work that the calendar asked for, count as
//! nothing. An order whose costs nobody knows is counted and not priced.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, AssetModelId, CaseId, CustomerId, FailureMode, Outcome, Timestamp, WorkOrderId,
};

use crate::{Name, WorkOrderKind};

/// What work and failure of one machine cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Planned work, with travel, parts and the lost rest of the part's life.
    pub planned: f64,
    /// The same work after a failure, with all that follows.
    pub failure: f64,
    /// A visit that changes nothing.
    pub inspection: f64,
    /// Three letters, such as `EUR`; empty when costs are given in no currency.
    pub currency: String,
}

/// An order that has ended, with what the ledger needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedOrder {
    /// The order.
    pub id: WorkOrderId,
    /// Its asset.
    pub asset: AssetId,
    /// The name of the asset.
    pub asset_name: Name,
    /// Whose asset it is.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: Name,
    /// What kind of machine it is.
    pub model: AssetModelId,
    /// The case it came from; none for an order that a person wrote.
    pub case: Option<CaseId>,
    /// Why it was done.
    pub kind: WorkOrderKind,
    /// What was found.
    pub outcome: Outcome,
    /// What really failed; where that was not said, what it was raised for, unless another
    /// fault was found.
    pub failure_mode: Option<FailureMode>,
    /// When the alarm rose, or when the order was written; in event time for a case.
    pub opened_at: Timestamp,
    /// When the work was done.
    pub done_at: Timestamp,
    /// What it costs; none when nobody knows.
    pub prices: Option<Prices>,
}

/// What an order counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SavingsKind {
    /// A fault was mended before the machine failed.
    Avoided,
    /// Somebody went there for nothing.
    FalseAlarm,
    /// A machine failed without a case.
    Missed,
    /// A machine failed while its case stood open.
    TooLate,
    /// A sensor was put right.
    Sensor,
}

impl SavingsKind {
    /// Every kind, in the order of columns.
    pub const ALL: [Self; 5] = [
        Self::Avoided,
        Self::FalseAlarm,
        Self::Missed,
        Self::TooLate,
        Self::Sensor,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Avoided => "avoided",
            Self::FalseAlarm => "false_alarm",
            Self::Missed => "missed",
            Self::TooLate => "too_late",
            Self::Sensor => "sensor",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What an order of this kind is worth, in the currency of its prices.
    fn money(self, prices: &Prices) -> f64 {
        match self {
            Self::Avoided => prices.failure - prices.planned,
            Self::FalseAlarm | Self::Sensor => -prices.inspection,
            Self::Missed | Self::TooLate => prices.planned - prices.failure,
        }
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct SavingsEntry {
    /// What it counts as.
    pub kind: SavingsKind,
    /// What it is worth; none when nobody knows the costs.
    pub money: Option<f64>,
    /// The case behind it: the order's own, or for a failure that came too late the one that
    /// stood open.
    pub case: Option<CaseId>,
    /// The order.
    pub order: EndedOrder,
}

impl SavingsEntry {
    /// The month it is booked in.
    pub fn month(&self) -> Month {
        Month::of(self.order.done_at)
    }

    /// The currency; empty when it is not priced.
    pub fn currency(&self) -> &str {
        let prices = self.order.prices.as_ref();
        prices.map_or("", |prices| prices.currency.as_str())
    }
}

/// A month of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
}

impl Month {
    /// The month an instant lies in.
    ///
    /// # Source
    /// Days to a civil date: Howard Hinnant, "chrono-compatible low-level date algorithms",
    /// `civil_from_days`.
    pub fn of(at: Timestamp) -> Self {
        let days = at.as_micros().div_euclid(86_400_000_000) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            // 1 to 12.
            month: u8::try_from(month).unwrap_or(1),
        }
    }

    /// Reads `2026-03`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        if year.len() != 4 || month.len() != 2 {
            return None;
        }
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self { year, month })
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The entries of ended orders, newest work first.
pub fn ledger(mut orders: Vec<EndedOrder>) -> Vec<SavingsEntry> {
    orders.sort_by(|a, b| (b.done_at, &b.id).cmp(&(a.done_at, &a.id)));
    let mut of_asset: BTreeMap<AssetId, Vec<usize>> = BTreeMap::new();
    for (at, order) in orders.iter().enumerate() {
        of_asset.entry(order.asset.clone()).or_default().push(at);
    }
    let mut entries = Vec::new();
    for order in &orders {
        let others = of_asset.get(&order.asset).map_or(&[][..], Vec::as_slice);
        let others = others.iter().map(|at| &orders[*at]);
        let Some((kind, case)) = counts_as(order, others) else {
            continue;
        };
        entries.push(SavingsEntry {
            kind,
            money: order.prices.as_ref().map(|prices| kind.money(prices)),
            case,
            order: order.clone(),
        });
    }
    entries
}

/// What an order counts as, beside the other orders of its asset; none counts as nothing.
fn counts_as<'a>(
    order: &EndedOrder,
    mut others: impl Iterator<Item = &'a EndedOrder>,
) -> Option<(SavingsKind, Option<CaseId>)> {
    let is_fault = order.outcome.starts_new_life();
    let own = order.case.clone();
    match (order.kind, &order.case) {
        (WorkOrderKind::Predictive, _) if is_fault => {
            // The machine failed first: the failure is counted, at its own order.
            let failed = others.any(|other| {
                is_failure(other) && stood_open(order, other) && same_fault(order, other)
            });
            (!failed).then_some((SavingsKind::Avoided, own))
        }
        (WorkOrderKind::Predictive, _) | (WorkOrderKind::Inspection, Some(_)) => {
            match (order.outcome, order.kind) {
                (Outcome::NoFaultFound, _) | (Outcome::SensorFault, WorkOrderKind::Predictive) => {
                    Some((SavingsKind::FalseAlarm, own))
                }
                (Outcome::SensorFault, _) => Some((SavingsKind::Sensor, own)),
                // A sensor's case that led to a fault of the machine.
                (outcome, _) if outcome.starts_new_life() => Some((SavingsKind::Avoided, own)),
                _ => None,
            }
        }
        (WorkOrderKind::Corrective, _) if is_fault => {
            let open = others.find(|other| {
                other.kind == WorkOrderKind::Predictive
                    && stood_open(other, order)
                    && same_fault(other, order)
            });
            Some(match open {
                Some(open) => (SavingsKind::TooLate, open.case.clone()),
                None => (SavingsKind::Missed, None),
            })
        }
        _ => None,
    }
}

fn is_failure(order: &EndedOrder) -> bool {
    order.kind == WorkOrderKind::Corrective && order.outcome.starts_new_life()
}

/// Whether the alarm had risen and its work was not done when the machine failed.
fn stood_open(predictive: &EndedOrder, failure: &EndedOrder) -> bool {
    (predictive.opened_at..=predictive.done_at).contains(&failure.opened_at)
}

/// Where both say what failed, they must say the same.
fn same_fault(a: &EndedOrder, b: &EndedOrder) -> bool {
    match (&a.failure_mode, &b.failure_mode) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// What figures are grouped by; each part may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// By customer.
    pub customer: bool,
    /// By kind of machine.
    pub model: bool,
    /// By month.
    pub month: bool,
}

/// One figure: how many, and how much of those that are priced.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure {
    /// Entries.
    pub count: u32,
    /// Sum of what is priced.
    pub money: f64,
    /// Entries whose costs nobody knows.
    pub unpriced: u32,
}

/// What a line of the summary is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The month, when grouped by it.
    pub month: Option<Month>,
    /// The customer, when grouped by it.
    pub customer: Option<(CustomerId, Name)>,
    /// The kind of machine, when grouped by it.
    pub model: Option<AssetModelId>,
    /// Money of different currencies is never added up; empty for what is not priced.
    pub currency: String,
}

/// Figures by kind, in the order of [`SavingsKind::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures([Figure; 5]);

impl Figures {
    /// The figure of a kind.
    pub fn of(&self, kind: SavingsKind) -> Figure {
        self.0[kind as usize]
    }

    /// What watching was worth: avoided failures less false alarms and sensors. Failures that
    /// came all the same would have come without it too; they are shown and not subtracted.
    pub fn net(&self) -> f64 {
        [
            SavingsKind::Avoided,
            SavingsKind::FalseAlarm,
            SavingsKind::Sensor,
        ]
        .into_iter()
        .map(|kind| self.of(kind).money)
        .sum()
    }

    fn add(&mut self, entry: &SavingsEntry) {
        let figure = &mut self.0[entry.kind as usize];
        figure.count += 1;
        match entry.money {
            Some(money) => figure.money += money,
            None => figure.unpriced += 1,
        }
    }
}

/// The figures of entries, newest month first.
pub fn summary<'a>(
    entries: impl IntoIterator<Item = &'a SavingsEntry>,
    by: Grouping,
) -> Vec<(LineKey, Figures)> {
    let mut lines: BTreeMap<(std::cmp::Reverse<Option<Month>>, LineKey), Figures> = BTreeMap::new();
    for entry in entries {
        let order = &entry.order;
        let customer = (order.customer.clone(), order.customer_name.clone());
        let key = LineKey {
            month: by.month.then(|| entry.month()),
            customer: by.customer.then_some(customer),
            model: by.model.then(|| order.model.clone()),
            currency: entry.currency().to_owned(),
        };
        let figures = lines
            .entry((std::cmp::Reverse(key.month), key))
            .or_default();
        figures.add(entry);
    }
    lines
        .into_iter()
        .map(|((_, key), figures)| (key, figures))
        .collect()
}

//! Cases against the record: confirmed, false, missed, and what that is worth.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, FailureMode, RuleId, Timestamp};

use super::{Alert, OnRecord, Record};

/// A repair so soon after a failure is that of it.
const REPAIR_TAKES: Duration = Duration::from_hours(7 * 24);

/// What is paid on one asset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Planned work.
    pub planned: f64,
    /// The same after a failure, with all that follows.
    pub failure: f64,
    /// A visit that changes nothing.
    pub inspection: f64,
}

/// What an alert turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The record has the problem within the horizon.
    Confirmed,
    /// The record has nothing within the horizon, or somebody looked and found nothing.
    False,
    /// The horizon ends after the record does.
    Unknown,
}

/// An alert with what it turned out to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// What it turned out to be.
    pub verdict: Verdict,
    /// Seconds from the alert to the problem; none unless confirmed.
    pub lead_time_s: Option<f64>,
}

/// A share with its 95 % interval after Wilson.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The share, 0 to 1.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The share of `hits` in `of`; none of nothing.
    ///
    /// # Source
    /// E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    pub fn of(hits: u32, of: u32) -> Option<Self> {
        const Z: f64 = 1.959_964;
        if of == 0 {
            return None;
        }
        let (n, value) = (f64::from(of), f64::from(hits) / f64::from(of));
        let shrink = 1.0 + Z * Z / n;
        let middle = (value + Z * Z / (2.0 * n)) / shrink;
        let half = Z / shrink * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Self {
            value,
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
        })
    }
}

/// What one rule, or the detectors, would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfRule {
    /// The rule; none for the detectors.
    pub rule: Option<RuleId>,
    /// Cases opened.
    pub cases: u32,
    /// Of these confirmed.
    pub confirmed: u32,
    /// Of these false.
    pub false_alarms: u32,
}

/// What a set of alerts would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Cases opened, sensors included.
    pub cases: u32,
    /// Orders asked for.
    pub orders: u32,
    /// The same by the week.
    pub orders_per_week: f64,
    /// Cases the record confirms.
    pub confirmed: u32,
    /// Cases the record says nothing was behind.
    pub false_alarms: u32,
    /// Cases too close to the end of the record.
    pub unknown: u32,
    /// Problems on record.
    pub problems: u32,
    /// Of these, problems no case told of.
    pub missed: u32,
    /// Confirmed among those that were judged.
    pub precision: Option<Interval>,
    /// Problems that a case told of among all.
    pub recall: Option<Interval>,
    /// Median time from the first case to the problem, seconds.
    pub lead_time_s: Option<f64>,
    /// Failures avoided less planned work and visits for nothing; none when nothing is priced.
    pub net_money: Option<f64>,
    /// By rule, the detectors first.
    pub by_rule: Vec<OfRule>,
    /// The cases, oldest first, at most [`Side::MAX_ITEMS`].
    pub items: Vec<Judged>,
}

impl Side {
    /// As many as a page shows; the counts are of all.
    pub const MAX_ITEMS: usize = 1_000;
}

/// Judges alerts against the record of `[from, to)`.
///
/// An alert is confirmed by the first problem of its asset within `horizon` whose failure mode
/// agrees as far as both are named; an alert about a sensor by a wrong sensor or by a problem.
/// Without one it is false when the horizon has passed or somebody looked and found nothing, and
/// unknown otherwise. A problem is worth what its failure costs beyond planned work, once; a
/// false alarm with an order costs a visit.
pub fn judge(
    alerts: Vec<Alert>,
    records: &[Record],
    (from, to): (Timestamp, Timestamp),
    horizon: Duration,
    prices: impl Fn(&AssetId) -> Option<Prices>,
) -> Side {
    let book = Book::new(records, (from, to));
    let mut leads: BTreeMap<usize, f64> = BTreeMap::new();
    let judged: Vec<Judged> = alerts
        .into_iter()
        .map(|alert| {
            let (verdict, problem) = book.verdict(&alert, to, horizon);
            let lead_time_s = problem.map(|at| records[at].at.secs_from(alert.opened_at));
            if let (Some(problem), Some(lead), None) = (problem, lead_time_s, &alert.signal) {
                // Alerts come oldest first: the first one told.
                leads.entry(problem).or_insert(lead);
            }
            Judged {
                alert,
                verdict,
                lead_time_s,
            }
        })
        .collect();
    let net_money = money(&judged, &leads, records, prices);
    side(judged, &book, &leads, (from, to), net_money)
}

/// The record by asset.
struct Book<'a> {
    records: &'a [Record],
    of_asset: BTreeMap<&'a AssetId, Vec<usize>>,
    problems: u32,
}

impl<'a> Book<'a> {
    fn new(records: &'a [Record], (from, to): (Timestamp, Timestamp)) -> Self {
        let mut of_asset: BTreeMap<&AssetId, Vec<usize>> = BTreeMap::new();
        let mut in_order: Vec<usize> = (0..records.len()).collect();
        in_order.sort_by_key(|at| records[*at].at);
        let mut problems = 0;
        for at in in_order {
            let record = &records[at];
            if !(from..to).contains(&record.at) {
                continue;
            }
            let places = of_asset.entry(&record.asset).or_default();
            if is_problem(record.found) {
                if places.iter().any(|other| is_same(&records[*other], record)) {
                    continue;
                }
                problems += 1;
            }
            places.push(at);
        }
        Self {
            records,
            of_asset,
            problems,
        }
    }

    /// What an alert turned out to be, and the record that confirms it.
    fn verdict(&self, alert: &Alert, to: Timestamp, horizon: Duration) -> (Verdict, Option<usize>) {
        let until = alert.opened_at + horizon;
        let places = self
            .of_asset
            .get(&alert.asset)
            .map_or(&[][..], Vec::as_slice);
        let mut looked = false;
        for &at in places {
            let record = &self.records[at];
            if record.at < alert.opened_at || record.at > until {
                continue;
            }
            match (record.found, &alert.signal) {
                (OnRecord::Failed | OnRecord::Mended, None)
                    if agree(&alert.failure_mode, record.failure_mode.as_ref()) =>
                {
                    return (Verdict::Confirmed, Some(at));
                }
                (OnRecord::Sensor | OnRecord::Failed | OnRecord::Mended, Some(_)) => {
                    return (Verdict::Confirmed, Some(at));
                }
                (OnRecord::Nothing | OnRecord::Sensor, _) => looked = true,
                _ => {}
            }
        }
        if looked || until <= to {
            (Verdict::False, None)
        } else {
            (Verdict::Unknown, None)
        }
    }
}

fn is_problem(found: OnRecord) -> bool {
    matches!(found, OnRecord::Failed | OnRecord::Mended)
}

/// Whether a later record is about the problem of an earlier one: the repair after a failure.
fn is_same(earlier: &Record, later: &Record) -> bool {
    let may_be = match (&earlier.failure_mode, &later.failure_mode) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    is_problem(earlier.found) && may_be && later.at.since(earlier.at) <= REPAIR_TAKES
}

/// Whether two names may mean the same: one that was not classified means anything.
fn agree(foreseen: &FailureMode, found: Option<&FailureMode>) -> bool {
    foreseen.as_str() == FailureMode::UNCLASSIFIED || found.is_none_or(|found| found == foreseen)
}

fn money(
    judged: &[Judged],
    leads: &BTreeMap<usize, f64>,
    records: &[Record],
    prices: impl Fn(&AssetId) -> Option<Prices>,
) -> Option<f64> {
    let mut sum = None;
    let mut add = |money: f64| *sum.get_or_insert(0.0) += money;
    for problem in leads.keys() {
        if let Some(prices) = prices(&records[*problem].asset) {
            add(prices.failure - prices.planned);
        }
    }
    for one in judged {
        if one.verdict == Verdict::False
            && one.alert.order
            && let Some(prices) = prices(&one.alert.asset)
        {
            add(-prices.inspection);
        }
    }
    sum
}

fn side(
    judged: Vec<Judged>,
    book: &Book<'_>,
    leads: &BTreeMap<usize, f64>,
    (from, to): (Timestamp, Timestamp),
    net_money: Option<f64>,
) -> Side {
    let count = |verdict| judged.iter().filter(|one| one.verdict == verdict).count() as u32;
    let (confirmed, false_alarms) = (count(Verdict::Confirmed), count(Verdict::False));
    let orders = judged.iter().filter(|one| one.alert.order).count() as u32;
    let mut by_rule: BTreeMap<Option<RuleId>, OfRule> = BTreeMap::new();
    for one in &judged {
        let rule = one.alert.rule.clone();
        let of = by_rule.entry(rule.clone()).or_insert(OfRule {
            rule,
            cases: 0,
            confirmed: 0,
            false_alarms: 0,
        });
        of.cases += 1;
        of.confirmed += u32::from(one.verdict == Verdict::Confirmed);
        of.false_alarms += u32::from(one.verdict == Verdict::False);
    }
    let told = leads.len() as u32;
    let mut times: Vec<f64> = leads.values().copied().collect();
    times.sort_by(f64::total_cmp);
    let weeks = to.secs_from(from).max(1.0) / 604_800.0;
    Side {
        cases: judged.len() as u32,
        orders,
        orders_per_week: f64::from(orders) / weeks,
        confirmed,
        false_alarms,
        unknown: count(Verdict::Unknown),
        problems: book.problems,
        missed: book.problems - told,
        precision: Interval::of(confirmed, confirmed + false_alarms),
        recall: Interval::of(told, book.problems),
        lead_time_s: times.get(times.len() / 2).copied(),
        net_money,
        by_rule: by_rule.into_values().collect(),
        items: judged.into_iter().take(Side::MAX_ITEMS).collect(),
    }
}

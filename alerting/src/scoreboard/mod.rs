//! How far alerts can be trusted: what the orders behind them found, with intervals.
//!
//! Pure: ended cases, failures nobody foretold and the time that was watched go in, one line for
//! each source of alerts and kind of machine comes out. [`recalibrate`] turns the same outcomes
//! into how much rarer an alert should be, [`patience`] into how long one waits for itself to
//! pass; [`store`] keeps what was done, so that it can be explained and taken back.

pub mod patience;
pub mod recalibrate;
pub mod stats;
pub mod store;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use telemetry::{
    AlertSource, AssetId, AssetModelId, CaseId, FailureMode, Outcome, Timestamp, Verdict,
};

pub use stats::Estimate;
pub use store::{Recalibration, Recalibrations, Setting};

use crate::rules::Rule;

/// Seconds of a month: a twelfth of a mean year.
const MONTH_S: f64 = 365.25 / 12.0 * 86_400.0;

/// A case as the scoreboard counts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The case.
    pub case: CaseId,
    /// Who raised it.
    pub source: AlertSource,
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// What is failing.
    pub failure_mode: FailureMode,
    /// What kind of problem it told of.
    pub verdict: Verdict,
    /// How far beyond its limit it was when it rose, as a multiple of it.
    pub first_score: f64,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// When it last passed by itself, in event time; none while it stands.
    pub cleared_at: Option<Timestamp>,
    /// When its order ended; none while it is open.
    pub ended_at: Option<Timestamp>,
    /// What was found; none while it is open and after a cancelled order.
    pub outcome: Option<Outcome>,
}

impl Alert {
    /// Whether it was right; none where nobody can say yet, or ever.
    pub fn was_right(&self) -> Option<bool> {
        match self.outcome? {
            Outcome::Confirmed | Outcome::OtherFaultFound => Some(true),
            Outcome::NoFaultFound => Some(false),
            Outcome::SensorFault => Some(self.verdict == Verdict::Sensor),
            Outcome::Duplicate | Outcome::Deferred => None,
        }
    }

    /// How long it stood, where it passed by itself before anybody was there and nothing was
    /// found, or nobody had to go.
    pub fn passed_after(&self) -> Option<Duration> {
        let (cleared, ended) = (self.cleared_at?, self.ended_at?);
        let is_nothing = self.outcome.is_none() || self.was_right() == Some(false);
        (is_nothing && cleared < ended)
            .then(|| Duration::from_secs_f64(cleared.secs_from(self.opened_at).max(0.0)))
    }
}

/// A failure that no case had foretold.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    /// The asset.
    pub asset: AssetId,
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// What failed; none when nobody said.
    pub failure_mode: Option<FailureMode>,
}

/// An asset that was watched.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedAsset {
    /// The asset.
    pub asset: AssetId,
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// Since when.
    pub since: Timestamp,
}

/// A rule, since it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchingRule {
    /// The rule.
    pub rule: Rule,
    /// Since when.
    pub since: Timestamp,
}

/// Everything the scoreboard is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// From here on.
    pub from: Timestamp,
    /// Up to here.
    pub to: Timestamp,
    /// Cases that were opened in between.
    pub alerts: Vec<Alert>,
    /// Failures in between that no case had foretold.
    pub missed: Vec<Missed>,
    /// Every asset.
    pub assets: Vec<WatchedAsset>,
    /// Every rule.
    pub rules: Vec<WatchingRule>,
}

/// What lines are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct By {
    /// By who raised the alert.
    pub source: bool,
    /// By the kind of machine.
    pub asset_model: bool,
}

/// One line of the scoreboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Who raised the alerts; none for all.
    pub source: Option<AlertSource>,
    /// The kind of machine; none for all.
    pub asset_model: Option<AssetModelId>,
    /// Cases.
    pub alerts: u32,
    /// Those that were right.
    pub confirmed: u32,
    /// Those after which nothing was found.
    pub no_fault_found: u32,
    /// Those after which only a sensor was found, though they told of a machine.
    pub sensor_fault: u32,
    /// Those nobody has looked at yet.
    pub open: u32,
    /// Failures it could have foretold and did not.
    pub missed: u32,
    /// The part of the judged alerts that were right.
    pub precision: Option<Estimate>,
    /// The part of the failures that were foretold.
    pub recall: Option<Estimate>,
    /// Seconds from the alarm to the end of the work that confirmed it, the median.
    pub lead_time_s: Option<Estimate>,
    /// False alarms a month on one asset.
    pub false_alarms_per_asset_month: Option<Estimate>,
    /// Months that assets were watched.
    pub asset_months: f64,
}

type Group = (Option<AlertSource>, Option<AssetModelId>);

/// The scoreboard, by source and kind of machine.
pub fn scores(record: &Record, by: By) -> Vec<Score> {
    let mut groups: BTreeSet<Group> = BTreeSet::new();
    let group = |source: &AlertSource, model: &AssetModelId| -> Group {
        (
            by.source.then(|| source.clone()),
            by.asset_model.then(|| model.clone()),
        )
    };
    for alert in &record.alerts {
        groups.insert(group(&alert.source, &alert.asset_model));
    }
    // What never spoke has a line too: silence is worth knowing.
    let sources = record.rules.iter().map(|one| AlertSource::Rule {
        rule: one.rule.id.clone(),
    });
    let sources: Vec<_> = sources.chain([AlertSource::Model]).collect();
    for asset in &record.assets {
        for source in &sources {
            if record.watches(Some(source), asset).is_some() {
                groups.insert(group(source, &asset.asset_model));
            }
        }
    }
    groups
        .into_iter()
        .map(|group| record.score(group))
        .collect()
}

impl Record {
    fn score(&self, (source, model): Group) -> Score {
        let of_model = |one: &AssetModelId| model.as_ref().is_none_or(|model| model == one);
        let of_source = |one: &AlertSource| source.as_ref().is_none_or(|source| source == one);
        let alerts: Vec<&Alert> = self
            .alerts
            .iter()
            .filter(|alert| of_model(&alert.asset_model) && of_source(&alert.source))
            .collect();
        let count =
            |is: &dyn Fn(&Alert) -> bool| alerts.iter().filter(|one| is(one)).count() as u32;
        let confirmed = count(&|one| one.was_right() == Some(true));
        let wrong = count(&|one| one.was_right() == Some(false));
        let missed = self.missed.iter().filter(|missed| {
            of_model(&missed.asset_model) && self.could_foretell(source.as_ref(), missed)
        });
        let missed = missed.count() as u32;
        let lead = alerts.iter().filter(|one| one.was_right() == Some(true));
        let lead = lead.filter_map(|one| Some(one.ended_at?.secs_from(one.opened_at)));
        let assets = self
            .assets
            .iter()
            .filter(|asset| of_model(&asset.asset_model));
        let watched = assets.filter_map(|asset| self.watches(source.as_ref(), asset));
        let asset_months = watched.sum::<f64>() / MONTH_S;
        Score {
            alerts: alerts.len() as u32,
            confirmed,
            no_fault_found: count(&|one| one.outcome == Some(Outcome::NoFaultFound)),
            sensor_fault: count(&|one| {
                one.outcome == Some(Outcome::SensorFault) && one.was_right() == Some(false)
            }),
            open: count(&|one| one.ended_at.is_none()),
            missed,
            precision: stats::share(confirmed, confirmed + wrong),
            recall: stats::share(confirmed, confirmed + missed),
            lead_time_s: stats::median(lead.collect()),
            false_alarms_per_asset_month: stats::rate(wrong, asset_months),
            asset_months,
            source,
            asset_model: model,
        }
    }

    /// Seconds for which a source watched an asset; none when it does not.
    fn watches(&self, source: Option<&AlertSource>, asset: &WatchedAsset) -> Option<f64> {
        let since = match source {
            Some(AlertSource::Rule { rule }) => {
                let known = self.rules.iter().find(|one| one.rule.id == *rule)?;
                let covers = known.rule.covers(&asset.asset, Some(&asset.asset_model));
                covers.then_some(known.since.max(asset.since))?
            }
            Some(AlertSource::Model) | None => asset.since,
        };
        let watched = self.to.secs_from(since.max(self.from));
        (watched > 0.0).then_some(watched)
    }

    /// Whether a failure was one for this source: for detectors every one is, for a rule those of
    /// its failure mode, or of one that nobody named, on assets that it is for.
    fn could_foretell(&self, source: Option<&AlertSource>, missed: &Missed) -> bool {
        let Some(AlertSource::Rule { rule }) = source else {
            return true;
        };
        let known = self.rules.iter().find(|one| one.rule.id == *rule);
        known.is_some_and(|known| {
            let rule = &known.rule;
            let mode = missed.failure_mode.as_ref();
            rule.verdict == Verdict::Machine
                && rule.covers(&missed.asset, Some(&missed.asset_model))
                && mode.is_none_or(|mode| {
                    *mode == rule.failure_mode
                        || mode.as_str() == FailureMode::UNCLASSIFIED
                        || rule.failure_mode.as_str() == FailureMode::UNCLASSIFIED
                })
        })
    }
}

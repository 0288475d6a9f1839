//! The back-test itself: the past through the product, for two sets of rules at once.
//!
//! The detectors are asked once, both sets of rules judge what they find, and each side keeps the
//! cases it would have opened. What is on record to have been done to the machines is told to the
//! detectors at its time, as it was when it happened.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use alerting::{
    CaseSettings,
    backtest::{Alert, Comparison, HORIZON, OnRecord, Prices, Record, Side, Trial, judge},
    rules::{Engine, WrittenRule},
};
use analytics::{Assignment, Fleet};
use anyhow::Result;
use historian::StoreReader;
use service::{EndOnRecord, Service};
use telemetry::{
    AssetId, DeviceId, Event, Finding, JournalRecord, Outcome, Timestamp, WorkOrderId,
};

use super::past::Past;

/// What is read before the span, so that normal is known and rules have their state when it
/// begins; what is found then does not count.
pub(super) const WARM_UP: Duration = Duration::from_hours(30 * 24);

/// What each device watches.
pub(super) type Watched = BTreeMap<DeviceId, Assignment>;

/// What a back-test needs to know.
pub(super) struct Trials {
    pub(super) reader: StoreReader,
    /// Where assets stand, for problems that belong together.
    pub(super) service: Service,
    pub(super) settings: CaseSettings,
    pub(super) span: (Timestamp, Timestamp),
    pub(super) watched: Watched,
    /// What is on record, oldest first.
    pub(super) ends: Vec<EndOnRecord>,
    pub(super) proposed: Vec<WrittenRule>,
    pub(super) in_force: Vec<WrittenRule>,
    pub(super) rules_only: bool,
    pub(super) analytics: analytics::Config,
    pub(super) prices: BTreeMap<AssetId, Prices>,
    pub(super) currency: String,
}

/// One set of rules with its cases.
struct Set {
    engine: Engine,
    trial: Trial,
    said: Vec<Finding>,
}

impl Set {
    fn new(rules: Vec<WrittenRule>, lateness: Duration, settings: &CaseSettings) -> Self {
        Self {
            engine: Engine::with_rules(rules, lateness),
            trial: Trial::new(settings.clone()),
            said: Vec::new(),
        }
    }
}

/// The product without its files: the detectors once, and both sets of rules.
struct Bench<'a> {
    fleet: Option<Fleet>,
    sets: [Set; 2],
    watched: &'a Watched,
    service: &'a Service,
    findings: Vec<Finding>,
}

impl Bench<'_> {
    /// False once there are more cases than anybody needs to see.
    fn see(&mut self, record: &JournalRecord, now: Timestamp) -> bool {
        self.findings.clear();
        let mut assign = |device: &DeviceId| self.watched.get(device).cloned();
        if let Some(fleet) = &mut self.fleet {
            fleet.apply(record, &mut assign, &mut self.findings);
        }
        let mut goes_on = true;
        for set in &mut self.sets {
            set.said.clear();
            set.said.extend_from_slice(&self.findings);
            set.engine
                .apply(record, &mut assign, &self.findings, &mut set.said);
            goes_on &= set.trial.observe(&set.said, self.service, now);
        }
        goes_on
    }

    /// What was done to machines, as it was told when it happened.
    fn visit(&mut self, number: usize, end: &EndOnRecord, now: Timestamp) -> bool {
        for set in &mut self.sets {
            set.trial.visited(&end.asset, end.at);
        }
        let Some(event) = event_of(number, end) else {
            return true;
        };
        let record = JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        };
        self.see(&record, now)
    }
}

impl Trials {
    /// Goes through the past; none when `told`, which gets the share that is done and the readings
    /// so far, wants it to end.
    ///
    /// # Errors
    /// When the store cannot be read, or the configuration of analytics is not valid.
    pub(super) fn run(
        self,
        mut told: impl FnMut(f64, u64) -> ControlFlow<()>,
    ) -> Result<Option<Comparison>> {
        let began = std::time::Instant::now();
        let (from, to) = self.span;
        let lateness = self.analytics.lateness;
        let fleet = (!self.rules_only).then(|| Fleet::new(self.analytics.clone()));
        let mut bench = Bench {
            fleet: fleet.transpose()?,
            sets: [self.proposed, self.in_force]
                .map(|rules| Set::new(rules, lateness, &self.settings)),
            watched: &self.watched,
            service: &self.service,
            findings: Vec::new(),
        };
        let mut ends = self.ends.iter().enumerate().peekable();
        let (mut readings, mut stopped) = (0, false);
        let past = Past::new(&self.reader, (from - WARM_UP, to), |device| {
            self.watched.contains_key(device)
        });
        past.walk(|record, now, share| {
            readings += record.readings.reading_count() as u64;
            let mut goes_on = bench.see(&record, now);
            // What was done while this was measured is told at most a day late.
            while let Some((number, end)) = ends.next_if(|(_, end)| end.at <= now) {
                goes_on &= bench.visit(number, end, now);
            }
            stopped = told(share, readings).is_break();
            if goes_on && !stopped {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if stopped {
            return Ok(None);
        }
        let records: Vec<Record> = self.ends.iter().filter_map(record_of).collect();
        let prices = |asset: &AssetId| self.prices.get(asset).copied();
        let [proposed, in_force] = bench.sets.map(|set| -> Side {
            let mut alerts: Vec<Alert> = set.trial.into_alerts();
            alerts.retain(|alert| alert.opened_at >= from);
            judge(alerts, &records, self.span, HORIZON, prices)
        });
        Ok(Some(Comparison {
            proposed,
            in_force,
            currency: self.currency,
            readings,
            seconds: began.elapsed().as_secs_f64(),
        }))
    }
}

/// What the detectors were told when an order ended; an imported failure was told to nobody.
fn event_of(number: usize, end: &EndOnRecord) -> Option<Event> {
    Some(Event::WorkOrderClosed {
        asset: end.asset.clone(),
        case: None,
        work_order: WorkOrderId::new(&format!("RECORD-{number}")).ok()?,
        outcome: end.outcome?,
        failure_mode: end.failure_mode.clone(),
        part: None,
        at: end.at,
    })
}

/// What an end says about alerts before it; duplicates and put-off orders say nothing.
fn record_of(end: &EndOnRecord) -> Option<Record> {
    let found = match end.outcome {
        None => OnRecord::Failed,
        Some(Outcome::Confirmed | Outcome::OtherFaultFound) if end.failed => OnRecord::Failed,
        Some(Outcome::Confirmed | Outcome::OtherFaultFound) => OnRecord::Mended,
        Some(Outcome::SensorFault) => OnRecord::Sensor,
        Some(Outcome::NoFaultFound) => OnRecord::Nothing,
        Some(Outcome::Duplicate | Outcome::Deferred) => return None,
    };
    Some(Record {
        asset: end.asset.clone(),
        failure_mode: end.failure_mode.clone(),
        at: end.at,
        found,
    })
}

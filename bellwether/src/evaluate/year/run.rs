//! A year of a plant through the product, hour by hour of virtual time.
//!
//! ```text
//! machines ─▶ Fleet ─▶ CaseDesk ─▶ advisories ─▶ Service ─▶ crew ─▶ outcomes ─▶ CaseDesk, Fleet
//!     ▲                                                      │
//!     └────────────────────── repair ◀───────────────────────┘
//! ```
//!
//! Everything between the machines and the crew is what `run` runs, with its files and its life
//! cycles; the journal and the transport are left out. Without learning, the ends of
//! orders that found no fault are told to nobody but the case: the machine is repaired, the case is
//! closed, and nothing is concluded for next time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use alerting::{
    CaseDesk, CaseSettings,
    rules::Engine,
    scoreboard::{Recalibrations, recalibrate::moves},
};
use analytics::Fleet;
use anyhow::{Context, Result};
use dashboards::{EventBus, scoreboard::alerts};
use service::{
    Registration, Service, ServiceConfig, WorkOrder, WorkOrderKind, WorkOrderQuery, WorkOrderStatus,
};
use telemetry::{
    AssetId, AssetModel, AssetModelId, DeviceId, Event, FailureMode, Finding, JournalRecord,
    ManualClock, Outcome, OutcomeSink, ReadingBatch, SignalName, Timestamp, WorkOrderId,
};
use tokio::sync::Notify;

use crate::{
    models,
    outcomes::event_of,
    overseer::{self, Overseer},
    recalibration::{BEGINNING, BY},
    simulate::asset::SimulatedAsset,
};

use super::{
    crew::{Crew, orders},
    facts::{FaultFact, Log, OrderFact},
    plant::{Plan, fails_at},
    register::register,
};

/// Between two rows of a machine.
pub(super) const ROW: Duration = Duration::from_mins(10);
/// One record of the journal holds an hour.
const HOUR: Duration = Duration::from_hours(1);
/// Rows of commissioning: a week.
pub(super) const LEARNING_ROWS: u32 = 1_008;
/// The crew meets at this hour of the day.
const MORNING: i64 = 7;
/// Alerts are recalibrated at this hour.
const NIGHT: i64 = 2;
/// The rules of the plant.
const RULES: &str = include_str!("rules.toml");
/// A machine that failed stands still so long.
const DOWN: Duration = Duration::from_hours(24);

/// How the year is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) start: Timestamp,
    pub(super) days: u32,
    /// Whether outcomes are learned from.
    pub(super) learns: bool,
}

/// One machine with its plan.
struct Machine {
    asset: AssetId,
    device: DeviceId,
    simulated: SimulatedAsset,
    /// The next failure that has not been looked at, of those in the plan.
    faults: BTreeSet<usize>,
    /// It stands still until then, and its repair is this order.
    down: Option<(Timestamp, WorkOrder, FailureMode)>,
}

/// The product and the plant around it.
struct World<'a> {
    setting: Setting,
    plans: &'a [Plan],
    machines: Vec<Machine>,
    by_asset: BTreeMap<AssetId, usize>,
    models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    fleet: Fleet,
    engine: Engine,
    overseer: Overseer,
    cases: CaseDesk,
    service: Service,
    /// The newest order that was noted.
    newest: Option<WorkOrderId>,
    clock: ManualClock,
    crew: Crew,
    /// What the next record begins with.
    events: Vec<Event>,
    log: Log,
}

/// Runs a year.
///
/// # Errors
/// When the product refuses something, or its files in `folder` cannot be written.
pub(super) async fn year(
    plans: &[Plan],
    models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    setting: Setting,
    folder: &Path,
) -> Result<Log> {
    let mut world = World::open(plans, models, setting, folder).await?;
    let mut now = setting.start;
    for hour in 0..i64::from(setting.days) * 24 {
        world.clock.set(now + HOUR);
        world.hour(now).await?;
        now = now + HOUR;
        world.failures(now).await?;
        if hour % 24 == MORNING {
            world.morning(now).await?;
        }
        if hour % 24 == NIGHT && setting.learns {
            world.recalibrate(now).await?;
        }
        world.outcomes().await?;
    }
    world.close().await
}

impl<'a> World<'a> {
    async fn open(
        plans: &'a [Plan],
        models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
        setting: Setting,
        folder: &Path,
    ) -> Result<Self> {
        let clock = ManualClock::at(setting.start);
        let config = ServiceConfig {
            registration: Registration::Closed,
            models: Arc::clone(&models),
            ..ServiceConfig::default()
        };
        let path = folder.join("service.db");
        let service = Service::open(&path, config, Arc::new(clock.clone())).await?;
        let crew = register(&service, plans).await?;
        let cases = CaseDesk::open(
            &folder.join("cases.db"),
            CaseSettings::default(),
            Arc::new(service.clone()),
            Arc::new(clock.clone()),
        )
        .await?;
        let machines = plans
            .iter()
            .map(|plan| {
                Ok(Machine {
                    asset: AssetId::new(&plan.id)?,
                    device: DeviceId::new(&plan.id)?,
                    simulated: plan.machine(setting.seed),
                    faults: (0..plan.faults.len()).collect(),
                    down: None,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let numbered = machines.iter().enumerate();
        let analytics = analytics::Config {
            learning_rows: LEARNING_ROWS,
            ..analytics::Config::default()
        };
        Ok(Self {
            by_asset: numbered.map(|(at, one)| (one.asset.clone(), at)).collect(),
            setting,
            plans,
            machines,
            models,
            engine: Engine::with_rules(crate::backtest::rules(RULES)?, analytics.lateness),
            fleet: Fleet::new(analytics)?,
            overseer: Overseer {
                service: service.clone(),
                cases: cases.clone(),
                events: EventBus::new(),
                clock: Arc::new(clock.clone()),
                wake: Arc::new(Notify::new()),
            },
            cases,
            service,
            newest: None,
            clock,
            crew,
            events: Vec::new(),
            log: Log::default(),
        })
    }

    /// An hour of readings, and what the product makes of them.
    async fn hour(&mut self, from: Timestamp) -> Result<()> {
        // What was decided in the last hour comes before what was measured since.
        let events = JournalRecord {
            events: std::mem::take(&mut self.events),
            ..JournalRecord::default()
        };
        let readings = JournalRecord {
            readings: self.measure(from)?,
            ..JournalRecord::default()
        };
        self.log.readings += readings.readings.reading_count() as u64;
        let mut findings: Vec<Finding> = Vec::new();
        let (service, known) = (&self.service, &self.models);
        let mut assign = |device: &DeviceId| models::assignment(service, known, device);
        for record in [events, readings] {
            let (mut found, mut said) = (Vec::new(), Vec::new());
            self.fleet.apply(&record, &mut assign, &mut found);
            self.engine.apply(&record, &mut assign, &found, &mut said);
            findings.extend(found);
            findings.extend(said);
        }
        let changes = self.cases.observe(&findings).await?;
        for change in &changes {
            overseer::follow(&self.service, change).await?;
        }
        self.overseer.look().await?;
        self.note_new_orders().await
    }

    fn measure(&mut self, from: Timestamp) -> Result<ReadingBatch> {
        let mut batch = ReadingBatch::new();
        let mut at = from;
        while at < from + HOUR {
            for machine in &mut self.machines {
                if machine.down.is_some() {
                    continue;
                }
                let device = batch.device(&machine.device);
                for (name, value) in machine.simulated.sense(at) {
                    let signal = match batch.find_signal(name) {
                        Some(signal) => signal,
                        None => batch.signal(&SignalName::new(name)?),
                    };
                    batch.push_value(signal, value);
                }
                batch.finish_row(device, at, at);
            }
            at = at + ROW;
        }
        Ok(batch)
    }

    /// Orders of cases that were raised since the last look.
    async fn note_new_orders(&mut self) -> Result<()> {
        let query = WorkOrderQuery::default();
        let mut orders = self.service.work_orders(query).await?;
        if let Some(newest) = &self.newest {
            let known = orders.iter().position(|order| order.id == *newest);
            orders.truncate(known.unwrap_or(orders.len()));
        }
        if let Some(order) = orders.first() {
            self.newest = Some(order.id.clone());
        }
        for order in orders.into_iter().rev() {
            let (Some(case), Some(opened_at)) = (&order.case, order.opened_at) else {
                continue;
            };
            let case = self.cases.get(case).await?.context("an order of no case")?;
            let mode = order.failure_mode.map(|mode| mode.to_string());
            let machine = self.by_asset.get(&order.asset);
            self.log.orders.push(OrderFact {
                id: order.id,
                machine: *machine.context("an order of no machine of the plant")?,
                of_sensor: order.kind == WorkOrderKind::Inspection,
                source: case.case.source.alert(),
                mode: mode.unwrap_or_default(),
                opened_at,
                done_at: None,
                outcome: None,
                found_mode: None,
            });
        }
        Ok(())
    }

    /// Machines whose damage has become a failure stand still until they are mended.
    async fn failures(&mut self, now: Timestamp) -> Result<()> {
        for at in 0..self.machines.len() {
            let back = self.machines[at].down.take_if(|(until, ..)| *until <= now);
            if let Some((_, order, mode)) = back {
                self.mended(at, &order, mode, now).await?;
            }
            let failed = |fault: &usize| fails_at(&self.plans[at].faults[*fault]) <= now;
            let machine = &self.machines[at];
            let Some(fault) = machine.faults.iter().copied().find(failed) else {
                continue;
            };
            self.machines[at].faults.remove(&fault);
            let mode = FailureMode::new(self.plans[at].faults[fault].mode.name())?;
            let alarm_at = self.open_order(at).await?.and_then(|order| order.opened_at);
            self.note_fault(at, fault, None, alarm_at);
            if self.machines[at].down.is_none() {
                let asset = self.machines[at].asset.clone();
                let order = self.crew.failed(&self.service, &asset, now).await?;
                self.machines[at].down = Some((now + DOWN, order, mode));
            }
        }
        Ok(())
    }

    /// A machine that failed runs again; orders that came too late end with the same finding.
    async fn mended(
        &mut self,
        at: usize,
        order: &WorkOrder,
        mode: FailureMode,
        now: Timestamp,
    ) -> Result<()> {
        self.mended_faults(at, now, None);
        self.machines[at].simulated.repair(now);
        let confirmed = Outcome::Confirmed;
        let (crew, service) = (&self.crew, &self.service);
        crew.finish(service, order, confirmed, Some(mode.clone()), now)
            .await?;
        while let Some(late) = self.open_order(at).await? {
            self.crew
                .finish(&self.service, &late, confirmed, Some(mode.clone()), now)
                .await?;
            self.note_order(&late.id, confirmed, Some(&mode), now);
        }
        Ok(())
    }

    /// The oldest order of a case of a machine that is not done, sensors left out.
    async fn open_order(&self, at: usize) -> Result<Option<WorkOrder>> {
        let asset = &self.machines[at].asset;
        for status in WorkOrderQuery::UNFINISHED {
            let mut open = orders(&self.service, status).await?;
            open.retain(|order| order.asset == *asset && order.kind == WorkOrderKind::Predictive);
            if let Some(order) = open.pop() {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }

    /// The crew does what is due, and plans.
    async fn morning(&mut self, now: Timestamp) -> Result<()> {
        for order in self.crew.due(&self.service, now).await? {
            let at = self.by_asset.get(&order.asset).copied();
            let at = at.context("an order of no machine of the plant")?;
            if self.machines[at].down.is_some() || order.case.is_none() {
                continue;
            }
            let machine = &mut self.machines[at].simulated;
            let visited = self.crew.visit(&self.service, order, machine, now).await?;
            self.note_order(
                &visited.order.id,
                visited.outcome,
                visited.found_mode.as_ref(),
                now,
            );
            if visited.outcome.starts_new_life() {
                self.mended_faults(at, now, visited.order.opened_at);
            }
        }
        self.crew.plan(&self.service, now).await
    }

    /// A repair mends every fault that has begun.
    fn mended_faults(&mut self, at: usize, now: Timestamp, alarm_at: Option<Timestamp>) {
        let begun = |fault: &usize| self.plans[at].faults[*fault].onset <= now;
        let mended: Vec<usize> = self.machines[at]
            .faults
            .iter()
            .copied()
            .filter(begun)
            .collect();
        for fault in mended {
            self.machines[at].faults.remove(&fault);
            self.note_fault(at, fault, Some(now), alarm_at);
        }
    }

    fn note_fault(
        &mut self,
        machine: usize,
        fault: usize,
        mended_at: Option<Timestamp>,
        alarm_at: Option<Timestamp>,
    ) {
        let fault = &self.plans[machine].faults[fault];
        self.log.faults.push(FaultFact {
            machine,
            mode: fault.mode.name(),
            onset: fault.onset,
            fails_at: fails_at(fault),
            mended_at,
            alarm_at,
        });
    }

    fn note_order(
        &mut self,
        id: &WorkOrderId,
        outcome: Outcome,
        found: Option<&FailureMode>,
        now: Timestamp,
    ) {
        if let Some(fact) = self.log.orders.iter_mut().find(|fact| fact.id == *id) {
            fact.done_at = Some(now);
            fact.outcome = Some(outcome);
            fact.found_mode = found.map(ToString::to_string);
        }
    }

    /// Makes alerts rarer whose orders found nothing, as the program does overnight.
    async fn recalibrate(&mut self, now: Timestamp) -> Result<()> {
        let alerts = alerts(&self.cases, &self.service, (BEGINNING, now)).await?;
        let book = Recalibrations::of(&self.cases);
        for decision in moves(&alerts, &book.settings().await?) {
            self.log.recalibrations += 1;
            self.events.extend(decision.event(now));
            book.note(&decision, BY, now, None).await?;
        }
        Ok(())
    }

    /// Brings the ends of orders to alerting and, as far as is learned, to analytics.
    async fn outcomes(&mut self) -> Result<()> {
        for closed in self.service.unsent_outcomes().await? {
            self.cases.record(&closed).await?;
            let is_lesson = !closed.outcome.is_some_and(Outcome::starts_new_life);
            if self.setting.learns || !is_lesson {
                self.events.extend(event_of(&closed));
            }
            self.service.outcome_sent(&closed.work_order).await?;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<Log> {
        // Orders that are still open belong to the year all the same.
        for status in [WorkOrderStatus::Completed, WorkOrderStatus::Cancelled] {
            tracing::debug!(
                ?status,
                orders = orders(&self.service, status).await?.len(),
                "year"
            );
        }
        self.cases.close().await;
        self.service.close().await;
        Ok(std::mem::take(&mut self.log))
    }
}

//! The people of the simulated year: planners who agree, engineers who look and mend.
//!
//! They are simple on purpose. A planner agrees to each proposed order the next morning and sets
//! the day that the order says is best, as far as the crew has room; an engineer finds what is there to be seen.

use std::time::Duration;

use anyhow::Result;
use service::{
    Found, Name, NewWorkOrder, Note, Service, Step, WorkOrder, WorkOrderKind, WorkOrderQuery,
    WorkOrderStatus,
};
use telemetry::{AssetId, EngineerId, FailureMode, Outcome, Severity, Timestamp};

use crate::simulate::asset::SimulatedAsset;

use super::prices::VISIBLE;

/// Visits the crew makes a day.
pub(super) const VISITS_A_DAY: usize = 6;
/// Nobody goes there sooner than this after the planner agreed.
const NOTICE: Duration = Duration::from_hours(24);
/// Nobody waits longer, however far away the due date is.
const LONGEST: Duration = Duration::from_hours(14 * 24);

/// Who does what in the log.
pub(super) struct Crew {
    pub(super) planner: Name,
    pub(super) engineer: EngineerId,
    pub(super) engineer_name: Name,
}

/// A visit that was made.
pub(super) struct Visited {
    pub(super) order: WorkOrder,
    pub(super) outcome: Outcome,
    pub(super) found_mode: Option<FailureMode>,
}

impl Crew {
    /// Agrees to what is proposed and sets the days, soonest due first; what has become critical
    /// since then is brought forward.
    pub(super) async fn plan(&self, service: &Service, now: Timestamp) -> Result<()> {
        let mut waiting = orders(service, WorkOrderStatus::Proposed).await?;
        // A machine that stands is being mended already.
        waiting.retain(|order| order.case.is_some());
        waiting.sort_by_key(|order| (order.due_by, order.id.clone()));
        let scheduled = orders(service, WorkOrderStatus::Scheduled).await?;
        let is_far =
            |order: &&WorkOrder| order.scheduled_for.is_some_and(|at| at > now + 2 * NOTICE);
        let urgent = scheduled
            .iter()
            .filter(|order| order.severity == Some(Severity::Critical))
            .filter(is_far);
        let mut days: Vec<Timestamp> = scheduled
            .iter()
            .filter_map(|one| one.scheduled_for)
            .collect();
        for order in urgent {
            let mut day = now + NOTICE;
            while full(&days, day) {
                day = day + NOTICE;
            }
            days.push(day);
            self.schedule(service, order, day).await?;
        }
        for order in waiting {
            let soonest = now + NOTICE;
            let latest = now + LONGEST;
            let best = order.date.as_ref().map(|date| date.chosen);
            let best = best.or(order.due_by).unwrap_or(latest);
            let mut day = best.clamp(soonest, latest);
            // A full day moves the work to an earlier one, and only then to a later one.
            while day > soonest && full(&days, day) {
                day = day - NOTICE;
            }
            day = day.max(soonest);
            while full(&days, day) {
                day = day + NOTICE;
            }
            days.push(day);
            self.step(service, &order, Step::Approve).await?;
            self.schedule(service, &order, day).await?;
        }
        Ok(())
    }

    async fn schedule(&self, service: &Service, order: &WorkOrder, day: Timestamp) -> Result<()> {
        let to = Step::Schedule {
            engineer: self.engineer.clone(),
            scheduled_for: day,
        };
        self.step(service, order, to).await
    }

    /// The orders whose day has come.
    pub(super) async fn due(&self, service: &Service, now: Timestamp) -> Result<Vec<WorkOrder>> {
        let mut due = orders(service, WorkOrderStatus::Scheduled).await?;
        due.retain(|order| order.scheduled_for.is_some_and(|at| at <= now));
        due.sort_by_key(|order| order.id.clone());
        Ok(due)
    }

    /// An engineer goes there: looks, mends, and says what was found.
    pub(super) async fn visit(
        &self,
        service: &Service,
        order: WorkOrder,
        machine: &mut SimulatedAsset,
        now: Timestamp,
    ) -> Result<Visited> {
        let (outcome, found_mode) = look(&order, machine, now);
        match outcome {
            Outcome::Confirmed | Outcome::OtherFaultFound => machine.repair(now),
            Outcome::SensorFault => machine.replace_sensors(now),
            _ => {}
        }
        self.finish(service, &order, outcome, found_mode.clone(), now)
            .await?;
        Ok(Visited {
            order,
            outcome,
            found_mode,
        })
    }

    /// Writes the steps of work that is done.
    pub(super) async fn finish(
        &self,
        service: &Service,
        order: &WorkOrder,
        outcome: Outcome,
        found_mode: Option<FailureMode>,
        now: Timestamp,
    ) -> Result<()> {
        if order.status == WorkOrderStatus::Proposed {
            self.step(service, order, Step::Approve).await?;
        }
        if matches!(
            order.status,
            WorkOrderStatus::Proposed | WorkOrderStatus::Approved
        ) {
            self.schedule(service, order, now).await?;
        }
        self.step(service, order, Step::Start).await?;
        let found = Found {
            failure_mode: found_mode,
            done_at: Some(now),
            ..Found::of(outcome)
        };
        self.step(service, order, Step::Complete(found)).await
    }

    /// The operator's order after a failure.
    pub(super) async fn failed(
        &self,
        service: &Service,
        asset: &AssetId,
        now: Timestamp,
    ) -> Result<WorkOrder> {
        let new = NewWorkOrder {
            asset: asset.clone(),
            kind: WorkOrderKind::Corrective,
            note: Note::new("it stands")?,
            by: self.planner.clone(),
            due_by: Some(now),
        };
        Ok(service.create_work_order(new).await?)
    }

    async fn step(&self, service: &Service, order: &WorkOrder, step: Step) -> Result<()> {
        let by = match step {
            Step::Approve | Step::Schedule { .. } => &self.planner,
            _ => &self.engineer_name,
        };
        service.step(&order.id, by, step, &Note::empty()).await?;
        Ok(())
    }
}

fn full(days: &[Timestamp], day: Timestamp) -> bool {
    let same = |at: &&Timestamp| {
        at.as_micros().div_euclid(86_400_000_000) == day.as_micros().div_euclid(86_400_000_000)
    };
    days.iter().filter(same).count() >= VISITS_A_DAY
}

/// Every order in a status.
pub(super) async fn orders(service: &Service, status: WorkOrderStatus) -> Result<Vec<WorkOrder>> {
    let query = WorkOrderQuery {
        status: vec![status],
        limit: WorkOrderQuery::MAX_LIMIT,
        ..WorkOrderQuery::default()
    };
    Ok(service.work_orders(query).await?)
}

/// What there is to be seen at a machine: the worst damage first, then its sensors.
fn look(
    order: &WorkOrder,
    machine: &SimulatedAsset,
    now: Timestamp,
) -> (Outcome, Option<FailureMode>) {
    let seen = machine
        .standing_faults(now)
        .filter(|fault| fault.severity(now) >= VISIBLE)
        .max_by(|a, b| a.severity(now).total_cmp(&b.severity(now)));
    let is_of_sensor = order.kind == WorkOrderKind::Inspection;
    if let Some(fault) = seen {
        let mode = FailureMode::new(fault.mode.name()).ok();
        let expected = order.failure_mode.as_ref();
        // Something unusual was foreseen and something is wrong: the alarm was right.
        let unnamed = expected.is_some_and(|mode| mode.as_str() == FailureMode::UNCLASSIFIED);
        let outcome = if !is_of_sensor && (unnamed || expected == mode.as_ref()) {
            Outcome::Confirmed
        } else {
            Outcome::OtherFaultFound
        };
        return (outcome, mode);
    }
    if machine.bad_sensors(now).next().is_some() {
        return (Outcome::SensorFault, None);
    }
    (Outcome::NoFaultFound, None)
}

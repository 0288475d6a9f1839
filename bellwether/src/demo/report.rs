//! What the demo says: a line now and then, and one object at the end.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use alerting::CaseQuery;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use telemetry::{CaseId, Clock, SystemClock, WorkOrderId};

use crate::{app::Parts, publisher::Acknowledged, simulate::Pace};

/// Cases and orders looked at for a line; more cannot have appeared since the last one.
const LOOK_AT: u32 = 50;

/// The demo in numbers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Readings in messages whose PUBACK the devices have received.
    readings_acknowledged: u64,
    /// Distinct readings the store has gained since the demo began.
    readings_stored: u64,
    /// Messages behind the readings.
    messages_acknowledged: u64,
    /// Cases opened in this data directory.
    cases_opened: u64,
    /// Work orders raised from these.
    work_orders_raised: u64,
    /// Messages that failed a check.
    dead_letters: u64,
    /// Assets by the state they were in when the devices stopped.
    assets: BTreeMap<String, u64>,
}

impl Report {
    pub(super) async fn new(
        parts: &Parts,
        acknowledged: &Acknowledged,
        stored_before: u64,
        assets: BTreeMap<String, u64>,
    ) -> Result<Self> {
        let dead_letters = parts.journal.dead_letter_counts().await?;
        Ok(Self {
            readings_acknowledged: acknowledged.readings(),
            readings_stored: parts.store.reading_count().saturating_sub(stored_before),
            messages_acknowledged: acknowledged.messages(),
            cases_opened: parts.cases.counts().await?.total(),
            work_orders_raised: parts.service.work_order_counts().await?.total(),
            dead_letters: dead_letters.iter().map(|(_, count)| count).sum(),
            assets,
        })
    }

    /// Acknowledged is stored, or the demo has failed.
    pub(super) fn check(&self) -> Result<()> {
        if self.readings_acknowledged != self.readings_stored {
            bail!(
                "{} readings were acknowledged and {} are stored",
                self.readings_acknowledged,
                self.readings_stored
            );
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: Vec<String> = self
            .assets
            .iter()
            .map(|(state, count)| format!("{count} {}", state.replace('_', " ")))
            .collect();
        writeln!(f, "readings acknowledged  {}", self.readings_acknowledged)?;
        writeln!(f, "readings stored        {}", self.readings_stored)?;
        writeln!(f, "cases opened           {}", self.cases_opened)?;
        writeln!(f, "work orders raised     {}", self.work_orders_raised)?;
        write!(f, "machines               {}", states.join(", "))
    }
}

/// How many assets are in which state, as the API says.
///
/// # Errors
/// When the API does not answer.
pub(super) async fn assets_by_state(api: &str) -> Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Asset>,
    }
    #[derive(Deserialize)]
    struct Asset {
        state: String,
    }
    let request = reqwest::Client::new()
        .get(format!("{api}/api/v1/assets?limit=1000"))
        .timeout(Duration::from_secs(10));
    let page: Page = request.send().await?.error_for_status()?.json().await?;
    let mut states = BTreeMap::new();
    for asset in page.items {
        *states.entry(asset.state).or_default() += 1;
    }
    Ok(states)
}

/// Tells how the plant fares, on standard error.
pub(super) struct Teller {
    pace: Pace,
    cases: HashSet<CaseId>,
    orders: HashSet<WorkOrderId>,
}

impl Teller {
    pub(super) fn new(pace: Pace) -> Self {
        let (cases, orders) = (HashSet::new(), HashSet::new());
        Self {
            pace,
            cases,
            orders,
        }
    }

    /// One line about time and readings, and one for each new case and order.
    pub(super) async fn tell(
        &mut self,
        parts: &Parts,
        acknowledged: &Arc<Acknowledged>,
    ) -> Result<()> {
        let event_time = self.pace.event_time(SystemClock.now());
        let day = event_time.secs_from(self.pace.start) / 86_400.0;
        let readings = acknowledged.readings();
        eprintln!("day {day:.1} in the plant, {readings} readings acknowledged");
        let query = CaseQuery {
            limit: LOOK_AT,
            ..CaseQuery::default()
        };
        for case in parts.cases.list(query).await?.into_iter().rev() {
            if self.cases.insert(case.id.clone()) {
                eprintln!(
                    "  case: {} at {}, alarm since {}",
                    case.failure_mode, case.asset, case.opened_at
                );
            }
        }
        let query = service::WorkOrderQuery {
            limit: LOOK_AT,
            ..service::WorkOrderQuery::default()
        };
        for order in parts.service.work_orders(query).await?.into_iter().rev() {
            if self.orders.insert(order.id.clone()) {
                eprintln!("  work order {} proposed for {}", order.id, order.asset);
            }
        }
        Ok(())
    }
}

//! A plant of degrading machines, published by real MQTT clients: as a demo and as a load.
//!
//! ```text
//! surroundings(t) ─┐ duty(t)
//! fault(t) ─ wear ─┼─▶ machine::step ─▶ sensor::read ─▶ JSON ─▶ MQTT (QoS 1, one client a device)
//! state ───────────┘        ▲
//!                           └── repair, when the machine's work order was completed
//! ```
//!
//! Everything left of MQTT is pure and seeded: the same seed and start give the same readings.
//! Event time starts in the past, runs faster than the clock and never overtakes it.

pub(crate) mod asset;
mod bearing;
mod compressor;
pub(crate) mod degradation;
pub(crate) mod duty;
pub(crate) mod machine;
mod motor;
mod pace;
#[cfg(test)]
mod physics_tests;
pub(crate) mod plant;
mod pump;
mod repairs;
pub(crate) mod sensor;
mod surroundings;
pub(crate) mod upset;
#[cfg(test)]
mod verdict_tests;

use std::{sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use rumqttc::QoS;
use telemetry::{Clock, SystemClock};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker_url::BrokerUrl,
    publisher::{Acknowledged, Connection, Message, Publisher},
};
use asset::SimulatedAsset;
pub(crate) use pace::Pace;
use repairs::Visit;

/// Messages of one device without an acknowledgement: at 20 rows a second this is two and
/// a half seconds of a broker that stands still before the machine waits for it.
const WINDOW: u16 = 50;
/// A machine looks up at least this often, to notice a stop or a repair.
const LOOK_UP: Duration = Duration::from_millis(200);
/// After a stop, open acknowledgements are waited for this long.
const DRAIN: Duration = Duration::from_secs(6);
/// Repairs of one machine that wait to be noticed; there is one open order per failure mode.
const VISITS: usize = 8;

/// What to simulate and where to publish it.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The MQTT endpoint.
    pub(crate) broker: BrokerUrl,
    /// The API whose completed work orders repair machines, as `http://127.0.0.1:8080`.
    pub(crate) api: Option<String>,
    /// Everything random follows from it.
    pub(crate) seed: u64,
    /// How event time runs.
    pub(crate) pace: Pace,
}

/// Runs the plant until it is told to stop, then waits for open acknowledgements.
///
/// # Errors
/// When a device cannot publish any more.
pub(crate) async fn run(
    options: Options,
    acknowledged: Arc<Acknowledged>,
    stop: CancellationToken,
) -> Result<()> {
    let (abandon, abandoned) = watch::channel(false);
    let mut machines = JoinSet::new();
    let mut doors = Vec::new();
    let plant = plant::machines(options.seed, options.pace.start);
    let spread = options.pace.interval.div_f64(plant.len().max(1) as f64);
    for (at, machine) in plant.into_iter().enumerate() {
        let (door, visits) = mpsc::channel(VISITS);
        doors.push((machine.id.clone(), door));
        let connection = Connection {
            url: options.broker.clone(),
            client_id: machine.id.clone(),
            qos: QoS::AtLeastOnce,
            window: WINDOW,
        };
        let publisher = Publisher::start(connection, Arc::clone(&acknowledged), abandoned.clone());
        // Machines report one after the other, not all in the same instant.
        let pace = Pace {
            start: options.pace.start + spread * at as u32,
            ..options.pace
        };
        let life = Life {
            machine,
            publisher,
            visits,
            pace,
        };
        machines.spawn(life.run(stop.clone()));
    }
    let engineers = options
        .api
        .map(|api| tokio::spawn(repairs::watch(api, doors, stop.clone())));
    let ended = wait_for(&mut machines, &stop, &abandon).await;
    if let Some(engineers) = engineers {
        engineers.abort();
    }
    ended
}

async fn wait_for(
    machines: &mut JoinSet<Result<()>>,
    stop: &CancellationToken,
    abandon: &watch::Sender<bool>,
) -> Result<()> {
    let give_up = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
        let _ = abandon.send(true);
        std::future::pending::<()>().await;
    };
    tokio::pin!(give_up);
    let mut first_error = None;
    loop {
        let ended = tokio::select! {
            ended = machines.join_next() => ended,
            () = &mut give_up => None,
        };
        match ended {
            None => break,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => {
                first_error.get_or_insert(error);
                stop.cancel();
            }
            Some(Err(error)) => {
                first_error.get_or_insert(anyhow!(error));
                stop.cancel();
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// A machine with its device and the door engineers come through.
struct Life {
    machine: SimulatedAsset,
    publisher: Publisher,
    visits: mpsc::Receiver<Visit>,
    pace: Pace,
}

impl Life {
    async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let topic: Arc<str> = format!("telemetry/{}", self.machine.id).into();
        let mut row = self.pace.start;
        'rows: while !stop.is_cancelled() {
            let now = SystemClock.now();
            if self.pace.event_time(now) < row {
                let wait = self
                    .pace
                    .wait_for(row, now)
                    .clamp(Duration::from_millis(1), LOOK_UP);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => break,
                }
                continue;
            }
            while let Ok(visit) = self.visits.try_recv() {
                visit.apply(&mut self.machine, row);
            }
            for payload in [self.machine.publish(row), self.machine.listen(row)] {
                let Some(payload) = payload else {
                    continue;
                };
                let message = Message {
                    topic: Arc::clone(&topic),
                    payload: payload.json,
                    readings: payload.readings,
                };
                tokio::select! {
                    sent = self.publisher.send(message) => if sent.is_err() { break 'rows },
                    () = stop.cancelled() => break 'rows,
                }
            }
            row = self.pace.next_row(row, now);
        }
        self.publisher.finish().await
    }
}

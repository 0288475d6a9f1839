//! The broker restarts in the middle of a batch, and nothing that it had taken is missing.
//!
//! The plant has a broker already: devices publish to mosquitto, and Bellwether subscribes. The
//! broker is struck while it hands on what it has queued: asked to stop, so that it writes its
//! database, or killed, so that it comes back as it was at its last save and hands on again
//! what it had handed on since then.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{Home, Program, broker::Mosquitto, ledger::Balance, mqtt::Publisher, pass_over, until};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-05T06:00:00Z. Each message is one millisecond after the last.
const START_MS: i64 = 1_709_618_400_000;

/// Messages queued before the blow: at first, and at most. The backlog is doubled until the
/// blow comes before its end, because nobody knows how fast this machine is.
const BACKLOG: i64 = 8_000;
const MAX_BACKLOG: i64 = 128_000;

const DEVICE: &str = "press-1";

#[derive(Debug, Clone, Copy)]
enum Blow {
    Stop,
    Kill,
}

struct Plant {
    home: Home,
    broker: Mosquitto,
    device: Publisher<i64>,
    /// The time stamp of the next message; all before it have been taken by the broker.
    next: i64,
}

impl Plant {
    async fn new(broker: Mosquitto, protocol: &str) -> Result<Self> {
        let home = Home::new()?.with_subscriber(&broker, protocol)?;
        let device = Publisher::connected(DEVICE, broker.address()).await?;
        Ok(Self {
            home,
            broker,
            device,
            next: START_MS,
        })
    }

    /// Publishes to the broker and waits until it has taken everything.
    async fn publish(&mut self, count: i64) -> Result<()> {
        let times = self.next..self.next + count;
        let messages = times.map(|at| (format!(r#"{{"ts":{at},"force_kn":{at}}}"#), at));
        self.device
            .publish_all(&format!("telemetry/{DEVICE}"), messages)
            .await?;
        self.next += count;
        Ok(())
    }

    /// Kills the program, has the broker queue a backlog, starts the program again, and strikes
    /// the broker while it hands the backlog on. Gives the program, and a broker that is down.
    async fn strike_in_the_middle(&mut self, mut program: Program, blow: Blow) -> Result<Program> {
        let mut backlog = BACKLOG;
        while backlog <= MAX_BACKLOG {
            program.kill()?;
            self.publish(backlog).await?;
            self.broker.save().await?;
            program = self.home.start().await?;
            self.first_messages().await?;
            match blow {
                Blow::Stop => self.broker.stop().await?,
                Blow::Kill => self.broker.kill()?,
            }
            let api = self.home.api();
            api.caught_up(SOON).await?;
            let (sent, stored) = (self.next - START_MS, api.count("readings_stored").await?);
            eprintln!("{blow:?}: {stored} of {sent} had come through");
            if stored < sent as u64 {
                return Ok(program);
            }
            self.broker.up().await?;
            self.device.connect().await?;
            backlog *= 2;
        }
        bail!("a backlog of {MAX_BACKLOG} messages was handed on before the broker could be struck")
    }

    async fn first_messages(&self) -> Result<()> {
        until("the first messages of the backlog", SOON, async || {
            let status = self.home.api().status().await?;
            let received = status["subscribers"][0]["received"].as_u64();
            Ok((received > Some(0)).then_some(()))
        })
        .await
    }

    /// Waits until exactly what the broker had taken is stored.
    async fn everything_arrives(&self) -> Result<()> {
        let sent: BTreeSet<i64> = (START_MS..self.next).collect();
        let api = self.home.api();
        until("every reading the broker had taken", SOON, async || {
            let stored = api
                .readings(DEVICE, "force_kn", (START_MS, self.next))
                .await?;
            let whole = |(at, value): &(i64, f64)| value.to_bits() == (*at as f64).to_bits();
            ensure!(stored.iter().all(whole), "a value has changed");
            let times: Vec<i64> = stored.iter().map(|(at, _)| *at).collect();
            let balance = Balance::of(&sent, &times, |at| sent.contains(&at));
            let (lost, doubled) = (balance.lost.len(), balance.doubled.len());
            ensure!(balance.is_kept(), "{lost} missing, {doubled} doubled");
            Ok(Some(()))
        })
        .await
        .with_context(|| format!("of {} sent", sent.len()))
    }
}

async fn nothing_is_missing(protocol: &str) -> Result<()> {
    let Some(broker) = Mosquitto::start().await? else {
        return pass_over("broker_restarts_mid_batch", "mosquitto is not installed");
    };
    let mut plant = Plant::new(broker, protocol).await?;
    let mut program = plant.home.start().await?;
    // The broker keeps a queue for us from the first subscription on.
    plant.home.subscribed().await?;
    for blow in [Blow::Stop, Blow::Kill] {
        program = plant.strike_in_the_middle(program, blow).await?;
        plant.broker.up().await?;
        plant.device.connect().await?;
        // The day goes on while the rest of the backlog comes in.
        plant.publish(500).await?;
        plant.everything_arrives().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_over_mqtt_5() -> Result<()> {
    nothing_is_missing("v5").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_over_mqtt_3() -> Result<()> {
    nothing_is_missing("v4").await
}

//! A press shop under load, with its books.
//!
//! Several devices publish as fast as they are acknowledged, at `QoS` 1 and 2. Each writes what
//! was acknowledged into a synced ledger before it goes on. When they rest, the ledger can be
//! compared with what the API gives back, page by page.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rumqttc::mqttbytes::QoS;
use tests::{
    Api, Home,
    ledger::{Acknowledged, Balance, Ledger},
    mqtt::Publisher,
    until, within,
};
use tokio::{sync::watch, task::JoinHandle};

const SIGNAL: &str = "force_kn";

/// The first time stamp: 2024-03-01T00:00:00Z. Each message is one millisecond after the last.
const START_MS: i64 = 1_709_251_200_000;

/// Few enough that a full comparison after every cut stays quick, enough that every group commit
/// is torn from several devices at once.
const DEVICES: usize = 4;

/// Unacknowledged messages a device: what a cut can leave in doubt.
const WINDOW: usize = 16;

/// Restarting, catching up and comparing on a busy machine.
const SOON: Duration = Duration::from_mins(1);

/// What the main thread tells the devices to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Publish as fast as you are acknowledged, and reconnect when you are cut off.
    Work,
    /// Hang up and stay away.
    Rest,
    /// Have everything acknowledged, then go home.
    Finish,
}

/// One press: the state that the load generator and the comparison share.
#[derive(Debug)]
struct Press {
    name: String,
    qos: QoS,
    /// The next time stamp, so every one before it was sent.
    next: AtomicI64,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug)]
pub(crate) struct Hall {
    /// Where the program lives.
    pub(crate) home: Home,
    presses: Vec<Arc<Press>>,
    workers: Vec<JoinHandle<Result<u64>>>,
    order: watch::Sender<Order>,
    resting: watch::Receiver<usize>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Hall {
    pub(crate) fn new(home: Home) -> Result<Self> {
        let ledger = Ledger::open(&home.folder().join("ledger"))?;
        let ledger = Arc::new(Mutex::new(ledger));
        let (order, orders) = watch::channel(Order::Rest);
        let (resters, resting) = watch::channel(0);
        let resters = Arc::new(resters);
        let mut hall = Self {
            home,
            presses: Vec::new(),
            workers: Vec::new(),
            order,
            resting,
            ledger: ledger.clone(),
        };
        for at in 0..DEVICES {
            let press = Arc::new(Press {
                name: format!("press-{at}"),
                qos: if at == 0 {
                    QoS::ExactlyOnce
                } else {
                    QoS::AtLeastOnce
                },
                next: AtomicI64::new(START_MS),
                ledger: ledger.clone(),
            });
            hall.presses.push(press.clone());
            let device = Publisher::new(&press.name, hall.home.mqtt(), press.qos, WINDOW);
            let worker = work(press, device, orders.clone(), resters.clone());
            hall.workers.push(tokio::spawn(worker));
        }
        Ok(hall)
    }

    pub(crate) fn say(&self, order: Order) -> Result<()> {
        self.order.send(order).context("all devices are gone")
    }

    /// Waits until every device has hung up, so that the books stand still.
    pub(crate) async fn all_rest(&mut self) -> Result<()> {
        let resting = self.resting.wait_for(|count| *count == DEVICES);
        within("every device to hang up", SOON, resting).await?;
        Ok(())
    }

    /// Waits until every device has something to lose.
    pub(crate) async fn all_work(&self) -> Result<()> {
        until("acknowledgements for every device", SOON, async || {
            Ok((self.book()?.len() == DEVICES).then_some(()))
        })
        .await
    }

    /// Has every device send what is unacknowledged and go home; gives how many messages were
    /// sent again in their whole lives.
    pub(crate) async fn finish(&mut self) -> Result<u64> {
        self.say(Order::Finish)?;
        let mut resent = 0;
        for worker in std::mem::take(&mut self.workers) {
            resent += within("a device to finish", SOON, async { worker.await? }).await?;
        }
        Ok(resent)
    }

    fn book(&self) -> Result<Acknowledged> {
        self.ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read()
    }

    /// Compares every device's book with what is stored; gives how many readings are
    /// acknowledged and how many are stored without an acknowledgement having arrived.
    pub(crate) async fn compare(&self, api: &Api, when: &str) -> Result<(usize, usize)> {
        api.caught_up(SOON).await?;
        let book = self.book()?;
        let (mut acknowledged, mut in_doubt) = (0, 0);
        for press in &self.presses {
            let next = press.next.load(Ordering::SeqCst);
            let span = (START_MS - 1_000, next + 1_000);
            let stored = api.readings(&press.name, SIGNAL, span).await;
            // A device that was cut off before its first acknowledgement may not be known.
            let known = book.get(&press.name);
            let stored = match (stored, known) {
                (Err(_), None) => Vec::new(),
                (stored, _) => stored?,
            };
            for (at, value) in &stored {
                ensure!(
                    value.to_bits() == force_at(*at).to_bits(),
                    "{when}: {} at {at} is {value}",
                    press.name
                );
            }
            let times: Vec<i64> = stored.iter().map(|(at, _)| *at).collect();
            let known = known.cloned().unwrap_or_default();
            let balance = Balance::of(&known, &times, |at| (START_MS..next).contains(&at));
            ensure!(
                balance.is_kept(),
                "{when}: {}: {} lost {:?}, {} doubled {:?}, {} invented {:?}",
                press.name,
                balance.lost.len(),
                balance.lost.iter().take(5).collect::<Vec<_>>(),
                balance.doubled.len(),
                balance.doubled.iter().take(5).collect::<Vec<_>>(),
                balance.invented.len(),
                balance.invented.iter().take(5).collect::<Vec<_>>(),
            );
            acknowledged += known.len();
            in_doubt += balance.unacknowledged.len();
        }
        Ok((acknowledged, in_doubt))
    }
}

/// The value a press reports at a time, so that a stored reading can be checked for itself.
fn force_at(at: i64) -> f64 {
    (at % 9_973) as f64 / 8.0
}

/// A press at work; gives how often it had to send something again.
async fn work(
    press: Arc<Press>,
    mut device: Publisher<i64>,
    mut orders: watch::Receiver<Order>,
    resters: Arc<watch::Sender<usize>>,
) -> Result<u64> {
    let topic = format!("telemetry/{}", press.name);
    loop {
        let order = *orders.borrow_and_update();
        if order == Order::Rest {
            device.cut();
            resters.send_modify(|count| *count += 1);
            let called = orders.wait_for(|order| *order != Order::Rest).await;
            called.context("the story has ended")?;
            resters.send_modify(|count| *count -= 1);
            continue;
        }
        if !device.is_connected() && device.connect().await.is_err() {
            // Nobody there (yet): look again when told so, or in a moment.
            let _ = tokio::time::timeout(Duration::from_millis(10), orders.changed()).await;
            continue;
        }
        if order == Order::Finish && device.unacknowledged().next().is_none() {
            return Ok(device.resent());
        }
        while order == Order::Work && device.has_room() {
            let at = press.next.fetch_add(1, Ordering::SeqCst);
            let payload = format!(r#"{{"ts":{at},"{SIGNAL}":{}}}"#, force_at(at));
            device.queue(&topic, payload, at)?;
        }
        // An error here is the cut itself; the device reconnects and sends again.
        if let Ok(times) = device.acknowledgements().await {
            let (press, name) = (press.clone(), press.name.clone());
            let write = move || {
                let mut ledger = press.ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.record(&name, &times)
            };
            tokio::task::spawn_blocking(write).await??;
        }
    }
}

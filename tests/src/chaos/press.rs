//! One press: it publishes, keeps its book, and knows what each of its readings must be.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rumqttc::mqttbytes::QoS;
use tokio::sync::watch;

use crate::{
    Api,
    ledger::{Balance, Ledger},
    mqtt::Publisher,
};

/// What a press measures.
pub(super) const SIGNAL: &str = "force_kn";

/// The first time stamp: 2024-03-01T00:00:00Z. Each message is one millisecond after the last.
pub(super) const START_MS: i64 = 1_709_251_200_000;

/// One message in so many goes to a topic nobody knows; its time is the last part of the topic.
const STRANGE_EVERY: i64 = 256;

/// What the main thread tells the devices to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Publish as fast as you are acknowledged, and reconnect when you are cut off.
    Work,
    /// Hang up and stay away.
    Rest,
    /// Have everything acknowledged, then go home.
    Finish,
}

/// One press: the state that the load generator and the comparison share.
#[derive(Debug)]
pub(super) struct Press {
    pub(super) name: String,
    pub(super) qos: QoS,
    /// The next time stamp, so every one before it was sent.
    pub(super) next: AtomicI64,
    /// Everything before this time was acknowledged and found stored.
    pub(super) checked: AtomicI64,
    pub(super) shared: Arc<Shared>,
}

/// What all presses write into.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ledger: Mutex<Ledger>,
    /// Acknowledgements so far, to be looked at while the presses work.
    pub(super) acknowledged: AtomicU64,
    /// The longest wait for an acknowledgement so far, in microseconds.
    pub(super) longest_wait_us: AtomicU64,
    /// Connections that ended without the press having hung up.
    pub(super) cut_off: AtomicU64,
}

impl Press {
    /// The topic of a message nobody understands.
    pub(super) fn strange_topic(&self, at: i64) -> String {
        format!("telemetry/{}/{SIGNAL}/{at}", self.name)
    }

    /// Compares this press's book with its stored readings.
    pub(super) async fn balance(
        &self,
        api: &Api,
        known: &BTreeSet<i64>,
        whole: bool,
    ) -> Result<Balance> {
        let next = self.next.load(Ordering::SeqCst);
        let from = if whole {
            START_MS
        } else {
            self.checked.load(Ordering::SeqCst)
        };
        let known: BTreeSet<i64> = known.range(from..).copied().collect();
        let stored = api.readings(&self.name, SIGNAL, (from, next + 1_000)).await;
        // A device that was cut off before its first acknowledgement may not be known.
        let stored = match (stored, known.is_empty()) {
            (Err(_), true) => Vec::new(),
            (stored, _) => stored?,
        };
        let balance = self.balance_of(&known, &stored, from)?;
        let checked = (from..next).find(|at| !known.contains(at)).unwrap_or(next);
        self.checked.store(checked, Ordering::SeqCst);
        Ok(balance)
    }

    /// Compares this press's book from a time on with readings from anywhere.
    pub(super) fn balance_of(
        &self,
        known: &BTreeSet<i64>,
        stored: &[(i64, f64)],
        from: i64,
    ) -> Result<Balance> {
        for (at, value) in stored {
            ensure!(
                value.to_bits() == force_at(*at).to_bits(),
                "{} at {at} is {value}",
                self.name
            );
        }
        let next = self.next.load(Ordering::SeqCst);
        let times: Vec<i64> = stored.iter().map(|(at, _)| *at).collect();
        let good = known.iter().copied().filter(|at| !is_strange(*at));
        Ok(Balance::of(&good.collect(), &times, |at| {
            (from..next).contains(&at) && !is_strange(at)
        }))
    }

    /// Writes acknowledged times into the synced ledger; only then do they count.
    async fn note(self: &Arc<Self>, times: Vec<i64>, waited: Duration) -> Result<()> {
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let shared = self.shared.clone();
        shared.longest_wait_us.fetch_max(waited, Ordering::SeqCst);
        let count = times.len() as u64;
        let (press, keep) = (self.clone(), shared.clone());
        let write = move || {
            let mut ledger = keep.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.record(&press.name, &times)
        };
        tokio::task::spawn_blocking(write).await??;
        shared.acknowledged.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }

    /// Queues the next message.
    fn queue(&self, device: &mut Publisher<i64>) -> Result<()> {
        let at = self.next.fetch_add(1, Ordering::SeqCst);
        if is_strange(at) {
            return device.queue(&self.strange_topic(at), "7", at);
        }
        let payload = format!(r#"{{"ts":{at},"{SIGNAL}":{}}}"#, force_at(at));
        device.queue(&format!("telemetry/{}", self.name), payload, at)
    }
}

/// Whether the message of this time is one nobody understands.
pub(super) fn is_strange(at: i64) -> bool {
    at % STRANGE_EVERY == 0
}

/// The value a press reports at a time, so that a stored reading can be checked for itself.
fn force_at(at: i64) -> f64 {
    (at % 9_973) as f64 / 8.0
}

/// A press at work; gives how often it had to send something again.
pub(super) async fn work(
    press: Arc<Press>,
    mut device: Publisher<i64>,
    mut orders: watch::Receiver<Order>,
    resters: Arc<watch::Sender<usize>>,
) -> Result<u64> {
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
            press.queue(&mut device)?;
        }
        let asked = Instant::now();
        // An order to rest must not wait for an acknowledgement that never comes.
        let answer = tokio::select! {
            answer = device.acknowledgements() => answer,
            told = orders.changed() => {
                told.context("the story has ended")?;
                continue;
            }
        };
        // An error here is the cut itself; the device reconnects and sends again.
        if let Ok(times) = answer {
            press.note(times, asked.elapsed()).await?;
        } else {
            press.shared.cut_off.fetch_add(1, Ordering::SeqCst);
            // A program that cannot commit hangs up at once: no need to knock without pause.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

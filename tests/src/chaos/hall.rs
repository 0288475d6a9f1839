//! A press shop under load, with its books.
//!
//! Several devices publish as fast as they are acknowledged, at `QoS` 1 and 2. Each writes what
//! was acknowledged into a synced ledger before it goes on. When they rest, the ledger can be
//! compared with what the API gives back, page by page. Now and then a press says something
//! nobody understands: that is acknowledged too, and has to be among the dead letters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rumqttc::mqttbytes::QoS;
use tokio::{sync::watch, task::JoinHandle};

use super::press::{Press, START_MS, Shared, is_strange, work};
use crate::{
    Api, Home,
    ledger::{Acknowledged, Ledger},
    mqtt::Publisher,
    until, within,
};

/// Few enough that a full comparison stays quick, enough that every group commit is torn from
/// several devices at once.
const DEVICES: usize = 4;

/// Unacknowledged messages a device: what a cut can leave in doubt.
const WINDOW: usize = 16;

/// Restarting, catching up and comparing on a busy machine.
const SOON: Duration = Duration::from_mins(1);

pub use super::press::Order;

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Messages acknowledged in all.
    pub acknowledged: u64,
    /// Of these, listed as dead letters because nobody could understand them.
    pub refused: u64,
    /// Readings that are stored without an acknowledgement having arrived.
    pub in_doubt: u64,
}

/// The presses and where the program lives that they report to.
#[derive(Debug)]
pub struct Hall {
    /// Where the program lives.
    pub home: Home,
    presses: Vec<Arc<Press>>,
    workers: Vec<JoinHandle<Result<u64>>>,
    order: watch::Sender<Order>,
    resting: watch::Receiver<usize>,
    shared: Arc<Shared>,
}

impl Hall {
    /// A hall whose presses rest.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn new(home: Home) -> Result<Self> {
        let shared = Arc::new(Shared {
            ledger: Mutex::new(Ledger::open(&home.folder().join("ledger"))?),
            acknowledged: AtomicU64::new(0),
            longest_wait_us: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
        });
        let (order, orders) = watch::channel(Order::Rest);
        let (resters, resting) = watch::channel(0);
        let resters = Arc::new(resters);
        let mut hall = Self {
            home,
            presses: Vec::new(),
            workers: Vec::new(),
            order,
            resting,
            shared: shared.clone(),
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
                checked: AtomicI64::new(START_MS),
                shared: shared.clone(),
            });
            hall.presses.push(press.clone());
            let device = Publisher::new(&press.name, hall.home.mqtt(), press.qos, WINDOW);
            let worker = work(press, device, orders.clone(), resters.clone());
            hall.workers.push(tokio::spawn(worker));
        }
        Ok(hall)
    }

    /// Tells every press what to do.
    ///
    /// # Errors
    /// When all of them have gone home.
    pub fn say(&self, order: Order) -> Result<()> {
        self.order.send(order).context("all devices are gone")
    }

    /// Waits until every device has hung up, so that the books stand still.
    ///
    /// # Errors
    /// When one does not.
    pub async fn all_rest(&mut self) -> Result<()> {
        let resting = self.resting.wait_for(|count| *count == DEVICES);
        within("every device to hang up", SOON, resting).await?;
        Ok(())
    }

    /// Waits until every device has something to lose.
    ///
    /// # Errors
    /// When one is not acknowledged.
    pub async fn all_work(&self) -> Result<()> {
        until("acknowledgements for every device", SOON, async || {
            Ok((self.book()?.len() == DEVICES).then_some(()))
        })
        .await
    }

    /// Acknowledgements so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// The longest wait for an acknowledgement since the last call.
    pub fn longest_wait(&self) -> Duration {
        Duration::from_micros(self.shared.longest_wait_us.swap(0, Ordering::SeqCst))
    }

    /// How often a press was cut off.
    pub fn cut_off(&self) -> u64 {
        self.shared.cut_off.load(Ordering::SeqCst)
    }

    /// Waits until `more` further acknowledgements have come.
    ///
    /// # Errors
    /// When they stay out for `deadline`.
    pub async fn acknowledges(&self, more: u64, deadline: Duration) -> Result<()> {
        let goal = self.acknowledged() + more;
        until(
            format!("{more} further acknowledgements"),
            deadline,
            async || Ok((self.acknowledged() >= goal).then_some(())),
        )
        .await
    }

    /// Has every device send what is unacknowledged and go home; gives how many messages were
    /// sent again in their whole lives.
    ///
    /// # Errors
    /// When a device cannot finish.
    pub async fn finish(&mut self) -> Result<u64> {
        self.say(Order::Finish)?;
        let mut resent = 0;
        for worker in std::mem::take(&mut self.workers) {
            resent += within("a device to finish", SOON, async { worker.await? }).await?;
        }
        Ok(resent)
    }

    fn book(&self) -> Result<Acknowledged> {
        self.shared
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read()
    }

    /// Compares every press's book with what is stored and with the dead letters. Times that an
    /// earlier comparison found right are looked at again only when `whole` is set.
    ///
    /// # Errors
    /// When the promise is broken, with what is lost, doubled or invented.
    pub async fn compare(&self, api: &Api, when: &str, whole: bool) -> Result<Books> {
        api.caught_up(SOON).await?;
        let book = self.book()?;
        let letters = strange_letters(api).await?;
        let mut books = Books::default();
        for press in &self.presses {
            let known = book.get(&press.name).cloned().unwrap_or_default();
            let balance = press.balance(api, &known, whole).await?;
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
            let strange: Vec<i64> = known.iter().copied().filter(|at| is_strange(*at)).collect();
            for at in &strange {
                ensure!(
                    letters.contains(&press.strange_topic(*at)),
                    "{when}: {} was acknowledged and is neither stored nor a dead letter",
                    press.strange_topic(*at)
                );
            }
            books.acknowledged += known.len() as u64;
            books.refused += strange.len() as u64;
            books.in_doubt += balance.unacknowledged.len() as u64;
        }
        Ok(books)
    }

    /// Compares the books with another store's: readings of each device as (milliseconds, value).
    ///
    /// # Errors
    /// When something acknowledged is not there, or something is there that was never sent.
    pub fn compare_elsewhere(&self, found: &BTreeMap<String, Vec<(i64, f64)>>) -> Result<u64> {
        let book = self.book()?;
        let mut right = 0;
        for press in &self.presses {
            let known = book.get(&press.name).context("a press without a book")?;
            let readings = found.get(&press.name).map_or(&[][..], Vec::as_slice);
            let balance = press.balance_of(known, readings, START_MS)?;
            ensure!(
                balance.is_kept(),
                "{}: {} lost {:?}, {} doubled, {} invented",
                press.name,
                balance.lost.len(),
                balance.lost.iter().take(5).collect::<Vec<_>>(),
                balance.doubled.len(),
                balance.invented.len()
            );
            right += readings.len() as u64;
        }
        Ok(right)
    }

    /// What has to hold when every press has gone home: nothing in doubt, at least one message
    /// sent again, and every counter equal to the books.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub async fn close_the_books(&mut self, api: &Api) -> Result<String> {
        let resent = self.finish().await?;
        let books = self.compare(api, "at the end", true).await?;
        ensure!(
            books.in_doubt == 0,
            "{} readings are stored and never were acknowledged",
            books.in_doubt
        );
        ensure!(
            resent > 0,
            "no device ever sent anything again: the trouble came between the messages"
        );
        let stored = api.count("readings_stored").await?;
        ensure!(
            stored == books.acknowledged - books.refused,
            "{} acknowledged and {} of them refused, {stored} counted as stored",
            books.acknowledged,
            books.refused
        );
        Ok(format!(
            "{} acknowledged: {stored} stored once, {} listed as dead letters; {resent} sent again",
            books.acknowledged, books.refused
        ))
    }
}

/// The topics among the dead letters nobody knew, after a look at the sums.
async fn strange_letters(api: &Api) -> Result<BTreeSet<String>> {
    let letters = api.all("/dead-letters?limit=1000").await?;
    let summary = api.get("/dead-letters/summary").await?;
    let reasons = summary["by_reason"].as_object();
    let sum: u64 = reasons
        .into_iter()
        .flat_map(|reasons| reasons.values().filter_map(serde_json::Value::as_u64))
        .sum();
    ensure!(
        summary["total"] == sum && sum == letters.len() as u64,
        "{} dead letters are listed, the reasons add up to {sum}: {summary}",
        letters.len()
    );
    let topics = letters.iter().map(|letter| {
        ensure!(letter["reason"] == "unknown_topic", "{letter}");
        Ok(letter["topic"].as_str().unwrap_or_default().to_owned())
    });
    topics.collect()
}

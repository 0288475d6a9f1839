//! The worker: takes what was heard, appends it, and queues acknowledgements.

use std::{collections::VecDeque, future::Future, pin::Pin, str, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesOrdered};
use rand::Rng as _;
use telemetry::{DeadLetter, DeadLetterReason, JournalRecord, PortError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    BUDGET_UNITS, SubscriberConfig,
    link::{self, Client, Heard, Incoming},
    url::{Broker, hide_password},
};
use crate::{Message, Parts, TopicCache, stats::ReasonCounts};

/// The first pause after a failure; doubled each time up to the configured longest.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);

/// Messages decoded into one record at most.
const MAX_BATCH: usize = 1_024;

/// Records that wait for their commit; more would only take memory.
const MAX_APPENDS: usize = 4;

/// Messages read from the broker and not decoded yet.
const MAX_QUEUED: usize = 4_096;

/// A broker that does not answer SUBSCRIBE for this long is left.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// When the request queue is full, acknowledgements are tried again after this time.
const ACK_RETRY: Duration = Duration::from_millis(5);

/// How long the last acknowledgements and the DISCONNECT may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

struct Done {
    epoch: u64,
    result: Result<(), PortError>,
    ids: Vec<u16>,
    qos0: u64,
}

type Append = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The polling task, which ends with the worker.
struct Polling(JoinHandle<String>);

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Worker {
    config: SubscriberConfig,
    broker: Broker,
    parts: Parts,
    place: usize,
    /// The number of the current connection.
    epoch: u64,
    appends: FuturesOrdered<Append>,
    topics: TopicCache,
    budget: Arc<Semaphore>,
    /// Whether the broker has our present filters.
    subscribed_once: bool,
}

/// One connection as the worker sees it.
struct Current {
    client: Client,
    heard: mpsc::Receiver<Heard>,
    polling: Polling,
    acks: VecDeque<u16>,
    /// When the answer to SUBSCRIBE must be there.
    subscribe_by: Option<Instant>,
    /// Whether it ever was connected and subscribed.
    up: bool,
}

impl Worker {
    pub(super) fn new(
        config: SubscriberConfig,
        broker: Broker,
        parts: Parts,
        place: usize,
    ) -> Self {
        Self {
            config,
            broker,
            parts,
            place,
            epoch: 0,
            appends: FuturesOrdered::new(),
            topics: TopicCache::default(),
            budget: Arc::new(Semaphore::new(BUDGET_UNITS)),
            subscribed_once: false,
        }
    }

    /// Connects, follows and reconnects until `shutdown`, then drains.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) {
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let mut current = self.connect();
            let ended = self.follow(&mut current, shutdown).await;
            if let Err(error) = ended {
                failures = if current.up {
                    0
                } else {
                    failures.saturating_add(1)
                };
                drop(current);
                self.went_down(Some(error));
                self.pause(failures, shutdown).await;
            } else {
                self.drain(current).await;
                self.went_down(None);
            }
        }
    }

    fn connect(&mut self) -> Current {
        self.epoch += 1;
        let (client, link) = link::open(&self.config, &self.broker);
        let (sender, heard) = mpsc::channel(MAX_QUEUED);
        let polling = link.run(
            sender,
            Arc::clone(&self.budget),
            Arc::clone(&self.parts.stats),
        );
        Current {
            client,
            heard,
            polling: Polling(tokio::spawn(polling)),
            acks: VecDeque::new(),
            subscribe_by: None,
            up: false,
        }
    }

    /// Works on one connection until it fails or the subscriber is shut down.
    async fn follow(
        &mut self,
        current: &mut Current,
        shutdown: &CancellationToken,
    ) -> Result<(), String> {
        let mut heard = Vec::with_capacity(MAX_BATCH);
        loop {
            self.acknowledge(current);
            let subscribe_by = current.subscribe_by.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                Some(done) = self.appends.next() => self.settle(done, current)?,
                () = shutdown.cancelled() => return Ok(()),
                count = current.heard.recv_many(&mut heard, MAX_BATCH), if self.appends.len() < MAX_APPENDS => {
                    if count == 0 {
                        return Err((&mut current.polling.0).await.unwrap_or_else(|error| error.to_string()));
                    }
                    self.take(&mut heard, current)?;
                }
                () = time::sleep(ACK_RETRY), if !current.acks.is_empty() => {}
                () = time::sleep_until(subscribe_by), if current.subscribe_by.is_some() => {
                    return Err("the broker did not answer SUBSCRIBE".into());
                }
            }
        }
    }

    /// Decodes everything that was heard into one record.
    fn take(&mut self, heard: &mut Vec<Heard>, current: &mut Current) -> Result<(), String> {
        let mut record = JournalRecord::default();
        let (mut ids, mut permits, mut received, mut qos0) = (Vec::new(), None, 0, 0);
        for heard in heard.drain(..) {
            match heard {
                Heard::Connected { session_present } => {
                    if session_present && self.subscribed_once {
                        self.came_up(current);
                    } else if current.client.subscribe(&self.config.filters) {
                        current.subscribe_by = Some(Instant::now() + SUBSCRIBE_TIMEOUT);
                    }
                }
                Heard::Subscribed(answer) => {
                    answer.map_err(|refused| {
                        format!("the broker refused the subscription: {refused}")
                    })?;
                    current.subscribe_by = None;
                    self.subscribed_once = true;
                    self.came_up(current);
                }
                Heard::Publish(mut publish) => {
                    received += 1;
                    qos0 += u64::from(publish.id.is_none());
                    ids.extend(publish.id);
                    merge(&mut permits, publish.permit.take());
                    self.decode(&publish, &mut record);
                }
            }
        }
        self.send_commands(current);
        if received > 0 {
            let stats = &self.parts.stats;
            crate::stats::add(&stats.messages_received, received);
            stats.update_subscriber(self.place, |status| status.received += received);
            self.append(record, ids, qos0, permits);
        }
        Ok(())
    }

    /// Sends what the decoder wants devices to do. One that finds no room is dropped: the
    /// decoder asks again.
    fn send_commands(&mut self, current: &Current) {
        for command in self.topics.take_commands() {
            let sent = current.client.publish(command);
            crate::stats::add(&self.parts.stats.commands_sent, u64::from(sent));
        }
    }

    fn decode(&mut self, publish: &Incoming, record: &mut JournalRecord) {
        let received_at = self.parts.clock.now();
        let payload = &publish.payload;
        match str::from_utf8(&publish.topic) {
            Ok(topic) => {
                let message = Message {
                    content_type: publish.content_type.as_deref(),
                    properties: &publish.users,
                    ..Message::new(topic, payload, received_at)
                };
                let gate = &*self.parts.gate;
                // The broker decides who may publish; what is refused is in the record.
                let _ = self
                    .parts
                    .decoder
                    .decode(&mut self.topics, message, gate, record);
            }
            Err(_) => record.dead_letters.push(DeadLetter {
                reason: DeadLetterReason::UnknownTopic,
                detail: "the topic is no UTF-8 text; the broker should not have passed it on"
                    .into(),
                device: None,
                topic: String::from_utf8_lossy(&publish.topic)
                    .chars()
                    .take(128)
                    .collect(),
                received_at,
                content_type: publish.content_type.clone(),
                properties: publish.users.clone(),
                payload: payload[..payload.len().min(DeadLetter::MAX_PAYLOAD_BYTES)].to_vec(),
                payload_len: payload.len() as u64,
            }),
        }
    }

    fn append(
        &mut self,
        record: JournalRecord,
        ids: Vec<u16>,
        qos0: u64,
        permits: Option<OwnedSemaphorePermit>,
    ) {
        let (epoch, parts) = (self.epoch, self.parts.clone());
        self.appends.push_back(Box::pin(async move {
            let readings = record.readings.reading_count() as u64;
            let letters = ReasonCounts::of(&record.dead_letters);
            let result = parts.journal.append(record).await.map(drop);
            if result.is_ok() {
                parts.stats.committed(readings, &letters);
            }
            drop(permits);
            Done {
                epoch,
                result,
                ids,
                qos0,
            }
        }));
    }

    /// Queues the acknowledgements of a commit, if it came on this connection. A journal that
    /// fails ends the connection: the broker delivers again what was not acknowledged, and
    /// nothing behind the failure may be acknowledged before it.
    fn settle(&self, done: Done, current: &mut Current) -> Result<(), String> {
        self.count_failure(&done);
        if done.epoch != self.epoch {
            return Ok(());
        }
        match done.result {
            Ok(()) => current.acks.extend(done.ids),
            Err(error) => return Err(format!("the journal refused an append: {error}")),
        }
        Ok(())
    }

    fn count_failure(&self, done: &Done) {
        if done.result.is_err() {
            let stats = &self.parts.stats;
            crate::stats::add(&stats.journal_errors, 1);
            crate::stats::add(&stats.qos0_lost, done.qos0);
        }
    }

    fn acknowledge(&self, current: &mut Current) {
        let mut sent = 0;
        while let Some(&id) = current.acks.front() {
            if !current.client.ack(id) {
                break;
            }
            current.acks.pop_front();
            sent += 1;
        }
        if sent > 0 {
            let stats = &self.parts.stats;
            crate::stats::add(&stats.messages_acknowledged, sent);
            stats.update_subscriber(self.place, |status| status.acknowledged += sent);
        }
    }

    fn came_up(&self, current: &mut Current) {
        current.up = true;
        let now = self.parts.clock.now();
        tracing::info!(broker = %hide_password(&self.config.url), "subscribed");
        self.parts.stats.update_subscriber(self.place, |status| {
            status.connected = true;
            status.since = Some(now);
            status.connects += 1;
        });
    }

    fn went_down(&self, error: Option<String>) {
        let now = self.parts.clock.now();
        if let Some(error) = &error {
            tracing::warn!(broker = %hide_password(&self.config.url), %error, "broker connection lost");
        }
        self.parts.stats.update_subscriber(self.place, |status| {
            if status.connected || status.since.is_none() {
                status.since = Some(now);
            }
            status.connected = false;
            status.last_error = error.or(status.last_error.take());
        });
    }

    /// Waits before the next attempt, longer with each failure, with jitter so that many
    /// subscribers do not come back at once. Commits go on meanwhile.
    async fn pause(&mut self, failures: u32, shutdown: &CancellationToken) {
        let longest = BACK_OFF_MIN
            .saturating_mul(1 << failures.min(16))
            .min(self.config.back_off_max);
        let share = f64::from(rand::rng().next_u32()) / f64::from(u32::MAX);
        let until = Instant::now() + longest.mul_f64(0.5 + 0.5 * share);
        loop {
            tokio::select! {
                biased;
                Some(done) = self.appends.next() => self.count_failure(&done),
                () = shutdown.cancelled() => return,
                () = time::sleep_until(until) => return,
            }
        }
    }

    /// Finishes what was received: commits, acknowledges, says goodbye. What still comes in is
    /// not taken, and so delivered again next time.
    async fn drain(&mut self, mut current: Current) {
        let by = Instant::now() + self.config.drain_timeout;
        loop {
            self.acknowledge(&mut current);
            if self.appends.is_empty() && current.acks.is_empty() {
                break;
            }
            tokio::select! {
                Some(done) = self.appends.next() => {
                    if self.settle(done, &mut current).is_err() {
                        return;
                    }
                }
                heard = current.heard.recv() => if heard.is_none() { return },
                () = time::sleep(ACK_RETRY), if !current.acks.is_empty() => {}
                () = time::sleep_until(by) => {
                    tracing::warn!("stopped before everything was committed; the broker will deliver it again");
                    return;
                }
            }
        }
        current.client.disconnect();
        let flushed = async { while current.heard.recv().await.is_some() {} };
        let _ = time::timeout(FLUSH_TIMEOUT, flushed).await;
    }
}

fn merge(all: &mut Option<OwnedSemaphorePermit>, one: Option<OwnedSemaphorePermit>) {
    match (all.as_mut(), one) {
        (Some(all), Some(one)) => all.merge(one),
        (None, one) => *all = one,
        (Some(_), None) => {}
    }
}

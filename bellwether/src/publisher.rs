//! A publishing MQTT client that knows what was acknowledged.
//!
//! rumqttc tells neither which packet id a publish got nor whether it was acknowledged, and
//! forgets what was in flight when a session is lost. So this module keeps its own outbox:
//! every message stays in it until its PUBACK or, for exactly once, its PUBCOMP is here. Packet ids
//! are learned from the order of `Outgoing::Publish` events, which is the order of
//! publishing. After an error a new client is made and the whole outbox is published again:
//! readings are keyed by device, signal and time, so a second copy changes nothing.
//!
//! Back-pressure: at most `window` messages are in the outbox; [`Publisher::send`] waits.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::broker_url::BrokerUrl;

/// Messages on their way from the caller to the session: enough to hide a task switch.
const QUEUE: usize = 64;
/// Events on their way from the poll task: two for each message of the largest window.
const EVENTS: usize = 512;
/// The first wait after an error, doubled up to [`MAX_BACKOFF`], with jitter of half of it.
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A session that finds nobody for this long gives up: a person is waiting.
const GIVE_UP: Duration = Duration::from_secs(30);
/// The longest packet either way; longer than any payload made here.
const MAX_PACKET_BYTES: usize = 1024 * 1024;

/// How to connect.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Where to.
    pub(crate) url: BrokerUrl,
    /// Who is publishing.
    pub(crate) client_id: String,
    /// At most once, at least once, exactly once.
    pub(crate) qos: QoS,
    /// Messages without an acknowledgement at the same time.
    pub(crate) window: u16,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The topic.
    pub(crate) topic: Arc<str>,
    /// The payload.
    pub(crate) payload: String,
    /// How many readings it holds.
    pub(crate) readings: u32,
}

/// What has been acknowledged, shared by all publishers of a run.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    messages: AtomicU64,
    readings: AtomicU64,
}

impl Acknowledged {
    /// Messages acknowledged.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Readings in these.
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::Relaxed)
    }
}

/// A connected publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Message>,
    session: JoinHandle<Result<()>>,
}

impl Publisher {
    /// Starts a session; it connects on its own and keeps trying.
    pub(crate) fn start(
        connection: Connection,
        acknowledged: Arc<Acknowledged>,
        abandon: watch::Receiver<bool>,
    ) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let session = Session {
            connection,
            acknowledged,
            outbox: VecDeque::new(),
            messages,
            closing: false,
            abandon,
        };
        Self {
            queue,
            session: tokio::spawn(session.run()),
        }
    }

    /// Hands over a message; waits while the window is full.
    ///
    /// # Errors
    /// When the session has ended; [`Self::finish`] tells why.
    pub(crate) async fn send(&self, message: Message) -> Result<()> {
        let sent = self.queue.send(message).await;
        sent.map_err(|_| anyhow::anyhow!("the MQTT session has ended"))
    }

    /// Waits until everything has been acknowledged, and disconnects.
    ///
    /// # Errors
    /// When the broker could not be reached for too long.
    pub(crate) async fn finish(self) -> Result<()> {
        drop(self.queue);
        self.session.await.context("the MQTT session failed")?
    }
}

/// A message that has not been acknowledged, with its packet id once that is known.
struct Pending {
    message: Message,
    packet_id: Option<u16>,
}

struct Session {
    connection: Connection,
    acknowledged: Arc<Acknowledged>,
    outbox: VecDeque<Pending>,
    messages: mpsc::Receiver<Message>,
    closing: bool,
    abandon: watch::Receiver<bool>,
}

/// What the poll task saw.
enum Seen {
    Connected,
    Published(u16),
    Acknowledged(u16),
    Failed(String),
}

/// What the session turns to next.
enum Next {
    Send(Message),
    Close,
    Event(Option<Seen>),
    Abandon,
}

impl Session {
    async fn run(mut self) -> Result<()> {
        let mut backoff = MIN_BACKOFF;
        let mut alone_since = tokio::time::Instant::now();
        loop {
            let (connected, ended) = self.connect_and_publish().await;
            let Some(problem) = ended else {
                return Ok(());
            };
            if *self.abandon.borrow() {
                bail!(
                    "{} messages were left without an acknowledgement",
                    self.outbox.len()
                );
            }
            if connected {
                backoff = MIN_BACKOFF;
                alone_since = tokio::time::Instant::now();
            }
            let url = &self.connection.url;
            if alone_since.elapsed() > GIVE_UP {
                bail!(
                    "{url} could not be reached for {} s: {problem}",
                    GIVE_UP.as_secs()
                );
            }
            tracing::warn!(broker = %url, client = %self.connection.client_id, problem, "connection lost, trying again");
            let jitter = rand::rng().random_range(0.5..1.5);
            tokio::time::sleep(backoff.mul_f64(jitter)).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// One connection, from dialling to its end: whether it ever stood, and why it ended
    /// (none when everything was acknowledged).
    async fn connect_and_publish(&mut self) -> (bool, Option<String>) {
        let (client, event_loop) = AsyncClient::new(self.options(), QUEUE.max(self.window()) + 1);
        let (report, mut seen) = mpsc::channel(EVENTS);
        let poll = tokio::spawn(poll(event_loop, report));
        let ended = self.publish_all(&client, &mut seen).await;
        if ended.1.is_none() {
            let _ = client.disconnect().await;
            // The poll task ends with the connection; it need not be waited for longer than this.
            let _ = tokio::time::timeout(Duration::from_secs(1), async {
                while seen.recv().await.is_some() {}
            })
            .await;
        }
        poll.abort();
        ended
    }

    fn options(&self) -> MqttOptions {
        let Connection {
            url,
            client_id,
            window,
            ..
        } = &self.connection;
        let mut options = MqttOptions::new(client_id, &url.host, url.port);
        options
            .set_keep_alive(Duration::from_secs(30))
            .set_clean_session(true)
            .set_inflight(*window)
            .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
        if let Some((user, password)) = &url.credentials {
            options.set_credentials(user, password);
        }
        options
    }

    fn window(&self) -> usize {
        usize::from(self.connection.window)
    }

    async fn publish_all(
        &mut self,
        client: &AsyncClient,
        seen: &mut mpsc::Receiver<Seen>,
    ) -> (bool, Option<String>) {
        let mut connected = false;
        for pending in &mut self.outbox {
            pending.packet_id = None;
        }
        // What the last connection left behind goes first, in its order.
        let again: Vec<Message> = self.outbox.iter().map(|p| p.message.clone()).collect();
        for message in again {
            self.publish(client, message).await;
        }
        loop {
            if self.closing && self.outbox.is_empty() {
                return (connected, None);
            }
            let open = !self.closing && self.outbox.len() < self.window();
            let next = tokio::select! {
                message = self.messages.recv(), if open => message.map_or(Next::Close, Next::Send),
                event = seen.recv() => Next::Event(event),
                _ = self.abandon.wait_for(|abandon| *abandon) => Next::Abandon,
            };
            match next {
                Next::Send(message) => {
                    let packet_id = None;
                    self.outbox.push_back(Pending {
                        message: message.clone(),
                        packet_id,
                    });
                    self.publish(client, message).await;
                }
                Next::Close => self.closing = true,
                Next::Event(Some(Seen::Connected)) => connected = true,
                Next::Event(Some(Seen::Published(id))) => self.published(id),
                Next::Event(Some(Seen::Acknowledged(id))) => self.settle(id),
                Next::Event(Some(Seen::Failed(problem))) => return (connected, Some(problem)),
                Next::Event(None) => return (connected, Some("the connection ended".to_owned())),
                Next::Abandon => return (connected, Some("abandoned".to_owned())),
            }
        }
    }

    /// Queues a message at the client. Its channel is longer than the window, so this waits
    /// for nothing but the poll task to be scheduled; an error shows in the next event.
    async fn publish(&self, client: &AsyncClient, message: Message) {
        let Message { topic, payload, .. } = message;
        let _ = client
            .publish(&*topic, self.connection.qos, false, payload)
            .await;
    }

    fn published(&mut self, id: u16) {
        if self.connection.qos == QoS::AtMostOnce {
            // Nothing comes back for QoS 0: written is all there is to know.
            if let Some(done) = self.outbox.pop_front() {
                self.count(&done);
            }
            return;
        }
        let next = self
            .outbox
            .iter_mut()
            .find(|pending| pending.packet_id.is_none());
        if let Some(pending) = next {
            pending.packet_id = Some(id);
        }
    }

    fn settle(&mut self, id: u16) {
        let found = self
            .outbox
            .iter()
            .position(|pending| pending.packet_id == Some(id));
        if let Some(done) = found.and_then(|at| self.outbox.remove(at)) {
            self.count(&done);
        }
    }

    fn count(&self, done: &Pending) {
        let readings = u64::from(done.message.readings);
        self.acknowledged.messages.fetch_add(1, Ordering::Relaxed);
        self.acknowledged
            .readings
            .fetch_add(readings, Ordering::Relaxed);
    }
}

/// Polls until the connection fails or nobody listens. A task of its own, because polling
/// is not cancel-safe.
async fn poll(mut event_loop: EventLoop, report: mpsc::Sender<Seen>) {
    loop {
        let seen = match event_loop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Seen::Connected,
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Seen::Published(id),
            Ok(Event::Incoming(Packet::PubAck(ack))) => Seen::Acknowledged(ack.pkid),
            Ok(Event::Incoming(Packet::PubComp(done))) => Seen::Acknowledged(done.pkid),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => {
                let _ = report.send(Seen::Failed(error.to_string())).await;
                return;
            }
        };
        if report.send(seen).await.is_err() {
            return;
        }
    }
}

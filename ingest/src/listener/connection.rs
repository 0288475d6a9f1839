//! The loop of a connection: one task that reads, appends, and writes acknowledgements.
//!
//! The task is one loop over what may happen: a commit, room in the memory budget, a reason to
//! end, a moment to look at the clock, bytes to write or to read. Reading stops while the
//! budget, the appends in flight or the unsent acknowledgements are at their bound, while the
//! sender is above its quota, and for good once there is a reason to end; the loop itself ends
//! when everything appended is decided and everything that may be acknowledged is written.
//!
//! A sender above its quota is not read, so it cannot be heard either when it pings. It gets a
//! PINGRESP every half keep-alive meanwhile, so that it does not give the connection up.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesOrdered};
use telemetry::{DeviceId, PortError};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    leave::{Asked, Leave},
    pipe::{Chunk, Moved, Pipe},
    reply::Farewell,
    serve::{Admitted, Context},
    session::{End, Judges, Receipt, Saved, Session, Terms, Work},
    wire::Fault,
};
use crate::{
    quota::Bucket,
    stats::{ReasonCounts, add},
};

/// Appends of one connection that wait for their commit. Eight buffers of 128 KiB keep a
/// connection busy over a commit of some milliseconds.
const MAX_APPENDS: usize = 8;

/// Reads of what a client had sent before it came again; a busy one sends the rest anew.
const LAST_LOOKS: usize = 4;

/// Acknowledgements that the peer has not taken; beyond it we stop reading.
const MAX_UNSENT: usize = 64 * 1024;

/// Bytes of a permit of the memory budget.
pub(super) const BUDGET_UNIT: usize = 1_024;

/// How long the connection of a revoked credential may take to settle what it had sent before.
/// After it nothing is waited for, so that it is gone within five seconds of the revocation.
const REVOKED_PATIENCE: Duration = Duration::from_secs(2);

/// How long the topic of a packet that is too long is waited for.
const OVERLONG_PATIENCE: Duration = Duration::from_millis(500);

/// What a finished append tells its connection.
struct Done {
    result: Result<(), PortError>,
    receipt: Receipt,
}

type Append = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Why the loop ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// The peer said goodbye.
    Goodbye { graceful: bool },
    /// The socket ended.
    Vanished,
    /// We end it, and say why.
    Farewell(Farewell),
}

/// A connection after its CONNECT.
pub(super) struct Connection<'a> {
    context: &'a Context,
    client: DeviceId,
    session: Session,
    pipe: Pipe,
    /// Decoded work that waits for room in the budget.
    staged: Option<Box<(Work, u32)>>,
    appends: FuturesOrdered<Append>,
    /// Whether an append failed; nothing after it is acknowledged, to keep the order.
    failed: bool,
    /// Whether the socket takes bytes.
    pub(super) writable: bool,
    ending: Option<Ending>,
    /// How long the session is kept afterwards.
    pub(super) expiry: Duration,
    idle_limit: Duration,
    last_packet: Instant,
    last_write: Instant,
    reading: bool,
    limits: Limits,
}

/// What holds a connection back or hurries it, which is seldom anything.
#[derive(Debug, Default)]
struct Limits {
    bucket: Option<Arc<Bucket>>,
    /// When a sender above its quota is heard again.
    resume_at: Option<Instant>,
    /// When it was told last that we are here.
    last_pong: Option<Instant>,
    /// Whether whole packets are kept undecoded.
    held: bool,
    /// When we stop to wait for the topic of a packet that is too long.
    overlong_by: Option<Instant>,
    /// Whether no more bytes are waited for.
    last: bool,
    /// When nothing is waited for any more.
    abandon_at: Option<Instant>,
    /// Whether the timer is to be set anew.
    rearm: bool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        admitted: &Admitted,
        resumed: Option<Saved>,
        mut pipe: Pipe,
        context: &'a Context,
    ) -> Self {
        let (config, connect) = (&context.config, &admitted.connect);
        let now = Instant::now();
        let bucket = context.parts.quotas.bucket(&admitted.grant, now);
        let receive_maximum = bucket.as_ref().map_or(config.receive_maximum, |bucket| {
            bucket.receive_maximum(config.receive_maximum)
        });
        let accepted = connect.accept(resumed.is_some(), receive_maximum, config, &mut pipe.out);
        let terms = Terms {
            version: connect.version,
            command_topic: config
                .command_topic
                .replace("{device}", connect.client.as_str()),
            grant: Arc::clone(&admitted.grant),
            max_packet_bytes: config.max_packet_bytes,
            max_packet_out: connect.max_packet_out,
            receive_maximum,
        };
        Self {
            context,
            client: connect.client.clone(),
            session: Session::new(terms, resumed.unwrap_or_default()),
            pipe,
            staged: None,
            appends: FuturesOrdered::new(),
            failed: false,
            writable: true,
            // A client that takes no CONNACK of this size is closed without one.
            ending: accepted.err().map(|_| Ending::Vanished),
            expiry: connect.expiry,
            idle_limit: connect.keep_alive + connect.keep_alive / 2,
            last_packet: now,
            last_write: now,
            reading: true,
            limits: Limits {
                bucket,
                ..Limits::default()
            },
        }
    }

    /// Runs until the connection ends and everything it appended is decided.
    pub(super) async fn go<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        leave: &Leave,
        shutdown: &CancellationToken,
    ) -> Ending {
        let timer = time::sleep_until(self.next_tick(Instant::now()));
        let (asked, shutdown) = (leave.asked(), shutdown.cancelled());
        tokio::pin!(timer, asked, shutdown);
        // Packets that came with the CONNECT.
        self.decode(Chunk::Own);
        loop {
            self.launch();
            if let Some(ending) = self.ending
                && self.staged.is_none()
                && self.appends.is_empty()
                && !self.pipe.is_sending()
            {
                return ending;
            }
            let running = self.ending.is_none();
            let reading = running && self.may_read();
            if reading && self.limits.held {
                self.limits.held = false;
                self.decode(Chunk::Own);
                continue;
            }
            if reading && !self.reading {
                self.last_packet = Instant::now();
            }
            self.reading = reading;
            if std::mem::take(&mut self.limits.rearm) {
                timer.as_mut().reset(self.next_tick(Instant::now()));
            }
            let moves = reading || self.pipe.is_sending();
            tokio::select! {
                biased;
                Some(done) = self.appends.next() => self.settle(&done),
                permit = permit(&self.context.budget, self.staged.as_ref().map(|staged| staged.1)), if self.staged.is_some() => {
                    if let (Some(staged), Ok(permit)) = (self.staged.take(), permit) {
                        self.push(staged.0, Some(permit));
                    }
                }
                asked = &mut asked, if running => {
                    self.last_look(stream, asked).await;
                    if self.ending.is_none() {
                        self.asked(asked);
                    }
                }
                () = &mut shutdown, if running => self.ending = Some(Ending::Farewell(Farewell::Shutdown)),
                () = &mut timer => {
                    self.tick();
                    self.limits.rearm = true;
                }
                moved = poll_fn(|cx| self.pipe.poll_move(cx, stream, reading)), if moves => self.moved(moved),
            }
        }
    }

    /// What the session keeps for the next connection.
    pub(super) fn saved(&mut self) -> Saved {
        self.session.saved()
    }

    fn may_read(&self) -> bool {
        self.staged.is_none()
            && self.appends.len() < MAX_APPENDS
            && self.pipe.out.len() < MAX_UNSENT
            && self.limits.resume_at.is_none()
    }

    fn moved(&mut self, moved: Moved) {
        match moved {
            Moved::Read(chunk, bytes) => {
                add(&self.context.parts.stats.bytes_received, bytes as u64);
                self.decode(chunk);
            }
            Moved::Ended => {
                if self.limits.overlong_by.is_some() {
                    self.limits.last = true;
                    self.decode(Chunk::Own);
                }
                self.ending.get_or_insert(Ending::Vanished);
            }
            Moved::Wrote => self.last_write = Instant::now(),
            Moved::Broken => self.give_up_writing(),
        }
    }

    /// Takes what a client had sent before it came again: a message of `QoS` 0 that was on its
    /// way is not sent a second time.
    async fn last_look<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S, asked: Asked) {
        for _ in 0..LAST_LOOKS {
            if asked != Asked::TakenOver || self.ending.is_some() || !self.may_read() {
                break;
            }
            let moved = poll_fn(|cx| Poll::Ready(self.pipe.poll_move(cx, stream, true))).await;
            let Poll::Ready(moved) = moved else { break };
            self.moved(moved);
        }
    }

    fn asked(&mut self, asked: Asked) {
        self.ending = Some(Ending::Farewell(match asked {
            Asked::TakenOver => Farewell::TakenOver,
            Asked::Revoked => Farewell::Revoked,
        }));
        if asked == Asked::Revoked {
            self.limits.abandon_at = Some(Instant::now() + REVOKED_PATIENCE);
            self.limits.rearm = true;
        }
    }

    /// Decodes every whole packet of a chunk into one piece of work.
    fn decode(&mut self, chunk: Chunk) {
        let (parts, now) = (&self.context.parts, Instant::now());
        let received_at = parts.clock.now();
        let judges = Judges {
            decoder: &parts.decoder,
            gate: &*parts.gate,
            now: received_at,
            quota: self.limits.bucket.as_deref().map(|bucket| (bucket, now)),
            last: self.limits.last,
        };
        let mut received = self.session.receive(self.pipe.bytes(&chunk), judges);
        self.pipe.done(chunk, received.consumed);
        if received.packets > 0 {
            self.last_packet = now;
        }
        if !received.replies.is_empty() {
            self.send(&received.replies, now);
            add(&parts.stats.commands_sent, u64::from(received.commands));
        }
        self.count(&received.work.receipt);
        if let Some(wait) = received.wait {
            self.slow_down(wait, now);
        }
        if received.overlong && self.limits.overlong_by.is_none() {
            self.limits.overlong_by = Some(now + OVERLONG_PATIENCE);
            self.limits.rearm = true;
        }
        if let Some(letter) = received.oversized.take() {
            add(&parts.stats.oversized_packets, 1);
            if self.context.oversized.is_listed(&self.client, received_at) {
                received.work.record.dead_letters.push(letter);
            }
        }
        match received.end {
            None => {}
            Some(End::Goodbye { graceful, expiry }) => {
                // An expiry cannot be given to a session that had none (MQTT 5, 3.14.2.2.2).
                if let Some(expiry) = expiry.filter(|_| !self.expiry.is_zero()) {
                    self.expiry = expiry.min(self.context.config.session_expiry_max);
                }
                self.ending = Some(Ending::Goodbye { graceful });
            }
            Some(End::Fault(fault)) => self.fault(fault),
        }
        if !received.work.record.is_empty() || !received.work.receipt.acks.is_empty() {
            let units = received
                .consumed
                .div_ceil(BUDGET_UNIT)
                .min(self.context.budget_units);
            self.staged = Some(Box::new((received.work, units as u32)));
        }
    }

    fn send(&mut self, bytes: &[u8], now: Instant) {
        if !self.pipe.is_sending() {
            self.last_write = now;
        }
        self.pipe.out.extend_from_slice(bytes);
    }

    /// Stops reading because the sender is above its quota.
    fn slow_down(&mut self, wait: Duration, now: Instant) {
        add(&self.context.parts.stats.quota_pauses, 1);
        self.limits.resume_at = Some(now + wait);
        self.limits.held = true;
        self.limits.last_pong.get_or_insert(now);
        self.limits.rearm = true;
        self.encourage(now);
    }

    /// Tells a sender that is not read that we are here, every half keep-alive.
    fn encourage(&mut self, now: Instant) {
        if let Some(last) = &mut self.limits.last_pong
            && now - *last >= self.idle_limit / 3
        {
            *last = now;
            self.send(&[0xd0, 0], now);
        }
    }

    fn count(&self, receipt: &Receipt) {
        let stats = &self.context.parts.stats;
        let fresh = receipt.qos0 + receipt.qos1 + receipt.qos2.len() as u32;
        if fresh + receipt.duplicates > 0 {
            add(
                &stats.messages_received,
                u64::from(fresh + receipt.duplicates),
            );
            add(&stats.duplicates, u64::from(receipt.duplicates));
        }
    }

    fn fault(&mut self, fault: Fault) {
        add(&self.context.parts.stats.protocol_violations, 1);
        self.ending = Some(Ending::Farewell(Farewell::Fault(fault)));
    }

    /// Appends the staged work if the budget has room at once.
    fn launch(&mut self) {
        let Some(staged) = self.staged.take() else {
            return;
        };
        match Arc::clone(&self.context.budget).try_acquire_many_owned(staged.1) {
            Ok(permit) => self.push(staged.0, Some(permit)),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                self.staged = Some(staged);
            }
        }
    }

    /// Appends work that takes no part in the budget.
    pub(super) fn append(&mut self, work: Work) {
        self.push(work, None);
    }

    fn push(&mut self, work: Work, permit: Option<OwnedSemaphorePermit>) {
        let parts = self.context.parts.clone();
        self.appends.push_back(Box::pin(async move {
            let readings = work.record.readings.reading_count() as u64;
            let letters = ReasonCounts::of(&work.record.dead_letters);
            let result = if work.record.is_empty() {
                Ok(())
            } else {
                parts.journal.append(work.record).await.map(drop)
            };
            if result.is_ok() {
                parts.stats.committed(readings, &letters);
            }
            drop(permit);
            Done {
                result,
                receipt: work.receipt,
            }
        }));
    }

    /// Releases the acknowledgements of a commit.
    fn settle(&mut self, done: &Done) {
        let stats = &self.context.parts.stats;
        if let Err(error) = &done.result {
            add(&stats.journal_errors, 1);
            add(&stats.qos0_lost, u64::from(done.receipt.qos0));
            if !self.failed {
                tracing::warn!(%error, "the journal refused an append; the connection is closed and the device will send it again");
            }
            self.failed = true;
            self.ending = Some(Ending::Farewell(Farewell::JournalFailed));
            return;
        }
        self.session.committed(&done.receipt);
        if self.failed || !self.writable {
            return;
        }
        let acknowledged = done.receipt.qos1 as usize + done.receipt.qos2.len();
        if acknowledged > 0 {
            add(&stats.messages_acknowledged, acknowledged as u64);
        }
        self.send(&done.receipt.acks, Instant::now());
    }

    fn give_up_writing(&mut self) {
        self.writable = false;
        self.pipe.give_up_sending();
        self.ending.get_or_insert(Ending::Vanished);
    }

    /// Looks whether the peer is silent or stuck, and whether a wait is over.
    fn tick(&mut self) {
        let now = Instant::now();
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let stuck = now - self.last_write >= self.context.config.write_timeout;
        if self.pipe.is_sending() && stuck {
            self.give_up_writing();
        }
        if !self.reading {
            self.last_packet = now;
        }
        if self.ending.is_none() && now - self.last_packet >= self.idle_limit {
            add(&self.context.parts.stats.keep_alive_timeouts, 1);
            self.ending = Some(Ending::Farewell(Farewell::KeepAlive));
        }
        if is_over(self.limits.resume_at) {
            self.limits.resume_at = None;
        } else if self.limits.resume_at.is_some() {
            self.encourage(now);
        }
        if is_over(self.limits.overlong_by) {
            self.limits.last = true;
            self.limits.held = true;
        }
        if is_over(self.limits.abandon_at) {
            // What was appended may still be committed; it is only not acknowledged any more.
            self.staged = None;
            self.appends = FuturesOrdered::new();
            if self.pipe.is_sending() {
                self.give_up_writing();
            }
        }
    }

    /// When to look again.
    fn next_tick(&self, now: Instant) -> Instant {
        let write_timeout = self.context.config.write_timeout;
        // Once it is over only a stalled write is left to watch.
        let silence = match self.ending {
            Some(_) => write_timeout,
            None => (self.last_packet + self.idle_limit)
                .saturating_duration_since(now)
                .min(write_timeout),
        };
        let soon = now + silence.max(Duration::from_millis(1));
        let limits = &self.limits;
        let pong = limits
            .last_pong
            .filter(|_| limits.resume_at.is_some())
            .map(|last| last + self.idle_limit / 3);
        let overlong = limits.overlong_by.filter(|_| !limits.last);
        [limits.resume_at, pong, overlong, limits.abandon_at]
            .into_iter()
            .flatten()
            .fold(soon, Instant::min)
    }
}

async fn permit(
    budget: &Arc<Semaphore>,
    units: Option<u32>,
) -> Result<OwnedSemaphorePermit, AcquireError> {
    Arc::clone(budget)
        .acquire_many_owned(units.unwrap_or(0))
        .await
}

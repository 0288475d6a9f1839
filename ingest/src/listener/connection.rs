//! The loop of a connection: one task that reads, appends, and writes acknowledgements.
//!
//! The task is one loop over five things that may happen: a commit, room in the memory
//! budget, a writable socket, a reason to end, bytes to read. Reading stops while the budget,
//! the appends in flight or the unsent acknowledgements are at their bound, and for good once
//! there is a reason to end; the loop itself ends when everything appended is decided and
//! everything that may be acknowledged is written.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use futures::{StreamExt as _, stream::FuturesOrdered};
use telemetry::PortError;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    handshake::Connect,
    reply::Farewell,
    serve::Context,
    session::{End, Judges, Receipt, Session, Terms, Work},
    wire::Fault,
};
use crate::stats::ReasonCounts;

/// Appends of one connection that wait for their commit. Eight buffers of 64 KiB keep a
/// connection busy over a commit of some milliseconds.
const MAX_APPENDS: usize = 8;

/// The read buffer's room: as little as this for a quiet connection …
pub(super) const MIN_READ: usize = 4 * 1024;

/// … and as much as this for a busy one, so that one append carries hundreds of messages.
const MAX_READ: usize = 128 * 1024;

/// Acknowledgements that the peer has not taken; beyond it we stop reading.
const MAX_UNSENT: usize = 64 * 1024;

/// A peer that takes no byte of its acknowledgements for this long is gone.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// Bytes of a permit of the memory budget.
pub(super) const BUDGET_UNIT: usize = 1_024;

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
    pub(super) session: Session,
    buffer: BytesMut,
    /// How much to read at once, between [`MIN_READ`] and [`MAX_READ`].
    room: usize,
    /// Bytes to send.
    out: BytesMut,
    /// Decoded work that waits for room in the budget.
    staged: Option<(Work, u32)>,
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
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        connect: &Connect,
        resumed: Option<Vec<u16>>,
        buffer: BytesMut,
        context: &'a Context,
    ) -> Self {
        let config = &context.config;
        let mut out = BytesMut::new();
        let accepted = connect.accept(resumed.is_some(), config, &mut out);
        let terms = Terms {
            version: connect.version,
            command_topic: config
                .command_topic
                .replace("{device}", connect.client.as_str()),
            max_packet_bytes: config.max_packet_bytes,
            max_packet_out: connect.max_packet_out,
            receive_maximum: config.receive_maximum,
        };
        let now = Instant::now();
        Self {
            context,
            session: Session::new(terms, resumed.unwrap_or_default()),
            buffer,
            room: MIN_READ,
            out,
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
        }
    }

    /// Runs until the connection ends and everything it appended is decided.
    pub(super) async fn go(
        &mut self,
        reader: &mut OwnedReadHalf,
        writer: &mut OwnedWriteHalf,
        taken_over: &CancellationToken,
        shutdown: &CancellationToken,
    ) -> Ending {
        let timer = time::sleep(self.idle_limit.min(WRITE_STALL));
        let (taken_over, shutdown) = (taken_over.cancelled(), shutdown.cancelled());
        tokio::pin!(timer, taken_over, shutdown);
        // Packets that came with the CONNECT.
        self.decode();
        loop {
            self.launch();
            if let Some(ending) = self.ending
                && self.staged.is_none()
                && self.appends.is_empty()
                && self.out.is_empty()
            {
                return ending;
            }
            let running = self.ending.is_none();
            let reading = running && self.may_read();
            if reading {
                if !self.reading {
                    self.last_packet = Instant::now();
                }
                self.buffer.reserve(self.room);
            }
            self.reading = reading;
            tokio::select! {
                biased;
                Some(done) = self.appends.next() => self.settle(&done),
                permit = permit(&self.context.budget, self.staged.as_ref().map(|staged| staged.1)), if self.staged.is_some() => {
                    if let (Some((work, _)), Ok(permit)) = (self.staged.take(), permit) {
                        self.push(work, Some(permit));
                    }
                }
                written = writer.write_buf(&mut self.out), if !self.out.is_empty() => self.wrote(written.is_ok()),
                () = &mut taken_over, if running => self.ending = Some(Ending::Farewell(Farewell::TakenOver)),
                () = &mut shutdown, if running => self.ending = Some(Ending::Farewell(Farewell::Shutdown)),
                () = &mut timer => {
                    let next = self.tick();
                    timer.as_mut().reset(next);
                }
                read = reader.read_buf(&mut self.buffer), if reading => match read {
                    Ok(0) | Err(_) => self.ending = Some(Ending::Vanished),
                    Ok(bytes) => self.read(bytes),
                },
            }
        }
    }

    fn may_read(&self) -> bool {
        self.staged.is_none() && self.appends.len() < MAX_APPENDS && self.out.len() < MAX_UNSENT
    }

    /// Takes note of bytes that were read, and fits the room for the next ones.
    fn read(&mut self, bytes: usize) {
        let stats = &self.context.parts.stats;
        crate::stats::add(&stats.bytes_received, bytes as u64);
        if bytes >= self.room {
            self.room = (self.room * 4).min(MAX_READ);
        } else if bytes < self.room / 8 {
            self.room = (self.room / 2).max(MIN_READ);
        }
        self.decode();
    }

    /// Decodes every whole packet in the buffer into one piece of work.
    fn decode(&mut self) {
        let parts = &self.context.parts;
        let judges = Judges {
            decoder: &parts.decoder,
            gate: &*parts.gate,
            now: parts.clock.now(),
        };
        let received = self.session.receive(&self.buffer, judges);
        self.buffer.advance(received.consumed);
        if self.buffer.is_empty() && self.buffer.capacity() > self.room {
            self.buffer = BytesMut::new();
        }
        // `missing` is within the packet limit, which the length field was checked against.
        self.buffer.reserve(received.missing);
        if received.packets > 0 {
            self.last_packet = Instant::now();
        }
        self.out.extend_from_slice(&received.replies);
        self.count(&received.work.receipt);
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
            self.staged = Some((received.work, units as u32));
        }
    }

    fn count(&self, receipt: &Receipt) {
        let stats = &self.context.parts.stats;
        let fresh = receipt.qos0 + receipt.qos1 + receipt.qos2.len() as u32;
        if fresh + receipt.duplicates > 0 {
            crate::stats::add(
                &stats.messages_received,
                u64::from(fresh + receipt.duplicates),
            );
            crate::stats::add(&stats.duplicates, u64::from(receipt.duplicates));
        }
    }

    fn fault(&mut self, fault: Fault) {
        let stats = &self.context.parts.stats;
        crate::stats::add(&stats.protocol_violations, 1);
        self.ending = Some(Ending::Farewell(Farewell::Fault(fault)));
    }

    /// Appends the staged work if the budget has room at once.
    fn launch(&mut self) {
        let Some((work, units)) = self.staged.take() else {
            return;
        };
        match Arc::clone(&self.context.budget).try_acquire_many_owned(units) {
            Ok(permit) => self.push(work, Some(permit)),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                self.staged = Some((work, units));
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
            crate::stats::add(&stats.journal_errors, 1);
            crate::stats::add(&stats.qos0_lost, u64::from(done.receipt.qos0));
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
            crate::stats::add(&stats.messages_acknowledged, acknowledged as u64);
        }
        if self.out.is_empty() {
            self.last_write = Instant::now();
        }
        self.out.extend_from_slice(&done.receipt.acks);
    }

    fn wrote(&mut self, ok: bool) {
        self.last_write = Instant::now();
        if ok {
            if self.out.is_empty() && self.out.capacity() > MIN_READ {
                self.out = BytesMut::new();
            }
        } else {
            self.give_up_writing();
        }
    }

    fn give_up_writing(&mut self) {
        self.writable = false;
        self.out.clear();
        self.ending.get_or_insert(Ending::Vanished);
    }

    /// Looks whether the peer is silent or stuck, and says when to look again.
    fn tick(&mut self) -> Instant {
        let now = Instant::now();
        if !self.out.is_empty() && now - self.last_write >= WRITE_STALL {
            self.give_up_writing();
        }
        if !self.reading {
            self.last_packet = now;
        }
        let silent = now - self.last_packet;
        if self.ending.is_none() && silent >= self.idle_limit {
            let stats = &self.context.parts.stats;
            crate::stats::add(&stats.keep_alive_timeouts, 1);
            self.ending = Some(Ending::Farewell(Farewell::KeepAlive));
        }
        let wait = self.idle_limit.saturating_sub(silent).min(WRITE_STALL);
        // Once it is over only a stalled write is left to watch.
        now + if self.ending.is_some() {
            WRITE_STALL
        } else {
            wait.max(Duration::from_millis(1))
        }
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

//! The load generator: many connections on one thread, each keeping a window of messages
//! without an acknowledgement. It measures the rate of PUBACKs between two instants, long
//! after the last connection stood, and then waits for the ones that are still out.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::packets::{Acks, Publishes, READINGS, connect};

/// Dialling at the same moment: less than the backlog any server listens with.
const DIAL_AT_ONCE: usize = 64;
/// PUBACKs are four bytes; this reads some windows of them at once.
const READ_BYTES: usize = 4 * 1024;
/// Open acknowledgements are waited for this long after the measurement.
const DRAIN: Duration = Duration::from_secs(30);
/// A CONNACK without complaint.
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

/// One measurement.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where to.
    pub(super) target: SocketAddr,
    /// Connections, one device each.
    pub(super) connections: u16,
    /// How fast messages go out.
    pub(super) pace: Pace,
    /// Before the measurement.
    pub(super) warm_up: Duration,
    /// The measurement.
    pub(super) measured: Duration,
    /// Distinguishes devices of one measurement from those of another.
    pub(super) run: String,
    /// The time of the first message of each device.
    pub(super) first_ts_ms: u64,
}

/// How fast messages go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// As fast as this many messages a connection may be without an acknowledgement.
    Window(u16),
    /// So many a second over all connections, whatever is acknowledged.
    PerSecond(f64),
}

/// How long acknowledgements took: counts in steps of five percent of the time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Latency {
    counts: Vec<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            counts: vec![0; Self::STEPS],
        }
    }
}

impl Latency {
    /// From a microsecond to a quarter of an hour.
    const STEPS: usize = 424;
    const GROWTH: f64 = 1.05;

    fn add(&mut self, took: Duration, count: u64) {
        let micros = (took.as_secs_f64() * 1e6).max(1.0);
        let step = (micros.ln() / Self::GROWTH.ln()) as usize;
        self.counts[step.min(Self::STEPS - 1)] += count;
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The upper end of the step in which the share `part` is reached, in milliseconds.
    pub(super) fn quantile_ms(&self, part: f64) -> f64 {
        let wanted = (self.counts.iter().sum::<u64>() as f64 * part).ceil() as u64;
        let mut sum = 0;
        let step = self.counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        let micros = Self::GROWTH.powi(step.unwrap_or(0) as i32 + 1);
        super::rounded(micros / 1e3)
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rate {
    /// Messages acknowledged a second.
    pub(super) messages_per_s: f64,
    /// Messages acknowledged in all, with warm-up and drain.
    pub(super) acknowledged: u64,
    /// From when a message was due to its acknowledgement; only with a pace.
    pub(super) latency: Latency,
}

impl Rate {
    /// Readings acknowledged a second.
    pub(super) fn readings_per_s(&self) -> f64 {
        self.messages_per_s * READINGS as f64
    }
}

/// Runs a measurement on a thread and a runtime of its own, so that the generator takes one
/// processor at most.
///
/// # Errors
/// When the target cannot be reached, refuses, or ends a connection.
pub(super) async fn measure(plan: Plan) -> Result<Rate> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(run(plan))
    })
    .await
    .context("the load generator panicked")?
}

async fn run(plan: Plan) -> Result<Rate> {
    let sockets = dial_all(&plan).await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut devices = JoinSet::new();
    let measuring = Arc::new(AtomicBool::new(false));
    for (nth, (device, socket)) in sockets.into_iter().enumerate() {
        let device = Device {
            socket,
            publishes: Publishes::new(&device, plan.first_ts_ms),
            acknowledged: Arc::clone(&acknowledged),
            stop: Arc::clone(&stop),
        };
        match plan.pace {
            Pace::Window(window) => devices.spawn(device.run(u32::from(window))),
            Pace::PerSecond(rate) => {
                let beat = Beat::new(rate, plan.connections, nth);
                devices.spawn(device.run_paced(beat, Arc::clone(&measuring)))
            }
        };
    }
    tokio::time::sleep(plan.warm_up).await;
    measuring.store(true, Ordering::Relaxed);
    let (from, before) = (Instant::now(), acknowledged.load(Ordering::Relaxed));
    tokio::time::sleep(plan.measured).await;
    let (took, after) = (from.elapsed(), acknowledged.load(Ordering::Relaxed));
    measuring.store(false, Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let mut latency = Latency::default();
    let drained = tokio::time::timeout(DRAIN, async {
        while let Some(ended) = devices.join_next().await {
            latency.merge(&ended.context("a connection panicked")??);
        }
        anyhow::Ok(())
    });
    match drained.await {
        Ok(ended) => ended?,
        Err(_) => bail!(
            "{} did not acknowledge everything within {} s",
            plan.target,
            DRAIN.as_secs()
        ),
    }
    Ok(Rate {
        messages_per_s: (after - before) as f64 / took.as_secs_f64(),
        acknowledged: acknowledged.load(Ordering::Relaxed),
        latency,
    })
}

async fn dial_all(plan: &Plan) -> Result<Vec<(String, TcpStream)>> {
    let mut sockets = Vec::new();
    let mut dialling = JoinSet::new();
    for nth in 0..plan.connections {
        if dialling.len() == DIAL_AT_ONCE
            && let Some(dialled) = dialling.join_next().await
        {
            sockets.push(dialled??);
        }
        let device = format!("bench-{}-{nth}", plan.run);
        dialling.spawn(dial(plan.target, device));
    }
    while let Some(dialled) = dialling.join_next().await {
        sockets.push(dialled??);
    }
    Ok(sockets)
}

/// Opens a connection of a device.
///
/// # Errors
/// When the target cannot be reached or refuses.
pub(super) async fn dial(target: SocketAddr, device: String) -> Result<(String, TcpStream)> {
    let mut socket = TcpStream::connect(target)
        .await
        .with_context(|| format!("cannot connect to {target}"))?;
    socket.set_nodelay(true)?;
    socket.write_all(&connect(&device)).await?;
    let mut answer = [0; 4];
    socket
        .read_exact(&mut answer)
        .await
        .with_context(|| format!("{target} ended the connection of {device}"))?;
    if answer != ACCEPTED {
        bail!("{target} refused {device}: {answer:?}");
    }
    Ok((device, socket))
}

/// When a connection sends at a given pace: a burst at each beat, the beats of the connections
/// spread evenly, so that the generator is not busy with timers alone.
struct Beat {
    every: Duration,
    first: Duration,
    /// Messages a beat; the fraction is carried over.
    messages: f64,
}

impl Beat {
    /// A beat of two milliseconds at least; longer with many connections, 20 us for each.
    fn new(rate: f64, connections: u16, nth: usize) -> Self {
        let every = Duration::from_micros(2_000.max(u64::from(connections) * 20));
        let share = nth as f64 / f64::from(connections);
        Self {
            every,
            first: every.mul_f64(share),
            messages: rate / f64::from(connections) * every.as_secs_f64(),
        }
    }
}

struct Device {
    socket: TcpStream,
    publishes: Publishes,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Device {
    async fn run(mut self, window: u32) -> Result<Latency> {
        let mut acks = Acks::default();
        let mut outgoing = Vec::new();
        let mut incoming = vec![0; READ_BYTES];
        let mut open = 0;
        loop {
            if !self.stop.load(Ordering::Relaxed) && open < window {
                outgoing.clear();
                for _ in open..window {
                    self.publishes.write_next(&mut outgoing);
                }
                open = window;
                // A whole window of acknowledgements fits the socket buffers, so writing
                // before reading cannot lock up with a peer that does the same.
                self.socket.write_all(&outgoing).await?;
            }
            if open == 0 {
                // DISCONNECT
                self.socket.write_all(&[0xe0, 0]).await?;
                return Ok(Latency::default());
            }
            let read = self.socket.read(&mut incoming).await?;
            let count = self.count(&mut acks, &incoming[..read], open)?;
            open = open.saturating_sub(count);
        }
    }

    /// Sends by the beat and notes how long each acknowledgement took, in the order of sending.
    async fn run_paced(mut self, beat: Beat, measuring: Arc<AtomicBool>) -> Result<Latency> {
        let mut acks = Acks::default();
        let mut latency = Latency::default();
        let mut outgoing = Vec::new();
        let mut incoming = vec![0; READ_BYTES];
        let mut open: VecDeque<(Instant, u32)> = VecDeque::new();
        let mut due = 0.0;
        let mut next = Instant::now() + beat.first;
        loop {
            let stopped = self.stop.load(Ordering::Relaxed);
            if stopped && open.is_empty() {
                self.socket.write_all(&[0xe0, 0]).await?;
                return Ok(latency);
            }
            tokio::select! {
                () = tokio::time::sleep_until(next), if !stopped => {
                    due += beat.messages;
                    outgoing.clear();
                    for _ in 0..due as u32 {
                        self.publishes.write_next(&mut outgoing);
                    }
                    if due >= 1.0 {
                        // The moment it was due, not the moment this got round to it.
                        open.push_back((next, due as u32));
                    }
                    due = due.fract();
                    next += beat.every;
                    self.socket.write_all(&outgoing).await?;
                }
                read = self.socket.read(&mut incoming), if !open.is_empty() => {
                    let now = Instant::now();
                    let mut count = self.count(&mut acks, &incoming[..read?], open.len() as u32)?;
                    while let Some((sent, left)) = open.front_mut() && count > 0 {
                        let these = count.min(*left);
                        if measuring.load(Ordering::Relaxed) {
                            latency.add(now.duration_since(*sent), u64::from(these));
                        }
                        *left -= these;
                        count -= these;
                        if *left == 0 {
                            open.pop_front();
                        }
                    }
                }
            }
        }
    }

    /// Counts the acknowledgements in what was read.
    fn count(&self, acks: &mut Acks, read: &[u8], open: u32) -> Result<u32> {
        if read.is_empty() {
            bail!("the connection was ended with {open} messages or bursts unacknowledged");
        }
        let count = acks
            .count(read)
            .map_err(|unexpected| anyhow::anyhow!("unexpected packet {unexpected:?}"))?;
        self.acknowledged
            .fetch_add(u64::from(count), Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_step_of_what_was_added() {
        let mut latency = Latency::default();
        for millis in 1..=100 {
            latency.add(Duration::from_millis(millis), 10);
        }
        for (part, expected) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = latency.quantile_ms(part);
            assert!((found / expected - 1.0).abs() < 0.06, "{part}: {found}");
        }
        let mut both = Latency::default();
        both.merge(&latency);
        assert_eq!(both, latency);
    }

    #[test]
    fn beats_carry_the_whole_rate() {
        let beat = Beat::new(90_000.0, 100, 50);
        let a_second = beat.messages / beat.every.as_secs_f64() * 100.0;
        assert!((a_second - 90_000.0).abs() < 1.0, "{a_second}");
        assert_eq!(beat.first, beat.every / 2);
    }
}

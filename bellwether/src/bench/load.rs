//! The load generator: many connections on one thread, each keeping a window of messages
//! without an acknowledgement. It measures the rate of PUBACKs between two instants, long
//! after the last connection stood, and then waits for the ones that are still out.

use std::{
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
    /// Messages without an acknowledgement at the same time, for each connection.
    pub(super) inflight: u16,
    /// Before the measurement.
    pub(super) warm_up: Duration,
    /// The measurement.
    pub(super) measured: Duration,
    /// Distinguishes devices of one measurement from those of another.
    pub(super) run: String,
    /// The time of the first message of each device.
    pub(super) first_ts_ms: u64,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Messages acknowledged a second.
    pub(super) messages_per_s: f64,
    /// Messages acknowledged in all, with warm-up and drain.
    pub(super) acknowledged: u64,
}

impl Rate {
    /// Readings acknowledged a second.
    pub(super) fn readings_per_s(self) -> f64 {
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
    for (device, socket) in sockets {
        let device = Device {
            socket,
            publishes: Publishes::new(&device, plan.first_ts_ms),
            window: u32::from(plan.inflight),
            acknowledged: Arc::clone(&acknowledged),
            stop: Arc::clone(&stop),
        };
        devices.spawn(device.run());
    }
    tokio::time::sleep(plan.warm_up).await;
    let (from, before) = (
        tokio::time::Instant::now(),
        acknowledged.load(Ordering::Relaxed),
    );
    tokio::time::sleep(plan.measured).await;
    let (took, after) = (from.elapsed(), acknowledged.load(Ordering::Relaxed));
    stop.store(true, Ordering::Relaxed);
    let drained = tokio::time::timeout(DRAIN, async {
        while let Some(ended) = devices.join_next().await {
            ended.context("a connection panicked")??;
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

async fn dial(target: SocketAddr, device: String) -> Result<(String, TcpStream)> {
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

struct Device {
    socket: TcpStream,
    publishes: Publishes,
    window: u32,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Device {
    async fn run(mut self) -> Result<()> {
        let mut acks = Acks::default();
        let mut outgoing = Vec::new();
        let mut incoming = vec![0; READ_BYTES];
        let mut open = 0;
        loop {
            if !self.stop.load(Ordering::Relaxed) && open < self.window {
                outgoing.clear();
                for _ in open..self.window {
                    self.publishes.write_next(&mut outgoing);
                }
                open = self.window;
                // A whole window of acknowledgements fits the socket buffers, so writing
                // before reading cannot lock up with a peer that does the same.
                self.socket.write_all(&outgoing).await?;
            }
            if open == 0 {
                // DISCONNECT
                self.socket.write_all(&[0xe0, 0]).await?;
                return Ok(());
            }
            let read = self.socket.read(&mut incoming).await?;
            if read == 0 {
                bail!("the connection was ended with {open} messages unacknowledged");
            }
            let count = acks
                .count(&incoming[..read])
                .map_err(|unexpected| anyhow::anyhow!("unexpected packet {unexpected:?}"))?;
            open = open.saturating_sub(count);
            self.acknowledged
                .fetch_add(u64::from(count), Ordering::Relaxed);
        }
    }
}

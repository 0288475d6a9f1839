//! Peers that are slow or only half there: healthy devices must not notice.
//!
//! Some open a connection and say nothing, some send half a packet, some publish as fast as the
//! wire takes it and never read an acknowledgement, some hold an HTTP request or an event stream
//! open without reading. The presses work beside them over connections of their own: none may be
//! cut off, none may wait long, and the program may not keep what the others do not read.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rumqttc::mqttbytes::{
    QoS,
    v4::{Connect, Publish},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{
    Outcome, Plan,
    hall::{Hall, Order},
};
use crate::{Home, Program, program::DRAINED_WITHIN, until, within};

/// Peers of each kind.
const PEERS: usize = 20;
const PEERS_LONG: usize = 150;

/// How long the presses work beside them.
const BESIDE: Duration = Duration::from_secs(4);
const BESIDE_LONG: Duration = Duration::from_secs(45);

/// A write that takes no byte for this long is held back by the other side.
const HELD_BACK: Duration = Duration::from_secs(2);

/// Whoever sends this much without reading is not held back. An acknowledgement is a twentieth of
/// its message, so the buffers of the kernel (4 MiB here, next to nothing at the peer, who asks
/// for a small one) are full long before.
const FLOOD_BYTES: usize = 256 << 20;

/// The receive buffer of a peer that does not read.
const SMALL_BUFFER: u32 = 4 << 10;

/// Peers that flood.
const FLOODS: usize = 3;
const FLOODS_LONG: usize = 10;

/// The longest a press may wait for an acknowledgement on a machine that does other things too:
/// far above a commit, far below the deadlines of the half-open peers.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Beside peers that hang, presses may be slower by this factor at most: as much as the rest of a
/// busy machine may take from one measurement to the next, and far from standing still.
const SLOWER: u64 = 8;

/// What the program may take more than before, for peers that send and never read. What floods
/// have sent is acknowledged and waits in memory to be packed, up to eight million readings; a few
/// floods do not get that far.
const MORE_MEMORY_MIB: u64 = 256;
const MORE_MEMORY_MIB_LONG: u64 = 448;

const SOON: Duration = Duration::from_mins(1);

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let peers = plan.pick(PEERS, PEERS_LONG);
    let mut hall = Hall::new(Home::new()?)?;
    let api = hall.home.api();
    let program = hall.home.start().await?;
    hall.say(Order::Work)?;
    hall.all_work().await?;
    let alone = pace(&hall, plan.pick(BESIDE, BESIDE_LONG)).await;
    let memory = memory_mib(&program)?;

    let (mqtt, http) = (hall.home.mqtt(), hall.home.http());
    let mut half_open = Vec::new();
    for _ in 0..peers {
        half_open.push(connect(mqtt).await?);
        half_open.push(half_a_packet(mqtt, &mut rng).await?);
        half_open.push(half_a_request(http).await?);
        half_open.push(unread_events(http).await?);
    }
    let floods: Vec<_> = (0..plan.pick(FLOODS, FLOODS_LONG))
        .map(|at| tokio::spawn(flood(mqtt, format!("flood-{at}"))))
        .collect();
    hall.longest_wait();
    let mut sent = 0;
    for flood in floods {
        let taken = within("a flood to be held back", SOON, async { flood.await? }).await?;
        sent += taken.sent;
        half_open.push(taken.socket);
    }
    let waited = hall.longest_wait();
    // Now all of them hang.
    let beside = pace(&hall, plan.pick(BESIDE, BESIDE_LONG)).await;
    ensure!(
        beside * SLOWER >= alone,
        "the presses made {alone} messages/s alone and {beside} beside peers that hang"
    );
    let more = memory_mib(&program)?.saturating_sub(memory);
    ensure!(
        hall.cut_off() == 0,
        "{} presses were cut off",
        hall.cut_off()
    );
    ensure!(
        waited < LONGEST_WAIT,
        "a press waited {waited:?} for an acknowledgement"
    );
    ensure!(
        more < plan.pick(MORE_MEMORY_MIB, MORE_MEMORY_MIB_LONG),
        "the program took {more} MiB more for what peers do not read"
    );
    // A press that is pulled out of its socket, so that something has to be sent again.
    hall.say(Order::Rest)?;
    hall.all_rest().await?;
    drop(half_open);
    until("the peers to be forgotten", SOON, async || {
        let open = api.count("connections").await?;
        ensure!(open == 0, "{open} connections");
        Ok(Some(()))
    })
    .await?;
    let closed = close_presses(&mut hall).await?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(Outcome::Kept(format!(
        "{} half-open peers and {} floods ({} KiB taken unread): presses made {alone} messages/s before and {beside} \
         beside them, waited {} ms at most, none cut off; {more} MiB more memory; {closed}",
        peers * 4,
        plan.pick(FLOODS, FLOODS_LONG),
        sent >> 10,
        waited.as_millis()
    )))
}

/// Closes the books of the presses; the floods have dead letters and readings of their own, so
/// only the comparison counts here, not the totals.
async fn close_presses(hall: &mut Hall) -> Result<String> {
    let api = hall.home.api();
    let resent = hall.finish().await?;
    let books = hall.compare(&api, "at the end", true).await?;
    ensure!(books.in_doubt == 0, "{} readings in doubt", books.in_doubt);
    ensure!(resent > 0, "no press ever sent anything again");
    Ok(format!(
        "{} acknowledged, all stored or listed; {resent} sent again",
        books.acknowledged
    ))
}

/// Messages a second over a while.
async fn pace(hall: &Hall, over: Duration) -> u64 {
    let before = hall.acknowledged();
    tokio::time::sleep(over).await;
    (hall.acknowledged() - before) / over.as_secs().max(1)
}

fn memory_mib(program: &Program) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|rest| rest.split_whitespace().next())
        .context("no VmRSS")?
        .parse()?;
    Ok(kib >> 10)
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    within("a connection", SOON, TcpStream::connect(address)).await
}

/// The first bytes of a CONNECT, cut anywhere.
async fn half_a_packet(mqtt: SocketAddr, rng: &mut StdRng) -> Result<TcpStream> {
    let mut socket = connect(mqtt).await?;
    let mut packet = BytesMut::new();
    Connect::new("half").write(&mut packet)?;
    let cut = rng.random_range(1..packet.len());
    socket.write_all(&packet[..cut]).await?;
    Ok(socket)
}

/// A request whose headers never end.
async fn half_a_request(http: SocketAddr) -> Result<TcpStream> {
    let mut socket = connect(http).await?;
    socket
        .write_all(b"GET /api/v1/assets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never")
        .await?;
    Ok(socket)
}

/// An event stream nobody reads.
async fn unread_events(http: SocketAddr) -> Result<TcpStream> {
    let mut socket = connect(http).await?;
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: {http}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    Ok(socket)
}

/// A peer that publishes and does not read.
struct Flood {
    socket: TcpStream,
    sent: usize,
}

async fn flood(mqtt: SocketAddr, device: String) -> Result<Flood> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    let mut socket = within("a connection", SOON, socket.connect(mqtt)).await?;
    let mut packet = BytesMut::new();
    Connect::new(device.clone()).write(&mut packet)?;
    socket.write_all(&packet).await?;
    let mut connack = [0; 4];
    within("CONNACK", SOON, socket.read_exact(&mut connack)).await?;
    let mut sent = 0;
    let mut at = 0_i64;
    while sent < FLOOD_BYTES {
        packet.clear();
        for _ in 0..64 {
            at += 1;
            let payload = format!(
                r#"{{"ts":{},"level_mm":{}}}"#,
                1_709_251_200_000 + at,
                at % 100
            );
            let mut publish =
                Publish::new(format!("telemetry/{device}"), QoS::AtLeastOnce, payload);
            // Ids are used again although they are not acknowledged: that is what it does wrong.
            publish.pkid = u16::try_from(at % 60_000 + 1)?;
            publish.write(&mut packet)?;
        }
        match tokio::time::timeout(HELD_BACK, socket.write_all(&packet)).await {
            Ok(Ok(())) => sent += packet.len(),
            // Held back, or hung up on: both keep the program safe.
            Ok(Err(_)) | Err(_) => return Ok(Flood { socket, sent }),
        }
    }
    anyhow::bail!("{device} sent {sent} bytes without reading one acknowledgement")
}

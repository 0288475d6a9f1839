//! The life of a connection around its loop: TLS, CONNECT, the credential, the hold on the
//! client id, the events of coming and going, the goodbye.
//!
//! An idle connection waits inside [`Connection::go`] and what stands around it; everything
//! else is boxed, so that its memory is given back before the waiting starts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use telemetry::{Admission, Claim, Denied, Event, Grant, JournalRecord, Scope};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    Access, ListenerConfig,
    connection::{Connection, Ending},
    handshake::{self, Connect},
    oversized::Oversized,
    pipe::Pipe,
    registry::{Absence, Hold, NotHeld, Place, Registry},
    reply::{self, Farewell, Refusal},
    session::{Receipt, Work},
    wire::{self, Framing, Version},
};
use crate::{
    Message, Parts, TopicCache,
    stats::{ReasonCounts, add},
    tls::{self, Identity, Tls},
};

/// After our last byte we read on for this long, so that the system does not answer bytes on
/// their way with a reset that destroys what we sent.
const LINGER: Duration = Duration::from_millis(500);

/// Room for a CONNECT that arrives in pieces; made by what arrives, not by what it announces.
const CONNECT_ROOM: usize = 1_024;

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: ListenerConfig,
    pub(super) parts: Parts,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) registry: Arc<Registry>,
    pub(super) oversized: Oversized,
    /// The grant of everybody who shows nothing.
    pub(super) anyone: Arc<Grant>,
    pub(super) budget: Arc<Semaphore>,
    pub(super) budget_units: usize,
}

/// Who was let in as what.
pub(super) struct Admitted {
    pub(super) connect: Connect,
    pub(super) grant: Arc<Grant>,
}

/// Counts an open connection for as long as it lives.
struct Open<'a>(&'a Parts);

impl<'a> Open<'a> {
    fn new(parts: &'a Parts) -> Self {
        add(&parts.stats.connections, 1);
        Self(parts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let open = &self.0.stats.connections;
        open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// An accepted connection's surroundings.
pub(super) struct Guest {
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) context: Arc<Context>,
    pub(super) shutdown: CancellationToken,
}

/// Serves one accepted connection to its end.
pub(super) async fn serve(stream: TcpStream, guest: Guest) {
    // Acknowledgements are small and late already.
    let _ = stream.set_nodelay(true);
    let deadline = Instant::now() + guest.context.config.connect_timeout;
    let Guest {
        peer,
        place,
        context,
        shutdown,
    } = guest;
    let open = Open::new(&context.parts);
    let absent = talk(stream, None, (peer, deadline), &context, &shutdown).await;
    drop((open, place));
    wait_for_will(absent, &context, &shutdown).await;
}

/// Serves one accepted connection over TLS to its end. The handshake is this connection's own
/// business: a peer that stalls in it stalls nobody else.
pub(super) async fn serve_tls(stream: TcpStream, guest: Guest, tls: Arc<Tls>) {
    let _ = stream.set_nodelay(true);
    let deadline = Instant::now() + guest.context.config.connect_timeout;
    let Guest {
        peer,
        place,
        context,
        shutdown,
    } = guest;
    let open = Open::new(&context.parts);
    // The session is in a box: every future on the way down would hold a place for it otherwise.
    let accepting = Box::pin(tls::accept(stream, tls.server()));
    drop(tls);
    let accepted = tokio::select! {
        () = shutdown.cancelled() => return,
        accepted = time::timeout_at(deadline, accepting) => accepted,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        failed => {
            add(&context.parts.stats.handshakes_failed, 1);
            let error = failed.ok().and_then(Result::err);
            tracing::debug!(%peer, ?error, "no TLS session");
            return;
        }
    };
    let identity = stream.identity();
    let absent = talk(stream, identity, (peer, deadline), &context, &shutdown).await;
    drop((open, place));
    wait_for_will(absent, &context, &shutdown).await;
}

/// Speaks MQTT until the end of the connection. What it gives is a client that may be back
/// before its will counts.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: S,
    identity: Option<Identity>,
    (peer, deadline): (SocketAddr, Instant),
    context: &Context,
    shutdown: &CancellationToken,
) -> Option<Box<Away>> {
    let mut pipe = Pipe::default();
    let greeting = Box::pin(enter(
        &mut stream,
        &mut pipe.kept,
        identity,
        deadline,
        context,
    ));
    let entered = tokio::select! {
        () = shutdown.cancelled() => return None,
        entered = greeting => entered,
    };
    let refused = match entered {
        Ok((admitted, hold)) => {
            return run(admitted, hold, stream, pipe, context, shutdown).await;
        }
        Err(refused) => refused,
    };
    let stats = &context.parts.stats;
    add(&stats.handshakes_failed, 1);
    tracing::debug!(%peer, ?refused, "no MQTT session");
    if let Some((version, refusal)) = refused {
        let login = matches!(refusal, Refusal::BadLogin | Refusal::NotAuthorized);
        add(&stats.logins_refused, u64::from(login));
        let mut out = BytesMut::new();
        reply::refuse(refusal, version, &mut out);
        Box::pin(part(stream, out)).await;
    }
    None
}

/// Why there is no session; nothing when the peer is not worth an answer.
type NoEntry = Option<(Version, Refusal)>;

/// CONNECT, credential and client id.
async fn enter<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    identity: Option<Identity>,
    deadline: Instant,
    context: &Context,
) -> Result<(Admitted, Hold), NoEntry> {
    let greeting = greet(stream, buffer, &context.config);
    let mut connect = time::timeout_at(deadline, greeting)
        .await
        .map_err(|_| None)??;
    let version = connect.version;
    let no = |refusal| Some((version, refusal));
    let grant = admit(&mut connect, identity.as_ref(), context).map_err(|denied| {
        tracing::info!(client = %connect.client, %denied, "login refused");
        no(match denied {
            Denied::Invalid => Refusal::BadLogin,
            Denied::Missing | Denied::WrongClient => Refusal::NotAuthorized,
        })
    })?;
    let gate = &*context.parts.gate;
    let held = context
        .registry
        .hold(
            &connect.client,
            grant.credential,
            gate,
            context.config.connect_timeout,
        )
        .await;
    let (hold, took_over) = held.map_err(|not_held| {
        no(match not_held {
            NotHeld::Busy => Refusal::Unavailable,
            NotHeld::Foreign => Refusal::NotAuthorized,
        })
    })?;
    // Whoever was revoked before we were registered is found here, later ones by the watch.
    if grant
        .credential
        .is_some_and(|credential| !gate.is_valid(credential))
    {
        return Err(no(Refusal::BadLogin));
    }
    let stats = &context.parts.stats;
    add(&stats.sessions_taken_over, u64::from(took_over));
    Ok((Admitted { connect, grant }, hold))
}

/// Decides about what a client shows.
fn admit(
    connect: &mut Connect,
    identity: Option<&Identity>,
    context: &Context,
) -> Result<Arc<Grant>, Denied> {
    let login = connect.login.take().unwrap_or_default();
    let claim = Claim {
        client: (!connect.assigned).then_some(&connect.client),
        user: login.user.as_deref(),
        secret: login.secret.as_deref().map(str::as_bytes),
        certificate: identity.map(|identity| identity.certificate),
        certificate_name: identity.and_then(|identity| identity.name.as_deref()),
    };
    let shows = claim.secret.is_some() || claim.certificate.is_some();
    if !shows && context.config.access == Access::Open {
        return Ok(Arc::clone(&context.anyone));
    }
    let grant = context.parts.gate.authenticate(&claim)?;
    if grant.credential.is_none() && context.config.access == Access::Required {
        return Err(Denied::Missing);
    }
    match &grant.scope {
        Scope::Device(own) | Scope::Gateway { client: own, .. }
            if !connect.assigned && *own != connect.client =>
        {
            Err(Denied::WrongClient)
        }
        _ => Ok(Arc::new(grant)),
    }
}

/// Reads the CONNECT. An error without a refusal is a peer that is not worth an answer.
async fn greet<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    config: &ListenerConfig,
) -> Result<Connect, NoEntry> {
    loop {
        if buffer
            .first()
            .is_some_and(|&first| !handshake::starts_connect(first))
        {
            return Err(None);
        }
        match wire::frame(buffer, config.max_packet_bytes) {
            Ok(Framing::Whole(frame)) => {
                let connect = handshake::read(frame, buffer, config).map_err(Some)?;
                buffer.advance(frame.len);
                return Ok(connect);
            }
            Ok(Framing::Partial(_)) => buffer.reserve(CONNECT_ROOM),
            Err(_) => return Err(None),
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => {}
        }
    }
}

/// A client that vanished and whose will waits.
struct Away {
    absence: Absence,
    delay: Duration,
    offline: JournalRecord,
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(
    admitted: Admitted,
    hold: Hold,
    mut stream: S,
    mut pipe: Pipe,
    context: &Context,
    shutdown: &CancellationToken,
) -> Option<Box<Away>> {
    let parts = &context.parts;
    if pipe.kept.is_empty() {
        pipe.kept = BytesMut::new();
    }
    let resumed = hold.resume().filter(|_| !admitted.connect.clean);
    let mut connection = Connection::new(&admitted, resumed, pipe, context);
    let Admitted { connect, grant } = admitted;
    // A client id we made up names no device, and a closed registry no unknown one.
    let known = !connect.assigned && parts.gate.admit(&connect.client) == Admission::Admitted;
    if known {
        connection.append(event(Event::DeviceOnline {
            device: connect.client.clone(),
            at: parts.clock.now(),
        }));
    }
    let ending = connection.go(&mut stream, &hold.leave, shutdown).await;
    let (writable, expiry) = (connection.writable, connection.expiry);
    let saved = connection.saved();
    drop(connection);
    Box::pin(async move {
        let mut out = BytesMut::new();
        if let Ending::Farewell(farewell) = ending {
            tracing::debug!(client = %connect.client, ?farewell, "connection closed");
            if writable {
                farewell.write(connect.version, &mut out);
            }
        }
        if matches!(ending, Ending::Farewell(Farewell::Revoked)) {
            add(&parts.stats.sessions_revoked, 1);
            // It ends now, whatever the journal takes to record it.
            part(stream, out).await;
            return gone(&connect, (known, ending), &grant, (&hold, expiry), parts).await;
        }
        let away = gone(&connect, (known, ending), &grant, (&hold, expiry), parts).await;
        hold.keep(saved, expiry);
        drop(hold);
        part(stream, out).await;
        away
    })
    .await
}

/// Records that a device went offline, unless its will waits or somebody took its place.
async fn gone(
    connect: &Connect,
    (known, ending): (bool, Ending),
    grant: &Arc<Grant>,
    (hold, expiry): (&Hold, Duration),
    parts: &Parts,
) -> Option<Box<Away>> {
    if matches!(ending, Ending::Farewell(Farewell::TakenOver)) {
        return None;
    }
    let graceful = match ending {
        Ending::Goodbye { graceful } => graceful,
        Ending::Farewell(farewell) => farewell == Farewell::Shutdown,
        Ending::Vanished => false,
    };
    let at = parts.clock.now();
    let mut offline = JournalRecord::default();
    if known {
        offline.events.push(Event::DeviceOffline {
            device: connect.client.clone(),
            at,
            graceful,
        });
    }
    if let Some(will) = connect.will.as_deref().filter(|_| !graceful) {
        let message = Message::new(&will.topic, &will.payload, at);
        let mut sender = TopicCache::of_grant(Arc::clone(grant));
        // What is refused of it is in the record.
        let _ = parts
            .decoder
            .decode(&mut sender, message, &*parts.gate, &mut offline);
    }
    if offline.is_empty() {
        return None;
    }
    // The will counts after its delay or at the end of the session, whichever is first.
    let delay = connect.will_delay.min(expiry);
    if !graceful
        && !delay.is_zero()
        && let Some(absence) = hold.absent()
    {
        return Some(Box::new(Away {
            absence,
            delay,
            offline,
        }));
    }
    record(offline, parts).await;
    None
}

/// Records a vanished device as offline after its will delay, unless it is back by then.
async fn wait_for_will(away: Option<Box<Away>>, context: &Context, shutdown: &CancellationToken) {
    let Some(away) = away else {
        return;
    };
    let Away {
        absence,
        delay,
        offline,
    } = *away;
    tokio::select! {
        () = absence.back() => return,
        () = time::sleep(delay) => {}
        () = shutdown.cancelled() => {}
    }
    // Whoever connects meanwhile waits for this hold, so that online comes after offline.
    if let Some(_hold) = absence.expire() {
        record(offline, &context.parts).await;
    }
}

async fn record(offline: JournalRecord, parts: &Parts) {
    let letters = ReasonCounts::of(&offline.dead_letters);
    match parts.journal.append(offline).await {
        Ok(_) => parts.stats.committed(0, &letters),
        Err(error) => tracing::warn!(%error, "cannot record that a device went offline"),
    }
}

fn event(event: Event) -> Work {
    Work {
        record: JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        },
        receipt: Receipt::default(),
    }
}

/// Sends the last bytes, says that we are done, and reads a moment longer.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, out: BytesMut) {
    let saying = async {
        if stream.write_all(&out).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    };
    let _ = time::timeout(LINGER, saying).await;
    let mut sink = [0; 4_096];
    let drained = async { while matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {} };
    let _ = time::timeout(LINGER, drained).await;
}

//! A journal in memory that can hold, fail and delay, and a client that sends any bytes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ingest::{Decoder, IngestStats, Listener, ListenerConfig, Parts, Quotas};
use telemetry::{
    Admission, BoxFuture, Claim, CredentialId, DeadLetter, Denied, DeviceGate, DeviceId,
    DeviceRules, Event, Grant, JournalRecord, JournalWriter, Offset, PortError, Quota, Scope,
    SystemClock,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time,
};
use tokio_util::sync::CancellationToken;

/// Nothing on a loopback takes longer unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Commits,
    Holds,
    Fails,
}

/// A journal whose commits wait while it holds. Appends keep their order.
pub(crate) struct MemoryJournal {
    mood: watch::Sender<Mood>,
    turn: tokio::sync::Mutex<()>,
    records: Mutex<Vec<JournalRecord>>,
}

impl MemoryJournal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: watch::Sender::new(Mood::Commits),
            turn: tokio::sync::Mutex::new(()),
            records: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Every committed dead letter, in order.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .flat_map(|record| record.dead_letters.clone())
            .collect()
    }

    pub(crate) fn records(&self) -> Vec<JournalRecord> {
        self.records.lock().unwrap().clone()
    }

    /// Every committed value, in order.
    pub(crate) fn values(&self) -> Vec<f64> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .flat_map(|record| record.readings.columns().value.clone())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .flat_map(|record| record.events.clone())
            .collect()
    }

    /// The events as words.
    pub(crate) fn comings_and_goings(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .map(|event| match event {
                Event::DeviceOnline { device, .. } => format!("{device} online"),
                Event::DeviceOffline {
                    device, graceful, ..
                } => {
                    format!("{device} {}", if graceful { "left" } else { "vanished" })
                }
                Event::LateReadings { .. } => "late".into(),
                Event::WorkOrderClosed { .. } => "closed".into(),
                Event::NormalAccepted { .. } => "normal".into(),
                Event::LifeBegan { .. } => "new".into(),
                Event::Recorded { .. } => "recorded".into(),
                Event::ModelPromoted { .. } => "promoted".into(),
                Event::RulesChanged { .. } => "rules".into(),
                Event::Listening { .. } => "listening".into(),
                Event::AlertsRecalibrated { .. } => "recalibrated".into(),
            })
            .collect()
    }
}

impl JournalWriter for MemoryJournal {
    fn append(&self, record: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let mut mood = self.mood.subscribe();
            let mood = *mood.wait_for(|mood| *mood != Mood::Holds).await.unwrap();
            if mood == Mood::Fails {
                return Err(PortError::Unavailable {
                    what: "test journal",
                    source: None,
                });
            }
            let mut records = self.records.lock().unwrap();
            records.push(record);
            Ok(Offset(records.len() as u64))
        })
    }
}

/// Admits every device but those that start with `stranger`.
struct NoStrangers;

impl DeviceGate for NoStrangers {
    fn admit(&self, device: &DeviceId) -> Admission {
        if device.as_str().starts_with("stranger") {
            Admission::Unknown
        } else {
            Admission::Admitted
        }
    }

    fn rules(&self, _: &DeviceId) -> Option<Arc<DeviceRules>> {
        None
    }

    fn generation(&self) -> u64 {
        0
    }

    fn authenticate(&self, _: &Claim<'_>) -> Result<Grant, Denied> {
        Ok(Grant::ANYONE)
    }

    fn is_valid(&self, _: CredentialId) -> bool {
        false
    }
}

/// Knows tokens and certificates, and forgets them on demand.
#[derive(Default)]
pub(crate) struct Keeper {
    tokens: Mutex<BTreeMap<Vec<u8>, Grant>>,
    revoked: Mutex<Vec<CredentialId>>,
    generation: AtomicU64,
    /// What was shown, as words.
    pub(crate) shown: Mutex<Vec<String>>,
}

impl Keeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Grants a scope to whoever shows this token, or a certificate with this fingerprint.
    pub(crate) fn grant(&self, secret: &[u8], id: u64, scope: Scope) {
        self.grant_quota(secret, id, scope, Quota::default());
    }

    pub(crate) fn grant_quota(&self, secret: &[u8], id: u64, scope: Scope, quota: Quota) {
        let grant = Grant {
            credential: Some(CredentialId(id)),
            scope,
            quota,
        };
        self.tokens.lock().unwrap().insert(secret.into(), grant);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn revoke(&self, id: u64) {
        self.revoked.lock().unwrap().push(CredentialId(id));
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

impl DeviceGate for Keeper {
    fn admit(&self, _: &DeviceId) -> Admission {
        Admission::Admitted
    }

    fn rules(&self, _: &DeviceId) -> Option<Arc<DeviceRules>> {
        None
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn authenticate(&self, claim: &Claim<'_>) -> Result<Grant, Denied> {
        let client = claim.client.map_or("-", DeviceId::as_str);
        let user = claim.user.unwrap_or("-");
        let name = claim.certificate_name.unwrap_or("-");
        let words = format!("client {client} user {user} certificate {name}");
        self.shown.lock().unwrap().push(words);
        let secret = match (claim.secret, &claim.certificate) {
            (Some(secret), _) => secret,
            (None, Some(certificate)) => certificate,
            (None, None) => return Err(Denied::Missing),
        };
        let tokens = self.tokens.lock().unwrap();
        let grant = tokens.get(secret).ok_or(Denied::Invalid)?;
        if !self.is_valid(grant.credential.unwrap()) {
            return Err(Denied::Invalid);
        }
        Ok(grant.clone())
    }

    fn is_valid(&self, credential: CredentialId) -> bool {
        !self.revoked.lock().unwrap().contains(&credential)
    }
}

pub(crate) fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

pub(crate) fn parts(journal: &Arc<MemoryJournal>) -> Parts {
    parts_with(journal, Arc::new(NoStrangers))
}

pub(crate) fn parts_with(journal: &Arc<MemoryJournal>, gate: Arc<dyn DeviceGate>) -> Parts {
    Parts {
        journal: journal.clone(),
        gate,
        clock: Arc::new(SystemClock),
        decoder: Arc::new(Decoder::default()),
        stats: Arc::new(IngestStats::new()),
        quotas: Quotas::default(),
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) stats: Arc<IngestStats>,
    /// What the listener was made of, for other ways in beside it.
    pub(crate) parts: Parts,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: ListenerConfig) -> Self {
        Self::start_with(config, Arc::new(NoStrangers)).await
    }

    pub(crate) async fn start_with(config: ListenerConfig, gate: Arc<dyn DeviceGate>) -> Self {
        let journal = MemoryJournal::new();
        let parts = parts_with(&journal, gate);
        let stats = parts.stats.clone();
        let config = ListenerConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            ..config
        };
        let listener = Listener::bind(config, parts.clone()).await.unwrap();
        let address = listener.local_addr();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { listener.run(stop).await.unwrap() });
        Self {
            address,
            journal,
            stats,
            parts,
            shutdown,
            task,
        }
    }

    pub(crate) async fn default() -> Self {
        Self::start(ListenerConfig::default()).await
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }

    /// A raw client whose CONNECT was accepted.
    pub(crate) async fn connected(&self, version: u8, client: &str) -> Raw {
        let mut raw = self.raw().await;
        raw.send(&connect(version, client, true, 60)).await;
        let answer = raw.packet().await;
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
        raw
    }
}

/// Waits until `done` says so.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = time::Instant::now() + PATIENCE;
    while !done() {
        assert!(time::Instant::now() < deadline, "never: {what}");
        time::sleep(Duration::from_millis(5)).await;
    }
}

/// A packet from its first byte and body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        bytes.push((len % 128) as u8 | if len > 127 { 0x80 } else { 0 });
        len /= 128;
        if len == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A length-prefixed string.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) fn connect(version: u8, client: &str, clean: bool, keep_alive: u16) -> Vec<u8> {
    let flags = if clean { 2 } else { 0 };
    let [high, low] = keep_alive.to_be_bytes();
    let mut body = [text("MQTT"), vec![version, flags, high, low]].concat();
    if version == 5 {
        // A session that is not clean is to be kept: Session Expiry Interval 1000 s.
        body.extend(if clean {
            vec![0]
        } else {
            vec![5, 0x11, 0, 0, 3, 0xe8]
        });
    }
    body.extend(text(client));
    packet(0x10, &body)
}

/// A CONNECT with a password; none of the parts is left out.
pub(crate) fn login(version: u8, client: &str, clean: bool, user: &str, password: &str) -> Vec<u8> {
    let flags = 0xc0 | if clean { 2 } else { 0 };
    let mut body = [text("MQTT"), vec![version, flags, 0, 60]].concat();
    if version == 5 {
        body.extend(if clean {
            vec![0]
        } else {
            vec![5, 0x11, 0, 0, 3, 0xe8]
        });
    }
    body.extend([text(client), text(user), text(password)].concat());
    packet(0x10, &body)
}

/// A publish to a topic; `QoS` and other flags stand in `first`.
pub(crate) fn publish(version: u8, first: u8, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if first & 6 != 0 {
        body.extend(id.to_be_bytes());
    }
    if version == 5 {
        body.push(0);
    }
    body.extend(payload);
    packet(first, &body)
}

/// A value of device `p1` with `QoS` 1.
pub(crate) fn value(version: u8, id: u16, value: u32) -> Vec<u8> {
    publish(
        version,
        0x32,
        "telemetry/p1",
        id,
        format!("{{\"a\":{value}}}").as_bytes(),
    )
}

/// A client that sends any bytes.
pub(crate) struct Raw<S = TcpStream>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        time::timeout(PATIENCE, self.0.read_exact(&mut bytes))
            .await
            .expect("an answer in time")
            .unwrap();
        bytes
    }

    /// The next packet, which must be short.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        let mut bytes = self.take(2).await;
        assert!(bytes[1] < 128, "{bytes:?}");
        let body = self.take(usize::from(bytes[1])).await;
        bytes.extend(body);
        bytes
    }

    /// Everything that comes until the connection is closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let end = time::timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        // A reset is a close too.
        let _ = end.expect("the connection is closed");
        bytes
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        time::timeout(Duration::from_millis(200), self.0.read(&mut byte))
            .await
            .is_err()
    }
}

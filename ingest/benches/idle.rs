//! What a connected idle device costs in memory:
//! `cargo bench -p ingest --bench idle` or, after `--`, `plain` or `tls` and a number.
//!
//! The listener runs in this process and the devices in a second one, so that the resident
//! memory of each side is its own. Every device connects from its own source port, a few
//! thousand from each address 127.0.0.x, sends one reading, and then stays silent. Memory of
//! the system (sockets) is not part of either figure.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use ingest::{
    ClientCertificates, Decoder, IngestStats, Listener, ListenerConfig, Parts, Quotas, TlsConfig,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use telemetry::{
    BoxFuture, JournalRecord, JournalWriter, Offset, OpenGate, PortError, SystemClock,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpSocket,
    sync::Semaphore,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// Connections when no number is given; the goal of the design.
const DEVICES: usize = 20_000;

/// Connections from one source address.
const PER_ADDRESS: usize = 2_000;

/// Files a process needs besides its connections.
const SPARE_FILES: usize = 200;

/// Throws everything away at once.
struct Nowhere;

impl JournalWriter for Nowhere {
    fn append(&self, _: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(async { Ok(Offset(1)) })
    }
}

/// A number of `/proc/self/status` in KiB.
fn status_kib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The most open files this process may have.
fn max_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(1_024)
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects one device, which sends one reading.
async fn device(
    address: SocketAddr,
    number: usize,
    tls: Option<TlsConnector>,
) -> std::io::Result<Box<dyn Stream>> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::new(127, 0, 0, 2 + (number / PER_ADDRESS) as u8);
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(address).await?;
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = ServerName::try_from("localhost").expect("a name");
            Box::new(tls.connect(name, stream).await?)
        }
    };
    let id = format!("device-{number:06}");
    let mut bytes = vec![
        0x10, 25, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0xff, 0xff, 0, 13,
    ];
    bytes.extend(id.as_bytes());
    let topic = format!("telemetry/{id}");
    let payload = b"{\"temperature_c\":61.25,\"pressure_bar\":4.125}";
    bytes.extend([
        0x32,
        (4 + topic.len() + payload.len()) as u8,
        0,
        topic.len() as u8,
    ]);
    bytes.extend(topic.as_bytes());
    bytes.extend([0, 1]);
    bytes.extend(payload);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let mut answers = [0; 8];
    stream.read_exact(&mut answers).await?;
    Ok(stream)
}

/// The second process: connects, says what it costs, waits until it is told to end.
async fn devices(address: SocketAddr, count: usize, certificate: Option<String>) {
    let tls = certificate.map(|file| {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
        roots.add(certificate).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    });
    let before = status_kib("VmRSS");
    let places = Arc::new(Semaphore::new(200));
    let connecting: Vec<_> = (0..count)
        .map(|number| {
            let (places, tls) = (Arc::clone(&places), tls.clone());
            tokio::spawn(async move {
                let _place = places.acquire().await.expect("it is open");
                device(address, number, tls).await
            })
        })
        .collect();
    let mut open = Vec::with_capacity(count);
    for connecting in connecting {
        match connecting.await.expect("no panic") {
            Ok(stream) => open.push(stream),
            Err(error) => eprintln!("a device cannot connect: {error}"),
        }
    }
    let each = (status_kib("VmRSS") - before) / open.len() as f64;
    println!("{} {each}", open.len());
    // The connections are held by the system; nobody has to poll them meanwhile.
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _ = told.await;
    drop(open);
}

async fn measure(count: usize, tls: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    std::fs::write(&cert, own.cert.pem()).expect("it is ours");
    std::fs::write(&key, own.signing_key.serialize_pem()).expect("it is ours");
    let stats = Arc::new(IngestStats::new());
    let parts = Parts {
        journal: Arc::new(Nowhere),
        gate: Arc::new(OpenGate),
        clock: Arc::new(SystemClock),
        decoder: Arc::new(Decoder::default()),
        stats: Arc::clone(&stats),
        quotas: Quotas::default(),
    };
    let config = ListenerConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        max_connections: count,
        connect_timeout: Duration::from_mins(2),
        tls: tls.then(|| TlsConfig {
            cert: cert.clone(),
            key,
            client_ca: None,
            client_certificates: ClientCertificates::None,
        }),
        ..ListenerConfig::default()
    };
    let listener = Listener::bind(config, parts).await.expect("a free port");
    let address = listener.local_addr().to_string();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(listener.run(shutdown.clone()));
    let before = status_kib("VmRSS");
    let mut second = tokio::process::Command::new(std::env::current_exe().expect("it runs"));
    second.args(["devices", &address, &count.to_string()]);
    if tls {
        second.arg(&cert);
    }
    let mut second = second
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it can be started again");
    let mut told = String::new();
    let stdout = second.stdout.take().expect("it is piped");
    let _ = tokio::io::BufReader::new(stdout).read_line(&mut told).await;
    let open = stats.snapshot().connections;
    let listener_kib = (status_kib("VmRSS") - before) / open as f64;
    let device_kib = told
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok());
    println!(
        "{:>5} {open} idle devices: {listener_kib:.2} KiB each in the listener, {:.2} KiB each on the other side",
        if tls { "tls" } else { "plain" },
        device_kib.unwrap_or(f64::NAN),
    );
    shutdown.cancel();
    drop(second.stdin.take());
    let _ = second.wait().await;
    running.await.expect("no panic").expect("no error");
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let most = max_files().saturating_sub(SPARE_FILES);
    match words.as_slice() {
        ["devices", address, count, certificate @ ..] => {
            let address = address.parse().expect("an address");
            let count = count.parse().expect("a number");
            devices(address, count, certificate.first().map(|&file| file.into())).await;
        }
        words => {
            let count = words.get(1).and_then(|count| count.parse().ok());
            let count = count.unwrap_or(DEVICES);
            if count > most {
                println!(
                    "only {most} of {count}: a process may have no more files open here (ulimit -n)"
                );
            }
            for (name, tls) in [("plain", false), ("tls", true)] {
                if words.first().is_none_or(|wanted| *wanted == name) {
                    measure(count.min(most), tls).await;
                }
            }
        }
    }
}

//! The listener over TLS, with certificates made for the test.

use std::{fs, path::Path, sync::Arc, time::Duration};

use ingest::{Access, ClientCertificates, ListenerConfig, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use sha2::{Digest as _, Sha256};
use telemetry::Scope;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Keeper, Raw, Running, connect, device, eventually, login, value};

/// An authority that signs for servers and devices.
struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
struct Pair {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "plant authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str) -> Pair {
        self.sign_until(name, 2100)
    }

    fn sign_until(&self, name: &str, year: i32) -> Pair {
        let names = vec!["localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// What a client needs that trusts this authority and shows `pair`.
    fn client(
        &self,
        pair: Option<&Pair>,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
                let chain = vec![pair.certificate.clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

/// A listener's files.
struct Files(TempDir);

impl Files {
    fn new(authority: &Authority) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.serve(&authority.sign("listener"));
        fs::write(files.path("ca.pem"), &authority.pem).unwrap();
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.0.path(), name)
    }

    fn serve(&self, pair: &Pair) {
        fs::write(self.path("cert.pem"), &pair.pem).unwrap();
        fs::write(self.path("key.pem"), pair.key.serialize_pem()).unwrap();
    }

    fn config(&self, client_certificates: ClientCertificates) -> ListenerConfig {
        let client_ca =
            (client_certificates != ClientCertificates::None).then(|| self.path("ca.pem"));
        ListenerConfig {
            tls: Some(TlsConfig {
                cert: self.path("cert.pem"),
                key: self.path("key.pem"),
                client_ca,
                client_certificates,
            }),
            ..ListenerConfig::default()
        }
    }
}

async fn handshake(
    running: &Running,
    client: &Arc<ClientConfig>,
) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::clone(client))
        .connect(name, stream)
        .await?;
    Ok(Raw(stream))
}

/// A raw client over TLS whose CONNECT was accepted.
async fn connected(
    running: &Running,
    client: &Arc<ClientConfig>,
    id: &str,
) -> Raw<TlsStream<TcpStream>> {
    let mut raw = handshake(running, client).await.unwrap();
    raw.send(&connect(5, id, true, 60)).await;
    let answer = raw.packet().await;
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    raw
}

#[tokio::test]
async fn devices_publish_over_both_versions_of_tls() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let running = Running::start(files.config(ClientCertificates::None)).await;
    for version in [&TLS12, &TLS13] {
        let client = authority.client(None, version);
        let mut raw = connected(&running, &client, "p1").await;
        // More than one TLS record, and more than one buffer, in each direction.
        let bytes: Vec<u8> = (1..=4_000).flat_map(|id| value(5, id, 7)).collect();
        assert!(bytes.len() > 65_536);
        raw.send(&bytes).await;
        raw.take(4 * 4_000).await;
        raw.send(&[0xe0, 0]).await;
        assert_eq!(raw.rest().await, b"");
    }
    assert_eq!(running.journal.values().len(), 8_000);
    eventually("all left", || {
        running.journal.comings_and_goings() == ["p1 online", "p1 left", "p1 online", "p1 left"]
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_cut_off_and_stops_nobody_else() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let config = ListenerConfig {
        connect_timeout: Duration::from_millis(500),
        ..files.config(ClientCertificates::None)
    };
    let running = Running::start(config).await;
    let mut silent = running.raw().await;
    let mut half = running.raw().await;
    half.send(&[0x16, 3, 1, 2, 0, 1]).await;
    let mut plain = running.raw().await;
    plain.send(&connect(4, "p1", true, 60)).await;
    let client = authority.client(None, &TLS13);
    let mut other = connected(&running, &client, "p1").await;
    other.send(&value(5, 1, 7)).await;
    assert_eq!(other.packet().await, [0x40, 2, 0, 1]);
    // The handshake took part of the time for CONNECT.
    let mut greets_not = handshake(&running, &client).await.unwrap();
    assert!(!plain.rest().await.starts_with(&[0x20]), "no CONNACK");
    assert_eq!(silent.rest().await, b"");
    half.rest().await;
    assert_eq!(greets_not.rest().await, b"");
    eventually("counted", || {
        running.stats.snapshot().handshakes_failed == 4
    })
    .await;
    other.send(&[0xc0, 0]).await;
    assert_eq!(other.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn a_client_certificate_is_a_credential() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let (known, unknown) = (authority.sign("p1"), authority.sign("p2"));
    let keeper = Keeper::new();
    let fingerprint = Sha256::digest(&known.certificate);
    keeper.grant(&fingerprint, 1, Scope::Device(device("p1")));
    keeper.grant(b"token", 2, Scope::Device(device("p3")));
    let config = ListenerConfig {
        access: Access::Required,
        ..files.config(ClientCertificates::Optional)
    };
    let running = Running::start_with(config, keeper.clone()).await;
    for version in [&TLS12, &TLS13] {
        let mut raw = connected(&running, &authority.client(Some(&known), version), "p1").await;
        raw.send(&value(5, 1, 7)).await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    }
    assert_eq!(
        keeper.shown.lock().unwrap()[0],
        "client p1 user - certificate p1"
    );
    let refused = async |pair: Option<&Pair>, id: &str| {
        let client = authority.client(pair, &TLS13);
        let mut raw = handshake(&running, &client).await.unwrap();
        raw.send(&connect(5, id, true, 60)).await;
        raw.rest().await
    };
    assert_eq!(refused(Some(&unknown), "p2").await, [0x20, 3, 0, 0x86, 0]);
    assert_eq!(refused(Some(&known), "p2").await, [0x20, 3, 0, 0x87, 0]);
    assert_eq!(refused(None, "p3").await, [0x20, 3, 0, 0x87, 0]);
    let mut by_token = handshake(&running, &authority.client(None, &TLS13))
        .await
        .unwrap();
    by_token.send(&login(4, "p3", true, "", "token")).await;
    assert_eq!(by_token.packet().await, [0x20, 2, 0, 0]);
    keeper.revoke(2);
    assert_eq!(by_token.rest().await, b"", "over TLS as well");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_or_none_does_not_get_through_a_mutual_handshake() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let running = Running::start(files.config(ClientCertificates::Required)).await;
    let other = Authority::new();
    let (stranger, expired) = (other.sign("p1"), authority.sign_until("p1", 2020));
    for pair in [None, Some(&stranger), Some(&expired)] {
        for version in [&TLS12, &TLS13] {
            let client = authority.client(pair, version);
            // TLS 1.3 clients learn of it only when they read.
            if let Ok(mut raw) = handshake(&running, &client).await {
                use tokio::io::AsyncWriteExt as _;
                let _ = raw.0.write_all(&connect(5, "p1", true, 60)).await;
                assert_eq!(raw.rest().await, b"", "no CONNACK");
            }
        }
    }
    assert_eq!(running.stats.snapshot().handshakes_failed, 6);
    assert!(running.journal.events().is_empty());
}

#[tokio::test]
async fn a_changed_certificate_is_taken_by_new_connections_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let running = Running::start(files.config(ClientCertificates::None)).await;
    let client = authority.client(None, &TLS13);
    let served = async || {
        let raw = handshake(&running, &client).await.unwrap();
        raw.0.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let mut old = connected(&running, &client, "p1").await;
    fs::write(files.path("key.pem"), "no key").unwrap();
    eventually("the broken key is refused", || {
        running.stats.snapshot().tls_reload_errors == 1
    })
    .await;
    served().await;
    let next = authority.sign("the next one");
    files.serve(&next);
    eventually("the new certificate is taken", || {
        running.stats.snapshot().tls_reloads == 1
    })
    .await;
    assert_eq!(served().await, next.certificate);
    old.send(&value(5, 1, 7)).await;
    assert_eq!(old.packet().await, [0x40, 2, 0, 1], "what was open goes on");
}

#[tokio::test]
async fn mosquitto_pub_reaches_the_listener_over_tls() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let running = Running::start(files.config(ClientCertificates::Required)).await;
    let device = authority.sign("p1");
    fs::write(files.path("device.pem"), &device.pem).unwrap();
    fs::write(files.path("device.key"), device.key.serialize_pem()).unwrap();
    let mut command = tokio::process::Command::new("mosquitto_pub");
    command
        .args([
            "-h",
            "localhost",
            "-V",
            "5",
            "-q",
            "1",
            "-t",
            "telemetry/p1",
        ])
        .args(["-p", &running.address.port().to_string()])
        .args(["-m", "{\"a\":7}", "--cafile"])
        .arg(files.path("ca.pem"))
        .arg("--cert")
        .arg(files.path("device.pem"))
        .arg("--key")
        .arg(files.path("device.key"));
    match command.status().await {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            eprintln!("mosquitto_pub cannot be started ({error}); this test passes over it");
            return;
        }
    }
    assert_eq!(running.journal.values(), [7.0]);
}

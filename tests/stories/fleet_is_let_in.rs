//! A fleet is let in from outside: onboarded from a CSV, connected over TLS with tokens and
//! certificates, and put out again when a credential is revoked.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rumqttc::mqttbytes::{
    QoS,
    v4::{Connect, ConnectReturnCode, Packet, Publish},
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::Value;
use tests::{Home, tools, until, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400_000;

/// The product promises five seconds; a busy machine with many stories at once gets some more.
const CUT_WITHIN: Duration = Duration::from_secs(30);

const FLEET: &str = "\
device,asset,model,customer,site,signals
press-1,press-1,screw-compressor,acme,north,oil_temperature_c=°F[0..250]
press-2,press-2,screw-compressor,acme,north,
";

/// An authority, and a certificate of it for this machine.
struct Certificates {
    ca: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Certificates {
    /// Writes `ca.pem`, `server.pem` and `server.key`.
    fn write(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?;
        fs::write(folder.join("ca.pem"), ca.pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone())?;
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["localhost".to_owned()])?;
        let server = server.signed_by(&key, &issuer)?;
        fs::write(folder.join("server.pem"), server.pem())?;
        fs::write(folder.join("server.key"), key.serialize_pem())?;
        Ok(Self { ca: issuer, roots })
    }

    /// How a device that trusts the authority connects, perhaps with a certificate of its own.
    fn client(&self, common_name: Option<&str>) -> Result<TlsConnector> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone());
        let config = match common_name {
            None => config.with_no_client_auth(),
            Some(name) => {
                let key = KeyPair::generate()?;
                let mut params = CertificateParams::new(Vec::new())?;
                params
                    .distinguished_name
                    .push(rcgen::DnType::CommonName, name);
                let own = params.signed_by(&key, &self.ca)?;
                let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der())
                    .map_err(|error| anyhow::anyhow!(error))?;
                config.with_client_auth_cert(vec![own.der().clone()], key)?
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// A home whose MQTT port speaks TLS and asks for credentials.
fn guarded() -> Result<(Home, Certificates)> {
    let home = Home::new()?;
    let certificates = Certificates::write(home.folder())?;
    let file = |name: &str| home.folder().join(name).display().to_string();
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let home = home
        .with("ingest.listener.access", "required")
        .with("ingest.listener.tls_cert", &cert)
        .with("ingest.listener.tls_key", &key)
        .with("ingest.listener.tls_client_ca", &ca);
    Ok((home, certificates))
}

/// One connection over TLS.
struct Device {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
}

impl Device {
    /// Connects; the inner error is the refusal of the CONNECT.
    async fn connect(
        address: SocketAddr,
        tls: &TlsConnector,
        client_id: &str,
        token: Option<&str>,
    ) -> Result<std::result::Result<Self, ConnectReturnCode>> {
        let tcp = within("a connection", SOON, TcpStream::connect(address)).await?;
        let name = ServerName::try_from("localhost")?;
        let stream = within("a TLS handshake", SOON, tls.connect(name, tcp)).await?;
        let input = BytesMut::new();
        let mut device = Self { stream, input };
        let mut connect = Connect::new(client_id);
        connect.keep_alive = 60;
        if let Some(token) = token {
            connect.set_login(client_id, token);
        }
        let mut output = BytesMut::new();
        connect.write(&mut output)?;
        device.stream.write_all(&output).await?;
        match device.packet().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => Ok(Ok(device)),
            Packet::ConnAck(ack) => Ok(Err(ack.code)),
            other => bail!("{other:?} instead of CONNACK"),
        }
    }

    async fn packet(&mut self) -> Result<Packet> {
        loop {
            match Packet::read(&mut self.input, 65_536) {
                Ok(packet) => return Ok(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => bail!("{error:?}"),
            }
            let read = self.stream.read_buf(&mut self.input);
            ensure!(within("an answer", SOON, read).await? > 0, "cut");
        }
    }

    /// Publishes and waits for the acknowledgement.
    async fn publish(&mut self, topic: &str, payload: &str) -> Result<()> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = 1;
        let mut output = BytesMut::new();
        publish.write(&mut output)?;
        self.stream.write_all(&output).await?;
        match self.packet().await? {
            Packet::PubAck(ack) if ack.pkid == 1 => Ok(()),
            other => bail!("{other:?} instead of PUBACK"),
        }
    }

    /// Waits until the other side ends the connection, without sending anything.
    async fn cut(mut self) -> Result<Duration> {
        let began = Instant::now();
        let ended = async {
            loop {
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return Ok::<_, std::io::Error>(()),
                    Ok(_) => {}
                }
            }
        };
        within("the session to be cut", CUT_WITHIN, ended).await?;
        Ok(began.elapsed())
    }
}

/// Runs a verb of the program against the one that runs in this home.
async fn verb(home: &Home, arguments: &[&str]) -> Result<tools::Finished> {
    let api = format!("http://{}", home.http());
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--api", &api]).collect();
    let mut command = Command::from(home.command(&arguments)?);
    tools::finish(&mut command, SOON).await
}

async fn verb_json(home: &Home, arguments: &[&str]) -> Result<Value> {
    let done = verb(home, arguments).await?;
    ensure!(done.code == Some(0), "{arguments:?}: {done:?}");
    serde_json::from_str(&done.stdout).with_context(|| format!("{arguments:?}: {}", done.stdout))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_is_onboarded_and_a_revoked_device_is_cut_off() -> Result<()> {
    let (home, certificates) = guarded()?;
    fs::write(home.folder().join("fleet.csv"), FLEET)?;
    let _program = home.start().await?;
    let (api, tls) = (home.api(), certificates.client(None)?);

    let dry = verb_json(&home, &["onboard", "fleet.csv", "--dry-run", "--json"]).await?;
    ensure!(
        dry["applied"] == false && dry["without_credential"] == 2,
        "{dry}"
    );
    ensure!(api.all("/devices").await?.is_empty());
    let done = verb_json(
        &home,
        &["onboard", "fleet.csv", "--tokens", "tokens.csv", "--json"],
    )
    .await?;
    ensure!(done["applied"] == true, "{done}");
    ensure!(
        done["tokens"].as_array().is_some_and(Vec::is_empty),
        "shown: {done}"
    );
    let tokens = fs::read_to_string(home.folder().join("tokens.csv"))?;
    let line = tokens.lines().find(|line| line.starts_with("press-1,"));
    let [_, credential, token] = line.context("no token")?.split(',').collect::<Vec<_>>()[..]
    else {
        bail!("{tokens}");
    };
    // The same file again changes nothing and makes no second token.
    let again = verb_json(
        &home,
        &["onboard", "fleet.csv", "--tokens", "more.csv", "--json"],
    )
    .await?;
    ensure!(again["unchanged"] == 2, "{again}");
    ensure!(!home.folder().join("more.csv").exists());

    // Nobody else's token, no token, another device's name: refused.
    for (client, shown) in [
        ("press-1", None),
        ("press-1", Some("bw_made-up")),
        ("press-2", Some(token)),
    ] {
        let refused = Device::connect(home.mqtt(), &tls, client, shown).await?;
        ensure!(refused.is_err(), "{client} was let in with {shown:?}");
    }
    let connected = Device::connect(home.mqtt(), &tls, "press-1", Some(token)).await?;
    let mut device = connected.map_err(|code| anyhow::anyhow!("refused: {code:?}"))?;
    let payload = format!(r#"{{"ts":{T},"oil_temperature_c":212}}"#);
    device.publish("telemetry/press-1", &payload).await?;
    // Another device's topic is not this token's.
    device.publish("telemetry/press-2", &payload).await?;
    api.caught_up(SOON).await?;
    let stored = api
        .readings("press-1", "oil_temperature_c", (T, T + 1))
        .await?;
    // 212 °F boils at 100 °C.
    ensure!(
        stored.len() == 1 && (stored[0].1 - 100.0).abs() < 1e-9,
        "{stored:?}"
    );
    let letters = api.all("/dead-letters").await?;
    ensure!(
        letters.len() == 1 && letters[0]["reason"] == "not_authorized",
        "{letters:?}"
    );

    let revoked = verb_json(&home, &["device", "revoke", credential, "--json"]).await?;
    ensure!(revoked["revoked_at"].is_string(), "{revoked}");
    let took = device.cut().await?;
    eprintln!("cut {took:?} after the revocation");
    let refused = Device::connect(home.mqtt(), &tls, "press-1", Some(token)).await?;
    ensure!(refused.is_err(), "a revoked token was let in");
    let stored = api
        .readings("press-1", "oil_temperature_c", (T, T + 1))
        .await?;
    ensure!(stored.len() == 1, "what was acknowledged stays: {stored:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_once_it_was_bound_to_its_device() -> Result<()> {
    let (home, certificates) = guarded()?;
    let _program = home.start().await?;
    let tls = certificates.client(Some("press-1"))?;
    verb_json(&home, &["device", "add", "press-1", "--json"]).await?;
    let refused = Device::connect(home.mqtt(), &tls, "press-1", None).await?;
    ensure!(
        refused.is_err(),
        "signed by the authority, and bound to nobody"
    );
    let made = verb_json(
        &home,
        &["device", "certificate", "press-1", "name", "--json"],
    )
    .await?;
    let connected = Device::connect(home.mqtt(), &tls, "press-1", None).await?;
    let mut device = connected.map_err(|code| anyhow::anyhow!("refused: {code:?}"))?;
    device
        .publish("telemetry/press-1", r#"{"flow_m3_h":7}"#)
        .await?;
    let number = made["credential"].to_string();
    verb_json(&home, &["device", "revoke", &number, "--json"]).await?;
    device.cut().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_csv_lists_every_error_and_writes_nothing() -> Result<()> {
    let home = Home::new()?;
    let bad = "device;asset;model;site;signals\r\n\
               good;good;;;\r\n\
               p 1;a1;turbine;;\r\n\
               p2;a2;screw-compressor;;oil_temperature_c=bar\r\n\
               p3;a3;;;x [9..1]\r\n\
               good;a4;;south;\r\n";
    fs::write(home.folder().join("bad.csv"), bad)?;
    let _program = home.start().await?;
    let done = verb(&home, &["onboard", "bad.csv"]).await?;
    ensure!(done.code == Some(1), "{done:?}");
    for expected in [
        "bad.csv: line 3, column 1 (device), \"p 1\"",
        "bad.csv: line 3, column 3 (model), \"turbine\"",
        "bad.csv: line 4, column 5 (signals), \"oil_temperature_c\"",
        "cannot convert bar to °C",
        "bad.csv: line 5, column 5 (signals), \"x [9..1]\"",
        "bad.csv: line 6, column 1 (device), \"good\": line 2 has this device on asset good",
        "site south is new; name its customer",
        "6 errors; nothing was written",
    ] {
        ensure!(
            done.stderr.contains(expected),
            "{expected}\n{}",
            done.stderr
        );
    }
    ensure!(home.api().all("/devices").await?.is_empty());
    ensure!(home.api().all("/assets").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_others_can_reach_needs_credentials_and_tls() -> Result<()> {
    let (home, _certificates) = guarded()?;
    let open = Home::new()?;
    for (home, key, expected) in [
        (
            &open,
            "ingest.listener.bind=0.0.0.0:0",
            "without credentials and TLS",
        ),
        (
            &home,
            "http.bind=0.0.0.0:0",
            "no credentials to ask people for",
        ),
    ] {
        let mut command = Command::from(home.command(&["run", "--set", key])?);
        let done = tools::finish(&mut command, SOON).await?;
        ensure!(done.code == Some(1), "{done:?}");
        let named = key
            .split_once('=')
            .is_some_and(|(key, value)| done.stderr.contains(key) && done.stderr.contains(value));
        ensure!(named && done.stderr.contains(expected), "{}", done.stderr);
    }
    // With both it is let through.
    let arguments = [
        "config",
        "check",
        "--set",
        "ingest.listener.bind=0.0.0.0:8883",
    ];
    let done = tools::finish(&mut Command::from(home.command(&arguments)?), SOON).await?;
    ensure!(done.code == Some(0), "{done:?}");
    ensure!(
        done.stdout.contains("mqtts://0.0.0.0:8883")
            && done.stdout.contains("credentials required"),
        "{}",
        done.stdout
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quarantined_message_is_taken_again_after_the_fix() -> Result<()> {
    let home = Home::new()?;
    let _program = home.start().await?;
    let api = home.api();
    // Declared with limits that are too narrow.
    let wrong = [
        "device",
        "add",
        "oven-1",
        "--signal",
        "shell_temperature_c=°C[0..100]",
        "--json",
    ];
    verb_json(&home, &wrong).await?;
    let mut device = tests::mqtt::Publisher::connected("oven-1", home.mqtt()).await?;
    let payload = format!(r#"{{"ts":{T},"shell_temperature_c":250,"load_pct":50}}"#);
    device
        .publish_all("telemetry/oven-1", [(payload, ())])
        .await?;
    api.caught_up(SOON).await?;
    let letters = verb_json(
        &home,
        &["dead-letter", "list", "--device", "oven-1", "--json"],
    )
    .await?;
    ensure!(letters[0]["reason"] == "out_of_range", "{letters}");
    // The rest of the message was good.
    ensure!(api.readings("oven-1", "load_pct", (T, T + 1)).await? == [(T, 50.0)]);

    // Nothing was mended yet.
    let reason = [
        "dead-letter",
        "replay",
        "--reason",
        "out_of_range",
        "--json",
    ];
    let outcome = verb_json(&home, &reason).await?;
    ensure!(outcome["replayed"] == 0, "{outcome}");
    ensure!(
        outcome["still_refused"][0]["reason"] == "out_of_range",
        "{outcome}"
    );

    let right = [
        "device",
        "add",
        "oven-1",
        "--signal",
        "shell_temperature_c=°C[0..600]",
        "--json",
    ];
    verb_json(&home, &right).await?;
    let outcome = verb_json(&home, &reason).await?;
    ensure!(outcome["replayed"] == 1, "{outcome}");
    until("the reading to be stored", SOON, async || {
        let stored = api
            .readings("oven-1", "shell_temperature_c", (T, T + 1))
            .await?;
        Ok((stored == [(T, 250.0)]).then_some(()))
    })
    .await?;
    let open = verb_json(&home, &["dead-letter", "list", "--json"]).await?;
    ensure!(open.as_array().is_some_and(Vec::is_empty), "{open}");
    let replayed = verb_json(
        &home,
        &["dead-letter", "list", "--state", "replayed", "--json"],
    )
    .await?;
    ensure!(replayed[0]["replayed_at"].is_string(), "{replayed}");
    Ok(())
}

#[tokio::test]
async fn a_verb_without_a_running_program_says_where_and_what_to_do() -> Result<()> {
    let home = Home::new()?;
    let done = verb(&home, &["device", "list"]).await?;
    ensure!(done.code == Some(1), "{done:?}");
    for part in [&home.http().to_string(), "bellwether run", "--api"] {
        ensure!(done.stderr.contains(part), "{}", done.stderr);
    }
    let usage = verb(&home, &["dead-letter", "replay"]).await?;
    ensure!(usage.code == Some(2), "{usage:?}");
    Ok(())
}

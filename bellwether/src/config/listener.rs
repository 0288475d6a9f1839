//! `[ingest.listener]`: the MQTT endpoint, and what it asks of whom. The documentation of a
//! field is the documentation of its key.

use std::{net::SocketAddr, path::PathBuf};

use ingest::{Access, ClientCertificates};
use serde::Serialize;

use super::{ConfigError, Keys, layers::Setting, sections::word, values::FromValue};

/// `[ingest.listener]`: the MQTT endpoint of Bellwether itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listener {
    /// `bind`: address and port; beyond loopback with `access = "required"` and TLS only.
    pub(crate) bind: SocketAddr,
    /// `access`: `open`, or `required`: devices show a token or a client certificate.
    pub(crate) access: Access,
    /// `tls_cert`, `tls_key` and the rest; none for plain MQTT.
    pub(crate) tls: Option<Tls>,
    /// `allow_insecure`: other machines may connect without credentials or without TLS.
    pub(crate) allow_insecure: bool,
    /// `max_packet_bytes`: the longest MQTT packet accepted.
    pub(crate) max_packet_bytes: u32,
    /// `max_connections`: clients at the same time.
    pub(crate) max_connections: u32,
    /// `max_connections_per_address`: of these, from one address.
    pub(crate) max_connections_per_address: u32,
}

/// The TLS settings of the listener. The files are read again when they change.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tls {
    /// `tls_cert`: the certificate chain, PEM.
    pub(crate) cert: PathBuf,
    /// `tls_key`: its private key, PEM.
    pub(crate) key: PathBuf,
    /// `tls_client_ca`: who signs the certificates of devices, PEM.
    pub(crate) client_ca: Option<PathBuf>,
    /// `tls_client_certificates`: `none`, `optional` or `required`.
    pub(crate) client_certificates: ClientCertificates,
}

impl Listener {
    pub(super) fn take(keys: &mut Keys, enabled: bool) -> Result<Self, ConfigError> {
        let default = SocketAddr::from(([127, 0, 0, 1], 1883));
        let bind = keys.checked("ingest.listener.bind", SocketAddr::from_value)?;
        let words = [("open", Access::Open), ("required", Access::Required)];
        let access = word(keys, "ingest.listener.access", &words, Access::Open)?;
        let tls = Tls::take(keys)?;
        let allow_insecure = keys.or("ingest.listener.allow_insecure", false)?;
        if let Some((address, setting)) = bind.as_ref().filter(|_| enabled && !allow_insecure) {
            exposed_safely(*address, setting, access, tls.is_some())?;
        }
        Ok(Self {
            bind: bind.map_or(default, |(bind, _)| bind),
            access,
            tls,
            allow_insecure,
            // A packet is held in memory whole; longer ones do not belong into telemetry.
            max_packet_bytes: keys.ranged(
                "ingest.listener.max_packet_bytes",
                256 * 1024,
                1_024..=16 * 1024 * 1024,
            )? as u32,
            max_connections: keys.ranged(
                "ingest.listener.max_connections",
                10_000,
                1..=1_000_000,
            )? as u32,
            max_connections_per_address: keys.ranged(
                "ingest.listener.max_connections_per_address",
                10_000,
                1..=1_000_000,
            )? as u32,
        })
    }

    /// What is let in that should not be, when `allow_insecure` says so.
    pub(crate) fn insecurity(&self) -> Option<String> {
        let missing = missing_for_others(self.bind, self.access, self.tls.is_some())?;
        Some(format!(
            "other machines can reach ingest.listener.bind = {} without {missing}, because \
             ingest.listener.allow_insecure = true",
            self.bind
        ))
    }
}

/// What an address that other machines can reach lacks.
fn missing_for_others(bind: SocketAddr, access: Access, tls: bool) -> Option<&'static str> {
    match (bind.ip().is_loopback(), access, tls) {
        (true, ..) | (_, Access::Required, true) => None,
        (_, Access::Required, false) => Some("TLS"),
        (_, Access::Open, true) => Some("credentials"),
        (_, Access::Open, false) => Some("credentials and TLS"),
    }
}

/// Refuses addresses other machines can reach without showing a credential, or in the clear.
fn exposed_safely(
    bind: SocketAddr,
    setting: &Setting,
    access: Access,
    tls: bool,
) -> Result<(), ConfigError> {
    let Some(missing) = missing_for_others(bind, access, tls) else {
        return Ok(());
    };
    let mut needed = Vec::new();
    if access == Access::Open {
        needed.push("ingest.listener.access = \"required\"");
    }
    if !tls {
        needed.push("ingest.listener.tls_cert and tls_key");
    }
    Err(ConfigError::Invalid {
        key: "ingest.listener.bind".to_owned(),
        setting: Box::new(setting.clone()),
        problem: format!(
            "other machines could reach this address without {missing}; set {}, or use a loopback \
             address such as 127.0.0.1:{} (or, at your own risk, ingest.listener.allow_insecure = \
             true); see docs/security.md",
            needed.join(" and "),
            bind.port()
        ),
    })
}

impl Tls {
    fn take(keys: &mut Keys) -> Result<Option<Self>, ConfigError> {
        let cert = file(keys, "ingest.listener.tls_cert")?;
        let key = file(keys, "ingest.listener.tls_key")?;
        let client_ca = file(keys, "ingest.listener.tls_client_ca")?;
        let words = [
            ("none", ClientCertificates::None),
            ("optional", ClientCertificates::Optional),
            ("required", ClientCertificates::Required),
        ];
        let asked = keys.checked("ingest.listener.tls_client_certificates", |value| {
            let text = String::from_value(value)?;
            let known = words.iter().find(|(word, _)| *word == text);
            known
                .map(|(_, asked)| *asked)
                .ok_or_else(|| "use none, optional or required".to_owned())
        })?;
        let missing = |key: &str, beside: &Setting, problem: &str| ConfigError::Missing {
            key: key.to_owned(),
            beside: Box::new(beside.clone()),
            problem: problem.to_owned(),
        };
        let (cert, key) = match (cert, key) {
            (Some((cert, _)), Some((key, _))) => (cert, key),
            (Some((_, beside)), None) => {
                let problem = "a certificate needs its private key";
                return Err(missing("ingest.listener.tls_key", &beside, problem));
            }
            (None, Some((_, beside))) => {
                let problem = "a private key needs its certificate";
                return Err(missing("ingest.listener.tls_cert", &beside, problem));
            }
            (None, None) => {
                let beside = client_ca.map(|(_, setting)| setting);
                return match beside.or(asked.map(|(_, setting)| setting)) {
                    Some(beside) => {
                        let problem = "client certificates need TLS: set tls_cert and tls_key";
                        Err(missing("ingest.listener.tls_cert", &beside, problem))
                    }
                    None => Ok(None),
                };
            }
        };
        if let (Some((wanted, setting)), None) = (&asked, &client_ca)
            && *wanted != ClientCertificates::None
        {
            let problem = "say whose signature counts on client certificates";
            return Err(missing("ingest.listener.tls_client_ca", setting, problem));
        }
        // A client CA without a word about client certificates: devices may show one.
        let default = match client_ca {
            Some(_) => ClientCertificates::Optional,
            None => ClientCertificates::None,
        };
        Ok(Some(Self {
            cert,
            key,
            client_ca: client_ca.map(|(path, _)| path),
            client_certificates: asked.map_or(default, |(asked, _)| asked),
        }))
    }
}

/// Takes the path of a file that has to be there.
fn file(keys: &mut Keys, key: &str) -> Result<Option<(PathBuf, Setting)>, ConfigError> {
    keys.checked(key, |value| {
        let path = PathBuf::from_value(value)?;
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(path),
            Ok(_) => Err("this is not a file".to_owned()),
            Err(error) => Err(format!("the file cannot be read: {error}")),
        }
    })
}

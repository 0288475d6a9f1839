//! TLS for the listener: certificate, key and client authority from PEM files, loaded again
//! when the files change.
//!
//! The files are read every [`LOOK_EVERY`] and compared by content, because a secret that is
//! mounted into a container changes by a link and not by its time. A change is taken once the
//! content was the same in two looks, so that a certificate and its key may be replaced one
//! after the other. What cannot be used is logged once and the earlier files stay in force.
//! Connections that are open keep what they were made with.
//!
//! Sessions are not resumed: a resumed one would not show its client certificate again, and
//! devices reconnect too seldom for it to matter. The crypto provider is named here, so that
//! nothing depends on a default of the process.

mod der;
mod stream;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    CommonState, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use telemetry::{Clock, Timestamp};

pub(crate) use stream::accept;

use crate::{IngestError, IngestStats};

/// Where certificate and key are, and what is asked of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate chain as PEM, its own certificate first.
    pub cert: PathBuf,
    /// The key of that certificate as PEM, without a passphrase.
    pub key: PathBuf,
    /// The authorities whose client certificates are accepted, as PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_certificates: ClientCertificates,
}

/// Whether clients show a certificate in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    None,
    /// One that is shown must be valid; a token may be shown instead.
    Optional,
    /// Without a valid one there is no connection.
    Required,
}

/// What the handshake learnt about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// SHA-256 of the client certificate's DER bytes.
    pub(crate) certificate: [u8; 32],
    /// Its common name.
    pub(crate) name: Option<String>,
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A bundle of every public authority has a quarter of this.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The present TLS settings.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    /// What new connections use, and the digest of the files it was made from.
    current: Mutex<(Arc<ServerConfig>, Digest)>,
}

type Digest = [u8; 32];

/// The files as they were at one moment.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// The file that cannot be used and why.
    pub(crate) fn load(config: TlsConfig, now: Timestamp) -> Result<Self, IngestError> {
        let files = Files::read(&config)?;
        let server = build(&config, &files, now)?;
        Ok(Self {
            current: Mutex::new((server, files.digest())),
            config,
        })
    }

    /// What a new connection uses.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(
            &self
                .current
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0,
        )
    }

    /// Follows the files for ever.
    pub(crate) async fn follow(self: Arc<Self>, clock: Arc<dyn Clock>, stats: Arc<IngestStats>) {
        let mut follower = Follower::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (tls, now) = (Arc::clone(&self), clock.now());
            let look = move || {
                let change = follower.look(&tls, now);
                (follower, change)
            };
            // The task neither panics nor is aborted while this one runs.
            let Ok((back, change)) = tokio::task::spawn_blocking(look).await else {
                return;
            };
            follower = back;
            match change {
                None => {}
                Some(Ok(())) => {
                    crate::stats::add(&stats.tls_reloads, 1);
                    tracing::info!(cert = %self.config.cert.display(), "TLS certificate loaded again");
                }
                Some(Err(error)) => {
                    crate::stats::add(&stats.tls_reload_errors, 1);
                    tracing::error!(%error, "the changed TLS files cannot be used; the earlier ones stay in force");
                }
            }
        }
    }
}

/// What the follower saw last.
#[derive(Default)]
struct Follower {
    seen: Option<Digest>,
    refused: Refused,
}

/// What was already complained about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Refused {
    #[default]
    Nothing,
    /// Files that cannot be read.
    Unreadable,
    /// Files of this content.
    Content(Digest),
}

impl Follower {
    /// Looks once; says when something was taken or refused.
    fn look(&mut self, tls: &Tls, now: Timestamp) -> Option<Result<(), IngestError>> {
        let files = match Files::read(&tls.config) {
            Ok(files) => files,
            Err(error) => return self.refuse(Refused::Unreadable, error),
        };
        let digest = files.digest();
        let settled = self.seen.replace(digest) == Some(digest);
        let current = tls.current.lock().unwrap_or_else(PoisonError::into_inner).1;
        if digest == current {
            self.refused = Refused::Nothing;
            return None;
        }
        if !settled || self.refused == Refused::Content(digest) {
            return None;
        }
        match build(&tls.config, &files, now) {
            Ok(server) => {
                self.refused = Refused::Nothing;
                *tls.current.lock().unwrap_or_else(PoisonError::into_inner) = (server, digest);
                Some(Ok(()))
            }
            Err(error) => self.refuse(Refused::Content(digest), error),
        }
    }

    fn refuse(&mut self, what: Refused, error: IngestError) -> Option<Result<(), IngestError>> {
        (std::mem::replace(&mut self.refused, what) != what).then_some(Err(error))
    }
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, IngestError> {
        Ok(Self {
            cert: read(&config.cert)?,
            key: read(&config.key)?,
            client_ca: config.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        let files = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        for file in files.into_iter().flatten() {
            hash.update((file.len() as u64).to_be_bytes());
            hash.update(file);
        }
        hash.finalize().into()
    }
}

fn fail(file: &Path, problem: impl Into<String>) -> IngestError {
    IngestError::Tls {
        file: file.to_owned(),
        problem: problem.into(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, IngestError> {
    let unreadable = |error| fail(file, format!("it cannot be read: {error}"));
    let mut content = Vec::new();
    let opened = fs::File::open(file).map_err(unreadable)?;
    opened
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(fail(file, "it is longer than 1 MiB, so it is no PEM file"));
    }
    Ok(content)
}

fn build(
    config: &TlsConfig,
    files: &Files,
    now: Timestamp,
) -> Result<Arc<ServerConfig>, IngestError> {
    let chain = certificates(&config.cert, &files.cert)?;
    check_validity(&config.cert, &chain, now)?;
    let key = private_key(&config.key, &files.key)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(&config.cert, error.to_string()))?;
    let builder = match (config.client_certificates, &config.client_ca) {
        (ClientCertificates::None, None) => builder.with_no_client_auth(),
        (ClientCertificates::None, Some(ca)) => {
            return Err(IngestError::Setting {
                setting: "tls_client_certificates",
                value: "none".into(),
                problem: format!(
                    "the authority {} is named, but nobody is asked for a certificate; write optional or required",
                    ca.display()
                ),
            });
        }
        (wanted, Some(ca)) => {
            let content = files.client_ca.as_deref().unwrap_or_default();
            let roots = authorities(ca, content)?;
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            if wanted == ClientCertificates::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier
                .build()
                .map_err(|error| fail(ca, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        (_, None) => {
            return Err(IngestError::Setting {
                setting: "tls_client_ca",
                value: String::new(),
                problem: "client certificates are asked for; name the file of their authority"
                    .into(),
            });
        }
    };
    check_key(config, &chain, &key, &provider)?;
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| fail(&config.cert, error.to_string()))?;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

fn certificates(file: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, IngestError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(fail(
            file,
            "it holds no certificate; a PEM file has -----BEGIN CERTIFICATE-----",
        )),
        Ok(chain) => Ok(chain),
        Err(error) => Err(fail(file, format!("it is no PEM file: {error}"))),
    }
}

/// Refuses what no client would accept any more. One that is not valid yet is let pass with a
/// warning: the clock of this machine may be the one that is wrong.
fn check_validity(
    file: &Path,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<(), IngestError> {
    for certificate in chain {
        let Some(facts) = der::facts(certificate) else {
            return Err(fail(
                file,
                "it holds something that is no X.509 certificate",
            ));
        };
        if now > facts.not_after {
            let until = facts.not_after;
            return Err(fail(
                file,
                format!("the certificate expired on {until}; renew it"),
            ));
        }
        if now < facts.not_before {
            tracing::warn!(file = %file.display(), from = %facts.not_before, "the TLS certificate is not valid yet");
        }
    }
    Ok(())
}

fn private_key(file: &Path, content: &[u8]) -> Result<PrivateKeyDer<'static>, IngestError> {
    PrivateKeyDer::from_pem_slice(content).map_err(|error| {
        let encrypted = content
            .windows(b"ENCRYPTED".len())
            .any(|at| at == b"ENCRYPTED");
        match error {
            _ if encrypted => fail(
                file,
                "the key is encrypted; write it without a passphrase and readable by this user only",
            ),
            rustls::pki_types::pem::Error::NoItemsFound => fail(
                file,
                "it holds no private key; a PEM file has -----BEGIN PRIVATE KEY-----",
            ),
            error => fail(file, format!("it is no PEM file: {error}")),
        }
    })
}

fn check_key(
    config: &TlsConfig,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<(), IngestError> {
    let signing = provider
        .key_provider
        .load_private_key(key.clone_key())
        .map_err(|error| fail(&config.key, format!("the key cannot be used: {error}")))?;
    let pair = rustls::sign::CertifiedKey::new(chain.to_vec(), signing);
    match pair.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            let cert = config.cert.display();
            let problem = format!("it is not the key of the certificate in {cert}");
            Err(fail(&config.key, problem))
        }
        Err(rustls::Error::InconsistentKeys(_)) | Ok(()) => Ok(()),
        Err(error) => Err(fail(
            &config.cert,
            format!("the certificate cannot be used: {error}"),
        )),
    }
}

fn authorities(file: &Path, content: &[u8]) -> Result<Arc<RootCertStore>, IngestError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, content)? {
        roots
            .add(certificate)
            .map_err(|error| fail(file, format!("a certificate cannot be used: {error}")))?;
    }
    Ok(Arc::new(roots))
}

/// What the handshake of this connection learnt about the client, when it showed a certificate.
fn identity(connection: &CommonState) -> Option<Identity> {
    let certificate = connection.peer_certificates()?.first()?;
    Some(Identity {
        certificate: Sha256::digest(certificate).into(),
        name: der::facts(certificate).and_then(|facts| facts.common_name.map(str::to_owned)),
    })
}

#[cfg(test)]
mod tests;

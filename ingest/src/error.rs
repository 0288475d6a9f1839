//! What can go wrong in this crate besides what a peer does, which never is an error here.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::InvalidPattern;

/// Why ingest cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The listener's address cannot be bound.
    #[error("cannot listen for MQTT on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the listener's TLS settings cannot be used.
    #[error("TLS file {} cannot be used: {problem}", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A setting cannot be used.
    #[error("{setting} {value:?} cannot be used: {problem}")]
    Setting {
        /// The setting's name in the configuration.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A topic pattern is wrong.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
}

impl IngestError {
    /// Whether the same call may succeed later: only an address that is taken now.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

//! Who may publish what: the words a way in and the keeper of credentials share.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::DeviceId;

/// One credential. Never reused, so that a revoked one cannot come back as another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(pub u64);

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What somebody who connects says of itself.
#[derive(Clone, Copy, Default)]
pub struct Claim<'a> {
    /// The MQTT client id, when it is a valid device id and not one we assigned.
    pub client: Option<&'a DeviceId>,
    /// The user name.
    pub user: Option<&'a str>,
    /// The password or bearer token: a device token.
    pub secret: Option<&'a [u8]>,
    /// SHA-256 of the client certificate's DER bytes, when the TLS handshake verified one.
    pub certificate: Option<[u8; 32]>,
    /// The common name of that certificate.
    pub certificate_name: Option<&'a str>,
}

impl fmt::Debug for Claim<'_> {
    /// The secret stays secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("client", &self.client)
            .field("user", &self.user)
            .field("certificate_name", &self.certificate_name)
            .finish_non_exhaustive()
    }
}

/// What a claim was granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The credential behind it; none for somebody who showed none where none is needed.
    pub credential: Option<CredentialId>,
    /// Whose readings may be published and under which client ids.
    pub scope: Scope,
    /// How much.
    pub quota: Quota,
}

/// Whose readings a grant covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's: no credential is needed here.
    Anyone,
    /// One device: the client id is the device's, and topics must name it.
    Device(DeviceId),
    /// A gateway: the client id is this one, and every topic starts with the prefix.
    Gateway {
        /// The only client id it may use.
        client: DeviceId,
        /// What each of its topics starts with, such as `telemetry/hall-3.`.
        topic_prefix: Arc<str>,
    },
}

/// How much may be published; zero means no limit. A sender above it is slowed down, so that
/// nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Messages a second.
    pub messages_per_s: u32,
    /// Payload bytes a second.
    pub bytes_per_s: u32,
}

/// Why a claim was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Credentials are needed and none were shown.
    #[error("no credential was shown")]
    Missing,
    /// The token or the certificate is not known, or was revoked.
    #[error("the credential is not valid")]
    Invalid,
    /// The credential is valid for another client id.
    #[error("the credential belongs to another client id")]
    WrongClient,
}

impl Grant {
    /// What everybody gets where no credential is needed.
    pub const ANYONE: Self = Self {
        credential: None,
        scope: Scope::Anyone,
        quota: Quota {
            messages_per_s: 0,
            bytes_per_s: 0,
        },
    };

    /// Whether readings of `device` may be published on `topic`.
    pub fn allows(&self, device: &DeviceId, topic: &str) -> bool {
        match &self.scope {
            Scope::Anyone => true,
            Scope::Device(own) => own == device,
            Scope::Gateway { topic_prefix, .. } => topic.starts_with(&**topic_prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_its_own_device_or_its_prefix_only() {
        let device = |id: &str| DeviceId::new(id).unwrap();
        let grant = |scope| Grant {
            scope,
            ..Grant::ANYONE
        };
        let gateway = Scope::Gateway {
            client: device("gw"),
            topic_prefix: "telemetry/hall-3.".into(),
        };
        for (scope, topic, expected) in [
            (Scope::Anyone, "telemetry/p1", true),
            (Scope::Device(device("p1")), "telemetry/p1", true),
            (Scope::Device(device("p2")), "telemetry/p1", false),
            (gateway.clone(), "telemetry/p1", false),
            (gateway, "telemetry/hall-3.p1", true),
        ] {
            let grant = grant(scope);
            assert_eq!(grant.allows(&device("p1"), topic), expected, "{grant:?}");
        }
    }

    #[test]
    fn a_claim_never_shows_its_secret() {
        let claim = Claim {
            user: Some("pump-1"),
            secret: Some(b"hunter2"),
            ..Claim::default()
        };
        let text = format!("{claim:?}");
        assert!(text.contains("pump-1") && !text.contains("hunter2") && !text.contains("104"));
    }
}

//! Who may publish in a device's name: tokens and client certificates.
//!
//! A token is 256 random bits, shown once and kept only as its SHA-256. At that entropy a
//! plain hash is as safe as a slow one, costs a microsecond for each connect, and lets a token
//! be found by its hash: comparing secrets byte by byte never happens, so there is no time to
//! measure. Its prefix lets people and secret scanners see what leaked.
//!
//! A certificate counts once it was bound to a device, by its fingerprint or by its name. That
//! the listener's authority signed it is not enough: authorities sign for many purposes.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use telemetry::{CredentialId, DeviceId, Quota, Timestamp};

use crate::{InvalidText, TopicPrefix};

/// What every token starts with.
pub const TOKEN_PREFIX: &str = "bw_";
/// 256 bits: not to be guessed at any rate a network carries.
const TOKEN_BYTES: usize = 32;
/// Valid credentials of one device: the one in use, the next one while they are exchanged, and
/// room for a fleet tool that does so carelessly.
pub const MAX_CREDENTIALS_PER_DEVICE: usize = 16;

/// Whether somebody without a credential may publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Yes, for everybody's devices. A token or certificate that is shown must be valid all
    /// the same, so that a device with a wrong one learns of it early.
    #[default]
    Open,
    /// No.
    Required,
}

/// How a credential is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// By a token, as MQTT password or HTTP bearer.
    Token,
    /// By the client certificate with this fingerprint.
    Certificate,
    /// By any client certificate the listener's authority signed whose common name is the
    /// device id.
    CertificateName,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Token, Self::Certificate, Self::CertificateName];

    /// The word in database and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::CertificateName => "certificate_name",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A credential as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id, never given twice.
    pub id: CredentialId,
    /// In whose name it publishes, and the only client id it may use.
    pub device: DeviceId,
    /// How it is proven.
    pub kind: CredentialKind,
    /// The SHA-256 of the certificate as hexadecimal digits; none for tokens and names.
    pub fingerprint: Option<String>,
    /// A gateway's: what each of its topics starts with. Without one it publishes for its own
    /// device only.
    pub topic_prefix: Option<TopicPrefix>,
    /// How much it may publish.
    pub quota: Quota,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody was let in with it last.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; it lets nobody in since.
    pub revoked_at: Option<Timestamp>,
}

/// What a new credential may do; what is none comes from the device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSpec {
    /// For a gateway: what each of its topics starts with.
    pub topic_prefix: Option<TopicPrefix>,
    /// How much it may publish.
    pub quota: Option<Quota>,
}

/// A token that was just made. This is the only time it is seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// In whose name it publishes.
    pub device: DeviceId,
    /// The id to revoke it by.
    pub credential: CredentialId,
    /// The secret.
    pub token: String,
}

impl fmt::Debug for IssuedToken {
    /// The secret stays secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("device", &self.device)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// By what a certificate is recognised: 64 hexadecimal digits, or the word `name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateBinding {
    /// The SHA-256 of its DER bytes.
    Fingerprint([u8; 32]),
    /// Its common name, which has to be the device id.
    CommonName,
}

const BINDING_RULE: &str = "use the SHA-256 fingerprint of the certificate as 64 hexadecimal digits (colons are allowed), or the word name";

impl FromStr for CertificateBinding {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        if text == "name" {
            return Ok(Self::CommonName);
        }
        let refused = || InvalidText {
            kind: "certificate",
            text: text.chars().take(80).collect(),
            rule: BINDING_RULE,
        };
        let digits = text
            .bytes()
            .filter(|byte| *byte != b':')
            .map(|byte| char::from(byte).to_digit(16))
            .collect::<Option<Vec<u32>>>()
            .filter(|digits| digits.len() == 64)
            .ok_or_else(refused)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(Self::Fingerprint(bytes))
    }
}

impl fmt::Display for CertificateBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(bytes) => f.write_str(&hex(bytes)),
            Self::CommonName => f.write_str("name"),
        }
    }
}

impl Serialize for CertificateBinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CertificateBinding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A new token and what is kept of it.
pub(crate) fn new_token(random: &mut impl CryptoRng) -> (String, [u8; 32]) {
    let mut bytes = [0; TOKEN_BYTES];
    random.fill_bytes(&mut bytes);
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = sha256(token.as_bytes());
    (token, hash)
}

/// What is kept of a token.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_token_carries_256_random_bits_and_only_its_hash_is_kept() {
        let mut random = StdRng::seed_from_u64(7);
        let (token, hash) = new_token(&mut random);
        let (other, _) = new_token(&mut random);
        assert_ne!(token, other);
        let bits = URL_SAFE_NO_PAD
            .decode(&token[TOKEN_PREFIX.len()..])
            .unwrap();
        assert_eq!(bits.len() * 8, 256);
        assert_eq!(sha256(token.as_bytes()), hash);
        let shown = format!(
            "{:?}",
            IssuedToken {
                device: DeviceId::new("p1").unwrap(),
                credential: CredentialId(1),
                token: token.clone(),
            }
        );
        assert!(shown.contains("p1") && !shown.contains(&token), "{shown}");
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_certificate_is_named_by_its_fingerprint_as_openssl_prints_it() {
        let plain = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pairs: Vec<String> = plain
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        for text in [plain.to_owned(), pairs.join(":")] {
            let binding: CertificateBinding = text.parse().unwrap();
            assert_eq!(binding.to_string(), plain);
        }
        assert_eq!("name".parse(), Ok(CertificateBinding::CommonName));
        for bad in [
            "",
            "Name",
            "ba78",
            &format!("{plain}0"),
            &plain.replace('a', "g"),
        ] {
            assert!(bad.parse::<CertificateBinding>().is_err(), "{bad}");
        }
    }
}

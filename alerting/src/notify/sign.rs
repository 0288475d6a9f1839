//! Signatures by which a receiver knows who wrote.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// HMAC-SHA-256 of `data` under `key`, in base 64.
///
/// # Panics
/// Never: HMAC takes keys of any length.
pub fn hmac_base64(key: &[u8], data: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is taken");
    mac.update(data);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// The value of the header `webhook-signature`: `v1,` and the signature over id, time in whole
/// seconds and body, joined by dots. Who receives compares it, and the time with its own clock,
/// so that a message that was caught on its way cannot be sent again later.
///
/// # Source
/// Standard Webhooks 1.0.0, "Signature scheme".
pub fn webhook_signature(secret: &str, id: &str, secs: i64, body: &[u8]) -> String {
    let mut data = format!("{id}.{secs}.").into_bytes();
    data.extend_from_slice(body);
    format!("v1,{}", hmac_base64(secret.as_bytes(), &data))
}

/// The signature of a DingTalk robot: over time in milliseconds and secret, under the secret.
pub fn dingtalk(secret: &str, millis: i64) -> String {
    hmac_base64(secret.as_bytes(), format!("{millis}\n{secret}").as_bytes())
}

/// The signature of a Feishu robot: over nothing, under time in seconds and secret.
pub fn feishu(secret: &str, secs: i64) -> String {
    hmac_base64(format!("{secs}\n{secret}").as_bytes(), b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyed_hash_is_that_of_the_standard() {
        // RFC 4231, test case 2 (5bdcc146bf60…), as base 64.
        assert_eq!(
            hmac_base64(b"Jefe", b"what do ya want for nothing?"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
    }

    #[test]
    fn each_service_is_signed_as_it_says() {
        // Python: base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).
        assert_eq!(
            webhook_signature("s3cret", "N-1", 1_763_794_800, b"{}"),
            "v1,kIjqFPvpEC0V07s8etV24z7jgv9ofb3ImC9DINoqhaw="
        );
        assert_eq!(
            dingtalk("SECdemo", 1_763_794_800_000),
            "34OOU4sRQLrSRQy8LKlE/KZo1wLuvYcN5FBn/AIXWYc="
        );
        assert_eq!(
            feishu("demo", 1_763_794_800),
            "0KRd7ov7hz/vUiJycR9Ecp0jnOMInhAf0ue2iT8/wUk="
        );
    }
}

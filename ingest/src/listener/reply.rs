//! What we send: acknowledgements by hand (four bytes each), the rest through the codec.

use bytes::BytesMut;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};

use super::wire::{Fault, Version};

/// Why the listener ends a connection, in words of MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The peer broke the protocol.
    Fault(Fault),
    /// The same client id connected again.
    TakenOver,
    /// The credential is no longer valid.
    Revoked,
    /// Nothing came for one and a half keep-alives.
    KeepAlive,
    /// The listener is being shut down.
    Shutdown,
    /// The journal refused an append.
    JournalFailed,
}

impl Farewell {
    fn reason(self) -> v5::DisconnectReasonCode {
        use v5::DisconnectReasonCode as Code;
        match self {
            Self::Fault(Fault::Malformed(_)) => Code::MalformedPacket,
            Self::Fault(Fault::Protocol(_)) => Code::ProtocolError,
            Self::Fault(Fault::TooLarge) => Code::PacketTooLarge,
            Self::Fault(Fault::TopicAlias) => Code::TopicAliasInvalid,
            Self::Fault(Fault::ReceiveMaximum) => Code::ReceiveMaximumExceeded,
            Self::Fault(Fault::Retain) => Code::RetainNotSupported,
            Self::TakenOver => Code::SessionTakenOver,
            Self::Revoked => Code::NotAuthorized,
            Self::KeepAlive => Code::KeepAliveTimeout,
            Self::Shutdown => Code::ServerShuttingDown,
            Self::JournalFailed => Code::ServerBusy,
        }
    }

    /// The DISCONNECT of MQTT 5; MQTT 3.1.1 has none from a server. By hand, because the codec
    /// counts the length of one without properties a byte short.
    pub(crate) fn write(self, version: Version, out: &mut BytesMut) {
        if version == Version::V5 {
            out.extend_from_slice(&[0xe0, 2, self.reason() as u8, 0]);
        }
    }
}

/// Appends a PUBACK; `refused` is told to MQTT 5 only, because MQTT 3.1.1 cannot refuse.
pub(crate) fn puback(id: u16, refused: bool, version: Version, out: &mut Vec<u8>) {
    short(0x40, id, refused && version == Version::V5, out);
}

/// Appends a PUBREC, in the same way.
pub(crate) fn pubrec(id: u16, refused: bool, version: Version, out: &mut Vec<u8>) {
    short(0x50, id, refused && version == Version::V5, out);
}

/// "Not authorized" in PUBACK and PUBREC of MQTT 5.
const NOT_AUTHORIZED: u8 = 0x87;

/// An acknowledgement without properties: without a reason it is the same in both versions.
fn short(first: u8, id: u16, refused: bool, out: &mut Vec<u8>) {
    let [high, low] = id.to_be_bytes();
    if refused {
        out.extend_from_slice(&[first, 3, high, low, NOT_AUTHORIZED]);
    } else {
        out.extend_from_slice(&[first, 2, high, low]);
    }
}

/// Appends a PUBLISH with `QoS` 0, unless it is longer than the client takes; says whether.
pub(crate) fn publish(
    topic: &str,
    payload: &[u8],
    version: Version,
    max_packet: Option<u32>,
    out: &mut BytesMut,
) -> bool {
    let Ok(topic_len) = u16::try_from(topic.len()) else {
        return false;
    };
    let body = 2 + topic.len() + usize::from(version == Version::V5) + payload.len();
    let start = out.len();
    out.extend_from_slice(&[0x30]);
    let mut rest = body;
    loop {
        let more = if rest > 127 { 0x80 } else { 0 };
        out.extend_from_slice(&[(rest % 128) as u8 | more]);
        rest /= 128;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&topic_len.to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    if version == Version::V5 {
        out.extend_from_slice(&[0]);
    }
    out.extend_from_slice(payload);
    let fits = max_packet.is_none_or(|max| out.len() - start <= max as usize);
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Appends a PUBCOMP; MQTT 5 is told when the id was not known.
pub(crate) fn pubcomp(id: u16, known: bool, version: Version, out: &mut BytesMut) {
    if known || version == Version::V4 {
        let [high, low] = id.to_be_bytes();
        out.extend_from_slice(&[0x70, 2, high, low]);
    } else {
        let packet = v5::PubComp {
            pkid: id,
            reason: v5::PubCompReason::PacketIdentifierNotFound,
            properties: None,
        };
        let _ = packet.write(out);
    }
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownVersion,
    ClientId,
    /// The connection that holds the client id did not end in time.
    Unavailable,
    AuthenticationMethod,
    /// A credential that is not known, or was revoked.
    BadLogin,
    /// No credential where one is needed, or that of another client id.
    NotAuthorized,
    Fault(Fault),
}

/// The CONNACK of a refusal. MQTT 3.1.1 has no code for a broken packet: it is closed without.
pub(crate) fn refuse(refusal: Refusal, version: Version, out: &mut BytesMut) {
    use v5::ConnectReturnCode as Code;
    if version == Version::V5 {
        let code = match refusal {
            Refusal::UnknownVersion => Code::UnsupportedProtocolVersion,
            Refusal::ClientId => Code::ClientIdentifierNotValid,
            Refusal::Unavailable => Code::ServerUnavailable,
            Refusal::AuthenticationMethod => Code::BadAuthenticationMethod,
            Refusal::BadLogin => Code::BadUserNamePassword,
            Refusal::NotAuthorized => Code::NotAuthorized,
            Refusal::Fault(Fault::Retain) => Code::RetainNotSupported,
            Refusal::Fault(Fault::TooLarge) => Code::PacketTooLarge,
            Refusal::Fault(Fault::Protocol(_)) => Code::ProtocolError,
            Refusal::Fault(_) => Code::MalformedPacket,
        };
        let packet = v5::ConnAck {
            session_present: false,
            code,
            properties: None,
        };
        let _ = packet.write(out);
        return;
    }
    let code = match refusal {
        Refusal::UnknownVersion => v4::ConnectReturnCode::RefusedProtocolVersion,
        Refusal::ClientId => v4::ConnectReturnCode::BadClientId,
        Refusal::Unavailable => v4::ConnectReturnCode::ServiceUnavailable,
        Refusal::BadLogin => v4::ConnectReturnCode::BadUserNamePassword,
        Refusal::AuthenticationMethod | Refusal::NotAuthorized => {
            v4::ConnectReturnCode::NotAuthorized
        }
        Refusal::Fault(_) => return,
    };
    let _ = v4::ConnAck::new(code, false).write(out);
}

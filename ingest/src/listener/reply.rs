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
            Self::TakenOver => Code::SessionTakenOver,
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

/// Appends a PUBACK; the short form is the same in both versions.
pub(crate) fn puback(id: u16, out: &mut Vec<u8>) {
    short(0x40, id, out);
}

/// Appends a PUBREC.
pub(crate) fn pubrec(id: u16, out: &mut Vec<u8>) {
    short(0x50, id, out);
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

fn short(first: u8, id: u16, out: &mut Vec<u8>) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownVersion,
    ClientId,
    /// The connection that holds the client id did not end in time.
    Unavailable,
    AuthenticationMethod,
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
        Refusal::AuthenticationMethod => v4::ConnectReturnCode::NotAuthorized,
        Refusal::Fault(_) => return,
    };
    let _ = v4::ConnAck::new(code, false).write(out);
}

//! CONNECT and its answer.

use std::{fmt, str, time::Duration};

use bytes::{Bytes, BytesMut};
use rand::Rng as _;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};
use telemetry::DeviceId;

use super::{
    ListenerConfig,
    reply::Refusal,
    wire::{Fault, Fields, Frame, Version, packet},
};

/// A CONNECT that can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client: DeviceId,
    /// Whether we chose the client id, because the client sent none.
    pub(crate) assigned: bool,
    /// Whether an earlier session is to be forgotten.
    pub(crate) clean: bool,
    /// How long the session is kept after this connection.
    pub(crate) expiry: Duration,
    /// The expiry to tell the client, when it is less than it asked for.
    expiry_told: Option<Duration>,
    /// The keep-alive in force; never zero.
    pub(crate) keep_alive: Duration,
    /// The keep-alive to tell the client, when it is not the one it asked for.
    keep_alive_told: Option<Duration>,
    /// The largest packet the client takes.
    pub(crate) max_packet_out: Option<u32>,
    /// How long after a connection that broke its will counts.
    pub(crate) will_delay: Duration,
    /// A will that means something to the decoder.
    pub(crate) will: Option<Box<Will>>,
    /// What it shows of itself; taken out when it was looked at.
    pub(crate) login: Option<Box<Login>>,
}

/// The death certificate of a Sparkplug edge node; other wills only mean that their client is
/// gone, whatever they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
}

impl Will {
    fn new(topic: &[u8], payload: &[u8]) -> Option<Box<Self>> {
        let topic = str::from_utf8(topic).ok()?;
        let mut levels = topic.split('/');
        let is_death = levels.next() == Some("spBv1.0") && levels.nth(1) == Some("NDEATH");
        is_death.then(|| {
            // A copy, because the payload is a slice of the whole CONNECT.
            let (topic, payload) = (topic.to_owned(), Bytes::copy_from_slice(payload));
            Box::new(Self { topic, payload })
        })
    }
}

/// User name and password, where they are not empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) secret: Option<String>,
}

impl fmt::Debug for Login {
    /// The secret stays secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Login {
    fn new(user: String, secret: String) -> Option<Box<Self>> {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let login = Self {
            user: some(user),
            secret: some(secret),
        };
        (login != Self::default()).then(|| Box::new(login))
    }
}

/// A CONNECT that is refused, with the version to answer in.
type Refused = (Version, Refusal);

/// A CONNECT as the codec reads it, of either version.
struct Parsed {
    client_id: String,
    clean: bool,
    keep_alive: u16,
    expiry_s: u32,
    max_packet_out: Option<u32>,
    will_delay_s: u32,
    will: Option<Box<Will>>,
    login: Option<Box<Login>>,
}

/// Whether the first byte of a connection can be that of a CONNECT; everything else is cut off
/// without waiting for more.
pub(crate) fn starts_connect(first: u8) -> bool {
    first == packet::CONNECT << 4
}

/// Reads a CONNECT frame.
pub(crate) fn read(
    frame: Frame,
    bytes: &[u8],
    config: &ListenerConfig,
) -> Result<Connect, Refused> {
    let version = version(&bytes[frame.header..frame.len])?;
    let parsed = match version {
        Version::V4 => parse_v4(frame, bytes),
        Version::V5 => parse_v5(frame, bytes),
    };
    let parsed = parsed.map_err(|refusal| (version, refusal))?;
    let assigned = parsed.client_id.is_empty();
    if assigned && version == Version::V4 && !parsed.clean {
        return Err((version, Refusal::ClientId));
    }
    let client = if assigned {
        DeviceId::new(&format!("auto-{:016x}", rand::rng().next_u64()))
    } else {
        DeviceId::new(&parsed.client_id)
    };
    let client = client.map_err(|_| (version, Refusal::ClientId))?;
    let wished = Duration::from_secs(u64::from(parsed.keep_alive));
    let keep_alive_told =
        (wished.is_zero() || wished > config.keep_alive_max).then_some(config.keep_alive_max);
    let expiry = Duration::from_secs(u64::from(parsed.expiry_s));
    Ok(Connect {
        version,
        client,
        assigned,
        clean: parsed.clean,
        expiry: expiry.min(config.session_expiry_max),
        expiry_told: (expiry > config.session_expiry_max).then_some(config.session_expiry_max),
        keep_alive: keep_alive_told.unwrap_or(wished),
        keep_alive_told,
        max_packet_out: parsed.max_packet_out,
        will_delay: Duration::from_secs(u64::from(parsed.will_delay_s)),
        will: parsed.will,
        login: parsed.login,
    })
}

/// The version, from protocol name and level.
fn version(body: &[u8]) -> Result<Version, Refused> {
    let fault = |fault| (Version::V4, Refusal::Fault(fault));
    let mut fields = Fields(body);
    let name = fields.text().map_err(fault)?;
    let level = fields.u8().map_err(fault)?;
    let flags = fields.u8().map_err(fault)?;
    let version = match (name, level) {
        ("MQTT", 4) => Version::V4,
        ("MQTT", 5) => Version::V5,
        ("MQTT", 6..) => return Err((Version::V5, Refusal::UnknownVersion)),
        ("MQTT" | "MQIsdp", _) => return Err((Version::V4, Refusal::UnknownVersion)),
        _ => return Err(fault(Fault::Protocol("a protocol other than MQTT"))),
    };
    let refuse = |fault| Err((version, Refusal::Fault(fault)));
    if flags & 1 != 0 {
        return refuse(Fault::Malformed("a reserved flag of CONNECT"));
    }
    if version == Version::V4 && flags & 0b1100_0000 == 0b0100_0000 {
        return refuse(Fault::Protocol("a password without a user name"));
    }
    Ok(version)
}

/// Bytes that the codec leaves out when it measures a login whose parts are flagged and empty.
fn empty_login_bytes(flags: u8, user: &str, password: &str) -> usize {
    let user = if flags & 0x80 != 0 && user.is_empty() {
        2
    } else {
        0
    };
    let password = if flags & 0x40 != 0 && password.is_empty() {
        2
    } else {
        0
    };
    user + password
}

/// The flags of a CONNECT whose fields up to them were read before.
fn flags(frame: Frame, bytes: &[u8]) -> u8 {
    bytes.get(frame.header + 7).copied().unwrap_or(0)
}

/// Refuses a packet that is longer than its content: bytes after the last field, properties
/// beyond their length, a property twice. The codec reads over all three.
pub(super) fn check_len(frame: Frame, content: usize) -> Result<(), Fault> {
    let body = frame.len - frame.header;
    let header = match body {
        0..=127 => 2,
        128..=16_383 => 3,
        16_384..=2_097_151 => 4,
        _ => 5,
    };
    if content == header + body {
        Ok(())
    } else {
        Err(Fault::Malformed(
            "a packet that is not as long as its content",
        ))
    }
}

fn check_will_topic(topic: &[u8]) -> Result<(), Fault> {
    match str::from_utf8(topic) {
        Ok(topic) if topic.is_empty() || topic.contains(['+', '#', '\0']) => {
            Err(Fault::Protocol("a will topic that is no topic name"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::Malformed("a will topic that is no UTF-8")),
    }
}

fn parse_v4(frame: Frame, bytes: &[u8]) -> Result<Parsed, Refusal> {
    let mut stream = BytesMut::from(&bytes[..frame.len]);
    let Ok(v4::Packet::Connect(connect)) = v4::Packet::read(&mut stream, frame.len) else {
        return Err(Refusal::Fault(Fault::Malformed("CONNECT")));
    };
    let (user, password) = connect
        .login
        .as_ref()
        .map_or(("", ""), |login| (&login.username, &login.password));
    let content = connect.size() + empty_login_bytes(flags(frame, bytes), user, password);
    check_len(frame, content).map_err(Refusal::Fault)?;
    if let Some(will) = &connect.last_will {
        check_will_topic(will.topic.as_bytes()).map_err(Refusal::Fault)?;
    }
    Ok(Parsed {
        client_id: connect.client_id,
        clean: connect.clean_session,
        keep_alive: connect.keep_alive,
        // MQTT 3.1.1 keeps a session without end; we keep it as long as we keep any.
        expiry_s: if connect.clean_session { 0 } else { u32::MAX },
        max_packet_out: None,
        will_delay_s: 0,
        will: connect
            .last_will
            .and_then(|will| Will::new(will.topic.as_bytes(), &will.message)),
        login: connect
            .login
            .and_then(|login| Login::new(login.username, login.password)),
    })
}

fn parse_v5(frame: Frame, bytes: &[u8]) -> Result<Parsed, Refusal> {
    let mut stream = BytesMut::from(&bytes[..frame.len]);
    let packet = v5::Packet::read(&mut stream, u32::try_from(frame.len).ok());
    let Ok(v5::Packet::Connect(connect, will, login)) = packet else {
        return Err(Refusal::Fault(Fault::Malformed("CONNECT")));
    };
    let (user, password) = login
        .as_ref()
        .map_or(("", ""), |login| (&login.username, &login.password));
    let content =
        connect.size(&will, &login) + empty_login_bytes(flags(frame, bytes), user, password);
    check_len(frame, content).map_err(Refusal::Fault)?;
    if let Some(will) = &will {
        check_will_topic(&will.topic).map_err(Refusal::Fault)?;
        if will.retain {
            return Err(Refusal::Fault(Fault::Retain));
        }
    }
    let properties = will.as_ref().and_then(|will| will.properties.as_ref());
    let will_delay = properties.and_then(|properties| properties.delay_interval);
    let mut parsed = Parsed {
        client_id: connect.client_id,
        clean: connect.clean_start,
        keep_alive: connect.keep_alive,
        expiry_s: 0,
        max_packet_out: None,
        will_delay_s: will_delay.unwrap_or(0),
        will: will.and_then(|will| Will::new(&will.topic, &will.message)),
        login: login.and_then(|login| Login::new(login.username, login.password)),
    };
    if let Some(properties) = connect.properties {
        if properties.authentication_method.is_some() {
            return Err(Refusal::AuthenticationMethod);
        }
        let zero_or_wild = properties.receive_maximum == Some(0)
            || properties.max_packet_size == Some(0)
            || properties.request_problem_info.is_some_and(|flag| flag > 1)
            || properties
                .request_response_info
                .is_some_and(|flag| flag > 1)
            || properties.authentication_data.is_some();
        if zero_or_wild {
            let fault = Fault::Protocol("a property of CONNECT out of its range");
            return Err(Refusal::Fault(fault));
        }
        parsed.expiry_s = properties.session_expiry_interval.unwrap_or(0);
        parsed.max_packet_out = properties.max_packet_size;
    }
    Ok(parsed)
}

impl Connect {
    /// The CONNACK that accepts this CONNECT and says what the listener offers.
    ///
    /// # Errors
    /// The client takes no packet that long.
    pub(crate) fn accept(
        &self,
        session_present: bool,
        receive_maximum: u16,
        config: &ListenerConfig,
        out: &mut BytesMut,
    ) -> Result<(), Fault> {
        let written = match self.version {
            Version::V4 => v4::ConnAck::new(v4::ConnectReturnCode::Success, session_present)
                .write(out)
                .is_ok(),
            Version::V5 => {
                let packet = v5::Packet::ConnAck(v5::ConnAck {
                    session_present,
                    code: v5::ConnectReturnCode::Success,
                    properties: Some(self.offer(receive_maximum, config)),
                });
                packet.write(out, self.max_packet_out).is_ok()
            }
        };
        if written {
            Ok(())
        } else {
            Err(Fault::TooLarge)
        }
    }

    fn offer(&self, receive_maximum: u16, config: &ListenerConfig) -> v5::ConnAckProperties {
        let secs = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        v5::ConnAckProperties {
            session_expiry_interval: self.expiry_told.map(secs),
            receive_max: Some(receive_maximum),
            max_qos: None,
            retain_available: Some(0),
            max_packet_size: u32::try_from(config.max_packet_bytes).ok(),
            assigned_client_identifier: self.assigned.then(|| self.client.to_string()),
            // Absent means zero: no topic aliases.
            topic_alias_max: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: Some(0),
            subscription_identifiers_available: Some(0),
            shared_subscription_available: Some(0),
            server_keep_alive: self
                .keep_alive_told
                .map(|told| u16::try_from(told.as_secs()).unwrap_or(u16::MAX)),
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

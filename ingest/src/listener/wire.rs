//! Frames, and the one packet that is read by hand.
//!
//! The library's codec reads every packet but PUBLISH, whose fields are taken as slices of the
//! read buffer: the codec makes a `String` or two reference-counted slices a message and does
//! not check what the standard asks of a topic and of properties, so that the checks would
//! have to walk the packet again (figures in `benches/decode.rs`). That both readings agree
//! is a property test.
//!
//! The length field is checked against the limit before anything is reserved for it.

use std::str;

/// The protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.0.
    V5,
}

/// Packet types by their number in the first byte.
pub(crate) mod packet {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const DISCONNECT: u8 = 14;
}

/// What a peer did against the standard or our limits; the variants are the reason codes of
/// MQTT 5 that tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed(&'static str),
    Protocol(&'static str),
    TooLarge,
    TopicAlias,
    ReceiveMaximum,
    /// A retained message, which we said we do not keep.
    Retain,
}

/// A whole packet at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Type and flags.
    pub(crate) first: u8,
    /// Bytes before the body.
    pub(crate) header: usize,
    /// Bytes of header and body.
    pub(crate) len: usize,
}

/// What stands at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Whole(Frame),
    /// So many more bytes are needed, at least.
    Partial(usize),
}

/// Finds the packet at the start of `bytes`.
///
/// # Errors
/// A length field that is not one, or that exceeds `max_len`.
pub(crate) fn frame(bytes: &[u8], max_len: usize) -> Result<Framing, Fault> {
    let (Some(&first), rest) = (bytes.first(), bytes.get(1..).unwrap_or_default()) else {
        return Ok(Framing::Partial(2));
    };
    match length(bytes) {
        Some((_, len)) if len > max_len => Err(Fault::TooLarge),
        Some((header, len)) => Ok(match len.checked_sub(bytes.len()) {
            Some(missing) if missing > 0 => Framing::Partial(missing),
            _ => Framing::Whole(Frame { first, header, len }),
        }),
        None if rest.len() >= 4 => Err(Fault::Malformed(
            "the length field is longer than four bytes",
        )),
        None => Ok(Framing::Partial(1)),
    }
}

/// The length of the fixed header and of the whole packet, when the length field is there.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0_usize;
    for (at, &byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let header = at + 2;
            return Some((header, header + length));
        }
    }
    None
}

/// What the start of a PUBLISH that is too long tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overlong<'a> {
    /// The topic, when it has arrived and can be one.
    pub(crate) topic: Option<&'a str>,
    /// What arrived behind the topic.
    pub(crate) rest: &'a [u8],
    /// Bytes of the whole packet.
    pub(crate) len: usize,
    /// So many more bytes tell the topic; zero when they would tell nothing.
    pub(crate) missing: usize,
}

/// Topics beyond it are not waited for.
const MAX_OVERLONG_TOPIC: usize = 1_024;

/// Looks at a packet that [`frame`] found to be too long; none when it is no PUBLISH.
pub(crate) fn overlong(bytes: &[u8]) -> Option<Overlong<'_>> {
    let (header, len) = length(bytes)?;
    if bytes[0] >> 4 != packet::PUBLISH {
        return None;
    }
    let body = &bytes[header..];
    let short = |missing| Overlong {
        topic: None,
        rest: body,
        len,
        missing,
    };
    let Some((head, behind)) = body.split_at_checked(2) else {
        return Some(short(2 - body.len()));
    };
    let topic_len = usize::from(u16::from_be_bytes([head[0], head[1]]));
    if topic_len > MAX_OVERLONG_TOPIC {
        return Some(short(0));
    }
    let Some((topic, rest)) = behind.split_at_checked(topic_len) else {
        return Some(short(topic_len - behind.len()));
    };
    Some(Overlong {
        topic: str::from_utf8(topic).ok(),
        rest,
        len,
        missing: 0,
    })
}

/// A PUBLISH as slices of the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    /// Zero with `QoS` 0.
    pub(crate) id: u16,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    /// Only MQTT 5 has these two.
    pub(crate) content_type: Option<&'a str>,
    pub(crate) users: Users<'a>,
}

/// The user properties of a PUBLISH: its checked property block, when there are any in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Users<'a>(&'a [u8]);

/// Reads a PUBLISH and refuses what the standard forbids in one.
pub(crate) fn publish(first: u8, body: &[u8], version: Version) -> Result<Publish<'_>, Fault> {
    let qos = (first >> 1) & 0b11;
    let dup = first & 0b1000 != 0;
    if qos == 3 {
        return Err(Fault::Malformed("QoS 3"));
    }
    if dup && qos == 0 {
        return Err(Fault::Malformed("DUP with QoS 0"));
    }
    let mut fields = Fields(body);
    let topic = fields.text()?;
    let id = if qos > 0 { fields.u16()? } else { 0 };
    if qos > 0 && id == 0 {
        return Err(Fault::Protocol("packet id 0"));
    }
    let (content_type, users) = match version {
        Version::V4 => (None, Users::default()),
        Version::V5 => publish_properties(&mut fields)?,
    };
    if version == Version::V5 && first & 1 != 0 {
        return Err(Fault::Retain);
    }
    if topic.is_empty() {
        return Err(Fault::Protocol("an empty topic name"));
    }
    if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(Fault::Protocol("a wildcard in a topic name"));
    }
    Ok(Publish {
        qos,
        dup,
        id,
        topic,
        payload: fields.0,
        content_type,
        users,
    })
}

/// Walks the properties of a PUBLISH. Each must be one that a client may send, once, and within
/// the stated length. Only content type and user properties matter to us.
fn publish_properties<'a>(fields: &mut Fields<'a>) -> Result<(Option<&'a str>, Users<'a>), Fault> {
    let len = fields.varint()?;
    let (mut content_type, mut users) = (None, Users::default());
    if len == 0 {
        return Ok((content_type, users));
    }
    let block = fields.split(len)?;
    let mut properties = Fields(block);
    let mut seen = 0_u64;
    while !properties.0.is_empty() {
        let id = properties.u8()?;
        match id {
            0x01 if properties.u8()? > 1 => {
                return Err(Fault::Protocol("payload format indicator above 1"));
            }
            0x01 => {}
            0x02 => {
                properties.split(4)?;
            }
            0x03 => content_type = Some(properties.text()?),
            0x08 => {
                let topic = properties.text()?;
                if topic.is_empty() || topic.contains(['+', '#']) {
                    return Err(Fault::Protocol("a response topic that is no topic name"));
                }
            }
            0x09 => {
                let len = properties.u16()?;
                properties.split(usize::from(len))?;
            }
            0x0b => return Err(Fault::Protocol("a subscription identifier from a client")),
            // Topic Alias Maximum is 0: no alias is valid.
            0x23 => return Err(Fault::TopicAlias),
            0x26 => {
                properties.text()?;
                properties.text()?;
                users = Users(block);
                continue;
            }
            _ => {
                return Err(Fault::Malformed(
                    "a property that does not belong to PUBLISH",
                ));
            }
        }
        if seen & (1 << id) != 0 {
            return Err(Fault::Protocol("a property that stands twice"));
        }
        seen |= 1 << id;
    }
    Ok((content_type, users))
}

impl Users<'_> {
    /// Names and values in order, at most `most`.
    pub(crate) fn to_vec(self, most: usize) -> Vec<(String, String)> {
        let mut fields = Fields(self.0);
        let mut users = Vec::new();
        while users.len() < most
            && let Some(user) = next_user(&mut fields)
        {
            users.push(user);
        }
        users
    }
}

/// The next user property of a block that was checked before.
fn next_user(fields: &mut Fields<'_>) -> Option<(String, String)> {
    loop {
        match fields.u8().ok()? {
            0x26 => {
                let (name, value) = (fields.text().ok()?, fields.text().ok()?);
                return Some((name.into(), value.into()));
            }
            0x01 => drop(fields.u8().ok()?),
            0x02 => drop(fields.split(4).ok()?),
            0x09 => {
                let len = fields.u16().ok()?;
                fields.split(usize::from(len)).ok()?;
            }
            _ => drop(fields.text().ok()?),
        }
    }
}

/// The rest of a packet's fields; every step checks that the bytes are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

const TRUNCATED: Fault = Fault::Malformed("a field reaches beyond its packet");

impl<'a> Fields<'a> {
    pub(crate) fn split(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.split(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.split(2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A variable byte integer.
    pub(crate) fn varint(&mut self) -> Result<usize, Fault> {
        let mut value = 0_usize;
        for at in 0..4 {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Malformed("a length longer than four bytes"))
    }

    /// A UTF-8 string without NUL (MQTT 1.5.3 and 1.5.4).
    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        let len = self.u16()?;
        let bytes = self.split(usize::from(len))?;
        let text =
            str::from_utf8(bytes).map_err(|_| Fault::Malformed("a string that is no UTF-8"))?;
        if bytes.contains(&0) {
            return Err(Fault::Malformed("NUL in a string"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rumqttc::{mqttbytes as v4, v5::mqttbytes as v5};

    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        // 0xff 0xff 0xff 0x7f is the largest length the standard knows: 268,435,455.
        assert_eq!(
            frame(&[0x30, 0xff, 0xff, 0xff, 0x7f], MAX),
            Err(Fault::TooLarge)
        );
        assert_eq!(
            frame(&[0x30, 0xe6, 0x07], MAX),
            Err(Fault::TooLarge),
            "998 + 3 header bytes"
        );
        assert_eq!(frame(&[0x30, 0xe5, 0x07], MAX), Ok(Framing::Partial(997)));
        for endless in [
            &[0x30, 0x80, 0x80, 0x80, 0x80][..],
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            assert!(matches!(frame(endless, MAX), Err(Fault::Malformed(_))));
        }
    }

    #[test]
    fn frames_say_how_many_bytes_are_missing() {
        assert_eq!(frame(&[], MAX), Ok(Framing::Partial(2)));
        assert_eq!(frame(&[0xc0], MAX), Ok(Framing::Partial(1)));
        assert_eq!(frame(&[0x30, 0x80], MAX), Ok(Framing::Partial(1)));
        assert_eq!(frame(&[0x30, 3, 0], MAX), Ok(Framing::Partial(2)));
        let whole = Frame {
            first: 0xc0,
            header: 2,
            len: 2,
        };
        assert_eq!(frame(&[0xc0, 0], MAX), Ok(Framing::Whole(whole)));
        assert_eq!(frame(&[0xc0, 0, 0x30], MAX), Ok(Framing::Whole(whole)));
    }

    fn agree(bytes: &[u8], version: Version) -> Result<(), TestCaseError> {
        let mut stream = BytesMut::from(bytes);
        let theirs = match version {
            Version::V4 => match v4::v4::Packet::read(&mut stream, MAX) {
                Ok(v4::v4::Packet::Publish(p)) => {
                    Some((p.qos as u8, p.dup, p.pkid, p.topic.into_bytes(), p.payload))
                }
                _ => None,
            },
            Version::V5 => match v5::v5::Packet::read(&mut stream, Some(MAX as u32)) {
                Ok(v5::v5::Packet::Publish(p)) => {
                    Some((p.qos as u8, p.dup, p.pkid, p.topic.to_vec(), p.payload))
                }
                _ => None,
            },
        };
        if let Ok(Framing::Whole(found)) = frame(bytes, MAX)
            && let Ok(ours) = publish(found.first, &bytes[found.header..found.len], version)
        {
            let ours = (
                ours.qos,
                ours.dup,
                ours.id,
                ours.topic.as_bytes().to_vec(),
                ours.payload.to_vec(),
            );
            let theirs = theirs
                .map(|(qos, dup, id, topic, payload)| (qos, dup, id, topic, payload.to_vec()));
            prop_assert_eq!(Some(ours), theirs, "what we accept the codec reads alike");
        }
        Ok(())
    }

    fn version() -> impl Strategy<Value = Version> {
        prop_oneof![Just(Version::V4), Just(Version::V5)]
    }

    proptest! {
        #[test]
        fn what_we_accept_as_publish_the_codec_reads_alike(
            first in 0x30..0x40_u8,
            topic in prop_oneof![Just(String::new()), "[a-z/]{1,8}", "[a-z+#\0]{1,3}"],
            id in prop::option::of(0..3_u16),
            properties in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
            payload in prop::collection::vec(any::<u8>(), 0..12),
            version in version(),
        ) {
            let mut body = (topic.len() as u16).to_be_bytes().to_vec();
            body.extend(topic.as_bytes());
            if let Some(id) = id {
                body.extend(id.to_be_bytes());
            }
            if let Some(properties) = properties {
                body.push(properties.len() as u8);
                body.extend(properties);
            }
            body.extend(payload);
            let mut bytes = vec![first, body.len() as u8];
            bytes.extend(body);
            agree(&bytes, version)?;
        }

        #[test]
        fn a_publish_the_codec_writes_is_read_back(
            topic in "[a-zA-Z0-9/ä]{1,40}",
            payload in prop::collection::vec(any::<u8>(), 0..600),
            qos in 0..3_u8,
            id in 1..=u16::MAX,
            expiry in prop::option::of(any::<u32>()),
            users in prop::collection::vec(("[a-z]{0,5}", "[a-z]{0,5}"), 0..3),
        ) {
            let mut bytes = BytesMut::new();
            let mut plain = v4::v4::Publish::new(topic.clone(), v4::qos(qos).unwrap(), payload.clone());
            plain.pkid = if qos == 0 { 0 } else { id };
            plain.write(&mut bytes).unwrap();
            let Ok(Framing::Whole(found)) = frame(&bytes, MAX) else { panic!() };
            let read = publish(found.first, &bytes[found.header..], Version::V4).unwrap();
            prop_assert_eq!((read.topic, read.payload, read.id), (topic.as_str(), payload.as_slice(), plain.pkid));

            let mut bytes = BytesMut::new();
            let properties = v5::v5::PublishProperties { message_expiry_interval: expiry, user_properties: users, ..Default::default() };
            let mut rich = v5::v5::Publish::new(topic.clone(), v5::qos(qos).unwrap(), payload.clone(), Some(properties));
            rich.pkid = plain.pkid;
            rich.write(&mut bytes).unwrap();
            let Ok(Framing::Whole(found)) = frame(&bytes, MAX) else { panic!() };
            let read = publish(found.first, &bytes[found.header..], Version::V5).unwrap();
            prop_assert_eq!((read.topic, read.payload, read.id), (topic.as_str(), payload.as_slice(), plain.pkid));
        }
    }
}

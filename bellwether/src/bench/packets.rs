//! MQTT 3.1.1 as bytes: only what a load generator needs, written as lean as it goes, because
//! the generator runs on the same processors as what it measures.

/// A payload as devices send them, with the digits that change in fixed places.
const PAYLOAD: &[u8] = br#"{"ts":0000000000000,"bearing_temperature_c":61.250,"vibration_mm_s":2.310,"motor_current_a":14.200}"#;
const TS: std::ops::Range<usize> = 6..19;
/// Last digits of the three values, so that values differ as real ones do.
const DIGITS: [usize; 3] = [49, 72, 97];

/// Readings in one message.
pub(super) const READINGS: u64 = 3;

/// A CONNECT packet: clean session, no keep-alive.
pub(super) fn connect(client_id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, (12 + client_id.len()) as u8];
    packet.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 0]);
    packet.extend_from_slice(&(client_id.len() as u16).to_be_bytes());
    packet.extend_from_slice(client_id.as_bytes());
    packet
}

/// The PUBLISH packets of one device, patched in place from one message to the next.
pub(super) struct Publishes {
    packet: Vec<u8>,
    id_at: usize,
    payload_at: usize,
    id: u16,
    ts_ms: u64,
}

impl Publishes {
    /// The first message carries `first_ts_ms`; each further one a millisecond more.
    pub(super) fn new(device: &str, first_ts_ms: u64) -> Self {
        let topic = format!("telemetry/{device}");
        let remaining = 2 + topic.len() + 2 + PAYLOAD.len();
        // QoS 1.
        let mut packet = vec![0x32];
        let mut length = remaining;
        while length >= 128 {
            packet.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        packet.extend_from_slice(topic.as_bytes());
        let id_at = packet.len();
        packet.extend_from_slice(&[0, 0]);
        let payload_at = packet.len();
        packet.extend_from_slice(PAYLOAD);
        Self {
            packet,
            id_at,
            payload_at,
            id: 0,
            ts_ms: first_ts_ms,
        }
    }

    /// Appends the next message.
    pub(super) fn write_next(&mut self, out: &mut Vec<u8>) {
        // 0 is no packet id.
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.packet[self.id_at..self.id_at + 2].copy_from_slice(&self.id.to_be_bytes());
        let payload = &mut self.packet[self.payload_at..];
        let mut ts = self.ts_ms;
        for digit in payload[TS].iter_mut().rev() {
            *digit = b'0' + (ts % 10) as u8;
            ts /= 10;
        }
        for (nth, at) in DIGITS.into_iter().enumerate() {
            payload[at] = b'0' + (self.ts_ms >> (2 * nth)) as u8 % 10;
        }
        self.ts_ms += 1;
        out.extend_from_slice(&self.packet);
    }
}

/// Counts PUBACKs in what was read; keeps what is cut off for the next time.
#[derive(Default)]
pub(super) struct Acks {
    rest: [u8; 3],
    rest_len: usize,
}

/// Something other than a PUBACK came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unexpected(pub(super) u8);

impl Acks {
    /// How many PUBACKs `bytes` completes.
    pub(super) fn count(&mut self, bytes: &[u8]) -> Result<u32, Unexpected> {
        let mut count = 0;
        let mut bytes = bytes;
        if self.rest_len > 0 {
            let take = (4 - self.rest_len).min(bytes.len());
            if self.rest_len + take < 4 {
                self.rest[self.rest_len..self.rest_len + take].copy_from_slice(&bytes[..take]);
                self.rest_len += take;
                return Ok(0);
            }
            self.rest_len = 0;
            bytes = &bytes[take..];
            count = 1;
        }
        let whole = bytes.chunks_exact(4);
        let rest = whole.remainder();
        for ack in whole {
            if ack[0] != 0x40 {
                return Err(Unexpected(ack[0]));
            }
            count += 1;
        }
        if rest.first().is_some_and(|&first| first != 0x40) {
            return Err(Unexpected(rest[0]));
        }
        self.rest[..rest.len()].copy_from_slice(rest);
        self.rest_len = rest.len();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rumqttc::mqttbytes::v4::Packet;

    use super::*;

    #[test]
    fn packets_are_what_a_codec_of_others_reads() {
        let mut stream = bytes::BytesMut::from(&connect("bench-7")[..]);
        let Packet::Connect(seen) = Packet::read(&mut stream, 1_000).unwrap() else {
            panic!("no CONNECT");
        };
        assert_eq!(
            (seen.client_id.as_str(), seen.clean_session),
            ("bench-7", true)
        );

        let mut publishes = Publishes::new("bench-7", 1_700_000_000_000);
        let mut out = Vec::new();
        for _ in 0..70_000 {
            publishes.write_next(&mut out);
        }
        let mut stream = bytes::BytesMut::from(&out[..]);
        let mut payloads = HashSet::new();
        for nth in 0..70_000u64 {
            let Packet::Publish(seen) = Packet::read(&mut stream, 1_000).unwrap() else {
                panic!("no PUBLISH");
            };
            assert_eq!(seen.topic, "telemetry/bench-7");
            assert!(seen.pkid != 0);
            let payload: serde_json::Value = serde_json::from_slice(&seen.payload).unwrap();
            assert_eq!(payload["ts"], 1_700_000_000_000 + nth);
            let values: Vec<f64> = payload
                .as_object()
                .unwrap()
                .values()
                .filter_map(serde_json::Value::as_f64)
                .collect();
            assert_eq!(values.len() as u64, 1 + READINGS);
            payloads.insert(seen.payload);
        }
        assert!(stream.is_empty() && payloads.len() == 70_000);
    }

    proptest! {
        #[test]
        fn acks_are_counted_however_they_are_cut(total in 0usize..200, cuts in prop::collection::vec(1usize..30, 1..60)) {
            let stream: Vec<u8> = (0..total).flat_map(|n| [0x40, 2, (n >> 8) as u8, n as u8]).collect();
            let (mut acks, mut counted, mut rest) = (Acks::default(), 0, &stream[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                counted += acks.count(now).unwrap();
                rest = later;
            }
            prop_assert_eq!(counted as usize, total);
        }
    }

    #[test]
    fn anything_but_an_ack_is_noticed() {
        assert_eq!(
            Acks::default().count(&[0x40, 2, 0, 1, 0xe0, 0]),
            Err(Unexpected(0xe0))
        );
    }
}

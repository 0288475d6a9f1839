//! SUBSCRIBE and UNSUBSCRIBE: a client may have its own command topics and nothing else.
//!
//! These are the configured one (`commands/{device}`), and for a Sparkplug edge node
//! `spBv1.0/{group}/NCMD/{node}` and what is below `spBv1.0/{group}/DCMD/{node}`, when its
//! grant covers the node. What is sent there has `QoS` 0, so that is what is granted.

use bytes::BytesMut;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};

use super::{
    super::{
        handshake::check_len,
        wire::{Fault, Fields, Frame, Version},
    },
    Session,
};
use crate::Decoder;

/// Filters a session may have; an edge node needs two.
const MAX_SUBSCRIPTIONS: usize = 16;

/// Group and edge node whose commands a filter asks for, if that is all it asks for.
fn commanded_node(filter: &str) -> Option<(&str, &str)> {
    let is_name = |level: &str| !level.is_empty() && !level.contains(['+', '#']);
    let mut levels = filter.split('/');
    let (namespace, group) = (levels.next()?, levels.next()?);
    let (kind, node) = (levels.next()?, levels.next()?);
    let fits = match (kind, levels.next()) {
        ("NCMD", None | Some("#")) | ("DCMD", Some("#" | "+")) => true,
        ("DCMD", Some(device)) => is_name(device),
        _ => false,
    };
    let whole = namespace == "spBv1.0" && is_name(group) && is_name(node);
    (whole && fits && levels.next().is_none()).then_some((group, node))
}

impl Session {
    /// Whether a client may have this subscription.
    fn owns(&self, filter: &str, decoder: &Decoder) -> bool {
        *filter == *self.command_topic
            || commanded_node(filter)
                .and_then(|(group, node)| {
                    decoder.device_of(&format!("spBv1.0/{group}/NCMD/{node}"))
                })
                .is_some_and(|node| self.grant.allows(&node, filter))
    }

    pub(super) fn subscribe(
        &mut self,
        frame: Frame,
        bytes: &[u8],
        decoder: &Decoder,
        replies: &mut BytesMut,
    ) -> Result<(), Fault> {
        const MALFORMED: Fault = Fault::Malformed("SUBSCRIBE");
        let mut stream = BytesMut::from(bytes);
        let (id, filters, size, numbered) = match self.version {
            Version::V4 => match v4::Packet::read(&mut stream, frame.len) {
                Ok(v4::Packet::Subscribe(packet)) => {
                    let size = packet.size();
                    let filters = packet.filters.into_iter().map(|filter| filter.path);
                    (packet.pkid, filters.collect::<Vec<_>>(), size, false)
                }
                _ => return Err(MALFORMED),
            },
            Version::V5 => match v5::Packet::read(&mut stream, u32::try_from(frame.len).ok()) {
                Ok(v5::Packet::Subscribe(packet)) => {
                    let size = packet.size();
                    let numbered = packet.properties.as_ref().is_some_and(|p| p.id.is_some());
                    let filters = packet.filters.into_iter().map(|filter| filter.path);
                    (packet.pkid, filters.collect(), size, numbered)
                }
                _ => return Err(MALFORMED),
            },
        };
        check_len(frame, size)?;
        self.check_options(bytes, &filters)?;
        if id == 0 {
            return Err(Fault::Protocol("packet id 0"));
        }
        let mut codes = Vec::with_capacity(filters.len());
        for filter in &filters {
            codes.push(self.subscription(filter, numbered, decoder)?);
        }
        self.suback(id, codes, replies)
    }

    /// Refuses reserved bits in subscription options, which the codec reads over. The filters
    /// are the end of the packet.
    fn check_options(&self, bytes: &[u8], filters: &[String]) -> Result<(), Fault> {
        let reserved = match self.version {
            Version::V4 => 0b1111_1100,
            Version::V5 => 0b1100_0000,
        };
        let len: usize = filters.iter().map(|filter| filter.len() + 3).sum();
        let mut fields = Fields(
            bytes
                .get(bytes.len().saturating_sub(len)..)
                .unwrap_or_default(),
        );
        for _ in filters {
            fields.text()?;
            if fields.u8()? & reserved != 0 {
                return Err(Fault::Malformed("reserved subscription options"));
            }
        }
        Ok(())
    }

    /// The answer to one filter.
    fn subscription(
        &mut self,
        filter: &str,
        numbered: bool,
        decoder: &Decoder,
    ) -> Result<v5::SubscribeReasonCode, Fault> {
        use v5::SubscribeReasonCode as Code;
        if !rumqttc::mqttbytes::valid_filter(filter) {
            return match self.version {
                Version::V4 => Err(Fault::Protocol("a topic filter that is none")),
                Version::V5 => Ok(Code::TopicFilterInvalid),
            };
        }
        if numbered {
            return Ok(Code::SubscriptionIdNotSupported);
        }
        if self.owns(filter, decoder) {
            if !self.subscriptions.iter().any(|have| **have == *filter) {
                if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
                    return Ok(Code::QuotaExceeded);
                }
                self.subscriptions.push(filter.into());
            }
            return Ok(Code::Success(rumqttc::v5::mqttbytes::QoS::AtMostOnce));
        }
        if filter.starts_with("$share/") {
            return Ok(Code::SharedSubscriptionsNotSupported);
        }
        if filter.contains(['+', '#']) {
            return Ok(Code::WildcardSubscriptionsNotSupported);
        }
        Ok(Code::NotAuthorized)
    }

    fn suback(
        &self,
        id: u16,
        codes: Vec<v5::SubscribeReasonCode>,
        replies: &mut BytesMut,
    ) -> Result<(), Fault> {
        let written = match self.version {
            Version::V4 => {
                let codes = codes.into_iter().map(|code| match code {
                    v5::SubscribeReasonCode::Success(_) => {
                        v4::SubscribeReasonCode::Success(rumqttc::QoS::AtMostOnce)
                    }
                    _ => v4::SubscribeReasonCode::Failure,
                });
                v4::SubAck::new(id, codes.collect()).write(replies).is_ok()
            }
            Version::V5 => {
                let packet = v5::Packet::SubAck(v5::SubAck {
                    pkid: id,
                    return_codes: codes,
                    properties: None,
                });
                packet.write(replies, self.max_packet_out).is_ok()
            }
        };
        if written {
            Ok(())
        } else {
            Err(Fault::TooLarge)
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        frame: Frame,
        bytes: &[u8],
        replies: &mut BytesMut,
    ) -> Result<(), Fault> {
        const MALFORMED: Fault = Fault::Malformed("UNSUBSCRIBE");
        let mut stream = BytesMut::from(bytes);
        let (id, filters, size) = match self.version {
            Version::V4 => match v4::Packet::read(&mut stream, frame.len) {
                Ok(v4::Packet::Unsubscribe(packet)) => {
                    let size = packet.size();
                    (packet.pkid, packet.topics, size)
                }
                _ => return Err(MALFORMED),
            },
            Version::V5 => match v5::Packet::read(&mut stream, u32::try_from(frame.len).ok()) {
                Ok(v5::Packet::Unsubscribe(packet)) => {
                    let size = packet.size();
                    (packet.pkid, packet.filters, size)
                }
                _ => return Err(MALFORMED),
            },
        };
        check_len(frame, size)?;
        if id == 0 || filters.is_empty() {
            return Err(Fault::Protocol("UNSUBSCRIBE without packet id or filter"));
        }
        let mut reasons = Vec::with_capacity(filters.len());
        for filter in &filters {
            let before = self.subscriptions.len();
            self.subscriptions.retain(|have| **have != **filter);
            let existed = self.subscriptions.len() < before;
            reasons.push(if existed {
                v5::UnsubAckReason::Success
            } else {
                v5::UnsubAckReason::NoSubscriptionExisted
            });
        }
        let written = match self.version {
            Version::V4 => v4::UnsubAck::new(id).write(replies).is_ok(),
            Version::V5 => {
                let packet = v5::Packet::UnsubAck(v5::UnsubAck {
                    pkid: id,
                    reasons,
                    properties: None,
                });
                packet.write(replies, self.max_packet_out).is_ok()
            }
        };
        if written {
            Ok(())
        } else {
            Err(Fault::TooLarge)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_of_one_named_node_are_its_own() {
        for (filter, expected) in [
            ("spBv1.0/g/NCMD/n", Some(("g", "n"))),
            ("spBv1.0/g/NCMD/n/#", Some(("g", "n"))),
            ("spBv1.0/g/DCMD/n/#", Some(("g", "n"))),
            ("spBv1.0/g/DCMD/n/+", Some(("g", "n"))),
            ("spBv1.0/g/DCMD/n/d", Some(("g", "n"))),
            ("spBv1.0/g/DCMD/n", None),
            ("spBv1.0/g/NCMD/+", None),
            ("spBv1.0/+/NCMD/n", None),
            ("spBv1.0/g/NCMD/#", None),
            ("spBv1.0/g/#", None),
            ("spBv1.0/g/NDATA/n", None),
            ("spBv1.0/g/DCMD/n/d/x", None),
            ("spBv1.0/g/NCMD/n/d", None),
            ("spBv1.0//NCMD/n", None),
            ("spBv1.0/g/NCMD/", None),
            ("STATE/host", None),
            ("spAv1.0/g/NCMD/n", None),
        ] {
            assert_eq!(commanded_node(filter), expected, "{filter}");
        }
    }
}

//! SUBSCRIBE and UNSUBSCRIBE: a client may have its own command topic and nothing else.

use bytes::BytesMut;
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};

use super::{
    super::{
        handshake::check_len,
        wire::{Fault, Fields, Frame, Version},
    },
    Session,
};

impl Session {
    pub(super) fn subscribe(
        &mut self,
        frame: Frame,
        bytes: &[u8],
        replies: &mut BytesMut,
    ) -> Result<(), Fault> {
        const MALFORMED: Fault = Fault::Malformed("SUBSCRIBE");
        let mut stream = BytesMut::from(bytes);
        let (id, filters, size, numbered) = match self.version {
            Version::V4 => match v4::Packet::read(&mut stream, frame.len) {
                Ok(v4::Packet::Subscribe(packet)) => {
                    let size = packet.size();
                    let filters = packet
                        .filters
                        .into_iter()
                        .map(|filter| (filter.path, filter.qos as u8));
                    (packet.pkid, filters.collect::<Vec<_>>(), size, false)
                }
                _ => return Err(MALFORMED),
            },
            Version::V5 => match v5::Packet::read(&mut stream, u32::try_from(frame.len).ok()) {
                Ok(v5::Packet::Subscribe(packet)) => {
                    let size = packet.size();
                    let numbered = packet.properties.as_ref().is_some_and(|p| p.id.is_some());
                    let filters = packet
                        .filters
                        .into_iter()
                        .map(|filter| (filter.path, filter.qos as u8));
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
        for (filter, qos) in &filters {
            codes.push(self.subscription(filter, *qos, numbered)?);
        }
        self.suback(id, codes, replies)
    }

    /// Refuses reserved bits in subscription options, which the codec reads over. The filters
    /// are the end of the packet.
    fn check_options(&self, bytes: &[u8], filters: &[(String, u8)]) -> Result<(), Fault> {
        let reserved = match self.version {
            Version::V4 => 0b1111_1100,
            Version::V5 => 0b1100_0000,
        };
        let len: usize = filters.iter().map(|(filter, _)| filter.len() + 3).sum();
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
        qos: u8,
        numbered: bool,
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
        if filter == self.command_topic {
            self.subscribed = true;
            // Commands are sent with QoS 1 at most.
            return Ok(Code::Success(if qos == 0 {
                rumqttc::v5::mqttbytes::QoS::AtMostOnce
            } else {
                rumqttc::v5::mqttbytes::QoS::AtLeastOnce
            }));
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
                    v5::SubscribeReasonCode::Success(qos) => {
                        v4::SubscribeReasonCode::Success(match qos {
                            rumqttc::v5::mqttbytes::QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
                            _ => rumqttc::QoS::AtLeastOnce,
                        })
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
            let existed = self.subscribed && *filter == self.command_topic;
            self.subscribed &= !existed;
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

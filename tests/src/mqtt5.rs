//! A gateway that speaks MQTT 5: one message at a time, with content type and user properties,
//! each acknowledged before the next.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::{
    Error as CodecError, QoS,
    v5::{Connect, ConnectReturnCode, Packet, PubAckReason, Publish, PublishProperties},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::within;

/// An acknowledgement waits for a disk at worst; much longer means that something hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The largest packet this side accepts; only acknowledgements come in.
const MAX_PACKET: u32 = 64 * 1024;

/// A connection over which messages of any device go.
#[derive(Debug)]
pub struct Gateway {
    stream: TcpStream,
    input: BytesMut,
    next_id: u16,
}

impl Gateway {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers or the connection is refused.
    pub async fn connect(client_id: &str, address: SocketAddr) -> Result<Self> {
        let dialled = TcpStream::connect(address);
        let mut gateway = Self {
            stream: within("a connection", ANSWER_WITHIN, dialled).await?,
            input: BytesMut::new(),
            next_id: 0,
        };
        let connect = Connect {
            keep_alive: 60,
            client_id: client_id.to_owned(),
            clean_start: true,
            properties: None,
        };
        let mut output = BytesMut::new();
        connect.write(&None, &None, &mut output)?;
        gateway.stream.write_all(&output).await?;
        match gateway.packet().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => Ok(gateway),
            other => bail!("{other:?} instead of CONNACK"),
        }
    }

    /// Publishes at `QoS` 1 and waits for the acknowledgement; gives its reason.
    ///
    /// # Errors
    /// When the connection is lost, or something else is acknowledged.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        content_type: Option<&str>,
        user_properties: &[(String, String)],
    ) -> Result<PubAckReason> {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        let properties = PublishProperties {
            content_type: content_type.map(str::to_owned),
            user_properties: user_properties.to_vec(),
            ..PublishProperties::default()
        };
        let mut publish = Publish::new(
            topic,
            QoS::AtLeastOnce,
            Bytes::copy_from_slice(payload),
            Some(properties),
        );
        publish.pkid = self.next_id;
        let mut output = BytesMut::new();
        publish.write(&mut output)?;
        self.stream.write_all(&output).await?;
        match self.packet().await? {
            Packet::PubAck(ack) => {
                ensure!(
                    ack.pkid == self.next_id,
                    "packet {} was acknowledged",
                    ack.pkid
                );
                Ok(ack.reason)
            }
            other => bail!("{other:?} instead of PUBACK"),
        }
    }

    async fn packet(&mut self) -> Result<Packet> {
        loop {
            match Packet::read(&mut self.input, Some(MAX_PACKET)) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => return Err(error).context("what came back is no MQTT"),
            }
            let read = self.stream.read_buf(&mut self.input);
            let read = within("an answer over MQTT", ANSWER_WITHIN, read).await?;
            ensure!(read > 0, "the connection was closed");
        }
    }
}

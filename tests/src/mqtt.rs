//! A device: an MQTT 3.1.1 publisher that knows exactly what was acknowledged.
//!
//! Client libraries hide which message an acknowledgement was for, and their queues hide what
//! was sent again. The stories are about just that, so this publisher is written on the codec
//! alone: it keeps at most a window of unacknowledged messages, hands out their tags when they
//! are acknowledged (PUBACK, or PUBREC for `QoS` 2) and sends the others again, marked as
//! duplicates, after a reconnect, as [MQTT-4.4.0-1] demands.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use rumqttc::mqttbytes::{
    Error as CodecError, QoS,
    v4::{Connect, ConnectReturnCode, Disconnect, Packet, PubRel, Publish},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::within;

/// An acknowledgement waits for a disk at worst; much longer means that something hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The largest packet this side accepts; only acknowledgements come in.
const MAX_PACKET: usize = 64 * 1024;

/// A message that has been handed over and not acknowledged.
#[derive(Debug, Clone)]
struct Pending<T> {
    publish: Publish,
    tag: T,
    acknowledged: bool,
}

/// A publisher with tags of type `T` for its messages.
#[derive(Debug)]
pub struct Publisher<T> {
    client_id: String,
    address: SocketAddr,
    qos: QoS,
    window: usize,
    pending: VecDeque<Pending<T>>,
    /// `QoS` 2 messages between PUBREC and PUBCOMP: released, their ids still taken.
    released: Vec<u16>,
    next_id: u16,
    stream: Option<TcpStream>,
    input: BytesMut,
    output: BytesMut,
    resent: u64,
}

impl<T: Clone> Publisher<T> {
    /// A device that is not connected yet and keeps at most `window` messages unacknowledged.
    pub fn new(client_id: &str, address: SocketAddr, qos: QoS, window: usize) -> Self {
        Self {
            client_id: client_id.to_owned(),
            address,
            qos,
            window,
            pending: VecDeque::new(),
            released: Vec::new(),
            next_id: 1,
            stream: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            resent: 0,
        }
    }

    /// A connected device with a window that suits a story.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn connected(client_id: &str, address: SocketAddr) -> Result<Self> {
        let mut device = Self::new(client_id, address, QoS::AtLeastOnce, 64);
        device.connect().await?;
        Ok(device)
    }

    /// Connects, and sends again what was never acknowledged.
    ///
    /// # Errors
    /// When nobody answers or the connection is refused.
    pub async fn connect(&mut self) -> Result<()> {
        self.stream = None;
        self.input.clear();
        self.output.clear();
        let mut connect = Connect::new(self.client_id.clone());
        connect.clean_session = false;
        connect.keep_alive = 60;
        connect.write(&mut self.output)?;
        let stream = within(
            "a connection",
            ANSWER_WITHIN,
            TcpStream::connect(self.address),
        )
        .await?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        self.flush().await?;
        match self.packet().await? {
            Packet::ConnAck(ack) => {
                ensure!(
                    ack.code == ConnectReturnCode::Success,
                    "refused: {:?}",
                    ack.code
                );
            }
            other => bail!("{other:?} instead of CONNACK"),
        }
        for id in &self.released {
            PubRel::new(*id).write(&mut self.output)?;
        }
        for waiting in self
            .pending
            .iter_mut()
            .filter(|waiting| !waiting.acknowledged)
        {
            waiting.publish.dup = true;
            waiting.publish.write(&mut self.output)?;
            self.resent += 1;
        }
        self.flush().await
    }

    /// Whether there is a connection, as far as this side knows.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// How many messages were sent again after a reconnect.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Cuts the connection without a word, as a pulled plug does.
    pub fn cut(&mut self) {
        self.stream = None;
    }

    /// The tags of the messages that were sent and never acknowledged, oldest first.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &T> {
        let waiting = self.pending.iter().filter(|pending| !pending.acknowledged);
        waiting.map(|pending| &pending.tag)
    }

    /// Whether another message fits the window.
    pub fn has_room(&self) -> bool {
        self.pending.len() + self.released.len() < self.window
    }

    /// Queues a message; [`Self::flush`] or [`Self::acknowledgements`] puts it on the wire.
    ///
    /// # Errors
    /// When the window is full or the message does not fit a packet.
    pub fn queue(&mut self, topic: &str, payload: impl Into<Vec<u8>>, tag: T) -> Result<()> {
        ensure!(self.has_room(), "the window is full");
        let mut publish = Publish::new(topic, self.qos, payload);
        publish.pkid = self.fresh_id();
        publish.write(&mut self.output)?;
        if self.qos != QoS::AtMostOnce {
            self.pending.push_back(Pending {
                publish,
                tag,
                acknowledged: false,
            });
        }
        Ok(())
    }

    fn fresh_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            let taken = self
                .pending
                .iter()
                .any(|pending| pending.publish.pkid == id);
            if !taken && !self.released.contains(&id) {
                return id;
            }
        }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// When the connection is gone; what was queued is sent again after a reconnect.
    pub async fn flush(&mut self) -> Result<()> {
        let stream = self.stream.as_mut().context("not connected")?;
        let written = stream.write_all_buf(&mut self.output);
        let done = within("room on the wire", ANSWER_WITHIN, written).await;
        self.or_cut(done)
    }

    /// Writes what is queued and waits for acknowledgements: at least one, unless nothing is
    /// unacknowledged and the window has room. Gives the tags of the messages acknowledged.
    ///
    /// # Errors
    /// When the connection is lost or no answer comes.
    pub async fn acknowledgements(&mut self) -> Result<Vec<T>> {
        self.flush().await?;
        let mut tags = Vec::new();
        while tags.is_empty() && (self.unacknowledged().next().is_some() || !self.has_room()) {
            let packet = self.packet().await?;
            self.take(&packet, &mut tags)?;
            // Whatever else has arrived in the same piece.
            while let Some(packet) = self.buffered()? {
                self.take(&packet, &mut tags)?;
            }
        }
        // Releases of `QoS` 2 go out with the next write: an error here would lose the tags.
        Ok(tags)
    }

    /// Publishes everything and waits until all of it has been acknowledged.
    ///
    /// # Errors
    /// When the connection is lost or no answer comes.
    pub async fn publish_all<P: Into<Vec<u8>>>(
        &mut self,
        topic: &str,
        messages: impl IntoIterator<Item = (P, T)>,
    ) -> Result<()> {
        for (payload, tag) in messages {
            while !self.has_room() {
                self.acknowledgements().await?;
            }
            self.queue(topic, payload, tag)?;
        }
        self.drain().await
    }

    /// Waits until everything has been acknowledged.
    ///
    /// # Errors
    /// When the connection is lost or no answer comes.
    pub async fn drain(&mut self) -> Result<()> {
        self.flush().await?;
        while self.unacknowledged().next().is_some() {
            self.acknowledgements().await?;
        }
        Ok(())
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub async fn disconnect(mut self) -> Result<()> {
        Disconnect.write(&mut self.output)?;
        self.flush().await?;
        let mut stream = self.stream.take().context("not connected")?;
        stream.shutdown().await?;
        Ok(())
    }

    fn take(&mut self, packet: &Packet, tags: &mut Vec<T>) -> Result<()> {
        match packet {
            Packet::PubAck(ack) if self.qos == QoS::AtLeastOnce => {
                tags.push(self.settle(ack.pkid)?);
            }
            Packet::PubRec(rec) if self.qos == QoS::ExactlyOnce => {
                tags.push(self.settle(rec.pkid)?);
                self.released.push(rec.pkid);
                PubRel::new(rec.pkid).write(&mut self.output)?;
            }
            Packet::PubComp(comp) => self.released.retain(|id| *id != comp.pkid),
            Packet::PingResp => {}
            other => bail!("{other:?} was not asked for"),
        }
        Ok(())
    }

    /// Marks a message as acknowledged and lets go of the settled head of the window.
    fn settle(&mut self, id: u16) -> Result<T> {
        let found = self
            .pending
            .iter_mut()
            .find(|pending| pending.publish.pkid == id);
        let pending =
            found.with_context(|| format!("packet {id} was acknowledged, but not sent"))?;
        ensure!(!pending.acknowledged, "packet {id} was acknowledged twice");
        pending.acknowledged = true;
        let tag = pending.tag.clone();
        while self.pending.front().is_some_and(|front| front.acknowledged) {
            self.pending.pop_front();
        }
        Ok(tag)
    }

    fn buffered(&mut self) -> Result<Option<Packet>> {
        match Packet::read(&mut self.input, MAX_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(CodecError::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(error).context("what came back is no MQTT"),
        }
    }

    async fn packet(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.buffered()? {
                return Ok(packet);
            }
            let stream = self.stream.as_mut().context("not connected")?;
            let read = stream.read_buf(&mut self.input);
            let read = within("an answer over MQTT", ANSWER_WITHIN, read).await;
            if self.or_cut(read)? == 0 {
                self.stream = None;
                bail!("the connection was closed");
            }
        }
    }

    fn or_cut<R>(&mut self, done: Result<R>) -> Result<R> {
        if done.is_err() {
            self.stream = None;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::{ConnAck, PubAck};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection: CONNACK, then one PUBACK for each of the first `answers` messages,
    /// then hangs up; gives the publishes it saw.
    async fn endpoint(listener: &TcpListener, answers: usize, expected: usize) -> Vec<Publish> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut input, mut seen) = (BytesMut::new(), Vec::new());
        while seen.len() < expected {
            let mut output = BytesMut::new();
            match Packet::read(&mut input, MAX_PACKET) {
                Ok(Packet::Connect(_)) => {
                    ConnAck::new(ConnectReturnCode::Success, false)
                        .write(&mut output)
                        .unwrap();
                }
                Ok(Packet::Publish(publish)) => {
                    if seen.len() < answers {
                        PubAck::new(publish.pkid).write(&mut output).unwrap();
                    }
                    seen.push(publish);
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {
                    stream.read_buf(&mut input).await.unwrap();
                }
            }
            stream.write_all(&output).await.unwrap();
        }
        seen
    }

    #[tokio::test]
    async fn what_was_not_acknowledged_is_sent_again_with_the_duplicate_mark() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut device = Publisher::new("d", address, QoS::AtLeastOnce, 8);
        let (first, ()) = tokio::join!(endpoint(&listener, 1, 3), async {
            device.connect().await.unwrap();
            for tag in 0..3 {
                device.queue("telemetry/d", format!("{tag}"), tag).unwrap();
            }
            assert_eq!(device.acknowledgements().await.unwrap(), [0]);
            assert!(
                device.acknowledgements().await.is_err(),
                "the other side hung up"
            );
            assert!(!device.is_connected());
        });
        assert!(first.iter().all(|publish| !publish.dup));

        let (second, ()) = tokio::join!(endpoint(&listener, 2, 2), async {
            device.connect().await.unwrap();
            device.drain().await.unwrap();
        });
        assert_eq!(device.resent(), 2);
        let again: Vec<_> = second
            .iter()
            .map(|p| (p.dup, p.pkid, &p.payload[..]))
            .collect();
        assert_eq!(again, [(true, 2, &b"1"[..]), (true, 3, &b"2"[..])]);
    }
}

//! A TLS session over a socket that holds no buffer while nothing moves.
//!
//! The library's own stream keeps a read buffer of 4 KiB for as long as a connection lives, a third
//! of what an idle device may cost in all. Here bytes are read into a buffer of the thread,
//! decrypted in it, and only what is left of a record that is cut off stays with the connection.
//! Everything of the protocol (records, handshake, alerts, key updates) is the library's, by its
//! unbuffered interface; this is the moving of bytes around it:
//!
//! ```text
//! socket ─▶ spare (thread) ─▶ process_tls_records ─┬▶ the reader's buffer, else `plain`
//!               ▲ `residue`, put in front          └▶ `outgoing` ─▶ socket
//! ```
//!
//! What the library makes to be sent goes behind what waits already, so its order is kept.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use rustls::{
    ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
        WriteTraffic,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Identity, identity};

/// Bytes in the thread's buffer: some records of the largest size, and more than the longest
/// handshake message (64 KiB, the library's bound) that may have to be kept.
const SPARE_BYTES: usize = 128 * 1024;

/// A residue longer than this is of no record and of no message that the library takes.
const MAX_RESIDUE_BYTES: usize = 96 * 1024;

/// Bytes that are encrypted and not taken by the socket; beyond it a writer waits.
const MAX_OUTGOING_BYTES: usize = 64 * 1024;

/// Bytes encrypted in one go: one record (RFC 8446, section 5.1).
const MAX_RECORD_BYTES: usize = 16 * 1024;

/// The room that is tried first for a record's head, nonce and tag, and for an alert.
const OVERHEAD_BYTES: usize = 128;

thread_local! {
    /// The thread's buffer, when nobody works in it. No connection holds it while it waits.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// An accepted TLS connection.
pub(crate) struct TlsStream {
    io: TcpStream,
    session: UnbufferedServerConnection,
    /// Bytes that came and are no whole record or handshake message yet. The session knows where
    /// in them it stands, so it gets all of them each time.
    residue: Vec<u8>,
    /// What was decrypted and found no room at the reader.
    plain: BytesMut,
    /// What is encrypted and not sent.
    outgoing: BytesMut,
    /// Whether the peer said that it sends no more.
    ended: bool,
    closing: bool,
    /// Whether the session failed: it must not see the same bytes again.
    broken: bool,
}

/// What is done once the session may be written to.
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    Close,
}

/// Accepts a TLS connection: the handshake, to its end.
///
/// # Errors
/// The handshake failed; the peer was sent the alert that says why, if it took it.
pub(crate) async fn accept(io: TcpStream, config: Arc<ServerConfig>) -> io::Result<Box<TlsStream>> {
    let session = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = Box::new(TlsStream {
        io,
        session,
        residue: Vec::new(),
        plain: BytesMut::new(),
        outgoing: BytesMut::new(),
        ended: false,
        closing: false,
        broken: false,
    });
    while stream.session.is_handshaking() {
        let read = poll_fn(|cx| stream.poll_records(cx, None)).await;
        // The alert, too, when it failed.
        let sent = poll_fn(|cx| stream.poll_send(cx)).await;
        let more = read?;
        sent?;
        if !more {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(stream)
}

impl TlsStream {
    /// What the handshake learnt about the client.
    pub(crate) fn identity(&self) -> Option<Identity> {
        identity(&self.session)
    }

    /// Reads once and processes what is there; false at the end. Decrypted bytes go to the
    /// reader as far as it has room.
    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        reader: Option<&mut ReadBuf<'_>>,
    ) -> Poll<io::Result<bool>> {
        let mut spare = SPARE
            .take()
            .unwrap_or_else(|| vec![0; SPARE_BYTES].into_boxed_slice());
        let kept = self.residue.len();
        let mut room = ReadBuf::new(&mut spare[kept..]);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut room);
        let count = room.filled().len();
        let outcome = match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) if count == 0 => Poll::Ready(Ok(false)),
            Poll::Ready(Ok(())) => {
                spare[..kept].copy_from_slice(&self.residue);
                let bytes = &mut spare[..kept + count];
                let processed = self.process(bytes, &Then::Nothing, reader);
                Poll::Ready(processed.and_then(|consumed| {
                    self.keep(&bytes[consumed..])?;
                    Ok(true)
                }))
            }
        };
        SPARE.set(Some(spare));
        outcome
    }

    /// Keeps what is not consumed, and no more memory than that.
    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        if rest.len() > MAX_RESIDUE_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        self.residue = rest.to_vec();
        Ok(())
    }

    /// Lets the session work on bytes until it needs more, and gives how many it has done with.
    fn process(
        &mut self,
        bytes: &mut [u8],
        then: &Then<'_>,
        reader: Option<&mut ReadBuf<'_>>,
    ) -> io::Result<usize> {
        if self.broken {
            return Err(ErrorKind::NotConnected.into());
        }
        let consumed = self.turn(bytes, then, reader);
        self.broken = consumed.is_err();
        consumed
    }

    fn turn(
        &mut self,
        bytes: &mut [u8],
        then: &Then<'_>,
        mut reader: Option<&mut ReadBuf<'_>>,
    ) -> io::Result<usize> {
        let (mut consumed, mut failed) = (0, None);
        loop {
            let UnbufferedStatus { discard, state } =
                self.session.process_tls_records(&mut bytes[consumed..]);
            let mut discard = discard;
            let mut done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        let here = give(record.payload, reader.as_deref_mut());
                        self.plain.extend_from_slice(&record.payload[here..]);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, OVERHEAD_BYTES, |room| {
                        data.encode(room).map_err(|error| match error {
                            EncodeError::InsufficientSize(size) => Ok(size),
                            EncodeError::AlreadyEncoded => Err(invalid(error)),
                        })
                    })?;
                    if let Some(error) = failed {
                        return Err(invalid(error));
                    }
                }
                // It stands in line behind what was sent before, which is as good as sent.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    write(traffic, then, &mut self.outgoing)?;
                    done = true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    if matches!(then, Then::Encrypt(_)) {
                        return Err(ErrorKind::NotConnected.into());
                    }
                    done = true;
                }
                // Early data is off, and a state that is not known cannot be answered.
                Ok(_) => return Err(ErrorKind::Unsupported.into()),
                // What it has to send comes before it looks at bytes again: the alert that says why,
                // if there is one. The bytes themselves must not be looked at twice.
                Err(error) => match failed.replace(error) {
                    None => {}
                    Some(first) => return Err(invalid(first)),
                },
            }
            consumed += discard;
            if done {
                return Ok(consumed);
            }
        }
    }

    /// Lets the session work without new bytes.
    fn work(&mut self, then: &Then<'_>) -> io::Result<()> {
        let mut residue = std::mem::take(&mut self.residue);
        let consumed = self.process(&mut residue, then, None)?;
        residue.drain(..consumed);
        self.residue = residue;
        Ok(())
    }

    /// Sends what is encrypted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        if self.outgoing.capacity() > 0 {
            self.outgoing = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// Gives the reader as much as it has room for, and says how much that is.
fn give(payload: &[u8], reader: Option<&mut ReadBuf<'_>>) -> usize {
    let Some(reader) = reader else {
        return 0;
    };
    let count = payload.len().min(reader.remaining());
    reader.put_slice(&payload[..count]);
    count
}

/// Does what is to be done with a session that may be written to.
fn write(
    mut traffic: WriteTraffic<'_, ServerConnectionData>,
    then: &Then<'_>,
    outgoing: &mut BytesMut,
) -> io::Result<()> {
    let sized = |error| match error {
        EncryptError::InsufficientSize(size) => Ok(size),
        EncryptError::EncryptExhausted => Err(invalid(error)),
    };
    match then {
        Then::Nothing => Ok(()),
        Then::Encrypt(bytes) => append(outgoing, bytes.len() + OVERHEAD_BYTES, |room| {
            traffic.encrypt(bytes, room).map_err(sized)
        }),
        Then::Close => append(outgoing, OVERHEAD_BYTES, |room| {
            traffic.queue_close_notify(room).map_err(sized)
        }),
    }
}

/// Appends what is written into a room of `guess` bytes, or of as many as it turns out to need.
fn append(
    outgoing: &mut BytesMut,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Result<InsufficientSizeError, io::Error>>,
) -> io::Result<()> {
    let start = outgoing.len();
    let mut room = guess;
    // Once to learn the size, once to write.
    for _ in 0..2 {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(Ok(InsufficientSizeError { required_size })) => room = required_size,
            Err(Err(error)) => {
                outgoing.truncate(start);
                return Err(error);
            }
        }
    }
    outgoing.truncate(start);
    Err(ErrorKind::InvalidData.into())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // The answer to a key update may wait for room in the socket. It takes its turn here.
        let _ = this.poll_send(cx);
        loop {
            if !this.plain.is_empty() {
                let given = give(&this.plain, Some(buffer));
                this.plain.advance(given);
                if this.plain.is_empty() {
                    this.plain = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            let read = ready!(this.poll_records(cx, Some(buffer)));
            // So does an alert that says why the session failed.
            let _ = this.poll_send(cx);
            if !read? {
                this.ended = true;
            }
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.outgoing.len() >= MAX_OUTGOING_BYTES {
            ready!(this.poll_send(cx))?;
        }
        let bytes = &bytes[..bytes.len().min(MAX_RECORD_BYTES)];
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.work(&Then::Encrypt(bytes))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.closing = true;
            self.work(&Then::Close)?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

//! The bytes of a connection: what came and is not a whole packet yet, what is to be sent.
//!
//! A quiet connection holds no buffer at all: bytes are read into a buffer that belongs to the
//! thread, and only the packet that is cut off at its end is kept. That is what makes tens of
//! thousands of idle devices cheap.

use std::{
    cell::Cell,
    future::Future as _,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What is read at once at most; one append then carries up to a thousand messages.
const MAX_READ: usize = 128 * 1024;

/// A cut-off packet longer than this is read on where it is, so that it is not copied again
/// and again.
const MAX_CARRIED: usize = 16 * 1024;

/// Room that is made at once for such a packet: by what arrives, not by what it announces.
const GROWTH: usize = 64 * 1024;

thread_local! {
    /// The thread's buffer, when nobody reads into it.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Bytes to be decoded.
pub(super) enum Chunk {
    /// In the thread's buffer: so many.
    Spare(Box<[u8]>, usize),
    /// In the connection's own.
    Own,
}

/// What moved.
pub(super) enum Moved {
    /// Bytes came, so many, and stand in the chunk behind what was kept.
    Read(Chunk, usize),
    /// The peer sends no more.
    Ended,
    /// Bytes were sent.
    Wrote,
    /// The peer takes no more.
    Broken,
}

#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Bytes that were read and are not decoded: a packet that is cut off, or more while the
    /// sender is slowed down.
    pub(super) kept: BytesMut,
    /// Bytes to send.
    pub(super) out: BytesMut,
    /// Whether the stream itself (TLS) may hold bytes back.
    unflushed: bool,
}

impl Pipe {
    /// Whether there is something to send.
    pub(super) fn is_sending(&self) -> bool {
        self.unflushed || !self.out.is_empty()
    }

    /// Forgets what was to be sent.
    pub(super) fn give_up_sending(&mut self) {
        self.out.clear();
        self.unflushed = false;
    }

    /// Sends what there is and, if `reading`, takes what came.
    pub(super) fn poll_move<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        reading: bool,
    ) -> Poll<Moved> {
        match self.poll_send(cx, stream) {
            Poll::Ready(Ok(true)) => return Poll::Ready(Moved::Wrote),
            Poll::Ready(Err(_)) => return Poll::Ready(Moved::Broken),
            Poll::Ready(Ok(false)) | Poll::Pending => {}
        }
        if !reading {
            return Poll::Pending;
        }
        if self.kept.len() > MAX_CARRIED {
            self.poll_own(cx, stream)
        } else {
            self.poll_spare(cx, stream)
        }
    }

    /// Whether something was sent.
    fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<std::io::Result<bool>> {
        let mut sent = false;
        while !self.out.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out)? {
                Poll::Ready(0) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => {
                    self.out.advance(count);
                    self.unflushed = true;
                    sent = true;
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed && Pin::new(stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            sent = true;
        }
        if self.out.is_empty() && self.out.capacity() > 0 {
            self.out = BytesMut::new();
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_own<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Moved> {
        self.kept.reserve(GROWTH);
        let read = ready!(pin!(stream.read_buf(&mut self.kept)).poll(cx));
        Poll::Ready(match read {
            Ok(0) | Err(_) => Moved::Ended,
            Ok(count) => Moved::Read(Chunk::Own, count),
        })
    }

    fn poll_spare<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Moved> {
        let mut spare = SPARE.take().unwrap_or_else(|| vec![0; MAX_READ].into());
        let kept = self.kept.len();
        let mut room = ReadBuf::new(&mut spare[kept..]);
        let polled = Pin::new(stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        let moved = match polled {
            Poll::Ready(Ok(())) if count > 0 => {
                spare[..kept].copy_from_slice(&self.kept);
                self.kept.clear();
                return Poll::Ready(Moved::Read(Chunk::Spare(spare, kept + count), count));
            }
            Poll::Ready(_) => Poll::Ready(Moved::Ended),
            Poll::Pending => Poll::Pending,
        };
        SPARE.set(Some(spare));
        moved
    }

    /// The bytes of a chunk.
    pub(super) fn bytes<'a>(&'a self, chunk: &'a Chunk) -> &'a [u8] {
        match chunk {
            Chunk::Spare(spare, len) => &spare[..*len],
            Chunk::Own => &self.kept,
        }
    }

    /// Gives a chunk back after its first `consumed` bytes were decoded; the rest is kept.
    pub(super) fn done(&mut self, chunk: Chunk, consumed: usize) {
        match chunk {
            Chunk::Spare(spare, len) => {
                self.kept.extend_from_slice(&spare[consumed..len]);
                SPARE.set(Some(spare));
            }
            Chunk::Own => self.kept.advance(consumed),
        }
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
    }
}

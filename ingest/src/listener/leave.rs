//! How a connection is asked from outside to end, and how others wait until it has.

use std::{
    pin::pin,
    sync::atomic::{AtomicU8, Ordering},
};

use tokio::sync::Notify;

/// Why a connection is asked to end; the first reason stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The same client id connected again.
    TakenOver,
    /// Its credential is no longer valid.
    Revoked,
}

/// Shared by a connection and whoever wants it to end. One allocation, because every idle
/// connection carries one.
#[derive(Debug, Default)]
pub(crate) struct Leave {
    asked: AtomicU8,
    ended: AtomicU8,
    wake: Notify,
    gone: Notify,
}

impl Leave {
    pub(crate) fn ask(&self, why: Asked) {
        let why = match why {
            Asked::TakenOver => 1,
            Asked::Revoked => 2,
        };
        let first = self
            .asked
            .compare_exchange(0, why, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            // Kept for the connection when it is not waiting at this moment.
            self.wake.notify_one();
        }
    }

    /// Waits until the connection is asked to end. For its one task only.
    pub(crate) async fn asked(&self) -> Asked {
        loop {
            match self.asked.load(Ordering::Acquire) {
                1 => return Asked::TakenOver,
                2 => return Asked::Revoked,
                _ => self.wake.notified().await,
            }
        }
    }

    /// Says that the connection has ended and everything it had appended is decided.
    pub(crate) fn end(&self) {
        self.ended.store(1, Ordering::Release);
        self.gone.notify_waiters();
    }

    /// Waits for that.
    pub(crate) async fn ended(&self) {
        let mut gone = pin!(self.gone.notified());
        gone.as_mut().enable();
        if self.ended.load(Ordering::Acquire) == 0 {
            gone.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_is_seen_before_and_after_the_wait_starts() {
        let leave = Arc::new(Leave::default());
        let waiting = tokio::spawn({
            let leave = Arc::clone(&leave);
            async move { leave.asked().await }
        });
        tokio::task::yield_now().await;
        leave.ask(Asked::Revoked);
        leave.ask(Asked::TakenOver);
        assert_eq!(waiting.await.unwrap(), Asked::Revoked);
        assert_eq!(leave.asked().await, Asked::Revoked);
    }

    #[tokio::test]
    async fn everybody_who_waits_for_the_end_learns_of_it() {
        let leave = Arc::new(Leave::default());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let leave = Arc::clone(&leave);
                tokio::spawn(async move { leave.ended().await })
            })
            .collect();
        tokio::task::yield_now().await;
        leave.end();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        leave.ended().await;
    }
}

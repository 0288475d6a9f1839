//! Who is connected: caps on connections, one connection a client id, and what a session
//! keeps between two connections.
//!
//! A session here is small: which `QoS` 2 packet ids were committed and not yet released, so
//! that their redelivery is not appended again. It is kept in memory for clients that ask for
//! it (clean session off, or a session expiry), also when no id is open, because client
//! libraries drop their unacknowledged messages when they are told that no session is present.
//! After a restart of the process the sessions are gone; redelivered readings are then merged
//! by the historian's key (device, signal, measured time).

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use telemetry::DeviceId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sessions kept for clients that are away; beyond it a session is not kept and its client is
/// told so. An entry is some hundred bytes.
const MAX_SESSIONS: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    connections: usize,
    addresses: FxHashMap<IpAddr, usize>,
    live: FxHashMap<DeviceId, Live>,
    sessions: FxHashMap<DeviceId, Kept>,
}

/// The connection that holds a client id.
#[derive(Debug, Clone)]
struct Live {
    /// Cancelled to make it end.
    close: CancellationToken,
    /// Cancelled when it has ended and everything it had appended is decided.
    ended: CancellationToken,
}

#[derive(Debug)]
struct Kept {
    open: Vec<u16>,
    until: Instant,
}

/// One of the places under the caps; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    address: IpAddr,
}

/// The hold on a client id; given back when dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    registry: Arc<Registry>,
    client: DeviceId,
    /// Cancelled when another connection wants the id.
    pub(crate) close: CancellationToken,
    ended: CancellationToken,
}

impl Registry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection from this address, if the caps leave one.
    pub(crate) fn place(
        self: &Arc<Self>,
        address: IpAddr,
        total: usize,
        each: usize,
    ) -> Option<Place> {
        let mut state = self.state();
        let here = state.addresses.get(&address).copied().unwrap_or(0);
        if state.connections >= total || here >= each {
            return None;
        }
        state.connections += 1;
        state.addresses.insert(address, here + 1);
        Some(Place {
            registry: Arc::clone(self),
            address,
        })
    }

    /// Takes hold of a client id. A connection that holds it now is told to end and waited
    /// for, so that what it had appended is committed before the new one starts. `None` when
    /// it does not end in time. The flag says whether one was taken over.
    pub(crate) async fn hold(
        self: &Arc<Self>,
        client: &DeviceId,
        patience: Duration,
    ) -> Option<(Hold, bool)> {
        let deadline = Instant::now() + patience;
        let mut took_over = false;
        loop {
            let other = {
                let mut state = self.state();
                match state.live.get(client) {
                    Some(live) => live.clone(),
                    None => return Some((self.take(&mut state, client), took_over)),
                }
            };
            took_over = true;
            other.close.cancel();
            tokio::time::timeout_at(deadline, other.ended.cancelled())
                .await
                .ok()?;
        }
    }

    fn take(self: &Arc<Self>, state: &mut State, client: &DeviceId) -> Hold {
        let (close, ended) = (CancellationToken::new(), CancellationToken::new());
        let live = Live {
            close: close.clone(),
            ended: ended.clone(),
        };
        state.live.insert(client.clone(), live);
        Hold {
            registry: Arc::clone(self),
            client: client.clone(),
            close,
            ended,
        }
    }
}

impl Hold {
    /// The session that was kept for this client: its committed, unreleased `QoS` 2 ids.
    pub(crate) fn resume(&self) -> Option<Vec<u16>> {
        let kept = self.registry.state().sessions.remove(&self.client)?;
        (kept.until > Instant::now()).then_some(kept.open)
    }

    /// Keeps the session for a while.
    pub(crate) fn keep(&self, open: Vec<u16>, expiry: Duration) {
        if expiry.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut state = self.registry.state();
        if state.sessions.len() >= MAX_SESSIONS {
            state.sessions.retain(|_, kept| kept.until > now);
        }
        if state.sessions.len() < MAX_SESSIONS {
            let until = now + expiry;
            state
                .sessions
                .insert(self.client.clone(), Kept { open, until });
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.state().live.remove(&self.client);
        self.ended.cancel();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        state.connections -= 1;
        if let Some(here) = state.addresses.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                state.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn places_are_capped_in_total_and_by_address_and_come_back() {
        let registry = Arc::new(Registry::default());
        let first = registry.place(HERE, 3, 2).unwrap();
        let _second = registry.place(HERE, 3, 2).unwrap();
        assert!(registry.place(HERE, 3, 2).is_none(), "two from one address");
        let _third = registry.place(THERE, 3, 2).unwrap();
        assert!(registry.place(THERE, 3, 2).is_none(), "three in total");
        drop(first);
        assert!(registry.place(HERE, 3, 2).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_id_has_one_holder_and_the_next_waits_for_its_end() {
        let registry = Arc::new(Registry::default());
        let client = DeviceId::new("p1").unwrap();
        let (first, took_over) = registry
            .hold(&client, Duration::from_secs(1))
            .await
            .unwrap();
        assert!(!took_over);
        assert!(
            registry
                .hold(&client, Duration::from_secs(1))
                .await
                .is_none(),
            "it does not end"
        );
        assert!(first.close.is_cancelled());
        drop(first);
        assert!(
            registry
                .hold(&client, Duration::from_secs(1))
                .await
                .is_some()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_kept_for_its_time_and_given_once() {
        let registry = Arc::new(Registry::default());
        let client = DeviceId::new("p1").unwrap();
        let hold = registry.take(&mut registry.state(), &client);
        assert_eq!(hold.resume(), None);
        hold.keep(vec![7], Duration::from_mins(1));
        assert_eq!(hold.resume(), Some(vec![7]));
        assert_eq!(hold.resume(), None, "given once");
        hold.keep(vec![7], Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(hold.resume(), None, "expired");
        hold.keep(vec![7], Duration::ZERO);
        assert_eq!(hold.resume(), None, "not asked for");
    }
}

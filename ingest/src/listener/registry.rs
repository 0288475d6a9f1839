//! Who is connected: caps on connections, one connection a client id, and what a session
//! keeps between two connections.
//!
//! A session here is small: which `QoS` 2 packet ids were committed and not yet released, so
//! that their redelivery is not appended again. It is kept in memory for clients that ask for
//! it (clean session off, or a session expiry), also when no id is open, because client
//! libraries drop their unacknowledged messages when they are told that no session is present.
//! After a restart of the process the sessions are gone; redelivered readings are then merged
//! by the historian's key (device, signal, measured time).
//!
//! A client id belongs to the credential that holds it: nobody takes over a connection or a
//! session with another one. Two exceptions keep a device from being locked out: a holder
//! without any credential gives way to one who has one, and a credential that was revoked
//! holds nothing.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use telemetry::{CredentialId, DeviceGate, DeviceId};
use tokio::{sync::Notify, time::Instant};

use super::{
    leave::{Asked, Leave},
    session::Saved,
};

/// Sessions kept for clients that are away; beyond it a session is not kept and its client is
/// told so. An entry is some hundred bytes.
const MAX_SESSIONS: usize = 10_000;

/// Clients whose will waits for its delay; beyond it a client is gone at once.
const MAX_ABSENT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    connections: usize,
    addresses: FxHashMap<IpAddr, usize>,
    live: FxHashMap<DeviceId, Live>,
    sessions: FxHashMap<DeviceId, Kept>,
    /// Clients that vanished and may be back before their will counts.
    absent: FxHashMap<DeviceId, Arc<Notify>>,
}

/// The connection that holds a client id.
#[derive(Debug, Clone)]
struct Live {
    leave: Arc<Leave>,
    credential: Option<CredentialId>,
}

#[derive(Debug)]
struct Kept {
    saved: Saved,
    credential: Option<CredentialId>,
    until: Instant,
}

/// Why a client id cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// The connection that holds it did not end in time.
    Busy,
    /// It is held under another credential.
    Foreign,
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
    credential: Option<CredentialId>,
    /// Asked when another connection wants the id, or the credential was revoked.
    pub(crate) leave: Arc<Leave>,
}

/// A client that vanished; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Absence {
    registry: Arc<Registry>,
    client: DeviceId,
    back: Arc<Notify>,
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
    /// for, so that what it had appended is committed before the new one starts. The flag says
    /// whether one was taken over.
    ///
    /// # Errors
    /// It does not end in time, or belongs to another credential.
    pub(crate) async fn hold(
        self: &Arc<Self>,
        client: &DeviceId,
        credential: Option<CredentialId>,
        gate: &dyn DeviceGate,
        patience: Duration,
    ) -> Result<(Hold, bool), NotHeld> {
        let deadline = Instant::now() + patience;
        let mut took_over = false;
        loop {
            let other = {
                let mut state = self.state();
                match state.live.get(client) {
                    Some(live) => live.clone(),
                    None => return Ok((self.take(&mut state, client, credential), took_over)),
                }
            };
            if !gives_way(other.credential, credential, gate) {
                return Err(NotHeld::Foreign);
            }
            took_over = true;
            other.leave.ask(Asked::TakenOver);
            tokio::time::timeout_at(deadline, other.leave.ended())
                .await
                .map_err(|_| NotHeld::Busy)?;
        }
    }

    fn take(
        self: &Arc<Self>,
        state: &mut State,
        client: &DeviceId,
        credential: Option<CredentialId>,
    ) -> Hold {
        let leave = Arc::new(Leave::default());
        let live = Live {
            leave: Arc::clone(&leave),
            credential,
        };
        state.live.insert(client.clone(), live);
        if let Some(back) = state.absent.remove(client) {
            back.notify_one();
        }
        Hold {
            registry: Arc::clone(self),
            client: client.clone(),
            credential,
            leave,
        }
    }

    /// Asks every connection to end whose credential is no longer valid, forgets the sessions
    /// of such credentials, and says how many connections that were.
    pub(crate) fn revoke(&self, gate: &dyn DeviceGate) -> u64 {
        let mut state = self.state();
        let revoked = |credential: Option<CredentialId>| {
            credential.is_some_and(|credential| !gate.is_valid(credential))
        };
        state.sessions.retain(|_, kept| !revoked(kept.credential));
        let mut count = 0;
        for live in state.live.values().filter(|live| revoked(live.credential)) {
            live.leave.ask(Asked::Revoked);
            count += 1;
        }
        count
    }
}

/// Whether a holder under one credential gives way to one under another.
fn gives_way(
    theirs: Option<CredentialId>,
    ours: Option<CredentialId>,
    gate: &dyn DeviceGate,
) -> bool {
    match theirs {
        None => true,
        Some(_) if theirs == ours => true,
        Some(theirs) => !gate.is_valid(theirs),
    }
}

impl Hold {
    /// The session that was kept for this client under this credential.
    pub(crate) fn resume(&self) -> Option<Saved> {
        let kept = self.registry.state().sessions.remove(&self.client)?;
        (kept.until > Instant::now() && kept.credential == self.credential).then_some(kept.saved)
    }

    /// Keeps the session for a while.
    pub(crate) fn keep(&self, saved: Saved, expiry: Duration) {
        if expiry.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut state = self.registry.state();
        if state.sessions.len() >= MAX_SESSIONS {
            state.sessions.retain(|_, kept| kept.until > now);
        }
        if state.sessions.len() < MAX_SESSIONS {
            let kept = Kept {
                saved,
                credential: self.credential,
                until: now + expiry,
            };
            state.sessions.insert(self.client.clone(), kept);
        }
    }

    /// Notes that this client is about to be away and may be back; none when too many are.
    pub(crate) fn absent(&self) -> Option<Absence> {
        let mut state = self.registry.state();
        if state.absent.len() >= MAX_ABSENT {
            return None;
        }
        let back = Arc::new(Notify::new());
        state.absent.insert(self.client.clone(), Arc::clone(&back));
        Some(Absence {
            registry: Arc::clone(&self.registry),
            client: self.client.clone(),
            back,
        })
    }
}

impl Absence {
    /// Waits until the client is connected again.
    pub(crate) async fn back(&self) {
        self.back.notified().await;
    }

    /// Takes hold of the client id of a client that is still away; none when it is back.
    pub(crate) fn expire(self) -> Option<Hold> {
        let mut state = self.registry.state();
        if state.live.contains_key(&self.client) {
            return None;
        }
        Some(self.registry.take(&mut state, &self.client, None))
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        let mine = |back: &Arc<Notify>| Arc::ptr_eq(back, &self.back);
        if state.absent.get(&self.client).is_some_and(mine) {
            state.absent.remove(&self.client);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.state().live.remove(&self.client);
        self.leave.end();
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

    /// Says that only odd credentials are valid.
    struct Odd;

    impl DeviceGate for Odd {
        fn admit(&self, _: &DeviceId) -> telemetry::Admission {
            telemetry::Admission::Admitted
        }

        fn rules(&self, _: &DeviceId) -> Option<Arc<telemetry::DeviceRules>> {
            None
        }

        fn generation(&self) -> u64 {
            0
        }

        fn authenticate(
            &self,
            _: &telemetry::Claim<'_>,
        ) -> Result<telemetry::Grant, telemetry::Denied> {
            Ok(telemetry::Grant::ANYONE)
        }

        fn is_valid(&self, credential: CredentialId) -> bool {
            credential.0 % 2 == 1
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn client() -> DeviceId {
        DeviceId::new("p1").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_id_has_one_holder_and_the_next_waits_for_its_end() {
        let registry = Arc::new(Registry::default());
        let hold = || async { registry.hold(&client(), None, &Odd, SECOND).await };
        let (first, took_over) = hold().await.unwrap();
        assert!(!took_over);
        assert_eq!(hold().await.unwrap_err(), NotHeld::Busy, "it does not end");
        assert_eq!(first.leave.asked().await, Asked::TakenOver);
        drop(first);
        assert!(hold().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_id_is_taken_over_under_the_same_credential_only() {
        let (valid, other, revoked) = (CredentialId(1), CredentialId(3), CredentialId(2));
        for (holder, comer, expected) in [
            (None, None, NotHeld::Busy),
            (None, Some(valid), NotHeld::Busy),
            (Some(valid), Some(valid), NotHeld::Busy),
            (Some(revoked), Some(valid), NotHeld::Busy),
            (Some(valid), Some(other), NotHeld::Foreign),
            (Some(valid), None, NotHeld::Foreign),
        ] {
            let registry = Arc::new(Registry::default());
            let hold = |credential| {
                let registry = Arc::clone(&registry);
                async move { registry.hold(&client(), credential, &Odd, SECOND).await }
            };
            let _held = hold(holder).await.unwrap();
            // `Busy` means that the holder was asked; here it never ends.
            let refused = hold(comer).await.unwrap_err();
            assert_eq!(refused, expected, "{holder:?} then {comer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn revoked_credentials_lose_their_connections_and_sessions() {
        let registry = Arc::new(Registry::default());
        let mut holds = Vec::new();
        for credential in [None, Some(CredentialId(1)), Some(CredentialId(2))] {
            let name = format!("p{}", holds.len());
            let client = DeviceId::new(&name).unwrap();
            let (hold, _) = registry
                .hold(&client, credential, &Odd, SECOND)
                .await
                .unwrap();
            hold.keep(Saved::default(), SECOND);
            holds.push(hold);
        }
        assert_eq!(registry.revoke(&Odd), 1);
        assert_eq!(holds[2].leave.asked().await, Asked::Revoked);
        let kept: Vec<_> = holds.iter().map(|hold| hold.resume().is_some()).collect();
        assert_eq!(kept, [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_kept_for_its_time_and_its_credential_and_given_once() {
        let registry = Arc::new(Registry::default());
        let saved = || Saved {
            open: vec![7],
            subscriptions: Vec::new(),
        };
        let hold = registry.take(&mut registry.state(), &client(), None);
        assert_eq!(hold.resume(), None);
        hold.keep(saved(), Duration::from_mins(1));
        assert_eq!(hold.resume(), Some(saved()));
        assert_eq!(hold.resume(), None, "given once");
        hold.keep(saved(), Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(hold.resume(), None, "expired");
        hold.keep(saved(), Duration::ZERO);
        assert_eq!(hold.resume(), None, "not asked for");
        hold.keep(saved(), Duration::from_mins(1));
        drop(hold);
        let other = registry.take(&mut registry.state(), &client(), Some(CredentialId(1)));
        assert_eq!(other.resume(), None, "another credential");
    }

    #[tokio::test(start_paused = true)]
    async fn an_absence_ends_when_the_client_is_back() {
        let registry = Arc::new(Registry::default());
        let hold = registry.take(&mut registry.state(), &client(), None);
        let absence = hold.absent().unwrap();
        drop(hold);
        let away = tokio::time::timeout(SECOND, absence.back()).await;
        assert!(away.is_err());
        let _back = registry.take(&mut registry.state(), &client(), None);
        absence.back().await;
    }
}

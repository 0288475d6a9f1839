//! Ports that are free and stay free while the program behind them is down.
//!
//! Asking the kernel for port 0 would give one from the ephemeral range, which outgoing
//! connections of other tests may take while a story has its program killed; a client that
//! connects to an unused port of that range can even end up connected to itself. So ports
//! come from below that range, at random, each probed and handed out once a process.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use rand::RngExt as _;

/// Below the ephemeral range of Linux (32768), above the well-known services.
const RANGE: std::ops::Range<u16> = 10_240..32_000;

/// More probes than a machine could have services in the range by accident.
const PROBES: usize = 200;

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A loopback port nobody listens on.
///
/// # Errors
/// When no port can be bound after many tries.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..PROBES {
        let port = rand::rng().random_range(RANGE);
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free loopback port in {RANGE:?} after {PROBES} tries")
}

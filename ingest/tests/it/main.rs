//! The listener and the subscriber over real sockets.
//!
//! One binary, so that the client library is linked once.

// Clippy exempts the test functions themselves but not their helpers.
#![allow(clippy::unwrap_used)]

mod access;
mod bounds;
mod forbidden;
mod listener;
mod oversized;
mod paho_interop;
mod slow;
mod sparkplug;
mod subscriber;
mod support;
mod tls;

//! The API over real HTTP on loopback, against a real journal, store, case desk and service
//! system in a scratch folder.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where; the helpers here are part of the tests"
)]

mod contract;
mod errors;
mod export;
mod ledger;
mod plant;
mod readings;
mod security;
mod stream;
mod system;
mod walks;
mod work;

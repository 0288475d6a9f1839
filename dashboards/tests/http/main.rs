//! The API over real HTTP on loopback, against a real journal, store, case desk and service
//! system in a scratch folder.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where; the helpers here are part of the tests"
)]

mod aligned;
mod backtests;
mod contract;
mod course;
mod devices;
mod drifts;
mod errors;
mod export;
mod ledger;
mod people;
mod plant;
mod prognosis;
mod quarantine;
mod readings;
mod rules;
mod security;
mod spectra;
mod stream;
mod submit;
mod system;
mod walks;
mod waveforms;
mod work;

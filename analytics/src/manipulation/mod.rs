//! Data manipulation (DM): from values as they arrive to samples in event time.
//!
//! Three steps, all in event time only, so that the same readings give the same samples
//! whatever the network did to their order:
//!
//! 1. [`telemetry::reorder`] holds rows back until everything that may still be older has arrived.
//! 2. `frame` gathers consecutive rows into one multivariate sample, because a device may
//!    publish each of its signals on a topic of its own.
//! 3. [`operating`] tells what the machine is doing at a sample.
//!
//! `features` follows each signal beside it.

pub(crate) mod features;
pub(crate) mod frame;
pub mod operating;
pub(crate) use telemetry::reorder;

//! `InfluxDB` 2 beside or instead of the embedded store.
//!
//! ```text
//! journal ──read──▶ Writer ──gzip line protocol──▶ /api/v2/write     (reader "influxdb")
//! dashboards ──▶ InfluxStore ──Flux──▶ /api/v2/query ──annotated CSV──▶ samples, buckets
//! ```
//!
//! * **The journal is the spool.** The writer is one more reader of the journal. Its position is
//!   saved only after the server said 2xx to everything before it, so a server that is dead,
//!   hanging or refusing costs no reading: the journal keeps what has not been taken.
//! * **Which code speaks HTTP.** The `influxdb2` crate (0.5.2) looks after the bucket and asks for
//!   health: those calls return errors as errors. Its write call neither compresses nor shows
//!   `Retry-After`, and its query call panics on a null cell and on a connection that is cut in
//!   the body, so writing and querying go through our own transport on `reqwest` 0.13, with our
//!   own line protocol encoder and annotated CSV reader. `influxdb2` drops the path of the URL;
//!   behind a reverse proxy with a prefix the bucket has to be made by hand.
//! * **The first value stays.** Our key is (device, signal, measured at) and the first value wins;
//!   `InfluxDB` lets the last one win. So a point that is not later than all others of its series
//!   is written with the value the embedded store holds under its key, which is the first one. The
//!   rule holds for as long as the embedded store keeps the reading.
//! * **Nothing blocks.** When the server refuses a batch for good (400, 422) the batch is halved
//!   until the refused fields stand alone; they are counted and listed, everything else is
//!   written. All other failures are retried for ever, with a pause that grows.

mod admin;
mod annotated;
mod backoff;
mod batch;
mod first_value;
mod flux;
mod lines;
mod status;
mod store;
mod transport;
mod writer;

use std::time::Duration;

pub use self::{
    lines::field_key,
    status::{InfluxMonitor, InfluxState, InfluxStatus, Refusal},
    store::InfluxStore,
    writer::{InfluxWriter, READER},
};

/// Where `InfluxDB` is and how it is written to. [`InfluxConfig::new`] gives the defaults.
#[derive(Clone)]
pub struct InfluxConfig {
    /// `http://host:port`.
    pub url: String,
    /// The organisation's name.
    pub org: String,
    /// The bucket's name; it is made when it is missing and the token may.
    pub bucket: String,
    /// The API token; empty when the server asks for none.
    pub token: String,
    /// How long a bucket that has to be made keeps readings. None: for ever. An existing bucket
    /// stays as it is.
    pub retention: Option<Duration>,
    /// Readings in one request. The server's advice is 5,000 lines; ours hold a few readings each.
    pub batch_points: usize,
    /// Bytes in one request before compression; servers refuse bodies of some ten megabytes.
    pub batch_bytes: usize,
    /// How long readings gather before they are written while the writer keeps up.
    pub flush_interval: Duration,
    /// How long one request may take. A server that says nothing for so long counts as dead.
    pub timeout: Duration,
}

impl InfluxConfig {
    /// The defaults for a server.
    pub fn new(
        url: impl Into<String>,
        org: impl Into<String>,
        bucket: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        Self {
            url: url.into(),
            org: org.into(),
            bucket: bucket.into(),
            token: token.into(),
            retention: None,
            batch_points: 20_000,
            batch_bytes: 4 << 20,
            flush_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for InfluxConfig {
    /// The token stays secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfluxConfig")
            .field("url", &self.url)
            .field("org", &self.org)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

//! The HTTP API and the embedded web UI.
//!
//! | module      | what it holds                                                         |
//! |-------------|-----------------------------------------------------------------------|
//! | [`parts`]   | [`Parts`]: everything the API reads from and acts on                    |
//! | [`fleet`]   | [`FleetView`]: the present state of each asset, fed by the pipeline     |
//! | [`events`]  | [`EventBus`]: live changes, throttled, on their way to browsers         |
//! | [`state`]   | the one word for how an asset is (pure)                                 |
//! | [`labels`]  | names of signals, units and failure modes in both languages (pure)      |
//! | [`detection_drift`] | whether detectors still see what they learned from, from readings and findings |
//! | [`scoreboard`] | what the scoreboard is made of, from cases, ledger and rules        |
//! | [`api`]     | axum routes, one file per resource, with their OpenAPI description      |
//! | [`web`]     | the web UI, built and embedded by `build.rs`                            |
//!
//! There is no login yet, so the server answers on loopback names only and refuses changes
//! that pages of other sites send; see the guard in [`api`].

pub mod api;
mod connections;
pub mod detection_drift;
pub mod events;
pub mod fleet;
pub mod labels;
pub mod parts;
pub mod scoreboard;
mod server;
pub mod state;
pub mod web;

pub use api::{
    Problem,
    case_replay::{CaseReplay, Recomputed},
    drift::{DriftWarning, drift_of},
    drifts::DetectionDrift,
    openapi,
};
pub use detection_drift::DriftSources;
pub use events::EventBus;
pub use fleet::{AssetLive, DeviceLive, FleetView};
pub use parts::{ConnectorInfo, Parts};
pub use server::{router, serve};
pub use state::AssetState;

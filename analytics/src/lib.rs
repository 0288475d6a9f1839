//! Analytics: from readings to findings, per device, in event time.
//!
//! The blocks follow ISO 13374: data manipulation puts rows in order and makes them samples,
//! state detection learns what is normal and tells what is not, health assessment gives one
//! number for it, and prognosis says when that number will reach its limit, if it can be said.
//! Each module's header carries its method and its sources.
//!
//! Everything here is pure: no IO, no clock, no chance but for a seed, and no order of a hash
//! map in a result. Learning a fleet model may use a few threads, which it has for itself and
//! which do not change its result; nothing else has any. [`Fleet::apply`] takes one record of the journal; the same records give
//! the same findings bit for bit, and a fleet that is saved and restored between two records
//! goes on as if nothing had happened.
//!
//! | what happens | what follows |
//! |---|---|
//! | rows out of order within [`Config::lateness`] | the same findings as in order |
//! | rows later than that, repeated values | counted in [`FleetStats`], not scored |
//! | a signal appears while learning | it joins the baseline if it has values in half of the points |
//! | a signal appears later | ignored until the baseline is learned anew |
//! | a signal disappears | held for five of its periods, then neutral; below half of the signals nothing is scored |
//! | a signal never moves while learning | its spread is 1 % of its value; always 0 = left out |
//! | a sensor that cannot be believed | said apart; its signal leaves the machine's verdict until it is good again |
//! | a value beyond a fixed limit of the model | watched from the first row on, also while learning |
//! | the machine stands still, idles, starts up, or changes its load | no verdict; the state stands |
//! | a huge value | a sensor's spike, if it is alone; a finite score in any case |
//! | a gap | smoothing and state go on where they stopped; held values expire |
//! | a clock jumps ahead | believed after three rows; set back: after 1,000 |
//! | [`WorkOrderClosed`](telemetry::Event::WorkOrderClosed) that changed the machine | all devices of the asset learn anew |
//! | [`NormalAccepted`](telemetry::Event::NormalAccepted) | the same |
//! | the model wants `fleet` | compared with what its peers told of the spans before; see the module `peers` |
//! | [`LifeBegan`](telemetry::Event::LifeBegan) | the cycles before it belong to the life before, and a normal that was learned before is learned anew |
//! | [`Recorded`](telemetry::Event::Recorded) | written into the diary of the asset, which a trained model may read |
//! | a trained model is promoted ([`Fleet::serve`]) | it is shown the life from its beginning and speaks instead of the trend |
//! | nothing moves | a word an hour; see the module `news` |
//!
//! Findings lag event time by the lateness bound: a row is scored once a row of the same
//! device that is newer by more than the bound has arrived.

mod budget;
mod config;
pub mod detection;
pub mod drift;
mod error;
mod fleet;
mod health;
mod knowledge;
pub mod manipulation;
mod monitor;
mod names;
mod news;
mod peers;
pub mod prognosis;
mod regimes;
mod report;
mod snapshot;
mod stage;
pub mod vibration;
mod view;
mod views;
mod waves;

pub use config::Config;
pub use error::AnalyticsError;
pub use fleet::{Fleet, WatchedLife};
pub use health::explanation::{explain, is_fixed_limit};
pub use manipulation::features::{Feature, SignalFeatures};
pub use telemetry::Assignment;
pub use view::{AssetView, DeviceView, FalseAlarms, FleetStats, NormalRange, SignalView};
pub use waves::waveforms_of;

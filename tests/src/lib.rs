//! What the end-to-end stories are made of.
//!
//! A story starts the real program as a child process ([`Home`] is its folder, ports and
//! settings; [`Program`] one run of it), speaks to it as devices and people do ([`mqtt`],
//! [`Api`]) and looks only at what they would see. Nothing here reaches into the program.
//!
//! The rules that keep the stories from flickering:
//!
//! - no fixed sleep where a condition can be awaited, and every wait has a deadline and says
//!   what it waited for ([`until`]);
//! - no fixed port ([`ports`]), no file outside a temporary folder, no process that outlives
//!   its story;
//! - chance comes from a printed seed that can be given back ([`seed`]).

pub mod api;
pub mod broker;
pub mod chaos;
pub mod floors;
pub mod ledger;
pub mod mqtt;
pub mod mqtt5;
pub mod ports;
pub mod program;
pub mod pump;
pub mod recordings;
pub mod sinks;
pub mod tools;
pub mod wait;

pub use api::Api;
pub use program::{Home, Program};
pub use tools::{pass_over, seed};
pub use wait::{until, within};

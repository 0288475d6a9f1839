//! Acquisition (ISO 13374 block DA): from MQTT bytes to readings in the journal.
//!
//! ```text
//! device ──▶ listener ─┐                    ┌─▶ readings ─┐
//!                      ├─▶ decode (pure) ───┤             ├─▶ journal.append ─▶ commit ─▶ PUBACK
//! broker ──▶ subscriber┘                    └─▶ dead letters
//! ```
//!
//! * [`Listener`] is our own MQTT 3.1.1 and 5.0 endpoint. It is no broker: devices publish,
//!   and may subscribe to their own command topic.
//! * [`Subscriber`] follows an existing broker.
//! * [`Decoder`] turns a topic and a payload into rows of a batch and is the only place that
//!   knows formats.
//!
//! The promise of this crate: a PUBACK or PUBREC is sent only after the journal has committed
//! what was published, and what fails a check is committed too, as a dead letter with its
//! reason. Everything is bounded; a slow journal becomes TCP back-pressure at the device.

mod check;
#[cfg(test)]
#[path = "../../tests/fuzz/corpus.rs"]
mod corpus;
mod decode;
mod error;
mod intake;
mod listener;
mod parts;
mod quota;
mod stats;
mod subscriber;
mod tls;

pub use check::CheckConfig;
pub use decode::{
    Command, Decoder, Format, InvalidPath, InvalidPattern, JsonPaths, LineOptions, Message,
    TimeUnit, TopicCache, TopicPattern, Verdict,
};
pub use error::IngestError;
pub use intake::{Intake, Replayed, Submitted};
pub use listener::{Access, Listener, ListenerConfig};
pub use parts::Parts;
pub use quota::Quotas;
pub use stats::{IngestSnapshot, IngestStats, SubscriberStatus};
pub use subscriber::{Protocol, Subscriber, SubscriberConfig};
pub use tls::{ClientCertificates, TlsConfig};

//! Telling people: what is said, to whom, when, and that it arrives.
//!
//! ```text
//! case log ─▶ plan ─▶ outbox ─▶ allot ─▶ words ─▶ format ─▶ channel
//!   (file)   (pure)   (file)    (pure)   (pure)   (pure)    (mail, webhook)
//! ```
//!
//! The log of the cases and the outbox lie in one file. The follower reads the log from where it
//! has come to, decides, and writes messages and its position in one transaction, so that no
//! crash loses a message or makes one twice. The id of a message is a function of what it says to
//! whom by which channel. A message is claimed on disk before it is sent and marked after it: a
//! crash in between sends it again, with the same id. Nobody is told more than [`allot::LIMIT`]
//! times in [`allot::WINDOW`]; what is held back is told together.
//!
//! | module      | what it holds                                                          |
//! |-------------|------------------------------------------------------------------------|
//! | [`message`] | what is told, and its id                                                |
//! | [`plan`]    | what a line of the case log makes of messages and chains                |
//! | [`allot`]   | what of it goes now, and what is told together                          |
//! | [`words`]   | the same in English and Chinese                                         |
//! | [`mod@format`] | and as each channel wants it, escaped for it                            |
//! | [`channel`] | the ways there are, and the requests they take                          |
//! | [`guard`]   | which addresses may be called                                           |
//! | [`http`]    | one request on a connection to an address that was checked              |
//! | [`mail`]    | one mail                                                                |
//! | [`outbox`]  | the messages on disk                                                    |
//! | [`driver`]  | follows, escalates, sends                                               |

pub mod allot;
pub mod channel;
pub mod driver;
mod follow;
pub mod format;
pub mod guard;
pub mod http;
pub mod mail;
pub mod message;
pub mod outbox;
pub mod plan;
mod rows;
pub mod sign;
pub mod words;

pub use channel::{Channel, ChannelKind, Channels};
pub use driver::{Facts, Notifier, NotifierError, NotifierParts};
pub use message::{Content, Kind, Message, Recipient};
pub use outbox::{Outbox, OutboxCounts, OutboxQuery, Sending, State};
pub use plan::{Office, Visit};

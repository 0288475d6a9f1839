//! What can go wrong in analytics: a configuration that makes no sense, or a state that
//! cannot be read back, or a waveform that cannot be analysed. Readings themselves never
//! fail; they are counted instead.

/// Why a call to analytics failed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// A configured value lies outside what the methods can work with.
    #[error("analytics.{key} is {value}; use {allowed}")]
    Config {
        /// The configuration key.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// A waveform, or what is asked of it, cannot be worked with.
    #[error("the waveform cannot be analysed: {problem}")]
    Waveform {
        /// What is wrong with it.
        problem: String,
    },
    /// A model cannot be learned from what it was given.
    #[error("{what} cannot be learned: {problem}")]
    Learning {
        /// What was to be learned.
        what: &'static str,
        /// What is missing or wrong.
        problem: String,
    },
    /// Learning was broken off by the caller.
    #[error("learning was stopped")]
    Stopped,
    /// The saved state of a device was written by another format.
    #[error(
        "the saved analytics state of device {key} has format {found}, this program reads format {expected}"
    )]
    StateFormat {
        /// The key it was saved under.
        key: String,
        /// The format it was written in; 0 when it is no analytics state at all.
        found: u16,
        /// The format this program reads.
        expected: u16,
    },
    /// The saved state of a device cannot be decoded.
    #[error("the saved analytics state of device {key} cannot be read: {problem}")]
    StateUnreadable {
        /// The key it was saved under.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The state of a device cannot be encoded.
    #[error("the analytics state of device {key} cannot be written")]
    StateUnwritable {
        /// The key it was to be saved under.
        key: String,
        /// What the encoder said.
        #[source]
        source: postcard::Error,
    },
}

impl AnalyticsError {
    /// Whether the same call may succeed later. Analytics is pure: the same call gives the
    /// same answer.
    pub fn is_transient(&self) -> bool {
        false
    }
}

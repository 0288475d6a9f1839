//! The journal of what arrived and the store of time series.
//!
//! ```text
//! ingest ──append──▶ Journal ──read──▶ Store ──range, buckets──▶ dashboards
//!                       └─────read──▶ analytics (in bellwether)
//! ```
//!
//! [`Journal`] is the one source of truth: a reading is acknowledged when, and only when,
//! its group commit has been fsynced there. [`Store`] follows the journal and keeps the
//! readings as compressed chunks per series; it can always be brought up to date again from
//! the journal, which is trimmed only behind its readers. Both are SQLite files in WAL mode
//! with `synchronous=FULL`.

mod background;
pub mod backup;
#[cfg(test)]
#[path = "../../tests/fuzz/corpus.rs"]
mod corpus;
mod error;
pub mod influx;
pub mod journal;
pub mod models;
mod sqlite;
pub mod store;
mod time_series;

pub use background::{Background, GiveWay};
pub use error::HistorianError;
pub use influx::{
    InfluxConfig, InfluxMonitor, InfluxState, InfluxStatus, InfluxStore, InfluxWriter,
};
pub use journal::{
    DeadLetterQuery, DeadLetterRoom, DeadLetterState, Journal, JournalConfig, JournalStats,
    ReaderPosition, Snapshot, StoredDeadLetter,
};
pub use models::{
    ForecastScore, JobState, MODELS_FILE, ModelCard, ModelRegistry, NewJob, NewModel, Promotion,
    Provenance, ScoreSummary, TrainingJob,
};
pub use store::{
    Bucket, DamagedChunk, DiskUse, FindingKind, FindingQuery, Grid, LateQuery, LateReadings,
    Retention, Sample, SeriesInfo, SeriesKey, SignalRetention, Store, StoreConfig, StoreReader,
    Tier, WaveformInfo, WaveformQuery,
};
pub use time_series::TimeSeries;

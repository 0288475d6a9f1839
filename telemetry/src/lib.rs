//! The shared words of Bellwether.
//!
//! Everything that crosses from one room of the house to another is declared here: the
//! ids, the units, time, the [`ReadingBatch`] that devices become, the output type of each
//! ISO 13374 block, and the ports through which crates of one floor meet. The crate does no
//! IO and takes time as an argument.
//!
//! ```text
//! Reading (DA) -> Feature (DM) -> Condition (SD) -> Assessment (HA) -> Prognosis (PA) -> Advisory (AG)
//! ```

mod access;
mod advisory;
mod asset_model;
mod batch;
pub mod decision;
mod finding;
mod ids;
mod journal;
mod places;
mod ports;
pub mod reorder;
mod rules;
mod time;
mod units;
mod waveform;

pub use access::{Claim, CredentialId, Denied, Grant, Quota, Scope};
pub use advisory::{Advisory, Outcome, Severity, UnknownWord, WorkOrderClosed};
pub use asset_model::{
    AssetModel, Assignment, Bearing, Component, DERIVED_PREFIX, Detection, FEATURES,
    FailureModeSignature, Foundation, InvalidModel, Iso14224, LifeAxis, Limit, LimitState,
    MAX_FEATURES, MAX_LIMITS, Machine, MeasuringRange, ModeledState, OperatingRules,
    PrognosisCosts, PrognosisSpec, RelatedSignals, RelationSign, SignalSpec, SignatureTerm,
    StateRule, VibrationGroup, VibrationLimits, View,
};
pub use batch::{Columns, InvalidBatch, ReadingBatch, Row, RowDraft};
pub use finding::{
    AlertSource, Assessment, CLOCK_SIGNAL, ComponentHealth, Condition, ConditionState,
    Contribution, Evidence, Explanation, FailureWithin, FanQuantile, Finding, ForecastContribution,
    ForecastDetail, HealthIndex, NoPrognosis, OperatingState, Prognosis, PrognosisFamily,
    PrognosisOutcome, RuleChange, RuleReport, RuleState, RuleVerdict, SensorFault, SensorReport,
    SensorState, SensorVerdict, Shown, SimilarLife, Statistics, Verdict, ViewScore, Zone,
};
pub use ids::{
    AssetId, AssetModelId, CaseId, ChainId, ChannelId, ComponentId, CustomerId, DeviceId,
    EngineerId, FailureMode, InvalidId, MessageId, PersonId, RotaId, RuleId, SignalName, SiteId,
    WorkOrderId,
};
pub use journal::{
    DeadLetter, DeadLetterReason, Event, INSTALLED_AT, JournalRecord, Offset, Recorded,
};
pub use places::{Nowhere, Place, Places};
pub use ports::{
    Admission, AdvisorySink, BoxFuture, DeviceGate, JournalWriter, OpenGate, OutcomeSink, PortError,
};
pub use rules::{DeviceRules, SignalLimits, SignalRule};
pub use time::{Clock, InvalidTimestamp, ManualClock, SystemClock, Timestamp};
pub use units::{Quantity, Unit, UnitError};
pub use waveform::Waveform;

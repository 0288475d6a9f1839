//! Does this component fail within the horizon?
//!
//! The second question of the life-data family: where telemetry, error codes and maintenance of
//! a fleet are there, and failures are frequent enough, a classifier per component answers it
//! directly. It is fitted to examples of many machines ([`FailureModel`]), sees only what was
//! known at the moment ([`FeatureState`]), is calibrated on machines it did not see, and one
//! threshold for warnings is chosen by what false warnings may cost ([`choose_threshold`]).

mod columns;
mod features;
pub(crate) mod logistic;
mod model;
mod threshold;

pub use columns::Columns;
pub use features::{Catalog, FeatureState};
pub use logistic::Logistic;
pub(crate) use model::{BETTER, log_score};
pub use model::{Calibrator, ClassifierConfig, Examples, FailureModel, FittedFailures, Kind};
pub use threshold::{Budget, Said, Threshold, choose_threshold};

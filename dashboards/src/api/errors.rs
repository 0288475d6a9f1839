//! What the rooms below say, as problems.

use alerting::AlertingError;
use historian::HistorianError;
use service::{InvalidText, ServiceError};
use telemetry::{InvalidId, PortError};

use crate::scoreboard::ScoreboardError;

use super::problem::Problem;

/// When to try again what is not available now: a full disk is not emptied sooner.
const RETRY_AFTER_S: u32 = 5;

impl From<AlertingError> for Problem {
    fn from(error: AlertingError) -> Self {
        match &error {
            AlertingError::NotFound(_) | AlertingError::NoSilence(_) => {
                Self::not_found(error.to_string())
            }
            AlertingError::Illegal { .. } | AlertingError::OtherOrder { .. } => {
                Self::conflict(error.to_string())
            }
            AlertingError::Invalid { field, .. } => {
                Self::invalid_value(error.to_string()).at_field(*field)
            }
            AlertingError::Database { .. }
            | AlertingError::Migration { .. }
            | AlertingError::Unreadable { .. } => Self::from_failure(&error, error.is_transient()),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::NotFound { .. } => Self::not_found(error.to_string()),
            ServiceError::Illegal { .. } | ServiceError::Conflict { .. } => {
                Self::conflict(error.to_string())
            }
            ServiceError::Invalid { field, .. } => {
                Self::invalid_value(error.to_string()).at_field(*field)
            }
            ServiceError::Database { .. }
            | ServiceError::Migration { .. }
            | ServiceError::Unreadable { .. } => Self::from_failure(&error, error.is_transient()),
        }
    }
}

impl From<HistorianError> for Problem {
    fn from(error: HistorianError) -> Self {
        Self::from_failure(&error, error.is_transient())
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        // Closed is the end of the program: the next one takes the request.
        let later = error.is_transient() || matches!(error, PortError::Closed { .. });
        let problem = Self::from_failure(&error, later);
        if later {
            problem.retry_after(RETRY_AFTER_S)
        } else {
            problem
        }
    }
}

impl From<InvalidText> for Problem {
    fn from(invalid: InvalidText) -> Self {
        Self::invalid_value(invalid.to_string()).at_field(invalid.kind)
    }
}

impl From<InvalidId> for Problem {
    fn from(invalid: InvalidId) -> Self {
        Self::invalid_value(invalid.to_string()).at_field(invalid.kind)
    }
}

impl From<ScoreboardError> for Problem {
    fn from(error: ScoreboardError) -> Self {
        match error {
            ScoreboardError::Cases(error) => error.into(),
            ScoreboardError::Service(error) => error.into(),
        }
    }
}

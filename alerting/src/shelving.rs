//! What people, and the calendar of work orders, keep quiet for a while.
//!
//! A case is *shelved* by a person until a time; a *silence* is a rule of the same kind for
//! every case that fits it; a *maintenance window* comes from the work orders: what rises while
//! somebody works on the machine is most likely the work. All three end by themselves.

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, FailureMode, Place, SiteId, Timestamp, WorkOrderId};

use crate::{AlertingError, Case};

/// What a silence fits: everything that is given has to fit, and something has to be given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Matcher {
    /// Cases of this asset.
    #[serde(default)]
    pub asset: Option<AssetId>,
    /// Cases of assets at this site.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// Cases of assets of this model.
    #[serde(default)]
    pub model: Option<AssetModelId>,
    /// Cases of this failure mode.
    #[serde(default)]
    pub failure_mode: Option<FailureMode>,
}

impl Matcher {
    /// Whether it would fit every case.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a case of an asset that stands at `place` fits. Where the place is not known,
    /// nothing that asks for it fits.
    pub fn fits(&self, case: &Case, place: Option<&Place>) -> bool {
        let at_site = |site: &SiteId| place.is_some_and(|place| place.site == *site);
        let of_model = |model: &AssetModelId| place.is_some_and(|place| place.model == *model);
        let of_mode = |mode: &FailureMode| case.failure_mode == *mode;
        !self.is_empty()
            && self.asset.as_ref().is_none_or(|asset| case.asset == *asset)
            && self.site.as_ref().is_none_or(at_site)
            && self.model.as_ref().is_none_or(of_model)
            && self.failure_mode.as_ref().is_none_or(of_mode)
    }
}

/// A silence as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// What it fits.
    pub matcher: Matcher,
    /// From when.
    pub from: Timestamp,
    /// Until when; later than `from`.
    pub until: Timestamp,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub note: String,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Its number, in the order of creation.
    pub id: i64,
    /// What it fits.
    #[serde(flatten)]
    pub matcher: Matcher,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Who wanted it.
    pub by: String,
    /// Why.
    pub note: String,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When a person ended it before its time.
    pub ended_at: Option<Timestamp>,
    /// Who did.
    pub ended_by: Option<String>,
}

impl Silence {
    /// Whether it is in force.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.from <= now && now < self.until
    }
}

/// A time in which people work on an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    /// The asset; what is part of it is meant too.
    pub asset: AssetId,
    /// The order that is worked on.
    pub work_order: WorkOrderId,
    /// From when.
    pub from: Timestamp,
    /// Until when; none while somebody is at work and has not said when it will be done.
    pub until: Option<Timestamp>,
}

impl MaintenanceWindow {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Checks a time until which something is to be quiet.
///
/// # Errors
/// [`AlertingError::Invalid`] when it has passed or lies too far ahead.
pub fn check_until(
    until: Timestamp,
    now: Timestamp,
    most: std::time::Duration,
) -> Result<(), AlertingError> {
    let rule = if until <= now {
        "use a time that is still to come"
    } else if until > now + most {
        "use an earlier time: nothing stays quiet for longer than cases.shelve_most"
    } else {
        return Ok(());
    };
    Err(AlertingError::Invalid {
        field: "until",
        rule,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{asset, case, place, t};

    #[test]
    fn a_silence_fits_when_all_that_it_names_fits() {
        let case = case("pump-1", "cavitation");
        let here = place("hall-3", "pump");
        let site = |id: &str| Some(SiteId::new(id).unwrap());
        let model = |id: &str| Some(AssetModelId::new(id).unwrap());
        let mode = |id: &str| Some(FailureMode::new(id).unwrap());
        for (matcher, fits) in [
            (Matcher::default(), false),
            (
                Matcher {
                    asset: Some(asset("pump-1")),
                    ..Matcher::default()
                },
                true,
            ),
            (
                Matcher {
                    asset: Some(asset("pump-2")),
                    ..Matcher::default()
                },
                false,
            ),
            (
                Matcher {
                    site: site("hall-3"),
                    ..Matcher::default()
                },
                true,
            ),
            (
                Matcher {
                    site: site("hall-4"),
                    ..Matcher::default()
                },
                false,
            ),
            (
                Matcher {
                    site: site("hall-3"),
                    model: model("fan"),
                    ..Matcher::default()
                },
                false,
            ),
            (
                Matcher {
                    model: model("pump"),
                    failure_mode: mode("cavitation"),
                    ..Matcher::default()
                },
                true,
            ),
            (
                Matcher {
                    model: model("pump"),
                    failure_mode: mode("imbalance"),
                    ..Matcher::default()
                },
                false,
            ),
        ] {
            assert_eq!(matcher.fits(&case, Some(&here)), fits, "{matcher:?}");
            let needs_place = matcher.site.is_some() || matcher.model.is_some();
            assert_eq!(
                matcher.fits(&case, None),
                fits && !needs_place,
                "{matcher:?}"
            );
        }
    }

    #[test]
    fn quiet_ends_by_itself_and_never_lies_in_the_past() {
        let day = Duration::from_hours(24);
        for (until, good) in [
            (99, false),
            (100, false),
            (101, true),
            (86_500, true),
            (86_501, false),
        ] {
            assert_eq!(check_until(t(until), t(100), day).is_ok(), good, "{until}");
        }
        let window = |until: Option<i64>| MaintenanceWindow {
            asset: asset("pump-1"),
            work_order: crate::testing::order("WO-000001"),
            from: t(10),
            until: until.map(t),
        };
        for (until, now, open) in [
            (Some(20), 9, false),
            (Some(20), 10, true),
            (Some(20), 20, false),
            (None, 1_000_000, true),
        ] {
            assert_eq!(window(until).is_open(t(now)), open);
        }
    }
}

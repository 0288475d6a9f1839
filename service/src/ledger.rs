//! The ledger: whose assets stand where, which devices watch them, and who can work on them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, EngineerId, SiteId, Timestamp};

use crate::{Name, ServiceError, TimeZoneName};

/// What happens to a device nobody has registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// It is admitted and registered with an asset of its own, so that a newcomer sees data
    /// without configuration.
    #[default]
    Open,
    /// It is refused.
    Closed,
}

impl FromStr for Registration {
    type Err = ServiceError;
    fn from_str(text: &str) -> Result<Self, ServiceError> {
        match text {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            _ => Err(ServiceError::Invalid {
                field: "registration",
                problem: format!("{text:?} is not known; use open or closed"),
            }),
        }
    }
}

impl Registration {
    /// The word in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// Somebody whose assets are maintained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: Name,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// A customer to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// Its id; the next free `CUS-0001` when none is given.
    #[serde(default)]
    pub id: Option<CustomerId>,
    /// Its name.
    pub name: Name,
}

/// A place of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its name.
    pub name: Name,
    /// Its time zone, in which people there read times.
    pub time_zone: TimeZoneName,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// A site to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSite {
    /// Its id; the next free `SITE-0001` when none is given.
    #[serde(default)]
    pub id: Option<SiteId>,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its name.
    pub name: Name,
    /// Its time zone; UTC when none is given.
    #[serde(default = "TimeZoneName::utc")]
    pub time_zone: TimeZoneName,
}

/// A customer as an asset shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRef {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: Name,
}

/// A site as an asset shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRef {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: Name,
    /// Its time zone.
    pub time_zone: TimeZoneName,
}

/// A thing that is maintained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// Its name; the id until a person gives it one.
    pub name: Name,
    /// What kind of machine it is.
    pub model: AssetModelId,
    /// Whose it is.
    pub customer: CustomerRef,
    /// Where it stands.
    pub site: SiteRef,
    /// The asset it is part of or fed by: while that one fails, its own alarms say nothing new.
    #[serde(default)]
    pub parent: Option<AssetId>,
    /// Registered by its first reading and not described by a person since.
    pub discovered: bool,
    /// When it was entered.
    pub registered_at: Timestamp,
    /// The devices that watch it, by id.
    pub devices: Vec<DeviceId>,
}

/// An asset to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAsset {
    /// Its id.
    pub id: AssetId,
    /// Its name; the id when none is given.
    #[serde(default)]
    pub name: Option<Name>,
    /// What kind of machine it is.
    #[serde(default = "AssetModelId::unknown")]
    pub model: AssetModelId,
    /// Where it stands; the default site when none is given.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// The asset it is part of or fed by.
    #[serde(default)]
    pub parent: Option<AssetId>,
    /// The devices that watch it. Unknown ones are registered, known ones move here.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
}

/// What to change about an asset; what is none stays. Any change marks it as described.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetUpdate {
    /// Its name.
    #[serde(default)]
    pub name: Option<Name>,
    /// Where it stands.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// What kind of machine it is.
    #[serde(default)]
    pub model: Option<AssetModelId>,
    /// The asset it is part of or fed by; `Some(None)` makes it stand alone.
    #[serde(default, with = "maybe_none")]
    #[allow(
        clippy::option_option,
        reason = "left out, null and a value are three wishes"
    )]
    pub parent: Option<Option<AssetId>>,
    /// All its devices: unknown ones are registered, known ones move here, those left out
    /// stay registered without an asset.
    #[serde(default)]
    pub devices: Option<Vec<DeviceId>>,
}

/// A field that may be left out, null or a value: three different wishes.
#[allow(
    clippy::option_option,
    clippy::ref_option,
    reason = "the shape that serde asks for; left out, null and a value are three wishes"
)]
pub mod maybe_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What was given, which the field is only asked for when something was.
    ///
    /// # Errors
    /// Those of the value.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::deserialize(from).map(Some)
    }

    /// The value, or null for both others.
    ///
    /// # Errors
    /// Those of the value.
    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(to)
    }
}

impl AssetUpdate {
    /// How many assets may stand above one another: more than the levels of ISO 14224 clause
    /// 8.2 from the installation down to the part.
    pub const MAX_DEPTH: usize = 8;

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which assets to list, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetQuery {
    /// At this site only.
    pub site: Option<SiteId>,
    /// Of this customer only.
    pub customer: Option<CustomerId>,
    /// With this text in id or name, whatever its case (ASCII letters).
    pub text: Option<String>,
    /// Continue behind this asset, the last one of the page before.
    pub after: Option<AssetId>,
    /// At most this many; cut to [`AssetQuery::MAX_LIMIT`].
    pub limit: u32,
}

impl AssetQuery {
    /// A page that a browser still draws at once.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// An asset is a few hundred bytes, so a page of this many stays below about 5 MB.
    pub const MAX_LIMIT: u32 = 10_000;
}

impl Default for AssetQuery {
    fn default() -> Self {
        Self {
            site: None,
            customer: None,
            text: None,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }
}

/// What speaks MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id, which is also its MQTT client id or part of its topic.
    pub id: DeviceId,
    /// The asset it watches; none when it was taken off one.
    pub asset: Option<AssetId>,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// A person who does the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engineer {
    /// Their id.
    pub id: EngineerId,
    /// Their name.
    pub name: Name,
    /// What they can do.
    pub skills: Vec<Name>,
}

/// An engineer to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEngineer {
    /// Their id; the next free `ENG-0001` when none is given.
    #[serde(default)]
    pub id: Option<EngineerId>,
    /// Their name.
    pub name: Name,
    /// What they can do; at most [`NewEngineer::MAX_SKILLS`].
    #[serde(default)]
    pub skills: Vec<Name>,
}

impl NewEngineer {
    /// More than any real qualification list, few enough to show.
    pub const MAX_SKILLS: usize = 32;
}

/// The id and name of the customer and the site that discovered assets belong to.
pub const DEFAULT_ID: &str = "default";

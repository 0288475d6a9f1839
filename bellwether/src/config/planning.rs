//! `[planning]`: what work costs, when it can be done, and what is agreed with customers.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Serialize;
use service::{CustomerTerms, OpeningHours, PlanningConfig};
use telemetry::{CustomerId, SiteId};

use super::{ConfigError, Keys, values::FromValue};

/// `[planning]`: how orders are planned, dated and priced.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Planning {
    /// `plans_dir`: a folder of TOML job plans beside the built-in ones.
    pub(crate) plans_dir: Option<PathBuf>,
    /// `currency` all prices are counted in; `labour_per_hour` of one engineer and
    /// `travel_per_visit` of a crew; `hours` in which crews work, in the time of the site;
    /// `hours_per_engineer_week` left for orders, or `crew_hours_per_week` of all engineers;
    /// `proposals_max` proposed orders that planners can look through. `[[planning.site]]`: a site
    /// (`id`) with other `hours`. `[[planning.customer]]`: what is agreed with a customer (`id`):
    /// `sla_penalty` for a failure, `failure_factor` by which it is dearer there, work on critical
    /// cases done within `critical_within` and on others within `warning_within`.
    pub(crate) rules: PlanningConfig,
    /// `[[planning.connector]]`: other maintenance systems that orders of cases are told to.
    pub(crate) connectors: Vec<Connector>,
}

/// `[[planning.connector]]`: another maintenance system; see deploy/connectors.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Connector {
    /// `name`: what it is called here; keep it, because what was told is remembered under it.
    pub(crate) name: String,
    /// `mapping`: `maximo`, `sap-pm`, `servicenow`, or a file of your own.
    pub(crate) mapping: String,
    /// `base_url`: where it is, `https://` unless `allow_private`.
    pub(crate) base_url: String,
    /// `header`: the header that carries `authorization`.
    pub(crate) header: String,
    /// `authorization`: its value, better as `…__AUTHORIZATION_FILE`.
    #[serde(skip)]
    pub(crate) authorization: Option<String>,
    /// `allow_private`: whether it may stand inside the plant; then `http://` is allowed too.
    pub(crate) allow_private: bool,
    /// `timeout` of one request.
    pub(crate) timeout: Duration,
    /// `poll_every`: how often it is asked where an order stands.
    pub(crate) poll_every: Duration,
}

/// A week of hours, and the longest that is agreed: a year.
const WEEK_H: f64 = 168.0;
const YEAR: Duration = Duration::from_hours(366 * 24);
/// Prices beyond are typing errors in any currency.
const MOST: f64 = 1e9;

impl Planning {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let dir = keys.checked("planning.plans_dir", |value| {
            let dir = PathBuf::from_value(value)?;
            crate::plans::read_dir(&dir).map_err(|error| format!("{error:#}"))?;
            Ok(dir)
        })?;
        let default = PlanningConfig::default();
        let mut sites = BTreeMap::new();
        for at in keys.positions("planning.site") {
            let (id, own) = site(keys, &format!("planning.site.{at}"), default.hours)?;
            sites.insert(id, own);
        }
        let mut customers = BTreeMap::new();
        for at in keys.positions("planning.customer") {
            let (id, terms) = customer(keys, &format!("planning.customer.{at}"))?;
            customers.insert(id, terms);
        }
        let mut connectors: Vec<Connector> = Vec::new();
        for at in keys.positions("planning.connector") {
            let known: Vec<String> = connectors.iter().map(|one| one.name.clone()).collect();
            connectors.push(connector(
                keys,
                &format!("planning.connector.{at}"),
                &known,
            )?);
        }
        let crew = keys.checked("planning.crew_hours_per_week", |value| {
            let hours = f64::from_value(value)?;
            let some = (0.0..=1e6).contains(&hours);
            some.then_some(hours)
                .ok_or_else(|| "use 0 to 1,000,000 hours".to_owned())
        })?;
        Ok(Self {
            plans_dir: dir.map(|(dir, _)| dir),
            connectors,
            rules: PlanningConfig {
                currency: currency(keys, default.currency)?,
                labour_per_hour: keys.ranged(
                    "planning.labour_per_hour",
                    default.labour_per_hour,
                    0.0..=MOST,
                )?,
                travel_per_visit: keys.ranged(
                    "planning.travel_per_visit",
                    default.travel_per_visit,
                    0.0..=MOST,
                )?,
                hours: hours(keys, "planning.hours", default.hours)?,
                hours_per_engineer_week: keys.ranged(
                    "planning.hours_per_engineer_week",
                    default.hours_per_engineer_week,
                    0.0..=WEEK_H,
                )?,
                crew_hours_per_week: crew.map(|(hours, _)| hours),
                proposals_max: keys.ranged(
                    "planning.proposals_max",
                    u64::from(default.proposals_max),
                    1..=1_000_000,
                )? as u32,
                sites,
                customers,
            },
        })
    }
}

fn currency(keys: &mut Keys, default: String) -> Result<String, ConfigError> {
    let found = keys.checked("planning.currency", |value| {
        let text = String::from_value(value)?;
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code
            .then_some(text)
            .ok_or_else(|| "use three capital letters of ISO 4217, such as CNY or EUR".to_owned())
    })?;
    Ok(found.map_or(default, |(text, _)| text))
}

fn hours(keys: &mut Keys, key: &str, default: OpeningHours) -> Result<OpeningHours, ConfigError> {
    let found = keys.checked(key, |value| {
        let text = String::from_value(value)?;
        text.parse::<OpeningHours>()
            .map_err(|error| error.to_string())
    })?;
    Ok(found.map_or(default, |(hours, _)| hours))
}

fn site(
    keys: &mut Keys,
    table: &str,
    default: OpeningHours,
) -> Result<(SiteId, OpeningHours), ConfigError> {
    let section = format!("{table}.");
    let id = keys.required(
        &section,
        &format!("{table}.id"),
        "say which site it is about",
    )?;
    Ok((id, hours(keys, &format!("{table}.hours"), default)?))
}

fn customer(keys: &mut Keys, table: &str) -> Result<(CustomerId, CustomerTerms), ConfigError> {
    let section = format!("{table}.");
    let key = |name: &str| format!("{table}.{name}");
    let id = keys.required(&section, &key("id"), "say which customer it is about")?;
    let mut within = |name: &str| -> Result<Option<Duration>, ConfigError> {
        let found = keys.checked(&key(name), |value| {
            let within = Duration::from_value(value)?;
            let some = !within.is_zero() && within <= YEAR;
            some.then_some(within)
                .ok_or_else(|| "use more than nothing and at most a year".to_owned())
        })?;
        Ok(found.map(|(within, _)| within))
    };
    let terms = CustomerTerms {
        critical_within: within("critical_within")?,
        warning_within: within("warning_within")?,
        ..CustomerTerms::default()
    };
    Ok((
        id,
        CustomerTerms {
            sla_penalty: keys.ranged(&key("sla_penalty"), terms.sla_penalty, 0.0..=MOST)?,
            failure_factor: keys.ranged(
                &key("failure_factor"),
                terms.failure_factor,
                0.01..=1e4,
            )?,
            ..terms
        },
    ))
}

fn connector(keys: &mut Keys, table: &str, taken: &[String]) -> Result<Connector, ConfigError> {
    let section = format!("{table}.");
    let key = |name: &str| format!("{table}.{name}");
    let private = keys.or(&key("allow_private"), false)?;
    let name = keys.checked(&key("name"), |value| {
        let name = String::from_value(value)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) || name == "builtin" {
            return Err(
                "use 1 to 40 small letters, digits and hyphens, and not builtin".to_owned(),
            );
        }
        if taken.contains(&name) {
            return Err("another connector has this name".to_owned());
        }
        Ok(name)
    })?;
    let mapping = keys.checked(&key("mapping"), |value| {
        let name = String::from_value(value)?;
        crate::connector::Mapping::load(&name).map_err(|error| format!("{error:#}"))?;
        Ok(name)
    })?;
    let base_url = keys.checked(&key("base_url"), |value| {
        let url = String::from_value(value)?;
        let plain = url.starts_with("http://") && private;
        if !(url.starts_with("https://") || plain) {
            return Err("use https://, or http:// with allow_private = true".to_owned());
        }
        if url.contains(['?', '#', '@']) || url.chars().any(char::is_whitespace) {
            return Err("leave out query, fragment and user".to_owned());
        }
        Ok(url.trim_end_matches('/').to_owned())
    })?;
    let text = |found: Option<(String, _)>| found.map(|(text, _): (String, super::Setting)| text);
    let (name, mapping, base_url) = (text(name), text(mapping), text(base_url));
    let header = keys.or(&key("header"), "authorization".to_owned())?;
    let authorization = keys.get(&key("authorization"))?;
    let timeout = within(keys, &key("timeout"), Duration::from_secs(10), 1, 15)?;
    let poll_every = within(keys, &key("poll_every"), Duration::from_mins(5), 1, 86_400)?;
    Ok(Connector {
        name: needed(keys, &section, &key("name"), name)?,
        mapping: needed(keys, &section, &key("mapping"), mapping)?,
        base_url: needed(keys, &section, &key("base_url"), base_url)?,
        header,
        authorization,
        allow_private: private,
        timeout,
        poll_every,
    })
}

/// What was found, or the complaint that it has to be there.
fn needed(
    keys: &mut Keys,
    section: &str,
    key: &str,
    found: Option<String>,
) -> Result<String, ConfigError> {
    match found {
        Some(found) => Ok(found),
        None => keys.required(section, key, "a connector needs name, mapping and base_url"),
    }
}

fn within(
    keys: &mut Keys,
    key: &str,
    default: Duration,
    least_s: u64,
    most_s: u64,
) -> Result<Duration, ConfigError> {
    let found = keys.checked(key, |value| {
        let given = Duration::from_value(value)?;
        let some = (Duration::from_secs(least_s)..=Duration::from_secs(most_s)).contains(&given);
        some.then_some(given)
            .ok_or_else(|| format!("use {least_s} s to {most_s} s"))
    })?;
    Ok(found.map_or(default, |(given, _)| given))
}

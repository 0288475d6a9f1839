//! The shapes of the service system's types for devices.

use serde::Deserialize;
use utoipa::ToSchema;

/// How much may be published; zero means no limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Messages a second.
    messages_per_s: u32,
    /// Payload bytes a second.
    bytes_per_s: u32,
}

/// What must hold of the values of a signal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The smallest value that is physically possible.
    min: Option<f64>,
    /// The largest value that is physically possible.
    max: Option<f64>,
    /// The fastest change that is physically possible, per second.
    max_rate_per_s: Option<f64>,
    /// An unchanged value for longer than this, in seconds, is counted as stuck.
    stuck_after_s: Option<f64>,
}

/// A device as it shall be. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// Its id, which is its MQTT client id.
    device: String,
    /// The asset it watches; one of its own id when none is given.
    asset: Option<String>,
    /// The asset's name for people.
    asset_name: Option<String>,
    /// What kind of machine the asset is.
    model: Option<String>,
    /// Whose it is; entered when missing.
    customer: Option<String>,
    /// The name of a customer that is entered.
    customer_name: Option<String>,
    /// Where it stands; entered when missing.
    site: Option<String>,
    /// The name of a site that is entered.
    site_name: Option<String>,
    /// The time zone of a site that is entered.
    time_zone: Option<String>,
    /// All signals it declares beside its asset's model.
    signals: Option<Vec<NewDeviceSignal>>,
    /// Messages a second; zero for no limit.
    quota_messages: Option<u32>,
    /// Payload bytes a second; zero for no limit.
    quota_bytes: Option<u32>,
    /// What each of its topics starts with when it publishes for others.
    gateway: Option<String>,
    /// The SHA-256 fingerprint of its client certificate, or `name`.
    certificate: Option<String>,
}

/// A signal that a device declares.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeviceSignal {
    /// The name in payloads.
    name: String,
    /// The name it is stored under; the one in payloads when it is left out.
    signal: Option<String>,
    /// The symbol of the unit the device sends; the one it is stored in when it is left out.
    unit: Option<String>,
    /// What must hold of its values, in the unit the device sends.
    #[serde(default)]
    #[schema(value_type = Option<Limits>)]
    limits: Limits,
}

/// What onboarding did or, in a dry run, would do. With any error nothing was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardReport {
    /// Whether it was only asked what would happen.
    dry_run: bool,
    /// Whether it was done.
    applied: bool,
    /// Rows of the file without its header.
    rows: u64,
    /// Rows that say what is so already.
    unchanged: u64,
    /// What is new.
    created: OnboardCreated,
    /// What was there and is different now.
    changed: OnboardChanged,
    /// Devices of the file that have no valid credential, not counting those in `tokens`.
    without_credential: u64,
    /// The tokens that were made, by device. This is the only time they are seen.
    tokens: Vec<OnboardToken>,
    /// What is wrong, by line and column.
    errors: Vec<OnboardError>,
    /// Errors beyond those that are listed.
    more_errors: u64,
}

/// What is new, each by id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardCreated {
    /// Customers.
    customers: Vec<String>,
    /// Sites.
    sites: Vec<String>,
    /// Assets.
    assets: Vec<String>,
    /// Devices.
    devices: Vec<String>,
}

/// What is different now, each by id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardChanged {
    /// Assets.
    assets: Vec<String>,
    /// Devices: moved, declared anew or with another certificate.
    devices: Vec<String>,
}

/// A token that was just made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardToken {
    /// In whose name it publishes.
    device: String,
    /// The id to revoke it by.
    credential: u64,
    /// The secret.
    token: String,
}

/// One thing that is wrong with a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardError {
    /// The line its row begins in; the header is line 1.
    line: u64,
    /// The number of the column, from 1.
    column_number: u64,
    /// The name of the column; empty when it has none.
    column: String,
    /// What stands there, cut to its first 80 characters.
    value: String,
    /// What is wrong with it and what to do.
    problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirrors_describe_what_the_service_system_takes_and_writes() {
        let device = telemetry::DeviceId::new("p1").unwrap();
        let report = service::OnboardReport {
            tokens: vec![service::IssuedToken {
                device,
                credential: telemetry::CredentialId(3),
                token: "bw_x".to_owned(),
            }],
            errors: vec![service::OnboardError {
                line: 2,
                column_number: 1,
                column: "device".to_owned(),
                value: "a b".to_owned(),
                problem: "it has a blank".to_owned(),
            }],
            ..service::OnboardReport::default()
        };
        let json = serde_json::to_string(&report).unwrap();
        serde_json::from_str::<OnboardReport>(&json).unwrap();
        let json = serde_json::to_string(&telemetry::Quota::default()).unwrap();
        serde_json::from_str::<Quota>(&json).unwrap();
        let whole = serde_json::json!({
            "device": "p1", "asset": "pump-1", "asset_name": "Pump 1", "model": "centrifugal-pump",
            "customer": "CUS-1", "customer_name": "Delta", "site": "S-1", "site_name": "Hall",
            "time_zone": "Europe/Amsterdam", "quota_messages": 10, "quota_bytes": 0,
            "gateway": "telemetry/hall-3.", "certificate": "name",
            "signals": [{ "name": "t1", "signal": "bearing_temperature_c", "unit": "°F",
                "limits": { "min": -40.0, "max": 250.0, "max_rate_per_s": 5.0, "stuck_after_s": 60.0 } }],
        });
        serde_json::from_value::<NewDevice>(whole.clone()).unwrap();
        serde_json::from_value::<service::NewDevice>(whole).unwrap();
    }
}

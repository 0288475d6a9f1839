//! `SenML` records in JSON (RFC 8428, section 5).

use serde_json::{Map, Value};

use super::{BadPack, MAX_RECORDS, Record};

pub(super) fn records(payload: &[u8]) -> Result<Vec<Record>, BadPack> {
    let pack: Vec<Map<String, Value>> =
        serde_json::from_slice(payload).map_err(|error| BadPack(error.to_string()))?;
    if pack.len() > MAX_RECORDS {
        return Err(BadPack(format!("more than {MAX_RECORDS} records")));
    }
    pack.into_iter()
        .enumerate()
        .map(|(at, fields)| record(fields).map_err(|problem| BadPack(format!("$[{at}].{problem}"))))
        .collect()
}

fn record(fields: Map<String, Value>) -> Result<Record, String> {
    let mut record = Record::default();
    for (label, value) in fields {
        let number = || {
            value
                .as_f64()
                .ok_or_else(|| format!("{label} is no number"))
        };
        let text = || {
            value
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("{label} is no text"))
        };
        match label.as_str() {
            "bn" => record.base_name = Some(text()?),
            "bt" => record.base_time = Some(number()?),
            "bu" => record.base_unit = Some(text()?),
            "bv" => record.base_value = Some(number()?),
            "bs" => record.base_sum = Some(number()?),
            "bver" => {
                let version = value.as_i64().ok_or("bver is no whole number")?;
                record.version = Some(version);
            }
            "n" => record.name = Some(text()?),
            "u" => record.unit = Some(text()?),
            "v" => record.value = Some(number()?),
            "s" => record.sum = Some(number()?),
            "t" => record.time = Some(number()?),
            "vs" => record.other = Some("a text"),
            "vb" => record.other = Some("true or false"),
            "vd" => record.other = Some("data"),
            // `ut`, links and other extensions say nothing that a reading needs.
            other if other.ends_with('_') => {
                return Err(format!("{other} must be understood and is not"));
            }
            _ => {}
        }
    }
    if record.value.is_some() && record.other.is_some() {
        return Err("v stands beside another value".into());
    }
    Ok(record)
}

//! The OpenAPI document against what the server does.
//!
//! Every response that a test of this crate reads is checked against its description:
//! nothing missing, nothing undescribed, each value of the described type.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::plant::Plant;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(dashboards::openapi()).unwrap());

/// What the contract promises, written down a second time on purpose.
const ROUTES: [(&str, &str); 86] = [
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/api/v1/cases/{id}/capsule"),
    ("post", "/api/v1/cases/{id}/replay"),
    ("get", "/api/v1/job-plans"),
    ("get", "/api/v1/connectors"),
    ("get", "/api/v1/deliveries"),
    ("post", "/api/v1/deliveries/{id}/retry"),
    ("get", "/api/v1/assets"),
    ("post", "/api/v1/assets"),
    ("get", "/api/v1/assets/{id}"),
    ("patch", "/api/v1/assets/{id}"),
    ("get", "/api/v1/assets/{id}/features"),
    ("get", "/api/v1/assets/{id}/course"),
    ("post", "/api/v1/assets/{id}/accept-normal"),
    ("get", "/api/v1/sensor-reports"),
    ("get", "/api/v1/customers"),
    ("post", "/api/v1/customers"),
    ("get", "/api/v1/sites"),
    ("post", "/api/v1/sites"),
    ("get", "/api/v1/engineers"),
    ("post", "/api/v1/engineers"),
    ("get", "/api/v1/models"),
    ("get", "/api/v1/devices"),
    ("post", "/api/v1/devices"),
    ("get", "/api/v1/devices/{id}"),
    ("get", "/api/v1/devices/{id}/signals"),
    ("get", "/api/v1/devices/{id}/late-readings"),
    ("get", "/api/v1/devices/{id}/credentials"),
    ("post", "/api/v1/devices/{id}/credentials"),
    ("delete", "/api/v1/credentials/{id}"),
    ("post", "/api/v1/onboarding"),
    ("get", "/api/v1/signals"),
    ("get", "/api/v1/readings"),
    ("post", "/api/v1/readings"),
    ("get", "/api/v1/readings/last"),
    ("get", "/api/v1/waveforms"),
    ("get", "/api/v1/waveforms/{id}"),
    ("get", "/api/v1/waveforms/{id}/samples"),
    ("get", "/api/v1/waveforms/{id}/spectrum"),
    ("get", "/api/v1/conditions"),
    ("get", "/api/v1/assessments"),
    ("get", "/api/v1/prognoses"),
    ("get", "/api/v1/prognosis-models"),
    ("get", "/api/v1/prognosis-models/{id}/{version}"),
    ("post", "/api/v1/prognosis-models/{id}/{version}/promote"),
    ("post", "/api/v1/prognosis-models/{id}/roll-back"),
    ("get", "/api/v1/prognosis-models/{id}/{version}/scores"),
    ("get", "/api/v1/prognosis-models/{id}/{version}/drift"),
    ("get", "/api/v1/training-jobs"),
    ("post", "/api/v1/training-jobs"),
    ("get", "/api/v1/training-jobs/{id}"),
    ("get", "/api/v1/history"),
    ("post", "/api/v1/history/{kind}"),
    ("get", "/api/v1/cases"),
    ("get", "/api/v1/cases/{id}"),
    ("post", "/api/v1/cases/{id}/acknowledge"),
    ("get", "/api/v1/work-orders"),
    ("post", "/api/v1/work-orders"),
    ("get", "/api/v1/work-orders/{id}"),
    ("post", "/api/v1/work-orders/{id}/approve"),
    ("post", "/api/v1/work-orders/{id}/schedule"),
    ("post", "/api/v1/work-orders/{id}/start"),
    ("post", "/api/v1/work-orders/{id}/complete"),
    ("post", "/api/v1/work-orders/{id}/cancel"),
    ("get", "/api/v1/backtests"),
    ("post", "/api/v1/backtests"),
    ("get", "/api/v1/backtests/{id}"),
    ("post", "/api/v1/backtests/{id}/cancel"),
    ("post", "/api/v1/cases/{id}/shelve"),
    ("post", "/api/v1/cases/{id}/unshelve"),
    ("post", "/api/v1/cases/{id}/separate"),
    ("get", "/api/v1/case-groups"),
    ("get", "/api/v1/silences"),
    ("post", "/api/v1/silences"),
    ("delete", "/api/v1/silences/{id}"),
    ("get", "/api/v1/alarm-rates"),
    ("get", "/api/v1/savings"),
    ("get", "/api/v1/savings/entries"),
    ("get", "/api/v1/dead-letters"),
    ("get", "/api/v1/dead-letters/summary"),
    ("post", "/api/v1/dead-letters/replay"),
    ("get", "/api/v1/dead-letters/{id}"),
    ("get", "/api/v1/dead-letters/{id}/payload"),
    ("get", "/api/v1/status"),
];

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let plant = Plant::open().await;
    let document: Value = plant.get("/api/openapi.json").await.json().await.unwrap();
    assert_eq!(document, *DOCUMENT);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says nothing"
            );
            assert!(operation["responses"].is_object(), "{method} {path}");
            described.push((method.clone(), path.clone()));
        }
    }
    let mut promised: Vec<(String, String)> = ROUTES
        .iter()
        .chain(&[
            ("get", "/api/v1/stream"),
            ("get", "/api/v1/calendar/{file}"),
        ])
        .chain(&crate::people::ROUTES)
        .chain(&crate::rules::ROUTES)
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    described.sort();
    promised.sort();
    assert_eq!(described, promised);
    // A described route answers: anything but "no such route" and "not this method".
    for (method, path) in described
        .iter()
        .filter(|(_, path)| !path.ends_with("/stream"))
    {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let path = path.replace("{id}", "nobody").replace("{version}", "1");
        let response = plant.request(method.clone(), &path).send().await.unwrap();
        let (status, body) = (response.status().as_u16(), response.text().await.unwrap());
        let routed = status != 405 && !body.contains("there is nothing at");
        assert!(routed, "{method} {path}: {status} {body}");
    }
    plant.close().await;
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_everything_is_explained() {
    fn walk(value: &Value, path: &str) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    resolve(reference);
                }
                for (key, inner) in map {
                    walk(inner, &format!("{path}/{key}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path)),
            _ => {}
        }
    }
    walk(&DOCUMENT, "");
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(
            schema["description"].is_string(),
            "schema {name} says nothing"
        );
    }
    for item in DOCUMENT["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{parameter}");
            }
        }
    }
}

#[test]
fn the_checker_finds_what_is_missing_undescribed_or_of_another_type() {
    let good = json!({ "status": "ok", "reasons": [] });
    let schema = json!({ "$ref": "#/components/schemas/Readiness" });
    assert_eq!(check(&schema, &good, "$"), Ok(()));
    for bad in [
        json!({ "status": "ok" }),
        json!({ "status": "ok", "reasons": [], "more": 1 }),
        json!({ "status": 1, "reasons": [] }),
        json!({ "status": "ok", "reasons": [7] }),
        json!(null),
    ] {
        assert!(check(&schema, &bad, "$").is_err(), "{bad}");
    }
}

/// Fails when a response is not as its route describes it.
pub(crate) fn check_response(method: &Method, path: &str, status: u16, value: &Value) {
    let path = path.split('?').next().unwrap();
    let method = method.as_str().to_lowercase();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A path without a parameter wins: `/dead-letters/summary` is no id.
    let item = paths.get(path).or_else(|| {
        paths
            .iter()
            .find(|(template, _)| matches(template, path))
            .map(|(_, item)| item)
    });
    let operation = &item.unwrap_or_else(|| panic!("{path} is not described"))[&method];
    let response = &operation["responses"][status.to_string()];
    let content = response["content"].as_object();
    let content = content.unwrap_or_else(|| panic!("{method} {path} {status} is not described"));
    let (_, media) = content
        .iter()
        .find(|(kind, _)| kind.contains("json"))
        .unwrap();
    if let Err(problem) = check(&media["schema"], value, "$") {
        panic!("{method} {path} {status}: {problem}\n{value:#}");
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(part, given)| part == given || part.starts_with('{'))
}

fn resolve(reference: &str) -> &'static Value {
    let pointer = reference.strip_prefix('#').unwrap();
    let found = DOCUMENT.pointer(pointer);
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        return check(resolve(reference), value, at);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let tried: Vec<String> = choices
                .iter()
                .filter_map(|choice| check(choice, value, at).err())
                .collect();
            return if tried.len() < choices.len() {
                Ok(())
            } else {
                Err(format!("{at} fits no choice: {}", tried.join("; ")))
            };
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) {
            Ok(())
        } else {
            Err(format!("{at}: {value} is none of {words:?}"))
        };
    }
    if !type_fits(&schema["type"], value) {
        return Err(format!("{at}: {value} is no {}", schema["type"]));
    }
    match value {
        Value::Array(items) if schema["items"].is_object() => items
            .iter()
            .enumerate()
            .try_for_each(|(n, item)| check(&schema["items"], item, &format!("{at}[{n}]"))),
        Value::Object(map) => check_object(schema, map, at),
        _ => Ok(()),
    }
}

fn check_object(schema: &Value, map: &Map<String, Value>, at: &str) -> Result<(), String> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    gather(schema, &mut properties, &mut required);
    let free = &schema["additionalProperties"];
    if properties.is_empty() && !free.is_object() {
        return Ok(());
    }
    for name in required {
        if !map.contains_key(&name) {
            return Err(format!("{at}.{name} is missing"));
        }
    }
    for (name, value) in map {
        let at = format!("{at}.{name}");
        match properties.get(name) {
            Some(schema) => check(schema, value, &at)?,
            None if free.is_object() => check(free, value, &at)?,
            None => return Err(format!("{at} is not described")),
        }
    }
    Ok(())
}

/// The properties of a schema and of everything it is made of.
fn gather(schema: &Value, properties: &mut Map<String, Value>, required: &mut Vec<String>) {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        gather(resolve(reference), properties, required);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(part, properties, required);
    }
    if let Some(own) = schema["properties"].as_object() {
        properties.extend(own.clone());
    }
    let names = schema["required"].as_array().into_iter().flatten();
    required.extend(names.filter_map(|name| name.as_str().map(str::to_owned)));
}

fn type_fits(described: &Value, value: &Value) -> bool {
    let fits = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match described {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}

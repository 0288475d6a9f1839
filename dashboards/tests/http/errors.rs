//! Every mistake is answered with a problem document that says where it is.

use reqwest::Method;
use serde_json::Value;

use crate::plant::Plant;

/// Path, status, kind, parameter at fault, and what the detail says.
type Reading = (&'static str, u16, &'static str, &'static str, &'static str);

const BAD: &str = "invalid-parameter";

#[rustfmt::skip]
const READING: [Reading; 48] = [
    ("/api/v1/nothing", 404, "not-found", "", "/api/openapi.json"),
    ("/api/v2/assets", 404, "not-found", "", "nothing at"),
    ("/api", 404, "not-found", "", "nothing at"),
    ("/api/v1/assets/", 404, "not-found", "", "nothing at"),
    ("/api/v1/assets/pump-9", 404, "not-found", "", "there is no asset pump-9"),
    ("/api/v1/assets/a%20b", 400, BAD, "id", "1 to 64 characters"),
    ("/api/v1/assets/%FF", 400, BAD, "id", "UTF-8"),
    ("/api/v1/cases/C-1", 404, "not-found", "", "there is no case C-1"),
    ("/api/v1/work-orders/WO-1", 404, "not-found", "", "work order"),
    ("/api/v1/assets?limit=0", 400, BAD, "limit", "1 to 1000"),
    ("/api/v1/assets?limit=1001", 400, BAD, "limit", "1 to 1000"),
    ("/api/v1/assets?limit=x", 400, BAD, "limit", "limit"),
    ("/api/v1/assets?cursor=%21", 400, BAD, "cursor", "not given out"),
    ("/api/v1/assets?state=broken", 400, BAD, "state", "healthy"),
    ("/api/v1/assets?colour=red", 400, BAD, "colour", "unknown parameter"),
    ("/api/v1/assets?format=xml", 400, BAD, "format", "json or csv"),
    ("/api/v1/cases?status=new", 400, BAD, "status", "open"),
    ("/api/v1/cases?cursor=Qy0x", 400, BAD, "cursor", "not given out"),
    ("/api/v1/work-orders?status=proposed,x", 400, BAD, "status", "cancelled"),
    ("/api/v1/work-orders?cursor=V08tMQ", 400, BAD, "cursor", "not given out"),
    ("/api/v1/dead-letters?reason=x", 400, BAD, "reason", "too_large"),
    ("/api/v1/dead-letters?cursor=Qy0x", 400, BAD, "cursor", "not given out"),
    ("/api/v1/conditions?from=noon", 400, BAD, "from", "RFC 3339"),
    ("/api/v1/conditions?order=up", 400, BAD, "order", "asc"),
    ("/api/v1/conditions?cursor=Qy0x", 400, BAD, "cursor", "not given out"),
    ("/api/v1/signals?asset=pump-9", 400, BAD, "asset", "no such asset"),
    ("/api/v1/readings?device=pump-1", 400, BAD, "signal", "missing"),
    ("/api/v1/readings?signal=x", 400, BAD, "device", "either"),
    ("/api/v1/readings?signal=x&device=d&asset=a", 400, BAD, "device", "either"),
    ("/api/v1/readings?signal=x&device=pump-9", 404, "not-found", "", "device pump-9"),
    ("/api/v1/readings?signal=a%2Fb&device=d", 400, BAD, "signal", "signal name"),
    ("/api/v1/readings?signal=x&device=pump-1&from=2026-03-01T00:00:00Z&buckets=0", 400, BAD, "buckets", "1 to 5000"),
    ("/api/v1/readings?signal=x&device=pump-1&points=5001", 400, BAD, "points", "1 to 5000"),
    ("/api/v1/readings?signal=x&device=pump-1&points=5&buckets=5", 400, BAD, "points", "either"),
    ("/api/v1/readings/last?asset=pump-9", 400, BAD, "asset", "no such asset"),
    ("/api/v1/dead-letters?state=gone", 400, BAD, "state", "replayed"),
    ("/api/v1/dead-letters/7", 404, "not-found", "", "no dead letter 7"),
    ("/api/v1/dead-letters/x", 400, BAD, "id", "whole number"),
    ("/api/v1/dead-letters/7/payload", 404, "not-found", "", "no dead letter 7"),
    ("/api/v1/devices/pump-9", 404, "not-found", "", "no device pump-9"),
    ("/api/v1/devices/pump-9/credentials", 404, "not-found", "", "no device pump-9"),
    ("/api/v1/devices/pump-9/late-readings", 404, "not-found", "", "no device pump-9"),
    ("/api/v1/waveforms?asset=pump-9", 400, BAD, "asset", "no such asset"),
    ("/api/v1/waveforms?cursor=Qy0x", 400, BAD, "cursor", "not given out"),
    ("/api/v1/waveforms/3/samples", 404, "not-found", "", "no waveform 3"),
    ("/api/v1/waveforms/3/samples?format=wav", 400, BAD, "format", "f32le"),
    ("/api/v1/readings?signal=x&device=pump-1&limit=10001", 400, BAD, "limit", "1 to 10000"),
    ("/api/v1/readings?signal=x&device=pump-1&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", 400, BAD, "to", "before from"),
];

/// Path, content type, body, status, kind, member and its value, and what the detail says.
type Writing = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    (&'static str, &'static str),
    &'static str,
);

const JSON: &str = "application/json";
const BODY: &str = "malformed-body";
const NONE: (&str, &str) = ("", "");

#[rustfmt::skip]
const WRITING: [Writing; 19] = [
    ("/api/v1/customers", JSON, "{\n \"name\" 1}", 400, BODY, ("line", "2"), "expected `:`"),
    ("/api/v1/customers", JSON, "{\"name\": 1}", 400, BODY, ("column", "10"), "expected a string"),
    ("/api/v1/customers", JSON, "{\"name\": \"\"}", 400, BODY, ("field", "name"), "1 to 200 characters"),
    ("/api/v1/customers", JSON, "{\"naem\": \"x\"}", 400, BODY, NONE, "unknown field `naem`"),
    ("/api/v1/customers", JSON, "", 400, BODY, NONE, "EOF"),
    ("/api/v1/customers", "text/plain", "{}", 415, "unsupported-media-type", NONE, "application/json"),
    ("/api/v1/sites", JSON, "{\"customer\": \"nobody\", \"name\": \"x\"}", 404, "not-found", NONE, "nobody"),
    ("/api/v1/assets", JSON, "{\"id\": \"pump-1\"}", 409, "conflict", NONE, "pump-1"),
    ("/api/v1/assets", JSON, "{\"id\": \"p\", \"model\": \"submarine\"}", 422, "invalid-value", ("field", "model"), "no asset model submarine"),
    ("/api/v1/engineers", JSON, "{\"name\": \"x\", \"skills\": [\"a\", 2]}", 400, BODY, ("field", "skills[1]"), "expected a string"),
    ("/api/v1/cases/C-1/acknowledge", JSON, "{\"by\": \"Li\"}", 404, "not-found", NONE, "C-1"),
    ("/api/v1/work-orders/WO-1/approve", JSON, "{\"by\": \"Li\"}", 404, "not-found", NONE, "WO-1"),
    ("/api/v1/dead-letters/replay", JSON, "{}", 422, "invalid-value", ("field", "ids"), "say which"),
    ("/api/v1/dead-letters/replay", JSON, "{\"ids\": [1], \"reason\": \"too_large\"}", 422, "invalid-value", ("field", "ids"), "either"),
    ("/api/v1/devices/pump-9/credentials", JSON, "{}", 404, "not-found", NONE, "pump-9"),
    ("/api/v1/devices/pump-1/credentials", JSON, "{\"certificate\": \"ab\"}", 400, BODY, ("field", "certificate"), "64 hexadecimal"),
    ("/api/v1/devices", JSON, "{\"device\": \"a b\"}", 400, BODY, ("field", "device"), "1 to 64"),
    ("/api/v1/status", JSON, "{}", 405, "method-not-allowed", NONE, "Allow header"),
    ("/assets/pump-1", JSON, "{}", 405, "method-not-allowed", NONE, "GET and HEAD"),
];

#[tokio::test]
async fn mistakes_of_readers_name_the_parameter() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 1.0)])])
        .await;
    for (path, status, kind, parameter, says) in READING {
        let request = plant.request(Method::GET, path);
        let problem = problem(request, status, kind, says).await;
        let expected = (!parameter.is_empty()).then_some(parameter);
        assert_eq!(problem["parameter"].as_str(), expected, "{path}: {problem}");
    }
    plant.close().await;
}

#[tokio::test]
async fn mistakes_of_writers_name_the_place_in_the_body() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 1.0)])])
        .await;
    for (path, mime, body, status, kind, (member, value), says) in WRITING {
        let request = plant.request(Method::POST, path);
        let request = request.header("content-type", mime).body(body);
        let problem = problem(request, status, kind, says).await;
        if !member.is_empty() {
            let got = &problem[member];
            let got = got.as_str().map_or_else(|| got.to_string(), str::to_owned);
            assert_eq!(got, value, "{path} {body}: {problem}");
        }
    }
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(70_000));
    let request = plant.request(Method::POST, "/api/v1/customers");
    let request = request.header("content-type", JSON).body(long);
    problem(request, 413, "too-large", "65536 bytes").await;
    plant.close().await;
}

#[tokio::test]
async fn a_wrong_method_is_told_which_ones_are_right() {
    let plant = Plant::open().await;
    let request = plant.request(Method::DELETE, "/api/v1/assets/pump-1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 405);
    let allow = response.headers()["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("PATCH"), "{allow}");
    plant.close().await;
}

/// Sends a request that must be refused and gives the problem.
async fn problem(request: reqwest::RequestBuilder, status: u16, kind: &str, says: &str) -> Value {
    let request = request.build().unwrap();
    let what = format!("{} {}", request.method(), request.url());
    let response = reqwest::Client::new().execute(request).await.unwrap();
    let mime = response.headers()["content-type"].clone();
    let got = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{what}: {text}");
    assert_eq!(mime, "application/problem+json", "{what}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status, "{what}");
    let kind = format!("urn:bellwether:problem:{kind}");
    assert_eq!(problem["type"], kind, "{what}: {problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{what}: {detail}");
    problem
}

//! Readings over HTTP: every format's way in, and what is promised about it.

use std::io::Write;

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use service::{Access, Registration};

use crate::{
    contract,
    plant::{Plant, device},
};

const PATH: &str = "/api/v1/readings";

fn post(plant: &Plant, query: &str, mime: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    plant
        .request(Method::POST, &format!("{PATH}?{query}"))
        .header(header::CONTENT_TYPE, mime)
        .body(body)
}

async fn answer(response: Response, status: u16) -> Value {
    let got = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    contract::check_response(&Method::POST, PATH, status, &value);
    value
}

async fn sent(request: RequestBuilder, status: u16) -> Value {
    answer(request.send().await.unwrap(), status).await
}

/// The newest values of a device by signal.
async fn newest(plant: &Plant, device: &str) -> Value {
    plant.stored().await;
    let last = plant
        .read(&format!("/api/v1/readings/last?device={device}"))
        .await;
    let items = last["items"].as_array().unwrap();
    let pairs = items.iter().map(|one| {
        (
            one["signal"].as_str().unwrap().to_owned(),
            one["value"].clone(),
        )
    });
    Value::Object(pairs.collect())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

const JSON: &str = "application/json";

#[tokio::test]
async fn what_a_device_would_publish_is_stored_when_the_answer_comes() {
    let plant = Plant::open().await;
    let body = r#"[{"ts": 1772351990000, "flow_l_min": 31.5}, {"ts": 1772351995000, "flow_l_min": 32.5, "speed_rpm": 1450}]"#;
    let got = sent(post(&plant, "device=pump-1", JSON, body), 200).await;
    assert_eq!(got["readings"], 3);
    assert_eq!(got["dead_letters"], json!([]));
    // The journal has it: no waiting is allowed before this line.
    let committed = *plant.parts.journal.committed().borrow();
    assert_eq!(got["offset"], committed.0);
    let last = newest(&plant, "pump-1").await;
    assert_eq!(last, json!({ "flow_l_min": 32.5, "speed_rpm": 1450.0 }));
    plant.close().await;
}

#[tokio::test]
async fn every_format_comes_in_by_its_content_type() {
    let plant = Plant::open().await;
    let senml = r#"[{"bn": "", "n": "flow_l_min", "u": "", "v": 30.5, "t": 1772351990}]"#;
    let line = "reading,device=p-lp flow_l_min=29.5 1772351990000000000";
    for (query, mime, body, device, expected) in [
        (
            "device=p-json",
            JSON,
            r#"{"flow_l_min": 31}"#,
            "p-json",
            json!({ "flow_l_min": 31.0 }),
        ),
        (
            "device=p-senml",
            "application/senml+json",
            senml,
            "p-senml",
            json!({ "flow_l_min": 30.5 }),
        ),
        (
            "device=p-lp",
            "text/plain; charset=utf-8",
            line,
            "p-lp",
            json!({ "flow_l_min": 29.5 }),
        ),
        (
            "topic=telemetry/p-one/flow_l_min",
            "text/plain",
            "28.5",
            "p-one",
            json!({ "flow_l_min": 28.5 }),
        ),
    ] {
        let response = post(&plant, query, mime, body).send().await.unwrap();
        let got = answer(response, 200).await;
        assert_eq!(got["readings"], 1, "{query} {mime}: {got}");
        assert_eq!(newest(&plant, device).await, expected, "{query} {mime}");
    }
    let gzip = post(
        &plant,
        "device=p-gz",
        JSON,
        packed(br#"{"flow_l_min": 27}"#),
    );
    let gzip = gzip.header(header::CONTENT_ENCODING, "gzip");
    assert_eq!(sent(gzip, 200).await["readings"], 1);
    assert_eq!(newest(&plant, "p-gz").await, json!({ "flow_l_min": 27.0 }));
    let other = post(&plant, "device=p-gz", JSON, "{}").header(header::CONTENT_ENCODING, "br");
    let problem = sent(other, 415).await;
    assert!(
        problem["detail"].as_str().unwrap().contains("gzip"),
        "{problem}"
    );
    plant.close().await;
}

#[tokio::test]
async fn a_body_that_names_its_devices_needs_no_device_beside_it() {
    let plant = Plant::open().await;
    let lines = "reading,device=p-1 flow_l_min=29.5 1772351990000000000\nreading,device=p-2 flow_l_min=30.5 1772351990000000000";
    let got = sent(post(&plant, "", "text/plain", lines), 200).await;
    assert_eq!(got["readings"], 2);
    let senml = r#"[{"bt": 1772351995, "n": "p-1/flow_l_min", "v": 31.5}, {"n": "p-2/flow_l_min", "v": 32.5}]"#;
    let mime = "application/senml+json";
    assert_eq!(
        sent(
            post(&plant, "", mime, packed(senml.as_bytes()))
                .header(header::CONTENT_ENCODING, "gzip"),
            200
        )
        .await["readings"],
        2
    );
    assert_eq!(newest(&plant, "p-1").await, json!({ "flow_l_min": 31.5 }));
    assert_eq!(newest(&plant, "p-2").await, json!({ "flow_l_min": 32.5 }));
    // What belongs to nobody is told, beside what is stored and alone.
    let half = "reading,device=p-1 flow_l_min=1 1772351996000000000\nreading flow_l_min=2";
    let got = sent(post(&plant, "", "text/plain", half), 200).await;
    assert_eq!(
        (&got["readings"], &got["dead_letters"][0]["reason"]),
        (&json!(1), &json!("unknown_topic"))
    );
    for (mime, body) in [
        (JSON, r#"{"flow_l_min": 31}"#),
        ("text/plain", "reading flow_l_min=2"),
        (mime, r#"[{"n": "flow_l_min", "v": 1}]"#),
    ] {
        let problem = sent(post(&plant, "", mime, body), 400).await;
        assert_eq!(problem["parameter"], "device", "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        for word in ["?device=", "?topic=", "line protocol", "SenML"] {
            assert!(detail.contains(word), "{detail}");
        }
    }
    let kept = plant.read("/api/v1/dead-letters").await;
    assert_eq!(kept["items"].as_array().unwrap().len(), 1, "{kept}");
    plant.close().await;
}

#[tokio::test]
async fn a_body_may_name_only_the_devices_its_credential_covers() {
    let plant = Plant::with(Registration::Open, Access::Required).await;
    plant
        .parts
        .service
        .register_discovered(&[device("pump-1"), device("pump-2")])
        .await
        .unwrap();
    let made = plant
        .post("/api/v1/devices/pump-1/credentials", json!({}), 201)
        .await;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let both = "reading,device=pump-1 flow_l_min=1 1772351990000000000\nreading,device=pump-2 flow_l_min=2 1772351990000000000";
    let lines = |body: &'static str| {
        post(&plant, "", "text/plain", body).header(header::AUTHORIZATION, &bearer)
    };
    let got = sent(lines(both), 200).await;
    assert_eq!(got["readings"], 1);
    assert_eq!(got["dead_letters"][0]["reason"], "not_authorized", "{got}");
    sent(lines("reading,device=pump-2 flow_l_min=3"), 403).await;
    assert_eq!(newest(&plant, "pump-2").await, json!({}));
    plant.close().await;
}

#[tokio::test]
async fn what_is_refused_is_told_and_kept_and_the_rest_is_stored() {
    let plant = Plant::open().await;
    let body = r#"{"flow_l_min": 31, "speed_rpm": "fast"}"#;
    let got = sent(post(&plant, "device=pump-1", JSON, body), 200).await;
    assert_eq!(got["readings"], 1);
    assert_eq!(got["dead_letters"][0]["reason"], "invalid_value", "{got}");
    let problem = sent(post(&plant, "device=pump-1", JSON, "{\"flow"), 422).await;
    assert_eq!(problem["type"], "urn:bellwether:problem:nothing-accepted");
    assert_eq!(problem["refused"][0]["reason"], "malformed_payload");
    let kept = plant.read("/api/v1/dead-letters").await;
    assert_eq!(kept["items"].as_array().unwrap().len(), 2);
    assert_eq!(kept["items"][0]["payload"], "{\"flow");
    assert_eq!(kept["items"][0]["content_type"], JSON);
    assert_eq!(kept["items"][0]["topic"], "telemetry/pump-1");
    plant.close().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_with_its_key_is_done_once() {
    let plant = Plant::open().await;
    let keyed = |key: &str, body: &'static str| {
        post(&plant, "device=pump-1", JSON, body).header("idempotency-key", key)
    };
    let body = r#"{"flow_l_min": 31, "speed_rpm": "fast"}"#;
    let first = sent(keyed("a", body), 200).await;
    let again = keyed("a", body).send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(again, 200).await, first);
    let refused = sent(keyed("b", "{"), 422).await;
    assert_eq!(sent(keyed("b", "{"), 422).await, refused);
    let summary = plant.read("/api/v1/dead-letters/summary").await;
    assert_eq!(summary["total"], 2, "each was kept once: {summary}");
    let other = sent(keyed("a", r#"{"flow_l_min": 32}"#), 422).await;
    assert_eq!(
        other["type"],
        "urn:bellwether:problem:idempotency-key-reused"
    );
    for bad in ["", &"k".repeat(256)] {
        let problem = sent(keyed(bad, body), 400).await;
        assert_eq!(problem["parameter"], "Idempotency-Key");
    }
    plant.close().await;
}

#[tokio::test]
async fn while_the_journal_cannot_commit_nothing_is_promised() {
    let plant = Plant::open().await;
    plant.parts.journal.set_max_file_bytes(Some(4_096));
    let body = format!(r#"{{"flow_l_min": 31, "note": "{}"}}"#, "x".repeat(100_000));
    let keyed = || post(&plant, "device=pump-1", JSON, body.clone()).header("idempotency-key", "k");
    let response = keyed().send().await.unwrap();
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    answer(response, 503).await;
    plant.parts.journal.set_max_file_bytes(None);
    let done = sent(keyed(), 200).await;
    assert_eq!(
        done["readings"], 1,
        "a failure is not kept as the answer: {done}"
    );
    plant.close().await;
}

#[tokio::test]
async fn where_credentials_are_needed_a_token_covers_its_own_device_only() {
    let plant = Plant::with(Registration::Open, Access::Required).await;
    plant
        .parts
        .service
        .register_discovered(&[device("pump-1"), device("pump-2")])
        .await
        .unwrap();
    let made = plant
        .post("/api/v1/devices/pump-1/credentials", json!({}), 201)
        .await;
    let token = made["token"].as_str().unwrap();
    let with = |query: &str, authorization: &str| {
        let request = post(&plant, query, JSON, r#"{"flow_l_min": 31}"#);
        request.header(header::AUTHORIZATION, authorization)
    };
    let bearer = format!("Bearer {token}");
    let none = post(&plant, "device=pump-1", JSON, "{}")
        .send()
        .await
        .unwrap();
    assert_eq!(
        none.headers()["www-authenticate"],
        "Bearer realm=\"bellwether\""
    );
    answer(none, 401).await;
    sent(with("device=pump-1", "Bearer bw_wrong"), 401).await;
    sent(with("device=pump-1", "Basic cHVtcC0xOng="), 401).await;
    sent(with("device=pump-2", &bearer), 403).await;
    sent(with("topic=telemetry/pump-2", &bearer), 403).await;
    assert_eq!(
        sent(with("device=pump-1", &bearer), 200).await["readings"],
        1
    );
    assert_eq!(
        sent(with("", &bearer), 200).await["readings"],
        1,
        "the token tells the device"
    );
    // A gateway may call this server as it likes; its token is what counts.
    let named = with("", &bearer).header(header::HOST, "plant-server.lan");
    sent(named, 200).await;
    let stranger = with("", "Bearer bw_wrong").header(header::HOST, "plant-server.lan");
    sent(stranger, 401).await;
    let credential = made["credential"].as_u64().unwrap();
    let revoked = plant
        .delete(&format!("/api/v1/credentials/{credential}"), 200)
        .await;
    assert_eq!(revoked["revoked_at"], "2026-03-01T08:00:00Z");
    sent(with("device=pump-1", &bearer), 401).await;
    assert_eq!(newest(&plant, "pump-2").await, json!({}));
    plant.close().await;
}

#[tokio::test]
async fn a_quota_is_answered_with_the_time_to_wait() {
    let plant = Plant::open().await;
    plant
        .parts
        .service
        .register_discovered(&[device("pump-1")])
        .await
        .unwrap();
    let quota = json!({ "quota": { "messages_per_s": 1, "bytes_per_s": 0 } });
    let made = plant
        .post("/api/v1/devices/pump-1/credentials", quota, 201)
        .await;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let mut refused = None;
    // One a second is allowed; even a slow machine sends these ten faster.
    for _ in 0..10 {
        let request = post(&plant, "", JSON, r#"{"flow_l_min": 31}"#);
        let response = request
            .header(header::AUTHORIZATION, &bearer)
            .send()
            .await
            .unwrap();
        if response.status() == 429 {
            refused = Some(response);
            break;
        }
        answer(response, 200).await;
    }
    let refused = refused.unwrap();
    let wait: u32 = refused.headers()[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait >= 1);
    answer(refused, 429).await;
    plant.close().await;
}

#[tokio::test]
async fn mistakes_in_the_request_name_their_place() {
    let plant = Plant::open().await;
    let long = "x".repeat(4 * 1024 * 1024 + 1);
    for (query, body, status, parameter) in [
        ("", "{}", 400, Some("device")),
        ("device=a%20b", "{}", 400, Some("device")),
        ("device=a&topic=telemetry/a", "{}", 400, Some("topic")),
        ("device=pump-1", long.as_str(), 413, None),
    ] {
        let problem = sent(post(&plant, query, JSON, body.to_owned()), status).await;
        assert_eq!(
            problem["parameter"].as_str(),
            parameter,
            "{query}: {problem}"
        );
    }
    // Longer than every other route takes, and taken here.
    let rows: Vec<String> = (0..20_000)
        .map(|n| {
            format!(
                r#"{{"ts": {}, "flow_l_min": 31.5}}"#,
                1_772_300_000_000_i64 + n
            )
        })
        .collect();
    for part in rows.chunks(10_000) {
        let body = format!("[{}]", part.join(","));
        assert!(body.len() > 300_000);
        assert_eq!(
            sent(post(&plant, "device=pump-1", JSON, body), 200).await["readings"],
            10_000
        );
    }
    plant.close().await;
}

//! What stands before every route.

use reqwest::Method;
use serde_json::{Value, json};

use crate::plant::Plant;

#[tokio::test]
async fn only_our_names_and_our_pages_get_in() {
    let plant = Plant::open().await;
    let own = plant.base.strip_prefix("http://").unwrap().to_owned();
    let origin = plant.base.clone();
    for (method, path, headers, status) in [
        (Method::GET, "/api/v1/status", &[][..], 200),
        (Method::GET, "/api/v1/status", &[("host", "localhost")], 200),
        (
            Method::GET,
            "/api/v1/status",
            &[("host", "evil.example")],
            421,
        ),
        (Method::GET, "/", &[("host", "evil.example")], 421),
        (Method::GET, "/metrics", &[("host", "evil.example:80")], 421),
        (
            Method::GET,
            "/api/v1/status",
            &[("origin", "http://evil.example")],
            200,
        ),
        (
            Method::POST,
            "/api/v1/customers",
            &[("origin", "http://evil.example")],
            403,
        ),
        (
            Method::POST,
            "/api/v1/customers",
            &[("origin", "null")],
            403,
        ),
        (
            Method::POST,
            "/api/v1/customers",
            &[("sec-fetch-site", "cross-site")],
            403,
        ),
        (
            Method::POST,
            "/api/v1/customers",
            &[("origin", origin.as_str())],
            201,
        ),
        (Method::POST, "/api/v1/customers", &[("host", &own)], 201),
    ] {
        let mut request = plant.request(method.clone(), path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.json(&json!({ "name": "x" }));
        }
        let response = request.send().await.unwrap();
        assert_eq!(
            response.status().as_u16(),
            status,
            "{method} {path} {headers:?}"
        );
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind == "application/problem+json", status >= 400, "{kind}");
    }
    plant.close().await;
}

#[tokio::test]
async fn every_response_carries_the_security_headers() {
    let plant = Plant::open().await;
    for path in [
        "/",
        "/api/v1/status",
        "/api/v1/nothing",
        "/metrics",
        "/static/none.js",
    ] {
        let response = plant.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
    plant.close().await;
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let plant = Plant::open().await;
    let packed = plant.request(Method::GET, "/api/openapi.json");
    let packed = packed
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let plain = plant.get("/api/openapi.json").await.bytes().await.unwrap();
    assert_eq!(
        &packed[..2],
        [0x1f, 0x8b],
        "the magic number of gzip, RFC 1952"
    );
    assert!(
        packed.len() * 3 < plain.len(),
        "{} {}",
        packed.len(),
        plain.len()
    );
    serde_json::from_slice::<Value>(&plain).unwrap();
    plant.close().await;
}

#[tokio::test]
async fn the_web_ui_is_served_for_every_page_path() {
    let plant = Plant::open().await;
    for page in ["/", "/assets/pump-1", "/work-orders", "/cases/C-1"] {
        let response = plant.get(page).await;
        assert_eq!(response.status(), 200, "{page}");
        assert_eq!(
            response.headers()["content-type"],
            "text/html; charset=utf-8"
        );
        assert_eq!(response.headers()["cache-control"], "no-cache");
    }
    plant.close().await;
}

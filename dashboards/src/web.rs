//! The web UI, embedded.
//!
//! `build.rs` builds it (or takes a built one) into `OUT_DIR/web`, and it becomes part of
//! the binary: one file to copy, no second server. Without npm a plain page takes its place
//! that says how to get the UI; [`IS_PLACEHOLDER`] tells the two apart, so that a release is
//! never shipped with the plain page by accident.
//!
//! Paths that name no file are pages of the single-page application and get `index.html`.
//! Files under `/static/` carry a hash of their content in their name and may be cached for
//! ever; everything else is revalidated by its `ETag` each time.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::Problem;

/// Whether the plain page is embedded instead of the web UI.
pub const IS_PLACEHOLDER: bool = matches!(env!("BELLWETHER_WEB_PLACEHOLDER").as_bytes(), b"1");

/// Where the build puts files with a hash in their name.
const HASHED: &str = "static/";

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/web"]
#[exclude = "*.map"]
struct Assets;

/// Answers everything that is not the API.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found(format!(
            "there is nothing at /{path}; /api/openapi.json lists what there is"
        ))
        .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::method_not_allowed("pages answer GET and HEAD only").into_response();
    }
    let headers = request.headers();
    match Assets::get(path) {
        Some(file) => file_response(path, file, headers),
        None if is_file(path) => {
            Problem::not_found(format!("there is no file /{path}")).into_response()
        }
        None => match Assets::get("index.html") {
            Some(index) => file_response("index.html", index, headers),
            None => Problem::not_found("the web UI has no index.html").into_response(),
        },
    }
}

/// Whether a path means a file rather than a page. Ids in page paths may hold dots, so only
/// hashed files and the endings the build produces count.
fn is_file(path: &str) -> bool {
    const ENDINGS: [&str; 8] = [
        ".js",
        ".css",
        ".svg",
        ".png",
        ".ico",
        ".woff2",
        ".map",
        ".webmanifest",
    ];
    path.starts_with(HASHED) || ENDINGS.iter().any(|ending| path.ends_with(ending))
}

fn file_response(path: &str, file: EmbeddedFile, asked: &HeaderMap) -> Response {
    let etag = etag(&file.metadata.sha256_hash());
    let cache = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| {
            tags.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == etag || tag == "*")
        });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file.data.into_response()
    };
    let mime = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8".to_owned(),
        Some("js") => "text/javascript; charset=utf-8".to_owned(),
        Some("css") => "text/css; charset=utf-8".to_owned(),
        _ => mime_guess::from_path(path)
            .first_or_octet_stream()
            .to_string(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    for (name, value) in [(header::ETAG, etag), (header::CONTENT_TYPE, mime)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Half of the digest is more than enough to tell two builds apart.
fn etag(digest: &[u8; 32]) -> String {
    use std::fmt::Write;
    let mut tag = String::from("\"");
    for byte in &digest[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    async fn get(path: &str, tag: Option<&HeaderValue>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().uri(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let response = serve(request.body(Body::empty()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap();
        (
            parts.status,
            parts.headers,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    #[tokio::test]
    async fn pages_get_the_index_and_missing_files_get_a_problem() {
        let (_, _, index) = get("/", None).await;
        assert!(index.contains("<html"), "{index}");
        for page in [
            "/assets/pump-1",
            "/assets/pump.js.7",
            "/cases/a.b",
            "/index.html",
        ] {
            let (status, headers, body) = get(page, None).await;
            assert_eq!((status, &body), (StatusCode::OK, &index), "{page}");
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        }
        for missing in [
            "/static/app-0000.js",
            "/nothing.css",
            "/api/v1/nothing",
            "/api",
        ] {
            let (status, headers, _) = get(missing, None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{missing}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        }
    }

    #[tokio::test]
    async fn a_known_etag_saves_the_body_and_hashed_files_are_kept_for_ever() {
        let (_, headers, _) = get("/", None).await;
        let (status, _, body) = get("/", Some(&headers[header::ETAG])).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        let other = HeaderValue::from_static("\"other\"");
        assert_eq!(get("/", Some(&other)).await.0, StatusCode::OK);
        for file in Assets::iter().filter(|file| file.starts_with(HASHED)) {
            let (_, headers, _) = get(&format!("/{file}"), None).await;
            let cache = headers[header::CACHE_CONTROL].to_str().unwrap();
            assert!(cache.contains("immutable"), "{file}: {cache}");
        }
    }

    #[test]
    fn a_release_embeds_the_real_web_ui() {
        let required = std::env::var("BELLWETHER_REQUIRE_WEB").is_ok_and(|value| value == "1");
        assert!(
            !(required && IS_PLACEHOLDER),
            "the plain page is embedded: install npm or set WEB_DIST_DIR, then build again"
        );
    }
}

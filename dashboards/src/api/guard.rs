//! What stands between the network and the handlers while there is no login.
//!
//! Anyone on this machine may use the API; nobody else may, and that includes web pages of
//! other sites that run in a browser on this machine. Two ways lead from such a page to a
//! loopback port, and each has its bar here:
//!
//! - **DNS rebinding**: the page's own name is made to resolve to 127.0.0.1, so the browser
//!   takes the API for the same origin. Its requests still carry that name in `Host`, so a
//!   host that is not ours is answered 421.
//! - **Cross-site requests**: a form or a `fetch` without CORS sends a POST it cannot read
//!   the answer of. Browsers mark it with `Origin` and `Sec-Fetch-Site`; a change whose
//!   origin is not this host is answered 403. No CORS header is ever sent.

use std::{net::IpAddr, net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// Everything comes from this server, nothing inline, and no other site may frame it.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The headers that every response carries.
pub(crate) const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The names under which this server may be addressed.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// The loopback names, the bound address and whatever else is configured.
    pub(crate) fn new(bind: SocketAddr, configured: &[String]) -> Self {
        let mut hosts = vec!["localhost".to_owned(), bind.ip().to_string()];
        hosts.extend(configured.iter().map(|host| host.to_ascii_lowercase()));
        Self(hosts.into())
    }

    /// Whether a `Host` value names this server. The port is not compared: a forwarded port
    /// is a fair way to get here, and a rebinding page cannot choose its host name by port.
    fn allows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else {
            return false;
        };
        host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) || self.0.contains(&host)
    }
}

/// The host of `host`, `host:port` or `[v6]:port`, in lower case without brackets.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        (host, port.strip_prefix(':').unwrap_or(port))
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let port_is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let host = host.strip_suffix('.').unwrap_or(host);
    (port_is_number && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Lets a request through or says why not.
pub(crate) async fn guard(
    State(hosts): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    match check(&hosts, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(
    hosts: &AllowedHosts,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let mut named = headers.get_all(header::HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok());
    let (Some(host), None) = (host, named.next()) else {
        return Err(Problem::misdirected("send one Host header"));
    };
    let target = uri.authority().map(axum::http::uri::Authority::as_str);
    let ours = hosts.allows(host) && target.is_none_or(|target| hosts.allows(target));
    if !ours && !proves_itself(method, uri, headers) {
        return Err(Problem::misdirected(format!(
            "the Host header names {host:?}, which is not this server; use localhost or add the \
             name to http.allowed_hosts"
        )));
    }
    if method.is_safe() {
        return Ok(());
    }
    let same_origin = match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(origin)) => origin.split_once("://").is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host)
        }),
    };
    let same_site = headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin" || site == "none");
    if same_origin && same_site {
        Ok(())
    } else {
        Err(Problem::cross_origin(
            "this change was sent by a page of another site; open Bellwether itself to make it",
        ))
    }
}

/// Whether a request stands or falls with a token, as a device's readings do: the handler lets
/// nobody in whose token is not valid, and a page of another site knows none. A gateway may
/// then call this server by whatever name it has in the plant's network.
fn proves_itself(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    method == Method::POST
        && uri.path() == "/api/v1/readings"
        && headers.contains_key(header::AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &Method, headers: &[(&'static str, &str)]) -> u16 {
        let hosts = AllowedHosts::new(
            "127.0.0.1:8080".parse().unwrap(),
            &["Plant.Example".to_owned()],
        );
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        check(&hosts, method, &Uri::from_static("/api/v1/assets"), &map)
            .map_or_else(|problem| problem.status, |()| 200)
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for (host, status) in [
            ("localhost", 200),
            ("LOCALHOST:8080", 200),
            ("localhost.:8080", 200),
            ("127.0.0.1:8080", 200),
            ("127.0.0.53", 200),
            ("[::1]:8080", 200),
            ("plant.example:443", 200),
            ("evil.example", 421),
            ("evil.example:8080", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("evil.example@localhost", 421),
            ("localhost:evil.example", 421),
            ("192.168.0.7:8080", 421),
            ("0.0.0.0:8080", 421),
            ("[::2]:80", 421),
            ("", 421),
        ] {
            assert_eq!(answer(&Method::GET, &[("host", host)]), status, "{host}");
        }
        assert_eq!(answer(&Method::GET, &[]), 421);
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(answer(&Method::GET, &two), 421);
    }

    #[test]
    fn readings_with_a_token_may_name_this_server_as_they_like() {
        let hosts = AllowedHosts::new("127.0.0.1:8080".parse().unwrap(), &[]);
        let token = (header::AUTHORIZATION, "Bearer bw_x");
        let host = (header::HOST, "plant-gateway.lan:8080");
        let origin = (header::ORIGIN, "http://evil.example");
        for (method, path, given, status) in [
            (Method::POST, "/api/v1/readings", &[&host, &token][..], 200),
            (Method::POST, "/api/v1/readings", &[&host], 421),
            (
                Method::POST,
                "/api/v1/readings",
                &[&host, &token, &origin],
                403,
            ),
            (Method::GET, "/api/v1/readings", &[&host, &token], 421),
            (Method::POST, "/api/v1/onboarding", &[&host, &token], 421),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(name.clone(), HeaderValue::from_static(value));
            }
            let answer = check(&hosts, &method, &Uri::from_static(path), &headers);
            let answer = answer.map_or_else(|problem| problem.status, |()| 200);
            assert_eq!(answer, status, "{method} {path} {headers:?}");
        }
    }

    #[test]
    fn changes_come_from_our_own_pages_or_from_no_page() {
        let host = ("host", "localhost:8080");
        for (more, status) in [
            (&[][..], 200),
            (&[("origin", "http://localhost:8080")], 200),
            (&[("origin", "https://localhost:8080")], 200),
            (&[("origin", "http://localhost:9999")], 403),
            (&[("origin", "http://evil.example")], 403),
            (&[("origin", "null")], 403),
            (&[("origin", "file://localhost:8080")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "http://localhost:8080"),
                ],
                200,
            ),
            (&[("sec-fetch-site", "none")], 200),
        ] {
            let headers = [&[host], more].concat();
            for method in [Method::POST, Method::PATCH, Method::DELETE] {
                assert_eq!(answer(&method, &headers), status, "{method} {more:?}");
            }
            assert_eq!(answer(&Method::GET, &headers), 200, "{more:?}");
        }
    }
}

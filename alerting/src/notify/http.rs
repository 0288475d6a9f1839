//! One request on a connection of its own, to an address that was checked.
//!
//! A client that resolves, checks and then hands the name to a library would be answered
//! differently the second time (DNS rebinding), so the connection here goes to the address that
//! was looked at. Nothing is followed: a redirect is an answer like any other.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Uri,
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::guard::is_public;

/// The whole of a request, from the name to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is read of an answer: a code and a reason.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The longest that a server may put us off.
const MAX_RETRY_AFTER_S: u64 = 3_600;

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `PATCH`.
    pub method: &'static str,
    /// `http://` or `https://`.
    pub url: String,
    /// Headers beside `host`, `content-length` and `user-agent`.
    pub headers: Vec<(String, String)>,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Whether addresses may be called that do not belong to the public internet.
    pub allow_private: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// After how long the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be used, whatever happens.
    #[error("the address cannot be used: {0}")]
    Address(String),
    /// The address leads somewhere that may not be called.
    #[error(
        "{host} leads to {address}, which is not a public address; set allow_private to call it"
    )]
    Private {
        /// The name.
        host: String,
        /// Where it leads.
        address: std::net::IpAddr,
    },
    /// The name leads nowhere.
    #[error("{host} cannot be resolved")]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// There is no connection.
    #[error("no connection to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// The request broke off.
    #[error("the request broke off: {0}")]
    Broken(String),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TimedOut,
}

impl HttpError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Address(_) | Self::Private { .. })
    }
}

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
}

impl Client {
    /// A client that trusts whom the machine trusts.
    ///
    /// # Errors
    /// [`HttpError::Broken`] when TLS cannot be set up.
    pub fn new() -> Result<Self, HttpError> {
        let mut roots = RootCertStore::empty();
        // A machine without certificates reaches plain addresses only; each call then says so.
        for certificate in rustls_native_certs::load_native_certs().certs {
            let _ = roots.add(certificate);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpError::Broken(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// Sends one request and reads the answer, in at most fifteen seconds.
    ///
    /// # Errors
    /// [`HttpError`]; an answer that says no is an answer.
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .unwrap_or(Err(HttpError::TimedOut))
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, HttpError> {
        let target = Target::of(&request.url)?;
        let address = target.resolve(request.allow_private).await?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| HttpError::Connect(address, error))?;
        if !target.tls {
            return talk(stream, &target, request).await;
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| HttpError::Address(error.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .map_err(|error| HttpError::Connect(address, error))?;
        talk(stream, &target, request).await
    }
}

/// An address taken apart.
struct Target {
    host: String,
    port: u16,
    tls: bool,
    path: Uri,
}

impl Target {
    fn of(url: &str) -> Result<Self, HttpError> {
        // The address may hold a secret, so it is not repeated in the message.
        let wrong = |what: &str| HttpError::Address(what.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("use http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds a user name; use a header instead"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            path: path.parse().map_err(|_| wrong("its path cannot be sent"))?,
        })
    }

    /// Where the name leads. One private address among several refuses the name: whoever made
    /// it lead there did not do so by accident.
    async fn resolve(&self, allow_private: bool) -> Result<SocketAddr, HttpError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|source| HttpError::Unresolved {
                host: self.host.clone(),
                source,
            })?;
        let found: Vec<SocketAddr> = found.collect();
        let private = found.iter().find(|address| !is_public(address.ip()));
        if let Some(address) = private.filter(|_| !allow_private) {
            return Err(HttpError::Private {
                host: self.host.clone(),
                address: address.ip(),
            });
        }
        found.first().copied().ok_or_else(|| HttpError::Unresolved {
            host: self.host.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    fn host_header(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    request: &Request,
) -> Result<Answer, HttpError> {
    let broken = |error: hyper::Error| HttpError::Broken(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // The connection is driven here and ends with this call, whatever becomes of it.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    let exchange = async {
        let response = sender
            .send_request(built(target, request)?)
            .await
            .map_err(broken)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|secs: u64| Duration::from_secs(secs.min(MAX_RETRY_AFTER_S)));
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| HttpError::Broken(error.to_string()))?;
        Ok(Answer {
            status,
            retry_after,
            body: body.to_bytes().to_vec(),
        })
    };
    tokio::select! {
        answer = exchange => answer,
        () = driven => Err(HttpError::Broken("the connection was closed".to_owned())),
    }
}

fn built(target: &Target, request: &Request) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let wrong = |what: String| HttpError::Address(what);
    let method = Method::from_bytes(request.method.as_bytes());
    let mut built = hyper::Request::new(Full::new(Bytes::from(request.body.clone())));
    *built.method_mut() = method.map_err(|error| wrong(error.to_string()))?;
    *built.uri_mut() = target.path.clone();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| wrong(error.to_string()));
    let headers = built.headers_mut();
    headers.insert(HOST, value(&target.host_header())?);
    headers.insert(USER_AGENT, HeaderValue::from_static("bellwether"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
    for (name, text) in &request.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| wrong(format!("{name:?} is no header")))?;
        headers.insert(name, value(text)?);
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn post(url: String, allow_private: bool) -> Request {
        Request {
            method: "POST",
            url,
            headers: vec![("x-test".to_owned(), "1".to_owned())],
            content_type: "application/json",
            body: b"{}".to_vec(),
            allow_private,
        }
    }

    /// A server that gives one answer and tells what it was sent.
    async fn server(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"{}") {
                let mut some = [0; 1_024];
                let read = stream.read(&mut some).await.unwrap();
                seen.extend_from_slice(&some[..read]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        (address, served)
    }

    #[tokio::test]
    async fn a_request_arrives_and_its_answer_is_read() {
        let answer = "HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno";
        let (address, served) = server(answer).await;
        let client = Client::new().unwrap();
        let url = format!("http://localhost:{}/hook?key=1", address.port());
        let answer = client.send(&post(url, true)).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (429, &b"no"[..]));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        let seen = served.await.unwrap();
        assert!(seen.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("x-test: 1\r\n") && seen.contains("content-length: 2"),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let answer =
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
        let (address, _served) = server(answer).await;
        let client = Client::new().unwrap();
        let answer = client
            .send(&post(format!("http://{address}/"), true))
            .await
            .unwrap();
        assert_eq!(answer.status, 302);
    }

    #[tokio::test]
    async fn addresses_inside_are_refused_before_anything_is_sent() {
        let client = Client::new().unwrap();
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://169.254.169.254/latest/meta-data",
            "http://0x7f000001/",
            "http://2130706433/",
        ] {
            let refused = client.send(&post(url.to_owned(), false)).await.unwrap_err();
            let named = matches!(
                refused,
                HttpError::Private { .. } | HttpError::Unresolved { .. }
            );
            assert!(named, "{url}: {refused}");
        }
        for url in [
            "ftp://example.com/",
            "http://",
            "nonsense",
            "http://user@example.com/",
        ] {
            let refused = client.send(&post(url.to_owned(), true)).await.unwrap_err();
            assert!(!refused.is_transient(), "{url}: {refused}");
        }
    }
}

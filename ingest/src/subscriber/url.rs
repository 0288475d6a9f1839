//! `mqtt://user:password@host:port`.

use std::fmt;

use crate::IngestError;

/// Where a broker is and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Option<(String, String)>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

const DEFAULT_PORT: u16 = 1883;

impl Broker {
    /// Reads a URL. Errors do not show the part that may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, IngestError> {
        let shown = hide_password(url);
        let fail = |problem: &str| IngestError::Setting {
            setting: "ingest.subscriber.url",
            value: shown.clone(),
            problem: problem.into(),
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(fail("write mqtt://host:port"));
        };
        match scheme {
            "mqtt" => {}
            "mqtts" => {
                return Err(fail(
                    "TLS is not supported yet; use mqtt:// over a trusted network",
                ));
            }
            _ => return Err(fail("only mqtt:// is supported")),
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let (host, port) = match address.rsplit_once(':') {
            // The colons of an IPv6 address stand inside brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|&port| port != 0);
                (
                    host,
                    port.ok_or_else(|| fail("the port must be 1 to 65535"))?,
                )
            }
            _ => (address, DEFAULT_PORT),
        };
        let plain = !host.is_empty() && !host.contains(['/', '?', '#', ' ', '@']);
        let bracketed = host.starts_with('[') == host.ends_with(']')
            && (host.starts_with('[') || !host.contains(':'));
        if !plain || !bracketed {
            return Err(fail(
                "the host is missing or not one; write an IPv6 address in brackets, and no path",
            ));
        }
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Some((decode(user)?, decode(password)?))
        });
        let login = match login {
            Some(None) => return Err(fail("user or password is not percent-encoded UTF-8")),
            Some(Some(login)) => Some(login),
            None => None,
        };
        Ok(Self {
            host: host.into(),
            port,
            login,
        })
    }
}

/// The URL with its password replaced, for logs and status.
pub(super) fn hide_password(url: &str) -> String {
    let Some((before, address)) = url.rsplit_once('@') else {
        return url.into();
    };
    let start = before.find("://").map_or(0, |at| at + 3);
    match before[start..].find(':') {
        Some(at) => format!("{}:***@{address}", &before[..start + at]),
        None => url.into(),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push((digit()? * 16 + digit()?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_port_and_login() {
        let login = |user: &str, password: &str| Some((user.to_string(), password.to_string()));
        for (url, host, port, expected) in [
            ("mqtt://localhost", "localhost", 1883, None),
            ("mqtt://10.0.0.1:1884/", "10.0.0.1", 1884, None),
            ("mqtt://[::1]:1885", "[::1]", 1885, None),
            ("mqtt://[::1]", "[::1]", 1883, None),
            ("mqtt://u@h", "h", 1883, login("u", "")),
            ("mqtt://u:p:q@h:1", "h", 1, login("u", "p:q")),
            ("mqtt://a%40b:p%2fw@h", "h", 1883, login("a@b", "p/w")),
        ] {
            let broker = Broker::parse(url).unwrap();
            assert_eq!((broker.host.as_str(), broker.port), (host, port), "{url}");
            assert_eq!(broker.login, expected, "{url}");
        }
    }

    #[test]
    fn urls_that_cannot_work_are_refused_without_showing_the_password() {
        for url in [
            "localhost:1883",
            "http://h",
            "mqtts://h",
            "mqtt://",
            "mqtt://h:0",
            "mqtt://h:x",
            "mqtt://h:99999",
            "mqtt://::1",
            "mqtt://h/path",
            "mqtt://u:%zz@h",
            "mqtt://u:secret@",
            "mqtt://[::1",
        ] {
            let error = Broker::parse(url).expect_err(url).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let error = Broker::parse("mqtts://h").err().unwrap().to_string();
        assert!(error.contains("TLS"), "{error}");
        assert_eq!(hide_password("mqtt://u:a@b@h:1"), "mqtt://u:***@h:1");
    }
}

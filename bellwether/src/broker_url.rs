//! The address of an MQTT endpoint as people write it: `mqtt://[user[:password]@]host[:port]`.

use std::{fmt, str::FromStr};

/// The port MQTT has at IANA.
const DEFAULT_PORT: u16 = 1883;

/// A checked address. Its text never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BrokerUrl {
    /// Host name or address, without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// User and password.
    pub(crate) credentials: Option<(String, String)>,
}

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no MQTT address; use one such as mqtt://127.0.0.1:1883")]
pub(crate) struct InvalidUrl(String);

impl FromStr for BrokerUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        // What was given may hold a password, so only its end is repeated.
        let shown = text.rsplit('@').next().unwrap_or_default();
        let wrong = || InvalidUrl(format!("{shown:?}"));
        let rest = text
            .strip_prefix("mqtt://")
            .or_else(|| text.strip_prefix("tcp://"))
            .ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((user.to_owned(), password.to_owned())), address)
            }
            None => (None, rest),
        };
        let (host, port) = if let Some(v6) = address.strip_prefix('[') {
            let (host, port) = v6.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':'))
        } else {
            let (host, port) = address.split_once(':').unwrap_or((address, ""));
            (host, Some(port).filter(|_| address.contains(':')))
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => DEFAULT_PORT,
        };
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            credentials,
        })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "mqtt://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "mqtt://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_never_show_their_password() {
        for (text, shown, user) in [
            ("mqtt://127.0.0.1:1884", "mqtt://127.0.0.1:1884", None),
            ("mqtt://plant", "mqtt://plant:1883", None),
            ("tcp://plant:99/", "mqtt://plant:99", None),
            ("mqtt://[::1]:1885", "mqtt://[::1]:1885", None),
            ("mqtt://me:s@cret@plant", "mqtt://plant:1883", Some("me")),
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"));
            assert_eq!(url.credentials.map(|(user, _)| user).as_deref(), user);
        }
        for bad in [
            "",
            "plant:1883",
            "http://plant",
            "mqtt://",
            "mqtt://a:b:c",
            "mqtt://a/b",
            "mqtt://me:secret@",
        ] {
            let error = bad.parse::<BrokerUrl>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

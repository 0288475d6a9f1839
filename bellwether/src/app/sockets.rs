//! Binding, and saying plainly why it did not work.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// What to do about a taken port.
pub(super) fn taken(key: &str, flag: &str, bind: SocketAddr) -> String {
    format!(
        "{bind} is taken by another program; stop that one, or choose another port with \
         {flag} 127.0.0.1:PORT or the key {key}"
    )
}

/// Binds the socket of API and web UI.
pub(super) async fn bind_http(bind: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(bind).await.map_err(|error| {
        let advice = if error.kind() == std::io::ErrorKind::AddrInUse {
            taken("http.bind", "--http", bind)
        } else {
            format!("cannot listen on {bind} (key http.bind)")
        };
        anyhow::Error::new(error).context(advice)
    })
}

/// `wanted` if it is free, else some free port of the same address.
///
/// # Errors
/// When the address has no free port at all.
pub(crate) fn free_port(wanted: SocketAddr) -> Result<SocketAddr> {
    // A listening socket is closed again at once; nothing connects in between, so the port is
    // not held back by the system.
    if std::net::TcpListener::bind(wanted).is_ok() {
        return Ok(wanted);
    }
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let probe = std::net::TcpListener::bind(any).context("this machine has no free port")?;
    Ok(probe.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_said_plainly_with_the_key_to_change() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bind = holder.local_addr().unwrap();
        let message = format!("{:#}", bind_http(bind).await.unwrap_err());
        for part in [&bind.to_string(), "taken", "http.bind", "--http"] {
            assert!(message.contains(part), "{message}");
        }
        let other = free_port(bind).unwrap();
        assert_ne!(other, bind);
        assert!(std::net::TcpListener::bind(other).is_ok());
    }
}

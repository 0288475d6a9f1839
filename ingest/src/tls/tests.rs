use std::fs;

use rcgen::{CertificateParams, Issuer, KeyPair};
use telemetry::SystemClock;
use tempfile::TempDir;

use super::*;

/// A folder with `cert.pem` and `key.pem` of one server, valid until a year.
struct Folder(TempDir);

impl Folder {
    fn new(last_year: i32) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let (cert, key) = server(last_year);
        folder.write("cert.pem", &cert);
        folder.write("key.pem", &key);
        folder
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            cert: self.0.path().join("cert.pem"),
            key: self.0.path().join("key.pem"),
            client_ca: None,
            client_certificates: ClientCertificates::None,
        }
    }

    fn load(&self) -> Result<Tls, IngestError> {
        Tls::load(self.config(), SystemClock.now())
    }
}

/// A self-signed certificate and its key.
fn server(last_year: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    (cert.pem(), key.serialize_pem())
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_problem() {
    let (_, other_key) = server(2100);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, content, problem) in [
        ("cert.pem", None, "cannot be read"),
        ("cert.pem", Some(""), "holds no certificate"),
        ("cert.pem", Some(garbled), "no X.509 certificate"),
        ("key.pem", None, "cannot be read"),
        ("key.pem", Some("secret"), "holds no private key"),
        ("key.pem", Some(encrypted), "encrypted"),
        ("key.pem", Some(other_key.as_str()), "not the key of"),
    ] {
        let folder = Folder::new(2100);
        match content {
            Some(content) => folder.write(file, content),
            None => fs::remove_file(folder.0.path().join(file)).unwrap(),
        }
        let error = folder.load().unwrap_err().to_string();
        assert!(
            error.contains(file) && error.contains(problem),
            "{file} {content:?}: {error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused_with_its_date() {
    let error = Folder::new(2020).load().unwrap_err().to_string();
    assert!(
        error.contains("cert.pem") && error.contains("expired on 2020-01-01"),
        "{error}"
    );
}

#[test]
fn client_certificates_need_an_authority_and_an_authority_needs_them() {
    let folder = Folder::new(2100);
    let (authority, _) = server(2100);
    folder.write("ca.pem", &authority);
    let ca = folder.0.path().join("ca.pem");
    for (client_ca, client_certificates, problem) in [
        (None, ClientCertificates::Optional, "tls_client_ca"),
        (None, ClientCertificates::Required, "tls_client_ca"),
        (
            Some(ca.clone()),
            ClientCertificates::None,
            "tls_client_certificates",
        ),
        (
            Some(folder.0.path().join("key.pem")),
            ClientCertificates::Required,
            "holds no certificate",
        ),
    ] {
        let config = TlsConfig {
            client_ca,
            client_certificates,
            ..folder.config()
        };
        let error = Tls::load(config, SystemClock.now())
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
    let config = TlsConfig {
        client_ca: Some(ca),
        client_certificates: ClientCertificates::Optional,
        ..folder.config()
    };
    Tls::load(config, SystemClock.now()).unwrap();
}

/// What a look said: nothing, taken, or the problem.
fn look(follower: &mut Follower, tls: &Tls) -> Option<Result<(), String>> {
    let change = follower.look(tls, SystemClock.now());
    change.map(|change| change.map_err(|error| error.to_string()))
}

#[test]
fn a_change_is_taken_once_it_has_settled_and_a_broken_one_is_complained_about_once() {
    let folder = Folder::new(2100);
    let tls = folder.load().unwrap();
    let first = tls.server();
    let mut follower = Follower::default();
    assert_eq!(look(&mut follower, &tls), None);
    assert_eq!(look(&mut follower, &tls), None, "nothing changed");

    // The certificate is replaced first and its key later.
    let (cert, key) = server(2101);
    folder.write("cert.pem", &cert);
    assert_eq!(look(&mut follower, &tls), None, "not settled");
    let refused = look(&mut follower, &tls).unwrap().unwrap_err();
    assert!(refused.contains("not the key of"), "{refused}");
    assert_eq!(look(&mut follower, &tls), None, "said once");
    assert!(Arc::ptr_eq(&first, &tls.server()), "the earlier one stays");

    folder.write("key.pem", &key);
    assert_eq!(look(&mut follower, &tls), None);
    assert_eq!(look(&mut follower, &tls), Some(Ok(())));
    assert!(!Arc::ptr_eq(&first, &tls.server()));
    assert_eq!(look(&mut follower, &tls), None);

    fs::remove_file(folder.0.path().join("key.pem")).unwrap();
    assert!(look(&mut follower, &tls).unwrap().is_err());
    assert_eq!(look(&mut follower, &tls), None, "said once");
    folder.write("key.pem", &key);
    assert_eq!(look(&mut follower, &tls), None, "as it was");
}

#[test]
fn a_chain_of_several_certificates_is_taken_whole() {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let folder = Folder::new(2100);
    folder.write("cert.pem", &format!("{}{}", leaf.pem(), ca.pem()));
    folder.write("key.pem", &key.serialize_pem());
    folder.load().unwrap();
}

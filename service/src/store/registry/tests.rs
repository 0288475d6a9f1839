use super::*;

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn registry(registration: Registration, access: Access, devices: &[&str]) -> Registry {
    let registry = Registry::new(registration, access, Arc::default());
    registry.put(
        devices
            .iter()
            .map(|id| (device(id), DeviceEntry::default())),
    );
    registry
}

fn credential(id: u64, of: &str, kind: CredentialKind, secret: &[u8]) -> StoredCredential {
    StoredCredential {
        id: CredentialId(id),
        device: device(of),
        kind,
        sha256: (kind != CredentialKind::CertificateName).then(|| sha256(secret)),
        topic_prefix: None,
        quota: None,
        created_at: Timestamp::from_secs(1),
        last_used_at: None,
        revoked_at: None,
    }
}

#[test]
fn open_registration_admits_strangers_until_it_is_full() {
    let registry = registry(Registration::Open, Access::Open, &[]);
    registry.put((0..MAX_DEVICES).map(|at| (device(&format!("d{at}")), DeviceEntry::default())));
    assert_eq!(registry.admit(&device("d7")), Admission::Admitted);
    assert_eq!(registry.admit(&device("stranger")), Admission::Unknown);
    assert_eq!(registry.room(), 0);
}

#[test]
fn closed_registration_admits_registered_devices_only() {
    for (id, registration, expected) in [
        ("known", Registration::Closed, Admission::Admitted),
        ("stranger", Registration::Closed, Admission::Unknown),
        ("known", Registration::Open, Admission::Admitted),
        ("stranger", Registration::Open, Admission::Admitted),
    ] {
        let registry = self::registry(registration, Access::Open, &["known"]);
        assert_eq!(registry.admit(&device(id)), expected, "{id}");
    }
}

/// What a claim may show: (client id, secret, certificate, its name).
type Shown<'a> = (
    Option<&'a str>,
    Option<&'a [u8]>,
    Option<&'a [u8]>,
    Option<&'a str>,
);

fn try_claim(registry: &Registry, shown: Shown<'_>) -> Result<Grant, Denied> {
    let client = shown.0.map(device);
    let claim = Claim {
        client: client.as_ref(),
        user: None,
        secret: shown.1,
        certificate: shown.2.map(sha256),
        certificate_name: shown.3,
    };
    registry.authenticate(&claim, Timestamp::from_secs(9))
}

/// The number of the credential, none for anybody's grant.
type Granted = Result<Option<u64>, Denied>;

/// Access, what is shown, and the credential that is granted or why none is.
const CLAIMS: &[(Access, Shown<'static>, Granted)] = &[
    (
        Access::Required,
        (Some("p1"), None, None, None),
        Err(Denied::Missing),
    ),
    (
        Access::Required,
        (Some("p1"), Some(b""), None, None),
        Err(Denied::Missing),
    ),
    (
        Access::Required,
        (Some("p1"), Some(b"bw_one"), None, None),
        Ok(Some(1)),
    ),
    (
        Access::Required,
        (None, Some(b"bw_one"), None, None),
        Ok(Some(1)),
    ),
    (
        Access::Required,
        (Some("p2"), Some(b"bw_one"), None, None),
        Err(Denied::WrongClient),
    ),
    (
        Access::Required,
        (Some("p1"), Some(b"bw_two"), None, None),
        Err(Denied::Invalid),
    ),
    (
        Access::Required,
        (Some("p1"), Some(b"hunter2"), None, None),
        Err(Denied::Invalid),
    ),
    // A revoked token.
    (
        Access::Required,
        (Some("p1"), Some(b"bw_old"), None, None),
        Err(Denied::Invalid),
    ),
    (
        Access::Open,
        (Some("p1"), Some(b"bw_old"), None, None),
        Err(Denied::Invalid),
    ),
    // A certificate that is bound, one whose name is bound, one that is neither.
    (
        Access::Required,
        (Some("p1"), None, Some(b"cert"), None),
        Ok(Some(3)),
    ),
    (
        Access::Required,
        (Some("p2"), None, Some(b"cert"), None),
        Err(Denied::WrongClient),
    ),
    (
        Access::Required,
        (Some("p2"), None, Some(b"any"), Some("p2")),
        Ok(Some(4)),
    ),
    (
        Access::Required,
        (Some("p1"), None, Some(b"any"), Some("p1")),
        Err(Denied::Invalid),
    ),
    (
        Access::Required,
        (Some("p1"), None, Some(b"any"), Some("CN/odd")),
        Err(Denied::Invalid),
    ),
    // The name alone, without a handshake that verified it, proves nothing.
    (
        Access::Required,
        (Some("p2"), None, None, Some("p2")),
        Err(Denied::Missing),
    ),
    (Access::Open, (Some("p1"), None, None, None), Ok(None)),
    (
        Access::Open,
        (Some("p1"), Some(b"hunter2"), None, None),
        Ok(None),
    ),
    (
        Access::Open,
        (Some("p1"), Some(b"bw_two"), None, None),
        Err(Denied::Invalid),
    ),
    (
        Access::Open,
        (Some("p1"), Some(b"bw_one"), None, None),
        Ok(Some(1)),
    ),
];

#[test]
fn who_gets_in_with_what() {
    for (access, shown, expected) in CLAIMS {
        let registry = registry(Registration::Open, *access, &["p1", "p2"]);
        let mut revoked = credential(2, "p1", CredentialKind::Token, b"bw_old");
        revoked.revoked_at = Some(Timestamp::from_secs(5));
        registry.put_credentials([
            credential(1, "p1", CredentialKind::Token, b"bw_one"),
            revoked,
            credential(3, "p1", CredentialKind::Certificate, b"cert"),
            credential(4, "p2", CredentialKind::CertificateName, b""),
        ]);
        let got = try_claim(&registry, *shown).map(|grant| grant.credential.map(|id| id.0));
        assert_eq!(got, *expected, "{access:?} {shown:?}");
    }
}

#[test]
fn revoking_ends_what_was_granted_and_is_seen_by_its_generation() {
    let registry = registry(Registration::Open, Access::Required, &["p1"]);
    let mut token = credential(1, "p1", CredentialKind::Token, b"bw_one");
    registry.put_credentials([token.clone()]);
    let shown: Shown<'_> = (Some("p1"), Some(b"bw_one"), None, None);
    let granted = try_claim(&registry, shown).unwrap().credential.unwrap();
    assert!(registry.is_valid(granted));
    let before = registry.generation();
    token.revoked_at = Some(Timestamp::from_secs(10));
    registry.put_credentials([token]);
    assert!(registry.generation() > before);
    assert!(!registry.is_valid(granted));
    assert_eq!(try_claim(&registry, shown), Err(Denied::Invalid));
    // The use before is remembered.
    let listed = registry.credential(granted).unwrap();
    assert_eq!(listed.last_used_at, Some(Timestamp::from_secs(9)));
    assert!(!registry.is_valid(CredentialId(99)));
}

#[test]
fn a_credentials_own_terms_go_before_the_devices() {
    let registry = registry(Registration::Open, Access::Required, &[]);
    let entry = DeviceEntry {
        quota: Quota {
            messages_per_s: 5,
            bytes_per_s: 0,
        },
        topic_prefix: Some(TopicPrefix::new("telemetry/hall-3.").unwrap()),
        ..DeviceEntry::default()
    };
    registry.put([(device("gw"), entry)]);
    let mut own = credential(2, "gw", CredentialKind::Token, b"bw_own");
    own.quota = Some(Quota {
        messages_per_s: 9,
        bytes_per_s: 7,
    });
    own.topic_prefix = Some(TopicPrefix::new("telemetry/hall-4.").unwrap());
    registry.put_credentials([credential(1, "gw", CredentialKind::Token, b"bw_dev"), own]);
    for (secret, prefix, messages_per_s) in [
        (b"bw_dev", "telemetry/hall-3.", 5),
        (b"bw_own", "telemetry/hall-4.", 9),
    ] {
        let grant = try_claim(&registry, (Some("gw"), Some(secret), None, None)).unwrap();
        assert_eq!(grant.quota.messages_per_s, messages_per_s);
        let Scope::Gateway {
            topic_prefix,
            client,
        } = grant.scope
        else {
            panic!("no gateway");
        };
        assert_eq!((&*topic_prefix, client.as_str()), (prefix, "gw"));
    }
}

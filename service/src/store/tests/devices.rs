//! Credentials and onboarding against the file.

use telemetry::{AssetModel, CredentialId, SignalName, Unit};

use super::*;
use crate::{Access, CertificateBinding, CredentialKind, OnboardOptions, TokenSpec, TopicPrefix};

const FILE: &str = "\
device,asset,model,customer,customer_name,site,site_name,time_zone,signals
p1,pump-1,pump,acme,Acme Ltd,north,North Plant,Europe/Berlin,bearing_temperature_c=°F[-40..250]
p2,pump-2,pump,acme,,north,,,
";
const DONE: OnboardOptions = OnboardOptions {
    dry_run: false,
    tokens: true,
};

async fn open(bench: &Bench, access: Access) -> Service {
    let pump: AssetModel = crate::testing::pump_model();
    let config = ServiceConfig {
        registration: Registration::Closed,
        models: Arc::new(BTreeMap::from([(pump.id.clone(), Arc::new(pump))])),
        access,
        ..ServiceConfig::default()
    };
    Service::open(&bench.path, config, Arc::new(bench.clock.clone()))
        .await
        .unwrap()
}

fn with_token<'a>(client: &'a DeviceId, token: &'a str) -> Claim<'a> {
    Claim {
        client: Some(client),
        secret: Some(token.as_bytes()),
        ..Claim::default()
    }
}

#[tokio::test]
async fn a_file_is_taken_whole_and_taking_it_again_changes_nothing() {
    let bench = Bench::new();
    let service = open(&bench, Access::Required).await;
    let dry = OnboardOptions {
        dry_run: true,
        tokens: true,
    };
    let report = service.onboard(FILE.as_bytes(), dry).await.unwrap();
    assert!(!report.applied && report.tokens.is_empty());
    assert_eq!((report.rows, report.without_credential), (2, 2));
    assert_eq!(report.created.devices, [device("p1"), device("p2")]);
    assert!(!service.knows_device(&device("p1")));
    assert!(service.customers().await.unwrap().is_empty());

    let report = service.onboard(FILE.as_bytes(), DONE).await.unwrap();
    assert!(report.applied, "{report:?}");
    assert_eq!(report.tokens.len(), 2);
    let again = service.onboard(FILE.as_bytes(), DONE).await.unwrap();
    assert!(again.applied && again.tokens.is_empty());
    assert_eq!((again.unchanged, again.without_credential), (2, 0));
    assert_eq!(again.created, crate::Created::default());
    assert_eq!(again.changed, crate::Changed::default());

    let sites = service.sites().await.unwrap();
    assert_eq!(sites.len(), 1);
    assert_eq!(sites[0].name.as_str(), "North Plant");
    assert_eq!(sites[0].time_zone.as_str(), "Europe/Berlin");
    let pump = service.asset(&asset("pump-1")).await.unwrap().unwrap();
    assert_eq!((pump.model.as_str(), pump.discovered), ("pump", false));
    assert_eq!(pump.customer.name.as_str(), "Acme Ltd");
}

#[tokio::test]
async fn what_was_onboarded_is_in_force_at_once_and_after_a_restart() {
    let bench = Bench::new();
    let service = open(&bench, Access::Required).await;
    let before = service.generation();
    let report = service.onboard(FILE.as_bytes(), DONE).await.unwrap();
    assert!(service.generation() > before);
    let token = report.tokens[0].token.clone();
    service.close().await;
    drop(service);
    let service = open(&bench, Access::Required).await;
    let rules = service.rules(&device("p1")).unwrap();
    let rule = rules.get("bearing_temperature_c").unwrap();
    assert_eq!(rule.unit, Some(Unit::Celsius));
    assert_eq!(rule.sent_unit, Some(Unit::Fahrenheit));
    // 250 °F is 121.1 °C; -40 is -40.
    let limits = rule.limits;
    assert!((limits.max.unwrap() - 121.111).abs() < 0.001, "{limits:?}");
    assert!((limits.min.unwrap() + 40.0).abs() < 1e-9, "{limits:?}");
    // The other pump has what the model says and nothing else.
    let rules = service.rules(&device("p2")).unwrap();
    assert_eq!(rules.get("bearing_temperature_c").unwrap().sent_unit, None);
    let grant = service
        .authenticate(&with_token(&device("p1"), &token))
        .unwrap();
    assert!(grant.allows(&device("p1"), "telemetry/p1"));
    assert!(!grant.allows(&device("p2"), "telemetry/p2"));
}

#[tokio::test]
async fn a_file_with_one_mistake_writes_nothing() {
    let bench = Bench::new();
    let service = open(&bench, Access::Open).await;
    let broken = format!("{FILE}p3,pump-3,turbine,acme,,north,,,\n");
    let report = service.onboard(broken.as_bytes(), DONE).await.unwrap();
    assert!(!report.applied && report.tokens.is_empty());
    assert_eq!(report.errors.len(), 1);
    assert_eq!(
        (report.errors[0].line, report.errors[0].column_number),
        (4, 3)
    );
    assert!(!service.knows_device(&device("p1")));
    assert!(
        service
            .assets(AssetQuery::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_change_of_model_reaches_every_device_of_the_asset() {
    let bench = Bench::new();
    let service = open(&bench, Access::Open).await;
    let add = |csv: &'static str| {
        let service = service.clone();
        async move {
            service
                .onboard(csv.as_bytes(), OnboardOptions::default())
                .await
                .unwrap()
        }
    };
    assert!(add("device,asset\np1,a\np2,a\n").await.applied);
    assert!(service.rules(&device("p2")).is_none());
    // Only p1 is named; p2 watches the same asset.
    let report = add("device,model\np1,pump\n").await;
    assert!(report.applied, "{report:?}");
    assert!(service.rules(&device("p2")).is_some());
    let signals = service.device_signals(&device("p2"));
    assert_eq!(
        signals[0].name,
        SignalName::new("bearing_temperature_c").unwrap()
    );
    // An update through the ledger does the same.
    let update = AssetUpdate {
        model: Some(AssetModelId::unknown()),
        ..AssetUpdate::default()
    };
    service.update_asset(&asset("a"), update).await.unwrap();
    assert!(service.rules(&device("p2")).is_none());
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in_and_its_id_never_comes_back() {
    let bench = Bench::new();
    let service = open(&bench, Access::Required).await;
    service
        .onboard(FILE.as_bytes(), OnboardOptions::default())
        .await
        .unwrap();
    let p1 = device("p1");
    let first = service
        .issue_token(&p1, TokenSpec::default())
        .await
        .unwrap();
    let claim = with_token(&p1, &first.token);
    assert_eq!(
        service.authenticate(&claim).unwrap().credential,
        Some(first.credential)
    );
    assert!(service.is_valid(first.credential));
    service.revoke(first.credential).await.unwrap();
    let listed = service.revoke(first.credential).await.unwrap();
    assert_eq!(listed.revoked_at, Some(t(5_000)));
    assert!(listed.last_used_at.is_some());
    assert!(!service.is_valid(first.credential));
    assert_eq!(service.authenticate(&claim), Err(Denied::Invalid));
    let second = service
        .issue_token(&p1, TokenSpec::default())
        .await
        .unwrap();
    assert!(second.credential > first.credential);
    service.flush_last_used().await.unwrap();
    service.close().await;
    // The hash of a token is not the token, and no file holds the token.
    for name in ["service.db", "service.db-wal"] {
        let bytes = std::fs::read(bench.path.with_file_name(name)).unwrap_or_default();
        let token = second.token.as_bytes();
        assert!(
            !bytes.windows(token.len()).any(|window| window == token),
            "{name}"
        );
    }
    let service = open(&bench, Access::Required).await;
    assert_eq!(service.authenticate(&claim), Err(Denied::Invalid));
    let listed = service.credentials(&p1).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].last_used_at, Some(t(5_000)));
    assert!(
        service
            .authenticate(&with_token(&p1, &second.token))
            .is_ok()
    );
    let unknown = service
        .revoke(CredentialId(99))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(unknown, "there is no credential 99");
}

#[tokio::test]
async fn a_certificate_belongs_to_one_device_until_it_is_revoked() {
    let bench = Bench::new();
    let service = open(&bench, Access::Required).await;
    service
        .onboard(FILE.as_bytes(), OnboardOptions::default())
        .await
        .unwrap();
    let (p1, p2) = (device("p1"), device("p2"));
    let binding = CertificateBinding::Fingerprint([7; 32]);
    let bound = service
        .bind_certificate(&p1, binding, TokenSpec::default())
        .await
        .unwrap();
    assert_eq!(bound.kind, CredentialKind::Certificate);
    assert_eq!(bound.fingerprint, Some("07".repeat(32)));
    let taken = service
        .bind_certificate(&p2, binding, TokenSpec::default())
        .await
        .unwrap_err();
    assert!(taken.to_string().contains("bound already"), "{taken}");
    let claim = Claim {
        client: Some(&p1),
        certificate: Some([7; 32]),
        ..Claim::default()
    };
    assert!(service.authenticate(&claim).is_ok());
    service.revoke(bound.id).await.unwrap();
    assert_eq!(service.authenticate(&claim), Err(Denied::Invalid));
    let spec = TokenSpec {
        topic_prefix: Some(TopicPrefix::new("telemetry/p.").unwrap()),
        quota: None,
    };
    assert!(service.bind_certificate(&p2, binding, spec).await.is_ok());
}

#[tokio::test]
async fn valid_credentials_of_a_device_are_bounded() {
    let bench = Bench::new();
    let service = open(&bench, Access::Required).await;
    service
        .onboard(FILE.as_bytes(), OnboardOptions::default())
        .await
        .unwrap();
    let p1 = device("p1");
    let mut last = None;
    for _ in 0..crate::credential::MAX_CREDENTIALS_PER_DEVICE {
        last = Some(
            service
                .issue_token(&p1, TokenSpec::default())
                .await
                .unwrap(),
        );
    }
    let full = service
        .issue_token(&p1, TokenSpec::default())
        .await
        .unwrap_err();
    assert!(full.to_string().contains("revoke one first"), "{full}");
    service.revoke(last.unwrap().credential).await.unwrap();
    assert!(service.issue_token(&p1, TokenSpec::default()).await.is_ok());
    let stranger = service
        .issue_token(&device("nobody"), TokenSpec::default())
        .await;
    assert!(matches!(stranger, Err(ServiceError::NotFound { .. })));
}

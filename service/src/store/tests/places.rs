use telemetry::{Places, SignalName};

use super::*;
use crate::store::places::drive_signals;

#[tokio::test]
async fn a_place_is_answered_from_memory_as_the_file_has_it() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    service.create_asset(new_asset("motor")).await.unwrap();
    let pump = NewAsset {
        parent: Some(asset("motor")),
        ..new_asset("pump")
    };
    let pump = service.create_asset(pump).await.unwrap();
    assert_eq!(pump.parent, Some(asset("motor")));
    let found = service.register_discovered(&[device("fan")]).await.unwrap();
    assert_eq!(found[0].parent, None);
    let check = |service: &Service| {
        let place = service.place(&asset("pump")).unwrap();
        assert_eq!(place.site.as_str(), "default");
        assert_eq!(place.time_zone, "UTC");
        assert_eq!(place.parent, Some(asset("motor")));
        assert!(service.place(&asset("fan")).is_some());
        assert!(service.place(&asset("nowhere")).is_none());
    };
    check(&service);
    service.close().await;
    let service = bench.open(Registration::Open).await;
    check(&service);
    let alone = AssetUpdate {
        parent: Some(None),
        ..AssetUpdate::default()
    };
    service.update_asset(&asset("pump"), alone).await.unwrap();
    assert_eq!(service.place(&asset("pump")).unwrap().parent, None);
}

#[tokio::test]
async fn nothing_is_part_of_itself_and_nothing_stands_too_deep() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let under = |parent: &str| AssetUpdate {
        parent: Some(Some(asset(parent))),
        ..AssetUpdate::default()
    };
    service.create_asset(new_asset("a-0")).await.unwrap();
    for level in 1..=AssetUpdate::MAX_DEPTH {
        let below = NewAsset {
            parent: Some(asset(&format!("a-{}", level - 1))),
            ..new_asset(&format!("a-{level}"))
        };
        service.create_asset(below).await.unwrap();
    }
    let deeper = NewAsset {
        parent: Some(asset(&format!("a-{}", AssetUpdate::MAX_DEPTH))),
        ..new_asset("deeper")
    };
    let refused = service.create_asset(deeper).await.unwrap_err();
    assert!(refused.to_string().contains("stand above it"), "{refused}");
    for parent in ["a-0", "a-3"] {
        let refused = service.update_asset(&asset("a-0"), under(parent)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("is part of a-0 itself"), "{refused}");
    }
    let refused = service.update_asset(&asset("a-0"), under("nobody")).await;
    assert!(matches!(refused, Err(ServiceError::NotFound { .. })));
}

#[test]
fn a_model_says_which_signals_tell_how_the_machine_is_run() {
    let signal = |name: &str| SignalName::new(name).unwrap();
    let mut model = crate::testing::pump_model();
    let drive = |model: &AssetModel| drive_signals(Some(&Arc::new(model.clone())));
    assert!(drive(&model).is_empty(), "a temperature is no drive");
    let mut speed = model.signals[0].clone();
    (speed.name, speed.unit) = (signal("speed_rpm"), telemetry::Unit::RevolutionPerMinute);
    model.signals.push(speed);
    assert_eq!(*drive(&model), [signal("speed_rpm")]);
    model.operating.regime_signals = vec![signal("bearing_temperature_c")];
    assert_eq!(*drive(&model), [signal("bearing_temperature_c")]);
    assert!(drive_signals(None).is_empty());
}

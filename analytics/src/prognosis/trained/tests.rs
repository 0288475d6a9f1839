use telemetry::SignalName;

use super::*;

fn material(lives: Vec<Life>) -> Material {
    let names = ["vibration", "repair_code"].map(|name| SignalName::new(name).unwrap());
    Material {
        cycles: CycleSpec {
            cycle_s: 3_600.0,
            settings: Vec::new(),
            signals: names.to_vec(),
        },
        component: None,
        horizons_s: vec![86_400.0],
        cap: 125.0,
        lives,
        records: Vec::new(),
        cycle_s: 3_600.0,
        fleet: FleetConfig {
            ensembles: 1,
            kernel_features: 32,
            folds: 3,
            ..FleetConfig::default()
        },
        seed: 1,
    }
}

/// Seven machines whose vibration rises with the fourth power of age, to six times its
/// level at the end.
fn wearing() -> Material {
    let life = |asset: u32| {
        let length = 60 + 9 * asset;
        let row = |row: u32| {
            let age = f64::from(row) / f64::from(length);
            let noise = f64::from((row * 7_919 + asset * 31) % 101) / 500.0;
            CycleRow {
                settings: Vec::new(),
                values: vec![1.0 + 5.0 * age.powi(4) + noise, 20.0 + noise],
            }
        };
        Life {
            asset: asset.to_string(),
            age: Some(0.0),
            rows: (0..length).map(row).collect(),
            end: LifeEnd::Failed,
        }
    };
    Material {
        cap: 40.0,
        ..material((0..7).map(life).collect())
    }
}

#[test]
fn a_model_comes_back_from_its_bytes_and_serves_what_it_learned() {
    let material = wearing();
    let trained = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let again = TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).unwrap();
    let bytes = trained.model.encode().unwrap();
    assert_eq!(bytes, again.model.encode().unwrap());
    let model = TrainedModel::decode(&bytes).unwrap();
    assert_eq!(model, trained.model);
    assert!(trained.rmse < 0.5 * trained.baseline_rmse, "{trained:?}");
    let id = ModelId {
        asset_model: telemetry::AssetModelId::new("grinder").unwrap(),
        version: 1,
        checksum: String::new(),
    };
    let serving = Serving::new(id, model);
    let life = &material.lives[3];
    let mut state = serving.start(Some(0.0));
    let end = life.rows.len() - 10;
    for row in &life.rows[..end] {
        serving.push(&mut state, row);
    }
    let mut outlook = serving.outlook(&state, 7_200.0).unwrap();
    let [low, middle, high] = outlook.quantiles_s.map(|rul_s| rul_s / 7_200.0);
    assert!(
        low <= middle && middle <= high && (2.0..20.0).contains(&middle),
        "{middle}"
    );
    // Six lives are too few for a probability.
    let within = &outlook.detail.within[0];
    assert_eq!((within.probability, within.shown), (None, Shown::Rank));
    assert!(
        within.reason.is_some() && within.rank > Some(0.5),
        "{within:?}"
    );
    serving.explain(&state, 7_200.0, &mut outlook.detail);
    assert!(!outlook.detail.contributions.is_empty() && !outlook.detail.similar.is_empty());
    // Bytes of nobody's state start over with an unknown age.
    let mut foreign = vec![0xff; 3];
    serving.push(&mut foreign, &life.rows[0]);
    assert_eq!(serving.outlook(&foreign, 7_200.0), None);
}

/// A code that somebody enters when the machine has failed tells nothing before.
#[test]
fn a_signal_that_is_known_because_of_the_failure_is_refused_by_name() {
    let life = |asset: u32| Life {
        asset: asset.to_string(),
        age: Some(0.0),
        rows: (0..40)
            .map(|row| CycleRow {
                settings: Vec::new(),
                values: vec![f64::from(row), if row == 39 { 7.0 } else { f64::NAN }],
            })
            .collect(),
        end: LifeEnd::Failed,
    };
    let refused = TrainedModel::fit(&material((0..6).map(life).collect()), &mut |_| {
        ControlFlow::Continue(())
    });
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("repair_code"), "{message}");
    assert!(message.contains("because of the failure"), "{message}");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    assert!(TrainedModel::decode(b"").is_err());
    assert!(TrainedModel::decode(&[0xff; 64]).is_err());
}

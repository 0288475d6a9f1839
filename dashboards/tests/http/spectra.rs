//! Spectra of vibration snapshots: what the machine is known to do must be read off them.

use std::f64::consts::TAU;

use serde_json::{Value, json};
use telemetry::Unit;

use crate::plant::Plant;

const RATE_HZ: f64 = 12_000.0;
const SPEED_HZ: f64 = 1797.0 / 60.0;

/// Two seconds of a shaft of the rated speed with 3 mm/s, and impacts of its bearing's outer
/// ring that ring at 3 kHz.
fn worn() -> Vec<f32> {
    let hits_hz = 3.5848 * SPEED_HZ;
    let shaft = 3.0 * 2.0_f64.sqrt() * TAU * SPEED_HZ / 1e3;
    let value = |n: u32| {
        let t = f64::from(n) / RATE_HZ;
        let since = (t * hits_hz).fract() / hits_hz;
        let impact = 20.0 * (-since * 900.0).exp() * (TAU * 3000.0 * since).sin();
        let value = shaft * (TAU * SPEED_HZ * t).sin() + impact;
        (value / 9.806_65) as f32
    };
    (0..24_000).map(value).collect()
}

/// A worn machine is listened to; the id of what was heard.
async fn snapshot(plant: &Plant, unit: Option<Unit>) -> u64 {
    let signal = ("pump-1", "bearing_acceleration", unit);
    plant.record(signal, (100, RATE_HZ), &worn()).await;
    let list = plant.read("/api/v1/waveforms?asset=pump-1").await;
    list["items"][0]["id"].as_u64().unwrap()
}

fn assert_near(got: &Value, expected: f64, relative: f64) {
    let got = got.as_f64().unwrap_or(f64::NAN);
    let error = (got - expected).abs() / expected.abs();
    assert!(error <= relative, "{got} is not {expected} to {relative}");
}

async fn spectrum(plant: &Plant, id: u64, query: &str) -> Value {
    plant
        .read(&format!("/api/v1/waveforms/{id}/spectrum?{query}"))
        .await
}

#[tokio::test]
async fn the_velocity_spectrum_shows_the_shaft_its_zone_and_the_speed_it_is_from() {
    let plant = Plant::open().await;
    let id = snapshot(&plant, Some(Unit::StandardGravity)).await;
    let plain = spectrum(&plant, id, "").await;
    assert_eq!(
        (&plain["kind"], &plain["unit"]),
        (&json!("velocity"), &json!("mm/s"))
    );
    assert_eq!(
        plain["no_severity"], "no_class",
        "nobody has said what machine it is"
    );
    assert_eq!(plain["speed"], Value::Null);
    plant
        .patch(
            "/api/v1/assets/pump-1",
            json!({ "model": "centrifugal-pump" }),
            200,
        )
        .await;
    let full = spectrum(&plant, id, "kind=velocity&window=hann").await;
    let peak = &full["peaks"][0];
    assert_near(&peak["at"], SPEED_HZ, 1e-3);
    assert_near(&peak["order"], 1.0, 1e-3);
    assert_near(&peak["amplitude"], 3.0 * 2.0_f64.sqrt(), 0.01);
    assert_eq!(
        full["severity"]["zone"], "C",
        "3 mm/s of a medium machine on a rigid base"
    );
    assert_near(&full["severity"]["velocity_mm_s"], 3.0, 0.02);
    assert_eq!(full["severity"]["source"], "ISO 10816-3:2009");
    assert_eq!(full["speed"]["source"], "rated");
    plant
        .publish(&[("pump-1", 95, &[("speed_rpm", 1500.0)])])
        .await;
    let measured = spectrum(&plant, id, "").await;
    assert_eq!(
        measured["speed"],
        json!({ "rpm": 1500.0, "source": "measured", "steady": true })
    );
    let given = spectrum(&plant, id, "speed_rpm=1200").await;
    assert_eq!(given["speed"]["source"], "given");
    plant.close().await;
}

#[tokio::test]
async fn the_envelope_spectrum_names_the_damaged_part() {
    let plant = Plant::open().await;
    let id = snapshot(&plant, Some(Unit::StandardGravity)).await;
    plant
        .patch(
            "/api/v1/assets/pump-1",
            json!({ "model": "centrifugal-pump" }),
            200,
        )
        .await;
    for query in [
        "kind=envelope",
        "kind=envelope&band_low_hz=2000&band_high_hz=4000",
    ] {
        let found = spectrum(&plant, id, query).await;
        let given = query.contains("band");
        let source = if given { "given" } else { "most_impulsive" };
        assert_eq!(found["envelope"]["source"], source);
        assert_eq!(found["envelope"]["spectral_kurtosis"].is_null(), given);
        assert_eq!(found["unit"], "m/s²");
        let bearing = &found["bearings"][0];
        assert_eq!(bearing["name"], "drive end 6205");
        let defects = bearing["defects"].as_array().unwrap();
        let prominence = |at: usize| defects[at]["prominence"].as_f64().unwrap();
        assert_eq!(defects[0]["defect"], "bpfo");
        assert_near(&defects[0]["order"], 3.5848, 1e-3);
        assert_near(&defects[0]["harmonics"][0]["at"], 3.5848 * SPEED_HZ, 2e-3);
        assert!(prominence(0) > 20.0, "{query} {}", prominence(0));
        assert!(
            prominence(0) > 5.0 * prominence(1),
            "{query} {}",
            prominence(1)
        );
        assert!(defects[0]["harmonics"].as_array().unwrap().len() >= 3);
    }
    plant.close().await;
}

#[tokio::test]
async fn orders_are_multiples_of_the_shaft_and_need_its_speed() {
    let plant = Plant::open().await;
    let id = snapshot(&plant, Some(Unit::StandardGravity)).await;
    let path = format!("/api/v1/waveforms/{id}/spectrum?kind=order");
    let refused = plant.get(&path).await;
    assert_eq!(refused.status().as_u16(), 400);
    let problem: Value = refused.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("speed"),
        "{problem}"
    );
    let orders = spectrum(&plant, id, "kind=order&speed_rpm=1797&to=5&points=500").await;
    assert_eq!(orders["axis_unit"], "1");
    assert_near(&orders["peaks"][0]["at"], 1.0, 1e-2);
    let at = orders["points"]["at"].as_array().unwrap();
    assert!(at.len() <= 500 && at.last().unwrap().as_f64().unwrap() <= 5.1);
    plant.close().await;
}

#[tokio::test]
async fn nothing_is_claimed_of_an_undeclared_unit_and_nonsense_is_refused() {
    let plant = Plant::open().await;
    let id = snapshot(&plant, None).await;
    plant
        .patch(
            "/api/v1/assets/pump-1",
            json!({ "model": "centrifugal-pump" }),
            200,
        )
        .await;
    let plain = spectrum(&plant, id, "").await;
    assert_eq!(plain["unit"], Value::Null);
    assert_eq!(plain["no_severity"], "no_unit");
    assert_eq!(plain["bands"], json!([]));
    for bad in [
        "points=5",
        "segments=0",
        "from=10&to=5",
        "band_low_hz=5",
        "band_low_hz=9&band_high_hz=5&kind=envelope",
        "kind=envelope&band_low_hz=7000&band_high_hz=8000",
        "speed_rpm=-1",
        "kind=spectrogram",
        "window=kaiser",
        "typo=1",
    ] {
        let path = format!("/api/v1/waveforms/{id}/spectrum?{bad}");
        assert_eq!(plant.get(&path).await.status().as_u16(), 400, "{bad}");
    }
    let missing = plant.get("/api/v1/waveforms/9999/spectrum").await;
    assert_eq!(missing.status().as_u16(), 404);
    plant.close().await;
}

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use proptest::prelude::*;
use telemetry::{AssetModel, AssetModelId, Unit};

use super::*;
use crate::{
    corpus::{corpus, spoiled},
    store::DeviceEntry,
    testing::pump_model,
};

fn models() -> BTreeMap<AssetModelId, Arc<AssetModel>> {
    let pump = pump_model();
    BTreeMap::from([(pump.id.clone(), Arc::new(pump))])
}

/// The errors of a file as they are shown, against an installation that is empty.
fn errors(csv: &str) -> Vec<String> {
    let (entries, mut problems) = read(csv.as_bytes());
    plan(&entries, &Known::default(), &models(), &mut problems);
    let errors = problems.into_sorted().0;
    errors.iter().map(ToString::to_string).collect()
}

/// The plan of a file that has no errors.
fn planned(csv: &str, known: &Known) -> Plan {
    let (entries, mut problems) = read(csv.as_bytes());
    let plan = plan(&entries, known, &models(), &mut problems);
    let errors = problems.into_sorted().0;
    assert!(errors.is_empty(), "{csv}\n{errors:#?}");
    plan
}

/// What an installation knows once a plan was written.
fn after(mut known: Known, plan: Plan) -> Known {
    known.customers.extend(plan.customers);
    known.sites.extend(plan.sites);
    for (id, mut asset) in plan.new_assets.into_iter().chain(plan.changed_assets) {
        asset.site = asset.site.or_else(|| "default".parse().ok());
        known.assets.insert(id, asset);
    }
    known
        .devices
        .extend(plan.new_devices.into_iter().chain(plan.changed_devices));
    for (device, binding) in plan.certificates {
        match binding {
            crate::CertificateBinding::Fingerprint(hash) => {
                known.fingerprints.insert(hash, device);
            }
            crate::CertificateBinding::CommonName => {
                known.named.insert(device);
            }
        }
    }
    known
}

#[test]
fn every_mistake_of_a_file_is_told_with_line_and_column() {
    let csv = "\
device,asset,model,customer,site,signals,units,limits,quota_messages
p 1,a1,pump,acme,north,bearing_temperature_c=bar,,,
p2,a/2,turbine,acme,north,t,furlong,5..1,many
p3,a3,pump,acme,north,bearing_temperature_c,bar,,
p3,a4,pump,acme,north,,,,
p4,a3,unknown,acme,north,,,,
p5,a5,pump,,south,,,,
p6,a6,pump,beta,,,,,
p7,a7,pump,beta,north,,,,
p8,a8,pump,acme,north,x;x,,,
,a9,,,,,°C,,
p10,a10,pump,acme,north,bearing_temperature_c,,300..,
p11,a11,pump,acme,north,a -> s;b -> s,K;-;m,-,
";
    let expected = [
        "line 2, column 1 (device), \"p 1\": device id",
        "line 2, column 7 (units), \"bearing_temperature_c\": asset model pump has",
        "line 3, column 2 (asset), \"a/2\": asset id",
        "line 3, column 3 (model), \"turbine\": there is no such asset model; there are pump",
        "line 3, column 7 (units), \"furlong\": unknown unit",
        "line 3, column 8 (limits), \"5..1\": min 5 is not below max 1",
        "line 3, column 9 (quota_messages), \"many\": use a whole number",
        "line 4, column 7 (units), \"bearing_temperature_c\": asset model pump has bearing_temperature_c in °C: cannot convert bar to °C",
        "line 5, column 1 (device), \"p3\": line 4 has this device on asset a3, this line on a4",
        "line 6, column 3 (model), \"unknown\": line 4 says pump of asset a3",
        "line 7, column 4 (customer): site south is new; name its customer",
        "line 8, column 5 (site): name the site",
        "line 9, column 4 (customer), \"beta\": line 2 says acme of site north",
        "line 10, column 6 (signals), \"x\": this signal is declared twice",
        "line 11, column 1 (device): each row needs a device id",
        "line 11, column 7 (units), \"°C\": name the signals in the column signals as well",
        "line 12, column 8 (limits), \"bearing_temperature_c\": together with the asset model's limits of bearing_temperature_c, min 300 is not below max 200",
        "line 13, column 6 (signals), \"b\": a is stored as s already",
        "line 13, column 7 (units), \"K;-;m\": 3 items stand here and 2 in the column signals",
        "line 13, column 8 (limits), \"-\": 1 items stand here and 2 in the column signals",
    ];
    let got = errors(csv);
    for (got, expected) in got.iter().zip(expected) {
        assert!(got.starts_with(expected), "\n{got}\n{expected}");
    }
    assert_eq!(got.len(), expected.len(), "{got:#?}");
}

#[test]
fn mistakes_in_the_header_are_told_too() {
    for (csv, expected) in [
        (
            "asset\na1\n",
            vec!["line 1, column 2 (device): the column device is missing"],
        ),
        (
            "device,colour,device\np1,red,p1\n",
            vec![
                "line 1, column 2 (colour), \"colour\": there is no such column; the columns are device, asset",
                "line 1, column 3 (device), \"device\": this column comes twice",
            ],
        ),
    ] {
        let got = errors(csv);
        assert_eq!(got.len(), expected.len(), "{got:#?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.starts_with(expected), "{got}");
        }
    }
}

#[test]
fn the_same_row_can_be_written_in_many_ways() {
    let plain = planned(
        "device,asset,model,customer,site,signals\n\
         p1,a1,pump,acme,north,bearing_temperature_c=°F[-40..250];t2 -> oil_c=K[rate 5]\n",
        &Known::default(),
    );
    for csv in [
        // Another order, semicolons, a byte order mark, CRLF, capitals in the header.
        "\u{feff}Site;Customer;Device;Model;Asset;Signals\r\n\
         north;acme;p1;pump;a1;\"bearing_temperature_c=°F[-40..250];t2 -> oil_c=K[rate 5]\"\r\n",
        // Units and limits in their own columns.
        "device,asset,model,customer,site,signals,units,limits\n\
         p1,a1,pump,acme,north,bearing_temperature_c | t2->oil_c,°F|K,[-40..250]|rate 5\n",
        // The order of the signals says nothing.
        "device,asset,model,customer,site,signals,units,limits,gateway\n\
         p1 ,a1,pump,acme,north,t2->oil_c;bearing_temperature_c;,K;degF;,[rate 5];-40..250;,\n",
    ] {
        let other = planned(csv, &Known::default());
        assert_eq!(other.new_devices, plain.new_devices, "{csv}");
        assert_eq!(other.new_assets, plain.new_assets, "{csv}");
        assert_eq!(other.sites, plain.sites, "{csv}");
    }
    let entry: &DeviceEntry = &plain.new_devices[0].1;
    assert_eq!(entry.declared[0].unit, Some(Unit::Fahrenheit));
    assert_eq!(entry.declared[1].stored_as().as_str(), "oil_c");
}

#[test]
fn empty_cells_leave_things_as_they_are_and_a_dash_clears_signals() {
    let first = "device,asset,asset_name,model,customer,site,signals,quota_messages\n\
                 p1,a1,Pump One,pump,acme,north,x=bar,10\n";
    let known = after(Known::default(), planned(first, &Known::default()));
    let same = planned("device,asset,model,signals\np1,,,\n", &known);
    assert_eq!(same.unchanged, 1);
    let cleared = planned("device,signals\np1,-\n", &known);
    assert!(cleared.changed_devices[0].1.declared.is_empty());
    assert_eq!(cleared.changed_devices[0].1.quota.messages_per_s, 10);
    let moved = planned("device,asset\np1,a2\n", &known);
    assert_eq!(moved.new_assets[0].0.as_str(), "a2");
    assert_eq!(moved.changed_devices.len(), 1);
}

#[test]
fn a_gateway_needs_no_asset() {
    let plan = planned(
        "device,gateway\ngw-1,telemetry/hall-3.\np1,\n",
        &Known::default(),
    );
    assert_eq!(plan.new_assets.len(), 1);
    assert_eq!(plan.new_devices[0].1.assignment, None);
    assert!(plan.new_devices[0].1.topic_prefix.is_some());
    let again = planned(
        "device,gateway\ngw-1,telemetry/hall-3.\np1,\n",
        &after(Known::default(), plan),
    );
    assert_eq!(again.unchanged, 2);
}

/// Name, unit, and least value with the span above it.
type Signal = (String, &'static str, Option<(i32, u16)>);

/// A valid row, as its cells.
#[derive(Debug, Clone)]
struct Row {
    asset: u8,
    site: u8,
    signals: Vec<Signal>,
    quota: Option<u32>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let signal = (
        "[a-z][a-z ,\"]{0,6}[a-z]",
        prop::sample::select(vec!["", "bar", "°C", "mm/s"]),
        prop::option::of((-1000..1000_i32, 1..500_u16)),
    );
    let row = (
        0..6_u8,
        0..3_u8,
        prop::collection::vec(signal, 0..4),
        prop::option::of(any::<u32>()),
    );
    prop::collection::vec(
        row.prop_map(|(asset, site, mut signals, quota)| {
            for (name, _, _) in &mut signals {
                // No quote in the names of signals; the comma makes cells need quoting.
                *name = name.replace('"', "");
            }
            signals.sort_by(|a, b| a.0.cmp(&b.0));
            signals.dedup_by(|a, b| a.0 == b.0);
            Row {
                asset,
                site,
                signals,
                quota,
            }
        }),
        1..12,
    )
}

fn csv_of(rows: &[Row], separator: char, end: &str) -> String {
    let mut csv = [
        "device",
        "asset",
        "site",
        "customer",
        "signals",
        "quota_bytes",
    ]
    .join(&separator.to_string());
    csv.push_str(end);
    for (at, row) in rows.iter().enumerate() {
        let mut cell = String::new();
        for (name, unit, limits) in &row.signals {
            cell.push_str(name);
            if !unit.is_empty() {
                let _ = write!(cell, " = {unit}");
            }
            if let Some((min, span)) = limits {
                let _ = write!(cell, " [{min}..{}]", min + i32::from(*span));
            }
            cell.push(';');
        }
        let quota = row.quota.map(|quota| quota.to_string()).unwrap_or_default();
        let cells = [
            format!("d{at}"),
            // One site an asset, as it has to be.
            format!("a{}-{}", row.asset, row.site),
            format!("s{}", row.site),
            "acme".to_owned(),
            format!("\"{cell}\""),
            quota,
        ];
        csv.push_str(&cells.join(&separator.to_string()));
        csv.push_str(end);
    }
    csv
}

proptest! {
    #[test]
    fn a_valid_file_says_what_it_was_made_of_and_twice_is_once(
        rows in rows(),
        semicolons in any::<bool>(),
        crlf in any::<bool>(),
    ) {
        let csv = csv_of(&rows, if semicolons { ';' } else { ',' }, if crlf { "\r\n" } else { "\n" });
        let plan = planned(&csv, &Known::default());
        prop_assert_eq!(plan.new_devices.len(), rows.len());
        for (row, (device, entry)) in rows.iter().zip(&plan.new_devices) {
            prop_assert!(device.as_str().starts_with('d'));
            let asset = format!("a{}-{}", row.asset, row.site);
            prop_assert_eq!(entry.assignment.as_ref().unwrap().0.as_str(), asset.as_str());
            prop_assert_eq!(entry.declared.len(), row.signals.len());
            for ((name, unit, limits), declared) in row.signals.iter().zip(&entry.declared) {
                prop_assert_eq!(declared.name.as_str(), name.as_str());
                prop_assert_eq!(declared.unit.map_or("", Unit::symbol), *unit);
                prop_assert_eq!(declared.limits.min, limits.map(|(min, _)| f64::from(min)));
            }
            prop_assert_eq!(entry.quota.bytes_per_s, row.quota.unwrap_or(0));
        }
        let known = after(Known::default(), plan);
        let again = planned(&csv, &known);
        prop_assert_eq!(again.unchanged, rows.len() as u64);
        prop_assert!(again.new_devices.is_empty() && again.changed_devices.is_empty());
        prop_assert!(again.new_assets.is_empty() && again.changed_assets.is_empty());
        prop_assert!(again.customers.is_empty() && again.sites.is_empty());
    }
}

/// A fuzz target: run for long with `cargo bolero test onboard::tests::fuzz_csv -p service`;
/// under plain `cargo test` it runs the corpus in `src/onboard/__fuzz__` and a bounded number
/// of made-up files, and of the corpus spoiled by them.
#[test]
fn fuzz_csv() {
    let models = models();
    let check = |bytes: &[u8]| {
        let (entries, mut problems) = read(bytes);
        plan(&entries, &Known::default(), &models, &mut problems);
        for error in problems.into_sorted().0 {
            assert!(error.line >= 1 && error.column_number >= 1, "{error:?}");
            assert!(!error.problem.is_empty());
        }
    };
    let corpus = corpus("onboard", "onboard__tests__csv");
    bolero::check!().for_each(|bytes: &[u8]| {
        check(bytes);
        check(&spoiled(&corpus, bytes));
    });
}

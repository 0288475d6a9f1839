//! The figures of the shared recordings stay above floors a little under what was reached.
//!
//! Need `../shared/data` beside the repository; they pass over it, saying so, when it is not
//! there.

use super::*;

fn recordings(suite: Suite) -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = data.join(suite.folder());
    if folder.is_dir() {
        return Some(data);
    }
    eprintln!("no recordings at {}: passing over them", folder.display());
    None
}

fn figures(suite: Suite) -> Option<(Figures, tempfile::TempDir)> {
    let data = recordings(suite)?;
    let out = tempfile::tempdir().unwrap();
    let args = EvaluateArgs {
        suite,
        data,
        out: out.path().to_owned(),
        train: "1-6".parse().unwrap(),
        test: "9-12".parse().unwrap(),
        json: false,
    };
    let figures = evaluate(&args).unwrap();
    println!("{}", text(&figures));
    Some((figures, out))
}

#[test]
fn faults_of_a_pump_are_found_at_few_false_alarms() {
    let Some((Figures::Skab(found), out)) = figures(Suite::Skab) else {
        return;
    };
    assert!(found.detector.f1 >= 0.855, "{found:?}");
    assert!(found.detector.far <= 11.0, "{found:?}");
    assert!(found.free.is_none_or(|free| free.far <= 1.0), "{found:?}");
    assert!(found.detector.f1 > found.always_alarm.f1 + 0.1, "{found:?}");
    assert!(out.path().join("valve1/0.csv").is_file());
}

#[test]
fn single_signals_are_judged_better_than_by_new_extremes() {
    let Some((Figures::Nab(found), out)) = figures(Suite::Nab) else {
        return;
    };
    for (profile, floor) in [
        ("standard", 71.0),
        ("reward_low_FP_rate", 65.0),
        ("reward_low_FN_rate", 75.0),
    ] {
        assert!(found.fixed.0[profile] >= floor, "{profile}: {found:?}");
        assert!(found.fixed.0[profile] > found.new_extreme.0[profile]);
    }
    let written = out.path().join("realKnownCause/nyc_taxi.csv");
    assert!(written.is_file());
}

#[test]
fn bearings_announce_their_failure() {
    for suite in [Suite::Femto, Suite::Ims] {
        let Some((Figures::Femto(found) | Figures::Ims(found), _)) = figures(suite) else {
            return;
        };
        assert_eq!(found.detected, found.failed, "{found:?}");
        assert_eq!(found.within_budget, found.failed, "{found:?}");
        assert!(
            found.median_lead_minutes.is_some_and(|lead| lead >= 54.0),
            "{found:?}"
        );
    }
}

/// The first units of a file of turbofans.
fn first_units(text: &str, units: usize) -> String {
    let unit = |line: &&str| {
        let number = line.split_ascii_whitespace().next();
        number
            .and_then(|n| n.parse().ok())
            .is_some_and(|n: usize| n <= units)
    };
    text.lines()
        .filter(unit)
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn a_dozen_simulated_turbofans_teach_what_remains_of_others() {
    let Some(data) = recordings(Suite::Cmapss) else {
        return;
    };
    let few = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(data.join("cmapss").join(name)).unwrap();
    for (name, units) in [("train_FD001.txt", 12), ("test_FD001.txt", 40)] {
        std::fs::write(few.path().join(name), first_units(&read(name), units)).unwrap();
    }
    let labels: Vec<String> = read("RUL_FD001.txt")
        .lines()
        .take(40)
        .map(str::to_owned)
        .collect();
    std::fs::write(few.path().join("RUL_FD001.txt"), labels.join("\n")).unwrap();
    let found = cmapss::evaluate(few.path(), few.path()).unwrap();
    println!("{}", cmapss::text(&found));
    let set = &found.sets[0];
    assert_eq!((set.training_units, set.test_units), (12, 40));
    let full = set.full_history.clone().unwrap();
    // A tenth of the units reaches about half of what trivial forecasts reach.
    assert!(
        full.clipped.rmse < 0.65 * set.rmse_of_the_mean.unwrap(),
        "{set:?}"
    );
    assert!(
        full.clipped.rmse < 0.75 * set.rmse_of_age.unwrap(),
        "{set:?}"
    );
    assert!(
        full.clipped.rmse_low < full.clipped.rmse && full.clipped.rmse < full.clipped.rmse_high
    );
    let written = std::fs::read_to_string(few.path().join("FD001.csv")).unwrap();
    assert!(written.starts_with("unit,rul,p10,p90\n1,") && written.lines().count() == 41);
}

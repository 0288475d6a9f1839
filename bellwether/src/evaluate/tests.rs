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
        data: Some(data),
        out: out.path().to_owned(),
        train: "1-8,21-32".parse().unwrap(),
        test: "9-12".parse().unwrap(),
        assets: 50,
        days: 365,
        seed: 1,
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

#[test]
fn remaining_lives_of_bearings_are_told_with_their_doubt() {
    let Some((Figures::Femto(found), out)) = figures(Suite::Femto) else {
        return;
    };
    let remaining = found.remaining.unwrap();
    assert_eq!(remaining.forecasts.len(), 5);
    assert!(remaining.covered >= 3, "{remaining:?}");
    assert!(out.path().join("femto.csv").is_file());
}

#[test]
fn failures_of_components_are_announced_without_crying_wolf() {
    let Some((Figures::Azure(found), out)) = figures(Suite::Azure) else {
        return;
    };
    assert!(
        found.announced as f64 >= 0.9 * found.events as f64,
        "{found:?}"
    );
    let false_warnings = found.false_warnings as f64 / found.machine_months;
    assert!(false_warnings <= 0.6, "{found:?}");
    assert!(found.reliability.skill() >= 0.7, "{found:?}");
    assert!(
        found.reliability.brier < 0.3 * found.brier_life_data.unwrap(),
        "{found:?}"
    );
    assert!(out.path().join("azure.csv").is_file());
}

#[test]
fn forecasts_save_a_third_against_the_best_interval() {
    let Some(data) = recordings(Suite::Decision) else {
        return;
    };
    // One set is enough for a test.
    let one = tempfile::tempdir().unwrap();
    let name = "train_FD001.txt";
    std::fs::copy(data.join("cmapss").join(name), one.path().join(name)).unwrap();
    let found = decision::evaluate(one.path(), one.path()).unwrap();
    let case = &found.sets[0].cases[0];
    assert!(
        case.saved >= 30.0 && case.saved_run_to_failure >= 70.0,
        "{case:?}"
    );
    let policies = &case.backtest;
    assert!(
        policies.rule.cost_rate >= policies.oracle.cost_rate,
        "{case:?}"
    );
    assert!(one.path().join("decision.csv").is_file());
}

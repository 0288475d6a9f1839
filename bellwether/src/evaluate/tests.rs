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

//! Job plans: the ones the program brings along, and those of a folder.

use std::path::Path;

use anyhow::{Context, Result, bail};
use service::{JobPlan, JobPlans, PlanFile};

use crate::models::{line_of, toml_files};

/// The built-in plans with the name of their file.
const BUILTIN: [(&str, &str); 9] = [
    ("any.toml", include_str!("../../deploy/plans/any.toml")),
    (
        "base-station-cooling.toml",
        include_str!("../../deploy/plans/base-station-cooling.toml"),
    ),
    (
        "centrifugal-pump.toml",
        include_str!("../../deploy/plans/centrifugal-pump.toml"),
    ),
    ("fan.toml", include_str!("../../deploy/plans/fan.toml")),
    (
        "gearbox.toml",
        include_str!("../../deploy/plans/gearbox.toml"),
    ),
    (
        "hydraulic-unit.toml",
        include_str!("../../deploy/plans/hydraulic-unit.toml"),
    ),
    (
        "induction-motor.toml",
        include_str!("../../deploy/plans/induction-motor.toml"),
    ),
    (
        "screw-compressor.toml",
        include_str!("../../deploy/plans/screw-compressor.toml"),
    ),
    (
        "ups-rectifier.toml",
        include_str!("../../deploy/plans/ups-rectifier.toml"),
    ),
];

/// Reads one file; every complaint names the file, the line and the key.
fn parse(name: &str, text: &str) -> Result<Vec<JobPlan>> {
    let file: PlanFile = toml::from_str(text).with_context(|| format!("job plans {name}"))?;
    match file.into_plans() {
        Ok(plans) => Ok(plans),
        Err(invalid) => {
            let line =
                line_of(text, &invalid.key).map_or_else(String::new, |at| format!(", line {at}"));
            Err(invalid).with_context(|| format!("job plans {name}{line}"))
        }
    }
}

/// The plans in the `*.toml` files of a folder.
///
/// # Errors
/// When the folder or a file cannot be read, a plan contradicts itself, or two are about the same.
pub(crate) fn read_dir(dir: &Path) -> Result<Vec<JobPlan>> {
    let mut all: Vec<JobPlan> = Vec::new();
    for (name, text) in toml_files(dir)? {
        for plan in parse(&name, &text)? {
            if all.iter().any(|other| other.id == plan.id) {
                bail!("two files of the plans folder describe {}", plan.id);
            }
            all.push(plan);
        }
    }
    Ok(all)
}

/// The built-in plans with those of `dir`; a plan of the folder takes the place of the built-in one
/// for the same failure mode of the same kind of machine.
///
/// # Errors
/// As [`read_dir`].
pub(crate) fn load(dir: Option<&Path>) -> Result<JobPlans> {
    let mut plans = Vec::new();
    for (name, text) in BUILTIN {
        plans.extend(parse(name, text)?);
    }
    plans.extend(dir.map(read_dir).transpose()?.unwrap_or_default());
    Ok(JobPlans::new(plans))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use telemetry::FailureMode;

    use super::*;

    #[test]
    fn every_failure_mode_of_every_built_in_model_has_a_plan_of_its_own() {
        let plans = load(None).unwrap();
        let mut planned = BTreeSet::new();
        for model in crate::models::load(None).unwrap() {
            for mode in &model.failure_modes {
                let plan = plans.find(Some(&model.id), &mode.mode).unwrap();
                assert_eq!(plan.id, format!("{}/{}", model.id, mode.mode));
                assert!(plan.duration_s >= 1_800, "{}", plan.id);
                assert!(
                    !plan.safety.is_empty() && !plan.skills.is_empty(),
                    "{}",
                    plan.id
                );
                planned.insert(plan.id.clone());
            }
        }
        for mode in [FailureMode::unclassified(), FailureMode::sensor_fault()] {
            planned.insert(plans.find(None, &mode).unwrap().id.clone());
        }
        let written: BTreeSet<String> = plans.iter().map(|plan| plan.id.clone()).collect();
        assert_eq!(planned, written, "no plan is about what no model knows");
    }

    #[test]
    fn each_text_of_a_plan_is_in_both_languages() {
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for plan in load(None).unwrap().iter() {
            let parts = plan.parts.iter().map(|part| &part.name);
            let steps = plan.steps.iter().map(|step| &step.text);
            let texts = parts.chain(steps).chain(&plan.safety);
            for text in texts.chain(std::iter::once(&plan.name)) {
                assert!(
                    chinese(&text.zh) && !chinese(&text.en),
                    "{}: {text:?}",
                    plan.id
                );
            }
        }
    }

    #[test]
    fn a_plan_of_the_folder_takes_the_place_of_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let own = "asset_model = \"fan\"\nversion = 7\n[[plan]]\nfailure_mode = \"belt-slip\"\n\
                   en = \"Own\"\nzh = \"自有\"\nskills = [\"a\"]\n\
                   steps = [{ minutes = 5, en = \"Look\", zh = \"看\" }]\n";
        fs::write(folder.path().join("own.toml"), own).unwrap();
        let plans = load(Some(folder.path())).unwrap();
        let fan = telemetry::AssetModelId::new("fan").unwrap();
        let mode = |mode: &str| FailureMode::new(mode).unwrap();
        let found = plans.find(Some(&fan), &mode("belt-slip")).unwrap();
        assert_eq!((found.version, found.duration_s), (7, 300));
        assert_eq!(
            plans.find(Some(&fan), &mode("imbalance")).unwrap().version,
            1
        );
        // What no plan knows is looked at.
        let other = plans.find(Some(&fan), &mode("meteorite")).unwrap();
        assert_eq!(other.id, "any/unclassified");
        fs::write(folder.path().join("again.toml"), own).unwrap();
        let refused = format!("{:#}", load(Some(folder.path())).unwrap_err());
        assert!(refused.contains("describe fan/belt-slip"), "{refused}");
    }

    #[test]
    fn a_bad_plan_is_refused_with_its_line() {
        let start = "version = 1\n[[plan]]\nfailure_mode = \"x\"\nen = \"x\"\nzh = \"x\"\n";
        for (rest, said) in [
            (
                "skills = []\nsteps = []\n",
                "line 6: plan[0].skills is not valid",
            ),
            (
                "skills = [\"a\"]\nsteps = []\n",
                "line 7: plan[0].steps is not valid",
            ),
            (
                "skills = [\"a\"]\nsteps = [{ minutes = 0, en = \"x\", zh = \"x\" }]\n",
                "plan[0].steps[0].minutes is not valid: use 1 to 2,400",
            ),
            ("skills = [\"a\"]\nstep = []\n", "unknown field `step`"),
        ] {
            let refused = format!(
                "{:#}",
                parse("p.toml", &format!("{start}{rest}")).unwrap_err()
            );
            assert!(refused.contains(said), "{refused}");
        }
    }
}

//! The recordings of the Azure predictive-maintenance sample, machine by machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use analytics::prognosis::{
    classify::{Catalog, FeatureState},
    life::{LifeEvent, LifeRecord, one_hot, records_of},
};
use anyhow::{Context, Result, bail};

use super::super::table::csv_files;

/// The measured signals.
const SIGNALS: [&str; 4] = ["volt", "rotate", "pressure", "vibration"];
/// An hour in microseconds.
pub(super) const HOUR: i64 = 3_600_000_000;
/// A machine is watched throughout when so many hours follow each other without a gap: the
/// others were only recorded around their failures, where a false warning means something else.
const THROUGHOUT_HOURS: i64 = 30 * 24;

/// What was recorded of one machine; times in microseconds, indices into the catalog.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) number: u32,
    pub(super) facts: Vec<f64>,
    /// Hourly rows in order, without doubles.
    pub(super) rows: BTreeMap<i64, [f64; SIGNALS.len()]>,
    codes: Vec<(i64, usize)>,
    replaced: Vec<(i64, usize)>,
    /// Failures by component, in order.
    pub(super) failures: Vec<BTreeSet<i64>>,
    /// Whether it was watched throughout for a month at least.
    pub(super) is_whole: bool,
}

/// The recordings.
pub(super) struct Data {
    pub(super) catalog: Catalog,
    pub(super) machines: BTreeMap<u32, Machine>,
    /// The last hour of anything.
    until: i64,
}

type Records = Vec<Vec<String>>;

impl Data {
    /// Reads the folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let errors = table(
            &folder.join("PdM_errors.csv"),
            &["datetime", "machineID", "errorID"],
        )?;
        let maintenance = table(
            &folder.join("PdM_maint.csv"),
            &["datetime", "machineID", "comp"],
        )?;
        let failures = table(
            &folder.join("PdM_failures.csv"),
            &["datetime", "machineID", "failure"],
        )?;
        let machines = table(
            &folder.join("PdM_machines.csv"),
            &["machineID", "model", "age"],
        )?;
        let names = |rows: &Records, at: usize| -> Vec<String> {
            let names: BTreeSet<&String> = rows.iter().map(|row| &row[at]).collect();
            names.into_iter().cloned().collect()
        };
        let models = names(&machines, 1);
        let mut facts = vec!["age".to_owned()];
        facts.extend(models.iter().skip(1).cloned());
        let catalog = Catalog {
            signals: SIGNALS.iter().map(|s| (*s).to_owned()).collect(),
            codes: names(&errors, 2),
            components: names(&maintenance, 2),
            facts,
            ..Catalog::default()
        };
        let mut data = Self {
            machines: BTreeMap::new(),
            until: i64::MIN,
            catalog,
        };
        for row in &machines {
            let mut facts = vec![row[2].parse().context("an age is no number")?];
            facts.extend(one_hot(&models, &row[1]));
            let number = row[0].parse().context("a machine has no number")?;
            let machine = Machine {
                number,
                facts,
                failures: vec![BTreeSet::new(); data.catalog.components.len()],
                ..Machine::default()
            };
            data.machines.insert(number, machine);
        }
        data.events(
            &errors,
            |machine, at, code, _| machine.codes.push((at, code)),
            true,
        )?;
        data.events(
            &maintenance,
            |machine, at, _, part| machine.replaced.push((at, part)),
            false,
        )?;
        data.events(
            &failures,
            |machine, at, _, part| {
                machine.failures[part].insert(at);
            },
            false,
        )?;
        data.telemetry(folder)?;
        Ok(data)
    }

    /// Hands each event to its machine with its index among the codes and the components.
    fn events(
        &mut self,
        rows: &Records,
        mut take: impl FnMut(&mut Machine, i64, usize, usize),
        is_code: bool,
    ) -> Result<()> {
        let names = if is_code {
            &self.catalog.codes
        } else {
            &self.catalog.components
        };
        for row in rows {
            let at = micros(&row[0])?;
            let index = names.iter().position(|name| *name == row[2]);
            let index = index.with_context(|| format!("{:?} is in no other file", row[2]))?;
            let number: u32 = row[1].parse().context("a machine has no number")?;
            if let Some(machine) = self.machines.get_mut(&number) {
                take(machine, at, index, index);
            }
            self.until = self.until.max(at);
        }
        Ok(())
    }

    fn telemetry(&mut self, folder: &Path) -> Result<()> {
        let files = csv_files(folder)?.into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("PdM_telemetry")
        });
        let mut columns = vec!["datetime", "machineID"];
        columns.extend(SIGNALS);
        for path in files {
            for row in table(&path, &columns)? {
                let number: u32 = row[1].parse().context("a machine has no number")?;
                let mut values = [f64::NAN; SIGNALS.len()];
                for (value, text) in values.iter_mut().zip(&row[2..]) {
                    *value = fast_float2::parse(text).unwrap_or(f64::NAN);
                }
                if let Some(machine) = self.machines.get_mut(&number) {
                    machine.rows.insert(micros(&row[0])?, values);
                }
            }
        }
        if self
            .machines
            .values()
            .all(|machine| machine.rows.is_empty())
        {
            bail!("{}: no telemetry", folder.display());
        }
        for machine in self.machines.values_mut() {
            let (mut begin, mut last) = (i64::MIN, i64::MIN);
            for at in machine.rows.keys() {
                if last.saturating_add(HOUR) < *at {
                    begin = *at;
                }
                last = *at;
                machine.is_whole |= last - begin >= THROUGHOUT_HOURS * HOUR;
            }
        }
        Ok(())
    }

    /// The lives of a component on one machine, in days, with the machine's facts.
    pub(super) fn lives(&self, machine: &Machine, component: usize) -> Vec<LifeRecord> {
        let day = 24.0 * HOUR as f64;
        let ends = machine.replaced.iter().filter(|event| event.1 == component);
        let mut events: Vec<LifeEvent> = ends
            .map(|(at, _)| LifeEvent {
                at: *at as f64 / day,
                failed: machine.failures[component].contains(at),
            })
            .collect();
        let failures = machine.failures[component].iter();
        events.extend(failures.map(|at| LifeEvent {
            at: *at as f64 / day,
            failed: true,
        }));
        let span = (f64::NEG_INFINITY, self.until as f64 / day);
        records_of(&events, None, span, &machine.facts)
    }
}

/// A moment of a machine: the time, the features known then, the age of each component in
/// days.
pub(super) struct Moment {
    pub(super) at: i64,
    pub(super) features: Vec<f32>,
    pub(super) ages: Vec<Option<f64>>,
}

impl Machine {
    /// Every hour with telemetry, told in order.
    pub(super) fn moments(&self, catalog: &Catalog) -> Vec<Moment> {
        let mut state = FeatureState::new(catalog);
        let mut codes: Vec<(i64, usize)> = self.codes.clone();
        let mut replaced = self.replaced.clone();
        codes.sort_unstable();
        replaced.sort_unstable();
        let (mut codes, mut replaced) = (
            codes.into_iter().peekable(),
            replaced.into_iter().peekable(),
        );
        let tell = |(at, values): (&i64, &[f64; SIGNALS.len()])| {
            while let Some((when, code)) = codes.next_if(|event| event.0 <= *at) {
                state.code(when, code);
            }
            while let Some((when, component)) = replaced.next_if(|event| event.0 <= *at) {
                state.replaced(when, component);
            }
            state.row(*at, values);
            let mut features = Vec::new();
            state.features(*at, &self.facts, &mut features);
            let components = 0..catalog.components.len();
            Moment {
                at: *at,
                features,
                ages: components.map(|c| state.age_days(*at, c)).collect(),
            }
        };
        self.rows.iter().map(tell).collect()
    }

    /// The failure of a component after a moment and within a horizon, the moment excluded.
    pub(super) fn fails(&self, component: usize, at: i64, horizon: i64) -> Option<i64> {
        let window = (at + 1)..=(at + horizon);
        self.failures[component].range(window).next().copied()
    }
}

/// The named columns of a CSV, as text.
fn table(path: &Path, columns: &[&str]) -> Result<Records> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let header = reader.headers()?.clone();
    let at = |name: &&str| {
        let found = header.iter().position(|column| column == *name);
        found.with_context(|| format!("{}: no column {name}", path.display()))
    };
    let at: Vec<usize> = columns.iter().map(at).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {}", path.display()))?;
        rows.push(
            at.iter()
                .map(|at| record.get(*at).unwrap_or_default().to_owned())
                .collect(),
        );
    }
    Ok(rows)
}

fn micros(text: &str) -> Result<i64> {
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .map(|time| time.and_utc().timestamp_micros())
        .with_context(|| format!("no time: {text:?}"))
}

//! The life of the machine behind a device: when it began, its cycles, and who looks ahead.

use std::sync::Arc;

use telemetry::Finding;

use super::{Known, Monitor};
use crate::{
    Config,
    prognosis::{
        course::Of,
        cycles::{CycleSpec, CycleSum},
        serving::Forecaster,
    },
};

impl Monitor {
    /// Lets this model look ahead from now on; none leaves the trend alone. What a cycle is comes
    /// from the model that serves, and before there is one from the asset model.
    pub(crate) fn set_forecaster(&mut self, forecaster: Option<&Arc<dyn Forecaster>>) {
        let spec = match forecaster {
            Some(forecaster) => Some(forecaster.cycles().clone()),
            None => self.knowledge.model().and_then(CycleSpec::of),
        };
        if self.state.cycle.as_ref().map(CycleSum::spec) != spec.as_ref() {
            self.state.cycle = spec.map(|spec| CycleSum::new(spec, &self.state.signals));
            self.course.forget();
            (self.dirty, self.course_dirty) = (true, true);
        }
        let width = self.state.cycle.as_ref().map_or(0, CycleSum::width);
        if !self.course.fits(width) {
            self.course.forget();
        }
        self.forecaster = forecaster.cloned();
        if !self.course.is_served_by(forecaster) {
            self.course.serve(forecaster);
            self.course_dirty = true;
        }
        self.state.is_forecast = self.course.speaks();
    }

    /// Whether this is the model that looks ahead.
    pub(crate) fn is_forecast_by(&self, forecaster: Option<&Arc<dyn Forecaster>>) -> bool {
        match (&self.forecaster, forecaster) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// The life of the machine began at `at`, microseconds of event time.
    pub(crate) fn life_began(&mut self, at: i64) {
        if at >= self.state.at
            && let Some(cycle) = &mut self.state.cycle
        {
            cycle.restart();
        }
        self.course.begin(at, self.forecaster.as_ref());
        self.state.is_forecast = self.course.speaks();
        (self.dirty, self.course_dirty) = (true, true);
    }

    /// The machine, or a part of it, was renewed at `at`: what was learned from rows before that is
    /// no normal of it any more.
    pub(crate) fn renewed(&mut self, config: &Config, at: i64) {
        if self.state.learned_from().is_some_and(|from| from < at) {
            self.relearn(config);
        }
        self.life_began(at);
    }

    /// Takes ended cycles into the course of the life.
    pub(super) fn live_on(&mut self, known: Known<'_>, findings: &mut Vec<Finding>) {
        let of = Of {
            asset: &self.state.asset,
            device: &self.state.device,
            most: known.config.cycles_kept as usize,
        };
        for (at, code) in std::mem::take(&mut self.state.heard) {
            self.course.hear(at, &code, of.most);
        }
        let written = known.diaries.get(&self.state.asset);
        let ahead = (self.forecaster.as_ref(), written);
        for cycle in std::mem::take(&mut self.state.ended) {
            let told = self.course.push(of, cycle, ahead);
            findings.extend(told.map(Finding::Prognosis));
        }
        self.state.is_forecast = self.course.speaks();
        self.course_dirty = true;
    }
}

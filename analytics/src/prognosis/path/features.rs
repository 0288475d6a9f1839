//! The features of a history: which there are, in which order, and from what.
//!
//! | of | features |
//! |---|---|
//! | the asset | age; how much of the longest window is filled |
//! | each fused component | means of 5, 10 and 30 cycles; spread of 30; slopes of 30 and 60; moving average; its beginning; moving average and mean since the beginning, both less the beginning |
//! | the same | each of these over the age, because the pace since new tells more than the place |
//! | each signal | mean and slope of 30 cycles; moving average less the beginning; course of the whole history |

use serde::{Deserialize, Serialize};

/// What a feature says, in the words of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Cycles since installation.
    Age,
    /// Where it stands now.
    Level,
    /// Where it is going.
    Trend,
    /// How restless it is.
    Spread,
    /// How far it has come since the beginning, also for its age.
    SinceNew,
    /// How the whole history ran.
    Course,
}

/// What a feature is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The asset itself.
    Asset,
    /// A fused component.
    Component(usize),
    /// A signal, as an index into those that are used.
    Signal(usize),
}

/// Features of a component, without those over the age.
pub(crate) const COMPONENT: [Aspect; 10] = [
    Aspect::Level,
    Aspect::Level,
    Aspect::Level,
    Aspect::Spread,
    Aspect::Trend,
    Aspect::Trend,
    Aspect::Level,
    Aspect::SinceNew,
    Aspect::SinceNew,
    Aspect::SinceNew,
];
/// The first of them that need no beginning.
pub(crate) const COMPONENT_WINDOW: usize = 7;
/// The first of them whose pace the kernel sees.
pub(crate) const COMPONENT_PACE: usize = 4;
/// Features of a signal.
pub(crate) const SIGNAL: [Aspect; 7] = [
    Aspect::Level,
    Aspect::Trend,
    Aspect::SinceNew,
    Aspect::Course,
    Aspect::Course,
    Aspect::Course,
    Aspect::Course,
];
/// The first of them that need no beginning.
pub(crate) const SIGNAL_WINDOW: usize = 2;
/// Features of the asset: age, and the filled part of the window.
pub(crate) const ASSET: usize = 2;

/// The order of the features of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Fused components.
    pub components: usize,
    /// Signals in use.
    pub signals: usize,
}

impl Layout {
    /// Number of features.
    pub fn len(&self) -> usize {
        ASSET + 2 * COMPONENT.len() * self.components + SIGNAL.len() * self.signals
    }

    /// Whether there is nothing but the asset itself.
    pub fn is_empty(&self) -> bool {
        self.components + self.signals == 0
    }

    /// What a feature is made from and what it says. An index at or beyond [`Self::len`] says
    /// nothing and belongs to the asset.
    pub fn meaning(&self, feature: usize) -> (Source, Aspect) {
        let Some(at) = feature.checked_sub(ASSET) else {
            return (Source::Asset, Aspect::Age);
        };
        let each = 2 * COMPONENT.len();
        if at < each * self.components {
            let aspect = COMPONENT.get(at % each).copied();
            let aspect = aspect.unwrap_or(Aspect::SinceNew);
            return (Source::Component(at / each), aspect);
        }
        let at = at - each * self.components;
        if at < SIGNAL.len() * self.signals {
            return (Source::Signal(at / SIGNAL.len()), SIGNAL[at % SIGNAL.len()]);
        }
        (Source::Asset, Aspect::Age)
    }

    /// All but the filled part of the window: what trees see of a whole history.
    pub(crate) fn whole_history(&self) -> Vec<usize> {
        (0..self.len()).filter(|at| *at != 1).collect()
    }

    /// Age, components, and the pace of the slower of their features: what the kernel sees of
    /// a whole history. At most `components` of them.
    pub(crate) fn whole_history_fused(&self, components: usize) -> Vec<usize> {
        let mut columns = vec![0];
        for component in 0..self.components.min(components) {
            let from = Self::component(component);
            columns.extend(from..from + COMPONENT.len());
            let pace = from + COMPONENT.len();
            columns.extend(pace + COMPONENT_PACE..pace + COMPONENT.len());
        }
        columns
    }

    /// What needs neither an age nor a beginning.
    pub(crate) fn window(&self) -> Vec<usize> {
        let mut columns = self.window_fused();
        for signal in 0..self.signals {
            let from = self.signal(signal);
            columns.extend(from..from + SIGNAL_WINDOW);
        }
        columns
    }

    /// The same of the components alone.
    pub(crate) fn window_fused(&self) -> Vec<usize> {
        let mut columns = vec![1];
        for component in 0..self.components {
            let from = Self::component(component);
            columns.extend(from..from + COMPONENT_WINDOW);
        }
        columns
    }

    fn component(component: usize) -> usize {
        ASSET + 2 * COMPONENT.len() * component
    }

    fn signal(&self, signal: usize) -> usize {
        Self::component(self.components) + SIGNAL.len() * signal
    }
}

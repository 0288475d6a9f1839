//! The views of one device: which detectors run, as one thing that scores.
//!
//! Without configuration a device with several signals gets the level view that must agree
//! with the innovation view, and a device with one signal gets tail-calibrated statistics of
//! it. An asset model may ask for others; several views are asked side by side, and the
//! highest score speaks: each is calibrated to alarm at 1 by itself.

use serde::{Deserialize, Serialize};
use telemetry::{View as Wanted, ViewScore};

use crate::{
    detection::{
        among::{Among, Usual},
        any::{Any, Kind},
        detector::Part,
        learned::Learned,
    },
    news::round,
};

/// Decimals of a view's score in evidence.
const SCORE_DECIMALS: i32 = 3;

/// The detectors of one device with what each said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Views {
    views: Vec<(Any, f64)>,
    /// The view whose score was highest in the last sample.
    leading: usize,
}

impl Views {
    /// Fits the views that are wanted, or the default, to a learned stretch. `order`
    /// holds the slots in the order of their names. None when no view can be fitted.
    pub(crate) fn fit(learned: &Learned, order: &[usize], wanted: &[Wanted]) -> Option<Self> {
        let fit = |kind: Kind| kind.fit(learned, order).map(|view| (view, 0.0));
        let mut views: Vec<_> = kinds(wanted, order.len())
            .into_iter()
            .filter_map(fit)
            .collect();
        // What was asked for cannot always be had from these signals. The default still may,
        // and the level view needs the least of all.
        for otherwise in [kinds(&[], order.len()), vec![Kind::Level]] {
            if views.iter().all(|(view, _)| view.kind() == Kind::Among) {
                views.splice(0..0, otherwise.into_iter().filter_map(fit));
            }
        }
        (!views.is_empty()).then_some(Self { views, leading: 0 })
    }

    /// Scores a sample; 1 is the alarm limit. None, and nothing changes, when no view had
    /// enough values.
    pub(crate) fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        let mut highest = None;
        for (number, (view, last)) in self.views.iter_mut().enumerate() {
            let Some(score) = view.score(at, &value) else {
                continue;
            };
            *last = score;
            if highest.is_none_or(|highest| score > highest) {
                highest = Some(score);
                self.leading = number;
            }
        }
        highest
    }

    /// Tells the fleet comparison what the peers say, by slot.
    pub(crate) fn hear(&mut self, peers: u32, usual: impl Fn(usize) -> Option<Usual>) {
        for (view, last) in &mut self.views {
            if let Any::Among(among) = view {
                among.hear(peers, &usual);
                if among.peers() == 0 {
                    *last = 0.0;
                }
            }
        }
    }

    /// The fleet comparison, where there is one.
    pub(crate) fn among(&self) -> Option<&Among> {
        self.views.iter().find_map(|(view, _)| match view {
            Any::Among(among) => Some(&**among),
            _ => None,
        })
    }

    /// Takes what a person has accepted of this machine against its peers, by slot.
    pub(crate) fn accept(&mut self, accepted: impl Fn(usize) -> f64) {
        for (view, _) in &mut self.views {
            if let Any::Among(among) = view {
                among.accept(&accepted);
            }
        }
    }

    /// What each signal adds to the highest score.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.views[self.leading].0.parts()
    }

    /// Slot and deviation of each signal in the leading view.
    pub(crate) fn each_deviation(&self, visit: impl FnMut(usize, f64)) {
        self.views[self.leading].0.each_deviation(visit);
    }

    /// Whether the leading score holds itself for some rows, so that one row beyond the limit
    /// is enough for an alarm.
    pub(crate) fn is_held(&self) -> bool {
        self.views[self.leading].0.is_held()
    }

    /// What each view said last and the limit it is held to, for evidence. The fleet comparison
    /// without peers has said nothing.
    pub(crate) fn told(&self, limit: f64) -> Vec<ViewScore> {
        let is_silent = |view: &Any| matches!(view, Any::Among(among) if among.peers() == 0);
        let spoke = self.views.iter().filter(|(view, _)| !is_silent(view));
        let told = spoke.map(|(view, score)| ViewScore {
            view: view.name().to_owned(),
            version: u32::from(view.version()),
            score: round(*score, SCORE_DECIMALS),
            limit: round(limit, SCORE_DECIMALS),
        });
        told.collect()
    }

    /// The views and their versions, such as `agreement/1+cusum/1`.
    pub(crate) fn names(&self) -> String {
        let name = |(view, _): &(Any, f64)| format!("{}/{}", view.name(), view.version());
        let names: Vec<String> = self.views.iter().map(name).collect();
        names.join("+")
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.leading < self.views.len()
            && self.views.iter().all(|(view, _)| view.is_consistent(slots))
    }
}

/// The detectors for what a model asks for; level and innovation together mean that both
/// must agree. Fixed limits need no learned stretch and are watched beside these. The fleet may
/// have nothing to say, so it never runs alone.
fn kinds(wanted: &[Wanted], signals: usize) -> Vec<Kind> {
    let both = wanted.contains(&Wanted::Level) && wanted.contains(&Wanted::Innovation);
    let mut kinds = Vec::new();
    for view in wanted {
        let kind = match view {
            Wanted::Level | Wanted::Innovation if both => Kind::Agreement,
            Wanted::Level => Kind::Level,
            Wanted::Innovation => Kind::Innovation,
            Wanted::Pca => Kind::Pca,
            Wanted::Cusum => Kind::Cusum,
            Wanted::Tails => Kind::Tail,
            Wanted::Fleet | Wanted::Limits => continue,
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        kinds.push(Kind::default_for(signals));
    }
    if wanted.contains(&Wanted::Fleet) {
        kinds.push(Kind::Among);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_needs_no_configuration_and_a_model_may_ask_for_others() {
        for (wanted, signals, kinds_are) in [
            (&[][..], 3, vec![Kind::Agreement]),
            (&[], 1, vec![Kind::Tail]),
            (
                &[Wanted::Fleet, Wanted::Limits],
                2,
                vec![Kind::Agreement, Kind::Among],
            ),
            (
                &[Wanted::Fleet, Wanted::Pca],
                1,
                vec![Kind::Pca, Kind::Among],
            ),
            (
                &[Wanted::Level, Wanted::Cusum, Wanted::Innovation],
                2,
                vec![Kind::Agreement, Kind::Cusum],
            ),
            (
                &[Wanted::Pca, Wanted::Level],
                1,
                vec![Kind::Pca, Kind::Level],
            ),
        ] {
            assert_eq!(kinds(wanted, signals), kinds_are, "{wanted:?}");
        }
    }
}

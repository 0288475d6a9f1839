//! What the machines of one model tell each other, so that each can be compared with the rest.
//!
//! A device whose model wants the view `fleet` tells for every span of [`SPAN`] of event time
//! the mean level of each signal in the load regime the span ended in, from the values its
//! machine was judged by. In span k a device is compared with the newest word of each peer in the
//! same regime (the same number of as many) that is [`LAG`] spans old or older, and not older
//! than that by more than [`FRESH`]: a machine that rests is not asked.
//!
//! **The order of arrival.** Words are about spans that are over, so it does not matter which of
//! two devices' records comes first, as long as no device is behind another by more than a span
//! less its sampling interval and the lateness bound, nor ahead of one by more than nine spans
//! ([`WORDS`] − [`FRESH`] − 1): a word is then told when it is needed, and not yet forgotten. A
//! device that is further behind is not heard by those ahead of it, and hears itself nobody; both
//! are compared again when it has caught up. In any case the same journal gives the same
//! findings: everything told is saved with the state of the device that told it.
//!
//! Devices of one asset are no peers of each other, and the first of them by id speaks for it.
//! Most that are asked are [`MOST_PEERS`], the next by asset id, in a ring.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
};

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, DeviceId, SignalName};

use crate::{
    detection::{among::Usual, healthy::spread_of, learned::Learned},
    monitor::{Monitor, State},
    stage::Stage,
};

/// Event time of which one mean is told, microseconds: long enough that a mean of one-second
/// data has no noise left, short against weather and shifts.
const SPAN: i64 = 600_000_000;
/// Spans between the one at hand and the newest that is asked for: the one before it may not be
/// over yet for every peer.
const LAG: i64 = 2;
/// Spans back from there that are still believed: with them an hour, so that devices which
/// measure each half hour are compared too.
const FRESH: i64 = 5;
/// Words that are kept: the six that may be asked for, and those of an hour and a half in which
/// others may be behind.
const WORDS: usize = 15;
/// Most peers that are asked: more make the median no better, and each costs.
const MOST_PEERS: usize = 64;

/// A load regime: its number, and of how many.
pub(crate) type Regime = (u8, u8);

/// The levels of one span, by slot; the newest may not be over yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Word {
    span: i64,
    /// The regime the span ended in, and the sums of the values since then.
    regime: u8,
    sums: Vec<f64>,
    counts: Vec<u32>,
}

/// What a device tells its peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Oldest first.
    words: VecDeque<Word>,
    /// The number of load regimes.
    regimes: u8,
    /// The healthy spread of each signal in each regime, regime by regime; NaN where it has none.
    spreads: Vec<f64>,
    slots: usize,
}

/// The span that a time in microseconds lies in.
pub(crate) fn span_of(at: i64) -> i64 {
    at.div_euclid(SPAN)
}

impl Told {
    /// Nothing told yet. `learned` is the stretch as if all had run in the common regime, and
    /// `widen(regime, slot)` the spread of a signal in a regime against its spread there.
    pub(crate) fn new(learned: &Learned, regimes: u8, widen: impl Fn(u8, usize) -> f64) -> Self {
        let slots = learned.slots();
        let spread = |(regime, slot)| {
            let common = spread_of(slot, learned.level(slot)).map_or(f64::NAN, |s| s.spread);
            common * widen(regime, slot)
        };
        let all = (0..regimes).flat_map(|regime| (0..slots).map(move |slot| (regime, slot)));
        Self {
            words: VecDeque::new(),
            regimes,
            spreads: all.map(spread).collect(),
            slots,
        }
    }

    /// The regime with this number, as peers compare it.
    pub(crate) fn regime(&self, number: u8) -> Regime {
        (number, self.regimes)
    }

    /// Takes the values of a sample that the machine was judged by; NaN is none.
    pub(crate) fn take(&mut self, at: i64, regime: u8, value: impl Fn(usize) -> f64) {
        let span = span_of(at);
        if self.words.back().is_none_or(|word| word.span != span) {
            if self.words.len() == WORDS {
                self.words.pop_front();
            }
            self.words.push_back(Word {
                span,
                regime,
                sums: vec![0.0; self.slots],
                counts: vec![0; self.slots],
            });
        }
        let Some(word) = self.words.back_mut() else {
            return;
        };
        if word.regime != regime {
            word.regime = regime;
            word.sums.fill(0.0);
            word.counts.fill(0);
        }
        for (slot, (sum, count)) in word.sums.iter_mut().zip(&mut word.counts).enumerate() {
            let x = value(slot);
            if !x.is_nan() {
                *sum += x;
                *count += 1;
            }
        }
    }

    /// Time starts over: words of a time that will come again would be taken for it.
    pub(crate) fn restart_time(&mut self) {
        self.words.clear();
    }

    /// The word that a peer in this span and regime listens to.
    fn heard(&self, span: i64, (regime, of): Regime) -> Option<&Word> {
        let newest = span.saturating_sub(LAG);
        let believed = newest.saturating_sub(FRESH)..=newest;
        let mut words = self.words.iter().rev().filter(|_| self.regimes == of);
        words.find(|word| word.regime == regime && believed.contains(&word.span))
    }

    /// Level and healthy spread of a slot in a word; None when there is none.
    fn level(&self, word: &Word, slot: usize) -> Option<(f64, f64)> {
        let (sum, count) = (*word.sums.get(slot)?, *word.counts.get(slot)?);
        let row = usize::from(word.regime) * self.slots;
        let (level, spread) = (sum / f64::from(count), *self.spreads.get(row + slot)?);
        (level.is_finite() && spread > 0.0).then_some((level, spread))
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        let fits = |word: &Word| word.sums.len() == slots && word.counts.len() == slots;
        self.slots == slots
            && self.words.len() <= WORDS
            && self.words.iter().all(fits)
            && self.spreads.len() == slots * usize::from(self.regimes)
    }
}

/// The assets of one model whose machines are compared, with the number of their devices.
pub(crate) type Groups = BTreeMap<AssetModelId, BTreeMap<AssetId, u32>>;

/// Every device but the one at hand.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a> {
    pub(crate) before: &'a [Monitor],
    pub(crate) after: &'a [Monitor],
    pub(crate) by_asset: &'a BTreeMap<AssetId, BTreeSet<(DeviceId, u32)>>,
    pub(crate) groups: &'a Groups,
}

/// A device among the others of its model.
#[derive(Clone, Copy)]
pub(crate) struct Company<'a> {
    pub(crate) others: Others<'a>,
    pub(crate) asset: &'a AssetId,
    pub(crate) group: &'a AssetModelId,
    /// The signals of the device, by slot.
    pub(crate) signals: &'a [SignalName],
}

impl Company<'_> {
    /// What the peers say in a span and regime: how many they are, and what of each slot.
    pub(crate) fn say(&self, span: i64, regime: Regime) -> (u32, Vec<Option<Usual>>) {
        let Self {
            others,
            asset,
            group,
            signals,
        } = *self;
        let mut levels: Vec<Vec<(f64, f64)>> = vec![Vec::new(); signals.len()];
        let mut peers = 0;
        for peer in others.peers(asset, group) {
            let mut is_heard = false;
            for (slot, (signal, levels)) in signals.iter().zip(&mut levels).enumerate() {
                let level = others.devices(peer, group).find_map(|(state, told)| {
                    let word = told.heard(span, regime)?;
                    told.level(word, slot_of(state, slot, signal)?)
                });
                is_heard |= level.is_some();
                levels.extend(level);
            }
            peers += u32::from(is_heard);
        }
        let compared = levels.iter().filter(|levels| !levels.is_empty()).count();
        let usual = levels.iter().map(|levels| Usual::of(levels, compared));
        (peers, usual.collect())
    }
}

impl<'a> Others<'a> {
    /// The assets after this one in a ring.
    fn peers(self, asset: &AssetId, group: &AssetModelId) -> impl Iterator<Item = &'a AssetId> {
        let all = self.groups.get(group);
        let after = (Bound::Excluded(asset), Bound::Unbounded);
        let after = all.map(|all| all.range::<AssetId, _>(after));
        let before = all.map(|all| all.range::<AssetId, _>(..asset));
        let ring = after
            .into_iter()
            .flatten()
            .chain(before.into_iter().flatten());
        ring.map(|(asset, _)| asset).take(MOST_PEERS)
    }

    /// Every device of the assets that this one would be compared with.
    pub(crate) fn company(self, asset: &AssetId, group: &AssetModelId) -> Vec<DeviceId> {
        let peers = self.peers(asset, group);
        let devices = peers.filter_map(|peer| self.by_asset.get(peer)).flatten();
        devices.map(|(device, _)| device.clone()).collect()
    }

    /// The devices of an asset that tell something, by id.
    fn devices(
        self,
        asset: &AssetId,
        group: &AssetModelId,
    ) -> impl Iterator<Item = (&'a State, &'a Told)> {
        let devices = self.by_asset.get(asset).into_iter().flatten();
        devices.filter_map(move |(_, route)| {
            let at = *route as usize;
            let own = self.before.len();
            let monitor = if at < own {
                self.before.get(at)
            } else {
                self.after.get(at.checked_sub(own + 1)?)
            }?;
            match &monitor.state {
                state if state.group.as_ref() != Some(group) => None,
                State {
                    stage: Stage::Watching(watching),
                    ..
                } => Some((&monitor.state, watching.told.as_ref()?)),
                _ => None,
            }
        })
    }
}

/// The slot of a signal; devices of one kind mostly have their signals in one order.
fn slot_of(state: &State, hint: usize, signal: &SignalName) -> Option<usize> {
    if state.signals.get(hint) == Some(signal) {
        return Some(hint);
    }
    state.signals.iter().position(|known| known == signal)
}

//! Learning a fleet model: pieces of work that do not wait for each other, on a few threads.

use std::{
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use super::{
    FORMAT, FleetConfig, FleetModel, Metrics,
    expert::{Done, Expert, Piece, Workshop},
    explain::Memory,
    rows::{Rows, collect},
};
use crate::{
    AnalyticsError,
    prognosis::{
        chance::Chance,
        distribution::RulDistribution,
        lives::{Life, LifeEnd},
        path::PathModel,
    },
};

/// Fewest assets that failed: below this a cross-validation by asset says nothing.
const FEWEST_FAILED: usize = 4;
/// Fewest rows that an expert is learned from.
const FEWEST_ROWS: usize = 200;
/// Most cycles of all lives together, some 2 GB of values.
const MOST_CYCLES: usize = 10_000_000;
/// When there are more components than this, a kernel of the first of them is tried too: in
/// many dimensions a kernel sees less.
const FEW_COMPONENTS: usize = 3;
/// Finished pieces that wait to be taken: the receiver does nothing else.
const WAITING: usize = 4;

/// A forecast of a past life by a model that had not seen its asset.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFold {
    /// The asset: lives of one asset have the same number.
    pub asset: u32,
    /// The life, as an index into those that were learned from.
    pub life: u32,
    /// Cycles since the first row of the life.
    pub cycle: f64,
    /// What remained, in cycles; infinite beyond the cap, for a life that was still running
    /// then as well.
    pub truth: f64,
    /// The point forecast.
    pub point: f64,
    /// The distribution, without what remained of the asset itself.
    pub distribution: RulDistribution,
}

/// A model with the forecasts by which it was measured.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model.
    pub model: FleetModel,
    /// On whole histories, or on windows when no life was watched from its beginning.
    pub out_of_fold: Vec<OutOfFold>,
}

impl FleetModel {
    /// Learns from past lives. `signals` names the values of a row. `progress` is told the
    /// part that is done, 0 to 1, and may break off.
    ///
    /// Lives that were censored teach that they lasted longer than the cap where they did; the
    /// rest of them says nothing that a capped target could hold.
    ///
    /// # Errors
    /// [`AnalyticsError::Learning`] when fewer than four assets failed, no signal moves, or the
    /// configuration is out of range; [`AnalyticsError::Stopped`] when `progress` broke off.
    pub fn fit(
        signals: &[String],
        lives: &[Life],
        config: &FleetConfig,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Fitted, AnalyticsError> {
        check(lives, config)?;
        let (assets, folds, count) = folds(lives, config);
        let path = PathModel::fit(signals.len(), lives)?;
        let (mut whole, mut window) = collect(&path, lives, &folds, config);
        let (whole_table, window_table) = (whole.take_table(), window.take_table());
        let has_whole = is_enough(&whole);
        let memory = if has_whole {
            Memory::new(&path, lives, &whole, &whole_table)
        } else {
            Memory::new(&path, lives, &window, &window_table)
        };
        let layout = path.layout();
        let mut kernels = vec![layout.whole_history_fused(layout.components)];
        if layout.components > FEW_COMPONENTS {
            kernels.push(layout.whole_history_fused(FEW_COMPONENTS));
        }
        let mut shops = Vec::new();
        if has_whole {
            let columns = layout.whole_history();
            let table = whole_table.view();
            shops.push(Workshop::new(
                &whole, table, columns, &kernels, count, config,
            )?);
        }
        if !is_enough(&window) {
            return Err(refuse("too few cycles of lives whose end is known"));
        }
        let (columns, fused) = (layout.window(), [layout.window_fused()]);
        let table = window_table.view();
        shops.push(Workshop::new(
            &window, table, columns, &fused, count, config,
        )?);
        let mut experts = learn(&shops, &assets, config, progress)?;
        let (window_expert, window_said) = experts.pop().ok_or_else(incomplete)?;
        let (full, said, rows) = match experts.pop() {
            Some((expert, said)) => (Some(expert), said, &whole),
            None => (None, window_said, &window),
        };
        let metrics = Metrics {
            lives: lives.len(),
            failed: lives.iter().filter(|l| l.end == LifeEnd::Failed).count(),
            conditions: path.conditions().count(),
            components: path.fusion().ratios().to_vec(),
            full_history: full.as_ref().map(|expert: &Expert| expert.metrics.clone()),
            window_only: window_expert.metrics.clone(),
        };
        let model = Self {
            format: FORMAT,
            signals: signals.to_vec(),
            cap: config.cap,
            path,
            full,
            window: window_expert,
            memory,
            metrics,
        };
        Ok(Fitted {
            model,
            out_of_fold: out_of_fold(rows, said, &assets, config.cap),
        })
    }
}

fn refuse(problem: &str) -> AnalyticsError {
    AnalyticsError::Learning {
        what: "fleet model",
        problem: problem.to_owned(),
    }
}

fn incomplete() -> AnalyticsError {
    refuse("a piece of the work is missing")
}

fn is_enough(rows: &Rows) -> bool {
    rows.len() >= FEWEST_ROWS
}

fn check(lives: &[Life], config: &FleetConfig) -> Result<(), AnalyticsError> {
    let is_valid = config.cap > 0.0
        && config.cap.is_finite()
        && (2..=20).contains(&config.folds)
        && config.most_rows >= FEWEST_ROWS
        && (1..=16).contains(&config.ensembles)
        && (1..=16).contains(&config.kernels)
        && (32..=8_192).contains(&config.kernel_features)
        && (1..=64).contains(&config.threads);
    if !is_valid {
        return Err(refuse("a setting is out of range"));
    }
    if lives.iter().map(|life| life.rows.len()).sum::<usize>() > MOST_CYCLES {
        return Err(refuse("more than ten million cycles"));
    }
    let failed = lives.iter().filter(|life| life.end == LifeEnd::Failed);
    let mut assets: Vec<&str> = failed.map(|life| life.asset.as_str()).collect();
    assets.sort_unstable();
    assets.dedup();
    if assets.len() < FEWEST_FAILED {
        return Err(AnalyticsError::Learning {
            what: "fleet model",
            problem: format!("{} assets failed, {FEWEST_FAILED} are needed", assets.len()),
        });
    }
    Ok(())
}

/// Of each life the number of its asset and its fold, and the number of folds. Lives of one
/// asset are in one fold; folds have about as many assets each.
fn folds(lives: &[Life], config: &FleetConfig) -> (Vec<u32>, Vec<u8>, usize) {
    let mut names: Vec<&str> = lives.iter().map(|life| life.asset.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let count = config.folds.min(names.len());
    let mut order: Vec<usize> = (0..names.len()).collect();
    let mut chance = Chance::new(config.seed, 0xf01d);
    for at in (1..order.len()).rev() {
        order.swap(at, chance.below(at + 1));
    }
    let number = |life: &Life| names.partition_point(|name| *name < life.asset.as_str());
    let assets: Vec<u32> = lives.iter().map(|life| number(life) as u32).collect();
    let fold = |asset: &u32| (order[*asset as usize] % count) as u8;
    let folds = assets.iter().map(fold).collect();
    (assets, folds, count)
}

fn out_of_fold(
    rows: &Rows,
    said: Vec<(f64, RulDistribution)>,
    assets: &[u32],
    cap: f64,
) -> Vec<OutOfFold> {
    let each = said.into_iter().enumerate();
    each.map(|(row, (raw, distribution))| OutOfFold {
        asset: assets[rows.life[row] as usize],
        life: rows.life[row],
        cycle: rows.cycle[row],
        truth: rows.remained[row],
        point: raw.clamp(0.0, cap),
        distribution,
    })
    .collect()
}

/// Experts with their forecasts out of fold, one a workshop.
type Experts = Vec<(Expert, Vec<(f64, RulDistribution)>)>;

fn learn(
    shops: &[Workshop<'_>],
    assets: &[u32],
    config: &FleetConfig,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Experts, AnalyticsError> {
    let pieces: Vec<Vec<Piece>> = shops.iter().map(Workshop::pieces).collect();
    let mut all: Vec<(usize, Piece)> = Vec::new();
    for (shop, pieces) in pieces.iter().enumerate() {
        all.extend(pieces.iter().map(|piece| (shop, *piece)));
    }
    let mut done = work(shops, &all, config.threads, progress)?.into_iter();
    let mut experts = Vec::with_capacity(shops.len());
    for (shop, pieces) in shops.iter().zip(&pieces) {
        let own: Vec<Done> = done.by_ref().take(pieces.len()).collect();
        let expert = shop.assemble(pieces, own, assets);
        experts.push(expert.ok_or_else(incomplete)?);
    }
    Ok(experts)
}

/// Does all pieces on some threads; the results are in the order of the pieces.
fn work(
    shops: &[Workshop<'_>],
    pieces: &[(usize, Piece)],
    threads: usize,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Vec<Done>, AnalyticsError> {
    let next = AtomicUsize::new(0);
    let is_stopped = AtomicBool::new(false);
    let mut done: Vec<Option<Result<Done, AnalyticsError>>> = pieces.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        for _ in 0..threads {
            let (sender, next, is_stopped) = (sender.clone(), &next, &is_stopped);
            scope.spawn(move || {
                while let Some((at, (shop, piece))) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    pieces.get(at).map(|piece| (at, piece))
                } {
                    let is_over = is_stopped.load(Ordering::Relaxed)
                        || sender.send((at, shops[*shop].work(*piece))).is_err();
                    if is_over {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (count, (at, result)) in receiver.iter().enumerate() {
            done[at] = Some(result);
            if progress((count + 1) as f64 / pieces.len() as f64).is_break() {
                is_stopped.store(true, Ordering::Relaxed);
            }
        }
    });
    if is_stopped.into_inner() {
        return Err(AnalyticsError::Stopped);
    }
    done.into_iter()
        .map(|result| result.unwrap_or_else(|| Err(incomplete())))
        .collect()
}

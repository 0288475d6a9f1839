//! What the fleet family costs: `cargo bench -p analytics --bench prognosis`.
//!
//! 1. A whole fit (features, cross-validation, both kinds of history) of 260 simulated lives of
//!    about 200 cycles, 21 signals and six operating conditions, on two threads.
//! 2. Serving: a cycle taken and a forecast made, per asset on one core; the piece that a tenth
//!    of the pieces were faster than shows what a core does while nothing else wants it.
//! 3. One ensemble of trees on a table of fixed size, as a peer can do it too
//!    (`deploy/bench/prognosis_peers.py` reads these lines).

use std::{hint::black_box, ops::ControlFlow, time::Instant};

use analytics::prognosis::{
    fleet::{FleetConfig, FleetModel, FleetState},
    lives::{CycleRow, Life, LifeEnd},
    trees::{Loss, Trees, TreesConfig},
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

const LIVES: usize = 260;
const SIGNALS: usize = 21;
const CONDITIONS: usize = 6;
/// The table of the trees: as many rows and features as the fit above has.
const ROWS: usize = 12_800;
const FEATURES: usize = 138;
const TEST_ROWS: usize = 4_000;

/// Lives whose signals drift apart as the third power of the used part of life.
fn fleet(rng: &mut StdRng) -> Vec<Life> {
    let gains: Vec<f64> = (0..SIGNALS).map(|s| ((s * 7) % 5) as f64 - 2.0).collect();
    let mut life = |asset: usize| {
        let length = rng.random_range(130..270_usize);
        let row = |at: usize, rng: &mut StdRng| {
            let load = rng.random_range(0..CONDITIONS) as f64;
            let wear = 4.0 * (at as f64 / length as f64).powi(3);
            let value = |signal: usize, rng: &mut StdRng| {
                let noise: f64 = rng.sample(StandardNormal);
                10.0 * load * signal as f64 + (1.0 + 0.1 * load) * (gains[signal] * wear + noise)
            };
            CycleRow {
                settings: vec![7.0 * load, 0.1 * load, 100.0],
                values: (0..SIGNALS).map(|signal| value(signal, rng)).collect(),
            }
        };
        Life {
            asset: asset.to_string(),
            age: Some(0.0),
            rows: (0..length).map(|at| row(at, rng)).collect(),
            end: LifeEnd::Failed,
        }
    };
    (0..LIVES).map(&mut life).collect()
}

fn fit(lives: &[Life]) -> Option<FleetModel> {
    let names: Vec<String> = (0..SIGNALS).map(|signal| format!("s{signal}")).collect();
    let cycles: usize = lives.iter().map(|life| life.rows.len()).sum();
    let begin = Instant::now();
    let config = FleetConfig::default();
    let fitted = FleetModel::fit(&names, lives, &config, &mut |_| ControlFlow::Continue(()));
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "prognosis fit cycles {cycles} threads {} seconds {seconds:.2}",
        config.threads
    );
    fitted.ok().map(|fitted| fitted.model)
}

/// Microseconds a window, and the bytes of a state.
fn serve(model: &FleetModel, lives: &[Life]) {
    let mut states: Vec<FleetState> = lives.iter().map(|_| model.start(Some(0.0))).collect();
    let mut times = Vec::new();
    let mut sum = 0.0;
    for cycle in 0..120 {
        let begin = Instant::now();
        for (state, life) in states.iter_mut().zip(lives) {
            model.push(state, &life.rows[cycle]);
            sum += model.predict(state).map_or(0.0, |forecast| forecast.point);
        }
        if cycle >= 60 {
            times.push(begin.elapsed().as_secs_f64() / lives.len() as f64);
        }
    }
    black_box(sum);
    times.sort_by(f64::total_cmp);
    let bytes = postcard::to_stdvec(&states[0]).map_or(0, |bytes| bytes.len());
    let model_bytes = postcard::to_stdvec(model).map_or(0, |bytes| bytes.len());
    println!(
        "prognosis serve microseconds {:.1} state_bytes {bytes} model_bytes {model_bytes}",
        1e6 * times[times.len() / 10]
    );
    let begin = Instant::now();
    let few = states.iter().take(20);
    black_box(few.filter_map(|state| model.explain(state)).count());
    println!(
        "prognosis explain microseconds {:.0}",
        begin.elapsed().as_secs_f64() * 1e6 / 20.0
    );
}

/// Friedman's first function of five features, the others blind; the error on unseen rows.
fn trees(rng: &mut StdRng) {
    let table = |rows: usize, rng: &mut StdRng| {
        Array2::from_shape_fn((rows, FEATURES), |_| rng.random::<f32>())
    };
    let target = |x: &Array2<f32>, noise: f32, rng: &mut StdRng| -> Vec<f32> {
        let of = |r: ndarray::ArrayView1<f32>, e: f32| {
            let wave = (std::f32::consts::PI * r[0] * r[1]).sin();
            10.0 * wave + 20.0 * (r[2] - 0.5).powi(2) + 10.0 * r[3] + 5.0 * r[4] + noise * e
        };
        let rows = x.rows().into_iter();
        rows.map(|r| of(r, rng.sample(StandardNormal))).collect()
    };
    let x = table(ROWS, rng);
    let y = target(&x, 1.0, rng);
    let unseen = table(TEST_ROWS, rng);
    let truth = target(&unseen, 0.0, rng);
    let begin = Instant::now();
    let Ok(trees) = Trees::fit(x.view(), &y, Loss::Squared, &TreesConfig::default()) else {
        return;
    };
    let seconds = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let error = |(row, y): (ndarray::ArrayView1<f32>, &f32)| {
        let said = row.as_slice().map_or(0.0, |row| trees.predict(row));
        (said - f64::from(*y)).powi(2)
    };
    let sum: f64 = unseen.rows().into_iter().zip(&truth).map(error).sum();
    let micros = begin.elapsed().as_secs_f64() * 1e6 / TEST_ROWS as f64;
    println!(
        "prognosis trees rows {ROWS} features {FEATURES} fit_seconds {seconds:.2} \
         predict_microseconds {micros:.2} rmse {:.3}",
        (sum / TEST_ROWS as f64).sqrt()
    );
}

fn main() {
    let mut rng = StdRng::seed_from_u64(11);
    let lives = fleet(&mut rng);
    if let Some(model) = fit(&lives) {
        serve(&model, &lives);
    }
    trees(&mut rng);
}

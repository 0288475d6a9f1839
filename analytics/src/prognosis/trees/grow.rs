//! Growing trees leaf by leaf on histograms.
//!
//! The histogram of the larger child is that of the parent less that of the smaller one, so
//! that a tree costs about twice the rows of its root.

use super::{
    Loss, Node, Root, Trees, TreesConfig,
    bins::{BINS, Binned, Column},
};
use crate::prognosis::chance::Chance;

/// Sums over the rows of a bin. Single precision halves the memory that is walked through;
/// leaf values are summed again in double precision.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    gradient: f32,
    hessian: f32,
    rows: u32,
}

/// Sums over the rows of a leaf.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    gradient: f64,
    hessian: f64,
    rows: u32,
}

impl Sum {
    fn add(&mut self, bin: Bin) {
        self.gradient += f64::from(bin.gradient);
        self.hessian += f64::from(bin.hessian);
        self.rows += bin.rows;
    }

    fn less(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
            rows: self.rows - other.rows,
        }
    }

    /// Twice the loss that the best value of a leaf saves.
    fn worth(self, l2: f64) -> f64 {
        self.gradient * self.gradient / (self.hessian + l2).max(f64::MIN_POSITIVE)
    }
}

#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    /// Index into the columns of the tree.
    column: usize,
    bin: u8,
}

/// A leaf that may still be split: `rows[from..to]` of the tree.
struct Leaf {
    node: usize,
    from: usize,
    to: usize,
    depth: usize,
    histogram: Vec<Bin>,
    split: Option<Split>,
}

/// A node while its tree grows; bins instead of values.
#[derive(Debug, Clone, Copy)]
struct Growing {
    column: usize,
    bin: u8,
    left: usize,
}

pub(super) fn boost(
    table: &Binned,
    rows: &[u32],
    y: &[f32],
    loss: Loss,
    config: &TreesConfig,
) -> Trees {
    let target = |row: &u32| f64::from(y[*row as usize]);
    let mean = rows.iter().map(target).sum::<f64>() / rows.len() as f64;
    let base = match loss {
        Loss::Squared => mean,
        // A label that never occurs would have infinite odds.
        Loss::Logistic => {
            let p = mean.clamp(1e-6, 1.0 - 1e-6);
            (p / (1.0 - p)).ln()
        }
    };
    let mut trees = Trees {
        loss,
        features: table.columns().len(),
        base,
        roots: Vec::with_capacity(config.rounds),
        nodes: Vec::new(),
        values: Vec::new(),
        covers: Vec::new(),
    };
    let mut chance = Chance::new(config.seed, 0x7ee5);
    let mut predicted = vec![base; rows.len()];
    let mut gradients = vec![(0.0_f32, 0.0_f32); table.rows()];
    let part = |n: usize, part: f64| ((n as f64 * part).round() as usize).clamp(1, n);
    let mut grower = Grower::new(table, config);
    for _ in 0..config.rounds {
        for (row, predicted) in rows.iter().zip(&predicted) {
            gradients[*row as usize] = gradient(loss, *predicted, target(row));
        }
        let sample = chance.sample(rows.len(), part(rows.len(), config.rows));
        grower.rows = sample.iter().map(|&at| rows[at as usize]).collect();
        let columns = table.columns().len();
        grower.columns = chance.sample(columns, part(columns, config.columns));
        let root = trees.nodes.len();
        grower.grow(&gradients, &mut trees);
        for (row, predicted) in rows.iter().zip(&mut predicted) {
            let leaf = root + grower.leaf_of(*row as usize);
            *predicted += f64::from(trees.values[leaf]);
        }
    }
    trees
}

fn gradient(loss: Loss, predicted: f64, target: f64) -> (f32, f32) {
    match loss {
        Loss::Squared => ((predicted - target) as f32, 1.0),
        Loss::Logistic => {
            let p = 1.0 / (1.0 + (-predicted).exp());
            ((p - target) as f32, (p * (1.0 - p)).max(1e-9) as f32)
        }
    }
}

/// What is kept between trees so that it is allocated once.
struct Grower<'a> {
    table: &'a Binned,
    config: &'a TreesConfig,
    rows: Vec<u32>,
    columns: Vec<u32>,
    /// Room for the rows that go right while a leaf is divided.
    right: Vec<u32>,
    ordered: Vec<(f32, f32)>,
    spare: Vec<Vec<Bin>>,
    tree: Vec<Growing>,
}

impl<'a> Grower<'a> {
    fn new(table: &'a Binned, config: &'a TreesConfig) -> Self {
        Self {
            table,
            config,
            rows: Vec::new(),
            columns: Vec::new(),
            right: Vec::new(),
            ordered: Vec::new(),
            spare: Vec::new(),
            tree: Vec::new(),
        }
    }

    fn column(&self, at: usize) -> &'a Column {
        &self.table.columns()[self.columns[at] as usize]
    }

    /// Grows one tree on the chosen rows and columns and appends it.
    fn grow(&mut self, gradients: &[(f32, f32)], trees: &mut Trees) {
        let offset = trees.nodes.len();
        self.tree.clear();
        let mut leaves: Vec<Leaf> = Vec::with_capacity(self.config.leaves);
        let node = self.add_node();
        let mut root = Leaf {
            node,
            from: 0,
            to: self.rows.len(),
            depth: 0,
            histogram: self.room(),
            split: None,
        };
        self.fill(&mut root, gradients);
        root.split = self.best_split(&root);
        leaves.push(root);
        while leaves.len() < self.config.leaves {
            let gain = |leaf: &Leaf| leaf.split.map_or(0.0, |split| split.gain);
            let Some(best) = (0..leaves.len())
                .filter(|&at| leaves[at].split.is_some())
                .max_by(|&a, &b| gain(&leaves[a]).total_cmp(&gain(&leaves[b])))
            else {
                break;
            };
            let leaf = leaves.swap_remove(best);
            leaves.extend(self.divide(leaf, gradients));
        }
        let depth = leaves.iter().map(|leaf| leaf.depth).max().unwrap_or(0);
        self.append(trees, offset, &leaves, gradients);
        self.spare
            .extend(leaves.into_iter().map(|leaf| leaf.histogram));
        trees.roots.push(Root {
            node: offset as u32,
            depth: depth as u32,
        });
    }

    fn add_node(&mut self) -> usize {
        let node = self.tree.len();
        self.tree.push(Growing {
            column: 0,
            bin: 0,
            left: node,
        });
        node
    }

    fn room(&mut self) -> Vec<Bin> {
        let mut room = self.spare.pop().unwrap_or_default();
        room.clear();
        room.resize(self.columns.len() * BINS, Bin::default());
        room
    }

    /// Sums the rows of a leaf into its histogram.
    fn fill(&mut self, leaf: &mut Leaf, gradients: &[(f32, f32)]) {
        let rows = &self.rows[leaf.from..leaf.to];
        self.ordered.clear();
        self.ordered
            .extend(rows.iter().map(|&row| gradients[row as usize]));
        for (at, histogram) in leaf.histogram.chunks_exact_mut(BINS).enumerate() {
            let bins = &self.table.columns()[self.columns[at] as usize].bins;
            for (&row, &(gradient, hessian)) in rows.iter().zip(&self.ordered) {
                let bin = &mut histogram[usize::from(bins[row as usize])];
                bin.gradient += gradient;
                bin.hessian += hessian;
                bin.rows += 1;
            }
        }
    }

    fn best_split(&self, leaf: &Leaf) -> Option<Split> {
        let least = self.config.min_rows as u32;
        if ((leaf.to - leaf.from) as u32) < 2 * least || leaf.depth >= self.config.depth {
            return None;
        }
        let mut total = Sum::default();
        leaf.histogram[..BINS]
            .iter()
            .for_each(|bin| total.add(*bin));
        let l2 = self.config.l2;
        let whole = total.worth(l2);
        let mut best: Option<Split> = None;
        for (column, histogram) in leaf.histogram.chunks_exact(BINS).enumerate() {
            let mut left = Sum::default();
            for (at, bin) in histogram[..self.column(column).len() - 1]
                .iter()
                .enumerate()
            {
                if bin.rows == 0 {
                    continue;
                }
                left.add(*bin);
                if left.rows < least {
                    continue;
                }
                if total.rows - left.rows < least {
                    break;
                }
                let gain = left.worth(l2) + total.less(left).worth(l2) - whole;
                // A gain must stand out of the rounding of the sums it is made of.
                if gain > 1e-6 * whole.max(1e-12) && best.is_none_or(|best| gain > best.gain) {
                    best = Some(Split {
                        gain,
                        column,
                        bin: at as u8,
                    });
                }
            }
        }
        best
    }

    /// Divides a leaf at its split, both children ready to be split again.
    fn divide(&mut self, leaf: Leaf, gradients: &[(f32, f32)]) -> Vec<Leaf> {
        let Some(split) = leaf.split else {
            return vec![leaf];
        };
        let middle = self.partition(&leaf, split);
        let left_node = self.add_node();
        let right_node = self.add_node();
        self.tree[leaf.node] = Growing {
            column: split.column,
            bin: split.bin,
            left: left_node,
        };
        let child = |node: usize, from: usize, to: usize, histogram: Vec<Bin>| Leaf {
            node,
            from,
            to,
            depth: leaf.depth + 1,
            histogram,
            split: None,
        };
        let left_is_small = middle - leaf.from <= leaf.to - middle;
        let room = self.room();
        let mut small = if left_is_small {
            child(left_node, leaf.from, middle, room)
        } else {
            child(right_node, middle, leaf.to, room)
        };
        self.fill(&mut small, gradients);
        let mut rest = leaf.histogram;
        for (all, part) in rest.iter_mut().zip(&small.histogram) {
            all.gradient -= part.gradient;
            all.hessian -= part.hessian;
            all.rows -= part.rows;
        }
        let mut large = if left_is_small {
            child(right_node, middle, leaf.to, rest)
        } else {
            child(left_node, leaf.from, middle, rest)
        };
        small.split = self.best_split(&small);
        large.split = self.best_split(&large);
        vec![small, large]
    }

    /// Brings the rows that go left to the front, in their order; where the others begin.
    fn partition(&mut self, leaf: &Leaf, split: Split) -> usize {
        let bins = &self.table.columns()[self.columns[split.column] as usize].bins;
        self.right.clear();
        let mut middle = leaf.from;
        for at in leaf.from..leaf.to {
            let row = self.rows[at];
            if bins[row as usize] <= split.bin {
                self.rows[middle] = row;
                middle += 1;
            } else {
                self.right.push(row);
            }
        }
        self.rows[middle..leaf.to].copy_from_slice(&self.right);
        middle
    }

    /// The leaf, as a node of the tree, that a row of the table falls into.
    fn leaf_of(&self, row: usize) -> usize {
        let mut at = 0;
        loop {
            let node = self.tree[at];
            if node.left == at {
                return at;
            }
            let bin = self.column(node.column).bins[row];
            at = node.left + usize::from(bin > node.bin);
        }
    }

    fn append(&self, trees: &mut Trees, offset: usize, leaves: &[Leaf], gradients: &[(f32, f32)]) {
        for (at, node) in self.tree.iter().enumerate() {
            let is_leaf = node.left == at;
            let column = self.column(node.column);
            trees.nodes.push(Node {
                threshold: if is_leaf {
                    f32::INFINITY
                } else {
                    column.threshold(node.bin)
                },
                left: (offset + node.left) as u32,
                feature: if is_leaf {
                    0
                } else {
                    self.columns[node.column] as u16
                },
            });
        }
        let count = trees.nodes.len();
        trees.values.resize(count, 0.0);
        trees.covers.resize(count, 0.0);
        for leaf in leaves {
            let (mut gradient, mut hessian) = (0.0, self.config.l2);
            for &row in &self.rows[leaf.from..leaf.to] {
                let (g, h) = gradients[row as usize];
                gradient += f64::from(g);
                hessian += f64::from(h);
            }
            let value = -self.config.rate * gradient / hessian.max(f64::MIN_POSITIVE);
            trees.values[offset + leaf.node] = value as f32;
            trees.covers[offset + leaf.node] = (leaf.to - leaf.from) as f32;
        }
        // Children stand after their parents.
        for (at, node) in self.tree.iter().enumerate().rev() {
            if node.left != at {
                let children = &trees.covers[offset + node.left..=offset + node.left + 1];
                trees.covers[offset + at] = children.iter().sum();
            }
        }
    }
}

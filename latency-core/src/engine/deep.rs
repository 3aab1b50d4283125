//! Trees whose branches ranks do not decide: deeper than 22, with leaves that add to several targets, or with branches for
//! categories, which ask for equality. They are walked node by node, eight at a time, so that the processor waits for none
//! of them.
//!
//! Values become whole numbers of the same order, below and above which there is room for NaN: one comparison decides
//! whether one lies among the numbers that go left.

use std::collections::HashMap;

use super::ensemble::{Branch, Ensemble, Node, Tree, Weight};

/// Walks that are under way at once: enough to hide the wait for memory, few enough for the registers.
const LANES: usize = 8;

/// Consecutive trees of one model.
#[derive(Debug, Default)]
pub(super) struct Deep {
    trees: Vec<Walk>,
    nodes: Vec<Step>,
    /// What leaves add: the first weight, and the end.
    leaves: Vec<(u32, u32)>,
    weights: Vec<Weight>,
    /// Keys beside the two of each feature: of this one, with NaN equal to a category.
    categories: Vec<(usize, i32)>,
    places_of_categories: HashMap<(usize, i32), usize>,
}

#[derive(Debug, Clone, Copy)]
struct Walk {
    root: u32,
    depth: usize,
}

/// A branch: to `next` if the key in the slot is one of `count` from `first` on, else to the node after that. A leaf leads
/// to itself, and its number stands in `first`.
#[derive(Debug, Clone, Copy)]
struct Step {
    first: i32,
    count: u32,
    slot: u32,
    next: u32,
}

/// Where NaN is the lowest, and where it is the highest.
const NAN: [i32; 2] = [i32::MIN, i32::MAX];

/// A number in the order of all numbers; -0 is 0.
fn key(number: f32) -> i32 {
    let size = (number.to_bits() & 0x7FFF_FFFF).cast_signed();
    if number.is_sign_negative() { -size } else { size }
}

/// Rows that pass through the trees together: these are too large for the caches, and are fetched once for all.
pub(super) const ROWS: usize = 1024;

/// Keys that are made at once, for as many rows as they are enough for: a model may have any number of features.
const MOST_KEYS: usize = 1 << 18;

/// Keys that lie on the stack: those of a row, or of more if they have few features.
const FEW: usize = 512;

impl Step {
    /// No key goes left.
    const LEAF: Self = Self { first: 0, count: 0, slot: 0, next: 0 };
}

impl Deep {
    /// Adds a tree for a matrix of so many columns.
    pub fn push(&mut self, ensemble: &Ensemble, tree: &Tree, columns: usize) {
        let root = self.nodes.len() as u32;
        self.trees.push(Walk { root, depth: tree.depth });
        self.nodes.push(Step::LEAF);
        let mut waiting = vec![(tree.root, root)];
        while let Some((index, place)) = waiting.pop() {
            self.nodes[place as usize] = match ensemble.nodes[index] {
                Node::Branch(branch) => {
                    let next = self.nodes.len() as u32;
                    self.nodes.extend([Step::LEAF; 2]);
                    waiting.extend([(branch.right, next + 1), (branch.left, next)]);
                    let threshold = key(branch.threshold);
                    if branch.equal {
                        let slot = self.slot_of_category(&branch, threshold, columns);
                        Step { first: threshold, count: 1, slot, next }
                    } else {
                        let below = if branch.any_number { NAN[1] } else { threshold };
                        let slot = 2 * branch.feature as u32 + u32::from(!branch.nan_goes_left);
                        Step { first: NAN[0], count: below.abs_diff(NAN[0]), slot, next }
                    }
                }
                Node::Leaf(first, count) => {
                    let start = self.weights.len();
                    self.weights.extend_from_slice(&ensemble.weights[first..first + count]);
                    self.leaves.push((start as u32, self.weights.len() as u32));
                    // No key is among none: on to the node after the one before, which is this.
                    Step {
                        first: (self.leaves.len() as u32 - 1).cast_signed(),
                        next: place.wrapping_sub(1),
                        ..Step::LEAF
                    }
                }
            };
        }
    }

    /// Where the key is that a branch for a category compares: NaN is no number's equal, unless it goes left.
    fn slot_of_category(&mut self, branch: &Branch, category: i32, columns: usize) -> u32 {
        if !branch.nan_goes_left {
            return 2 * branch.feature as u32;
        }
        let wanted = (branch.feature, category);
        let place = *self.places_of_categories.entry(wanted).or_insert_with(|| {
            self.categories.push(wanted);
            self.categories.len() - 1
        });
        (2 * columns + place) as u32
    }

    /// Adds what all trees give for each row.
    pub fn add(&self, matrix: &[f32], columns: usize, sums: &mut [f32], targets: usize) {
        let width = 2 * columns + self.categories.len();
        let rows = (MOST_KEYS / width).max(1);
        for (matrix, sums) in matrix.chunks(rows * columns).zip(sums.chunks_mut(rows * targets)) {
            self.add_rows(matrix, columns, width, sums, targets);
        }
    }

    fn add_rows(&self, matrix: &[f32], columns: usize, width: usize, sums: &mut [f32], targets: usize) {
        let count = matrix.len() / columns * width;
        let mut many = Vec::new();
        let mut few = [0; FEW];
        let keys = if count <= FEW {
            &mut few[..count]
        } else {
            many.resize(count, 0);
            &mut many
        };
        for (keys, row) in keys.chunks_exact_mut(width).zip(matrix.chunks_exact(columns)) {
            let (keys, of_categories) = keys.split_at_mut(2 * columns);
            for (keys, value) in keys.as_chunks_mut().0.iter_mut().zip(row) {
                *keys = if value.is_nan() { NAN } else { [key(*value); 2] };
            }
            for (found, (feature, category)) in of_categories.iter_mut().zip(&self.categories) {
                *found = if row[*feature].is_nan() { *category } else { keys[2 * feature] };
            }
        }
        // All rows pass through a tree before the next, so that it stays in the cache.
        let blocks = keys.chunks_exact(LANES * width);
        let rest = blocks.remainder();
        for tree in &self.trees {
            for (keys, sums) in blocks.clone().zip(sums.chunks_exact_mut(LANES * targets)) {
                let mut places = [tree.root; LANES];
                self.walk(&mut places, tree.depth, |lane, slot| keys[lane * width + slot]);
                for (place, sums) in places.iter().zip(sums.chunks_exact_mut(targets)) {
                    self.add_leaf(*place, sums);
                }
            }
        }
        let first = sums.len() - rest.len() / width * targets;
        for (keys, sums) in rest.chunks_exact(width).zip(sums[first..].chunks_exact_mut(targets)) {
            self.add_row(keys, sums);
        }
    }

    /// The same for a row alone: eight trees at a time.
    fn add_row(&self, keys: &[i32], sums: &mut [f32]) {
        for trees in self.trees.chunks(LANES) {
            let mut places = [trees[0].root; LANES];
            places.iter_mut().zip(trees).for_each(|(place, tree)| *place = tree.root);
            let deepest = trees.iter().map(|tree| tree.depth).max().unwrap_or_default();
            self.walk(&mut places, deepest, |_, slot| keys[slot]);
            for place in &places[..trees.len()] {
                self.add_leaf(*place, sums);
            }
        }
    }

    #[inline]
    fn walk(&self, places: &mut [u32; LANES], depth: usize, key: impl Fn(usize, usize) -> i32) {
        let nodes = self.nodes.as_slice();
        let mut left = depth;
        while left > 0 {
            let before = *places;
            // Whether all have arrived is asked now and then: the longest way may be much longer than the others.
            for _ in 0..left.min(4) {
                for (lane, place) in places.iter_mut().enumerate() {
                    let step = nodes[*place as usize];
                    *place = step.next.wrapping_add(u32::from(
                        key(lane, step.slot as usize).wrapping_sub(step.first).cast_unsigned() >= step.count,
                    ));
                }
            }
            left = left.saturating_sub(4);
            if *places == before {
                return;
            }
        }
    }

    fn add_leaf(&self, place: u32, sums: &mut [f32]) {
        let (first, end) = self.leaves[self.nodes[place as usize].first.cast_unsigned() as usize];
        for (target, weight) in &self.weights[first as usize..end as usize] {
            sums[*target] += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_numbers() {
        let numbers =
            [f32::NEG_INFINITY, f32::MIN, -1.0, -f32::MIN_POSITIVE, -f32::from_bits(1), 0.0, f32::from_bits(1)];
        let numbers = numbers.into_iter().chain([f32::MIN_POSITIVE, 1.0, f32::MAX, f32::INFINITY]);
        let keys: Vec<_> = numbers.map(key).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert!(NAN[0] < keys[0] && keys[keys.len() - 1] < NAN[1]);
        assert_eq!(key(-0.0), key(0.0));
    }
}

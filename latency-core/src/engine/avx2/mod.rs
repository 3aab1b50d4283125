//! The kernels for AVX2, which most x86 processors of the last ten years have: 32 bytes at a time.
//!
//! A complete tree of one-byte ranks needs no walk. All its branches are decided at once, 32 lanes each, and from the
//! leaves up each branch keeps the number of the leaf that its left or its right side came to. In a batch the lanes are rows
//! (`batch.rs`); for a row alone they are trees (`single.rs`).
//!
//! All `unsafe` of the engine is in this folder, and has three reasons: to call a function for AVX2 once the processor was
//! asked, to load and store vectors, and to leave out checks of indices that `Wide::new` has made.
#![allow(unsafe_code)]

mod batch;
mod single;

use super::deep;
use super::packed::{Group, HIGHEST, MOST_DEPTH, MOST_SLOTS, MOST_TREES, Packed, Segment, Split};

/// One vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Bytes([u8; 32]);

/// Compared as signed numbers, which is what AVX2 has: the order stays the same.
const SIGN: u8 = 128;

/// The groups of a model as these kernels read them.
#[derive(Debug)]
pub(super) struct Wide(Vec<Option<WideGroup>>);

/// A group whose every index was checked.
#[derive(Debug)]
struct WideGroup {
    /// As `Group::splits`.
    splits: Vec<WideSplit>,
    /// The leaves of each tree of up to six levels, byte by byte: all lowest bytes, and so on.
    planes: Vec<Plane>,
    /// Where each tree's planes begin.
    first_planes: Vec<usize>,
    bundles: Vec<Bundle>,
    /// What bundles read: for each of their branches the slots, then the thresholds.
    lanes: Vec<Bytes>,
    /// The trees in their order, as sums of single rows need them.
    summands: Vec<Summand>,
    stretches: Vec<Stretch>,
    /// The lowest branches of each tree, from left to right.
    forks: Vec<Fork>,
}

/// Where a tree's leaf is.
#[derive(Debug, Clone, Copy)]
struct Summand {
    /// Where its forks begin, or else its entries.
    forks: u32,
    /// Where the number of the fork is: 32 times the bundle, and the tree's lane.
    place: u16,
    /// Steps below the entries.
    steps: u16,
}

/// Summands of one target that follow one another, all complete trees or none.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    end: usize,
    target: usize,
    complete: bool,
}

/// A branch that leads to two leaves.
#[derive(Debug, Clone, Copy)]
struct Fork {
    leaves: [f32; 2],
    split: Split,
}

/// A branch for 32 rows.
#[derive(Debug, Clone, Copy)]
struct WideSplit {
    /// The threshold's number, four times.
    below: u32,
    slot: u32,
}

/// One byte of each of 16 leaves.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
struct Plane([u8; 16]);

/// Up to 32 trees of one depth.
#[derive(Debug, Clone, Copy)]
struct Bundle {
    /// Levels of branches above the forks.
    levels: usize,
    /// Where its lanes begin.
    lanes: usize,
    /// The trees before this one need no later bundle.
    ready: usize,
}

/// Bundles of a group, if all trees but one of each depth fill theirs.
const MOST_BUNDLES: usize = MOST_TREES / 32 + MOST_DEPTH + 1;

/// Deepest tree whose leaves are looked up by bytes.
const MOST_PLANE_DEPTH: usize = 6;

impl Wide {
    /// None if the processor has no AVX2.
    pub fn new(segments: &[Segment]) -> Option<Self> {
        is_x86_feature_detected!("avx2").then(|| {
            Self(
                segments
                    .iter()
                    .map(|segment| match segment {
                        Segment::Group(group) => Some(WideGroup::new(group)),
                        Segment::Deep(_) => None,
                    })
                    .collect(),
            )
        })
    }

    /// Adds what all segments give for each row. They are those that this was made of.
    pub fn add(&self, segments: &[Segment], matrix: &[f32], columns: usize, sums: &mut [f32], targets: usize) {
        let rows = matrix.len() / columns;
        if rows < batch::FEWEST_ROWS {
            for (row, sums) in matrix.chunks_exact(columns).zip(sums.chunks_exact_mut(targets)) {
                self.add_row(segments, row, sums);
            }
            return;
        }
        let mut block = batch::Block::new(targets);
        for (matrix, sums) in matrix.chunks(deep::ROWS * columns).zip(sums.chunks_mut(deep::ROWS * targets)) {
            for (segment, wide) in segments.iter().zip(&self.0) {
                match (segment, wide) {
                    (Segment::Group(group), Some(wide)) => {
                        let blocks = matrix.chunks(batch::ROWS * columns).zip(sums.chunks_mut(batch::ROWS * targets));
                        for (rows, sums) in blocks {
                            // SAFETY: a `Wide` exists only if the processor has AVX2.
                            unsafe { block.add(group, wide, rows, columns, sums) }
                        }
                    }
                    (Segment::Deep(deep), _) => deep.add(matrix, columns, sums, targets),
                    (Segment::Group(_), None) => unreachable!("every group has its wide form"),
                }
            }
        }
    }

    fn add_row(&self, segments: &[Segment], row: &[f32], sums: &mut [f32]) {
        for (segment, wide) in segments.iter().zip(&self.0) {
            match (segment, wide) {
                (Segment::Group(group), Some(wide)) => {
                    // SAFETY: a `Wide` exists only if the processor has AVX2.
                    unsafe { single::add_row(group, wide, row, sums) }
                }
                (Segment::Deep(deep), _) => deep.add(row, row.len(), sums, sums.len()),
                (Segment::Group(_), None) => unreachable!("every group has its wide form"),
            }
        }
    }
}

impl WideGroup {
    fn new(group: &Group) -> Self {
        // What the kernels rely on, and do not check again.
        assert!(group.slots <= MOST_SLOTS && group.trees.len() <= MOST_TREES);
        assert!(group.splits.iter().all(|split| usize::from(split.slot) < group.slots.max(1)));
        let fits =
            |first: usize, count: usize, length: usize| first.checked_add(count).is_some_and(|end| end <= length);
        assert!(group.trees.iter().all(|tree| {
            tree.depth <= MOST_DEPTH
                && fits(tree.splits, (1 << tree.depth) - 1, group.splits.len())
                && fits(
                    tree.leaves,
                    1 << tree.depth,
                    if tree.is_complete() { group.leaves.len() } else { group.entries.len() },
                )
        }));
        let mut wide = Self {
            splits: Vec::with_capacity(group.splits.len()),
            planes: Vec::new(),
            first_planes: Vec::with_capacity(group.trees.len()),
            bundles: Vec::new(),
            lanes: Vec::new(),
            summands: Vec::with_capacity(group.trees.len()),
            stretches: Vec::new(),
            forks: Vec::with_capacity(group.leaves.len() / 2),
        };
        wide.splits.extend(group.splits.iter().map(|split| WideSplit {
            below: u32::from(split.below ^ SIGN) * 0x0101_0101,
            slot: u32::from(split.slot),
        }));
        for tree in &group.trees {
            wide.first_planes.push(wide.planes.len());
            if !tree.is_complete() {
                wide.summands.push(Summand { forks: tree.leaves as u32, place: 0, steps: tree.steps as u16 });
                continue;
            }
            let leaves = &group.leaves[tree.leaves..][..1 << tree.depth];
            if tree.depth <= MOST_PLANE_DEPTH {
                wide.push_planes(leaves);
            }
            wide.summands.push(Summand { forks: wide.forks.len() as u32, place: 0, steps: 0 });
            let splits = &group.splits[tree.splits..][..leaves.len() - 1];
            match leaves {
                [only] => wide.forks.push(Fork { leaves: [*only; 2], split: Split::EITHER }),
                _ => wide.forks.extend(
                    leaves
                        .as_chunks()
                        .0
                        .iter()
                        .zip(&splits[leaves.len() / 2 - 1..])
                        .map(|(leaves, split)| Fork { leaves: *leaves, split: *split }),
                ),
            }
        }
        let of_levels =
            |levels| (0..group.trees.len()).filter(|index| levels_of(&group.trees[*index]) == levels).collect();
        let by_levels: Vec<Vec<usize>> = (0..MOST_DEPTH).map(of_levels).collect();
        let mut bundles: Vec<_> = by_levels.iter().flat_map(|trees| trees.chunks(32)).collect();
        // Those whose leaves can be added first come first.
        bundles.sort_by_key(|trees| trees.last().copied());
        for trees in bundles {
            wide.push_bundle(group, trees);
        }
        let last = |summands: &[Summand], bundle: usize| {
            summands.iter().position(|summand| usize::from(summand.place) / 32 > bundle).unwrap_or(summands.len())
        };
        for (index, bundle) in wide.bundles.iter_mut().enumerate() {
            bundle.ready = last(&wide.summands, index);
        }
        for trees in group.trees.chunk_by(|a, b| a.target == b.target && a.is_complete() == b.is_complete()) {
            let before = wide.stretches.last().map_or(0, |stretch| stretch.end);
            let (target, complete) = (trees[0].target, trees[0].is_complete());
            wide.stretches.push(Stretch { end: before + trees.len(), target, complete });
        }
        assert!(wide.bundles.len() <= MOST_BUNDLES);
        assert!(wide.summands.iter().all(|summand| {
            let (place, forks) = (usize::from(summand.place), summand.forks as usize);
            let length = if summand.steps == 0 { wide.forks.len() } else { group.entries.len() };
            place < 32 * MOST_BUNDLES && fits(forks, 1 << wide.bundles[place / 32].levels, length)
        }));
        wide
    }

    /// Four bytes of 16 leaves at a time; each byte's planes lie together.
    fn push_planes(&mut self, leaves: &[f32]) {
        for byte in 0..4 {
            for leaves in leaves.chunks(16) {
                let mut plane = Plane([0; 16]);
                for (place, leaf) in plane.0.iter_mut().zip(leaves) {
                    *place = leaf.to_le_bytes()[byte];
                }
                self.planes.push(plane);
            }
        }
    }

    fn push_bundle(&mut self, group: &Group, trees: &[usize]) {
        let (bundle, levels) = (self.bundles.len(), trees.first().map_or(0, |tree| levels_of(&group.trees[*tree])));
        self.bundles.push(Bundle { levels, lanes: self.lanes.len(), ready: 0 });
        for place in 0..(1 << levels) - 1 {
            // Lanes without a tree compare something, and nobody looks at what comes out.
            let (mut slots, mut below) = (Bytes([0; 32]), Bytes([HIGHEST ^ SIGN; 32]));
            for (lane, tree) in trees.iter().enumerate() {
                let split = group.splits[group.trees[*tree].splits + place];
                (slots.0[lane], below.0[lane]) = (split.slot, split.below ^ SIGN);
            }
            self.lanes.extend([slots, below]);
        }
        for (lane, tree) in trees.iter().enumerate() {
            self.summands[*tree].place = (32 * bundle + lane) as u16;
        }
    }
}

/// Levels that a bundle decides: all of a top, of a complete tree all but the lowest.
fn levels_of(tree: &Packed) -> usize {
    if tree.is_complete() { tree.depth.saturating_sub(1) } else { tree.depth }
}

/// Every number of a leaf, 32 times.
static NUMBERS: [Bytes; 256] = {
    let mut numbers = [Bytes([0; 32]); 256];
    let mut number = 0;
    while number < 256 {
        numbers[number] = Bytes([number as u8; 32]);
        number += 1;
    }
    numbers
};

/// The number of the leaf that each lane comes to in a complete tree: `leaf_numbers!(levels, decide)`, where `decide` says
/// for a branch, counted from the root down, which lanes go left.
macro_rules! leaf_numbers {
    (0, $decide:ident) => { _mm256_setzero_si256() };
    (1, $decide:ident) => { leaf_numbers!(@1 $decide, 0, 0) };
    (2, $decide:ident) => { leaf_numbers!(@2 $decide, 0, 0) };
    (3, $decide:ident) => { leaf_numbers!(@3 $decide, 0, 0) };
    (4, $decide:ident) => { leaf_numbers!(@4 $decide, 0, 0) };
    (5, $decide:ident) => { leaf_numbers!(@5 $decide, 0, 0) };
    (6, $decide:ident) => { leaf_numbers!(@6 $decide, 0, 0) };
    (7, $decide:ident) => { leaf_numbers!(@7 $decide, 0, 0) };
    (8, $decide:ident) => { leaf_numbers!(@8 $decide, 0, 0) };
    // The branch's place, and the number of its first leaf. Left is all ones, which is -1.
    (@1 $decide:ident, $place:expr, $leaf:expr) => {
        _mm256_add_epi8(load(&NUMBERS[$leaf + 1]), $decide($place))
    };
    (@2 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 1, 2, $decide, $place, $leaf) };
    (@3 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 2, 4, $decide, $place, $leaf) };
    (@4 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 3, 8, $decide, $place, $leaf) };
    (@5 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 4, 16, $decide, $place, $leaf) };
    (@6 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 5, 32, $decide, $place, $leaf) };
    (@7 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 6, 64, $decide, $place, $leaf) };
    (@8 $decide:ident, $place:expr, $leaf:expr) => { leaf_numbers!(@node 7, 128, $decide, $place, $leaf) };
    (@node $below:tt, $half:expr, $decide:ident, $place:expr, $leaf:expr) => {{
        let left = leaf_numbers!(@$below $decide, 2 * ($place) + 1, $leaf);
        let right = leaf_numbers!(@$below $decide, 2 * ($place) + 2, $leaf + $half);
        _mm256_blendv_epi8(right, left, $decide($place))
    }};
}
use leaf_numbers;

/// The same macro with the number of levels known at run time.
macro_rules! leaf_numbers_of {
    ($depth:expr, $decide:ident) => {
        match $depth {
            0 => leaf_numbers!(0, $decide),
            1 => leaf_numbers!(1, $decide),
            2 => leaf_numbers!(2, $decide),
            3 => leaf_numbers!(3, $decide),
            4 => leaf_numbers!(4, $decide),
            5 => leaf_numbers!(5, $decide),
            6 => leaf_numbers!(6, $decide),
            7 => leaf_numbers!(7, $decide),
            _ => leaf_numbers!(8, $decide),
        }
    };
}
use leaf_numbers_of;

//! Trees in the form that the kernels walk: small, complete, and of one byte a threshold.
//!
//! A value is compared with the thresholds of its feature once, and becomes its rank among them: how many are not above it.
//! `value < threshold` is then `rank < number of the threshold`, exactly, and one byte holds either. Where a missing value
//! goes depends on the branch, so that a feature has up to two ranks: one that NaN makes the lowest, one the highest.
//!
//! A rank has 256 values; consecutive trees form a group as long as that is enough for each feature. Trees are made
//! complete to their depth, so that the node below is found by arithmetic; of deeper ones the top is, and the rest walked by
//! ranks. Those that are deeper still, add to several targets or ask for equality are walked as they are: see `deep.rs`.

use super::deep::Deep;
use super::ensemble::{Branch, Ensemble, Node, Tree};

/// 2^8 leaves: the number of one is a byte.
pub(super) const MOST_DEPTH: usize = 8;
/// Levels that are made complete of a tree that is deeper; below them it is walked.
pub(super) const TOP: usize = 6;
/// Deeper trees are not worth their top.
const MOST_STEPS: usize = 16;
/// Thresholds of one feature in a group: ranks are 0 to 254.
const MOST_THRESHOLDS: usize = 254;
/// Ranks of one row in a group: the number of one is a byte.
pub(super) const MOST_SLOTS: usize = 256;
/// Ranks that one shuffle looks up.
const FEWEST_SLOTS: usize = 16;
/// Trees of a group, whose leaves' numbers lie on the stack.
pub(super) const MOST_TREES: usize = 1024;

/// Less than no threshold but this: NaN that goes right.
pub(super) const HIGHEST: u8 = 255;

/// The first entry of each level of a table of thresholds. Levels begin where eight f32 begin.
pub(super) const LEVELS: [usize; MOST_DEPTH] = [0, 8, 16, 24, 32, 48, 80, 144];
const TABLE_END: usize = 272;

/// A part of the trees, in the order of the file.
#[derive(Debug)]
pub(super) enum Segment {
    Group(Group),
    Deep(Deep),
}

/// Thresholds that are counted at once; 16 blocks hold those of a feature.
pub(super) const BLOCK: usize = 16;

/// Complete trees that share their ranks.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub rankers: Vec<Ranker>,
    /// Thresholds for the rankers, in blocks and in levels. Where there are no more, NaN stands: above every value.
    pub blocks: Vec<[f32; BLOCK]>,
    pub tables: Vec<f32>,
    /// Ranks of one row: their slots are below this.
    pub slots: usize,
    /// A feature's second rank stands this many slots after its first, which equals it unless the value is missing. 0 if no
    /// feature has two.
    pub half: usize,
    pub trees: Vec<Packed>,
    /// Branches of all trees, each tree's from the root down, level by level.
    pub splits: Vec<Split>,
    /// Leaves of all trees, each tree's from left to right.
    pub leaves: Vec<f32>,
    /// Of trees with a part that is walked: where each way through the top comes to.
    pub entries: Vec<u32>,
    pub steps: Vec<Step>,
    /// What a step adds if it is a leaf.
    pub step_leaves: Vec<f32>,
}

/// How a feature becomes ranks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranker {
    pub column: usize,
    /// Where its thresholds begin, in blocks. If there are several, the last ones of all stand in a block before.
    pub blocks: usize,
    pub several: bool,
    /// Where its table of levels begins, which vectors search by halves.
    pub table: usize,
    pub levels: usize,
    /// Where the rank goes for branches that send NaN to the left, and for those that send it to the right.
    pub low: Option<u8>,
    pub high: Option<u8>,
}

/// A complete tree, or the complete top of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub depth: usize,
    /// Steps below the top on the longest way, none for a complete tree.
    pub steps: usize,
    pub target: usize,
    pub splits: usize,
    /// Where its leaves begin, or else its entries.
    pub leaves: usize,
}

/// A branch below the top. A row goes on by `next` to the right, and by one more to the left, if its rank in the slot is
/// less than this. A leaf goes nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub slot: u8,
    pub below: u8,
    pub next: u16,
}

/// A row goes left if its rank in the slot is less than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    pub slot: u8,
    pub below: u8,
}

impl Split {
    /// For a branch that was added to make the tree complete: both ways lead to the same leaf.
    pub const EITHER: Self = Self { slot: 0, below: HIGHEST };
}

impl Ranker {
    /// How many thresholds are not above this value; 0 for NaN.
    #[inline]
    pub fn rank(&self, blocks: &[[f32; BLOCK]], value: f32) -> u8 {
        self.rank_by(blocks, |block| not_above(block, value))
    }

    /// Likewise, by a count for a block.
    #[allow(clippy::inline_always)] // Part of kernels for instructions that other functions must not have.
    #[inline(always)]
    pub fn rank_by(&self, blocks: &[[f32; BLOCK]], not_above: impl Fn(&[f32; BLOCK]) -> u32) -> u8 {
        let before = if self.several { not_above(&blocks[self.blocks - 1]) } else { 0 };
        (BLOCK as u32 * before + not_above(&blocks[self.blocks + before as usize])) as u8
    }

    /// Puts a value's rank where branches look for it.
    #[allow(clippy::inline_always)] // As above.
    #[inline(always)]
    pub fn put(&self, rank: u8, value: f32, ranks: &mut [u8; MOST_SLOTS]) {
        if let Some(slot) = self.low {
            ranks[usize::from(slot)] = rank;
        }
        if let Some(slot) = self.high {
            ranks[usize::from(slot)] = if value.is_nan() { HIGHEST } else { rank };
        }
    }

    /// Entries of a table with so many levels.
    pub fn table_size(levels: usize) -> usize {
        LEVELS.get(levels).copied().unwrap_or(TABLE_END)
    }
}

impl Packed {
    pub fn is_complete(&self) -> bool {
        self.steps == 0
    }
}

impl Step {
    #[inline]
    pub fn from(self, place: u32, rank: u8) -> u32 {
        place + u32::from(self.next) + u32::from(rank < self.below)
    }
}

/// How many thresholds of a block are not above this value.
#[inline]
fn not_above(block: &[f32; BLOCK], value: f32) -> u32 {
    block.iter().map(|threshold| u32::from(*threshold <= value)).sum()
}

impl Group {
    /// The ranks of a row, by slot.
    pub fn rank(&self, row: &[f32], ranks: &mut [u8; MOST_SLOTS]) {
        for ranker in &self.rankers {
            let value = row[ranker.column];
            ranker.put(ranker.rank(&self.blocks, value), value, ranks);
        }
    }
}

/// Puts all trees, of a matrix of so many columns, into segments.
pub(super) fn pack(ensemble: &Ensemble, columns: usize) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut open = Open::default();
    for tree in &ensemble.trees {
        let target = target_of(ensemble, tree);
        if target.is_some_and(|target| open.add(ensemble, tree, target)) {
            continue;
        }
        segments.extend(open.close(ensemble));
        // In a group of its own, a tree does not fit if it has 255 thresholds of one feature.
        if target.is_some_and(|target| open.add(ensemble, tree, target)) {
            continue;
        }
        if let Some(Segment::Deep(deep)) = segments.last_mut() {
            deep.push(ensemble, tree, columns);
        } else {
            let mut deep = Deep::default();
            deep.push(ensemble, tree, columns);
            segments.push(Segment::Deep(deep));
        }
    }
    segments.extend(open.close(ensemble));
    segments
}

/// The one target that all leaves of a tree add to, if the tree can be made complete and ranks decide its branches.
fn target_of(ensemble: &Ensemble, tree: &Tree) -> Option<usize> {
    if tree.depth > TOP + MOST_STEPS {
        return None;
    }
    let (mut target, mut nodes) = (None, 0);
    let mut waiting = vec![tree.root];
    while let Some(index) = waiting.pop() {
        nodes += 1;
        if nodes > usize::from(u16::MAX) {
            return None;
        }
        match ensemble.nodes[index] {
            Node::Branch(branch) if branch.equal => return None,
            Node::Branch(branch) => waiting.extend([branch.left, branch.right]),
            Node::Leaf(first, 1) => {
                let found = ensemble.weights[first].0;
                if *target.get_or_insert(found) != found {
                    return None;
                }
            }
            Node::Leaf(..) => return None,
        }
    }
    target
}

/// A group that trees are added to.
#[derive(Debug, Default)]
struct Open<'a> {
    trees: Vec<(&'a Tree, usize)>,
    /// What is known of each column.
    columns: Vec<Column>,
    slots: usize,
}

/// What a tree brought into a group.
#[derive(Debug)]
enum Noted {
    Low,
    High,
    Threshold(f32),
}

#[derive(Debug, Default, Clone)]
struct Column {
    /// Ascending, without doubles; -0 is 0.
    thresholds: Vec<f32>,
    low: bool,
    high: bool,
}

impl Column {
    fn place(&self, threshold: f32) -> Result<usize, usize> {
        let place = self.thresholds.partition_point(|other| *other < threshold);
        if self.thresholds.get(place) == Some(&threshold) { Ok(place) } else { Err(place) }
    }
}

impl<'a> Open<'a> {
    /// Whether the tree fits into the group, in which it then is.
    fn add(&mut self, ensemble: &'a Ensemble, tree: &'a Tree, target: usize) -> bool {
        if self.trees.len() == MOST_TREES {
            return false;
        }
        let mut noted = Vec::new();
        let mut waiting = vec![tree.root];
        while let Some(index) = waiting.pop() {
            if let Node::Branch(branch) = &ensemble.nodes[index] {
                waiting.extend([branch.left, branch.right]);
                self.note(branch, &mut noted);
            }
        }
        let fits = self.slots <= MOST_SLOTS
            && noted.iter().all(|(column, _)| self.columns[*column].thresholds.len() <= MOST_THRESHOLDS);
        if fits {
            self.trees.push((tree, target));
        } else {
            for (column, what) in noted {
                self.forget(column, &what);
            }
        }
        fits
    }

    /// Takes in a branch, and notes what is new.
    fn note(&mut self, branch: &Branch, noted: &mut Vec<(usize, Noted)>) {
        if self.columns.len() <= branch.feature {
            self.columns.resize(branch.feature + 1, Column::default());
        }
        let column = &mut self.columns[branch.feature];
        let slot = if branch.nan_goes_left { &mut column.low } else { &mut column.high };
        if !std::mem::replace(slot, true) {
            self.slots += 1;
            noted.push((branch.feature, if branch.nan_goes_left { Noted::Low } else { Noted::High }));
        }
        if let Err(place) = column.place(branch.threshold)
            && !branch.any_number
        {
            column.thresholds.insert(place, branch.threshold + 0.0);
            noted.push((branch.feature, Noted::Threshold(branch.threshold)));
        }
    }

    fn forget(&mut self, column: usize, what: &Noted) {
        let column = &mut self.columns[column];
        match what {
            Noted::Low => column.low = false,
            Noted::High => column.high = false,
            Noted::Threshold(threshold) => {
                if let Ok(place) = column.place(*threshold) {
                    column.thresholds.remove(place);
                }
                return;
            }
        }
        self.slots -= 1;
    }

    /// The group, if it has trees; a new one begins.
    fn close(&mut self, ensemble: &Ensemble) -> Option<Segment> {
        let Self { trees, columns, .. } = std::mem::take(self);
        if trees.is_empty() {
            return None;
        }
        let mut group = Group::default();
        let mut by_column = vec![None; columns.len()];
        let mut used: Vec<_> = columns.iter().enumerate().filter(|(_, column)| column.low || column.high).collect();
        // Those with two ranks come first, so that the second ones have room.
        used.sort_by_key(|(_, column)| !(column.low && column.high));
        let doubles = used.iter().take_while(|(_, column)| column.low && column.high).count();
        let half = used.len().next_power_of_two().max(FEWEST_SLOTS);
        // Where halves do not fit, the second ranks follow the first ones.
        let second = if half + doubles <= MOST_SLOTS { half } else { used.len() };
        group.half = if doubles > 0 { second } else { 0 };
        group.slots = if doubles > 0 { second + doubles } else { used.len() };
        for (number, (index, column)) in used.into_iter().enumerate() {
            let first = Some(number as u8);
            let (low, high) = match (column.low, column.high) {
                (true, true) => (first, Some((second + number) as u8)),
                (true, false) => (first, None),
                (false, _) => (None, first),
            };
            let ranker = Ranker {
                column: index,
                blocks: group.blocks.len() + usize::from(column.thresholds.len() >= BLOCK),
                several: column.thresholds.len() >= BLOCK,
                table: group.tables.len(),
                levels: (column.thresholds.len() + 1).next_power_of_two().ilog2() as usize,
                low,
                high,
            };
            push_blocks(&mut group.blocks, &column.thresholds);
            push_table(&mut group.tables, &column.thresholds, ranker.levels);
            by_column[index] = Some(ranker);
            group.rankers.push(ranker);
        }
        let split = |branch: &Branch| {
            let ranker = by_column.get(branch.feature)?.as_ref()?;
            let slot = if branch.nan_goes_left { ranker.low } else { ranker.high }?;
            let number = columns[branch.feature].place(branch.threshold).map(|place| place as u8 + 1);
            Some(Split { slot, below: if branch.any_number { HIGHEST } else { number.ok()? } })
        };
        for (tree, target) in trees {
            group.push(ensemble, tree, target, split);
        }
        Some(Segment::Group(group))
    }
}

/// Adds ascending thresholds as blocks, the last of which is not full, and the last ones of the others before them.
fn push_blocks(blocks: &mut Vec<[f32; BLOCK]>, thresholds: &[f32]) {
    let (full, rest) = thresholds.as_chunks::<BLOCK>();
    let block = |from: &[f32]| {
        let mut block = [f32::NAN; BLOCK];
        block.iter_mut().zip(from).for_each(|(place, threshold)| *place = *threshold);
        block
    };
    if !full.is_empty() {
        blocks.push(block(&full.iter().map(|block| block[BLOCK - 1]).collect::<Vec<_>>()));
    }
    blocks.extend_from_slice(full);
    blocks.push(block(rest));
}

/// Adds a table of ascending thresholds: level by level, as a search by halves asks for them.
fn push_table(tables: &mut Vec<f32>, thresholds: &[f32], levels: usize) {
    let start = tables.len();
    tables.resize(start + Ranker::table_size(levels), f32::NAN);
    for (level, first) in LEVELS[..levels].iter().enumerate() {
        for place in 0..1 << level {
            let sorted = ((2 * place + 1) << (levels - level - 1)) - 1;
            if let Some(threshold) = thresholds.get(sorted) {
                tables[start + first + place] = *threshold;
            }
        }
    }
}

impl Group {
    fn push(&mut self, ensemble: &Ensemble, tree: &Tree, target: usize, split: impl Fn(&Branch) -> Option<Split>) {
        if tree.depth > MOST_DEPTH {
            return self.push_deeper(ensemble, tree, target, split);
        }
        let (splits, leaves) = (self.splits.len(), self.leaves.len());
        let branches = (1 << tree.depth) - 1;
        self.splits.resize(splits + branches, Split::EITHER);
        self.leaves.resize(leaves + (1 << tree.depth), 0.0);
        let mut waiting = vec![(tree.root, 0, tree.depth)];
        while let Some((index, place, below)) = waiting.pop() {
            match &ensemble.nodes[index] {
                Node::Branch(branch) => {
                    self.splits[splits + place] = split(branch).unwrap_or(Split::EITHER);
                    waiting.extend([(branch.left, 2 * place + 1, below - 1), (branch.right, 2 * place + 2, below - 1)]);
                }
                Node::Leaf(weight, _) => {
                    // The first of the leaves below, and their number.
                    let first = ((place + 1) << below) - 1 - branches;
                    let added = leaves + first..leaves + first + (1 << below);
                    self.leaves[added].fill(ensemble.weights[*weight].1);
                }
            }
        }
        self.trees.push(Packed { depth: tree.depth, steps: 0, target, splits, leaves });
    }

    /// The same for a tree that is too deep to be complete as a whole.
    fn push_deeper(
        &mut self,
        ensemble: &Ensemble,
        tree: &Tree,
        target: usize,
        split: impl Fn(&Branch) -> Option<Split>,
    ) {
        let (splits, entries) = (self.splits.len(), self.entries.len());
        let branches = (1 << TOP) - 1;
        self.splits.resize(splits + branches, Split::EITHER);
        self.entries.resize(entries + (1 << TOP), 0);
        let mut waiting = vec![(tree.root, 0, TOP)];
        while let Some((index, place, below)) = waiting.pop() {
            match &ensemble.nodes[index] {
                Node::Branch(branch) if below > 0 => {
                    self.splits[splits + place] = split(branch).unwrap_or(Split::EITHER);
                    waiting.extend([(branch.left, 2 * place + 1, below - 1), (branch.right, 2 * place + 2, below - 1)]);
                }
                _ => {
                    let first = ((place + 1) << below) - 1 - branches;
                    let step = self.push_steps(ensemble, index, &split);
                    self.entries[entries + first..entries + first + (1 << below)].fill(step);
                }
            }
        }
        self.trees.push(Packed { depth: TOP, steps: tree.depth - TOP, target, splits, leaves: entries });
    }

    /// Adds what lies below a node, and says where it begins.
    fn push_steps(&mut self, ensemble: &Ensemble, root: usize, split: &impl Fn(&Branch) -> Option<Split>) -> u32 {
        let first = self.steps.len();
        let mut waiting = vec![(root, first)];
        self.steps.push(Step::default());
        self.step_leaves.push(0.0);
        while let Some((index, place)) = waiting.pop() {
            match &ensemble.nodes[index] {
                Node::Branch(branch) => {
                    let next = self.steps.len();
                    self.steps.extend([Step::default(); 2]);
                    self.step_leaves.extend([0.0; 2]);
                    waiting.extend([(branch.right, next), (branch.left, next + 1)]);
                    let Split { slot, below } = split(branch).unwrap_or(Split::EITHER);
                    self.steps[place] = Step { slot, below, next: (next - place) as u16 };
                }
                Node::Leaf(weight, _) => self.step_leaves[place] = ensemble.weights[*weight].1,
            }
        }
        first as u32
    }
}

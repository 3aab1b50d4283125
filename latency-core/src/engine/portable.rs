//! The kernel for every machine: a row at a time, a tree at a time.

use super::packed::{Group, MOST_SLOTS};

/// Adds what all trees of a group give for a row.
pub(super) fn add_row(group: &Group, row: &[f32], sums: &mut [f32]) {
    let mut ranks = [0; MOST_SLOTS];
    group.rank(row, &mut ranks);
    walk(group, &ranks, sums);
}

/// Likewise, from its ranks. Nothing depends on a branch of the processor, so that several trees are under way at once.
pub(super) fn walk(group: &Group, ranks: &[u8; MOST_SLOTS], sums: &mut [f32]) {
    let mut rest = group.trees.as_slice();
    // As long as the target stays the same, its sum stays in a register.
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|tree| tree.target == first.target).count();
        let (same, others) = rest.split_at(count);
        rest = others;
        let mut sum = sums[first.target];
        for tree in same {
            let splits = &group.splits[tree.splits..];
            let mut place = 0;
            for _ in 0..tree.depth {
                let split = splits[place];
                place = 2 * place + 1 + usize::from(ranks[usize::from(split.slot)] >= split.below);
            }
            let number = place + 1 - (1 << tree.depth);
            sum += if tree.is_complete() {
                group.leaves[tree.leaves + number]
            } else {
                walk_on(group, tree.steps, group.entries[tree.leaves + number], ranks)
            };
        }
        sums[first.target] = sum;
    }
}

/// Walks below the top of a tree, and gives the leaf.
#[inline]
pub(super) fn walk_on(group: &Group, steps: usize, entry: u32, ranks: &[u8; MOST_SLOTS]) -> f32 {
    let mut place = entry;
    for _ in 0..steps {
        let step = group.steps[place as usize];
        place = step.from(place, ranks[usize::from(step.slot)]);
    }
    group.step_leaves[place as usize]
}

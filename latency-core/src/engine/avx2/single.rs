//! One row: 32 trees in the lanes of a vector.
//!
//! The row's ranks are tables for byte shuffles, 16 in each. The leaves are added afterwards, in the order of the trees.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi8, _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_cmpgt_epi8,
    _mm256_load_si256, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_store_si256,
};

use super::super::packed::{self, Group};
use super::{Bytes, MOST_BUNDLES, NUMBERS, SIGN, WideGroup, leaf_numbers, leaf_numbers_of};

/// Ranks of a row that shuffles find; with more, walking the trees is as quick.
pub(super) const MOST_SLOTS: usize = 64;

/// Adds what all trees of a group give for a row.
#[target_feature(enable = "avx2")]
pub(super) fn add_row(group: &Group, wide: &WideGroup, row: &[f32], sums: &mut [f32]) {
    let mut ranks = [0; packed::MOST_SLOTS];
    group.rank(row, &mut ranks);
    for rank in &mut ranks[..MOST_SLOTS] {
        *rank ^= SIGN;
    }
    let table = |first: usize| {
        // SAFETY: 16 bytes from each of 0, 16, 32 and 48 on lie in the array.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(ranks[first..first + 16].as_ptr().cast()) })
    };
    let tables = [table(0), table(16), table(32), table(48)];
    let mut numbers = [Bytes([0; 32]); MOST_BUNDLES];
    match group.slots {
        0..=16 => number_leaves::<1>(wide, tables, &mut numbers),
        17..=32 => number_leaves::<2>(wide, tables, &mut numbers),
        _ => number_leaves::<4>(wide, tables, &mut numbers),
    }
    add_leaves(group, wide, &numbers, sums);
}

#[target_feature(enable = "avx2")]
fn load(bytes: &Bytes) -> __m256i {
    // SAFETY: `Bytes` is 32 bytes, and aligned.
    unsafe { _mm256_load_si256((&raw const *bytes).cast()) }
}

/// The number of the leaf that the row comes to in each tree, from `TABLES` tables of 16 ranks.
#[target_feature(enable = "avx2")]
fn number_leaves<const TABLES: usize>(wide: &WideGroup, tables: [__m256i; 4], numbers: &mut [Bytes; MOST_BUNDLES]) {
    for (bundle, numbers) in wide.bundles.iter().zip(numbers) {
        let lanes = wide.lanes[bundle.lanes..][..2 * ((1 << bundle.depth) - 1)].as_ptr();
        let decide = |place: usize| {
            // SAFETY: a bundle's lanes are two for each branch of its depth, as was just looked at.
            let (slots, below) = unsafe { (load(&*lanes.add(2 * place)), load(&*lanes.add(2 * place + 1))) };
            _mm256_cmpgt_epi8(below, pick::<TABLES>(tables, slots))
        };
        let found = leaf_numbers_of!(bundle.depth, decide);
        // SAFETY: `Bytes` is 32 bytes, and aligned.
        unsafe { _mm256_store_si256((&raw mut *numbers).cast(), found) }
    }
}

/// The ranks in these slots: a shuffle looks at the lower four bits, the fifth and sixth say in which table.
#[target_feature(enable = "avx2")]
fn pick<const TABLES: usize>([a, b, c, d]: [__m256i; 4], slots: __m256i) -> __m256i {
    let first = _mm256_shuffle_epi8(a, slots);
    if TABLES == 1 {
        return first;
    }
    let fifth = _mm256_slli_epi16::<3>(slots);
    let first = _mm256_blendv_epi8(first, _mm256_shuffle_epi8(b, slots), fifth);
    if TABLES == 2 {
        return first;
    }
    let second = _mm256_blendv_epi8(_mm256_shuffle_epi8(c, slots), _mm256_shuffle_epi8(d, slots), fifth);
    _mm256_blendv_epi8(first, second, _mm256_slli_epi16::<2>(slots))
}

/// Adds the leaves of these numbers, tree by tree.
fn add_leaves(group: &Group, wide: &WideGroup, numbers: &[Bytes; MOST_BUNDLES], sums: &mut [f32]) {
    let mut trees = group.trees.iter().zip(&wide.places).peekable();
    // As long as the target stays the same, its sum stays in a register.
    while let Some((first, _)) = trees.peek() {
        let target = first.target;
        let mut sum = sums[target];
        while let Some((tree, place)) = trees.next_if(|(tree, _)| tree.target == target) {
            let place = usize::from(*place);
            let number = numbers[place / 32].0[place % 32];
            sum += group.leaves[tree.leaves + usize::from(number)];
        }
        sums[target] = sum;
    }
}

//! One row: 32 trees in the lanes of a vector.
//!
//! The row's ranks are tables for byte shuffles, 16 in each. The lowest level has as many branches as all others together:
//! it is left to the sums, which look at one branch of each tree, in the order of the trees.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LE_OQ, _mm_loadu_si128, _mm256_add_epi8, _mm256_and_si256, _mm256_blendv_epi8,
    _mm256_broadcastsi128_si256, _mm256_cmp_ps, _mm256_cmpgt_epi8, _mm256_load_si256, _mm256_loadu_ps,
    _mm256_movemask_ps, _mm256_set1_epi8, _mm256_set1_ps, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_storeu_si256, _mm256_xor_si256,
};

use super::super::packed::{self, BLOCK, Group, Split};
use super::super::portable;
use super::{Bytes, MOST_BUNDLES, NUMBERS, SIGN, Stretch, WideGroup, leaf_numbers, leaf_numbers_of};

/// Ranks of a row that shuffles find, 16 in each table; with more, walking the trees is as quick.
const MOST_TABLES: usize = 8;

/// Adds what all trees of a group give for a row.
#[target_feature(enable = "avx2")]
pub(super) fn add_row(group: &Group, wide: &WideGroup, row: &[f32], sums: &mut [f32]) {
    let mut ranks = [0; packed::MOST_SLOTS];
    let mut differ = false;
    for ranker in &group.rankers {
        let value = row[ranker.column];
        let repeated = _mm256_set1_ps(value);
        let rank = ranker.rank_by(&group.blocks, |block| not_above(block, repeated));
        ranker.put(rank, value, &mut ranks);
        differ |= value.is_nan() && ranker.low.is_some() && ranker.high.is_some();
    }
    // Second ranks stand a power of two after the first ones, in slots that only one more bit tells from theirs: as long as
    // they equal them, nobody looks at it.
    let slots = if differ || !group.half.is_power_of_two() { group.slots } else { group.half };
    let sign = _mm256_set1_epi8(SIGN.cast_signed());
    let mut tables = [sign; MOST_TABLES];
    for (table, ranks) in tables.iter_mut().zip(ranks.as_chunks::<16>().0) {
        // SAFETY: there are 16.
        *table = _mm256_xor_si256(_mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(ranks.as_ptr().cast()) }), sign);
    }
    match slots {
        0..=16 => add_trees::<1>(group, wide, &ranks, tables, sums),
        17..=32 => add_trees::<2>(group, wide, &ranks, tables, sums),
        33..=64 => add_trees::<4>(group, wide, &ranks, tables, sums),
        65..=128 => add_trees::<MOST_TABLES>(group, wide, &ranks, tables, sums),
        _ => portable::walk(group, &ranks, sums),
    }
}

/// How many of these ascending thresholds are not above the value that all lanes hold.
#[target_feature(enable = "avx2")]
fn not_above(block: &[f32; BLOCK], value: __m256) -> u32 {
    let (low, high) = block.split_at(8);
    // SAFETY: either half has eight.
    let (low, high) = unsafe { (_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())) };
    let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(low, value));
    let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(high, value));
    // Those that are not above come first.
    (low | high << 8).trailing_ones()
}

#[target_feature(enable = "avx2")]
fn load(bytes: &Bytes) -> __m256i {
    // SAFETY: `Bytes` is 32 bytes, and aligned.
    unsafe { _mm256_load_si256((&raw const *bytes).cast()) }
}

/// Finds each tree's leaf by `TABLES` tables of 16 ranks, and adds the leaves in the order of the trees: as soon as they
/// are known, so that the sums, which wait for one another, are made beside the search in the next bundle.
#[target_feature(enable = "avx2")]
fn add_trees<const TABLES: usize>(
    group: &Group,
    wide: &WideGroup,
    ranks: &[u8; packed::MOST_SLOTS],
    tables: [__m256i; MOST_TABLES],
    sums: &mut [f32],
) {
    let mut numbers = Numbers([0; 32 * MOST_BUNDLES]);
    let (mut added, mut stretches) = (0, wide.stretches.iter());
    let mut stretch = stretches.next();
    for (index, bundle) in wide.bundles.iter().enumerate() {
        let lanes = wide.lanes[bundle.lanes..][..2 * ((1 << bundle.levels) - 1)].as_ptr();
        let decide = |place: usize| {
            // SAFETY: a bundle's lanes are two for each branch of its levels, as was just looked at.
            let (slots, below) = unsafe { (load(&*lanes.add(2 * place)), load(&*lanes.add(2 * place + 1))) };
            _mm256_cmpgt_epi8(below, pick::<TABLES>(tables, slots))
        };
        let found = leaf_numbers_of!(bundle.levels, decide);
        // SAFETY: these are 32 bytes.
        unsafe { _mm256_storeu_si256(numbers.0[32 * index..][..32].as_mut_ptr().cast(), found) }
        while let Some(Stretch { end, target, complete }) = stretch
            && added < bundle.ready
        {
            let ready = bundle.ready.min(*end);
            let mut sum = sums[*target];
            let (complete, others) = wide.summands[added..ready].split_at(if *complete { ready - added } else { 0 });
            for summand in others {
                let number = usize::from(numbers.0[usize::from(summand.place)]);
                let entry = group.entries[summand.forks as usize + number];
                sum += portable::walk_on(group, usize::from(summand.steps), entry, ranks);
            }
            for summand in complete {
                // SAFETY: `WideGroup::new` has checked that each place is one of a bundle's, and that as many forks as a
                // bundle of its levels has numbers are there.
                let fork = unsafe {
                    let number = *numbers.0.get_unchecked(usize::from(summand.place));
                    wide.forks.get_unchecked(summand.forks as usize + usize::from(number))
                };
                let Split { slot, below } = fork.split;
                sum += fork.leaves[usize::from(ranks[usize::from(slot)] >= below)];
            }
            sums[*target] = sum;
            added = ready;
            if ready == *end {
                stretch = stretches.next();
            }
        }
    }
}

/// The numbers of the leaves of all bundles.
#[repr(align(32))]
struct Numbers([u8; 32 * MOST_BUNDLES]);

/// The ranks in these slots: a shuffle looks at the lower four bits, the next ones say in which table.
#[target_feature(enable = "avx2")]
fn pick<const TABLES: usize>(tables: [__m256i; MOST_TABLES], slots: __m256i) -> __m256i {
    // Where eight tables are half of the slots, the eighth bit is there, for which a shuffle would give nothing.
    let slots = if TABLES == 8 { _mm256_and_si256(slots, _mm256_set1_epi8(127)) } else { slots };
    let found = |table: usize| _mm256_shuffle_epi8(tables[table], slots);
    if TABLES == 1 {
        return found(0);
    }
    let fifth = _mm256_slli_epi16::<3>(slots);
    let of_two = |first: usize| _mm256_blendv_epi8(found(first), found(first + 1), fifth);
    if TABLES == 2 {
        return of_two(0);
    }
    let sixth = _mm256_slli_epi16::<2>(slots);
    let of_four = |first: usize| _mm256_blendv_epi8(of_two(first), of_two(first + 2), sixth);
    if TABLES == 4 {
        return of_four(0);
    }
    _mm256_blendv_epi8(of_four(0), of_four(4), _mm256_slli_epi16::<1>(slots))
}

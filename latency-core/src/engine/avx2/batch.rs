//! Many rows: 32 of them in the lanes of a vector, tree after tree.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LE_OQ, _CMP_UNORD_Q, _mm_load_si128, _mm256_add_epi8, _mm256_add_epi32, _mm256_add_ps,
    _mm256_blendv_epi8, _mm256_blendv_ps, _mm256_broadcastsi128_si256, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_cmp_ps, _mm256_cmpgt_epi8, _mm256_i32gather_ps, _mm256_load_ps, _mm256_load_si256, _mm256_loadu_ps,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permutevar8x32_epi32, _mm256_permutevar8x32_ps, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_slli_epi32, _mm256_store_ps, _mm256_store_si256, _mm256_sub_epi32, _mm256_unpackhi_epi8,
    _mm256_unpackhi_epi16, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_xor_si256,
};

use super::super::packed::{Group, LEVELS, Packed, Ranker};
use super::NUMBERS;
use super::{Bytes, MOST_PLANE_DEPTH, Plane, SIGN, WideGroup, leaf_numbers, leaf_numbers_of};

/// Rows of a block: their ranks and sums, and a tree, stay in the first cache.
pub(super) const ROWS: usize = 32 * VECTORS;
const VECTORS: usize = 4;
/// Fewer are quicker one by one.
pub(super) const FEWEST_ROWS: usize = 16;

/// Eight sums.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Sums([f32; 8]);

/// What a block of rows needs: allocated once for all blocks.
pub(super) struct Block {
    targets: usize,
    /// By slot, then by row.
    ranks: Vec<Bytes>,
    /// By target, then by row in the order of `place`.
    sums: Vec<Sums>,
}

/// Where a row's sum lies: where unpacking bytes to floats puts it.
const fn place(row: usize) -> (usize, usize) {
    (row / 32 * 4 + row % 16 / 4, row % 4 + row % 32 / 16 * 4)
}

impl Block {
    pub fn new(targets: usize) -> Self {
        Self { targets, ranks: Vec::new(), sums: vec![Sums([0.0; 8]); targets * 4 * VECTORS] }
    }

    /// Adds what a group gives for up to `ROWS` rows.
    #[target_feature(enable = "avx2")]
    pub fn add(&mut self, group: &Group, wide: &WideGroup, matrix: &[f32], columns: usize, sums: &mut [f32]) {
        let rows = matrix.len() / columns;
        let vectors = rows.div_ceil(32);
        assert!(vectors <= VECTORS);
        let slots = group.slots.max(1) * VECTORS;
        if self.ranks.len() < slots {
            self.ranks.resize(slots, Bytes([0; 32]));
        }
        rank(group, matrix, columns, rows, &mut self.ranks);
        self.load(sums);
        for (index, tree) in group.trees.iter().enumerate() {
            let sums = &mut self.sums[tree.target * 4 * VECTORS..][..4 * VECTORS];
            add_tree(wide, index, tree, group, &self.ranks, vectors, sums);
        }
        self.store(sums);
    }

    fn load(&mut self, sums: &[f32]) {
        for (row, sums) in sums.chunks_exact(self.targets).enumerate() {
            let (vector, lane) = place(row);
            for (target, sum) in sums.iter().enumerate() {
                self.sums[target * 4 * VECTORS + vector].0[lane] = *sum;
            }
        }
    }

    fn store(&self, sums: &mut [f32]) {
        for (row, sums) in sums.chunks_exact_mut(self.targets).enumerate() {
            let (vector, lane) = place(row);
            for (target, sum) in sums.iter_mut().enumerate() {
                *sum = self.sums[target * 4 * VECTORS + vector].0[lane];
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn load(bytes: &Bytes) -> __m256i {
    // SAFETY: `Bytes` is 32 bytes, and aligned.
    unsafe { _mm256_load_si256((&raw const *bytes).cast()) }
}

#[target_feature(enable = "avx2")]
fn broadcast(plane: &Plane) -> __m256i {
    // SAFETY: `Plane` is 16 bytes, and aligned.
    _mm256_broadcastsi128_si256(unsafe { _mm_load_si128((&raw const *plane).cast()) })
}

/// Adds one tree's leaves to the sums of its target.
#[target_feature(enable = "avx2")]
fn add_tree(
    wide: &WideGroup,
    index: usize,
    tree: &Packed,
    group: &Group,
    all_ranks: &[Bytes],
    vectors: usize,
    sums: &mut [Sums],
) {
    let splits = wide.splits[tree.splits..].as_ptr();
    let ranks = all_ranks.as_ptr();
    for (vector, sums) in sums.chunks_exact_mut(4).take(vectors).enumerate() {
        let decide = |place: usize| {
            // SAFETY: `WideGroup::new` has checked that a tree's splits are there, and that their slots are among the
            // group's, for each of which `Block::add` has made room.
            let (split, rank) = unsafe {
                let split = *splits.add(place);
                (split, load(&*ranks.add(split.slot as usize * VECTORS + vector)))
            };
            _mm256_cmpgt_epi8(_mm256_set1_epi32(split.below.cast_signed()), rank)
        };
        let numbers = leaf_numbers_of!(tree.depth, decide);
        if !tree.is_complete() {
            let mut found = Bytes([0; 32]);
            store(&mut found, numbers);
            walk_on(group, tree, &found, &all_ranks[vector..], sums);
            continue;
        }
        let planes = &wide.planes[wide.first_planes[index]..];
        let found = match tree.depth {
            0..5 => unpack(by_planes_16(planes, numbers)),
            5 => unpack(by_planes_32(planes, numbers)),
            MOST_PLANE_DEPTH => unpack(by_planes_64(planes, numbers)),
            _ => by_gather(&group.leaves[tree.leaves..][..1 << tree.depth], numbers, tree.depth),
        };
        for (sum, found) in sums.iter_mut().zip(found) {
            // SAFETY: `Sums` is 32 bytes, and aligned.
            unsafe { _mm256_store_ps(sum.0.as_mut_ptr(), _mm256_add_ps(_mm256_load_ps(sum.0.as_ptr()), found)) }
        }
    }
}

/// Walks below the top of a tree, a step of all rows at a time, and adds the leaves.
fn walk_on(group: &Group, tree: &Packed, numbers: &Bytes, ranks: &[Bytes], sums: &mut [Sums]) {
    let entries = &group.entries[tree.leaves..][..1 << tree.depth];
    let mut places = numbers.0.map(|number| entries[usize::from(number)]);
    for _ in 0..tree.steps {
        let before = places;
        for (lane, place) in places.iter_mut().enumerate() {
            let step = group.steps[*place as usize];
            *place = step.from(*place, ranks[usize::from(step.slot) * VECTORS].0[lane] ^ SIGN);
        }
        if places == before {
            break;
        }
    }
    for (row, step) in places.into_iter().enumerate() {
        let (vector, lane) = place(row);
        sums[vector].0[lane] += group.step_leaves[step as usize];
    }
}

/// The four bytes of the leaves of these numbers, below 16.
#[target_feature(enable = "avx2")]
fn by_planes_16(planes: &[Plane], numbers: __m256i) -> [__m256i; 4] {
    let planes = &planes[..4];
    let mut bytes = [numbers; 4];
    for (byte, plane) in bytes.iter_mut().zip(planes) {
        *byte = _mm256_shuffle_epi8(broadcast(plane), numbers);
    }
    bytes
}

/// Likewise, below 32: a shuffle looks at the lower four bits, the fifth says in which of two tables.
#[target_feature(enable = "avx2")]
fn by_planes_32(planes: &[Plane], numbers: __m256i) -> [__m256i; 4] {
    let fifth = _mm256_slli_epi16::<3>(numbers);
    let mut bytes = [numbers; 4];
    for (byte, [a, b]) in bytes.iter_mut().zip(planes[..8].as_chunks().0) {
        let (a, b) = (_mm256_shuffle_epi8(broadcast(a), numbers), _mm256_shuffle_epi8(broadcast(b), numbers));
        *byte = _mm256_blendv_epi8(a, b, fifth);
    }
    bytes
}

/// Likewise, below 64.
#[target_feature(enable = "avx2")]
fn by_planes_64(planes: &[Plane], numbers: __m256i) -> [__m256i; 4] {
    let (fifth, sixth) = (_mm256_slli_epi16::<3>(numbers), _mm256_slli_epi16::<2>(numbers));
    let mut bytes = [numbers; 4];
    for (byte, [a, b, c, d]) in bytes.iter_mut().zip(planes[..16].as_chunks().0) {
        let (a, b) = (_mm256_shuffle_epi8(broadcast(a), numbers), _mm256_shuffle_epi8(broadcast(b), numbers));
        let (c, d) = (_mm256_shuffle_epi8(broadcast(c), numbers), _mm256_shuffle_epi8(broadcast(d), numbers));
        *byte = _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, fifth), _mm256_blendv_epi8(c, d, fifth), sixth);
    }
    bytes
}

/// Four bytes of 32 floats → the floats, in the order of `place`.
#[target_feature(enable = "avx2")]
fn unpack([a, b, c, d]: [__m256i; 4]) -> [__m256; 4] {
    let low = [_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d)];
    let high = [_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d)];
    [
        _mm256_castsi256_ps(_mm256_unpacklo_epi16(low[0], low[1])),
        _mm256_castsi256_ps(_mm256_unpackhi_epi16(low[0], low[1])),
        _mm256_castsi256_ps(_mm256_unpacklo_epi16(high[0], high[1])),
        _mm256_castsi256_ps(_mm256_unpackhi_epi16(high[0], high[1])),
    ]
}

/// The leaves of these numbers, in the order of `place`.
#[target_feature(enable = "avx2")]
fn by_gather(leaves: &[f32], numbers: __m256i, depth: usize) -> [__m256; 4] {
    assert_eq!(leaves.len(), 1 << depth);
    let zero = _mm256_setzero_si256();
    let mut found = unpack([numbers, zero, zero, zero]);
    for leaf in &mut found {
        // SAFETY: a tree of this depth has numbers below the length that was just looked at.
        *leaf = unsafe { _mm256_i32gather_ps::<4>(leaves.as_ptr(), _mm256_castps_si256(*leaf)) };
    }
    found
}

/// The ranks of all rows, by slot, with the sign changed.
#[target_feature(enable = "avx2")]
fn rank(group: &Group, matrix: &[f32], columns: usize, rows: usize, ranks: &mut [Bytes]) {
    for ranker in &group.rankers {
        let table = &group.tables[ranker.table..][..Ranker::table_size(ranker.levels)];
        for vector in 0..rows.div_ceil(32) {
            let mut values = [0.0; 32];
            let cells = matrix[32 * vector * columns + ranker.column..].iter().step_by(columns);
            values.iter_mut().zip(cells).for_each(|(value, cell)| *value = *cell);
            let mut loaded = [_mm256_setzero_ps(); 4];
            for (to, values) in loaded.iter_mut().zip(values.as_chunks::<8>().0) {
                // SAFETY: there are eight.
                *to = unsafe { _mm256_loadu_ps(values.as_ptr()) };
            }
            let values = loaded;
            let found = search(table, ranker.levels, values);
            if let Some(slot) = ranker.low {
                store(&mut ranks[usize::from(slot) * VECTORS + vector], to_bytes(found));
            }
            if let Some(slot) = ranker.high {
                let highest = _mm256_set1_epi32(255);
                let mut high = found;
                for (rank, value) in high.iter_mut().zip(values) {
                    let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
                    *rank = _mm256_blendv_epi8(*rank, highest, nan);
                }
                store(&mut ranks[usize::from(slot) * VECTORS + vector], to_bytes(high));
            }
        }
    }
}

/// 32 ranks as bytes with the sign changed, in their order, which packing mixes up.
#[target_feature(enable = "avx2")]
fn to_bytes([a, b, c, d]: [__m256i; 4]) -> __m256i {
    let packed = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_xor_si256(_mm256_permutevar8x32_epi32(packed, order), _mm256_set1_epi8(SIGN.cast_signed()))
}

#[target_feature(enable = "avx2")]
fn store(to: &mut Bytes, bytes: __m256i) {
    // SAFETY: `Bytes` is 32 bytes, and aligned.
    unsafe { _mm256_store_si256((&raw mut *to).cast(), bytes) }
}

/// `Ranker::rank` for 32 values: eight thresholds at a time lie in a register, and are picked by a permutation.
#[target_feature(enable = "avx2")]
fn search(table: &[f32], levels: usize, values: [__m256; 4]) -> [__m256i; 4] {
    let mut ranks = [_mm256_setzero_si256(); 4];
    for (level, first) in LEVELS[..levels].iter().enumerate() {
        let thresholds = &table[*first..];
        for (rank, value) in ranks.iter_mut().zip(values) {
            let threshold = match level {
                0..=3 => pick_8(thresholds, *rank),
                4 => pick_16(thresholds, *rank),
                5 => pick_32(thresholds, *rank),
                _ => pick(&thresholds[..1 << level], *rank, level),
            };
            let not_above = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LE_OQ>(threshold, value));
            *rank = _mm256_sub_epi32(_mm256_add_epi32(*rank, *rank), not_above);
        }
    }
    ranks
}

#[target_feature(enable = "avx2")]
fn pick_8(table: &[f32], places: __m256i) -> __m256 {
    let table = &table[..8];
    // SAFETY: there are eight.
    _mm256_permutevar8x32_ps(unsafe { _mm256_loadu_ps(table.as_ptr()) }, places)
}

/// A permutation looks at the lower three bits; the fourth is moved to where a blend looks.
#[target_feature(enable = "avx2")]
fn pick_16(table: &[f32], places: __m256i) -> __m256 {
    let fourth = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(places));
    _mm256_blendv_ps(pick_8(table, places), pick_8(&table[8..], places), fourth)
}

#[target_feature(enable = "avx2")]
fn pick_32(table: &[f32], places: __m256i) -> __m256 {
    let fifth = _mm256_castsi256_ps(_mm256_slli_epi32::<27>(places));
    _mm256_blendv_ps(pick_16(table, places), pick_16(&table[16..], places), fifth)
}

#[target_feature(enable = "avx2")]
fn pick(table: &[f32], places: __m256i, level: usize) -> __m256 {
    assert_eq!(table.len(), 1 << level);
    // SAFETY: at this level of a search, places are below the length that was just looked at.
    unsafe { _mm256_i32gather_ps::<4>(table.as_ptr(), places) }
}

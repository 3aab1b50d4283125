//! Trees that are not made complete: deeper than 8 branches, or with leaves that add to several targets. They are walked
//! node by node, on the values themselves.

use super::ensemble::{Ensemble, Node, Tree};

/// Consecutive trees of one model.
#[derive(Debug, Default)]
pub(super) struct Deep {
    roots: Vec<usize>,
    nodes: Vec<DeepNode>,
    weights: Vec<(usize, f32)>,
}

#[derive(Debug, Clone, Copy)]
struct DeepNode {
    /// The feature of a branch, the first weight of a leaf.
    index: u32,
    threshold: f32,
    /// Left and right; the number of weights, for a leaf.
    next: [u32; 2],
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Leaf,
    Branch { any_number: bool, nan_goes_left: bool },
}

impl Deep {
    pub fn push(&mut self, ensemble: &Ensemble, tree: &Tree) {
        self.roots.push(self.nodes.len());
        // Nodes lie in the order in which they are found; each leaves room for its parent to say where it is.
        let mut waiting = vec![(tree.root, None)];
        while let Some((index, parent)) = waiting.pop() {
            let place = self.nodes.len();
            if let Some((parent, side)) = parent {
                let parent: &mut DeepNode = &mut self.nodes[parent];
                parent.next[side] = place as u32;
            }
            self.nodes.push(match ensemble.nodes[index] {
                Node::Branch(branch) => {
                    waiting.extend([(branch.right, Some((place, 1))), (branch.left, Some((place, 0)))]);
                    DeepNode {
                        index: branch.feature as u32,
                        threshold: branch.threshold,
                        next: [0, 0],
                        kind: Kind::Branch { any_number: branch.any_number, nan_goes_left: branch.nan_goes_left },
                    }
                }
                Node::Leaf(first, count) => {
                    let start = self.weights.len() as u32;
                    self.weights.extend_from_slice(&ensemble.weights[first..first + count]);
                    DeepNode { index: start, threshold: 0.0, next: [count as u32, 0], kind: Kind::Leaf }
                }
            });
        }
    }

    /// Adds what all trees give for a row.
    pub fn add(&self, row: &[f32], sums: &mut [f32]) {
        for root in &self.roots {
            let mut node = &self.nodes[*root];
            while let Kind::Branch { any_number, nan_goes_left } = node.kind {
                let value = row[node.index as usize];
                let left = value < node.threshold || if value.is_nan() { nan_goes_left } else { any_number };
                node = &self.nodes[node.next[usize::from(!left)] as usize];
            }
            let first = node.index as usize;
            for (target, weight) in &self.weights[first..first + node.next[0] as usize] {
                sums[*target] += weight;
            }
        }
    }
}

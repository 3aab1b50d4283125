//! Trees, checked: every branch leads to two nodes of its tree, every leaf says what it adds.

use std::collections::HashMap;
use std::ops::Range;

use super::onnx::{Attributes, Mode, refuse};
use crate::error::Result;

/// More outputs than any model has.
const MOST_TARGETS: usize = 1 << 16;
/// Nodes are counted in 32 bits.
const MOST_NODES: usize = 1 << 30;

/// The trees of a model, in the order in which their leaves are added.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub targets: usize,
    /// Added to each target at the end: one each, or none.
    pub base: Vec<f32>,
    pub nodes: Vec<Node>,
    pub trees: Vec<Tree>,
    pub weights: Vec<Weight>,
}

/// What a leaf adds: the target, and how much.
pub(super) type Weight = (usize, f32);

#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Branch(Branch),
    /// The first and the number of its weights.
    Leaf(usize, usize),
}

/// A value goes left if it is less than the threshold, or equal to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch {
    pub feature: usize,
    pub threshold: f32,
    /// Only what equals the threshold goes left: a category.
    pub equal: bool,
    /// Every number goes left, infinity too, which is less than no threshold.
    pub any_number: bool,
    pub nan_goes_left: bool,
    pub left: usize,
    pub right: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub root: usize,
    /// Branches on the longest way to a leaf.
    pub depth: usize,
}

impl Ensemble {
    /// Checks a file's lists for a matrix of so many columns.
    pub fn new(file: &Attributes, columns: usize) -> Result<Self> {
        let targets = usize::try_from(file.n_targets).unwrap_or_default();
        if !(1..=MOST_TARGETS).contains(&targets) {
            return Err(refuse(&format!("n_targets = {}", file.n_targets), &format!("1 to {MOST_TARGETS}")));
        }
        if ![0, targets].contains(&file.base_values.len()) {
            let found = format!("{} base_values for {targets} targets", file.base_values.len());
            return Err(refuse(&found, "none, or one for each target"));
        }
        check_lengths(file)?;
        let trees = Trees::find(file)?;
        let (mut nodes, weights) = trees.leaves(file, targets)?;
        for (tree, run) in trees.runs.iter().enumerate() {
            for index in run.clone().filter(|index| file.nodes_modes[*index] != Mode::Leaf) {
                nodes[index] = Node::Branch(branch(file, &trees, tree, index, columns)?);
            }
        }
        let depths = depths(&nodes, &trees.runs)?;
        let tree = |(nodes, depth): (Range<usize>, usize)| Tree { root: nodes.start, depth };
        let ensemble = Self {
            targets,
            base: file.base_values.clone(),
            trees: trees.runs.into_iter().zip(depths).map(tree).collect(),
            nodes,
            weights,
        };
        ensemble.check_base()?;
        Ok(ensemble)
    }

    /// ONNX Runtime leaves out the base value where no leaf added anything to a target: a model whose answer depends on
    /// that is refused.
    fn check_base(&self) -> Result<()> {
        for (target, base) in self.base.iter().enumerate().filter(|(_, base)| **base != 0.0) {
            if !self.trees.iter().any(|tree| self.always_adds_to(tree, target)) {
                let found = format!("the base value {base} for target {target}, to which no tree always adds");
                return Err(refuse(&found, "a tree for it whose every leaf adds to it, or no base value"));
            }
        }
        Ok(())
    }

    fn always_adds_to(&self, tree: &Tree, target: usize) -> bool {
        let mut waiting = vec![tree.root];
        while let Some(index) = waiting.pop() {
            match self.nodes[index] {
                Node::Branch(branch) => waiting.extend([branch.left, branch.right]),
                Node::Leaf(first, count) => {
                    if !self.weights[first..first + count].iter().any(|(other, _)| *other == target) {
                        return false;
                    }
                }
            }
        }
        true
    }
}

fn check_lengths(file: &Attributes) -> Result<()> {
    let nodes = file.nodes_treeids.len();
    if !(1..=MOST_NODES).contains(&nodes) {
        return Err(refuse(&format!("{nodes} nodes"), &format!("1 to {MOST_NODES}")));
    }
    for (name, length) in [
        ("nodes_nodeids", file.nodes_nodeids.len()),
        ("nodes_featureids", file.nodes_featureids.len()),
        ("nodes_modes", file.nodes_modes.len()),
        ("nodes_values", file.nodes_values.len()),
        ("nodes_truenodeids", file.nodes_truenodeids.len()),
        ("nodes_falsenodeids", file.nodes_falsenodeids.len()),
    ] {
        if length != nodes {
            return Err(refuse(&format!("`{name}` of length {length} for {nodes} nodes"), "one entry for each node"));
        }
    }
    let tracks = file.nodes_missing_value_tracks_true.len();
    if ![0, nodes].contains(&tracks) {
        let found = format!("`nodes_missing_value_tracks_true` of length {tracks} for {nodes} nodes");
        return Err(refuse(&found, "none, or one entry for each node"));
    }
    let weights = file.target_weights.len();
    for (name, length) in [
        ("target_treeids", file.target_treeids.len()),
        ("target_nodeids", file.target_nodeids.len()),
        ("target_ids", file.target_ids.len()),
    ] {
        if length != weights {
            return Err(refuse(
                &format!("`{name}` of length {length} for {weights} weights"),
                "one entry for each weight",
            ));
        }
    }
    Ok(())
}

/// Where the nodes of each tree lie in the lists, and where each node is by its number.
struct Trees {
    runs: Vec<Range<usize>>,
    by_id: HashMap<i64, usize>,
    /// Numbers of nodes of the trees that do not simply count them.
    numbered: HashMap<usize, HashMap<i64, usize>>,
}

impl Trees {
    fn find(file: &Attributes) -> Result<Self> {
        let ids = &file.nodes_treeids;
        let mut found = Self { runs: Vec::new(), by_id: HashMap::new(), numbered: HashMap::new() };
        let mut start = 0;
        for run in ids.chunk_by(|a, b| a == b) {
            let (index, nodes) = (found.runs.len(), start..start + run.len());
            if found.by_id.insert(run[0], index).is_some() {
                return Err(refuse(
                    &format!("the nodes of tree {} in several places", run[0]),
                    "one tree after the other",
                ));
            }
            let numbers = &file.nodes_nodeids[nodes.clone()];
            if !numbers.iter().zip(0..).all(|(number, place)| *number == place) {
                let places: HashMap<_, _> = numbers.iter().copied().zip(nodes.clone()).collect();
                if places.len() < numbers.len() {
                    return Err(refuse(
                        &format!("a node's number twice in tree {}", run[0]),
                        "one number for each node",
                    ));
                }
                found.numbered.insert(index, places);
            }
            start = nodes.end;
            found.runs.push(nodes);
        }
        Ok(found)
    }

    /// The index of a tree's node, by its number.
    fn node(&self, tree: usize, number: i64) -> Option<usize> {
        if let Some(places) = self.numbered.get(&tree) {
            return places.get(&number).copied();
        }
        let run = &self.runs[tree];
        let index = run.start.checked_add(usize::try_from(number).ok()?)?;
        run.contains(&index).then_some(index)
    }

    /// All nodes, of which the leaves are right, and what these add.
    fn leaves(&self, file: &Attributes, targets: usize) -> Result<(Vec<Node>, Vec<Weight>)> {
        let mut entries = Vec::with_capacity(file.target_weights.len());
        let ids = file.target_treeids.iter().zip(&file.target_nodeids);
        let mut last = None;
        for ((tree, node), (target, weight)) in ids.zip(file.target_ids.iter().zip(&file.target_weights)) {
            // Most often the same tree as before.
            if last.is_none_or(|(id, _)| id != *tree) {
                last = self.by_id.get(tree).map(|index| (*tree, *index));
            }
            let index = last.and_then(|(_, tree)| self.node(tree, *node));
            let Some(index) = index.filter(|index| file.nodes_modes[*index] == Mode::Leaf) else {
                return Err(refuse(
                    &format!("a weight for node {node} of tree {tree}, which is no leaf"),
                    "weights of leaves",
                ));
            };
            let Some(target) = usize::try_from(*target).ok().filter(|target| *target < targets) else {
                return Err(refuse(&format!("a weight for target {target}"), &format!("0 to {}", targets - 1)));
            };
            if !weight.is_finite() {
                return Err(refuse(&format!("the weight {weight} in tree {tree}"), "finite numbers"));
            }
            entries.push((index, target, *weight));
        }
        entries.sort_by_key(|(index, target, _)| (*index, *target));
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 == pair[1].1) {
            let found = format!("two weights of one leaf for target {}", twice[0].1);
            return Err(refuse(&found, "one weight of a leaf for each target"));
        }
        let mut nodes = vec![Node::Leaf(0, 0); file.nodes_treeids.len()];
        let mut first = 0;
        for weights in entries.chunk_by(|a, b| a.0 == b.0) {
            nodes[weights[0].0] = Node::Leaf(first, weights.len());
            first += weights.len();
        }
        if let Some(index) = (0..nodes.len())
            .find(|index| file.nodes_modes[*index] == Mode::Leaf && matches!(nodes[*index], Node::Leaf(_, 0)))
        {
            let (node, tree) = (file.nodes_nodeids[index], file.nodes_treeids[index]);
            return Err(refuse(
                &format!("no weight for leaf {node} of tree {tree}"),
                "at least one weight for each leaf",
            ));
        }
        Ok((nodes, entries.into_iter().map(|(_, target, weight)| (target, weight)).collect()))
    }
}

fn branch(file: &Attributes, trees: &Trees, tree: usize, index: usize, columns: usize) -> Result<Branch> {
    let (tree_id, node, found) = (file.nodes_treeids[index], file.nodes_nodeids[index], file.nodes_values[index]);
    let child = |number: i64| {
        // Nothing leads back to the root, which is the first.
        trees.node(tree, number).filter(|child| *child != trees.runs[tree].start).ok_or_else(|| {
            refuse(&format!("node {node} of tree {tree_id} leading to node {number}"), "another node of the same tree")
        })
    };
    let feature = file.nodes_featureids[index];
    let Some(feature) = usize::try_from(feature).ok().filter(|feature| *feature < columns) else {
        return Err(refuse(&format!("a branch on feature {feature}"), &format!("0 to {}", columns - 1)));
    };
    if found.is_nan() {
        return Err(refuse(&format!("NaN as the threshold of node {node} of tree {tree_id}"), "numbers"));
    }
    let (yes, no) = (child(file.nodes_truenodeids[index])?, child(file.nodes_falsenodeids[index])?);
    let mode = file.nodes_modes[index];
    // NaN is unequal to every number, whatever the list says.
    let nan_is_yes =
        mode == Mode::NotEqual || file.nodes_missing_value_tracks_true.get(index).is_some_and(|tracks| *tracks != 0);
    // `x <= t` is `x < the next number after t`, and what is greater goes the other way.
    let or_equal = matches!(mode, Mode::LessOrEqual | Mode::Greater);
    let swapped = matches!(mode, Mode::Greater | Mode::GreaterOrEqual | Mode::NotEqual);
    Ok(Branch {
        feature,
        threshold: if or_equal { found.next_up() } else { found },
        equal: matches!(mode, Mode::Equal | Mode::NotEqual),
        any_number: or_equal && found == f32::INFINITY,
        nan_goes_left: nan_is_yes != swapped,
        left: if swapped { no } else { yes },
        right: if swapped { yes } else { no },
    })
}

/// Walks each tree from its root: a node must not be reached by two ways. Gives the depth of each tree. A node that is not
/// reached at all does no harm: pruning leaves some behind.
fn depths(nodes: &[Node], trees: &[Range<usize>]) -> Result<Vec<usize>> {
    let mut reached = vec![false; nodes.len()];
    let mut waiting = Vec::new();
    trees
        .iter()
        .map(|tree| {
            let mut deepest = 0;
            waiting.push((tree.start, 0));
            while let Some((index, depth)) = waiting.pop() {
                if std::mem::replace(&mut reached[index], true) {
                    return Err(refuse(
                        "a node that is reached by two ways",
                        "one way from the first node to each other",
                    ));
                }
                deepest = deepest.max(depth);
                if let Node::Branch(branch) = &nodes[index] {
                    waiting.extend([(branch.left, depth + 1), (branch.right, depth + 1)]);
                }
            }
            Ok(deepest)
        })
        .collect()
}

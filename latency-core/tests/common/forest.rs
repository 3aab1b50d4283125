//! Random trees, and the ONNX file of them: for tests and benchmarks of the engines.

use super::onnx::{Graph, float_list, integer, integers, matrix, string, strings};

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[allow(clippy::cast_possible_truncation)] // Less than `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// From -1 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

/// The lists of a `TreeEnsembleRegressor`.
#[derive(Debug, Default, Clone)]
pub struct Forest {
    pub columns: usize,
    pub targets: usize,
    pub base: Vec<f32>,
    pub tree_ids: Vec<u64>,
    pub node_ids: Vec<u64>,
    pub features: Vec<u64>,
    pub modes: Vec<&'static str>,
    pub values: Vec<f32>,
    pub yes: Vec<u64>,
    pub no: Vec<u64>,
    pub missing: Vec<u64>,
    pub weight_trees: Vec<u64>,
    pub weight_nodes: Vec<u64>,
    pub weight_targets: Vec<u64>,
    pub weights: Vec<f32>,
}

/// How random trees are to be.
#[derive(Debug, Clone)]
pub struct Shape {
    pub trees: usize,
    pub columns: usize,
    pub targets: usize,
    pub depth: usize,
    /// Branches of a tree at most.
    pub branches: usize,
    /// How often a branch ends before the depth, in percent.
    pub ends: usize,
    /// Thresholds to choose from, by feature; of any other number if empty.
    pub thresholds: Vec<Vec<f32>>,
    pub modes: &'static [&'static str],
    /// How often NaN goes the way of what is true, in percent.
    pub missing: usize,
    /// Whether each leaf adds to several targets.
    pub several_targets: bool,
    pub base: bool,
}

impl Forest {
    pub fn random(shape: &Shape, random: &mut Random) -> Self {
        let mut forest = Self { columns: shape.columns, targets: shape.targets, ..Self::default() };
        // A base value is refused for a target without a tree.
        if shape.base && shape.trees >= shape.targets {
            forest.base = (0..shape.targets).map(|_| random.unit()).collect();
        }
        for tree in 0..shape.trees {
            let in_turn = tree < shape.targets || random.chance(50);
            let target = if in_turn { tree % shape.targets } else { random.below(shape.targets) };
            forest.push_tree(shape, tree as u64, target as u64, random);
        }
        forest
    }

    fn push_tree(&mut self, shape: &Shape, tree: u64, target: u64, random: &mut Random) {
        let start = self.tree_ids.len();
        let mut branches = 0;
        let mut waiting = std::collections::VecDeque::from([(0, 0)]);
        self.push_node(tree, 0);
        while let Some((node, depth)) = waiting.pop_front() {
            let index = start + node;
            if depth == shape.depth || branches == shape.branches || random.chance(shape.ends) {
                self.modes[index] = "LEAF";
                self.push_weights(shape, tree, node as u64, target, random);
                continue;
            }
            branches += 1;
            let feature = random.below(shape.columns);
            let choices = shape.thresholds.get(feature).filter(|choices| !choices.is_empty());
            self.features[index] = feature as u64;
            self.modes[index] = shape.modes[random.below(shape.modes.len())];
            self.values[index] = match choices {
                Some(choices) => choices[random.below(choices.len())],
                None => random.unit(),
            };
            self.missing[index] = u64::from(random.chance(shape.missing));
            let next_node = self.tree_ids.len() - start;
            let next = next_node as u64;
            (self.yes[index], self.no[index]) = if random.chance(50) { (next, next + 1) } else { (next + 1, next) };
            self.push_node(tree, next);
            self.push_node(tree, next + 1);
            waiting.extend([(next_node, depth + 1), (next_node + 1, depth + 1)]);
        }
    }

    fn push_node(&mut self, tree: u64, node: u64) {
        self.tree_ids.push(tree);
        self.node_ids.push(node);
        self.modes.push("");
        self.values.push(0.0);
        for list in [&mut self.features, &mut self.yes, &mut self.no, &mut self.missing] {
            list.push(0);
        }
    }

    fn push_weights(&mut self, shape: &Shape, tree: u64, node: u64, target: u64, random: &mut Random) {
        let targets = if shape.several_targets { (0..shape.targets as u64).collect() } else { vec![target] };
        for target in targets {
            self.weight_trees.push(tree);
            self.weight_nodes.push(node);
            self.weight_targets.push(target);
            self.weights.push(random.unit() * [1.0, 1e-3, 1e4][random.below(3)]);
        }
    }

    /// The node as a graph, its columns named `x` and `y`.
    pub fn graph(&self) -> Graph<'static> {
        let mut attributes = vec![
            integer("n_targets", self.targets as u64),
            integers("nodes_treeids", &self.tree_ids),
            integers("nodes_nodeids", &self.node_ids),
            integers("nodes_featureids", &self.features),
            strings("nodes_modes", &self.modes),
            float_list("nodes_values", &self.values),
            integers("nodes_truenodeids", &self.yes),
            integers("nodes_falsenodeids", &self.no),
            integers("nodes_missing_value_tracks_true", &self.missing),
            integers("target_treeids", &self.weight_trees),
            integers("target_nodeids", &self.weight_nodes),
            integers("target_ids", &self.weight_targets),
            float_list("target_weights", &self.weights),
            string("aggregate_function", "SUM"),
            string("post_transform", "NONE"),
        ];
        if !self.base.is_empty() {
            attributes.push(float_list("base_values", &self.base));
        }
        Graph {
            operation: "TreeEnsembleRegressor",
            domain: "ai.onnx.ml",
            attributes,
            inputs: vec![matrix("x", self.columns as u64)],
            outputs: vec![matrix("y", self.targets as u64)],
        }
    }
}

//! Small ONNX files, written by hand: one node, and metadata.

#![allow(dead_code)] // Whoever uses it uses a part of it.

/// A graph with one node between `inputs` and `outputs`; the node's name of operation, and its attributes.
pub struct Graph<'a> {
    pub operation: &'a str,
    /// Empty: ONNX's own.
    pub domain: &'a str,
    pub attributes: Vec<Vec<u8>>,
    pub inputs: Vec<Matrix<'a>>,
    pub outputs: Vec<Matrix<'a>>,
}

/// A tensor's name, its ONNX element type, and its dimensions; `None` is any size.
pub struct Matrix<'a> {
    pub name: &'a str,
    pub element: u64,
    pub shape: Vec<Option<u64>>,
}

/// ONNX's number for f32.
pub const F32: u64 = 1;
/// ONNX's number for f64.
pub const F64: u64 = 11;

/// Any number of rows of `columns` f32.
pub fn matrix(name: &str, columns: u64) -> Matrix<'_> {
    Matrix { name, element: F32, shape: vec![None, Some(columns)] }
}

/// What goes in comes out.
pub fn identity(columns: u64) -> Graph<'static> {
    Graph {
        operation: "Identity",
        domain: "",
        attributes: Vec::new(),
        inputs: vec![matrix("x", columns)],
        outputs: vec![matrix("y", columns)],
    }
}

/// An attribute of a node that is a list of integers.
pub fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    let values = values.iter().flat_map(|value| number(8, *value));
    [text(1, name), values.collect(), number(20, 7)].concat()
}

/// An attribute of a node that is one integer.
pub fn integer(name: &str, value: u64) -> Vec<u8> {
    [text(1, name), number(3, value), number(20, 2)].concat()
}

/// An attribute of a node that is a list of floats.
pub fn float_list(name: &str, values: &[f32]) -> Vec<u8> {
    let values = values.iter().flat_map(|value| [varint(7 << 3 | 5), value.to_le_bytes().to_vec()].concat());
    [text(1, name), values.collect(), number(20, 6)].concat()
}

/// An attribute of a node that is a text.
pub fn string(name: &str, value: &str) -> Vec<u8> {
    [text(1, name), text(4, value), number(20, 3)].concat()
}

/// An attribute of a node that is a list of texts.
pub fn strings(name: &str, values: &[&str]) -> Vec<u8> {
    [text(1, name), values.iter().flat_map(|value| text(9, value)).collect(), number(20, 8)].concat()
}

impl Graph<'_> {
    /// The file, with this text under the metadata key `latency.schema`.
    pub fn with_schema(&self, schema: &str) -> Vec<u8> {
        [self.file(), message(14, &[text(1, "latency.schema"), text(2, schema)].concat())].concat()
    }

    /// The file without metadata.
    pub fn file(&self) -> Vec<u8> {
        let names = |field, tensors: &[Matrix]| tensors.iter().flat_map(|t| text(field, t.name)).collect::<Vec<_>>();
        let node = [
            names(1, &self.inputs),
            names(2, &self.outputs),
            text(4, self.operation),
            text(7, self.domain),
            self.attributes.iter().flat_map(|attribute| message(5, attribute)).collect(),
        ];
        let values = |field, tensors: &[Matrix]| {
            tensors.iter().flat_map(|tensor| message(field, &tensor.value())).collect::<Vec<_>>()
        };
        let graph = [message(1, &node.concat()), text(2, "graph"), values(11, &self.inputs), values(12, &self.outputs)];
        let versions = [message(8, &number(2, 11)), message(8, &[text(1, "ai.onnx.ml"), number(2, 3)].concat())];
        [number(1, 8), message(7, &graph.concat()), versions.concat()].concat()
    }
}

impl Matrix<'_> {
    fn value(&self) -> Vec<u8> {
        let dimension = |size: &Option<u64>| size.map_or_else(|| text(2, "rows"), |size| number(1, size));
        let shape: Vec<u8> = self.shape.iter().flat_map(|size| message(1, &dimension(size))).collect();
        let tensor = message(1, &[number(1, self.element), message(2, &shape)].concat());
        [text(1, self.name), message(2, &tensor)].concat()
    }
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

fn message(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

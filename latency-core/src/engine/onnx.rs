//! An ONNX file with one `TreeEnsembleRegressor` → the lists of its attributes, its columns and its metadata.

use super::wire::{Fields, Malformed, Value, push_floats, push_integers};
use crate::error::{Error, ErrorKind, Result};

/// Wider than any model; a width is kept as an index.
const MOST_COLUMNS: usize = 1 << 16;

/// What a branch does, or that it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Leaf,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The file, as it says of itself.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The text under the metadata key that was asked for.
    pub metadata: Option<String>,
    pub inputs: usize,
    pub outputs: usize,
    pub trees: Attributes,
}

/// The attributes of the operator, by its names for them. Nothing is checked but their types.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub n_targets: i64,
    pub nodes_treeids: Vec<i64>,
    pub nodes_nodeids: Vec<i64>,
    pub nodes_featureids: Vec<i64>,
    pub nodes_modes: Vec<Mode>,
    pub nodes_values: Vec<f32>,
    pub nodes_truenodeids: Vec<i64>,
    pub nodes_falsenodeids: Vec<i64>,
    pub nodes_missing_value_tracks_true: Vec<i64>,
    pub target_treeids: Vec<i64>,
    pub target_nodeids: Vec<i64>,
    pub target_ids: Vec<i64>,
    pub target_weights: Vec<f32>,
    pub base_values: Vec<f32>,
}

/// The error for a file that the native engine does not take: what was found, and what is allowed.
pub(super) fn refuse(found: &str, allowed: &str) -> Error {
    Error::new(
        ErrorKind::InvalidModel,
        format!(
            "the native engine cannot run this model: found {found}; allowed: {allowed}; write the model with \
             `latency train`, or choose the engine `onnxruntime`"
        ),
    )
}

fn malformed(_: Malformed) -> Error {
    Error::new(
        ErrorKind::InvalidModel,
        "the file is not an ONNX model, or is cut short: its bytes are no protobuf message; allowed: a whole .onnx file; \
         check its SHA-256, or write it again with `latency train`",
    )
}

const ONE_GRAPH: &str =
    "one graph of one `TreeEnsembleRegressor`, f32 matrix in, f32 matrix out, as `latency train` writes";

/// Reads a file; `key` is the metadata entry to keep.
pub(super) fn read(file: &[u8], key: &str) -> Result<File> {
    let (mut graph, mut metadata) = (None, None);
    for field in Fields::new(file) {
        match field.map_err(malformed)? {
            (7, Value::Bytes(_)) if graph.is_some() => return Err(refuse("two graphs", ONE_GRAPH)),
            (7, Value::Bytes(found)) => graph = Some(found),
            (14, Value::Bytes(entry)) if text(entry, 1)? == Some(key.as_bytes()) => {
                let found = text(entry, 2)?.unwrap_or_default();
                let found = str::from_utf8(found)
                    .map_err(|error| refuse("metadata that is not UTF-8", "UTF-8").with_source(error))?;
                metadata = Some(found.to_owned());
            }
            _ => {}
        }
    }
    let graph = graph.ok_or_else(|| refuse("no graph", ONE_GRAPH))?;
    Ok(File { metadata, ..read_graph(graph)? })
}

/// The last bytes of this field in a message.
fn text(message: &[u8], number: u32) -> Result<Option<&[u8]>> {
    let mut found = None;
    for field in Fields::new(message) {
        if let (other, Value::Bytes(bytes)) = field.map_err(malformed)?
            && other == number
        {
            found = Some(bytes);
        }
    }
    Ok(found)
}

/// An attribute's name, which stands before its list, so that the list is not looked through for it.
fn name_of(attribute: &[u8]) -> Result<&[u8]> {
    match Fields::new(attribute).next().transpose().map_err(malformed)? {
        Some((1, Value::Bytes(name))) => Ok(name),
        _ => Err(refuse("an attribute that does not begin with its name", "each with its name first")),
    }
}

/// A name in a message to users: as much as one can read.
fn shown(name: &[u8]) -> String {
    let name: String = String::from_utf8_lossy(name).chars().take(60).collect();
    format!("`{}`", name.escape_debug())
}

fn read_graph(graph: &[u8]) -> Result<File> {
    let (mut nodes, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    for field in Fields::new(graph) {
        let (list, found) = match field.map_err(malformed)? {
            (1, Value::Bytes(node)) => (&mut nodes, node),
            (11, Value::Bytes(input)) => (&mut inputs, input),
            (12, Value::Bytes(output)) => (&mut outputs, output),
            (5 | 15, _) => return Err(refuse("a graph with constants (initializers)", ONE_GRAPH)),
            _ => continue,
        };
        // One of each is allowed; of more, only their number counts.
        if list.len() < 100 {
            list.push(found);
        }
    }
    let one = |list: &[&'_ [u8]], what: &str| match list {
        [_] => Ok(()),
        several => Err(refuse(&format!("a graph with {} {what}", several.len()), ONE_GRAPH)),
    };
    one(&inputs, "inputs")?;
    one(&outputs, "outputs")?;
    one(&nodes, "operators")?;
    let (input, output) = (Matrix::read(inputs[0], "input")?, Matrix::read(outputs[0], "output")?);
    let trees = read_node(nodes[0], input.name, output.name)?;
    Ok(File { metadata: None, inputs: input.columns, outputs: output.columns, trees })
}

/// A matrix that goes in or comes out.
struct Matrix<'a> {
    name: &'a [u8],
    columns: usize,
}

impl<'a> Matrix<'a> {
    fn read(value: &'a [u8], side: &str) -> Result<Self> {
        let name = text(value, 1)?.unwrap_or_default();
        let tensor = text(value, 2)?.map_or(Ok(None), |kind| text(kind, 1))?;
        let Some(tensor) = tensor else {
            return Err(refuse(&format!("an {side} that is no tensor"), ONE_GRAPH));
        };
        let (mut element, mut shape) = (0, None);
        for field in Fields::new(tensor) {
            match field.map_err(malformed)? {
                (1, Value::Integer(found)) => element = found,
                (2, Value::Bytes(found)) => shape = Some(found),
                _ => {}
            }
        }
        if element != 1 {
            return Err(refuse(&format!("an {side} of ONNX's element type {element}"), "f32, which is type 1"));
        }
        let (mut dimensions, mut last) = (0_usize, None);
        for field in Fields::new(shape.unwrap_or_default()) {
            let (1, Value::Bytes(dimension)) = field.map_err(malformed)? else { continue };
            dimensions += 1;
            last = None;
            for field in Fields::new(dimension) {
                if let (1, Value::Integer(size)) = field.map_err(malformed)? {
                    last = usize::try_from(size).ok();
                }
            }
        }
        match last {
            Some(columns) if dimensions == 2 && (1..=MOST_COLUMNS).contains(&columns) => Ok(Self { name, columns }),
            _ => {
                let last = last.map_or("a size that is not given".to_owned(), |columns| columns.to_string());
                Err(refuse(
                    &format!("an {side} of {dimensions} dimensions, the last of {last}"),
                    &format!("any number of rows with 1 to {MOST_COLUMNS} columns"),
                ))
            }
        }
    }
}

fn read_node(node: &[u8], input: &[u8], output: &[u8]) -> Result<Attributes> {
    let (mut inputs, mut outputs, mut operation, mut domain) = (Vec::new(), Vec::new(), b"".as_slice(), b"".as_slice());
    let mut attributes = Vec::new();
    for field in Fields::new(node) {
        match field.map_err(malformed)? {
            (1, Value::Bytes(name)) if inputs.len() < 2 => inputs.push(name),
            (2, Value::Bytes(name)) if outputs.len() < 2 => outputs.push(name),
            (4, Value::Bytes(name)) => operation = name,
            (5, Value::Bytes(attribute)) if attributes.len() < 100 => attributes.push(attribute),
            (7, Value::Bytes(name)) => domain = name,
            _ => {}
        }
    }
    if operation != b"TreeEnsembleRegressor" || domain != b"ai.onnx.ml" {
        let found = format!("the operator {} of the domain {}", shown(operation), shown(domain));
        return Err(refuse(&found, "`TreeEnsembleRegressor` of `ai.onnx.ml`"));
    }
    if inputs != [input] || outputs != [output] {
        return Err(refuse("an operator that is not joined to the graph's input and output", ONE_GRAPH));
    }
    let mut read = Attributes { n_targets: 1, ..Attributes::default() };
    let mut seen = Vec::new();
    for attribute in attributes {
        let name = name_of(attribute)?;
        if seen.contains(&name) {
            return Err(refuse(&format!("the attribute {} twice", shown(name)), "each attribute once"));
        }
        seen.push(name);
        read.read(name, attribute)?;
    }
    Ok(read)
}

impl Attributes {
    fn read(&mut self, name: &[u8], attribute: &[u8]) -> Result<()> {
        match name {
            b"n_targets" => self.n_targets = integer(attribute)?,
            b"nodes_treeids" => self.nodes_treeids = integers(attribute)?,
            b"nodes_nodeids" => self.nodes_nodeids = integers(attribute)?,
            b"nodes_featureids" => self.nodes_featureids = integers(attribute)?,
            b"nodes_modes" => self.nodes_modes = modes(attribute)?,
            b"nodes_values" => self.nodes_values = floats(attribute)?,
            b"nodes_truenodeids" => self.nodes_truenodeids = integers(attribute)?,
            b"nodes_falsenodeids" => self.nodes_falsenodeids = integers(attribute)?,
            b"nodes_missing_value_tracks_true" => self.nodes_missing_value_tracks_true = integers(attribute)?,
            b"target_treeids" => self.target_treeids = integers(attribute)?,
            b"target_nodeids" => self.target_nodeids = integers(attribute)?,
            b"target_ids" => self.target_ids = integers(attribute)?,
            b"target_weights" => self.target_weights = floats(attribute)?,
            b"base_values" => self.base_values = floats(attribute)?,
            // How often a branch was taken: nothing depends on it.
            b"nodes_hitrates" => {}
            b"aggregate_function" => only(attribute, name, "SUM")?,
            b"post_transform" => only(attribute, name, "NONE")?,
            _ => {
                let allowed = "the attributes of f32 trees: nodes_*, target_*, n_targets, base_values, aggregate_function, \
                               post_transform";
                return Err(refuse(&format!("the attribute {}", shown(name)), allowed));
            }
        }
        Ok(())
    }
}

fn integer(attribute: &[u8]) -> Result<i64> {
    let mut found = 0;
    for field in Fields::new(attribute) {
        if let (3, Value::Integer(value)) = field.map_err(malformed)? {
            found = value.cast_signed();
        }
    }
    Ok(found)
}

fn integers(attribute: &[u8]) -> Result<Vec<i64>> {
    // A guess by the bytes that are there: four for each.
    let (mut list, mut fields) = (Vec::with_capacity(attribute.len() / 4), Fields::new(attribute));
    loop {
        while let Some(value) = fields.next_integer(8).map_err(malformed)? {
            list.push(value.cast_signed());
        }
        match fields.next().transpose().map_err(malformed)? {
            Some((8, value)) => push_integers(value, &mut list).map_err(malformed)?,
            Some(_) => {}
            None => return Ok(list),
        }
    }
}

fn floats(attribute: &[u8]) -> Result<Vec<f32>> {
    // Five bytes for each.
    let (mut list, mut fields) = (Vec::with_capacity(attribute.len() / 5), Fields::new(attribute));
    loop {
        while let Some(value) = fields.next_float(7).map_err(malformed)? {
            list.push(value);
        }
        match fields.next().transpose().map_err(malformed)? {
            Some((7, value)) => push_floats(value, &mut list).map_err(malformed)?,
            Some(_) => {}
            None => return Ok(list),
        }
    }
}

fn modes(attribute: &[u8]) -> Result<Vec<Mode>> {
    let mut list = Vec::new();
    for field in Fields::new(attribute) {
        let (9, Value::Bytes(word)) = field.map_err(malformed)? else { continue };
        list.push(match word {
            b"LEAF" => Mode::Leaf,
            b"BRANCH_LT" => Mode::Less,
            b"BRANCH_LEQ" => Mode::LessOrEqual,
            b"BRANCH_GT" => Mode::Greater,
            b"BRANCH_GTE" => Mode::GreaterOrEqual,
            b"BRANCH_EQ" => Mode::Equal,
            b"BRANCH_NEQ" => Mode::NotEqual,
            other => {
                let allowed = "`BRANCH_LT`, `BRANCH_LEQ`, `BRANCH_GT`, `BRANCH_GTE`, `BRANCH_EQ`, `BRANCH_NEQ`, `LEAF`";
                return Err(refuse(&format!("a node of the mode {}", shown(other)), allowed));
            }
        });
    }
    Ok(list)
}

/// An attribute of text that may have one value.
fn only(attribute: &[u8], name: &[u8], allowed: &str) -> Result<()> {
    let found = text(attribute, 4)?.unwrap_or_default();
    if found == allowed.as_bytes() {
        return Ok(());
    }
    Err(refuse(&format!("{} for {}", shown(found), shown(name)), allowed))
}

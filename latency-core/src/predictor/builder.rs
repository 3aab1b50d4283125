//! From a model file to a predictor: reading, loading, checking.

#[cfg(feature = "onnxruntime")]
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::thread;

use sha2::{Digest, Sha256};

use super::{Inner, Predictor, share};
use crate::encode::Encoder;
use crate::engine::{Engine, EngineOptions, Trees};
use crate::error::{Error, ErrorGroup, ErrorKind, Result};
use crate::features::FeaturePlan;
use crate::model_info::ModelInfo;
use crate::notes::NotePlan;
use crate::prediction::Calibration;
use crate::row::Row;
#[cfg(feature = "onnxruntime")]
use crate::runtime::{HostEnvironment, RuntimeOptions};
use crate::schema::{METADATA_KEY, Schema};

/// The bundled model's file.
#[cfg(feature = "bundled-model")]
pub(super) const BUNDLED_MODEL: &[u8] = include_bytes!("../../assets/latency.onnx");

/// Relative tolerance of golden rows: a model must load on every CPU, and CPUs differ in the last bits of ONNX Runtime's
/// sums.
const GOLDEN_TOLERANCE: f64 = 1e-5;

/// Says which model to load, and how to run it.
///
/// ```
/// use latency_core::Predictor;
/// # fn main() -> latency_core::Result<()> {
/// let predictor = Predictor::builder().bytes(Predictor::bundled_model()).sessions(4).build()?;
/// assert_eq!(predictor.model_info().name, "latency");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PredictorBuilder {
    model: ModelSource,
    options: EngineOptions,
    check_golden_rows: bool,
}

#[derive(Clone)]
enum ModelSource {
    /// The bundled model, if this build has one.
    Default,
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl fmt::Debug for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl PredictorBuilder {
    /// The default model with default options.
    pub(super) fn default_model() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            model: ModelSource::Default,
            options: EngineOptions {
                engine: None,
                sessions: cores,
                threads: 1,
                #[cfg(feature = "onnxruntime")]
                runtime: RuntimeOptions::default(),
            },
            check_golden_rows: true,
        }
    }

    /// Loads this file instead of the bundled model.
    ///
    /// ```no_run
    /// use latency_core::{Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// // As `latency train --data` writes it; its fields are the columns of the table.
    /// let predictor = Predictor::builder().file("mine.onnx").build()?;
    /// let row = Row::new().with("hops", 5).with("link", "fibre");
    /// println!("{} ms", predictor.predict(&row)?.p50_ms);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn file(mut self, path: impl AsRef<FilePath>) -> Self {
        self.model = ModelSource::File(path.as_ref().to_path_buf());
        self
    }

    /// Loads these bytes instead of the bundled model.
    ///
    /// ```
    /// use latency_core::{ErrorKind, Predictor};
    ///
    /// let error = Predictor::builder().bytes(*b"not a model").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidModel);
    /// ```
    #[must_use]
    pub fn bytes(mut self, model: impl Into<Vec<u8>>) -> Self {
        self.model = ModelSource::Bytes(model.into());
        self
    }

    /// What evaluates the trees. Default: what the environment variable `LATENCY_ENGINE` says, else ONNX Runtime if this
    /// build has it.
    ///
    /// ```
    /// use latency_core::{Engine, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// // Needs no library, and loads in a millisecond or two.
    /// let predictor = Predictor::builder().engine(Engine::Native).build()?;
    /// assert_eq!(predictor.model_info().engine, "native");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.options.engine = Some(engine);
        self
    }

    /// How many calls ONNX Runtime can run at the same time; default: one per core. The native engine has no limit.
    ///
    /// ```
    /// use latency_core::{Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = Predictor::builder().sessions(2).build()?;
    /// let path = Path::between("London", "Tokyo")?;
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         // Two of the four predict at once, the others wait.
    ///         scope.spawn(|| predictor.predict(&path).map(|prediction| prediction.p50_ms));
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sessions(mut self, sessions: usize) -> Self {
        self.options.sessions = sessions.max(1);
        self
    }

    /// Threads inside one call; default 1. ONNX Runtime's sums may differ in their last bits with more; the native engine
    /// gives the same bits with any number, and shares out the whole work of a batch, features and quantiles too.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// // For one large batch at a time.
    /// let predictor = Predictor::builder().sessions(1).threads(2).build()?;
    /// let batch = Batch::new().with("src", ["London"; 1000]).with("dst", ["Tokyo"; 1000]);
    /// assert_eq!(predictor.predict_batch(&batch)?.len(), 1000);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// The ONNX Runtime library to load: an absolute path. It wins over `LATENCY_ORT_DYLIB_PATH` and `ORT_DYLIB_PATH`.
    ///
    /// ```
    /// use latency_core::{ErrorKind, Predictor};
    ///
    /// let error = Predictor::builder().library("libonnxruntime.so").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::RuntimeNotLoaded);
    /// println!("{error}");
    /// ```
    #[cfg(feature = "load-dynamic")]
    #[must_use]
    pub fn library(mut self, path: impl AsRef<FilePath>) -> Self {
        self.options.runtime.library.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// A folder to look for the ONNX Runtime library in, if neither [`library`](Self::library) nor the environment names
    /// one: how bindings name the copy that their package brings.
    ///
    /// ```
    /// use latency_core::Predictor;
    /// # fn main() -> latency_core::Result<()> {
    /// let program = std::env::current_exe().expect("a program knows its file");
    /// let folder = program.with_file_name("lib");
    /// let predictor = Predictor::builder().library_folder(folder).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "load-dynamic")]
    #[must_use]
    pub fn library_folder(mut self, folder: impl AsRef<FilePath>) -> Self {
        self.options.runtime.library.folders.push(folder.as_ref().to_path_buf());
        self
    }

    /// The environment of a host application that uses the crate `ort` itself: a process can have one. Give a clone of the
    /// `ort::environment::Environment`, of exactly ort 2.0.0-rc.15; [`build`](Self::build) refuses anything else. The type
    /// is not in the signature because ort is a release candidate.
    ///
    /// The library that the host loaded is used, so no other is looked for, and the option `library` is an error.
    /// The environment is kept to the end of the process, and later predictors that are given none run in it as well. A
    /// host that makes its environment after the first predictor is refused by ort: make it first.
    ///
    /// ```no_run
    /// use latency_core::Predictor;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Before any predictor is built.
    /// let environment = ort::init().with_name("host").build()?;
    /// let predictor = Predictor::builder().environment(environment.clone()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "onnxruntime")]
    #[must_use]
    pub fn environment(mut self, environment: impl Any + Send + Sync) -> Self {
        self.options.runtime.host = Some(HostEnvironment::new(environment));
        self
    }

    /// Loads a model whose golden rows are not written yet: training needs the predictions to write them.
    #[doc(hidden)]
    #[must_use]
    pub fn without_golden_rows(mut self) -> Self {
        self.check_golden_rows = false;
        self
    }

    /// Loads the model and checks it: the file, its schema, and that it reproduces its golden rows.
    ///
    /// ```
    /// use latency_core::{ErrorKind, Predictor};
    ///
    /// let error = Predictor::builder().file("missing.onnx").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ModelNotReadable);
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotReadable`], [`ErrorKind::InvalidModel`], [`ErrorKind::InvalidSchema`],
    /// [`ErrorKind::GoldenMismatch`], or [`ErrorKind::RuntimeNotLoaded`].
    pub fn build(self) -> Result<Predictor> {
        let read;
        let model: &[u8] = match &self.model {
            #[cfg(feature = "bundled-model")]
            ModelSource::Default => BUNDLED_MODEL,
            #[cfg(not(feature = "bundled-model"))]
            ModelSource::Default => {
                return Err(Error::new(
                    ErrorKind::ModelNotReadable,
                    "found no model to load: this build brings none; name one with `file` or `bytes`, or build latency-core \
                     with its feature `bundled-model`",
                ));
            }
            ModelSource::Bytes(bytes) => bytes,
            ModelSource::File(path) => {
                read = read_model(path)?;
                &read
            }
        };
        let predictor = load(model, &self.options)?;
        if self.check_golden_rows {
            predictor.check_golden_rows()?;
        }
        Ok(predictor)
    }
}

fn read_model(path: &FilePath) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(
            ErrorKind::ModelNotReadable,
            format!(
                "cannot read the model file {}: {error}; give the path of an .onnx file written by `latency train`",
                path.display()
            ),
        )
        .with_context("file", path.display().to_string())
        .with_source(error)
    })
}

fn load(model: &[u8], options: &EngineOptions) -> Result<Predictor> {
    // The file's SHA-256 is made beside it; where the system gives no thread, afterwards.
    let (loaded, sha256) = thread::scope(|scope| {
        let hash = || hex(&Sha256::digest(model));
        let hashing = thread::Builder::new().spawn_scoped(scope, hash);
        let loaded = Trees::load(model, METADATA_KEY, options);
        (loaded, share::finish(hashing, hash))
    });
    let (trees, graph) = loaded?;
    let text = graph.metadata.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidSchema,
            format!(
                "this ONNX model has no metadata `{METADATA_KEY}`; write it with `latency train`, which puts it there"
            ),
        )
    })?;
    let schema = Schema::from_json(&text)?;
    let plan = FeaturePlan::new(&schema);
    for (what, found, expected) in
        [("columns in", graph.inputs, plan.width()), ("columns out", graph.outputs, schema.outputs.len())]
    {
        if found != expected {
            return Err(Error::new(
                ErrorKind::InvalidSchema,
                format!(
                    "the graph has {found} {what}, but its schema says {expected}; write the model again with `latency train`"
                ),
            ));
        }
    }
    let info = ModelInfo {
        name: schema.name.clone(),
        version: sha256[..12].to_owned(),
        engine: Cow::Borrowed(trees.engine().as_str()),
        sha256,
        bytes: model.len(),
        features: plan.width(),
        provenance: schema.provenance.clone(),
    };
    let (calibration, notes) = (Calibration::new(&schema), NotePlan::new(&schema));
    let inner = Inner { encoder: Encoder::new(schema), plan, calibration, notes, trees, info };
    Ok(Predictor { inner: Arc::new(inner), cancel: None })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Predictor {
    fn check_golden_rows(&self) -> Result<()> {
        if self.schema().golden.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidSchema,
                "the model file holds no golden rows, the answers to check it by; write it again with `latency train`",
            ));
        }
        for (index, golden) in self.schema().golden.iter().enumerate() {
            let found = self.predict(&Row::from(golden)).map_err(|error| unfit_golden_row(index, error))?;
            for (name, number) in found.numbers() {
                let Some(expected) = golden.prediction.get(name).copied() else {
                    return Err(Error::new(
                        ErrorKind::InvalidSchema,
                        format!(
                            "golden row {index} has no `{name}` to check; write the model again with `latency train`"
                        ),
                    ));
                };
                let difference = (f64::from(number) - f64::from(expected)).abs();
                let agrees = difference <= GOLDEN_TOLERANCE * f64::from(expected).abs().max(f64::MIN_POSITIVE);
                if !agrees {
                    return Err(Error::new(
                        ErrorKind::GoldenMismatch,
                        format!(
                            "golden row {index} gives {name} = {number}, but the model file says {expected}; the file was \
                             changed, or the engine computes something else: get the model again, or use another \
                             version of ONNX Runtime"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The model file's fault, and not the caller's.
fn unfit_golden_row(index: usize, error: Error) -> Error {
    if error.kind().group() != ErrorGroup::Input {
        return error;
    }
    let message = format!(
        "golden row {index} does not fit the fields of its own model ({error}); write the model again with `latency train`"
    );
    Error::new(ErrorKind::InvalidSchema, message).with_source(error)
}

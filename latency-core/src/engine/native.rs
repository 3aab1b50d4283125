//! The crate's own engine: the trees of an ONNX file, without any library.

#[cfg(target_arch = "x86_64")]
use super::avx2::Wide;
use super::ensemble::Ensemble;
use super::packed::{Segment, pack};
use super::{ModelGraph, deep, onnx, portable};
use crate::error::Result;

/// Outputs that lie on the stack: those of a single row.
const FEW: usize = 16;

/// A model, ready to run in any number of threads. Hidden: for this crate, its benchmarks and its fuzzing.
#[derive(Debug)]
pub struct NativeModel {
    columns: usize,
    targets: usize,
    /// Added to each target at the end: one each, or none.
    base: Vec<f32>,
    segments: Vec<Segment>,
    /// The same groups for AVX2, if this processor has it.
    #[cfg(target_arch = "x86_64")]
    wide: Option<Wide>,
}

impl NativeModel {
    /// Loads the trees of an ONNX file that needs no schema.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`](crate::ErrorKind::InvalidModel) if it has anything but one regressor of trees.
    pub fn from_onnx(model: &[u8]) -> Result<Self> {
        Self::load(model, "").map(|(native, _)| native)
    }

    /// Columns of the matrix that goes in, and of the one that comes out.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.columns, self.targets)
    }

    /// Walks the trees without special instructions from now on.
    #[must_use]
    pub fn portable(mut self) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            self.wide = None;
        }
        self
    }

    /// Loads a model; `key` is the metadata entry to read.
    pub(crate) fn load(model: &[u8], key: &str) -> Result<(Self, ModelGraph)> {
        let file = onnx::read(model, key)?;
        let ensemble = Ensemble::new(&file.trees, file.inputs)?;
        if ensemble.targets != file.outputs {
            let found = format!("{} targets for a matrix of {} columns", ensemble.targets, file.outputs);
            return Err(onnx::refuse(&found, "one column for each target"));
        }
        let segments = pack(&ensemble, file.inputs);
        let native = Self {
            columns: file.inputs,
            targets: ensemble.targets,
            base: ensemble.base,
            #[cfg(target_arch = "x86_64")]
            wide: Wide::new(&segments),
            segments,
        };
        Ok((native, ModelGraph { metadata: file.metadata, inputs: file.inputs, outputs: file.outputs }))
    }

    /// Runs the model on a row-major matrix of as many columns as its file says, and hands its row-major outputs to `read`.
    pub(crate) fn run<T>(&self, matrix: &[f32], read: impl FnOnce(&[f32]) -> T) -> T {
        let numbers = matrix.len() / self.columns * self.targets;
        if numbers <= FEW {
            let margins = &mut [0.0; FEW][..numbers];
            self.fill(matrix, margins);
            return read(margins);
        }
        let mut margins = vec![0.0; numbers];
        self.fill(matrix, &mut margins);
        read(&margins)
    }

    /// Runs the model on a row-major matrix of as many columns as its file says, into a row-major one.
    ///
    /// # Panics
    /// If the matrices are not of the same number of whole rows.
    pub fn fill(&self, matrix: &[f32], margins: &mut [f32]) {
        let columns = self.columns;
        assert!(matrix.len().is_multiple_of(columns), "the matrix has whole rows");
        assert_eq!(matrix.len() / columns * self.targets, margins.len(), "there is a margin for each row and target");
        margins.fill(0.0);
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            wide.add(&self.segments, matrix, self.columns, margins, self.targets);
            self.add_base(margins);
            return;
        }
        self.fill_portable(matrix, margins);
    }

    /// The same without special instructions.
    fn fill_portable(&self, matrix: &[f32], margins: &mut [f32]) {
        let (columns, targets) = (self.columns, self.targets);
        let rows = matrix.chunks(deep::ROWS * columns).zip(margins.chunks_mut(deep::ROWS * targets));
        for (matrix, margins) in rows {
            for segment in &self.segments {
                match segment {
                    Segment::Group(group) => {
                        let rows = matrix.chunks_exact(columns).zip(margins.chunks_exact_mut(targets));
                        rows.for_each(|(row, sums)| portable::add_row(group, row, sums));
                    }
                    Segment::Deep(deep) => deep.add(matrix, columns, margins, targets),
                }
            }
        }
        self.add_base(margins);
    }

    fn add_base(&self, margins: &mut [f32]) {
        if !self.base.is_empty() {
            for sums in margins.chunks_exact_mut(self.targets) {
                sums.iter_mut().zip(&self.base).for_each(|(sum, base)| *sum += base);
            }
        }
    }
}

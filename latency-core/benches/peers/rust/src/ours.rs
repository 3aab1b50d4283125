//! This project's engine: the trees alone, and the whole way from named fields to a checked prediction.

use std::fs;

use latency_core::{Batch, NativeModel, Predictor, PredictorBuilder, Row};
use ndarray::Array2;

use crate::serve::{Contender, Setting};

pub struct Native {
    model: NativeModel,
    columns: usize,
}

impl Native {
    pub fn load(setting: &Setting) -> Self {
        let file = fs::read(setting.folder.join("trees.onnx")).expect("the model is there");
        let model = NativeModel::from_onnx(&file).expect("the native engine takes the model");
        Self { model, columns: setting.columns }
    }
}

impl Contender for Native {
    type Rows = Vec<f32>;

    fn ready(&self, matrix: &[f32]) -> Vec<f32> {
        matrix.to_vec()
    }

    fn predict(&mut self, rows: &Vec<f32>) -> Vec<f32> {
        let mut margins = vec![0.0; rows.len() / self.columns];
        self.model.fill(rows, &mut margins);
        margins
    }
}

/// A `Predictor`, which is asked as its users do: one row by names, many as columns of 64-bit floats.
pub struct Whole {
    predictor: Predictor,
    names: Vec<String>,
}

pub enum Rows {
    One(Row),
    Many(Array2<f64>),
}

impl Whole {
    pub fn load(setting: &Setting, builder: PredictorBuilder) -> Self {
        let predictor = builder
            .file(setting.folder.join("predictor.onnx"))
            .sessions(1)
            .threads(setting.threads)
            .build()
            .expect("the predictor takes the model");
        Self { predictor, names: (0..setting.columns).map(|column| format!("f{column}")).collect() }
    }
}

impl Contender for Whole {
    type Rows = Rows;

    fn ready(&self, matrix: &[f32]) -> Rows {
        let numbers = matrix.iter().copied().map(f64::from);
        if matrix.len() == self.names.len() {
            let mut row = Row::new();
            self.names.iter().zip(numbers).filter(|(_, number)| !number.is_nan()).for_each(|(name, number)| {
                row.set(name.as_str(), number);
            });
            return Rows::One(row);
        }
        let shape = (matrix.len() / self.names.len(), self.names.len());
        Rows::Many(Array2::from_shape_vec(shape, numbers.collect()).expect("whole rows"))
    }

    fn predict(&mut self, rows: &Rows) -> Vec<f32> {
        match rows {
            Rows::One(row) => vec![self.predictor.predict(row).expect("the row is valid").p50_ms],
            Rows::Many(matrix) => {
                let names: Vec<_> = self.names.iter().map(String::as_str).collect();
                let batch = Batch::from_matrix(&names, &matrix.view()).expect("a name for each column");
                self.predictor.predict_batch(&batch).expect("the rows are valid").p50_ms
            }
        }
    }
}

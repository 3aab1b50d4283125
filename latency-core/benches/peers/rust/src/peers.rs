//! Other crates that evaluate trees, each as its documentation says is fastest.

use gbdt::decision_tree::{Data, DataVec, VALUE_TYPE_UNKNOWN};
use gbdt::gradient_boost::GBDT;
use hessboost::model::ModelFormat;
use hessboost::prelude::{BoostedModel, Iterations};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use silva::MultiOutputForest;
use silva::parser::xgboost::read_xgboost_model;

use crate::serve::{Contender, Setting};

/// ONNX Runtime's library, which is loaded before the time of a model's load is taken.
pub fn environment() -> Environment {
    let library = std::env::var_os("LATENCY_ORT_DYLIB_PATH").expect("LATENCY_ORT_DYLIB_PATH names the library");
    ort::init_from(library).expect("the library loads").build().expect("ONNX Runtime starts")
}

/// ONNX Runtime by the crate `ort`.
pub struct Ort {
    session: Session,
    columns: usize,
}

impl Ort {
    pub fn load(setting: &Setting, environment: &Environment) -> Self {
        let session = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_intra_threads(setting.threads)?.with_inter_threads(1)?))
            .and_then(|mut builder| builder.commit_from_file(setting.folder.join("trees.onnx")))
            .expect("ONNX Runtime takes the model");
        Self { session, columns: setting.columns }
    }
}

impl Contender for Ort {
    type Rows = Vec<f32>;

    fn ready(&self, matrix: &[f32]) -> Vec<f32> {
        matrix.to_vec()
    }

    fn predict(&mut self, rows: &Vec<f32>) -> Vec<f32> {
        let shape = [rows.len() / self.columns, self.columns];
        let input = TensorRef::from_array_view((shape, rows.as_slice())).expect("whole rows");
        let outputs = self.session.run([input.into()]).expect("the model runs");
        outputs[0].try_extract_tensor::<f32>().expect("a matrix").1.to_vec()
    }
}

/// gbdt, from `XGBoost`'s text dump as its script for that writes it; squared error has its old name there.
pub struct Gbdt {
    model: GBDT,
    columns: usize,
}

impl Gbdt {
    pub fn load(setting: &Setting) -> Self {
        let file = setting.folder.join("gbdt.model");
        let file = file.to_str().expect("a path in UTF-8");
        let model = GBDT::from_xgboost_dump(file, "reg:linear").expect("gbdt takes the model");
        Self { model, columns: setting.columns }
    }
}

impl Contender for Gbdt {
    type Rows = DataVec;

    fn ready(&self, matrix: &[f32]) -> DataVec {
        let known = |value: &f32| if value.is_nan() { VALUE_TYPE_UNKNOWN } else { *value };
        let rows = matrix.chunks_exact(self.columns);
        rows.map(|row| Data::new_test_data(row.iter().map(known).collect(), None)).collect()
    }

    fn predict(&mut self, rows: &DataVec) -> Vec<f32> {
        self.model.predict(rows)
    }
}

/// hessboost, from `XGBoost`'s own file. One row has a call of its own, which is faster.
pub struct Hessboost {
    model: BoostedModel,
    columns: usize,
}

impl Hessboost {
    pub fn load(setting: &Setting) -> Self {
        let file = setting.folder.join("model.ubj");
        let model = BoostedModel::load(file, ModelFormat::XgboostUbjson).expect("hessboost takes the model");
        Self { model, columns: setting.columns }
    }
}

impl Contender for Hessboost {
    type Rows = Vec<f32>;

    fn ready(&self, matrix: &[f32]) -> Vec<f32> {
        matrix.to_vec()
    }

    fn predict(&mut self, rows: &Vec<f32>) -> Vec<f32> {
        if rows.len() == self.columns {
            return vec![self.model.predict_row(rows, Iterations::Best).expect("the row is valid")];
        }
        self.model.predict_rows(rows, Iterations::Best).expect("the rows are valid").into_vec()
    }
}

/// silva, from `XGBoost`'s JSON. It takes a row of 64-bit floats at a time.
pub struct Silva {
    model: MultiOutputForest,
    columns: usize,
}

impl Silva {
    pub fn load(setting: &Setting) -> Self {
        let model = read_xgboost_model(setting.folder.join("model-2.json")).expect("silva takes the model");
        Self { model, columns: setting.columns }
    }
}

impl Contender for Silva {
    type Rows = Vec<f64>;

    fn ready(&self, matrix: &[f32]) -> Vec<f64> {
        matrix.iter().copied().map(f64::from).collect()
    }

    #[allow(clippy::cast_possible_truncation)] // What all others give.
    fn predict(&mut self, rows: &Vec<f64>) -> Vec<f32> {
        rows.chunks_exact(self.columns).map(|row| self.model.predict(row)[0].into_inner() as f32).collect()
    }
}

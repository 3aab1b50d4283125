//! One contender of `make bench-engine` in a process of its own: it answers orders, a line of JSON each.
//!
//! `latency-core-peers CONTENDER THREADS FOLDER COLUMNS`; the folder has the model in every form, and the rows.

mod ours;
mod peers;
mod serve;

use latency_core::{Engine, Predictor};
use serve::{Setting, serve};

fn main() {
    let [contender, threads, folder, columns] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("CONTENDER THREADS FOLDER COLUMNS");
    let setting = Setting {
        folder: folder.into(),
        threads: threads.parse().expect("a number of threads"),
        columns: columns.parse().expect("a number of columns"),
    };
    match contender.as_str() {
        "native" => serve(&setting, ours::Native::load),
        "predictor-native" => {
            serve(&setting, |setting| ours::Whole::load(setting, Predictor::builder().engine(Engine::Native)));
        }
        "predictor-onnxruntime" => {
            let environment = peers::environment();
            let builder = || Predictor::builder().engine(Engine::OnnxRuntime).environment(environment.clone());
            serve(&setting, |setting| ours::Whole::load(setting, builder()));
        }
        "ort" => {
            let environment = peers::environment();
            serve(&setting, |setting| peers::Ort::load(setting, &environment));
        }
        "gbdt" => serve(&setting, peers::Gbdt::load),
        "hessboost" => serve(&setting, peers::Hessboost::load),
        "silva" => serve(&setting, peers::Silva::load),
        other => panic!("found the contender {other}"),
    }
}

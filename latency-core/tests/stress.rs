//! Many threads, several predictors, models that are changed under way: each answer is the expected one, to the bit.
//! `make valgrind` runs these tests too, with fewer turns.

use std::sync::RwLock;
use std::{env, thread};

use latency_core::{Batch, Column, Prediction, Predictor, PredictorBuilder, Row};

/// More than any predictor here has sessions.
const THREADS: usize = 6;

const SRC: [&str; 8] = ["London", "Tokyo", "JFK", "aws:eu-west-2", "Lisbon", "Nairobi", "51.5,-0.1", "Sydney"];
const DST: [&str; 8] = ["aws:us-east-1", "Paris", "LHR", "gcp:asia-east1", "Lima", "0,0", "Tokyo", "azure:uksouth"];
const ACCESS: [Option<&str>; 8] =
    [Some("wifi"), None, Some("server"), None, Some("cellular"), Some("wired"), Some("starlink"), None];

fn turns() -> usize {
    env::var("LATENCY_STRESS_TURNS").map_or(400, |turns| turns.parse().expect("LATENCY_STRESS_TURNS is a number"))
}

fn row(index: usize) -> Row {
    Row::between(SRC[index], DST[index]).unwrap().with("src_access", ACCESS[index])
}

fn batch() -> Batch<'static> {
    Batch::new()
        .with("src", Column::from(SRC.as_slice()))
        .with("dst", Column::from(DST.as_slice()))
        .with("src_access", ACCESS.into_iter().collect::<Column>())
}

/// The bundled model with a last digit changed: its answers differ a little from the bundled one's.
fn other_model() -> Vec<u8> {
    let mut model = Predictor::bundled_model().to_vec();
    let key = b"\"name\":\"p50_ms\",\"quantile\":0.5,\"offset\":";
    let start =
        model.windows(key.len()).position(|window| window == key).expect("the median has an offset") + key.len();
    let end = start + model[start..].iter().position(|byte| b",}".contains(byte)).unwrap() - 1;
    model[end] = if model[end] == b'7' { b'3' } else { b'7' };
    model
}

fn bundled() -> PredictorBuilder {
    Predictor::builder()
}

fn other() -> PredictorBuilder {
    // Its golden rows are the bundled model's.
    Predictor::builder().bytes(other_model()).without_golden_rows()
}

/// A model's answers to all rows.
struct Answers(Vec<Prediction>);

impl Answers {
    fn of(builder: PredictorBuilder) -> Self {
        let predictor = builder.sessions(1).build().unwrap();
        Self((0..SRC.len()).map(|index| predictor.predict(&row(index)).unwrap()).collect())
    }

    fn check(&self, predictor: &Predictor, turn: usize) {
        if turn % 4 == 3 {
            let found = predictor.predict_batch(&batch()).unwrap();
            assert_eq!(found.len(), SRC.len());
            for (found, expected) in found.iter().zip(&self.0) {
                assert_same_bits(&found, expected);
            }
        } else {
            let index = turn % SRC.len();
            assert_same_bits(&predictor.predict(&row(index)).unwrap(), &self.0[index]);
        }
    }
}

fn assert_same_bits(found: &Prediction, expected: &Prediction) {
    let bits = |prediction: &Prediction| prediction.numbers().map(|(_, number)| number.to_bits()).collect::<Vec<_>>();
    assert_eq!((bits(found), found), (bits(expected), expected));
}

#[test]
fn several_predictors_of_two_models_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, Predictor::bundled_model()).unwrap();
    let answers = [Answers::of(bundled()), Answers::of(other())];
    assert_ne!(answers[0].0, answers[1].0, "the two models differ");
    let predictors = [
        (bundled().sessions(1).build().unwrap(), &answers[0]),
        (bundled().sessions(2).build().unwrap(), &answers[0]),
        (bundled().file(&path).sessions(1).build().unwrap(), &answers[0]),
        (bundled().bytes(Predictor::bundled_model()).sessions(1).build().unwrap(), &answers[0]),
        (other().sessions(1).build().unwrap(), &answers[1]),
    ];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let predictors = &predictors;
            scope.spawn(move || {
                for turn in 0..turns() {
                    let (predictor, answers) = &predictors[(thread + turn) % predictors.len()];
                    answers.check(predictor, turn / predictors.len() + thread);
                }
            });
        }
    });
}

#[test]
fn a_model_that_is_reloaded_while_threads_predict() {
    let answers = [Answers::of(bundled()), Answers::of(other())];
    let load = |reload: usize| [bundled, other][reload % 2]().sessions(2).build().unwrap();
    // The predictor in use, and whose answers it gives: how a service changes its model.
    let current = RwLock::new((load(0), 0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (current, answers) = (&current, &answers);
                scope.spawn(move || {
                    let mut seen = [0; 2];
                    let mut turn = thread;
                    // As many as asked for of each model, so that every thread lives through a reload.
                    while seen.iter().any(|seen| *seen < turns() / 2) {
                        let (predictor, model) = current.read().unwrap().clone();
                        answers[model].check(&predictor, turn);
                        seen[model] += 1;
                        turn += 1;
                    }
                })
            })
            .collect();
        let mut reload = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            reload += 1;
            let next = load(reload);
            *current.write().unwrap() = (next, reload % 2);
        }
    });
}

//! The end of a process that has predicted: code 0 and not a word, however it ends. Bindings to ONNX Runtime are known to
//! crash there. Has a `main` of its own, because under the test harness no test can return from it.

use std::env;
use std::process::{Command, ExitCode, exit};
use std::sync::{LazyLock, mpsc};
use std::thread;

use latency_core::{Predictor, Row};

/// Names the ending, in the child that is to end so.
const ENDING: &str = "LATENCY_TEST_ENDING";
/// What crashes at exit crashes now and then.
const TIMES: usize = 5;

static PREDICTOR: LazyLock<Predictor> = LazyLock::new(|| Predictor::builder().sessions(2).build().unwrap());

const ENDINGS: [(&str, fn()); 8] = [
    ("return_with_a_predictor_alive", || std::mem::forget(used())),
    ("return_with_a_predictor_dropped", || drop(used())),
    ("return_with_a_predictor_in_a_static", || predict(&PREDICTOR)),
    ("return_while_threads_predict", || predict_in_threads(&PREDICTOR)),
    ("return_while_threads_wait_for_a_session", || {
        predict_in_threads(Box::leak(Box::new(Predictor::builder().sessions(1).build().unwrap())));
    }),
    ("exit_while_threads_predict", || {
        predict_in_threads(&PREDICTOR);
        exit(0);
    }),
    ("exit_while_threads_load_and_drop", || {
        in_threads(|| predict(&Predictor::builder().sessions(1).build().unwrap()));
        exit(0);
    }),
    ("exit_in_a_thread_that_predicted", || {
        let thread = thread::spawn(|| {
            predict(&PREDICTOR);
            exit(0);
        });
        thread.join().unwrap();
    }),
];

fn used() -> Predictor {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    predict(&predictor);
    predictor
}

fn predict(predictor: &Predictor) {
    let prediction = predictor.predict(&Row::between("London", "Tokyo").unwrap()).unwrap();
    assert!(prediction.p50_ms > 0.0);
}

fn predict_in_threads(predictor: &'static Predictor) {
    in_threads(move || predict(predictor));
}

/// Threads that do this until the process ends; returns when they are at it.
fn in_threads(what: impl Fn() + Clone + Send + 'static) {
    let (at_it, all) = mpsc::channel();
    for _ in 0..4 {
        let (what, at_it) = (what.clone(), at_it.clone());
        thread::spawn(move || {
            loop {
                what();
                let _ = at_it.send(());
            }
        });
    }
    // One thread may be quicker than another; so many turns let each have had one.
    assert_eq!(all.iter().take(20).count(), 20);
}

fn ends_well(name: &str) -> bool {
    (0..TIMES).all(|_| {
        let done = Command::new(env::current_exe().unwrap()).env(ENDING, name).output().unwrap();
        let good = done.status.success() && done.stdout.is_empty() && done.stderr.is_empty();
        if !good {
            println!("{name}: {}\n{}", done.status, String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
        }
        good
    })
}

fn main() -> ExitCode {
    if let Ok(name) = env::var(ENDING) {
        let (_, end) = ENDINGS.iter().find(|(known, _)| *known == name).expect("the ending is one of those above");
        end();
        return ExitCode::SUCCESS;
    }
    // As the harness does it: words choose tests, options are of no concern here, and the last line is counted.
    let words: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = ENDINGS.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word)));
    let (mut passed, mut failed) = (0, 0);
    for (name, _) in chosen {
        let good = ends_well(name);
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        *if good { &mut passed } else { &mut failed } += 1;
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

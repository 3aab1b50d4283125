//! A host application that uses the crate `ort` itself. One test in its own process, which can have one environment.

use std::path::PathBuf;

use latency_core::{Error, ErrorKind, LIBRARY_VARIABLES, Predictor, PredictorBuilder, Row};

fn refused(builder: &PredictorBuilder) -> Error {
    let [first, second] = [(); 2].map(|()| builder.clone().build().expect_err("the builder is refused"));
    assert_eq!(first.kind(), ErrorKind::RuntimeNotLoaded);
    assert_eq!(first.to_string(), second.to_string(), "the same answer twice");
    println!("{first}");
    first
}

fn median(predictor: &Predictor) -> f32 {
    predictor.predict(&Row::between("London", "Tokyo").unwrap()).unwrap().p50_ms
}

#[test]
fn the_environment_of_the_host_is_refused_until_it_is_given_and_then_shared() {
    let library =
        LIBRARY_VARIABLES.iter().find_map(std::env::var_os).map(PathBuf::from).expect("the tests name a library");
    let builder = Predictor::builder().sessions(1);

    let error = refused(&builder.clone().environment("an environment"));
    for part in ["`&str`", "`ort::environment::Environment`", "ort = \"=2.0.0-rc.15\""] {
        assert!(error.message().contains(part), "{part}: {error}");
    }

    let environment = ort::init_from(&library).unwrap().build().unwrap();
    let error = refused(&builder);
    assert!(error.message().contains("give a clone of it to `PredictorBuilder::environment`"), "{error}");
    let error = refused(&builder.clone().environment(environment.clone()).library(&library));
    assert!(error.message().contains("give the environment or the library"), "{error}");

    let first = builder.clone().environment(environment.clone()).build().unwrap();
    let second = builder.clone().build().expect("the environment is remembered");
    drop(environment);
    let third = builder.clone().build().expect("the environment stays when the host drops it");
    assert_eq!(median(&first), median(&second));
    assert_eq!(median(&first), median(&third));

    let error = refused(&builder.library(&library));
    assert!(error.message().contains("already loaded that of the host's environment"), "{error}");
}

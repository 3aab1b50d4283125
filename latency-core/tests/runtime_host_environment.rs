//! A host application that uses the crate `ort` itself. One test in its own process, which can have one environment.

use latency_core::{Error, ErrorKind, Predictor, PredictorBuilder, Row};

#[cfg(feature = "load-dynamic")]
fn library() -> std::path::PathBuf {
    latency_core::LIBRARY_VARIABLES.iter().find_map(std::env::var_os).expect("the tests name a library").into()
}

#[cfg(feature = "load-dynamic")]
fn host_environment() -> ort::environment::Environment {
    ort::init_from(library()).unwrap().build().unwrap()
}

#[cfg(feature = "load-dynamic")]
fn check_that_no_library_can_be_named(builder: &PredictorBuilder) {
    let error = refused(&builder.clone().library(library()));
    assert!(error.message().contains("the environment of its host"), "{error}");
    let shown = error.to_string().replace(&*library().to_string_lossy(), "<library>");
    compare("a_library_beside_the_hosts", &shown);
}

#[cfg(not(feature = "load-dynamic"))]
fn host_environment() -> ort::environment::Environment {
    ort::init().build().unwrap()
}

#[cfg(not(feature = "load-dynamic"))]
fn check_that_no_library_can_be_named(_builder: &PredictorBuilder) {}

fn refused(builder: &PredictorBuilder) -> Error {
    let [first, second] = [(); 2].map(|()| builder.clone().build().expect_err("the builder is refused"));
    assert_eq!(first.kind(), ErrorKind::RuntimeNotLoaded);
    assert_eq!(first.to_string(), second.to_string(), "the same answer twice");
    println!("{first}");
    first
}

fn compare(name: &str, message: &str) {
    let prose = format!("    RUNTIME_NOT_LOADED: {message}");
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, prose) });
}

fn median(predictor: &Predictor) -> f32 {
    predictor.predict(&Row::between("London", "Tokyo").unwrap()).unwrap().p50_ms
}

#[test]
fn the_environment_of_the_host_is_refused_until_it_is_given_and_then_shared() {
    let builder = Predictor::builder().sessions(1);

    let error = refused(&builder.clone().environment("an environment"));
    for part in ["`&str`", "`ort::environment::Environment`", "ort = \"=2.0.0-rc.15\""] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    compare("an_environment_of_another_type", &error.to_string());

    let environment = host_environment();
    let error = refused(&builder);
    assert!(error.message().contains("give a clone of it to `PredictorBuilder::environment`"), "{error}");
    compare("a_second_environment", &error.to_string());
    check_that_no_library_can_be_named(&builder.clone().environment(environment.clone()));

    let first = builder.clone().environment(environment.clone()).build().unwrap();
    let second = builder.clone().build().expect("the environment is remembered");
    drop(environment);
    let third = builder.clone().build().expect("the environment stays when the host drops it");
    assert_eq!(median(&first), median(&second));
    assert_eq!(median(&first), median(&third));
    check_that_no_library_can_be_named(&builder);
}

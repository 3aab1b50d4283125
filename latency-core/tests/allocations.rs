//! The native engine's way of one path: nothing is allocated but what the prediction holds.

#![cfg(all(feature = "native", feature = "bundled-model", feature = "places"))]

use allocation_counter::measure;
use latency_core::{Access, Endpoint, Engine, NativeModel, Path, Predictor, Provider, Tier};

#[test]
fn of_one_path() {
    let predictor = Predictor::builder().engine(Engine::Native).build().unwrap();
    let plain = Path::between("London", "Tokyo").unwrap();
    let ask = |path: &Path| {
        let mut prediction = None;
        // The first call of a thread makes what later ones use again.
        predictor.predict(path).unwrap();
        let counted = measure(|| prediction = Some(predictor.predict(path).unwrap()));
        (counted.count_total, prediction.unwrap())
    };
    let (count, prediction) = ask(&plain);
    assert!(prediction.warnings.is_empty() && !prediction.missing.is_empty());
    assert_eq!(count, 1, "the list of what is missing");

    let full = |name: &str| {
        let end = Endpoint::find(name).unwrap();
        end.with_access(Access::Server).with_provider(Provider::Other).with_tier(Tier::Premium)
    };
    let (count, prediction) = ask(&Path::new(full("London"), full("Tokyo")));
    assert_eq!((prediction.warnings.as_slice(), prediction.missing.as_slice()), ([].as_slice(), [].as_slice()));
    assert_eq!(count, 0);
}

#[test]
fn of_one_row_of_features() {
    let native = NativeModel::from_onnx(Predictor::bundled_model()).unwrap();
    let (columns, targets) = native.shape();
    let (row, mut margins) = (vec![0.5; columns], vec![0.0; targets]);
    assert_eq!(measure(|| native.fill(&row, &mut margins)).count_total, 0);
}

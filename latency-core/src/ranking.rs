//! Which of several destinations is the best: their order, and how sure it is.

use serde::{Deserialize, Serialize};

use crate::distribution::{Measurement, PathMedian, log_survival};
use crate::prediction::Prediction;

/// A candidate among others, as [`Predictor::rank`](crate::Predictor::rank) orders them.
///
/// ```
/// use latency_core::{Endpoint, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let regions = ["aws:us-east-1", "aws:eu-west-2", "aws:eu-central-1"].map(Endpoint::find).into_iter().collect::<Result<Vec<_>, _>>()?;
/// let ranked = Predictor::bundled()?.rank(&Endpoint::find("Lisbon")?, &regions, Some(60.0))?;
/// assert_eq!(ranked[0].index, 1);
/// assert!(ranked[0].p_best > 0.5 && ranked[0].p_within_budget.unwrap() > 0.5);
/// assert_eq!(ranked[2].index, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ranked {
    /// Its place in the list of candidates that was given, from 0.
    pub index: usize,
    /// The probability that the median RTT of its path is the lowest of all candidates'. They sum to 1.
    pub p_best: f64,
    /// The probability that one measurement on its path stays within the budget, if one was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p_within_budget: Option<f64>,
    /// What is predicted for its path.
    #[serde(flatten)]
    pub prediction: Prediction,
}

/// What ranking needs to know of a candidate besides its prediction.
pub(crate) struct Candidate {
    pub median: PathMedian,
    pub measurement: Measurement,
}

/// Puts candidates in order: the lowest median first, the likelier best first among equals.
pub(crate) fn rank(
    candidates: &[Candidate],
    predictions: impl Iterator<Item = Prediction>,
    budget_ms: Option<f64>,
) -> Vec<Ranked> {
    let medians: Vec<_> = candidates.iter().map(|candidate| candidate.median).collect();
    let mut ranked: Vec<_> = candidates
        .iter()
        .zip(probabilities_of_lowest(&medians))
        .zip(predictions)
        .enumerate()
        .map(|(index, ((candidate, p_best), prediction))| Ranked {
            index,
            // Rounding may add up to a little more.
            p_best: p_best.min(1.0),
            p_within_budget: budget_ms.map(|budget| candidate.measurement.probability_within(budget)),
            prediction,
        })
        .collect();
    ranked.sort_by(|a, b| {
        let medians = a.prediction.p50_ms.total_cmp(&b.prediction.p50_ms);
        medians.then(b.p_best.total_cmp(&a.p_best)).then(a.index.cmp(&b.index))
    });
    ranked
}

/// How far into its tails a candidate is followed, in standard deviations: 5e-7 of its probability lies beyond.
const REACH: f64 = 4.9;

/// What is left to share out when the rest goes to whoever is likeliest there.
const REST: f64 = 1e-7;

/// For each path the probability that its median is the lowest, taking the medians as independent.
///
/// The probability that all medians lie above x is T(x) = Π Sᵢ(x). While x rises, T falls; what it loses between two
/// points goes to the candidates in proportion to how much their own −ln Sᵢ rises, which is exact for hazards that
/// stay in proportion in between, and always sums to 1. The points lie half of the smallest standard deviation apart, in
/// log space, among the candidates that can be that low.
fn probabilities_of_lowest(medians: &[PathMedian]) -> Vec<f64> {
    struct Contender {
        index: usize,
        log: f64,
        from: f64,
        hazard: f64,
        rise: f64,
    }
    let mut contenders: Vec<_> = medians
        .iter()
        .enumerate()
        .map(|(index, median)| {
            let log = libm::log(median.p50);
            Contender { index, log, from: log - REACH * median.below, hazard: 0.0, rise: 0.0 }
        })
        .collect();
    contenders.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut probabilities = vec![0.0; medians.len()];
    let Some(first) = contenders.first() else { return probabilities };
    let (mut x, mut active, mut above) = (first.from, 0, 1.0);
    let width = |contender: &Contender| medians[contender.index].below.min(medians[contender.index].above);
    while above > 0.0 {
        active += contenders[active..].iter().take_while(|contender| contender.from <= x).count();
        let mut hazard = 0.0;
        let mut rise = 0.0;
        for contender in &mut contenders[..active] {
            let now = -log_survival(medians[contender.index].z(x - contender.log));
            contender.rise = (now - contender.hazard).max(0.0);
            contender.hazard = now;
            hazard += now;
            rise += contender.rise;
        }
        let now_above = libm::exp(-hazard);
        let now_above = if now_above < REST { 0.0 } else { now_above };
        if rise > 0.0 {
            let share = (above - now_above) / rise;
            for contender in &contenders[..active] {
                probabilities[contender.index] += contender.rise * share;
            }
            above = now_above;
        }
        let narrowest = contenders[..active].iter().map(width).fold(f64::INFINITY, f64::min);
        // No step may lead past where the next one begins by more than its own width.
        let next = contenders.get(active).map_or(f64::INFINITY, |next| next.from - x + 0.5 * width(next));
        x += (0.5 * narrowest).min(next).max(SHORTEST_STEP);
    }
    probabilities
}

/// In log space: a ten-thousandth of an RTT decides nothing, and hundreds of sure candidates must not take forever.
const SHORTEST_STEP: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities(intervals: &[(f64, f64, f64)]) -> Vec<f64> {
        probabilities_of_lowest(
            &intervals.iter().map(|(low, p50, high)| PathMedian::new(*low, *p50, *high)).collect::<Vec<_>>(),
        )
    }

    /// A small reproducible generator (Steele and Vigna, `SplitMix64`), uniform between 0 and 1.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn simulated(intervals: &[(f64, f64, f64)], draws: u32) -> Vec<f64> {
        let medians: Vec<_> = intervals.iter().map(|(low, p50, high)| PathMedian::new(*low, *p50, *high)).collect();
        let mut state = 1;
        let mut wins = vec![0.0; medians.len()];
        for _ in 0..draws {
            let mut normal = || {
                let (a, b) = (uniform(&mut state).max(1e-300), uniform(&mut state));
                libm::sqrt(-2.0 * libm::log(a)) * libm::cos(2.0 * std::f64::consts::PI * b)
            };
            let medians_drawn: Vec<f64> = medians.iter().map(|median| median.at(normal())).collect();
            let best = (0..medians_drawn.len()).min_by(|a, b| medians_drawn[*a].total_cmp(&medians_drawn[*b])).unwrap();
            wins[best] += 1.0 / f64::from(draws);
        }
        wins
    }

    #[test]
    fn probabilities_agree_with_simulation() {
        let many: Vec<_> =
            (0..40).map(|i| (70.0 + f64::from(i), 80.0 + f64::from(i), 95.0 + 2.0 * f64::from(i))).collect();
        let cases: [&[(f64, f64, f64)]; 6] = [
            &[(90.0, 100.0, 120.0), (90.0, 100.0, 120.0)],
            &[(80.0, 100.0, 150.0), (100.0, 110.0, 115.0), (60.0, 130.0, 300.0)],
            &[(10.0, 11.0, 12.0), (100.0, 120.0, 150.0)],
            // One that is nearly sure, among uncertain ones.
            &[(99.9, 100.0, 100.1), (60.0, 100.0, 160.0), (60.0, 100.0, 160.0)],
            &[(50.0, 50.0, 50.0), (40.0, 55.0, 70.0)],
            &many,
        ];
        for intervals in cases {
            let found = probabilities(intervals);
            let expected = simulated(intervals, 200_000);
            assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{found:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 0.006, "found {found}, simulated {expected} among {intervals:?}");
            }
        }
    }

    #[test]
    fn a_lone_candidate_is_the_best_and_none_are_no_candidates() {
        assert_eq!(probabilities(&[(1.0, 2.0, 3.0)]).len(), 1);
        assert!((probabilities(&[(1.0, 2.0, 3.0)])[0] - 1.0).abs() < 1e-12);
        assert!(probabilities(&[]).is_empty());
        for sure in [[(5.0, 5.0, 5.0); 2], [(1e-3, 1e-3, 1e-3); 2]] {
            assert!(probabilities(&sure).iter().all(|p| (p - 0.5).abs() < 1e-9));
        }
    }
}

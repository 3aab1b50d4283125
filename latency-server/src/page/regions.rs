//! `GET /regions`: which cloud region is the nearest to a place.

use std::sync::Arc;

use latency_core::{Place, Provider, Ranked, Row};
use rocket::http::Status;
use rocket::{State, get};
use rocket_dyn_templates::Template;
use serde::Serialize;

use super::form::{Around, End, Milliseconds, Suggestions};
use super::words::{Piece, milliseconds, pieces, place};
use crate::errors::Failure;
use crate::logging::spawn_blocking;
use crate::metrics::Question;
use crate::models::{Models, Served};

pub const TEMPLATE: &str = "regions.html";

/// The chart's best regions; the others are behind a click.
const BEST: usize = 15;

/// Units of the drawing.
const WIDTH: f32 = 1000.0;

#[get("/regions?<src>&<src_access>&<provider>&<budget_ms>")]
pub async fn page(
    src: Option<&str>,
    src_access: Option<&str>,
    provider: Option<&str>,
    budget_ms: Option<&str>,
    models: &State<Models>,
    suggestions: &State<Suggestions>,
) -> Result<(Status, Template), Failure> {
    let served = models.default_slot().answering()?;
    let predictor = &served.predictor;
    let mut form = Form {
        ends: [End::src(src, src_access, predictor)],
        provider: provider.unwrap_or_default(),
        budget: Milliseconds::new("budget_ms", budget_ms),
        error: None,
    };
    let (status, result) = if src.is_some() { form.answer(&served).await } else { (Status::Ok, None) };
    let view =
        View { here: "regions", form, result, providers: PROVIDERS, around: Around::new(predictor, suggestions) };
    Ok((status, Template::render(TEMPLATE, view)))
}

/// A choice of providers, and its words.
#[derive(Serialize)]
struct Choice {
    value: &'static str,
    label: &'static str,
}

const PROVIDERS: [Choice; 4] = [
    Choice { value: "", label: "All" },
    Choice { value: Provider::Aws.as_str(), label: "Amazon Web Services" },
    Choice { value: Provider::Azure.as_str(), label: "Microsoft Azure" },
    Choice { value: Provider::Gcp.as_str(), label: "Google Cloud" },
];

/// What the template gets to see.
#[derive(Serialize)]
struct View<'a> {
    here: &'static str,
    #[serde(flatten)]
    form: Form<'a>,
    result: Option<Shown>,
    providers: [Choice; 4],
    #[serde(flatten)]
    around: Around<'a>,
}

/// What is asked, and what is wrong with it.
#[derive(Serialize)]
struct Form<'a> {
    /// As the form of paths has two.
    ends: [End<'a>; 1],
    provider: &'a str,
    budget: Milliseconds<'a>,
    error: Option<Vec<Piece>>,
}

impl Form<'_> {
    /// Ranks the regions, or writes beside the fields what is wrong.
    async fn answer(&mut self, served: &Arc<Served>) -> (Status, Option<Shown>) {
        let [src] = &mut self.ends;
        let Some(place) = src.place() else { return (Status::BadRequest, None) };
        if !PROVIDERS.iter().any(|choice| choice.value == self.provider) {
            self.error = Some(pieces(&format!("found the provider `{}`; allowed: aws, azure, gcp", self.provider)));
            return (Status::BadRequest, None);
        }
        let Ok(budget_ms) = self.budget.read() else { return (Status::BadRequest, None) };
        match self.ask(served, budget_ms).await {
            Ok((regions, ranked)) => (Status::Ok, Some(Shown::new(&place, &regions, &ranked))),
            Err(failure) => {
                if !self.budget.take(&failure) && !self.ends[0].take(&failure) {
                    self.error = Some(pieces(&failure.message));
                }
                (failure.status, None)
            }
        }
    }

    async fn ask(&self, served: &Arc<Served>, budget_ms: Option<f64>) -> Result<(Vec<Place>, Vec<Ranked>), Failure> {
        let [src] = &self.ends;
        let chosen = |region: &Place| {
            region.provider().is_some_and(|provider| {
                // Those of other providers have no name that one could book.
                provider != Provider::Other && (self.provider.is_empty() || self.provider == provider.as_str())
            })
        };
        let regions: Vec<_> = Place::cloud_regions().filter(chosen).collect();
        let rows = regions.iter().map(|region| Ok(src.describe(Row::between(src.value, &region.to_string())?)));
        let rows = rows.collect::<latency_core::Result<Vec<_>>>()?;
        let served = Arc::clone(served);
        let ranked = spawn_blocking(move || {
            let ranked = served.predictor.rank_paths(&rows, budget_ms)?;
            if let Some(seen) = served.seen() {
                let mut seen = seen.rows(Question::Rank);
                for ranked in &ranked {
                    seen.note(&ranked.prediction);
                }
            }
            Ok::<_, latency_core::Error>(ranked)
        });
        let ranked = ranked.await.map_err(|error| {
            log::error!("a ranking was not finished: {error}");
            Failure::internal()
        })??;
        Ok((regions, ranked))
    }
}

/// The ranking in words.
#[derive(Serialize)]
struct Shown {
    src: String,
    best: Vec<Region>,
    others: Vec<Region>,
    /// Whether there is a budget to stay within.
    with_budget: bool,
}

#[derive(Serialize)]
struct Region {
    rank: usize,
    name: String,
    place: String,
    p50: String,
    low: String,
    high: String,
    p_best: String,
    within: Option<String>,
    bar: Bar,
}

/// Positions on a line from 0 ms, in units of the drawing.
#[derive(Serialize)]
struct Bar {
    low: u32,
    high: u32,
    p50: u32,
}

impl Shown {
    fn new(src: &Place, regions: &[Place], ranked: &[Ranked]) -> Self {
        let shown = |at: usize, longest: f32| {
            let Ranked { index, p_best, p_within_budget, prediction, .. } = &ranked[at];
            // From 0 to WIDTH: what is longer is cut off.
            #[allow(clippy::cast_sign_loss)]
            let unit = |ms: f32| (ms / longest * WIDTH).clamp(0.0, WIDTH) as u32;
            Region {
                rank: at + 1,
                name: regions[*index].to_string(),
                place: regions[*index].name.to_string(),
                p50: milliseconds(prediction.p50_ms),
                low: milliseconds(prediction.low_ms),
                high: milliseconds(prediction.high_ms),
                p_best: percent(*p_best),
                within: p_within_budget.map(percent),
                bar: Bar { low: unit(prediction.low_ms), high: unit(prediction.high_ms), p50: unit(prediction.p50_ms) },
            }
        };
        let cut = ranked.len().min(BEST);
        let longest = |some: &[Ranked]| some.iter().map(|one| one.prediction.high_ms).fold(f32::MIN_POSITIVE, f32::max);
        let (near, all) = (longest(&ranked[..cut]), longest(ranked));
        Self {
            src: place(src),
            best: (0..cut).map(|at| shown(at, near)).collect(),
            others: (cut..ranked.len()).map(|at| shown(at, all)).collect(),
            with_budget: ranked.first().is_some_and(|one| one.p_within_budget.is_some()),
        }
    }
}

/// `37 %`; what is not quite certain, or not quite impossible, is not called so.
fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    if percent > 0.0 && percent < 1.0 {
        "< 1 %".to_owned()
    } else if percent < 100.0 && percent > 99.0 {
        "> 99 %".to_owned()
    } else {
        format!("{percent:.0} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_no_certainties() {
        let shown = [0.0, 0.001, 0.005, 0.5, 0.994, 0.996, 1.0].map(percent);
        assert_eq!(shown, ["0 %", "< 1 %", "< 1 %", "50 %", "> 99 %", "> 99 %", "100 %"]);
    }
}

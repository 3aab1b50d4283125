//! `GET /`: the RTT between two places, and whether a measured one can be true.

use latency_core::{Judgement, Place, Prediction, Row, Verdict};
use rocket::http::Status;
use rocket::{State, get};
use rocket_dyn_templates::Template;
use serde::Serialize;

use super::form::{Around, End, Milliseconds, Suggestions};
use super::map::GreatCircle;
use super::words::{Piece, field_label, kilometres, milliseconds, pieces, place};
use crate::errors::Failure;
use crate::metrics::Question;
use crate::models::{Models, Served};

pub const TEMPLATE: &str = "page.html";

#[get("/?<src>&<dst>&<src_access>&<dst_access>&<measured_ms>")]
pub fn page(
    src: Option<&str>,
    dst: Option<&str>,
    src_access: Option<&str>,
    dst_access: Option<&str>,
    measured_ms: Option<&str>,
    models: &State<Models>,
    suggestions: &State<Suggestions>,
) -> Result<(Status, Template), Failure> {
    let served = models.default_slot().answering()?;
    let predictor = &served.predictor;
    let mut form = Form {
        ends: [End::src(src, src_access, predictor), End::dst(dst, dst_access, predictor)],
        measured: Milliseconds::new("measured_ms", measured_ms),
        error: None,
    };
    let (status, result) = if src.is_some() || dst.is_some() { form.answer(&served) } else { (Status::Ok, None) };
    let view = View { here: "predict", form, result, around: Around::new(predictor, suggestions) };
    Ok((status, Template::render(TEMPLATE, view)))
}

/// What the template gets to see.
#[derive(Serialize)]
struct View<'a> {
    here: &'static str,
    #[serde(flatten)]
    form: Form<'a>,
    result: Option<Shown>,
    #[serde(flatten)]
    around: Around<'a>,
}

/// What is asked, and what is wrong with it.
#[derive(Serialize)]
struct Form<'a> {
    ends: [End<'a>; 2],
    measured: Milliseconds<'a>,
    error: Option<Vec<Piece>>,
}

impl Form<'_> {
    /// Predicts between the two ends, or writes beside the fields what is wrong.
    fn answer(&mut self, served: &Served) -> (Status, Option<Shown>) {
        let [src, dst] = &mut self.ends;
        let places = (src.place(), dst.place());
        let (Some(src), Some(dst)) = places else { return (Status::BadRequest, None) };
        let Ok(measured) = self.measured.read() else { return (Status::BadRequest, None) };
        match self.ask(served, measured) {
            Ok((prediction, judgement)) => {
                let judged = measured.zip(judgement);
                (Status::Ok, Some(Shown::new(&prediction, &src, &dst, judged)))
            }
            Err(failure) => {
                if !self.measured.take(&failure) && !self.ends.iter_mut().any(|end| end.take(&failure)) {
                    self.error = Some(pieces(&failure.message));
                }
                (failure.status, None)
            }
        }
    }

    fn ask(&self, served: &Served, measured: Option<f64>) -> Result<(Prediction, Option<Judgement>), Failure> {
        let [src, dst] = &self.ends;
        let row = dst.describe(src.describe(Row::between(src.value, dst.value)?));
        let (question, prediction, judgement) = match measured {
            None => (Question::Predict, served.predictor.predict(&row)?, None),
            Some(measured) => {
                let judgement = served.predictor.judge(&row, measured)?;
                (Question::Judge, judgement.prediction.clone(), Some(judgement))
            }
        };
        if let Some(seen) = served.seen() {
            seen.note(question, &prediction);
        }
        Ok((prediction, judgement))
    }
}

/// A prediction in words.
#[derive(Serialize)]
struct Shown {
    src: String,
    dst: String,
    p50: String,
    low: String,
    high: String,
    p90: String,
    p99: String,
    floor: Option<String>,
    distance: Option<String>,
    warnings: Vec<Vec<Piece>>,
    chart: Chart,
    map: GreatCircle,
    judged: Option<Judged>,
}

/// What is to be said of a measurement.
#[derive(Serialize)]
struct Judged {
    measured: String,
    verdict: Verdict,
    message: String,
}

/// Positions on a line from 0 ms, in units of the drawing.
#[derive(Serialize)]
struct Chart {
    width: u32,
    floor: u32,
    low: u32,
    high: u32,
    p50: u32,
    p90: u32,
    p99: u32,
    measured: Option<u32>,
}

impl Shown {
    fn new(prediction: &Prediction, src: &Place, dst: &Place, judged: Option<(f64, Judgement)>) -> Self {
        let measured_ms = judged.as_ref().map(|(measured_ms, _)| *measured_ms as f32);
        Self {
            src: place(src),
            dst: place(dst),
            p50: milliseconds(prediction.p50_ms),
            low: milliseconds(prediction.low_ms),
            high: milliseconds(prediction.high_ms),
            p90: milliseconds(prediction.p90_ms),
            p99: milliseconds(prediction.p99_ms),
            floor: prediction.floor_ms.map(milliseconds),
            distance: prediction.distance_km.map(kilometres),
            warnings: prediction
                .warnings
                .iter()
                .map(|warning| pieces(&format!("{}: {}", field_label(&warning.field), warning.message)))
                .collect(),
            chart: Chart::new(prediction, measured_ms),
            map: GreatCircle::new(src, dst),
            judged: judged.map(|(measured_ms, judgement)| Judged {
                measured: milliseconds(measured_ms as f32),
                verdict: judgement.verdict,
                message: judgement.message,
            }),
        }
    }
}

impl Chart {
    const WIDTH: u32 = 1000;

    fn new(prediction: &Prediction, measured_ms: Option<f32>) -> Self {
        let longest = prediction.p99_ms.max(prediction.high_ms).max(measured_ms.unwrap_or(0.0)).max(f32::MIN_POSITIVE);
        // From 0 to WIDTH, since every number lies between 0 and the longest.
        #[allow(clippy::cast_sign_loss)]
        let at = |ms: f32| (ms / longest * (Self::WIDTH - 4) as f32).clamp(0.0, Self::WIDTH as f32) as u32;
        Self {
            width: Self::WIDTH,
            floor: at(prediction.floor_ms.unwrap_or(0.0)),
            low: at(prediction.low_ms),
            high: at(prediction.high_ms),
            p50: at(prediction.p50_ms),
            p90: at(prediction.p90_ms),
            p99: at(prediction.p99_ms),
            measured: measured_ms.map(at),
        }
    }
}

//! `GET /observations/export`: the observations of a model as a table for `latency train`.

use rocket::futures::StreamExt;
use rocket::futures::stream::{self, BoxStream};
use rocket::http::ContentType;
use rocket::response::stream::ByteStream;
use rocket::response::{self, Responder, Response};
use rocket::{Request, State, get};
use serde_json::Map;

use super::Observations;
use super::store::{Connection, StoreError};
use super::writer::refused;
use crate::auth::Admin;
use crate::errors::Failure;
use crate::logging::AUDIT;
use crate::models::Asked;
use crate::query::Query;

/// The column that `latency train` learns unless it is told otherwise.
const TARGET: &str = "rtt_ms";

/// Rows that are read at a time, so that no reader holds up the file for long.
const PAGE: usize = 1_000;

/// A table that is written as it is read.
pub struct Table(BoxStream<'static, Vec<u8>>);

impl<'r> Responder<'r, 'r> for Table {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        Response::build_from(ByteStream(self.0).respond_to(request)?)
            .header(ContentType::CSV)
            .raw_header("Content-Disposition", "attachment; filename=\"observations.csv\"")
            .ok()
    }
}

#[get("/observations/export")]
pub async fn export(
    admin: Result<Admin, Failure>,
    query: Query,
    asked: Result<Asked, Failure>,
    observations: &State<Observations>,
) -> Result<Table, Failure> {
    let Admin { by } = admin?;
    query.only(&["model"])?;
    let Asked(slot) = asked?;
    let kept = observations.kept()?;
    let served = slot.answering()?;
    let open = async {
        let mut connection = kept.store.reader().await?;
        let given = connection.fields(slot.name()).await?;
        // A column without any value is none that could be learned from.
        let fields = served.predictor.schema().field_names().map(str::to_owned);
        let fields = fields.filter(|field| given.contains(field)).collect();
        Ok(Pages { connection, model: slot.name().to_owned(), fields, beyond: Some(0) })
    };
    let pages: Pages = open.await.map_err(|error| refused(&error))?;
    log::warn!(target: AUDIT, "observations of the model {} exported: {by}", slot.name());
    let head = record(pages.fields.iter().map(String::as_str).chain([TARGET]));
    let pages = stream::unfold(pages, |mut pages| async { pages.next().await.map(|page| (page, pages)) });
    Ok(Table(stream::iter([head]).chain(pages).boxed()))
}

/// What is left to read.
struct Pages {
    connection: Connection,
    model: String,
    fields: Vec<String>,
    /// The last number that was read; none at the end.
    beyond: Option<i64>,
}

impl Pages {
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self.read(self.beyond?).await {
            Ok(page) => page,
            Err(error) => {
                log::error!("observations were not exported to the end: {error}");
                self.beyond = None;
                // The status is sent already; a record that is too long is what no reader of tables takes.
                Some(record(self.fields.iter().map(|_| "").chain(["", "the table is not complete"])))
            }
        }
    }

    async fn read(&mut self, beyond: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.connection.page(&self.model, beyond, PAGE).await?;
        self.beyond = rows.last().map(|(number, ..)| *number);
        let mut page = Vec::new();
        for (_, path, measured_ms) in &rows {
            let path: Map<String, serde_json::Value> = serde_json::from_str(path).unwrap_or_default();
            let cells = self.fields.iter().map(|field| match path.get(field) {
                Some(serde_json::Value::String(word)) => word.clone(),
                Some(number) => number.to_string(),
                None => String::new(),
            });
            page.extend(record(cells.chain([measured_ms.to_string()])));
        }
        Ok(self.beyond.map(|_| page))
    }
}

/// One record of a CSV.
fn record(cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

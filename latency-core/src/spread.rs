//! A schema's spread, ready to give each row its scales.

use crate::distribution::Scales;
use crate::encode::category_index;
use crate::schema::{Schema, Spread, SpreadEnd, SpreadQuantiles};

/// What holds for each pair of categories of each end, by their codes.
#[derive(Debug)]
pub(crate) struct SpreadPlan(Vec<EndPlan>);

#[derive(Debug)]
struct EndPlan {
    access: Lookup,
    provider: Option<Lookup>,
    /// Row-major: access, then provider.
    quantiles: Box<[SpreadQuantiles]>,
}

/// A category field: its index, and how many codes it has, the last one standing for a missing value.
#[derive(Debug)]
struct Lookup {
    field: usize,
    codes: usize,
}

impl SpreadPlan {
    pub fn new(schema: &Schema, spread: &Spread) -> Self {
        Self(spread.ends.iter().filter_map(|end| EndPlan::new(schema, spread, end)).collect())
    }

    /// The scales of one measurement on a path with these fields and this median.
    pub fn scales(&self, fields: &[f64], median: f64) -> Scales {
        let (p90, p99) =
            self.0.iter().map(|end| end.of(fields)).fold((0.0_f64, 0.0_f64), |(p90, p99), end| {
                (p90.max(end.p90.over(median)), p99.max(end.p99.over(median)))
            });
        Scales::from_excesses(p90 / median, p99 / median)
    }
}

impl EndPlan {
    /// None if the fields are no categories, which a schema's check refuses.
    fn new(schema: &Schema, spread: &Spread, end: &SpreadEnd) -> Option<Self> {
        let words = |name: &str| {
            let words: Vec<_> = schema.categories(name)?.iter().map(Some).chain([None]).collect();
            Some((Lookup { field: schema.field_index(name)?, codes: words.len() }, words))
        };
        let (access, ways) = words(&end.access)?;
        let (provider, hosts) = end.provider.as_ref().and_then(|name| words(name)).unzip();
        let hosts = hosts.unwrap_or_else(|| vec![None]);
        let mut quantiles = vec![spread.unknown; ways.len() * hosts.len()];
        // Backwards: the first kind that fits counts.
        for kind in spread.kinds.iter().rev() {
            let hosted: Vec<_> = hosts.iter().map(|host| kind.fits_provider(host.map(String::as_str))).collect();
            for (way, row) in ways.iter().zip(quantiles.chunks_mut(hosts.len())) {
                if way.is_some_and(|way| kind.fits_access(way)) {
                    let own = SpreadQuantiles { p90: kind.p90, p99: kind.p99 };
                    row.iter_mut().zip(&hosted).filter(|(_, fits)| **fits).for_each(|(cell, _)| *cell = own);
                }
            }
        }
        Some(Self { access, provider, quantiles: quantiles.into() })
    }

    fn of(&self, fields: &[f64]) -> &SpreadQuantiles {
        let hosts = self.provider.as_ref().map_or(1, |provider| provider.codes);
        let host = self.provider.as_ref().map_or(0, |provider| provider.code(fields));
        &self.quantiles[self.access.code(fields) * hosts + host]
    }
}

impl Lookup {
    fn code(&self, fields: &[f64]) -> usize {
        let missing = self.codes - 1;
        category_index(fields[self.field]).map_or(missing, |index| index.min(missing))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let excess = |ms: f64, relative: f64| json!({"ms": ms, "relative": relative});
        let kind = |name: &str, access: &str, provider: &[&str], p90, p99| json!({"name": name, "access": [access], "provider": provider, "p90": p90, "p99": p99});
        let category = |name: &str, words: &[&str]| json!({"name": name, "type": "category", "categories": words});
        let outputs = ["low_ms", "p50_ms", "high_ms"].map(|name| json!({"name": name, "quantile": 0.5}));
        let schema = json!({
            "format": 1,
            "name": "test",
            "fields": [
                category("src_access", &["server", "wifi"]), category("dst_access", &["server", "wifi"]),
                category("src_provider", &["aws", "other"]), category("dst_provider", &["aws", "other"]),
            ],
            "features": [{"kind": "count_missing", "fields": ["src_access"]}],
            "target": {"name": "rtt_ms", "transform": "log"},
            "outputs": outputs,
            "spread": {
                "ends": [
                    {"access": "src_access", "provider": "src_provider"},
                    {"access": "dst_access", "provider": "dst_provider"}
                ],
                "kinds": [
                    kind("cloud", "server", &["aws"], excess(1.0, 0.0), excess(5.0, 0.0)),
                    kind("rented", "server", &[], excess(4.0, 0.0), excess(90.0, 0.0)),
                    kind("wifi", "wifi", &[], excess(0.0, 0.1), excess(0.0, 0.5)),
                ],
                "unknown": {"p90": excess(3.0, 0.05), "p99": excess(5.0, 0.2)}
            },
            "golden": []
        });
        Schema::from_json(&schema.to_string()).expect("it is sound")
    }

    /// The excesses over a median of 100 ms, for codes of source and destination access, then provider.
    fn excesses(fields: [f64; 4]) -> (f64, f64) {
        let schema = schema();
        let scales = SpreadPlan::new(&schema, schema.spread.as_ref().expect("it has one")).scales(&fields, 100.0);
        let over = |scale: f64, at: f64| (100.0 * (libm::exp(scale * libm::log(at)) - 1.0) * 1e9).round() / 1e9;
        (over(scales.p90, 5.0), over(scales.p99, 50.0))
    }

    #[test]
    fn the_first_kind_that_fits_counts_and_of_two_ends_the_larger_excess() {
        const MISSING: f64 = f64::NAN;
        let (server, wifi, aws, other) = (0.0, 1.0, 0.0, 1.0);
        assert_eq!(excesses([server, server, aws, aws]), (1.0, 5.0));
        // A server of an unknown host is a rented one.
        assert_eq!(excesses([server, server, aws, MISSING]), (4.0, 90.0));
        assert_eq!(excesses([server, server, other, aws]), (4.0, 90.0));
        assert_eq!(excesses([server, wifi, aws, MISSING]), (10.0, 50.0));
        assert_eq!(excesses([wifi, server, other, other]), (10.0, 90.0));
        // Whoever hosts it: it is not known how the end is connected.
        assert_eq!(excesses([MISSING, server, aws, aws]), (8.0, 25.0));
    }
}

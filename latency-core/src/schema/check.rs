//! Whether a schema contradicts itself.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Base, Cables, Coordinates, Feature, Field, FieldKind, OutputName, Schema, SeenRegions, Transform};
use crate::error::list;

/// More hubs would make loading slow: the fastest ways between all of them are worked out there.
const MAX_HUBS: usize = 500;

/// More fields than any row may have values.
const MAX_FIELDS: usize = 1000;

/// More knots would make every prediction slow.
const MAX_KNOTS: usize = 32;

/// More categories would make loading slow: words are looked up one by one.
pub(super) const MAX_CATEGORIES: usize = 1000;

impl Schema {
    /// What is wrong with this schema, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_fields()?;
        self.coordinates.as_ref().map_or(Ok(()), |coordinates| self.check_coordinates(coordinates))?;
        self.check_hubs()?;
        self.cables.as_ref().map_or(Ok(()), |cables| self.check_cables(cables))?;
        self.last_mile.as_ref().map_or(Ok(()), |last_mile| last_mile.check(self))?;
        self.check_features()?;
        self.target.base.map_or(Ok(()), |base| self.check_base(base))?;
        self.check_outputs()?;
        self.spread.as_ref().map_or(Ok(()), |spread| spread.check(self))?;
        self.check_histograms()?;
        self.seen_pairs.as_ref().map_or(Ok(()), |pairs| pairs.check(self))
    }

    fn check_fields(&self) -> Result<(), String> {
        if !(1..=MAX_FIELDS).contains(&self.fields.len()) {
            return Err(format!("found {} fields; allowed: 1 to {MAX_FIELDS}", self.fields.len()));
        }
        let mut names = BTreeSet::new();
        for field in &self.fields {
            if !names.insert(field.name.as_str()) {
                return Err(format!("found the field `{}` twice; allowed: once", field.name));
            }
            if ["src", "dst"].contains(&field.name.as_str()) {
                return Err(format!("found a field `{}`, which means a place in a row; rename it", field.name));
            }
            if let FieldKind::Number { min: Some(min), max: Some(max), .. } = &field.kind
                && (min > max || !min.is_finite() || !max.is_finite())
            {
                return Err(format!(
                    "found the range {min} to {max} in the field `{}`; allowed: numbers, the smaller first",
                    field.name
                ));
            }
            if let FieldKind::Category { categories, seen } = &field.kind {
                if !(1..=MAX_CATEGORIES).contains(&categories.len()) {
                    return Err(format!(
                        "found {} categories in the field `{}`; allowed: 1 to {MAX_CATEGORIES}",
                        categories.len(),
                        field.name
                    ));
                }
                let words: BTreeSet<_> = categories.iter().collect();
                if words.len() != categories.len() {
                    return Err(format!("found a category twice in the field `{}`; allowed: once", field.name));
                }
                if let Some(word) = seen.iter().find(|word| !words.contains(word)) {
                    return Err(format!(
                        "found `{word}` among what training saw in the field `{}`; allowed: its categories",
                        field.name
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_coordinates(&self, coordinates: &Coordinates) -> Result<(), String> {
        if BTreeSet::from(coordinates.names()).len() < 4 {
            return Err("found one field for several coordinates; allowed: four fields, one for each".into());
        }
        for name in coordinates.names() {
            match self.field(name) {
                Some(Field { kind: FieldKind::Number { min: Some(_), max: Some(_), .. }, required: true, .. }) => {}
                _ => {
                    return Err(format!("the coordinate `{name}` needs a required number field with `min` and `max`"));
                }
            }
        }
        coordinates.seen_regions.as_ref().map_or(Ok(()), SeenRegions::check)
    }

    fn check_hubs(&self) -> Result<(), String> {
        if self.hubs.len() > MAX_HUBS {
            return Err(format!("found {} hubs; allowed: up to {MAX_HUBS}", self.hubs.len()));
        }
        for (index, hub) in self.hubs.iter().enumerate() {
            if !(-90.0..=90.0).contains(&hub.lat) || !(-180.0..=180.0).contains(&hub.lon) {
                return Err(format!(
                    "found hub {index}, `{}`, off the Earth; allowed: latitudes from -90 to 90, longitudes from -180 to \
                     180",
                    hub.name
                ));
            }
        }
        Ok(())
    }

    fn check_features(&self) -> Result<(), String> {
        if self.features.is_empty() {
            return Err("found no features; allowed: one or more".into());
        }
        for feature in &self.features {
            self.check_feature(feature)?;
        }
        Ok(())
    }

    fn check_base(&self, Base { feature, add }: Base) -> Result<(), String> {
        let positive =
            matches!(self.features.get(feature), Some(Feature::CableMs | Feature::PathMs | Feature::DistanceKm));
        let sound = positive && add.is_finite() && add > 0.0 && self.target.transform == Transform::Log;
        if !sound {
            return Err(
                "the base needs the transform `log`, a feature `path_ms`, `cable_ms` or `distance_km`, and an `add` above 0"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_histograms(&self) -> Result<(), String> {
        for (name, histogram) in &self.histograms {
            if self.field(name).is_none() {
                return Err(format!("found a histogram of `{name}`; allowed: the names of fields"));
            }
            histogram.check()?;
        }
        Ok(())
    }

    fn check_cables(&self, cables: &Cables) -> Result<(), String> {
        let hubs = self.hubs.len();
        let sound = |number: f64| number.is_finite() && number >= 0.0;
        let link = cables.links.iter().find(|(from, to, ms)| *from >= hubs || *to >= hubs || !sound(*ms));
        if let Some((from, to, ms)) = link {
            return Err(format!(
                "found a cable from hub {from} to hub {to} of {ms} ms; allowed: hubs that are there (of {hubs}, \
                 counted from 0), and an RTT of at least 0"
            ));
        }
        let most = hubs.min(crate::hubs::MOST);
        if !(1..=most).contains(&cables.nearest) || !sound(cables.access_ms_per_km) || !sound(cables.constant_ms) {
            return Err(format!(
                "found cables that lead nowhere; allowed: a `nearest` from 1 to {most}, and RTTs of at least 0"
            ));
        }
        if let Some(hub) = cables.unreachable(hubs) {
            return Err(format!(
                "found no cable to hub {hub}, `{}`; allowed: hubs that all hang together",
                self.hubs[hub].name
            ));
        }
        Ok(())
    }

    fn check_feature(&self, feature: &Feature) -> Result<(), String> {
        if feature.is_geographic() && self.coordinates.is_none() {
            return Err(format!("the feature {} needs coordinates, which are not there", json(feature)));
        }
        let category_fields = |fields: &[String], words: &[String]| {
            if !(1..=2).contains(&fields.len()) || words.len() > MAX_CATEGORIES {
                return Err(format!(
                    "found {} fields and {} categories in a feature; allowed: one field per end, and up to \
                     {MAX_CATEGORIES} categories",
                    fields.len(),
                    words.len()
                ));
            }
            let missing = fields.iter().find(|name| match self.field(name).map(|field| &field.kind) {
                Some(FieldKind::Category { categories, .. }) => words.iter().any(|word| !categories.contains(word)),
                _ => true,
            });
            match missing {
                Some(name) => Err(format!(
                    "the feature {} needs a category field `{name}` with these categories, which is not there",
                    json(feature)
                )),
                None => Ok(()),
            }
        };
        match feature {
            Feature::Number { field } => match self.field(field).map(|field| &field.kind) {
                Some(FieldKind::Number { .. }) => Ok(()),
                _ => Err(format!("a feature needs a number field `{field}`, which is not there")),
            },
            Feature::Category { field, category } => {
                category_fields(std::slice::from_ref(field), std::slice::from_ref(category))
            }
            Feature::Count { fields, category } => category_fields(fields, std::slice::from_ref(category)),
            Feature::Same { fields, categories } => category_fields(fields, categories),
            Feature::CountMissing { fields } => category_fields(fields, &[]),
            Feature::Detour { hub } if *hub >= self.hubs.len() => {
                Err(format!("a feature needs hub {hub}, which is not there"))
            }
            Feature::CableMs | Feature::PathMs if self.cables.is_none() => {
                Err("a feature needs cables, which are not there".into())
            }
            Feature::PathMs if self.last_mile.is_none() => {
                Err("a feature needs a last mile, which is not there".into())
            }
            _ => Ok(()),
        }
    }

    fn check_outputs(&self) -> Result<(), String> {
        let names: BTreeSet<_> = self.outputs.iter().map(|output| output.name).collect();
        if names.len() != self.outputs.len() {
            return Err("found an output twice; allowed: once".into());
        }
        let mut needed = vec![OutputName::LowMs, OutputName::P50Ms, OutputName::HighMs];
        if self.spread.is_none() {
            needed.extend([OutputName::P90Ms, OutputName::P99Ms]);
        }
        if names.iter().copied().ne(needed.iter().copied()) {
            return Err(format!(
                "found the outputs {}; allowed for a model of this kind: {}",
                list(names.iter().map(json)),
                list(needed.iter().map(json))
            ));
        }
        for output in &self.outputs {
            let knots = &output.offset_by_distance;
            let ascending = knots.windows(2).all(|pair| pair[0].0 < pair[1].0);
            let sound = knots.iter().all(|(km, offset)| km.is_finite() && *km >= 1.0 && offset.is_finite());
            if !(ascending && sound && knots.len() <= MAX_KNOTS) {
                return Err(format!(
                    "found the output {} with an offset by distance that is not sound; allowed: up to {MAX_KNOTS} \
                     knots, distances of at least 1 km in ascending order, and offsets that are numbers",
                    json(&output.name)
                ));
            }
            if !knots.is_empty() && self.coordinates.is_none() {
                return Err(format!(
                    "the output {} has an offset by distance, which needs coordinates, which are not there",
                    json(&output.name)
                ));
            }
        }
        match self.outputs.iter().find(|output| !(0.0..=1.0).contains(&output.quantile) || !output.offset.is_finite()) {
            Some(output) => Err(format!(
                "found the output {} with the quantile {} and the offset {}; allowed: a quantile from 0 to 1, and an \
                     offset that is a number",
                json(&output.name),
                output.quantile,
                output.offset
            )),
            None => Ok(()),
        }
    }
}

impl Cables {
    /// A hub that cannot be reached from the first one: a path that needs it would take forever.
    fn unreachable(&self, hubs: usize) -> Option<usize> {
        let mut reached = vec![false; hubs];
        let mut waiting = vec![0];
        while let Some(hub) = waiting.pop() {
            if std::mem::replace(&mut reached[hub], true) {
                continue;
            }
            waiting.extend(self.links.iter().filter_map(|&(from, to, _)| match hub {
                _ if hub == from => Some(to),
                _ if hub == to => Some(from),
                _ => None,
            }));
        }
        reached.iter().position(|reached| !reached)
    }
}

/// A part of a schema as it stands there.
fn json(part: &impl Serialize) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

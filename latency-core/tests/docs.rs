//! Every public item has an example, and every public field and variant a comment.
//!
//! The sources are read with `syn`, from `lib.rs` on: public modules, what is re-exported from private ones, and the
//! inherent methods of types that users reach. Implementations of traits, and what is hidden from the documentation, do
//! not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Expr, Fields, ImplItem, Item, Lit, Meta, TraitItem, Type, UseTree, Visibility};

/// A module's path from the crate's root, and a name in it.
type Place = (Vec<String>, String);

#[derive(Default)]
struct Crate {
    modules: BTreeMap<Vec<String>, Rc<Vec<Item>>>,
    /// The items that users reach, so that each is looked at once.
    reached: BTreeSet<Place>,
    /// Every public item by its name for people, and whether it has an example.
    examples: BTreeMap<String, bool>,
    /// Fields and variants without a comment.
    silent: Vec<String>,
}

impl Crate {
    fn read() -> Self {
        let mut found = Self::default();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        found.load(Vec::new(), parse(&root.join("lib.rs")).items, &root);
        found.visit_module(&[]);
        found.visit_implementations();
        found
    }

    fn load(&mut self, path: Vec<String>, items: Vec<Item>, folder: &Path) {
        let mut kept = Vec::new();
        for mut item in items {
            if let Item::Mod(module) = &mut item {
                if is_left_out(&module.attrs) {
                    continue;
                }
                let name = module.ident.to_string();
                let inner = if let Some((_, items)) = module.content.take() {
                    items
                } else {
                    let files = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
                    let file = files.iter().find(|file| file.exists()).expect("a module has a file");
                    let parsed = parse(file);
                    module.attrs.extend(parsed.attrs);
                    parsed.items
                };
                self.load([path.clone(), vec![name.clone()]].concat(), inner, &folder.join(&name));
            }
            kept.push(item);
        }
        self.modules.insert(path, Rc::new(kept));
    }

    /// Looks at what a public module makes public.
    fn visit_module(&mut self, path: &[String]) {
        for item in Rc::clone(&self.modules[path]).iter() {
            match item {
                Item::Use(found) if is_public(&found.vis) && !is_left_out(&found.attrs) => {
                    let mut names = Vec::new();
                    flatten(&found.tree, &mut Vec::new(), &mut names);
                    for (target, _) in names {
                        self.visit_target(path, &target);
                    }
                }
                other => {
                    if let Some(name) = name(other).filter(|_| is_public(visibility(other))) {
                        self.visit(&(path.to_vec(), name));
                    }
                }
            }
        }
    }

    fn visit_target(&mut self, from: &[String], target: &[String]) {
        if let Some(("*", module)) = target.split_last().map(|(last, module)| (last.as_str(), module)) {
            if let Some(module) = self.module(from, module) {
                self.visit_module(&module);
            }
        } else if let Some(place) = self.find(from, target) {
            self.visit(&place);
        }
    }

    fn visit(&mut self, place: &Place) {
        if !self.reached.insert(place.clone()) {
            return;
        }
        let (path, wanted) = place;
        let items = Rc::clone(&self.modules[path]);
        let Some(item) = items.iter().find(|item| name(item).as_ref() == Some(wanted)) else {
            // A macro makes it; its comment stands before its name there.
            let docs = self.macros(path).find_map(|tokens| docs_in_macro(tokens, wanted));
            self.note(path, wanted, &docs.unwrap_or_default());
            return;
        };
        if is_left_out(attributes(item)) {
            return;
        }
        self.note(path, wanted, &docs(attributes(item)));
        match item {
            Item::Mod(_) => self.visit_module(&[path.clone(), vec![wanted.clone()]].concat()),
            Item::Struct(found) => self.listen(wanted, &found.fields),
            Item::Enum(found) => {
                for variant in &found.variants {
                    let shown = format!("{wanted}::{}", variant.ident);
                    self.listen(&shown, &variant.fields);
                    if docs(&variant.attrs).is_empty() {
                        self.silent.push(shown);
                    }
                }
            }
            Item::Trait(found) => {
                for method in found.items.iter().filter_map(|item| match item {
                    TraitItem::Fn(method) => Some(method),
                    _ => None,
                }) {
                    self.note(path, &format!("{wanted}::{}", method.sig.ident), &docs(&method.attrs));
                }
            }
            _ => {}
        }
    }

    /// Public fields, and all of a variant, which have no visibility of their own.
    fn listen(&mut self, owner: &str, fields: &Fields) {
        for field in fields {
            let Some(name) = &field.ident else { continue };
            let inside_variant = owner.contains("::");
            if (inside_variant || is_public(&field.vis)) && docs(&field.attrs).is_empty() {
                self.silent.push(format!("{owner}.{name}"));
            }
        }
    }

    /// The public methods and constants of the types that users reach, wherever they are implemented.
    fn visit_implementations(&mut self) {
        for (path, items) in self.modules.clone() {
            for item in items.iter() {
                let Item::Impl(found) = item else { continue };
                let Type::Path(owner) = &*found.self_ty else { continue };
                let Some(owner) = owner.path.segments.last().map(|segment| segment.ident.to_string()) else { continue };
                let reached = self.find(&path, std::slice::from_ref(&owner)).filter(|at| self.reached.contains(at));
                let (Some(place), None) = (reached, &found.trait_) else { continue };
                for member in &found.items {
                    let (name, visibility, attributes) = match member {
                        ImplItem::Fn(method) => (&method.sig.ident, &method.vis, &method.attrs),
                        ImplItem::Const(constant) => (&constant.ident, &constant.vis, &constant.attrs),
                        _ => continue,
                    };
                    if is_public(visibility) && !is_left_out(attributes) {
                        self.note(&place.0, &format!("{owner}::{name}"), &docs(attributes));
                    }
                }
            }
        }
        // What macros write is seen as tokens alone: their public functions and constants count without their type.
        let reached: BTreeSet<_> = self.reached.iter().map(|(path, _)| path.clone()).collect();
        for path in reached {
            let mut members = Vec::new();
            for tokens in self.macros(&path) {
                members_in_macro(tokens, &mut members);
            }
            for (name, docs) in members {
                self.note(&path, &format!("{name} (in a macro)"), &docs);
            }
        }
    }

    fn note(&mut self, path: &[String], name: &str, docs: &str) {
        let module = if path.is_empty() { "lib".to_owned() } else { path.join("/") };
        self.examples.insert(format!("{module}: {name}"), has_example(docs));
    }

    fn macros(&self, path: &[String]) -> impl Iterator<Item = &TokenStream> {
        self.modules[path].iter().filter_map(|item| match item {
            Item::Macro(found) => Some(&found.mac.tokens),
            _ => None,
        })
    }

    /// Where an item stands that is called this in a module.
    fn find(&self, from: &[String], target: &[String]) -> Option<Place> {
        let (last, module) = target.split_last()?;
        let module = self.module(from, module)?;
        let items = &self.modules[&module];
        if items.iter().any(|item| name(item).as_ref() == Some(last)) {
            return Some((module, last.clone()));
        }
        for item in items.iter() {
            let Item::Use(found) = item else { continue };
            let mut names = Vec::new();
            flatten(&found.tree, &mut Vec::new(), &mut names);
            let target = names.into_iter().find(|(target, name)| name == last && *target != [last.clone()]);
            if let Some(place) = target.and_then(|(target, _)| self.find(&module, &target)) {
                return Some(place);
            }
        }
        let made = self.macros(&module).any(|tokens| docs_in_macro(tokens, last).is_some());
        made.then(|| (module, last.clone()))
    }

    /// The module of a path as it is written in another one; none for other crates.
    fn module(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut module = from.to_vec();
        for part in path {
            match part.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                name => module.push(name.to_owned()),
            }
        }
        self.modules.contains_key(&module).then_some(module)
    }
}

fn parse(file: &Path) -> syn::File {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).expect("the sources are Rust")
}

/// The paths that a `use` names, each with the name that it gets.
fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let mut add = |last: String, name: String| {
        let mut path = before.clone();
        if last != "self" {
            path.push(last);
        }
        found.push((path, name));
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
        UseTree::Name(name) => add(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(name) => add(name.ident.to_string(), name.rename.to_string()),
        UseTree::Glob(_) => add("*".to_owned(), "*".to_owned()),
    }
}

fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(found) => found.ident.to_string(),
        Item::Enum(found) => found.ident.to_string(),
        Item::Fn(found) => found.sig.ident.to_string(),
        Item::Mod(found) => found.ident.to_string(),
        Item::Static(found) => found.ident.to_string(),
        Item::Struct(found) => found.ident.to_string(),
        Item::Trait(found) => found.ident.to_string(),
        Item::Type(found) => found.ident.to_string(),
        _ => return None,
    })
}

fn visibility(item: &Item) -> &Visibility {
    match item {
        Item::Const(found) => &found.vis,
        Item::Enum(found) => &found.vis,
        Item::Fn(found) => &found.vis,
        Item::Mod(found) => &found.vis,
        Item::Static(found) => &found.vis,
        Item::Struct(found) => &found.vis,
        Item::Trait(found) => &found.vis,
        Item::Type(found) => &found.vis,
        _ => &Visibility::Inherited,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(found) => &found.attrs,
        Item::Enum(found) => &found.attrs,
        Item::Fn(found) => &found.attrs,
        Item::Mod(found) => &found.attrs,
        Item::Static(found) => &found.attrs,
        Item::Struct(found) => &found.attrs,
        Item::Trait(found) => &found.attrs,
        Item::Type(found) => &found.attrs,
        _ => &[],
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether an item is hidden from the documentation, or there in tests alone.
fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        Meta::List(list) if list.path.is_ident("cfg") => matches!(&*list.tokens.to_string(), "test" | "doctest"),
        _ => false,
    })
}

fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(match &pair.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(text) => text.value(),
                _ => String::new(),
            },
            Expr::Macro(value) => value.mac.tokens.to_string(),
            _ => String::new(),
        }),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a comment has a block that `cargo test --doc` builds: JSON and the like are no examples.
fn has_example(docs: &str) -> bool {
    let mut inside = false;
    // Lines from macros are tokens still: `= r" text"`.
    docs.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "=r\"".contains(c))).any(|line| {
        let opened = line.strip_prefix("```").filter(|_| !inside);
        inside ^= line.starts_with("```");
        opened.is_some_and(|kind| matches!(kind, "" | "rust" | "no_run" | "should_panic" | "compile_fail"))
    })
}

/// The comment before a name among a macro's tokens; none if the name is not there with a comment.
fn docs_in_macro(tokens: &TokenStream, wanted: &str) -> Option<String> {
    let trees: Vec<_> = tokens.clone().into_iter().collect();
    trees.iter().enumerate().find_map(|(index, tree)| match tree {
        TokenTree::Ident(ident) if ident == wanted => {
            Some(docs_before(&trees[..index])).filter(|docs| !docs.is_empty())
        }
        TokenTree::Group(group) => docs_in_macro(&group.stream(), wanted),
        _ => None,
    })
}

/// The public functions and constants among a macro's tokens, with their comments.
fn members_in_macro(tokens: &TokenStream, found: &mut Vec<(String, String)>) {
    let trees: Vec<_> = tokens.clone().into_iter().collect();
    for (index, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => members_in_macro(&group.stream(), found),
            TokenTree::Ident(ident) if ident == "pub" => {
                let words: Vec<_> = trees[index + 1..]
                    .iter()
                    .map_while(|tree| match tree {
                        TokenTree::Ident(ident) => Some(ident.to_string()),
                        _ => None,
                    })
                    .collect();
                let docs = docs_before(&trees[..index]);
                if let [kinds @ .., name] = words.as_slice()
                    && kinds.iter().any(|kind| kind == "fn" || kind == "const")
                {
                    found.push((name.clone(), docs));
                }
            }
            _ => {}
        }
    }
}

/// The comment at the end of these tokens, before attributes and words such as `pub enum`.
fn docs_before(trees: &[TokenTree]) -> String {
    let mut lines = Vec::new();
    let mut rest = trees;
    loop {
        rest = match rest {
            [before @ .., TokenTree::Punct(mark), TokenTree::Group(group)]
                if mark.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
            {
                let text = group.stream().to_string();
                lines.extend(text.strip_prefix("doc").map(str::to_owned));
                before
            }
            [before @ .., TokenTree::Ident(word)] if ["pub", "enum", "struct", "type"].iter().any(|w| word == w) => {
                before
            }
            _ => break,
        };
    }
    lines.reverse();
    lines.join("\n")
}

#[test]
fn every_public_item_has_an_example() {
    let found = Crate::read();
    let missing: Vec<_> = found.examples.iter().filter(|(_, has)| !**has).map(|(name, _)| name.as_str()).collect();
    assert!(
        missing.is_empty(),
        "{} of {} public items have no example in their comment:\n{}",
        missing.len(),
        found.examples.len(),
        missing.join("\n")
    );
}

#[test]
fn every_public_field_and_variant_has_a_comment() {
    let silent = Crate::read().silent;
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn what_users_reach_is_found_and_nothing_else() {
    let found = Crate::read().examples;
    for name in [
        "predictor: Predictor",
        "predictor: Predictor::predict",
        "predictor: featurize",
        "row: Row::from_json",
        "error: ErrorKind",
        "error: code (in a macro)",
        "error: Error::field",
        "lib: geo",
        "geo: floor_ms",
        "schema: FORMAT",
        "schema: Feature::is_geographic",
        "runtime/locate: library_file_name",
        "places: Place::suggest",
    ] {
        assert!(found.contains_key(name), "{name} is not among {:#?}", found.keys());
    }
    for name in ["without_golden_rows", "FeaturePlan", "EncodedRows", "encode_row", "SessionPool", "Index"] {
        assert!(!found.keys().any(|key| key.contains(name)), "{name} is not public");
    }
    assert!(found["predictor: Predictor"], "its example is found");
    assert!(has_example("Text.\n\n```json\n{}\n```\n\n```\ncode();\n```") && !has_example("```json\n{}\n```"));
    assert!(has_example("= r\" ```\"\n= r\" code();\"\n= r\" ```\"") && !has_example("Text."));
}

#[test]
fn the_guide_names_every_code_and_feature() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect(file);
    let (guide, manifest) = (read("../docs/rust.md"), read("Cargo.toml"));
    let codes = latency_core::ErrorKind::ALL.iter().map(|kind| kind.code());
    let features = manifest.lines().find_map(|line| line.strip_prefix("default = ")).expect("there are features");
    for word in codes.chain(features.split('"').skip(1).step_by(2)) {
        assert!(guide.contains(&format!("`{word}`")), "docs/rust.md does not name {word}");
    }
}

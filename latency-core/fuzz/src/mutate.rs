//! Edits of JSON as a tree, so that most of what comes out is still JSON and gets past the parser.

use serde_json::{Map, Number, Value};

/// Numbers that schemas and rows break at.
const NUMBERS: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    90.0,
    -180.0,
    1e-300,
    1e39,
    1e300,
    -1e300,
    4_294_967_296.0,
    9_007_199_254_740_993.0,
];

/// Up to four edits of the tree; `None` if the text is no JSON.
#[must_use]
pub fn mutate_json(text: &str, seed: u32) -> Option<String> {
    let mut root: Value = serde_json::from_str(text).ok()?;
    let mut random = Random(u64::from(seed) << 1 | 1);
    for _ in 0..=random.below(4) {
        let (from, to) = (random.below(count(&root)), random.below(count(&root)));
        let other = nth(&mut root, &mut { from })?.clone();
        let grown = count(&root) + count(&other) < 20_000;
        let target = nth(&mut root, &mut { to })?;
        match random.below(8) {
            0 => remove(target, &mut random),
            1 if grown => repeat(target, &mut random),
            2 if grown => swap_key(target, other, &mut random),
            3 if grown => *target = other,
            4 => *target = kind(&mut random),
            _ => change(target, &mut random),
        }
    }
    Some(root.to_string())
}

/// Splitmix64: libFuzzer gives each mutation a seed, and the same seed must give the same edit.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[allow(clippy::cast_possible_truncation)] // Less than `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The nth value of the tree, the root first.
fn nth<'v>(value: &'v mut Value, n: &mut usize) -> Option<&'v mut Value> {
    if *n == 0 {
        return Some(value);
    }
    *n -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| nth(value, n)),
        Value::Object(map) => map.values_mut().find_map(|value| nth(value, n)),
        _ => None,
    }
}

/// Another value of the same type.
fn change(value: &mut Value, random: &mut Random) {
    match value {
        Value::Null => *value = kind(random),
        Value::Bool(flag) => *flag = !*flag,
        Value::Number(number) => {
            let index = number.as_u64().filter(|_| random.below(2) == 0);
            let near = index.map(|index| index.wrapping_add(1 + 2 * (random.next() % 2)).wrapping_sub(2));
            *number = near.map_or_else(|| self::number(random), Number::from);
        }
        Value::String(text) => {
            let at = text.char_indices().map(|(at, _)| at).nth(random.below(text.chars().count())).unwrap_or(0);
            match random.below(4) {
                0 => text.clear(),
                1 => text.truncate(at),
                2 => text.insert(at, ['_', 'a', '"', '\u{0}', 'é'][random.below(5)]),
                _ => text.push_str("_lat"),
            }
        }
        Value::Array(values) if values.len() > 1 => {
            let (a, b) = (random.below(values.len()), random.below(values.len()));
            values.swap(a, b);
        }
        Value::Array(values) => values.push(kind(random)),
        Value::Object(map) => drop(map.insert("name".to_owned(), kind(random))),
    }
}

fn remove(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(values) if !values.is_empty() => drop(values.remove(random.below(values.len()))),
        Value::Object(map) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).cloned().unwrap_or_default();
            map.remove(&key);
        }
        other => *other = Value::Null,
    }
}

/// An element of an array many times over: long lists.
fn repeat(value: &mut Value, random: &mut Random) {
    if let Value::Array(values) = value
        && !values.is_empty()
    {
        let element = values[random.below(values.len())].clone();
        let times = 1 << random.below(if count(&element) < 5 { 10 } else { 4 });
        values.extend(std::iter::repeat_n(element, times));
    }
}

/// Another value under a key that is there.
fn swap_key(value: &mut Value, other: Value, random: &mut Random) {
    if let Value::Object(map) = value
        && !map.is_empty()
    {
        let key = map.keys().nth(random.below(map.len())).cloned().unwrap_or_default();
        map.insert(key, other);
    }
}

fn number(random: &mut Random) -> Number {
    Number::from_f64(NUMBERS[random.below(NUMBERS.len())]).unwrap_or_else(|| 0.into())
}

fn kind(random: &mut Random) -> Value {
    match random.below(6) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Number(number(random)),
        3 => Value::String("London".to_owned()),
        4 => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    }
}

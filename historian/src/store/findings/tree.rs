//! Findings taken apart: one column for each place of their JSON, whatever its fields are.
//!
//! ```text
//! {"score":0.5,"parts":[{"signal":"p","share":1.0}]}     score            0.5
//! {"score":0.7,"parts":[{"signal":"p","share":0.9},  ─▶  parts  order     as expected
//!                       {"signal":"t","share":0.1}]}     parts/p/share    1.0  0.9
//!                                                        parts/t/share         0.1
//! ```
//!
//! Nothing here knows the fields of a finding, so new ones are packed without a change. Two things
//! make the columns of our findings smooth:
//!
//! * A list of objects that are told apart by one of their texts (the signals of a baseline) is
//!   taken apart by that text instead of by place, so the largest share may change hands without
//!   mixing the signals. The order of such a list is expected to follow one of its numbers, largest
//!   first, then the text; only where it does not, it is written down.
//! * A text that is a time in the form this program writes is a number.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};
use telemetry::Timestamp;

/// Lists looked at to find the number their order follows.
const LISTS_LOOKED_AT: usize = 256;

/// One step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A field of an object.
    Field(String),
    /// A place in a list.
    Item(u64),
    /// The element of a list with this text.
    Element(String),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum What {
    Null = 0,
    False = 1,
    True = 2,
    /// An object without fields.
    Empty = 3,
    /// That an element is in its list.
    Member = 4,
    Int = 5,
    /// A whole number beyond the range of [`Self::Int`].
    Unsigned = 6,
    Float = 7,
    Text = 8,
    Time = 9,
    /// The length of a list that is taken apart by place.
    Length = 10,
    /// The order of a list that is taken apart by a text; empty where it is as expected.
    Order = 11,
}

impl What {
    pub(crate) const ALL: [Self; 12] = [
        Self::Null,
        Self::False,
        Self::True,
        Self::Empty,
        Self::Member,
        Self::Int,
        Self::Unsigned,
        Self::Float,
        Self::Text,
        Self::Time,
        Self::Length,
        Self::Order,
    ];

    /// Whether there is nothing to know but where it is.
    pub(crate) fn is_unit(self) -> bool {
        self as u8 <= Self::Member as u8
    }
}

/// The values of a column, one for each of its rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    None,
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    /// Numbers of distinct texts.
    Texts(Vec<String>, Vec<i64>),
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) what: What,
    /// The rows that have a value here, rising.
    pub(crate) rows: Vec<u32>,
    pub(crate) values: Values,
    distinct: FxHashMap<String, i64>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) step: Step,
    pub(crate) columns: Vec<Column>,
    pub(crate) children: Vec<usize>,
    /// How the lists here are taken apart, when by a text.
    pub(crate) list: Option<List>,
}

/// How a list is taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    /// The field with the text that tells the elements apart.
    pub(crate) key: String,
    /// The field with the number that the order follows, if any.
    pub(crate) by: Option<String>,
}

/// Values as columns. Node 0 is the root.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    lists: FxHashMap<String, List>,
}

impl Tree {
    /// Takes values apart; a row without a value is left out.
    pub(crate) fn of<'a>(values: impl Iterator<Item = (u32, &'a str, &'a Value)> + Clone) -> Self {
        let mut lists = Lists::default();
        for (_, root, value) in values.clone() {
            lists.look_at(value, &mut root.to_owned());
        }
        let mut tree = Self {
            nodes: Vec::new(),
            lists: lists.chosen(),
        };
        tree.node(None, Step::Field(String::new()));
        for (row, root, value) in values {
            let node = tree.field(0, root);
            tree.add(node, row, value, &mut root.to_owned());
        }
        tree
    }

    fn node(&mut self, parent: Option<usize>, step: Step) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node {
            step,
            columns: Vec::new(),
            children: Vec::new(),
            list: None,
        });
        if let Some(parent) = parent {
            self.nodes[parent].children.push(number);
        }
        number
    }

    fn child(&mut self, node: usize, is: impl Fn(&Step) -> bool, step: impl Fn() -> Step) -> usize {
        let found = self.nodes[node].children.iter().copied();
        let found = found.clone().find(|child| is(&self.nodes[*child].step));
        found.unwrap_or_else(|| self.node(Some(node), step()))
    }

    fn field(&mut self, node: usize, name: &str) -> usize {
        let is = |step: &Step| matches!(step, Step::Field(field) if field == name);
        self.child(node, is, || Step::Field(name.to_owned()))
    }

    fn element(&mut self, node: usize, name: &str) -> usize {
        let is = |step: &Step| matches!(step, Step::Element(element) if element == name);
        self.child(node, is, || Step::Element(name.to_owned()))
    }

    fn item(&mut self, node: usize, place: u64) -> usize {
        let is = |step: &Step| *step == Step::Item(place);
        self.child(node, is, || Step::Item(place))
    }

    fn add(&mut self, node: usize, row: u32, value: &Value, path: &mut String) {
        let columns = &mut self.nodes[node].columns;
        match value {
            Value::Null => unit(columns, What::Null, row),
            Value::Bool(false) => unit(columns, What::False, row),
            Value::Bool(true) => unit(columns, What::True, row),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(int), _, _) => put_int(columns, What::Int, row, int),
                (None, Some(unsigned), _) => {
                    put_int(columns, What::Unsigned, row, unsigned as i64);
                }
                (None, None, float) => put_float(columns, row, float.unwrap_or_default()),
            },
            Value::String(text) => match exact_time(text) {
                Some(at) => put_int(columns, What::Time, row, at),
                None => put_text(columns, What::Text, row, text),
            },
            Value::Array(items) => self.add_list(node, row, items, path),
            Value::Object(fields) => {
                if fields.is_empty() {
                    unit(columns, What::Empty, row);
                }
                self.add_fields(node, row, fields, None, path);
            }
        }
    }

    fn add_fields(
        &mut self,
        node: usize,
        row: u32,
        fields: &Map<String, Value>,
        but: Option<&str>,
        path: &mut String,
    ) {
        for (name, value) in fields {
            if but == Some(name.as_str()) {
                continue;
            }
            let child = self.field(node, name);
            within(path, name, |path| self.add(child, row, value, path));
        }
    }

    fn add_list(&mut self, node: usize, row: u32, items: &[Value], path: &mut String) {
        let Some(list) = self.lists.get(path.as_str()).cloned() else {
            let columns = &mut self.nodes[node].columns;
            put_int(columns, What::Length, row, items.len() as i64);
            for (place, item) in items.iter().enumerate() {
                let child = self.item(node, place as u64);
                within(path, "*", |path| self.add(child, row, item, path));
            }
            return;
        };
        let order = order_word(items, &list);
        put_text(&mut self.nodes[node].columns, What::Order, row, &order);
        for item in items {
            let (Some(name), Some(fields)) = (item[&list.key].as_str(), item.as_object()) else {
                continue;
            };
            let child = self.element(node, name);
            unit(&mut self.nodes[child].columns, What::Member, row);
            let but = Some(list.key.as_str());
            within(path, "*", |path| {
                self.add_fields(child, row, fields, but, path);
            });
        }
        self.nodes[node].list = Some(list);
    }
}

fn within(path: &mut String, name: &str, job: impl FnOnce(&mut String)) {
    let before = path.len();
    path.push('\0');
    path.push_str(name);
    job(path);
    path.truncate(before);
}

fn column(
    columns: &mut Vec<Column>,
    what: What,
    row: u32,
    values: impl FnOnce() -> Values,
) -> &mut Column {
    let place = columns.iter().position(|column| column.what == what);
    let place = place.unwrap_or_else(|| {
        columns.push(Column {
            what,
            rows: Vec::new(),
            values: values(),
            distinct: FxHashMap::default(),
        });
        columns.len() - 1
    });
    let column = &mut columns[place];
    column.rows.push(row);
    column
}

fn unit(columns: &mut Vec<Column>, what: What, row: u32) {
    column(columns, what, row, || Values::None);
}

fn put_int(columns: &mut Vec<Column>, what: What, row: u32, number: i64) {
    let column = column(columns, what, row, || Values::Ints(Vec::new()));
    if let Values::Ints(numbers) = &mut column.values {
        numbers.push(number);
    }
}

fn put_float(columns: &mut Vec<Column>, row: u32, number: f64) {
    let column = column(columns, What::Float, row, || Values::Floats(Vec::new()));
    if let Values::Floats(numbers) = &mut column.values {
        numbers.push(number);
    }
}

fn put_text(columns: &mut Vec<Column>, what: What, row: u32, text: &str) {
    let empty = || Values::Texts(Vec::new(), Vec::new());
    let column = column(columns, what, row, empty);
    if let Values::Texts(texts, numbers) = &mut column.values {
        let number = column.distinct.get(text).copied().unwrap_or_else(|| {
            let number = texts.len() as i64;
            texts.push(text.to_owned());
            column.distinct.insert(text.to_owned(), number);
            number
        });
        numbers.push(number);
    }
}

/// The time a text stands for, when this program would write that time in exactly this way.
fn exact_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[4] != b'-' || bytes.last() != Some(&b'Z') {
        return None;
    }
    let at = Timestamp::parse(text).ok()?;
    (at.to_string() == text).then_some(at.as_micros())
}

/// The places of a list in the order that is expected of it.
pub(crate) fn expected_order(items: &[Value], list: &List) -> Vec<usize> {
    let number = |item: &Value| {
        let number = list.by.as_ref().and_then(|by| item[by].as_f64());
        number.unwrap_or(f64::NEG_INFINITY)
    };
    let mut places: Vec<usize> = (0..items.len()).collect();
    places.sort_by(|&a, &b| {
        let (a, b) = (&items[a], &items[b]);
        let by_number = number(b).total_cmp(&number(a));
        by_number.then_with(|| a[&list.key].as_str().cmp(&b[&list.key].as_str()))
    });
    places
}

/// Nothing when a list is in the order expected of it; otherwise, for each of its elements, the
/// place where it was expected.
fn order_word(items: &[Value], list: &List) -> String {
    let expected = expected_order(items, list);
    if expected
        .iter()
        .enumerate()
        .all(|(place, item)| place == *item)
    {
        return String::new();
    }
    let mut places = vec![0; items.len()];
    for (place, item) in expected.into_iter().enumerate() {
        places[item] = place;
    }
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    places.join(",")
}

/// What the lists at one place of all values have in common.
#[derive(Debug, Default)]
struct Seen {
    /// Texts that may tell the elements apart, with the distinct ones met.
    keys: FxHashMap<String, FxHashSet<String>>,
    /// Whether they cannot be taken apart by a text.
    by_place: bool,
    sample: Vec<Vec<Value>>,
}

/// The lists of all values, by where they stand.
#[derive(Debug, Default)]
struct Lists(FxHashMap<String, Seen>);

impl Lists {
    fn look_at(&mut self, value: &Value, path: &mut String) {
        match value {
            Value::Array(items) => {
                self.0.entry(path.clone()).or_default().look_at(items);
                for item in items {
                    within(path, "*", |path| self.look_at(item, path));
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    within(path, name, |path| self.look_at(value, path));
                }
            }
            _ => {}
        }
    }

    fn chosen(self) -> FxHashMap<String, List> {
        let lists = self.0.into_iter();
        lists
            .filter_map(|(path, seen)| Some((path, seen.chosen()?)))
            .collect()
    }
}

impl Seen {
    fn look_at(&mut self, items: &[Value]) {
        let objects: Option<Vec<_>> = items.iter().map(Value::as_object).collect();
        let Some(objects) = objects.filter(|_| !self.by_place) else {
            self.by_place = true;
            return;
        };
        if self.sample.is_empty()
            && let Some(first) = objects.first()
        {
            let texts = first.iter().filter(|(_, value)| value.is_string());
            self.keys = texts
                .map(|(name, _)| (name.clone(), FxHashSet::default()))
                .collect();
        }
        self.keys.retain(|name, met| {
            let texts: Option<Vec<&str>> = objects
                .iter()
                .map(|item| item.get(name)?.as_str())
                .collect();
            let Some(texts) = texts else { return false };
            let distinct: FxHashSet<&str> = texts.iter().copied().collect();
            met.extend(texts.iter().map(ToString::to_string));
            distinct.len() == texts.len()
        });
        self.by_place = self.keys.is_empty() && !objects.is_empty();
        if self.sample.len() < LISTS_LOOKED_AT && !items.is_empty() {
            self.sample.push(items.to_vec());
        }
    }

    fn chosen(self) -> Option<List> {
        if self.by_place {
            return None;
        }
        let fewest = |(name, met): &(&String, &FxHashSet<String>)| (met.len(), (*name).clone());
        let (key, _) = self.keys.iter().min_by_key(fewest)?;
        let first = self.sample.first()?.first()?.as_object()?;
        let numbers = first.iter().filter(|(_, value)| value.is_number());
        let ways = numbers.map(|(name, _)| Some(name.clone())).chain([None]);
        let lists = ways.map(|by| List {
            key: key.clone(),
            by,
        });
        lists.min_by_key(|list| {
            let unexpected = |items: &&Vec<Value>| !order_word(items, list).is_empty();
            self.sample.iter().filter(unexpected).count()
        })
    }
}

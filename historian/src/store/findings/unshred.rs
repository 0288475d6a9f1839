//! A chunk of findings, column by column, as far as a query needs them.
//!
//! The nodes are read at once, the bytes of a column only when a finding that is asked for has a
//! value in it. Nothing the bytes claim is believed before it is held against a bound.

use std::{cell::OnceCell, sync::Arc};

use serde_json::{Map, Value};
use telemetry::Timestamp;

use super::{
    column,
    shred::{BEFORE, SAME, inflate},
    tree::{List, Values, What, expected_order},
    words::Words,
};
use crate::store::columns::take_varint;

/// Nodes and columns of a chunk; some hundreds are usual.
const MAX_NODES: usize = 1 << 16;

/// How deep values lie inside each other.
const MAX_DEPTH: u32 = 32;

/// The most bytes the texts of a column unpack to.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// Marks a row without a value.
const ABSENT: u32 = u32::MAX;

/// The columns of a chunk, not yet read.
pub(super) struct Shreds<'a> {
    times: &'a [i64],
    words: &'a Words,
    sets: Vec<(&'a [u8], OnceCell<Ranks>)>,
    nodes: Vec<Node<'a>>,
    columns: Vec<Packed<'a>>,
}

/// The place of each row among the rows with a value.
struct Ranks {
    of_row: Vec<u32>,
    count: usize,
}

struct Node<'a> {
    step: Name<'a>,
    list: Option<List>,
    columns: std::ops::Range<usize>,
    children: Vec<usize>,
}

enum Name<'a> {
    Field(&'a str),
    Item,
    Element(&'a str),
}

struct Packed<'a> {
    what: What,
    codec: u8,
    set: usize,
    bytes: &'a [u8],
    values: OnceCell<Values>,
}

impl<'a> Shreds<'a> {
    /// Reads the nodes of a chunk with rows at these times.
    pub(super) fn read(
        bytes: &'a [u8],
        times: &'a [i64],
        words: &'a Words,
    ) -> Result<Self, String> {
        let mut shreds = Self {
            times,
            words,
            sets: Vec::new(),
            nodes: Vec::new(),
            columns: Vec::new(),
        };
        let mut rest = bytes;
        let sets = take_varint(&mut rest)?;
        if sets > MAX_NODES as u64 {
            return Err("it claims too many row sets".into());
        }
        for _ in 0..sets {
            let set = take_bytes(&mut rest)?;
            shreds.sets.push((set, OnceCell::new()));
        }
        shreds.node(&mut rest, 0)?;
        if !rest.is_empty() {
            return Err("bytes are left over".into());
        }
        Ok(shreds)
    }

    fn node(&mut self, rest: &mut &'a [u8], depth: u32) -> Result<usize, String> {
        if depth > MAX_DEPTH || self.nodes.len() >= MAX_NODES {
            return Err("it has too many nodes".into());
        }
        let step = self.step(rest)?;
        let head = take_varint(rest)?;
        let list = if head & 1 == 1 {
            Some(self.list(rest)?)
        } else {
            None
        };
        let first = self.columns.len();
        for _ in 0..(head >> 1).min(MAX_NODES as u64) {
            let column = self.column(rest)?;
            self.columns.push(column);
        }
        let number = self.nodes.len();
        self.nodes.push(Node {
            step,
            list,
            columns: first..self.columns.len(),
            children: Vec::new(),
        });
        for _ in 0..take_varint(rest)?.min(MAX_NODES as u64) {
            let child = self.node(rest, depth + 1)?;
            self.nodes[number].children.push(child);
        }
        Ok(number)
    }

    fn list(&self, rest: &mut &'a [u8]) -> Result<List, String> {
        let key = self.word(rest)?.to_owned();
        let by = match take_varint(rest)? {
            0 => None,
            _ => Some(self.word(rest)?.to_owned()),
        };
        Ok(List { key, by })
    }

    fn step(&self, rest: &mut &'a [u8]) -> Result<Name<'a>, String> {
        let head = take_varint(rest)?;
        if head & 3 == 2 {
            return Ok(Name::Item);
        }
        let name = match (head >> 2).checked_sub(1) {
            None => take_text(rest)?,
            Some(number) => self.known(number)?,
        };
        match head & 3 {
            0 => Ok(Name::Field(name)),
            1 => Ok(Name::Element(name)),
            _ => Err("a step is unknown".into()),
        }
    }

    fn known(&self, number: u64) -> Result<&'a str, String> {
        let words: &'a Words = self.words;
        let text = words.text(number).ok_or("a word of it is missing")?;
        Ok(text)
    }

    fn word(&self, rest: &mut &'a [u8]) -> Result<&'a str, String> {
        match take_varint(rest)?.checked_sub(1) {
            None => take_text(rest),
            Some(number) => self.known(number),
        }
    }

    fn column(&self, rest: &mut &'a [u8]) -> Result<Packed<'a>, String> {
        let (&kind, after) = rest.split_first().ok_or("it is cut short")?;
        *rest = after;
        let what = *What::ALL
            .get(usize::from(kind >> 4))
            .ok_or("a column is unknown")?;
        let (codec, number) = (kind & 15, take_varint(rest)? as usize);
        let (codec, set, bytes) = if codec == SAME {
            let same = self.columns.get(number).filter(|same| same.what == what);
            let same = same.ok_or("a column names one that is not there")?;
            (same.codec, same.set, same.bytes)
        } else if what.is_unit() {
            (codec, number, &[][..])
        } else {
            (codec, number, take_bytes(rest)?)
        };
        if set >= self.sets.len() {
            return Err("a column names rows that are not there".into());
        }
        Ok(Packed {
            what,
            codec,
            set,
            bytes,
            values: OnceCell::new(),
        })
    }

    /// The value of a field of the root in a row.
    pub(super) fn value(&self, field: &str, row: usize) -> Result<Option<Value>, String> {
        let root = self.nodes.first().ok_or("it is empty")?;
        let is =
            |node: &&usize| matches!(self.nodes[**node].step, Name::Field(name) if name == field);
        match root.children.iter().find(is) {
            Some(node) => self.build(*node, row),
            None => Ok(None),
        }
    }

    fn build(&self, node: usize, row: usize) -> Result<Option<Value>, String> {
        let node = &self.nodes[node];
        for number in node.columns.clone() {
            let column = &self.columns[number];
            let ranks = self.ranks(column.set)?;
            let rank = *ranks.of_row.get(row).unwrap_or(&ABSENT);
            if rank != ABSENT && column.what != What::Member {
                return self.leaf(node, column, rank as usize, row).map(Some);
            }
        }
        let fields = self.fields(node, row)?;
        Ok(Some(fields)
            .filter(|fields| !fields.is_empty())
            .map(Value::Object))
    }

    fn fields(&self, node: &Node<'_>, row: usize) -> Result<Map<String, Value>, String> {
        let mut fields = Map::new();
        for child in &node.children {
            if let Name::Field(name) = self.nodes[*child].step
                && let Some(value) = self.build(*child, row)?
            {
                fields.insert(name.to_owned(), value);
            }
        }
        Ok(fields)
    }

    fn leaf(
        &self,
        node: &Node<'_>,
        column: &Packed<'_>,
        rank: usize,
        row: usize,
    ) -> Result<Value, String> {
        let values = self.values(column)?;
        let int = || match values {
            Values::Ints(numbers) => numbers.get(rank).copied().ok_or("a value is missing"),
            _ => Err("a value is missing"),
        };
        let text = || match values {
            Values::Texts(texts, numbers) => {
                let number = numbers
                    .get(rank)
                    .and_then(|number| usize::try_from(*number).ok());
                number
                    .and_then(|number| texts.get(number))
                    .ok_or("a text is missing")
            }
            _ => Err("a text is missing"),
        };
        Ok(match column.what {
            What::Null | What::Member => Value::Null,
            What::False => Value::Bool(false),
            What::True => Value::Bool(true),
            What::Empty => Value::Object(Map::new()),
            What::Int => int()?.into(),
            What::Unsigned => (int()? as u64).into(),
            What::Time => Timestamp::from_micros(int()?).to_string().into(),
            What::Text => text()?.as_str().into(),
            What::Float => match values {
                Values::Floats(numbers) => (*numbers.get(rank).ok_or("a value is missing")?).into(),
                _ => return Err("a value is missing".into()),
            },
            What::Length => self.items(node, int()?, row)?,
            What::Order => self.elements(node, text()?, row)?,
        })
    }

    fn items(&self, node: &Node<'_>, length: i64, row: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        let children = node.children.iter();
        // Items were met in order, so they stand in order.
        let children = children.filter(|child| matches!(self.nodes[**child].step, Name::Item));
        for child in children.take(usize::try_from(length).unwrap_or(0)) {
            items.push(self.build(*child, row)?.ok_or("an item is missing")?);
        }
        if items.len() as i64 != length {
            return Err("an item is missing".into());
        }
        Ok(Value::Array(items))
    }

    fn elements(&self, node: &Node<'_>, order: &str, row: usize) -> Result<Value, String> {
        let list = node.list.as_ref().ok_or("a list has no key")?;
        let mut items = Vec::new();
        for child in &node.children {
            let child = &self.nodes[*child];
            let Name::Element(name) = child.step else {
                continue;
            };
            if self.is_member(child, row)? {
                let mut fields = self.fields(child, row)?;
                fields.insert(list.key.clone(), name.into());
                items.push(Value::Object(fields));
            }
        }
        let expected = expected_order(&items, list);
        if order.is_empty() {
            return Ok(expected
                .into_iter()
                .map(|item| items[item].take())
                .collect());
        }
        let places: Result<Vec<usize>, _> = order.split(',').map(str::parse).collect();
        let places = places.map_err(|_| "an order is unreadable")?;
        let mut ordered = Vec::with_capacity(items.len());
        for place in places {
            let item = *expected
                .get(place)
                .ok_or("an order names what is not there")?;
            ordered.push(items[item].take());
        }
        if ordered.len() != items.len() {
            return Err("an order has the wrong length".into());
        }
        Ok(Value::Array(ordered))
    }

    fn is_member(&self, element: &Node<'_>, row: usize) -> Result<bool, String> {
        let columns = self.columns.get(element.columns.clone()).unwrap_or(&[]);
        match columns.iter().find(|column| column.what == What::Member) {
            None => Ok(false),
            Some(column) => {
                let rank = self.ranks(column.set)?.of_row.get(row);
                Ok(rank.is_some_and(|rank| *rank != ABSENT))
            }
        }
    }

    fn ranks(&self, set: usize) -> Result<&Ranks, String> {
        let (bytes, ranks) = &self.sets[set];
        if let Some(ranks) = ranks.get() {
            return Ok(ranks);
        }
        let read = read_set(bytes, self.times.len())?;
        Ok(ranks.get_or_init(|| read))
    }

    fn values<'b>(&self, column: &'b Packed<'_>) -> Result<&'b Values, String> {
        if let Some(values) = column.values.get() {
            return Ok(values);
        }
        let values = self.expand(column)?;
        Ok(column.values.get_or_init(|| values))
    }

    fn expand(&self, column: &Packed<'_>) -> Result<Values, String> {
        let ranks = self.ranks(column.set)?;
        match column.what {
            what if what.is_unit() => Ok(Values::None),
            What::Float => {
                column::expand_floats(column.codec, column.bytes, ranks.count).map(Values::Floats)
            }
            What::Text | What::Order => {
                let mut rest = column.bytes;
                let texts = self.texts(&mut rest)?;
                let numbers = column::expand(column.codec, rest, ranks.count)?;
                Ok(Values::Texts(texts, numbers))
            }
            What::Time if column.codec & BEFORE != 0 => {
                let mut numbers =
                    column::expand(column.codec & !BEFORE, column.bytes, ranks.count)?;
                for (at, rank) in self.times.iter().zip(&ranks.of_row) {
                    if let Some(number) = numbers.get_mut(*rank as usize) {
                        *number = at.wrapping_sub(*number);
                    }
                }
                Ok(Values::Ints(numbers))
            }
            _ => column::expand(column.codec, column.bytes, ranks.count).map(Values::Ints),
        }
    }

    fn texts(&self, rest: &mut &[u8]) -> Result<Vec<String>, String> {
        let head = take_varint(rest)?;
        let count = head >> 1;
        if count > self.times.len() as u64 {
            return Err("it claims more texts than rows".into());
        }
        let mut texts = Vec::with_capacity(count as usize);
        if head & 1 == 0 {
            for _ in 0..count {
                texts.push(self.owned_word(rest)?);
            }
            return Ok(texts);
        }
        let length = take_varint(rest)?.min(MAX_TEXT_BYTES as u64) as usize;
        let inflated = inflate(take_bytes(rest)?, length)?;
        let mut rest = &inflated[..];
        for _ in 0..count {
            texts.push(self.owned_word(&mut rest)?);
        }
        Ok(texts)
    }

    fn owned_word(&self, rest: &mut &[u8]) -> Result<String, String> {
        match take_varint(rest)?.checked_sub(1) {
            None => take_text(rest).map(ToOwned::to_owned),
            Some(number) => {
                let text: Option<&Arc<str>> = self.words.text(number);
                Ok(text.ok_or("a word of it is missing")?.to_string())
            }
        }
    }
}

fn read_set(bytes: &[u8], rows: usize) -> Result<Ranks, String> {
    let (mut rest, mut of_row, mut count) = (bytes, Vec::with_capacity(rows), 0);
    while !rest.is_empty() {
        let (without, with) = (take_varint(&mut rest)?, take_varint(&mut rest)?);
        let room = (rows - of_row.len()) as u64;
        if without > room || with > room - without {
            return Err("a row set is longer than it claims".into());
        }
        of_row.resize(of_row.len() + without as usize, ABSENT);
        of_row.extend(count..count + with as u32);
        count += with as u32;
    }
    of_row.resize(rows, ABSENT);
    Ok(Ranks {
        of_row,
        count: count as usize,
    })
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = take_varint(rest)?;
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= rest.len());
    let (bytes, after) = rest.split_at(length.ok_or("it is cut short")?);
    *rest = after;
    Ok(bytes)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(take_bytes(rest)?).map_err(|error| error.to_string())
}

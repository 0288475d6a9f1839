//! Columns of a chunk of findings as bytes, and back.
//!
//! ```text
//! row sets   count, then for each: length, runs of rows without and with a value in turn
//! nodes      in depth-first order: step, list, columns, children
//! column     what and codec in a byte, row set, then a length with bytes, or a column like it
//! ```
//!
//! Numbers are varints. A text is its number in [`Words`] and one, or 0, a length and the text. A
//! row set is one for all columns that have values in the same rows, and a column that is the same
//! as an earlier one names it: what two kinds of findings both say is stored once. Where the order
//! of something could be any, it is fixed, so the same findings always give the same bytes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    column,
    tree::{Column, List, Node, Step, Tree, Values, What},
    words::Words,
};
use crate::store::columns::put_varint;

/// The codec of a column that is the same as an earlier one.
pub(super) const SAME: u8 = 15;

/// The codec of times that are given as how long before the row they are.
pub(super) const BEFORE: u8 = 8;

/// Texts of more bytes than this are deflated together.
const MIN_DEFLATED: usize = 64;

/// Columns with more distinct texts than this hold no words but texts.
const MAX_WORDS_OF_COLUMN: usize = 32;

/// A tree as bytes; `times` are the times of its rows.
pub(super) fn bytes_of(tree: &Tree, times: &[i64], words: &mut Arc<Words>) -> Vec<u8> {
    let mut writer = Writer {
        times,
        words,
        sets: FxHashMap::default(),
        set_bytes: Vec::new(),
        columns: 0,
        known: FxHashMap::default(),
        out: Vec::new(),
    };
    writer.node(tree, 0);
    let mut bytes = Vec::with_capacity(writer.set_bytes.len() + writer.out.len() + 4);
    put_varint(&mut bytes, writer.sets.len() as u64);
    bytes.extend_from_slice(&writer.set_bytes);
    bytes.extend_from_slice(&writer.out);
    bytes
}

struct Writer<'a> {
    times: &'a [i64],
    words: &'a mut Arc<Words>,
    sets: FxHashMap<Vec<u8>, u64>,
    set_bytes: Vec<u8>,
    /// Columns written.
    columns: u64,
    /// What kind of column, its row set and bytes, by the number of the column.
    known: FxHashMap<(u8, u64, Vec<u8>), u64>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn node(&mut self, tree: &Tree, number: usize) {
        let Node {
            step,
            columns,
            children,
            list,
        } = &tree.nodes[number];
        self.step(step);
        let has_list = u64::from(list.is_some());
        put_varint(&mut self.out, (columns.len() as u64) << 1 | has_list);
        if let Some(List { key, by }) = list {
            self.text(key);
            put_varint(&mut self.out, u64::from(by.is_some()));
            if let Some(by) = by {
                self.text(by);
            }
        }
        for column in columns {
            self.column(column);
        }
        put_varint(&mut self.out, children.len() as u64);
        for child in children {
            self.node(tree, *child);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Field(name) => self.named(0, name),
            Step::Element(name) => self.named(1, name),
            Step::Item(place) => put_varint(&mut self.out, place << 2 | 2),
        }
    }

    /// A kind of step and its text in as few bytes as can be.
    fn named(&mut self, kind: u64, name: &str) {
        if let Some(number) = Words::number_or_add(self.words, name) {
            put_varint(&mut self.out, u64::from(number + 1) << 2 | kind);
        } else {
            put_varint(&mut self.out, kind);
            put_text(&mut self.out, name);
        }
    }

    fn text(&mut self, text: &str) {
        let number = Words::number_or_add(self.words, text);
        put_word(&mut self.out, number, text);
    }

    fn column(&mut self, column: &Column) {
        let set = self.row_set(&column.rows);
        let (codec, bytes) = self.values(column);
        let what = column.what as u8;
        let number = self.columns;
        self.columns += 1;
        let kind = what << 4 | codec;
        if column.what.is_unit() {
            self.out.push(kind);
            put_varint(&mut self.out, set);
            return;
        }
        if let Some(same) = self.known.get(&(kind, set, bytes.clone())) {
            self.out.push(what << 4 | SAME);
            put_varint(&mut self.out, *same);
            return;
        }
        self.out.push(kind);
        put_varint(&mut self.out, set);
        put_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(&bytes);
        // Naming another column takes two or three bytes.
        if bytes.len() > 3 {
            self.known.insert((kind, set, bytes), number);
        }
    }

    fn row_set(&mut self, rows: &[u32]) -> u64 {
        let (mut bytes, mut next) = (Vec::new(), 0);
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            put_varint(&mut bytes, u64::from(run[0] - next));
            put_varint(&mut bytes, run.len() as u64);
            next = run[0] + run.len() as u32;
        }
        let number = self.sets.len() as u64;
        if let Some(known) = self.sets.get(&bytes) {
            return *known;
        }
        put_varint(&mut self.set_bytes, bytes.len() as u64);
        self.set_bytes.extend_from_slice(&bytes);
        self.sets.insert(bytes, number);
        number
    }

    fn values(&mut self, column: &Column) -> (u8, Vec<u8>) {
        match &column.values {
            Values::None => (0, Vec::new()),
            Values::Ints(numbers) if column.what == What::Time => {
                let rows = column.rows.iter().zip(numbers);
                let before: Vec<i64> = rows
                    .map(|(row, at)| self.times[*row as usize].wrapping_sub(*at))
                    .collect();
                let (absolute, before) = (column::compress(numbers), column::compress(&before));
                if before.1.len() < absolute.1.len() {
                    (before.0 | BEFORE, before.1)
                } else {
                    absolute
                }
            }
            Values::Ints(numbers) => column::compress(numbers),
            Values::Floats(numbers) => column::compress_floats(numbers),
            Values::Texts(texts, numbers) => {
                let mut bytes = self.texts(column.what, texts);
                let (codec, numbers) = column::compress(numbers);
                bytes.extend(numbers);
                (codec, bytes)
            }
        }
    }

    /// The distinct texts of a column: how many and whether they are deflated, then their bytes.
    fn texts(&mut self, what: What, texts: &[String]) -> Vec<u8> {
        let are_words = what == What::Text && texts.len() <= MAX_WORDS_OF_COLUMN;
        let mut plain = Vec::new();
        for text in texts {
            let number = if are_words {
                Words::number_or_add(self.words, text)
            } else {
                self.words.number(text)
            };
            put_word(&mut plain, number, text);
        }
        let mut bytes = Vec::new();
        let packed = Some(&plain)
            .filter(|plain| plain.len() > MIN_DEFLATED)
            .map(|plain| deflate(plain));
        let packed = packed.filter(|packed| packed.len() + 2 < plain.len());
        put_varint(
            &mut bytes,
            (texts.len() as u64) << 1 | u64::from(packed.is_some()),
        );
        if let Some(packed) = packed {
            put_varint(&mut bytes, plain.len() as u64);
            put_varint(&mut bytes, packed.len() as u64);
            bytes.extend(packed);
        } else {
            bytes.extend(plain);
        }
        bytes
    }
}

fn put_word(bytes: &mut Vec<u8>, number: Option<u32>, text: &str) {
    if let Some(number) = number {
        put_varint(bytes, u64::from(number) + 1);
    } else {
        put_varint(bytes, 0);
        put_text(bytes, text);
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Bytes deflated as well as can be.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    deflate_at(6, bytes)
}

/// Bytes deflated as fast as can be.
pub(super) fn deflate_fast(bytes: &[u8]) -> Vec<u8> {
    deflate_at(1, bytes)
}

/// Into memory it cannot fail.
fn deflate_at(level: u32, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let level = flate2::Compression::new(level);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.unwrap_or_default()
}

/// What [`deflate`] packed, at most `limit` bytes of it.
pub(super) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut plain = Vec::new();
    let mut decoder = flate2::read::DeflateDecoder::new(bytes).take(limit as u64 + 1);
    let read = decoder.read_to_end(&mut plain);
    read.map_err(|error| error.to_string())?;
    if plain.len() > limit {
        return Err("it unpacks to more than it claims".into());
    }
    Ok(plain)
}

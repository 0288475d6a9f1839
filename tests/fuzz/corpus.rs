//! What fuzz targets of binary formats start from: inputs that are right, and then spoiled.
//!
//! Bytes by chance are refused at the first of them, so a target fed with nothing else tests the first
//! check alone. Each input of the engine is therefore also read as changes to one of the corpus.
//!
//! A module of each crate that has such targets, by its path; the corpora are those of that crate.

use std::fs;

/// The most changes to one input: more of them leave little that is right.
const MAX_CHANGES: usize = 16;

/// The inputs of a target, by the folder of its crate's sources and its name, in the order of their names.
pub(crate) fn corpus(folder: &str, name: &str) -> Vec<Vec<u8>> {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    let entries = fs::read_dir(format!("{sources}{folder}/__fuzz__/{name}/corpus")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One of the corpus with some of its bytes changed, left out, doubled, or without its end: the first
/// byte of `how` says which one, each four that follow what, where (two of them) and by how much.
pub(crate) fn spoiled(corpus: &[Vec<u8>], how: &[u8]) -> Vec<u8> {
    let Some((&which, how)) = how.split_first() else {
        return Vec::new();
    };
    let mut input = corpus[usize::from(which) % corpus.len()].clone();
    for change in how.chunks_exact(4).take(MAX_CHANGES) {
        if input.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % input.len();
        match change[0] % 8 {
            0 => input.truncate(at),
            1 => drop(input.remove(at)),
            2 => input.insert(at, change[3]),
            3 => input.extend_from_within(at..),
            _ => input[at] ^= change[3],
        }
    }
    input
}

#[test]
fn an_input_is_changed_as_it_is_told() {
    let corpus = [vec![1, 2, 3], vec![7]];
    for (how, expected) in [
        (&[0][..], &[1, 2, 3][..]),
        (&[1], &[7]),
        (&[0, 4, 1, 0, 0xff], &[1, 0xfd, 3]),
        (&[0, 0, 2, 0, 9], &[1, 2]),
        (&[0, 1, 0, 0, 9], &[2, 3]),
        (&[0, 2, 1, 0, 9], &[1, 9, 2, 3]),
        (&[0, 3, 1, 0, 9], &[1, 2, 3, 2, 3]),
    ] {
        assert_eq!(spoiled(&corpus, how), expected, "{how:?}");
    }
}

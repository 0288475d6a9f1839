//! What the births of a node have told, and where its sequence stands.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use telemetry::{DeviceId, Timestamp};

use super::Topic;
use crate::check::lock;

/// Nodes remembered. Beyond it one is forgotten and asked for its birth again.
const MAX_NODES: usize = 10_000;

/// Metrics remembered over all nodes, about 200 bytes each.
const MAX_KNOWN: usize = 1_000_000;

/// A node is asked for its birth at most this often: a birth of thousands of metrics takes
/// some seconds to come.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Every node that was heard of.
#[derive(Debug, Default)]
pub(in crate::decode) struct Nodes {
    nodes: Mutex<FxHashMap<Box<str>, Arc<Mutex<Node>>>>,
    known: AtomicUsize,
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct Node {
    born: bool,
    bd_seq: Option<u64>,
    /// The sequence number that comes next.
    next: Option<u8>,
    /// The node itself, under the empty name, and the devices behind it.
    parts: FxHashMap<Box<str>, Part>,
    asked_at: Option<Timestamp>,
}

/// The node itself or a device behind it.
#[derive(Debug)]
struct Part {
    id: DeviceId,
    online: bool,
    metrics: Vec<Known>,
    by_alias: FxHashMap<u64, u32>,
    by_name: FxHashMap<Box<str>, u32>,
}

/// What a birth told of a metric.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: Box<str>,
    pub(super) datatype: Option<u32>,
    pub(super) unit: Option<Box<str>>,
}

impl Known {
    pub(super) fn new(name: &str, datatype: Option<u32>, unit: Option<String>) -> Self {
        Self {
            name: name.into(),
            datatype,
            unit: unit.map(Into::into),
        }
    }
}

impl Nodes {
    /// The node of a topic; a new one only when `create`.
    pub(super) fn get(&self, topic: &Topic, create: bool) -> Option<Arc<Mutex<Node>>> {
        let mut nodes = lock(&self.nodes);
        if let Some(node) = nodes.get(&topic.node) {
            return Some(Arc::clone(node));
        }
        if !create {
            return None;
        }
        if nodes.len() >= MAX_NODES
            && let Some(victim) = nodes.keys().next().cloned()
            && let Some(node) = nodes.remove(&victim)
        {
            let known = lock(&node)
                .parts
                .values()
                .map(|part| part.metrics.len())
                .sum();
            self.known.fetch_sub(known, Ordering::Relaxed);
        }
        Some(Arc::clone(nodes.entry(topic.node.clone()).or_default()))
    }

    /// Takes what a birth tells in place of what was known.
    pub(super) fn learn(
        &self,
        node: &mut Node,
        topic: &Topic,
        named: impl Iterator<Item = (Option<u64>, Known)>,
    ) {
        let part = node.part(topic);
        self.known.fetch_sub(part.metrics.len(), Ordering::Relaxed);
        part.metrics.clear();
        part.by_alias.clear();
        part.by_name.clear();
        for (alias, known) in named {
            if self.known.load(Ordering::Relaxed) >= MAX_KNOWN {
                break;
            }
            self.known.fetch_add(1, Ordering::Relaxed);
            let place = part.metrics.len() as u32;
            part.by_name.insert(known.name.clone(), place);
            if let Some(alias) = alias {
                part.by_alias.insert(alias, place);
            }
            part.metrics.push(known);
        }
    }
}

impl Node {
    fn part(&mut self, topic: &Topic) -> &mut Part {
        let name = topic.part.as_deref().unwrap_or_default();
        self.parts.entry(name.into()).or_insert_with(|| Part {
            id: topic.id.clone(),
            online: false,
            metrics: Vec::new(),
            by_alias: FxHashMap::default(),
            by_name: FxHashMap::default(),
        })
    }

    /// A session begins. What the last one's births told holds no longer.
    pub(super) fn begin(&mut self, bd_seq: Option<u64>, seq: Option<u8>) {
        self.born = true;
        self.bd_seq = bd_seq;
        self.next = Some(seq.unwrap_or(0).wrapping_add(1));
        self.asked_at = None;
    }

    /// Whether a message comes right after the last, in a session whose birth was heard.
    pub(super) fn follows(&mut self, seq: Option<u8>) -> bool {
        let expected = self.next;
        self.next = seq.map(|seq| seq.wrapping_add(1));
        self.born && seq.is_some() && expected == seq
    }

    /// Whether a death is that of the present session. A death of an earlier one comes when a
    /// broker notices late that an old connection is gone.
    pub(super) fn dies(&mut self, bd_seq: Option<u64>) -> bool {
        if self.born && self.bd_seq.is_some() && bd_seq != self.bd_seq {
            return false;
        }
        self.born = false;
        self.next = None;
        true
    }

    /// The node or a device is there; whether it was not before.
    pub(super) fn online(&mut self, topic: &Topic) -> bool {
        !std::mem::replace(&mut self.part(topic).online, true)
    }

    /// Takes a device, or everything, off; who was there before. The node itself always counts.
    pub(super) fn offline(&mut self, part: Option<&str>) -> Vec<DeviceId> {
        let gone = |name: &str| part.is_none_or(|part| part == name);
        self.parts
            .iter_mut()
            .filter(|(name, known)| gone(name) && known.online)
            .map(|(_, known)| {
                known.online = false;
                known.id.clone()
            })
            .collect()
    }

    /// What is known of a metric. Outside a session an alias means nothing, except to a letter
    /// that is taken again.
    pub(super) fn known(
        &self,
        topic: &Topic,
        alias: Option<u64>,
        name: Option<&str>,
        live: bool,
    ) -> Option<&Known> {
        let part = self.parts.get(topic.part.as_deref().unwrap_or_default())?;
        if live && !(self.born && part.online) {
            return None;
        }
        let place = match (name, alias) {
            (Some(name), _) => part.by_name.get(name),
            (None, Some(alias)) => part.by_alias.get(&alias),
            (None, None) => None,
        };
        part.metrics.get(*place? as usize)
    }

    /// Whether the node may be asked for its birth now; notes it if so.
    pub(super) fn may_be_asked(&mut self, now: Timestamp) -> bool {
        let may = self
            .asked_at
            .is_none_or(|asked| now < asked || now.since(asked) >= ASK_EVERY);
        if may {
            self.asked_at = Some(now);
        }
        may
    }
}

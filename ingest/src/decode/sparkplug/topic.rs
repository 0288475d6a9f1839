//! `spBv1.0/{group}/{type}/{node}[/{device}]`.

use telemetry::DeviceId;

use crate::decode::names::device_id;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    NodeBirth,
    NodeData,
    NodeDeath,
    DeviceBirth,
    DeviceData,
    DeviceDeath,
    /// Commands and the state of hosts: not for us, and no data of a device.
    Other,
}

/// A topic, taken apart.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Topic {
    pub(super) kind: Kind,
    /// The node: `{group}/{node}`.
    pub(super) node: Box<str>,
    /// The device of the node, when it is a device's message.
    pub(super) part: Option<Box<str>>,
    /// Where commands to the node are sent.
    pub(super) commands: Box<str>,
    /// The node as a device.
    pub(super) node_id: DeviceId,
    /// Whom the readings are of.
    pub(super) id: DeviceId,
}

impl Topic {
    /// Takes a topic apart.
    pub(in crate::decode) fn parse(topic: &str) -> Result<Self, &'static str> {
        let mut levels = topic.split('/');
        if levels.next() != Some("spBv1.0") {
            return Err("a Sparkplug topic begins with spBv1.0/");
        }
        let group = filled(levels.next())?;
        let kind = filled(levels.next())?;
        if group == "STATE" {
            return Self::made(Kind::Other, (group, kind, None));
        }
        let node = filled(levels.next())?;
        let part = levels.next().map(|level| filled(Some(level))).transpose()?;
        if levels.next().is_some() {
            return Err("a Sparkplug topic has at most five levels");
        }
        let kind = match (kind, part.is_some()) {
            ("NBIRTH", false) => Kind::NodeBirth,
            ("NDATA", false) => Kind::NodeData,
            ("NDEATH", false) => Kind::NodeDeath,
            ("DBIRTH", true) => Kind::DeviceBirth,
            ("DDATA", true) => Kind::DeviceData,
            ("DDEATH", true) => Kind::DeviceDeath,
            ("NCMD", false) | ("DCMD", true) => Kind::Other,
            _ => {
                return Err(
                    "the third level is NBIRTH, NDATA or NDEATH of a node, or DBIRTH, DDATA or DDEATH of a device",
                );
            }
        };
        Self::made(kind, (group, node, part))
    }

    fn made(
        kind: Kind,
        (group, node, part): (&str, &str, Option<&str>),
    ) -> Result<Self, &'static str> {
        let no_id = |_| "no device id can be made of its names";
        let node_id = device_id(&[group, node]).map_err(no_id)?;
        let id = match part {
            Some(part) => device_id(&[group, node, part]).map_err(no_id)?,
            None => node_id.clone(),
        };
        Ok(Self {
            kind,
            node: format!("{group}/{node}").into(),
            part: part.map(Into::into),
            commands: format!("spBv1.0/{group}/NCMD/{node}").into(),
            node_id,
            id,
        })
    }

    /// Whom the readings are of.
    pub(in crate::decode) fn device(&self) -> &DeviceId {
        &self.id
    }
}

fn filled(level: Option<&str>) -> Result<&str, &'static str> {
    level
        .filter(|level| !level.is_empty())
        .ok_or("a Sparkplug topic is spBv1.0/{group}/{type}/{node} and perhaps /{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_say_kind_node_and_device() {
        for (topic, kind, id) in [
            ("spBv1.0/g/NBIRTH/n", Kind::NodeBirth, "g.n"),
            ("spBv1.0/g/NDATA/n", Kind::NodeData, "g.n"),
            ("spBv1.0/g/NDEATH/n", Kind::NodeDeath, "g.n"),
            ("spBv1.0/g/DBIRTH/n/d", Kind::DeviceBirth, "g.n.d"),
            ("spBv1.0/g/DDATA/n/d", Kind::DeviceData, "g.n.d"),
            ("spBv1.0/g/DDEATH/n/d", Kind::DeviceDeath, "g.n.d"),
            ("spBv1.0/g/NCMD/n", Kind::Other, "g.n"),
            ("spBv1.0/STATE/host", Kind::Other, "STATE.host"),
        ] {
            let parsed = Topic::parse(topic).unwrap();
            assert_eq!((parsed.kind, parsed.id.as_str()), (kind, id), "{topic}");
        }
        for bad in [
            "spAv1.0/g/NDATA/n",
            "spBv1.0",
            "spBv1.0/g",
            "spBv1.0/g/NDATA",
            "spBv1.0/g/NDATA/",
            "spBv1.0//NDATA/n",
            "spBv1.0/g/NDATA/n/d",
            "spBv1.0/g/DDATA/n",
            "spBv1.0/g/DDATA/n/",
            "spBv1.0/g/DDATA/n/d/x",
            "spBv1.0/g/XDATA/n",
        ] {
            assert!(Topic::parse(bad).is_err(), "{bad}");
        }
    }
}

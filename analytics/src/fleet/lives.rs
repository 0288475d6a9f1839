//! The lives of machines: since when they last, who looks ahead for them, and their saved parts.

use std::sync::Arc;

use telemetry::{AssetId, AssetModelId, DeviceId, Recorded};

use super::Fleet;
use crate::{
    AnalyticsError,
    monitor::Monitor,
    prognosis::{
        course::Course,
        cycles::Cycle,
        diary::{Diary, LIVE_CODES},
        serving::Forecaster,
    },
    snapshot,
};

/// The cycles one device saw of the life of its machine.
#[derive(Debug, Clone)]
pub struct WatchedLife {
    /// The device.
    pub device: DeviceId,
    /// Cycles lived before the first of [`Self::cycles`]; none when nobody knows.
    pub age: Option<f64>,
    /// The cycles, oldest first.
    pub cycles: Vec<Cycle>,
    /// The error codes the device said, in this life and before.
    pub heard: Diary,
}

/// What the keys of saved lives begin with; the slash keeps them apart from device ids.
pub(super) const LIFE_KEY: &str = "life/";
/// And those of saved beginnings.
pub(super) const BEGUN_KEY: &str = "begun/";
/// And those of diaries.
pub(super) const DIARY_KEY: &str = "diary/";

impl Fleet {
    /// Lets a trained model look ahead for all machines of a kind, from their next record on;
    /// none leaves it to their trends. Whoever feeds the fleet calls this at the place of
    /// [`telemetry::Event::ModelPromoted`], and once after restoring.
    pub fn serve(&mut self, asset_model: &AssetModelId, forecaster: Option<Arc<dyn Forecaster>>) {
        match forecaster {
            Some(forecaster) => {
                self.forecasters.insert(asset_model.clone(), forecaster);
            }
            None => {
                self.forecasters.remove(asset_model);
            }
        }
    }

    /// The life of an asset as far as it is kept, by device.
    pub fn lives(&self, asset: &AssetId) -> Vec<WatchedLife> {
        let watched = self.routes_of(asset).into_iter().map(|route| {
            let Monitor { state, course, .. } = &self.monitors[route as usize];
            WatchedLife {
                device: state.device.clone(),
                age: course.age(),
                cycles: course.cycles().cloned().collect(),
                heard: course.heard().clone(),
            }
        });
        watched.filter(|life| !life.cycles.is_empty()).collect()
    }

    pub(super) fn life_began(&mut self, asset: &AssetId, at: i64) {
        for route in self.routes_of(asset) {
            let monitor = &mut self.monitors[route as usize];
            monitor.renewed(self.configs.for_device(&monitor.state.device), at);
        }
        let has_room = self.begun.len() < self.configs.readings.max_devices;
        if has_room || self.begun.contains_key(asset) {
            let began = self.begun.entry(asset.clone()).or_insert(at);
            *began = at.max(*began);
            self.begun_dirty.insert(asset.clone());
        }
    }

    /// Something was told about an asset.
    pub(super) fn recorded(&mut self, asset: &AssetId, at: i64, what: &Recorded) {
        let has_room = self.diaries.len() < self.configs.readings.max_devices;
        if !has_room && !self.diaries.contains_key(asset) {
            return;
        }
        let diary = self.diaries.entry(asset.clone());
        if diary
            .or_insert_with(|| Diary::new(LIVE_CODES))
            .hear(at, what)
        {
            self.diaries_dirty.insert(asset.clone());
        }
    }

    pub(super) fn restore_diary(
        &mut self,
        key: &str,
        asset: &str,
        bytes: &[u8],
    ) -> Result<(), AnalyticsError> {
        let diary: Option<Diary> = snapshot::decode(key, bytes)?;
        if let (Ok(asset), Some(diary)) = (AssetId::new(asset), diary) {
            self.diaries.insert(asset, diary);
        }
        Ok(())
    }

    pub(super) fn restore_life(
        &mut self,
        key: &str,
        device: &str,
        bytes: &[u8],
    ) -> Result<(), AnalyticsError> {
        let course: Course = snapshot::decode(key, bytes)?;
        let unreadable = || AnalyticsError::StateUnreadable {
            key: key.to_owned(),
            problem: "it belongs to no device".to_owned(),
        };
        let device = DeviceId::new(device).map_err(|_| unreadable())?;
        match self.by_device.get(&device) {
            Some(route) => self.monitors[*route as usize].course = course,
            None => {
                self.courses.insert(device, course);
            }
        }
        Ok(())
    }

    pub(super) fn restore_beginning(
        &mut self,
        key: &str,
        asset: &str,
        bytes: &[u8],
    ) -> Result<(), AnalyticsError> {
        let at: Option<i64> = snapshot::decode(key, bytes)?;
        if let (Ok(asset), Some(at)) = (AssetId::new(asset), at) {
            self.begun.insert(asset, at);
        }
        Ok(())
    }
}

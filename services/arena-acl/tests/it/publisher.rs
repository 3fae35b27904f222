//! The publisher over the memory store and a scripted broker, on paused time.

mod bounds;
mod failures;
mod model;
mod spacing;
mod world;
